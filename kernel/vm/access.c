/* SPDX-License-Identifier: MIT */
/*
 * Touching the memory of a space from the kernel: populate, remote access, the keys of futexes.
 *
 * Remote access goes page by page: look for the page under the space's lock for reading, take a reference,
 * copy without a lock. A page that is not there is faulted in and looked for again. Writes go through the
 * entry's rights as the program's own would, so copy-on-write is done by the fault; `force` (a
 * debugger's) may also write what the area only might become: it asks for the copy by hand.
 */
#include <kernel/core/spinlock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/thread.h>
#include <lib/string.h>

#include "internal.h"

int vm_populate(struct vm_space *s, vaddr_t addr, u64 len, bool write)
{
	vaddr_t at, end = addr + len;

	for (at = ALIGN_DOWN(addr, PAGE_SIZE); at < end; at += PAGE_SIZE) {
		enum vm_verdict v;
		struct vm_area *a;
		u32 access = write ? VM_ACCESS_WRITE : VM_ACCESS_READ;

		/* Private writable memory is wanted as pages of its own, not as the zero page. */
		rwsem_read_lock(&s->lock);
		a = area_find(s, at);
		if (a && a->start <= at && area_private_writable(a->flags))
			access = VM_ACCESS_WRITE;
		rwsem_read_unlock(&s->lock);
		v = vm_fault(s, at, access);
		if (v == VM_FAULT_KILLED)
			return -EINTR;
		if (v == VM_FAULT_OOM || v == VM_FAULT_SEGV_MAPERR)
			return -ENOMEM;
		if (v != VM_FAULT_OK)
			return -EFAULT;
		sched_relax();
	}
	return 0;
}

/* ---- a page for the kernel to read or write ---- */

enum grab {
	GRAB_OK,
	GRAB_FAULT,		/* not there, or not writable yet */
	GRAB_NEVER,
};

/* Lock for reading held. */
static enum grab grab_locked(struct vm_space *s, vaddr_t addr, bool write, bool force,
			     struct page **out)
{
	struct vm_area *a = area_find(s, addr);
	u32 need = write ? AREA_WRITE : AREA_READ;
	enum grab r = GRAB_FAULT;
	struct page *table;
	hal_pte_t e;

	if (!a)
		return GRAB_NEVER;
	if (a->start > addr)
		return a->flags & AREA_GROWSDOWN ? GRAB_FAULT : GRAB_NEVER;
	if (a->flags & AREA_PFN)
		return GRAB_NEVER;
	if (!(a->flags & need) && (!force || !(a->flags & need << AREA_MAY_SHIFT)))
		return GRAB_NEVER;
	table = table_find_leaf(s, addr);
	if (!table)
		return GRAB_FAULT;
	spin_lock(&table->pt.lock);
	e = hal_pte_read(leaf_entry(table, addr));
	if (hal_pte_present(e) && (!write || hal_pte_writable(e))) {
		*out = hal_pte_soft(e) & PTE_SPECIAL ? vm_zero_page :
		       phys_to_page(hal_pte_paddr(e, 0));
		page_get(*out);
		r = GRAB_OK;
	}
	spin_unlock(&table->pt.lock);
	return r;
}

/*
 * A debugger writes to (or reads) what the program may not: does the fault's work with the
 * rights that the area might have, under the lock for writing, and leaves an entry without write permission.
 */
static enum grab grab_forced(struct vm_space *s, vaddr_t addr, bool write, struct page **out)
{
	enum grab r = GRAB_NEVER;
	struct vm_area *a;
	u32 flags, prot;

	rwsem_write_lock(&s->lock);
	a = area_find(s, addr);
	if (!a || a->start > addr)
		goto unlock;
	flags = a->flags;
	prot = AREA_READ | (write ? AREA_WRITE : 0);
	/* A shared area that may not be written is not forced: the file would change. */
	if (write && flags & AREA_MAP_SHARED && !(flags & AREA_WRITE))
		goto unlock;
	if (prot & ~(flags >> AREA_MAY_SHIFT))
		goto unlock;
	/* Only this thread sees the rights: the lock is held until they are back. */
	a->flags |= prot;
	if (vm_fault_locked(a, addr, write ? VM_ACCESS_WRITE : VM_ACCESS_READ) == VM_FAULT_OK)
		r = grab_locked(s, addr, write, false, out);
	a->flags = flags;
	table_protect(s, ALIGN_DOWN(addr, PAGE_SIZE), ALIGN_DOWN(addr, PAGE_SIZE) + PAGE_SIZE, flags);
unlock:
	rwsem_write_unlock(&s->lock);
	return r == GRAB_OK ? r : GRAB_NEVER;
}

static struct page *grab_page(struct vm_space *s, vaddr_t addr, bool write, bool force)
{
	struct page *page = NULL;
	enum grab r;

	for (;;) {
		rwsem_read_lock(&s->lock);
		r = grab_locked(s, addr, write, force, &page);
		rwsem_read_unlock(&s->lock);
		if (r != GRAB_FAULT)
			return r == GRAB_OK ? page : NULL;
		switch (vm_fault(s, addr, write ? VM_ACCESS_WRITE : VM_ACCESS_READ)) {
		case VM_FAULT_OK:
			break;
		case VM_FAULT_SEGV_ACCERR:
			if (force && grab_forced(s, addr, write, &page) == GRAB_OK)
				return page;
			return NULL;
		default:
			return NULL;
		}
	}
}

size_t vm_access_remote(struct vm_space *s, vaddr_t addr, void *buf, size_t n, bool write, bool force)
{
	size_t done = 0;

	while (done < n) {
		vaddr_t at = addr + done;
		size_t offset = at & (PAGE_SIZE - 1), part = MIN(PAGE_SIZE - offset, n - done);
		struct page *page = at < HAL_USER_END ? grab_page(s, at, write, force) : NULL;
		u8 *mem;

		if (!page)
			break;
		mem = (u8 *)page_address(page) + offset;
		if (write)
			memcpy(mem, (u8 *)buf + done, part);
		else
			memcpy((u8 *)buf + done, mem, part);
		page_put(page);
		done += part;
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
	} else if (a->flags & AREA_MAP_SHARED && a->object) {
		*obj = a->object;
		vm_object_get(*obj);
		*offset = (area_index(a, addr) << PAGE_SHIFT) + (addr & (PAGE_SIZE - 1));
	}
	rwsem_read_unlock(&s->lock);
	return err;
}
