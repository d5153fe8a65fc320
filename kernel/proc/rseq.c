/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences. The contract is in rseq.h, the ABI is rseq(2)'s.
 *
 * The scheduler sets RSEQ_WORK each time it puts a registered thread on a CPU (thread.switch_work), so the
 * thread passes here before it is in user mode again; signals come here too before their frame is made. Nothing
 * needs a lock: the registration belongs to its own thread. All of the structure is hostile: it is read by
 * checked copies, and an abort goes only to an address in front of which the program has put its signature.
 */
#include <abi/linux/rseq.h>
#include <abi/linux/signal.h>
#include <hal/cpu.h>
#include <hal/regs.h>
#include <kernel/proc/rseq.h>
#include <kernel/signal/signal.h>
#include <kernel/task/task.h>
#include <kernel/vm/uaccess.h>

#define RSEQ_BYTES 32u
#define RSEQ_CS_OFFSET offsetof(struct rseq, rseq_cs)
/* The flags that Linux 6.1 still accepts: no restart on preemption, signal, migration, all together only. */
#define RSEQ_CS_NO_RESTART 7u

static int write_cpu(const struct task *t, u32 start, u32 cpu)
{
	if (put_user_u32(start, t->rseq))
		return -EFAULT;
	return put_user_u32(cpu, uptr_add(t->rseq, offsetof(struct rseq, cpu_id)));
}

/* The sequence that the thread says it is in. 0: *cs is good; 1: none; -errno. */
static int read_sequence(const struct task *t, struct rseq_cs *cs)
{
	u32 signature;
	u64 addr;

	if (get_user_u64(&addr, uptr_add(t->rseq, RSEQ_CS_OFFSET)))
		return -EFAULT;
	if (!addr)
		return 1;
	if (copy_from_user(cs, uptr(addr), sizeof(*cs)))
		return -EFAULT;
	if (!user_range_ok(uptr(cs->start_ip), 1) || !user_range_ok(uptr(cs->abort_ip), 1) || cs->version ||
	    cs->start_ip + cs->post_commit_offset < cs->start_ip ||
	    !user_range_ok(uptr(cs->start_ip + cs->post_commit_offset), 1) ||
	    cs->abort_ip - cs->start_ip < cs->post_commit_offset)
		return -EINVAL;
	if (get_user_u32(&signature, uptr(cs->abort_ip - sizeof(signature))))
		return -EFAULT;
	return signature == t->rseq_signature ? 0 : -EINVAL;
}

static int abort_sequence(const struct task *t, struct hal_regs *regs)
{
	struct rseq_cs cs;
	int result = read_sequence(t, &cs);
	u32 flags;

	if (result)
		return result > 0 ? 0 : result;
	if (hal_regs_ip(regs) - cs.start_ip >= cs.post_commit_offset) /* it has been left since */
		return put_user_u64(0, uptr_add(t->rseq, RSEQ_CS_OFFSET));
	if (get_user_u32(&flags, uptr_add(t->rseq, offsetof(struct rseq, flags))))
		return -EFAULT;
	if ((flags | cs.flags) & ~RSEQ_CS_NO_RESTART)
		return -EINVAL;
	if (((flags | cs.flags) & RSEQ_CS_NO_RESTART) == RSEQ_CS_NO_RESTART)
		return 0;
	if (put_user_u64(0, uptr_add(t->rseq, RSEQ_CS_OFFSET)))
		return -EFAULT;
	hal_regs_set_ip(regs, cs.abort_ip);
	return 0;
}

void rseq_resume(struct hal_regs *regs)
{
	struct task *t = current_task();

	hal_work_clear(&t->thread.hal, RSEQ_WORK);
	if (uptr_is_null(t->rseq))
		return;
	if (abort_sequence(t, regs) || write_cpu(t, hal_cpu_id(), hal_cpu_id()))
		signal_force(SIGSEGV);
}

void rseq_forget(struct task *t)
{
	t->rseq = UPTR_NULL;
	t->rseq_signature = 0;
	t->thread.switch_work = 0;
	hal_work_clear(&t->thread.hal, RSEQ_WORK);
}

void rseq_inherit(struct task *child, const struct task *parent, bool shares_space)
{
	if (shares_space)
		return;
	child->rseq = parent->rseq;
	child->rseq_signature = parent->rseq_signature;
	child->thread.switch_work = parent->thread.switch_work;
}

static long rseq_unregister(struct task *t, uptr_t addr, u32 len, u32 flags, u32 sig)
{
	if (flags & ~(u32)RSEQ_FLAG_UNREGISTER || uptr_is_null(t->rseq) || t->rseq.addr != addr.addr || len != RSEQ_BYTES)
		return -EINVAL;
	if (t->rseq_signature != sig)
		return -EPERM;
	if (write_cpu(t, 0, (u32)RSEQ_CPU_ID_UNINITIALIZED))
		return -EFAULT;
	rseq_forget(t);
	return 0;
}

long rseq_register(uptr_t addr, u32 len, u32 flags, u32 sig)
{
	struct task *t = current_task();

	if (flags & RSEQ_FLAG_UNREGISTER)
		return rseq_unregister(t, addr, len, flags, sig);
	if (flags)
		return -EINVAL;
	if (!uptr_is_null(t->rseq)) {
		if (t->rseq.addr != addr.addr || len != RSEQ_BYTES)
			return -EINVAL;
		return t->rseq_signature != sig ? -EPERM : -EBUSY;
	}
	if (addr.addr % RSEQ_BYTES || len != RSEQ_BYTES)
		return -EINVAL;
	if (!user_range_ok(addr, RSEQ_BYTES))
		return -EFAULT;
	t->rseq = addr;
	t->rseq_signature = sig;
	t->thread.switch_work = RSEQ_WORK;
	hal_work_set(&t->thread.hal, RSEQ_WORK);
	return 0;
}
