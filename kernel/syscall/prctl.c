// SPDX-License-Identifier: MIT
/* prctl(2) and arch_prctl(2). What is not there is EINVAL, as on a Linux that was built without it. */
#include <abi/linux/prctl.h>
#include <abi/linux/signal.h>
#include <hal/mitigate.h>
#include <hal/percpu.h>
#include <hal/thread.h>
#include <kernel/task/cred.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <gen/syscall_protos.h>

static long prctl_set_name(struct task *t, uptr_t user)
{
	char name[TASK_COMM_LEN];
	ssize_t n = strncpy_from_user(name, user, TASK_COMM_LEN - 1);

	if (n < 0)
		return n;
	name[TASK_COMM_LEN - 1] = '\0';
	name[n] = '\0';
	task_set_comm(t, name);
	return 0;
}

static long prctl_get_name(struct task *t, uptr_t user)
{
	char name[TASK_COMM_LEN] = { 0 };

	task_get_comm(t, name);
	return copy_to_user(user, name, sizeof(name));
}

static long prctl_set_pdeathsig(struct task *t, unsigned long sig)
{
	if (sig > SIGRTMAX)
		return -EINVAL;
	t->pdeath_signal = (u8)sig;
	return 0;
}

static long prctl_set_dumpable(struct process *p, unsigned long value)
{
	if (value != DUMPABLE_NO && value != DUMPABLE_USER)
		return -EINVAL;
	WRITE_ONCE(p->dumpable, (u8)value);
	return 0;
}

/* Marks the whole tree below, so that ends of processes there look for us. task_tree_lock held. */
static void subreaper_mark_locked(struct process *root)
{
	struct process *p = root;

	for (;;) {
		if (!list_empty(&p->children)) {
			p = list_first_entry(&p->children, struct process, sibling);
		} else {
			while (p != root && list_is_last(&p->sibling, &p->parent->children))
				p = p->parent;
			if (p == root)
				return;
			p = list_next_entry(p, sibling);
		}
		p->has_child_subreaper = true;
	}
}

static long prctl_set_subreaper(struct process *p, bool on)
{
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	p->child_subreaper = on;
	if (on)
		subreaper_mark_locked(p);
	spin_unlock_irqrestore(&task_tree_lock, f);
	return 0;
}

static long prctl_set_timer_slack(struct task *t, unsigned long ns)
{
	t->thread.slack_ns = ns ? ns : t->default_timer_slack_ns;
	return 0;
}

static long prctl_identity(struct task *t, int option, unsigned long a2, unsigned long a3,
			   unsigned long a4, unsigned long a5)
{
	const struct cred *c = t->cred;

	switch (option) {
	case PR_GET_KEEPCAPS:
		return !!(c->securebits & SECBIT_KEEP_CAPS);
	case PR_SET_KEEPCAPS:
		return cred_set_keepcaps(a2);
	case PR_CAPBSET_READ:
		return a2 > CAP_LAST_CAP ? -EINVAL : !!(c->cap_bounding & CAP_BIT(a2));
	case PR_CAPBSET_DROP:
		return cred_drop_bounding(a2);
	case PR_GET_SECUREBITS:
		return c->securebits;
	case PR_SET_SECUREBITS:
		return cred_set_securebits(a2);
	case PR_CAP_AMBIENT:
		return cred_ambient(a2, a3, a4, a5);
	case PR_SET_NO_NEW_PRIVS:
		if (a2 != 1 || a3 || a4 || a5)
			return -EINVAL;
		t->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return a2 || a3 || a4 || a5 ? -EINVAL : t->no_new_privs;
	default:
		return -EINVAL;
	}
}

long sys_prctl(int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5)
{
	struct task *t = current_task();
	struct process *p = t->process;

	switch (option) {
	case PR_SET_PDEATHSIG:
		return prctl_set_pdeathsig(t, a2);
	case PR_GET_PDEATHSIG:
		return put_user_s32(t->pdeath_signal, uptr(a2));
	case PR_GET_DUMPABLE:
		return p->dumpable;
	case PR_SET_DUMPABLE:
		return prctl_set_dumpable(p, a2);
	case PR_GET_TIMING:
		return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING:
		return a2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_SET_NAME:
		return prctl_set_name(t, uptr(a2));
	case PR_GET_NAME:
		return prctl_get_name(t, uptr(a2));
	case PR_GET_SECCOMP:
		return 0;
	case PR_GET_SPECULATION_CTRL:
		return a3 || a4 || a5 ? -EINVAL : hal_spec_get((struct hal_thread *)hal_current(), a2);
	case PR_SET_SPECULATION_CTRL:
		return a4 || a5 ? -EINVAL : hal_spec_set(a2, a3);
	case PR_GET_TSC:
		return put_user_s32(PR_TSC_ENABLE, uptr(a2));
	case PR_SET_TSC:
		return a2 == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_GET_TIMERSLACK:
		return (long)t->thread.slack_ns;
	case PR_SET_TIMERSLACK:
		return prctl_set_timer_slack(t, a2);
	case PR_MCE_KILL_GET:
		return a2 || a3 || a4 || a5 ? -EINVAL : PR_MCE_KILL_DEFAULT;
	case PR_GET_TID_ADDRESS:
		return put_user_u64(t->clear_child_tid.addr, uptr(a2));
	case PR_SET_CHILD_SUBREAPER:
		return prctl_set_subreaper(p, a2);
	case PR_GET_CHILD_SUBREAPER:
		return put_user_s32(p->child_subreaper, uptr(a2));
	case PR_GET_THP_DISABLE:
		return a2 || a3 || a4 || a5 ? -EINVAL : 0;
	default:
		return prctl_identity(t, option, a2, a3, a4, a5);
	}
}

long sys_arch_prctl(int code, u64 addr)
{
	return hal_arch_prctl((u64)(u32)code, addr);
}
