/* SPDX-License-Identifier: MIT */
/*
 * Memory policy calls: numa(7). Decoding and permissions here; policies in mm/mempolicy.c, address spaces in vm/policy.c.
 *
 * All of them work on a machine with one node, where they change nothing but what is reported: programs ask there, too.
 */
#include <abi/linux/mempolicy.h>
#include <hal/cpu.h>
#include <kernel/mm/mempolicy.h>
#include <kernel/proc/access.h>
#include <kernel/signal/signal.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vm/policy.h>
#include <kernel/vm/space.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/string.h>
#include <gen/syscall_protos.h>

#define MAX_MASK_BITS	(VM_PAGE_SIZE * 8)
#define WORD_BITS	64u
#define MOVE_CHUNK	64u	/* pages of move_pages(2) asked for at a time */

/* ---- sets of nodes ---- */

static u64 all_nodes(void)
{
	u32 n = mm_node_count();

	return n == WORD_BITS ? ~0ull : (1ull << n) - 1;
}

/* One word of a user's mask, of which `bits` (1 to 64) count. */
static int get_mask_word(uptr_t mask, u64 index, u64 bits, u64 *out)
{
	if (get_user_u64(out, uptr_add(mask, index * 8)))
		return -EFAULT;
	if (bits < WORD_BITS)
		*out &= (1ull << bits) - 1;
	return 0;
}

/* maxnode is the number of bits plus one, by an old mistake. What lies beyond NODEMASK_BITS must be empty. */
static int get_nodes(struct nodemask *out, uptr_t mask, u64 maxnode)
{
	u64 bits = maxnode - 1, word;

	memset(out, 0, sizeof(*out));
	if (bits == 0 || uptr_is_null(mask))
		return 0;
	if (bits > MAX_MASK_BITS)
		return -EINVAL;
	for (u64 i = DIV_ROUND_UP(bits, WORD_BITS); i-- > 0;) {
		if (get_mask_word(mask, i, MIN(bits - i * WORD_BITS, (u64)WORD_BITS), &word))
			return -EFAULT;
		if (i >= ARRAY_SIZE(out->bits)) {
			if (word)
				return -EINVAL;
		} else {
			out->bits[i] = word;
		}
	}
	return 0;
}

/* As many words as the user has room for; those beyond the nodes that there are, are cleared. */
static int put_nodes(uptr_t mask, u64 maxnode, const struct nodemask *nodes)
{
	u64 words = DIV_ROUND_UP(maxnode - 1, WORD_BITS), known = DIV_ROUND_UP(mm_node_count(), WORD_BITS);

	if (words > known && words * 8 > VM_PAGE_SIZE)
		return -EINVAL;
	for (u64 i = 0; i < words; i++) {
		if (put_user_u64(i < known ? nodes->bits[i] : 0, uptr_add(mask, i * 8)))
			return -EFAULT;
	}
	return 0;
}

/* ---- policies ---- */

static int split_mode(u64 *mode, u32 *flags)
{
	*flags = (u32)*mode & MPOL_MODE_FLAGS;
	*mode = (u32)*mode & ~(u32)MPOL_MODE_FLAGS;
	if (*mode >= MPOL_MAX)
		return -EINVAL;
	if ((*flags & MPOL_F_STATIC_NODES) && (*flags & MPOL_F_RELATIVE_NODES))
		return -EINVAL;
	if ((*flags & MPOL_F_NUMA_BALANCING) && *mode != MPOL_BIND)
		return -EINVAL;
	return 0;
}

/* From a call's arguments to a policy. */
static int get_policy(u64 mode, uptr_t mask, u64 maxnode, struct mempolicy **out)
{
	struct nodemask nodes;
	u32 flags;
	int err = split_mode(&mode, &flags);

	if (!err)
		err = get_nodes(&nodes, mask, maxnode);
	return err ? err : mempolicy_create((u32)mode, flags, &nodes, out);
}

long sys_set_mempolicy(int mode, uptr_t mask, unsigned long maxnode)
{
	struct task *me = current_task();
	struct mempolicy *p, *old = me->mempolicy;
	int err = get_policy((u32)mode, mask, maxnode, &p);

	if (err)
		return err;
	WRITE_ONCE(me->mempolicy, p);
	me->interleaved = WORD_BITS;	/* the first node of the set is next */
	mempolicy_put(old);
	return 0;
}

static int policy_number(const struct mempolicy *p)
{
	return p ? p->mode | (p->flags & MPOL_MODE_FLAGS) : MPOL_DEFAULT;
}

/* MPOL_F_NODE: the node of the page at addr, which is faulted in, or that of the next interleaved page. */
static int policy_node(const struct mempolicy *p, u64 addr, u64 flags)
{
	const struct task *me = current_task();
	struct vm_space *s = vm_current();
	u8 byte;
	int node;

	if (!(flags & MPOL_F_ADDR))
		return p && p == me->mempolicy && p->mode == MPOL_INTERLEAVE ? (int)nodes_after(p->nodes, me->interleaved) :
									       -EINVAL;
	if (get_user_u8(&byte, uptr(addr)))
		return -EFAULT;
	node = vm_page_node(s, addr & ~(VM_PAGE_SIZE - 1));
	return node == -EFAULT ? 0 : node;	/* the page of zeros is the kernel's, which is node 0's */
}

