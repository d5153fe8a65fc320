/* SPDX-License-Identifier: MIT */
#include <lib/ringbuf.h>
#include <lib/string.h>

u32 ringbuf_write(struct ringbuf *r, const void *src, u32 n)
{
	u32 head = r->head, at = head & (r->size - 1), first;

	n = MIN(n, r->size - (head - smp_load_acquire(&r->tail)));
	first = MIN(n, r->size - at);
	memcpy(r->data + at, src, first);
	memcpy(r->data, (const u8 *)src + first, n - first);
	smp_store_release(&r->head, head + n);
	return n;
}

u32 ringbuf_read(struct ringbuf *r, void *dst, u32 n)
{
	u32 tail = r->tail, at = tail & (r->size - 1), first;

	n = MIN(n, smp_load_acquire(&r->head) - tail);
	first = MIN(n, r->size - at);
	memcpy(dst, r->data + at, first);
	memcpy((u8 *)dst + first, r->data, n - first);
	smp_store_release(&r->tail, tail + n);
	return n;
}

void ringbuf_clear(struct ringbuf *r)
{
	smp_store_release(&r->tail, smp_load_acquire(&r->head));
}
