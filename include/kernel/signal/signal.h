/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_SIGNAL_SIGNAL_H
#define KERNEL_SIGNAL_SIGNAL_H

/*
 * Signals: sending, choosing, delivering, stopping and continuing.
 *
 * All state of a process is under process.siglock, which is taken with
 * interrupts off, so that a signal may be sent from any context. The work bit
 * HAL_WORK_SIGNAL of a thread is the cached answer to "is there something for
 * this thread to do": set by senders, recomputed under siglock.
 */
#include <abi/linux/signal.h>
#include <hal/thread.h>
#include <kernel/task/process.h>
#include <kernel/task/sigstate.h>
#include <kernel/task/task.h>
#include <lib/string.h>

struct cred;
struct hal_regs;
struct pid;

#define SIG_KERNEL_ONLY_MASK	(SIGMASK(SIGKILL) | SIGMASK(SIGSTOP))
#define SIG_STOP_MASK		(SIGMASK(SIGSTOP) | SIGMASK(SIGTSTP) | SIGMASK(SIGTTIN) | SIGMASK(SIGTTOU))
#define SIG_IGNORE_MASK		(SIGMASK(SIGCONT) | SIGMASK(SIGCHLD) | SIGMASK(SIGWINCH) | SIGMASK(SIGURG))
#define SIG_CORE_MASK		(SIGMASK(SIGQUIT) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGABRT) | \
				 SIGMASK(SIGFPE) | SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGSYS) | \
				 SIGMASK(SIGXCPU) | SIGMASK(SIGXFSZ))
#define SIG_SYNCHRONOUS_MASK	(SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | \
				 SIGMASK(SIGFPE) | SIGMASK(SIGSYS))

static inline bool signal_valid(int sig)
{
	return sig > 0 && sig <= 64;
}

void signal_init(void);

/* ---- Sending; any context unless said otherwise ---- */

/*
 * Without a permission check, from the kernel: si_code SI_KERNEL when priv,
 * else as kill(2) by the caller. 0, -ESRCH, -EAGAIN.
 */
int signal_send_process(struct process *p, int sig, bool priv);
int signal_send_task(struct task *t, int sig, bool priv);
/* With the given siginfo. */
int signal_send_info_process(struct process *p, int sig, const siginfo_t *info);
int signal_send_info_task(struct task *t, int sig, const siginfo_t *info);
/* To all members of a group; -ESRCH when there is none. Takes task_tree_lock. */
int signal_send_pgrp(struct pid *pgrp, int sig, bool priv);
/* The same with task_tree_lock held. */
int signal_send_pgrp_locked(struct pid *pgrp, int sig, bool priv);
/* Every member of a session (hangup). */
int signal_send_session(struct pid *session, int sig, bool priv);

/*
 * kill(2): to a process (pid > 0, or a thread's number), the caller's group (0),
 * everybody but PID 1 and the caller (-1), a group (below). Checks permission. Its errors.
 */
int signal_kill(int pid, int sig);
/* tgkill(2) and tkill(2) (tgid 0: whatever it is). info NULL: as the caller's, SI_TKILL. */
int signal_kill_thread(int tgid, int tid, int sig, const siginfo_t *info);
/* rt_sigqueueinfo(2). */
int signal_queue(int pid, int sig, const siginfo_t *info);
/* sigaction(2), SA_* bits that are unknown taken out. -EINVAL. */
int signal_action(int sig, struct sigaction *act, struct sigaction *old);
/* sigaltstack(2) of the caller, whose stack pointer is sp. -EPERM, -EINVAL, -ENOMEM. */
int signal_altstack(const stack_t *new, stack_t *old, u64 sp);

/* May the caller send sig to p? 0 or -EPERM; kill(2). */
int __must_check signal_may_send(struct process *p, int sig);

/*
 * From an exception of the running task: siginfo with code and address;
 * unblocks and resets to the default if it is blocked or ignored, so that it
 * is always acted upon. Task context.
 */
void signal_force_fault(int sig, int code, u64 addr);
void signal_force_trap(int sig, int code, u64 addr, int trapno);
/* The same with a ready siginfo. */
void signal_force_info(const siginfo_t *info);
/* SI_KERNEL. */
void signal_force(int sig);
/* SIGSEGV because frame set-up for `sig` failed: fatal when sig is SIGSEGV itself. */
void signal_force_sigsegv(int sig);
/* Ends the caller's process as if by sig, whatever its handlers say. */
void signal_force_fatal(int sig);

