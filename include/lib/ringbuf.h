/* SPDX-License-Identifier: MIT */
#ifndef LIB_RINGBUF_H
#define LIB_RINGBUF_H

/*
 * Byte ring over a buffer of the caller's, a power of two in size. One reader
 * and one writer may use it at the same time without a lock: head is written
 * by the writer only, tail by the reader only. Positions run freely and wrap
 * at 2^32.
 */
#include <lib/atomic.h>

struct ringbuf {
	u8 *data;		/* [I] */
	u32 size;		/* [I] power of two */
	u32 head;		/* [a] where the writer writes next */
	u32 tail;		/* [a] where the reader reads next */
};

static inline void ringbuf_init(struct ringbuf *r, void *data, u32 size)
{
	r->data = data;
	r->size = size;
	r->head = 0;
	r->tail = 0;
}

static inline u32 ringbuf_used(const struct ringbuf *r)
{
	return smp_load_acquire(&r->head) - smp_load_acquire(&r->tail);
}

static inline u32 ringbuf_free(const struct ringbuf *r)
{
	return r->size - ringbuf_used(r);
}

static inline bool ringbuf_empty(const struct ringbuf *r)
{
	return ringbuf_used(r) == 0;
}

/* Writer. False when full. */
static inline bool ringbuf_putc(struct ringbuf *r, u8 c)
{
	u32 head = r->head;

	if (head - smp_load_acquire(&r->tail) == r->size)
		return false;
	r->data[head & (r->size - 1)] = c;
	smp_store_release(&r->head, head + 1);
	return true;
}

/* Reader. The byte, or -1 when empty. */
static inline int ringbuf_getc(struct ringbuf *r)
{
	u32 tail = r->tail;
	u8 c;

	if (smp_load_acquire(&r->head) == tail)
		return -1;
	c = r->data[tail & (r->size - 1)];
	smp_store_release(&r->tail, tail + 1);
	return c;
}

/* Reader. The byte at distance off from the next one, or -1. */
static inline int ringbuf_peek(const struct ringbuf *r, u32 off)
{
	if (off >= ringbuf_used(r))
		return -1;
	return r->data[(r->tail + off) & (r->size - 1)];
}

/* As much as fits, or as there is; returns how much. */
u32 ringbuf_write(struct ringbuf *r, const void *src, u32 n);
u32 ringbuf_read(struct ringbuf *r, void *dst, u32 n);
/* Reader: throws away all that is there now. */
void ringbuf_clear(struct ringbuf *r);

#endif
