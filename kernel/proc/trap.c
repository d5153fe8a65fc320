// SPDX-License-Identifier: MIT
/*
 * What the HAL calls when a user program did something that the machine
 * refuses, and before it goes back to user mode.
 *
 * A page fault gets a verdict from the vm layer and becomes a signal here, with
 * the code and address that Linux gives (sigaction(2)). Faults of the
 * kernel on user addresses only ask for the page; they never send anything, the
 * system call fails with EFAULT.
 */
#define LOG_TAG "trap"
#include <abi/linux/signal.h>
#include <hal/tlb.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/core/preempt.h>
#include <kernel/core/record.h>
#include <kernel/proc/oom.h>
#include <kernel/proc/rseq.h>
#include <kernel/sched/sched.h>
#include <kernel/signal/signal.h>
#include <kernel/task/pid.h>
#include <kernel/task/task.h>
#include <kernel/vm/fault.h>
#include <kernel/vm/space.h>

/* The debug trap's reasons, as the HAL hands them on (DR6). */
#define DEBUG_BREAKPOINTS	0x000fULL
#define DEBUG_SINGLE_STEP	0x4000ULL

/* How often a fault without memory waits for room (10 ms each) before it is given up. */
#define OOM_TRIES		500U

static u32 trap_access(u32 fault)
{
	if (fault & HAL_FAULT_WRITE)
		return VM_ACCESS_WRITE;
	return fault & HAL_FAULT_EXEC ? VM_ACCESS_EXEC : VM_ACCESS_READ;
}

/* A thread in a quiet stretch (hal/tlb.h) has promised to touch no user memory. */
static inline void assert_not_quiet(void)
{
#if HALCYON_DEBUG
	preempt_disable();
	VERIFY(!hal_space_is_lazy());
	preempt_enable();
#endif
}

static void trap_send_fault(struct task *t, enum vm_verdict verdict, vaddr_t addr)
{
	switch (verdict) {
	case VM_FAULT_SEGV_MAPERR:
		signal_force_fault(SIGSEGV, SEGV_MAPERR, addr);
		break;
	case VM_FAULT_SEGV_ACCERR:
		signal_force_fault(SIGSEGV, SEGV_ACCERR, addr);
		break;
	case VM_FAULT_BUS_ADRERR:
		signal_force_fault(SIGBUS, BUS_ADRERR, addr);
		break;
	default:
		break;		/* VM_FAULT_KILLED, VM_FAULT_OOM: a signal is pending, or the program tries again */
	}
}

bool upcall_fault(struct hal_regs *regs, vaddr_t addr, u32 access)
{
	struct task *t = task_current_or_null();
	struct vm_space *space = t ? t->process->space : NULL;
	enum vm_verdict verdict;
	unsigned int tries = 0;

	record_extra(RECORD_FAULT, access, addr, hal_regs_ip(regs));
	sched_check_user_entry();
	if (!space)
		return false;
	assert_not_quiet();
	if (access & HAL_FAULT_RESERVED)
		panic_regs(regs, "page table of %s[%d] is broken at %llx", t->thread.name, t->pid->nr,
			   (unsigned long long)addr);
	verdict = vm_fault(space, addr, trap_access(access));
	/* Bounded: the kernel may touch this page with a lock that the one who is to die needs. */
	while (unlikely(verdict == VM_FAULT_OOM) && !thread_interrupted(&t->thread) &&
	       tries++ < OOM_TRIES) {
		oom_make_room();
		verdict = vm_fault(space, addr, trap_access(access));
	}
	if (likely(verdict == VM_FAULT_OK)) {
		t->min_flt++;
		return true;
	}
	if (access & HAL_FAULT_USER)
		trap_send_fault(t, verdict, addr);
	return false;
}

static int trap_debug_code(u64 reasons)
{
	if (reasons & DEBUG_SINGLE_STEP)
		return TRAP_TRACE;
	return reasons & DEBUG_BREAKPOINTS ? TRAP_HWBKPT : TRAP_BRKPT;
}

void upcall_user_trap(struct hal_regs *regs, u32 kind, u64 code, vaddr_t addr)
{
	record(RECORD_TRAP, kind, hal_regs_ip(regs));
	sched_check_user_entry();
	switch ((enum hal_trap)kind) {
	case HAL_TRAP_DIVIDE:
		signal_force_fault(SIGFPE, FPE_INTDIV, addr);
		break;
	case HAL_TRAP_DEBUG:
		signal_force_fault(SIGTRAP, trap_debug_code(code), addr);
		break;
	case HAL_TRAP_BREAKPOINT:
		signal_force(SIGTRAP);
		break;
	case HAL_TRAP_UNDEFINED:
		signal_force_fault(SIGILL, ILL_ILLOPN, addr);
		break;
	case HAL_TRAP_FPU:
	case HAL_TRAP_SIMD:
		signal_force_fault(SIGFPE, (int)code, addr);
		break;
	case HAL_TRAP_NOT_PRESENT:
	case HAL_TRAP_STACK:
		signal_force(SIGBUS);
		break;
	case HAL_TRAP_ALIGNMENT:
		signal_force_fault(SIGBUS, BUS_ADRALN, 0);
		break;
	case HAL_TRAP_OVERFLOW:
	case HAL_TRAP_BOUND:
	case HAL_TRAP_SEGMENT:
	case HAL_TRAP_PROTECTION:
	case HAL_TRAP_OTHER:
		signal_force(SIGSEGV);
		break;
	}
}

void upcall_exit_work(struct hal_regs *regs, u32 work)
{
	/* A signal and nothing else. */
	if (likely(work == HAL_WORK_SIGNAL && uptr_is_null(current_task()->rseq))) {
		signal_deliver(regs);
		return;
	}
	if (work & HAL_WORK_RESCHED)
		sched_exit_work();
	if (work & HAL_WORK_NOTIFY) {
		struct task *t = current_task();

		hal_work_clear(&t->thread.hal, HAL_WORK_NOTIFY);
		if (t->notify)
			t->notify(t);
	}
	/* Before a frame saves where it goes on. */
	if ((work & RSEQ_WORK) || ((work & HAL_WORK_SIGNAL) && !uptr_is_null(current_task()->rseq)))
		rseq_resume(regs);
	if (work & HAL_WORK_SIGNAL)
		signal_deliver(regs);
}
