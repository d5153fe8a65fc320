/* SPDX-License-Identifier: MIT */
#ifndef HAL_UPCALL_H
#define HAL_UPCALL_H

/*
 * Everything that the HAL calls in the kernel. Each line says who defines it, and in which context the
 * HAL calls it.
 */
#include <lib/compiler.h>
#include <hal/regs.h>

struct bootinfo;
struct thread;

/* main.c. First C function, on the boot stack, interrupts off, protections and traps already on. */
__noreturn void kernel_main(const struct bootinfo *bi);

/*
 * main.c. The first C function of the kernel's on another CPU, on its idle thread's stack, interrupts off, everything set
 * up as for kernel_main(), per-CPU variables too; not online yet.
 */
__noreturn void kernel_secondary_main(u32 cpu);

/*
 * What a page fault was about. READ is the absence of the two others; PRESENT: there was a translation,
 * its rights did not suffice. USER: the access came from user mode.
 */
#define HAL_FAULT_PRESENT	0x01u
#define HAL_FAULT_WRITE		0x02u
#define HAL_FAULT_USER		0x04u
#define HAL_FAULT_RESERVED	0x08u	/* a reserved bit was set in an entry: a broken page table */
#define HAL_FAULT_EXEC		0x10u
#define HAL_FAULT_CHECK		0x8000u	/* KASAN was about to check an access there: which kind is not known */
#define HAL_FAULT_READ		0x00u

/*
 * proc/trap.c. Interrupts on (when they were on where it happened), preemptible, may sleep. From user
 * mode it resolves the fault or sends the signal, and its result is ignored. For a kernel access to a
 * user address (one that has a fix-up): true when the access may be tried again; false, and the access
 * fails.
 */
bool upcall_fault(struct hal_regs *regs, vaddr_t addr, u32 access);

/*
 * proc/trap.c. A trap of user mode other than a page fault: sends the signal. Interrupts on, may sleep.
 * `code` is the machine's error code (HAL_TRAP_DEBUG: DR6; HAL_TRAP_FPU/SIMD: the si_code of SIGFPE),
 * addr the fault's address where there is one (#DE, #UD, FPU: the instruction).
 */
enum hal_trap {
	HAL_TRAP_DIVIDE,	/* SIGFPE FPE_INTDIV, addr = ip */
	HAL_TRAP_DEBUG,		/* SIGTRAP TRAP_TRACE / TRAP_HWBKPT / TRAP_BRKPT by DR6; addr = ip */
	HAL_TRAP_BREAKPOINT,	/* SIGTRAP SI_KERNEL */
	HAL_TRAP_OVERFLOW,	/* SIGSEGV SI_KERNEL */
	HAL_TRAP_BOUND,		/* SIGSEGV SI_KERNEL */
	HAL_TRAP_UNDEFINED,	/* SIGILL ILL_ILLOPN, addr = ip */
	HAL_TRAP_FPU,		/* SIGFPE, code = si_code, addr = ip */
	HAL_TRAP_SIMD,		/* SIGFPE, code = si_code, addr = ip */
	HAL_TRAP_SEGMENT,	/* #TS: SIGSEGV SI_KERNEL; #NP: SIGBUS SI_KERNEL has its own kind */
	HAL_TRAP_NOT_PRESENT,	/* SIGBUS SI_KERNEL */
	HAL_TRAP_STACK,		/* SIGBUS SI_KERNEL */
	HAL_TRAP_PROTECTION,	/* SIGSEGV SI_KERNEL, no address */
	HAL_TRAP_ALIGNMENT,	/* SIGBUS BUS_ADRALN */
	HAL_TRAP_OTHER,		/* SIGSEGV SI_KERNEL */
};
void upcall_user_trap(struct hal_regs *regs, u32 kind, u64 code, vaddr_t addr);

/*
 * core/panic.c. A trap in the kernel that nothing explains, or #DF, #MC, NMI (vector 2 comes here only
 * when its source is an error): report and panic. Interrupts off, maybe on an IST stack, any lock held.
 */
__noreturn void upcall_kernel_trap(struct hal_regs *regs, u32 vector, u64 error, vaddr_t addr);

