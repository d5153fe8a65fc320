/* SPDX-License-Identifier: MIT */
/*
 * Touching the memory of a space from the kernel: populate, remote access, the keys of futexes.
 *
 * Remote access goes page by page: look for the page and copy, under the space's lock for
 * reading. A page that is not there is faulted in and looked for again. Writes go through the
 * entry's rights as the program's own would, so copy-on-write is done by the fault; `force` (a
 * debugger's) may also write what the area only might become: it asks for the copy by hand.
 */
#include <kernel/core/spinlock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/thread.h>
#include <lib/string.h>

#include "internal.h"

/* Private writable memory is wanted as pages of its own, not as the zero page. */
static u32 access_wanted(struct vm_space *s, vaddr_t at)
{
	u32 access = VM_ACCESS_READ;
	struct vm_area *a;

	rwsem_read_lock(&s->lock);
	a = area_find(s, at);
	if (a && a->start <= at && area_private_writable(a->flags))
		access = VM_ACCESS_WRITE;
	rwsem_read_unlock(&s->lock);
	return access;
}

int vm_populate(struct vm_space *s, vaddr_t addr, u64 len, u32 access)
{
	vaddr_t at, end = addr + len;

	for (at = ALIGN_DOWN(addr, PAGE_SIZE); at < end; at += PAGE_SIZE) {
		enum vm_verdict v = vm_fault(s, at, access ? access : access_wanted(s, at));

		/* A range can be larger than all memory: the page of zeros costs nothing. */
		if (v == VM_FAULT_KILLED || __atomic_load_n(&current_thread()->fatal, __ATOMIC_RELAXED))
			return -EINTR;
		if (v == VM_FAULT_OOM || v == VM_FAULT_SEGV_MAPERR)
			return -ENOMEM;
		if (v != VM_FAULT_OK)
			return -EFAULT;
		sched_relax();
	}
	return 0;
}

/* ---- memory for the kernel to read or write ---- */

enum grab {
	GRAB_OK,
	GRAB_FAULT,		/* not there, or not writable yet */
	GRAB_NEVER,
};

/* One piece, below one page. */
struct remote {
	struct vm_space *space;
	vaddr_t addr;
	u8 *buf;
	size_t n;
	bool write, force;
};

/* Lock held, either way. The page of that entry, referenced: truncation may take it away meanwhile. */
static struct page *entry_page_get(const struct remote *r)
{
	struct page *table = table_find_leaf(r->space, r->addr), *page = NULL;
	hal_pte_t e;

	if (!table)
		return NULL;
	spin_lock(&table->pt.lock);
	e = hal_pte_read(leaf_entry(table, r->addr));
	if (hal_pte_present(e) && (!r->write || hal_pte_writable(e))) {
		page = hal_pte_soft(e) & PTE_SPECIAL ? vm_zero_page : phys_to_page(hal_pte_paddr(e, 0));
		page_get(page);
	}
	spin_unlock(&table->pt.lock);
	return page;
}

/*
 * Lock held, either way, and until the bytes are there: a fork in between would share the page, and the space's next
 * write would go to a copy that lacks them.
 */
static enum grab copy_locked(const struct remote *r)
{
	struct page *page = entry_page_get(r);
	u8 *mem;

	if (!page)
		return GRAB_FAULT;
	mem = (u8 *)page_address(page) + (r->addr & (PAGE_SIZE - 1));
	if (r->write)
		memcpy(mem, r->buf, r->n);
	else
		memcpy(r->buf, mem, r->n);
	page_put(page);
	return GRAB_OK;
}

static enum grab access_locked(const struct remote *r)
{
	struct vm_area *a = area_find(r->space, r->addr);
	u32 need = r->write ? AREA_WRITE : AREA_READ;

	if (!a)
		return GRAB_NEVER;
	if (a->start > r->addr)
		return a->flags & AREA_GROWSDOWN ? GRAB_FAULT : GRAB_NEVER;
	if (a->flags & AREA_PFN)
		return GRAB_NEVER;
	if (!(a->flags & need) && (!r->force || !(a->flags & need << AREA_MAY_SHIFT)))
		return GRAB_NEVER;
	return copy_locked(r);
}

