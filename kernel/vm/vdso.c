/* SPDX-License-Identifier: MIT */
/*
 * The vDSO's pages and their place in every address space.
 *
 * The image is copied once into pages of an object, the data page is the only one of another; every program maps both,
 * the data right below the code, which finds it there by its distance. The code is a private mapping, so that a debugger's
 * breakpoint is the debugged program's own; the data can never be written. Both objects are FIXED: nobody truncates them,
 * so they need not know who maps them, and fork and exec take no lock that all processes share.
 *
 * Like Linux they are put behind the stack: the page table that covers the stack's top usually covers them, too.
 */
#include <hal/vdso.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/random.h>
#include <kernel/sched/clock.h>
#include <kernel/vm/vdso.h>
#include <lib/string.h>

#include "internal.h"

static struct vm_object vvar_object, vdso_object;	/* [I] after vdso_init() */
static u64 vdso_pages;					/* [I] 0: there is none */

static struct page *first_page(struct vm_object *obj, u64 index)
{
	struct page *page = NULL;

	VERIFY(!vm_object_page(obj, index, true, &page));
	return page;
}

void vdso_init(void)
{
	size_t bytes;
	const u8 *image = hal_vdso_image(&bytes);
	struct page *page;

	if (!bytes || !cmdline_bool("vdso", true))
		return;
	vm_object_init(&vvar_object, OBJECT_FIXED, NULL, NULL, PAGE_SIZE);
	vm_object_init(&vdso_object, OBJECT_FIXED, NULL, NULL, ALIGN_UP(bytes, PAGE_SIZE));
	page = first_page(&vvar_object, 0);
	clock_publish(page_address(page));	/* the reference is kept for ever */
	vdso_pages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	for (u64 i = 0; i < vdso_pages; i++) {
		page = first_page(&vdso_object, i);
		memcpy(page_address(page), image + i * PAGE_SIZE, MIN(bytes - i * PAGE_SIZE, PAGE_SIZE));
	}
}

u64 vdso_bytes(void)
{
	return vdso_pages ? (1 + vdso_pages) << PAGE_SHIFT : 0;
}

const char *vdso_area_name(const struct vm_area *a)
{
	if (!a->object || !(a->object->flags & OBJECT_FIXED))
		return NULL;
	return a->object == &vvar_object ? "[vvar]" : "[vdso]";
}

/* Where to look first: a random page between the stack's end and the end of what its page table covers; 0: no room. */
static vaddr_t place_hint(vaddr_t above, u64 len, bool randomize)
{
	vaddr_t end = MIN(ALIGN_UP(above + len, LEAF_SIZE), ALIGN_DOWN(HAL_USER_END, PAGE_SIZE));
	u64 room;

	if (above + len > end)
		return 0;
	room = (end - len - above) >> PAGE_SHIFT;
	return above + (randomize && room ? random_below(room + 1) << PAGE_SHIFT : 0);
}

static struct vm_area *new_area(struct vm_space *s, struct vm_object *obj, vaddr_t at, u64 pages, u32 flags)
{
	struct vm_area *a = area_alloc(s);

	if (!a)
		return NULL;
	vm_object_get(obj);
	a->object = obj;
	a->start = at;
	a->end = at + (pages << PAGE_SHIFT);
	a->flags = flags | AREA_DONTEXPAND;
	return a;
}

static int map_locked(struct vm_space *s, vaddr_t hint, vaddr_t *out)
{
	u64 pages = 1 + vdso_pages;
	struct vm_area *data, *code;
	vaddr_t at;
	int err;

	if (!limit_may_expand(s, 0, pages))
		return -ENOMEM;
	err = vm_find_place_locked(s, hint, pages << PAGE_SHIFT, 0, &at);
	if (err)
		return err;
	data = new_area(s, &vvar_object, at, 1, AREA_READ | AREA_MAY_READ | AREA_DONTDUMP);
	code = new_area(s, &vdso_object, at + PAGE_SIZE, vdso_pages, AREA_READ | AREA_EXEC | AREA_MAY_PROT);
	if (data && code) {
		area_insert(data);
		area_insert(code);
		*out = code->start;
		return 0;
	}
	if (data)
		area_free(data);
	if (code)
		area_free(code);
	return -ENOMEM;
}

int vdso_map(struct vm_space *s, vaddr_t above, bool randomize, vaddr_t *out)
{
	vaddr_t hint;
	int err;

	*out = 0;
	if (!vdso_pages)
		return 0;
	hint = place_hint(ALIGN_UP(above, PAGE_SIZE), vdso_bytes(), randomize);
	err = rwsem_write_lock_killable(&s->lock);
	if (err)
		return err;
	err = map_locked(s, hint, out);
	rwsem_write_unlock(&s->lock);
	return err;
}