/*
 * core/nmi.c. An NMI that is no hardware error. NMI context: no lock, nothing that may fault; may log and panic.
 * False: nobody here asked for it.
 */
bool upcall_nmi(struct hal_regs *regs);

/* core/panic.c. Hardware or firmware made it impossible to go on. */
__noreturn void upcall_panic(const char *fmt, ...) __printf(1, 2);

/* core/log.c. level is Linux's, 0 (emergency) to 7 (debug). No line feed at the end. Any context. */
void upcall_log(int level, const char *fmt, ...) __printf(2, 3);

/* sched/timer.c. This CPU's one-shot timer ran out. Interrupt context. */
void upcall_timer(void);

/*
 * sched/clock.c. change(arg) lets the clock be read from another counter. No program reads the time from the vDSO's page before it is
 * done and the page says so: the new clock may be a little ahead. Interrupts off, in any context but NMI.
 */
void upcall_clock_change(void (*change)(void *arg), void *arg);

/* sched. Around every interrupt handler, interrupts off; exit may switch threads when it came from the kernel. */
void upcall_irq_enter(struct hal_regs *regs, u32 vector);
void upcall_irq_exit(struct hal_regs *regs);

/*
 * core/smpcall.c: hal_ipi_call() was sent here; interrupt context. core/tlb.c: hal_ipi_tlb(), and core/stop.c:
 * hal_ipi_stop(): interrupts off, without upcall_irq_enter() around them, so no RCU and nothing that looks at the
 * preemption count.
 */
void upcall_ipi_call(void);
void upcall_ipi_tlb(void);
void upcall_ipi_stop(void);

/*
 * proc/trap.c. The thread goes to user mode and its work word is not 0. Interrupts on, may sleep, may
 * not return (exit). Serves and clears the bits it was given, never those of the HAL; is called again
 * until no bit of HAL_WORK_KERNEL_MASK but the trace bits is left.
 */
void upcall_exit_work(struct hal_regs *regs, u32 work);

#if HALCYON_DEBUG
/* sched. The last thing before user mode, interrupts off: is everything given back? Does not change the thread. */
void upcall_leave_kernel(void);
#endif

/*
 * syscall/. The table of syscall functions, and how many there are. Each takes the six argument
 * registers; a hole holds a function too. syscall_table_size is below 2^31.
 */
typedef long (*hal_syscall_fn)(u64, u64, u64, u64, u64, u64);
extern const hal_syscall_fn syscall_table[];
extern const u32 syscall_table_size;

/*
 * syscall/dispatch.c. Takes over a syscall whose number is out of range or whose thread has a trace bit;
 * returns the result. Interrupts on. The frame's result is -ENOSYS on entry.
 */
long upcall_syscall_slow(struct hal_regs *regs);

/* sched. First thing that a new thread does: finishes the switch from prev. Interrupts off; turns them on. */
void upcall_thread_start(struct thread *prev);

/* dev/irq.c. An irq is there, is gone, has or has lost a handler of that name: for /proc/irq. Thread context, may sleep. */
void upcall_irq_added(u32 irq);
void upcall_irq_removed(u32 irq);
void upcall_irq_handler(u32 irq, const char *name, bool added);

/* mm. 4 KiB frames, not zeroed. 0 or -ENOMEM. May sleep. */
int __must_check upcall_page_frame_alloc(paddr_t *out);
void upcall_page_frame_free(paddr_t frame);
/* The same below 4 GiB. */
int __must_check upcall_page_frame_alloc_low(paddr_t *out);

/* mm. A stack with a page below it that is not mapped; at least `bytes`, above *base. Thread context. 0 or -ENOMEM. */
int __must_check upcall_stack_alloc(vaddr_t *base, size_t bytes);
void upcall_stack_free(vaddr_t base);

/* mm. Memory, 16-aligned at least, not zeroed; NULL when there is none. May sleep. */
void *upcall_alloc(size_t bytes);
void upcall_free(void *p);

/* mm. Maps device registers uncached for ever; any alignment. NULL when that fails. Boot. */
void *upcall_mmio_map(paddr_t base, size_t bytes);

#endif