/*
 * A debugger writes to (or reads) what the program may not: does the fault's work with the
 * rights that the area might have, under the lock for writing, and leaves an entry without write permission.
 */
static bool access_forced(const struct remote *r)
{
	vaddr_t page = ALIGN_DOWN(r->addr, PAGE_SIZE);
	struct vm_space *s = r->space;
	bool done = false;
	struct vm_area *a;
	u32 flags, prot;

	rwsem_write_lock(&s->lock);
	a = area_find(s, r->addr);
	if (!a || a->start > r->addr || a->flags & AREA_PFN)
		goto unlock;
	flags = a->flags;
	prot = AREA_READ | (r->write ? AREA_WRITE : 0);
	/* A shared area that may not be written is not forced: the file would change. */
	if (r->write && flags & AREA_MAP_SHARED && !(flags & AREA_WRITE))
		goto unlock;
	if (prot & ~(flags >> AREA_MAY_SHIFT))
		goto unlock;
	/* Only this thread sees the rights: the lock is held until they are back. */
	a->flags |= prot;
	if (vm_fault_locked(a, r->addr, r->write ? VM_ACCESS_WRITE : VM_ACCESS_READ) == VM_FAULT_OK)
		done = copy_locked(r) == GRAB_OK;
	a->flags = flags;
	table_protect(s, page, page + PAGE_SIZE, flags);
unlock:
	rwsem_write_unlock(&s->lock);
	return done;
}

static bool access_piece(const struct remote *r)
{
	for (;;) {
		enum grab g;

		rwsem_read_lock(&r->space->lock);
		g = access_locked(r);
		rwsem_read_unlock(&r->space->lock);
		if (g != GRAB_FAULT)
			return g == GRAB_OK;
		switch (vm_fault(r->space, r->addr, r->write ? VM_ACCESS_WRITE : VM_ACCESS_READ)) {
		case VM_FAULT_OK:
			break;
		case VM_FAULT_SEGV_ACCERR:
			return r->force && access_forced(r);
		default:
			return false;
		}
	}
}

size_t vm_access_remote(struct vm_space *s, vaddr_t addr, void *buf, size_t n, bool write, bool force)
{
	size_t done = 0;

	while (done < n) {
		vaddr_t at = addr + done;
		struct remote r = {
			.space = s, .addr = at, .buf = (u8 *)buf + done, .write = write, .force = force,
			.n = MIN(PAGE_SIZE - (at & (PAGE_SIZE - 1)), n - done),
		};

		if (at >= HAL_USER_END || !access_piece(&r))
			break;
		done += r.n;
	}
	return done;
}

/* ---- execve ---- */

int vm_install_page(struct vm_space *s, vaddr_t addr, struct page *page)
{
	struct vm_area *a;
	int err = -EFAULT;

	rwsem_read_lock(&s->lock);
	a = area_find(s, addr);
	if (a && a->start <= addr && !a->object)
		err = vm_enter_page_locked(a, ALIGN_DOWN(addr, PAGE_SIZE), page);
	rwsem_read_unlock(&s->lock);
	return err;
}

/* ---- futexes ---- */

int vm_shared_key(struct vm_space *s, vaddr_t addr, struct vm_object **obj, u64 *offset)
{
	struct vm_area *a;
	int err = 0;

	rwsem_read_lock(&s->lock);
	a = area_find(s, addr);
	*obj = NULL;
	*offset = addr;
	if (!a || a->start > addr || !(a->flags & AREA_PROT)) {
		err = -EFAULT;
	} else if (!a->object && !(a->flags & (AREA_WRITE | AREA_MAP_SHARED))) {
		err = -EFAULT;	/* nobody can ever change the word: Linux refuses to wait for that */
	} else if (a->flags & AREA_MAP_SHARED && a->object) {
		*obj = a->object;
		vm_object_get(*obj);
		*offset = (area_index(a, addr) << PAGE_SHIFT) + (addr & (PAGE_SIZE - 1));
	}
	rwsem_read_unlock(&s->lock);
	return err;
}
