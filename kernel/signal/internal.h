/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_SIGNAL_INTERNAL_H
#define KERNEL_SIGNAL_INTERNAL_H

/* What the files of the signal layer share. */
#include <kernel/signal/sighand.h>
#include <kernel/signal/signal.h>
#include <lib/string.h>

struct user;

/*
 * One that is pending. Only what layouts of siginfo_t use is kept: see siginfo_copy(). A process keeps one of these
 * when it is free again (process.sigqueue_spare), as one signal at a time is the rule.
 */
struct sigqueue {
	struct list_head node;
	struct user *user;	/* counted in its sigpending while pending; holds a reference, the spare one too */
	union {
		struct {
			s32 si_signo;
			s32 si_errno;
			s32 si_code;
		};
		u64 words[SIGINFO_USED_BYTES / sizeof(u64)];
	} info;
};
static_assert(SIGINFO_USED_BYTES == 6 * sizeof(u64), "below");

/* For those who fill it in and stay within the used part. */
static inline siginfo_t *sigqueue_info(struct sigqueue *q)
{
	return (siginfo_t *)&q->info;
}

/* The used part of one. Who shows a whole siginfo_t to a program makes the rest zeros: siginfo_pad(). */
static __always_inline void siginfo_copy(void *to, const void *from)
{
	const u64 *src = from;
	u64 *dst = to;

	dst[0] = src[0];
	dst[1] = src[1];
	dst[2] = src[2];
	dst[3] = src[3];
	dst[4] = src[4];
	dst[5] = src[5];
}

static __always_inline void siginfo_clear(void *info)
{
	u64 *dst = info;

	dst[0] = dst[1] = dst[2] = dst[3] = dst[4] = dst[5] = 0;
}

struct sigqueue *sigqueue_alloc(struct task *to, bool override);
void sigqueue_free(struct sigqueue *q);
void sigpending_flush_mask(struct sigpending *p, sigset64_t mask);

/*
 * Neither handler nor SIG_IGN? A change between these two must not look so to a sender, who would end the process: seen
 * without the table's lock it is only a guess. siglock held, or interrupts off.
 */
static inline bool sighand_is_default(struct sighand *sh, int sig)
{
	sigset64_t bit = SIGMASK(sig);
	bool neither;

	if (likely((READ_ONCE(sh->ignored) | READ_ONCE(sh->caught)) & bit))
		return false;
	spin_lock(&sh->lock);
	neither = !((sh->ignored | sh->caught) & bit);
	spin_unlock(&sh->lock);
	return neither;
}

/*
 * The action for one delivery: true with a handler, which is copied, and reset when it says SA_RESETHAND; else out's handler is
 * SIG_IGN or SIG_DFL. All of it at one moment: sigaction(2) of another thread has the table's lock, and not siglock. siglock held.
 */
static inline bool sighand_take(struct sighand *sh, int sig, struct sigaction *out)
{
	struct sigaction *act = &sh->actions[sig - 1];
	sigset64_t bit = SIGMASK(sig);
	bool caught;

	spin_lock(&sh->lock);
	caught = sh->caught & bit;
	if (likely(caught)) {
		*out = *act;
		if (unlikely(act->sa_flags & SA_RESETHAND)) {
			act->sa_handler = UPTR_NULL;
			sh->caught &= ~bit;
		}
	} else {
		out->sa_handler.addr = sh->ignored & bit ? SIG_IGN : SIG_DFL;
	}
	spin_unlock(&sh->lock);
	return caught;
}

/* siglock held. */
int signal_dequeue_fault_locked(struct task *t, siginfo_t *info);
bool signal_has_pending_locked(struct task *t);
void signal_recalc_locked(struct task *t);

/* What a sender knows: who made the signal decides about limits and PID 1. */
enum signal_source {
	SIGNAL_FROM_USER,	/* kill(2): no siginfo but the sender's ids */
	SIGNAL_FROM_KERNEL,	/* SI_KERNEL; reaches PID 1 */
	SIGNAL_FROM_INFO,	/* *info is ready */
};

/* siglock of t's process held. shared: to the process, t is its leader or any thread. 0 or -EAGAIN. */
int signal_send_locked(struct task *t, bool shared, int sig, enum signal_source src,
		       const siginfo_t *info);

void siginfo_init_kernel(siginfo_t *info, int sig);
void signal_clear_stop_pending_locked(struct task *t, u32 mask);
/* The stop side of signal_deliver(). siglock held on entry; true: it was released and the thread was stopped. */
bool signal_stop_locked(struct task *t, int sig, irqflags_t f);

#endif