static int ask_policy(u64 addr, u64 flags, int *number, struct nodemask *nodes)
{
	struct mempolicy *p = NULL;
	int err = 0;

	if (flags & MPOL_F_ADDR)
		err = vm_policy_at(vm_current(), addr, &p);
	else if (addr)
		err = -EINVAL;
	if (err)
		return err;
	if (!(flags & MPOL_F_ADDR))
		p = mempolicy_get(current_task()->mempolicy);
	*number = flags & MPOL_F_NODE ? policy_node(p, addr, flags) : policy_number(p);
	mempolicy_shown_nodes(p, nodes);
	mempolicy_put(p);
	return *number < 0 ? *number : 0;
}

long sys_get_mempolicy(uptr_t policy, uptr_t mask, unsigned long maxnode, u64 addr, unsigned long flags)
{
	struct nodemask nodes = { { 0 } };
	int number = 0, err = 0;

	if (!uptr_is_null(mask) && maxnode < mm_node_count())
		return -EINVAL;
	if (flags & ~(u64)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (!(flags & MPOL_F_MEMS_ALLOWED))
		err = ask_policy(addr, flags, &number, &nodes);
	else if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
		err = -EINVAL;
	else
		nodes.bits[0] = all_nodes();
	if (err)
		return err;
	if (!uptr_is_null(policy) && put_user_u32((u32)number, policy))
		return -EFAULT;
	return uptr_is_null(mask) ? 0 : put_nodes(mask, maxnode, &nodes);
}

long sys_mbind(u64 start, unsigned long len, unsigned long mode, uptr_t mask, unsigned long maxnode, unsigned flags)
{
	struct nodemask nodes;
	struct mempolicy *p;
	u32 mode_flags;
	u64 wanted = mode & 0xffffffff, end;
	int err = split_mode(&wanted, &mode_flags);

	if (!err)
		err = get_nodes(&nodes, mask, maxnode);
	if (err)
		return err;
	if (flags & ~(unsigned)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if ((flags & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE))
		return -EPERM;
	end = start + ALIGN_UP(len, VM_PAGE_SIZE);
	if ((start & (VM_PAGE_SIZE - 1)) || end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	err = mempolicy_create((u32)wanted, mode_flags, &nodes, &p);
	if (err)
		return err;
	err = vm_bind(vm_current(), start, end, p, (flags & MPOL_MF_STRICT) && p, flags & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL));
	mempolicy_put(p);
	return err;
}

long sys_set_mempolicy_home_node(u64 start, unsigned long len, unsigned long home, unsigned long flags)
{
	u64 end = start + ALIGN_UP(len, VM_PAGE_SIZE);

	if ((start & (VM_PAGE_SIZE - 1)) || flags || home >= mm_node_count() || end < start)
		return -EINVAL;
	return end == start ? 0 : vm_bind_home(vm_current(), start, end, (u32)home);
}

/* ---- moving pages ---- */

/* The space of a process by pid, 0 for the caller's, referenced. */
static int space_of(int pid, struct vm_space **out)
{
	struct task *t;
	u32 seq;
	int err;

	if (!pid) {
		*out = vm_current();
		vm_space_get(*out);
		return 0;
	}
	t = task_by_tid(pid);
	if (!t)
		return -ESRCH;
	err = proc_space_access(t, out, &seq);
	task_put(t);
	return err == -ESRCH ? -EINVAL : err;	/* it is there, but ends */
}

long sys_migrate_pages(int pid, unsigned long maxnode, uptr_t old, uptr_t new)
{
	struct nodemask from, to;
	struct vm_space *s;
	u64 outside;
	long err = get_nodes(&from, old, maxnode);

	if (!err)
		err = get_nodes(&to, new, maxnode);
	if (!err)
		err = space_of(pid, &s);
	if (err)
		return err;
	outside = to.bits[0] & ~all_nodes();
	for (u32 i = 1; i < ARRAY_SIZE(to.bits); i++)
		outside |= to.bits[i];
	from.bits[0] &= all_nodes();
	to.bits[0] &= all_nodes();
	if (outside && !capable(CAP_SYS_NICE))
		err = -EPERM;
	else if (!to.bits[0])
		err = -EINVAL;
	else if (mm_node_count() > 1 && from.bits[0] && from.bits[0] != to.bits[0])
		err = vm_move_all(s, from.bits[0], to.bits[0]);
	vm_space_put(s);
	return err;
}

/* The status of one page, after moving it when there is a node for it. -EFAULT, -ENODEV: the whole call ends. */
static int move_one(struct vm_space *s, uptr_t pages, uptr_t nodes, u64 i, int *status)
{
	u32 node = 0;
	u64 addr;

	if (get_user_u64(&addr, uptr_add(pages, i * 8)))
		return -EFAULT;
	addr &= ~(VM_PAGE_SIZE - 1);
	if (uptr_is_null(nodes)) {
		*status = vm_page_node(s, addr);
		return 0;
	}
	if (get_user_u32(&node, uptr_add(nodes, i * 4)))
		return -EFAULT;
	if (node >= mm_node_count() || !(mm_nodes_with_memory() & (1ull << node)))
		return -ENODEV;
	*status = vm_page_move(s, addr, node);
	return 0;
}

long sys_move_pages(int pid, unsigned long count, uptr_t pages, uptr_t nodes, uptr_t status, int flags)
{
	struct vm_space *s;
	int said, err;

	if (flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if ((flags & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE))
		return -EPERM;
	err = space_of(pid, &s);
	if (err)
		return err;
	for (u64 i = 0; i < count && !err; i++) {
		err = move_one(s, pages, nodes, i, &said);
		if (!err && put_user_u32((u32)said, uptr_add(status, i * 4)))
			err = -EFAULT;
		if (!err && i % MOVE_CHUNK == MOVE_CHUNK - 1 && signal_fatal_pending())
			err = -EINTR;
	}
	vm_space_put(s);
	return err;
}
