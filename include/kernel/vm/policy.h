/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VM_POLICY_H
#define KERNEL_VM_POLICY_H

/* Memory policies of address spaces: what mbind(2), get_mempolicy(2) and move_pages(2) do to them. May sleep. */
#include <hal/numa.h>
#include <kernel/mm/mempolicy.h>
#include <kernel/vm/space.h>

/*
 * mbind(2) for whole pages: the areas in the range get the policy (NULL: none). strict: pages that lie elsewhere are an
 * error; move: those that can be are moved first. 0; -EFAULT holes (without a policy: nothing but a hole); -EIO; -ENOMEM.
 */
int __must_check vm_bind(struct vm_space *s, vaddr_t start, vaddr_t end, struct mempolicy *p, bool strict, bool move);

/* set_mempolicy_home_node(2). 0; -ENOENT no policy there; -EOPNOTSUPP not of that kind; -ENOMEM. */
int __must_check vm_bind_home(struct vm_space *s, vaddr_t start, vaddr_t end, u32 home);

/* The policy of the area at addr, referenced; NULL in *out: it has none. -EFAULT: no area. */
int __must_check vm_policy_at(struct vm_space *s, vaddr_t addr, struct mempolicy **out);

/*
 * The node of the page that is mapped at addr. -ENOENT: none is; -EFAULT: no area, none in anonymous memory, or the page
 * of zeros.
 */
int vm_page_node(struct vm_space *s, vaddr_t addr);

/* The pages that an area has mapped. The space's lock is held, either way. */
struct vm_area_pages {
	u64 mapped, anon, dirty; /* anon: private ones, not of the area's object */
	u64 on_node[HAL_MAX_NODES];
};
void vm_area_pages_locked(struct vm_area *a, struct vm_area_pages *out);

/*
 * Moves the page at addr to that node. Its node afterwards; -ENOENT, -EFAULT as above; -EACCES others use it, -EBUSY it
 * is pinned or in use elsewhere, -ENOMEM.
 */
int vm_page_move(struct vm_space *s, vaddr_t addr, u32 node);

/* migrate_pages(2): pages on the n-th node of `from` go to the n-th of `to`. How many could not; -EINTR. */
long vm_move_all(struct vm_space *s, u64 from, u64 to);

#endif