/* SIGPIPE and the like to the calling thread. No-op in kernel threads. */
void signal_send_current(int sig);

/* ---- Asking; the caller's own state ---- */

static inline bool signal_pending(void)
{
	return READ_ONCE(current_thread()->hal.work) & HAL_WORK_SIGNAL;
}

/* SIGKILL is on its way. */
bool signal_fatal_pending(void);
/* tty: would this signal, sent to the caller, do nothing? */
bool signal_is_ignored_or_blocked(int sig);
bool signal_is_ignored(int sig);
/* Is sig ignored by p, considering the default action? siglock held. */
bool signal_ignored_by(struct process *p, struct task *t, int sig);

/* ---- Masks of the caller ---- */

/* SIGKILL and SIGSTOP are taken out. */
void signal_set_blocked(sigset64_t set);
/*
 * For ppoll, pselect, epoll_pwait: copies the set (NULL: nothing), installs
 * it and remembers the old one. 0, -EINVAL (size), -EFAULT.
 */
int __must_check signal_set_user_mask(uptr_t set, size_t size);
/*
 * Ends that: when `interrupted` the old mask comes back after the handler ran,
 * else now.
 */
void signal_restore_user_mask(bool interrupted);
/* Recomputes the caller's work bit. */
void signal_recalc(void);

/* ---- Delivery ---- */

/*
 * Acts on what is pending, on the way back to user mode; regs is the user
 * frame. Does not return when the process dies. Interrupts on.
 */
void signal_deliver(struct hal_regs *regs);
/* Takes one deliverable signal of the caller that is not in mask; 0: none. siglock held. */
int signal_dequeue_locked(struct task *t, sigset64_t mask, siginfo_t *info);
/*
 * Kernel-side wait for signals in set: sigtimedwait and signalfd. Number,
 * -EAGAIN (time), -EINTR.
 */
int signal_wait(sigset64_t set, siginfo_t *info, u64 deadline_ns);
/* Wakes signalfd readers: hook of the ipc layer, called with siglock held. */
extern void (*signal_notify_hook)(struct process *p, int sig);
/* A SIGALRM that was for the whole process is taken out of its queue: hook of the interval timers, called with siglock held. */
extern void (*signal_alarm_hook)(struct process *p);

/* ---- Life cycle, called by proc ---- */

/* Ends p as SIGKILL does, PID 1 too. No permission is asked. Any context. */
void signal_end_process(struct process *p, int sig);
/* Asks all threads but the caller to die; siglock held. Returns how many. */
int signal_zap_other_threads_locked(struct process *p);
/* The parent is told of an ended child by its exit_signal. task_tree_lock held. True: nobody waits, reap at once. */
bool signal_notify_parent_exit_locked(struct process *p, int sig);
/* Discards everything queued. siglock held, or nobody else can see it. */
void sigpending_flush(struct sigpending *p);
/* Removes the signals of mask from the queues of p and all its threads. siglock held. */
void signal_flush_mask_locked(struct process *p, sigset64_t mask);
/* An exiting thread hands its pending process signals to another one. siglock held. */
void signal_retarget_locked(struct process *p, struct task *leaving);
/* The exiting thread takes part in a group stop no more. siglock held. True: tell the parent. */
bool signal_participate_stop_locked(struct task *t);
/* Tells the parent: why is CLD_STOPPED or CLD_CONTINUED. No lock held. */
void signal_notify_parent_stop(struct task *t, int why);
/* Ends the caller's process with a wait status; set by proc. */
extern void (*signal_exit_hook)(int status) __noreturn;
/* The process has been reaped: what it kept for the next signal goes. siglock held. */
void signal_drop_spare_locked(struct process *p);
/* The part of a siginfo that no layout uses becomes zeros. */
static inline void siginfo_pad(siginfo_t *info)
{
	memset((u8 *)info + SIGINFO_USED_BYTES, 0, sizeof(*info) - SIGINFO_USED_BYTES);
}
/* Fills the used part of a siginfo as kill(2) of the caller makes it. */
void siginfo_init_user(siginfo_t *info, int sig);

/* Where this is to be restarted by restart_syscall(2); returns -ERESTART_RESTARTBLOCK. */
static inline long restart_block_set(long (*fn)(struct restart_block *rb))
{
	current_task()->restart.fn = fn;
	return -ERESTART_RESTARTBLOCK;
}

#endif
