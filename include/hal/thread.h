/* SPDX-License-Identifier: MIT */
#ifndef HAL_THREAD_H
#define HAL_THREAD_H

/*
 * What the machine keeps per thread, the context switch and the way into user mode.
 *
 * struct hal_thread is the first member of struct thread, so the HAL turns one pointer into the other
 * by a cast. Keys: [I] set by hal_thread_init_*; [a] atomic; [cur] only its own thread touches it, or
 * whoever created it before it first runs; [sw] only hal_switch() and the code below.
 *
 * The work word. Each bit asks the thread to do something before it is in user mode again. Any CPU may
 * set a bit, and must then make sure that the thread passes the exit path (wake it, or send its CPU an
 * interrupt). The exit path reads the word with interrupts off; while it is not 0 it turns them on and
 * calls upcall_exit_work(), which clears the bits that it served. HAL_WORK_FRAME and HAL_WORK_FPU are
 * the HAL's: never clear them, and never store the whole word.
 */
#include <lib/atomic.h>
#include <hal/regs.h>
#include <arch/thread.h>

#define HAL_WORK_RESCHED	0x00000001u
#define HAL_WORK_SIGNAL		0x00000002u	/* something may be deliverable */
#define HAL_WORK_NOTIFY		0x00000004u	/* functions queued to run in this thread */
#define HAL_WORK_TRACE_ENTER	0x00000008u	/* syscall entry takes upcall_syscall_slow() */
#define HAL_WORK_TRACE_EXIT	0x00000010u	/* so does its exit */
#define HAL_WORK_ENTRY		0x00800000u	/* the kernel wants to know when the thread comes back from user mode */
#define HAL_WORK_KERNEL_MASK	0x00ffffffu	/* bits 5-22: free for the kernel */
#define HAL_WORK_FRAME		0x40000000u	/* the user frame was rewritten: restore all of it */
#define HAL_WORK_FPU		0x80000000u	/* vector state is in memory, not in the registers */

/* Bits that stay set by design and alone do not make upcall_exit_work() run. */
#define HAL_WORK_TRACE_MASK	(HAL_WORK_TRACE_ENTER | HAL_WORK_TRACE_EXIT | HAL_WORK_ENTRY)

struct hal_thread {
	u64 sp;			/* [sw] kernel stack pointer while it does not run */
	vaddr_t stack_base;	/* [I] lowest byte of the kernel stack */
	u64 stack_size;		/* [I] bytes, a multiple of 16 */
	u32 work;		/* [a] HAL_WORK_* */
	u32 nofault;		/* [cur] > 0: user accesses do not fault pages in, they fail */
	u64 canary;		/* [I] stack protector's value while this thread runs */
	struct arch_thread arch;
};

/*
 * Prepares *t to run entry(arg) on its own stack. Its first switch-in calls upcall_thread_start(prev)
 * with interrupts off, then entry; entry must not return. Any context. Cannot fail.
 */
void hal_thread_init_kernel(struct hal_thread *t, vaddr_t stack_base, size_t stack_size,
			    void (*entry)(void *arg), void *arg);

/*
 * Prepares *child to return to user mode as a copy of the calling user thread: registers *regs with
 * the result 0, vector state and TLS as they are now. The caller may then change the child's frame
 * (hal_thread_regs) and TLS (hal_thread_set_tls). Its first switch-in calls upcall_thread_start(prev)
 * and leaves through the exit-work loop. May sleep. 0 or -ENOMEM.
 */
int __must_check hal_thread_init_user_copy(struct hal_thread *child, vaddr_t stack_base,
					   size_t stack_size, const struct hal_regs *regs);

/* Gives a kernel thread what a user thread needs (vector state memory). Once is enough. May sleep. 0 or -ENOMEM. */
int __must_check hal_thread_make_user(struct hal_thread *t);

/*
 * execve, past the point of no return, for the calling thread: vector state, TLS bases, segment and
 * debug registers as a new program expects them. hal_thread_make_user() was called before. Preemption on.
 */
void hal_thread_exec_reset(struct hal_thread *t);

/* Frees what the two above allocated. The thread does not run and never will again. May sleep. */
void hal_thread_fini(struct hal_thread *t);

/* The user frame at the top of that thread's kernel stack. Meaningful for user threads only. */
static inline struct hal_regs *hal_thread_regs(const struct hal_thread *t)
{
	return (struct hal_regs *)(t->stack_base + t->stack_size) - 1;
}

/* The same for a struct thread. */
static inline struct hal_regs *hal_task_regs(const struct thread *t)
{
	return hal_thread_regs((const struct hal_thread *)t);
}

/*
 * Leaves the CPU to `next` and returns when somebody switches back, with the thread that ran just
 * before on this CPU. Interrupts off, preemption off; the caller has switched the address space.
 */
struct thread *hal_switch(struct thread *prev, struct thread *next);

/*
 * The calling thread, which hal_thread_make_user() has prepared, enters user mode with the frame
 * hal_thread_regs() after its exit work. Never returns: the kernel stack starts afresh. Preemption on.
 */
__noreturn void hal_enter_user(void);

/* TLS base as CLONE_SETTLS gives it: of a thread that does not run yet, or of the calling one. -EPERM when it is no user address. */
int __must_check hal_thread_set_tls(struct hal_thread *t, u64 base);

/* arch_prctl(2) for the calling thread; the machine's own codes. 0, -EINVAL, -EPERM, -EFAULT … May fault. */
long hal_arch_prctl(u64 code, u64 addr);

/* The work word. Any context, any CPU. */
static inline void hal_work_set(struct hal_thread *t, u32 bits)
{
	__atomic_fetch_or(&t->work, bits, __ATOMIC_SEQ_CST);
}

static inline void hal_work_clear(struct hal_thread *t, u32 bits)
{
	__atomic_fetch_and(&t->work, ~bits, __ATOMIC_SEQ_CST);
}

static inline u32 hal_work_get(const struct hal_thread *t)
{
	return __atomic_load_n(&t->work, __ATOMIC_ACQUIRE);
}

#endif
