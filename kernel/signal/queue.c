// SPDX-License-Identifier: MIT
/*
 * Pending signals: the queue with its siginfo, and taking out of it.
 *
 * A pending set is a bit per signal and a list of struct sigqueue. A standard
 * signal is queued at most once; real-time signals as often as they are sent,
 * up to RLIMIT_SIGPENDING of the receiver's user. When memory or the limit is
 * out, the bit alone is set and the receiver sees a siginfo of zeros.
 * process.siglock protects all of it.
 */
#include <kernel/core/assert.h>
#include <kernel/mm/slab.h>
#include <kernel/signal/sighand.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/rlimit.h>
#include <lib/fls.h>
#include <lib/string.h>

#include "internal.h"

static struct kmem_cache *sigqueue_cache;

void signal_init(void)
{
	sighand_init();
	sigqueue_cache = kmem_cache_create("sigqueue", sizeof(struct sigqueue), 0, NULL, 0);
	if (!sigqueue_cache)
		panic("no memory for signals");
}

/* The process's spare one if it belongs to this user: it has the reference already. */
static struct sigqueue *sigqueue_take(struct process *p, struct user *u)
{
	struct sigqueue *q = p->sigqueue_spare;

	if (likely(q && q->user == u)) {
		p->sigqueue_spare = NULL;
		return q;
	}
	q = kmem_cache_alloc(sigqueue_cache, MM_NOWAIT);
	if (q)
		q->user = user_get(u);
	return q;
}

/*
 * Counted against the receiver's user. siglock held. `override` lets signals through that the
 * kernel or kill(2) made, of which there can be only one of a kind.
 */
struct sigqueue *sigqueue_alloc(struct task *to, bool override)
{
	struct sigqueue *q = NULL;
	struct user *u;
	s64 n;

	/* The credentials keep the user alive until the queue does. */
	rcu_read_lock();
	u = rcu_dereference(to->real_cred)->user;
	n = atomic64_inc_return(&u->sigpending);
	if (override || (u64)n <= rlimit_get(to->process, RLIMIT_SIGPENDING))
		q = sigqueue_take(to->process, u);
	if (unlikely(!q))
		atomic64_dec(&u->sigpending);
	rcu_read_unlock();
	return q;
}

void sigqueue_free(struct sigqueue *q)
{
	atomic64_dec(&q->user->sigpending);
	user_put(q->user);
	kmem_cache_free(sigqueue_cache, q);
}

/* Free, and kept for the next one if the process has none. */
static void sigqueue_recycle(struct process *p, struct sigqueue *q)
{
	if (p->sigqueue_spare) {
		sigqueue_free(q);
		return;
	}
	atomic64_dec(&q->user->sigpending);
	p->sigqueue_spare = q;
}

void signal_drop_spare_locked(struct process *p)
{
	struct sigqueue *q = p->sigqueue_spare;

	if (!q)
		return;
	p->sigqueue_spare = NULL;
	user_put(q->user);
	kmem_cache_free(sigqueue_cache, q);
}

void sigpending_flush(struct sigpending *p)
{
	struct sigqueue *q, *next;

	p->set = 0;
	list_for_each_entry_safe(q, next, &p->queue, node) {
		list_del(&q->node);
		sigqueue_free(q);
	}
}

void sigpending_flush_mask(struct sigpending *p, sigset64_t mask)
{
	struct sigqueue *q, *next;

	if (!(p->set & mask))
		return;
	p->set &= ~mask;
	list_for_each_entry_safe(q, next, &p->queue, node) {
		if (!(SIGMASK(q->info.si_signo) & mask))
			continue;
		list_del(&q->node);
		sigqueue_free(q);
	}
}

void signal_flush_mask_locked(struct process *p, sigset64_t mask)
{
	struct task *t;

	sigpending_flush_mask(&p->pending, mask);
	for_each_thread(p, t)
		sigpending_flush_mask(&t->pending, mask);
}

/*
 * Faults come first, so that the handler's frame says where the fault was and
 * not where another handler would have been entered; then the lowest number.
 */
static int sigpending_next(const struct sigpending *p, sigset64_t mask)
{
	sigset64_t ready = p->set & ~mask;

	if (ready & SIG_SYNCHRONOUS_MASK)
		ready &= SIG_SYNCHRONOUS_MASK;
	return ffs64(ready);
}

static __always_inline void sigpending_collect(struct process *owner, struct sigpending *p, int sig, siginfo_t *info)
{
	struct sigqueue *q, *first = NULL;

	list_for_each_entry(q, &p->queue, node) {
		if (q->info.si_signo != sig)
			continue;
		if (first)
			goto more;	/* the bit stays for the next one */
		first = q;
	}
	p->set &= ~SIGMASK(sig);
	if (!first) {
		siginfo_clear(info);
		info->si_signo = sig;
		info->si_code = SI_USER;
		return;
	}
more:
	siginfo_copy(info, &first->info);
	list_del(&first->node);
	sigqueue_recycle(owner, first);
}

/*
 * A fault of our own that is queued behind an asynchronous signal of a lower
 * number still goes first.
 */
int signal_dequeue_fault_locked(struct task *t, siginfo_t *info)
{
	sigset64_t ready = t->pending.set & ~t->blocked & SIG_SYNCHRONOUS_MASK;
	struct sigqueue *q;

	if (!ready)
		return 0;
	list_for_each_entry(q, &t->pending.queue, node) {
		int sig = q->info.si_signo;

		if (q->info.si_code > SI_USER && (ready & SIGMASK(sig))) {
			sigpending_collect(t->process, &t->pending, sig, info);
			signal_recalc_locked(t);
			return sig;
		}
	}
	return 0;
}

int signal_dequeue_locked(struct task *t, sigset64_t mask, siginfo_t *info)
{
	struct sigpending *from = &t->pending;
	int sig = sigpending_next(from, mask);

	if (!sig) {
		from = &t->process->pending;
		sig = sigpending_next(from, mask);
	}
	if (sig) {
		sigpending_collect(t->process, from, sig, info);
		if (unlikely(sig == SIGALRM) && from != &t->pending && signal_alarm_hook)
			signal_alarm_hook(t->process);
		if (SIGMASK(sig) & SIG_STOP_MASK)
			t->jobctl |= JOBCTL_STOP_DEQUEUED;
	}
	signal_recalc_locked(t);
	return sig;
}

bool signal_has_pending_locked(struct task *t)
{
	return (t->jobctl & JOBCTL_STOP_PENDING) ||
	       ((t->pending.set | t->process->pending.set) & ~t->blocked);
}

/*
 * Clears the cached answer, which only the task itself may do: between its
 * look at the queues and this, nobody can send, as we hold siglock.
 */
void signal_recalc_locked(struct task *t)
{
	u32 work = hal_work_get(&t->thread.hal);

	if (signal_has_pending_locked(t)) {
		if (!(work & HAL_WORK_SIGNAL))
			hal_work_set(&t->thread.hal, HAL_WORK_SIGNAL);
	} else if (work & HAL_WORK_SIGNAL) {
		hal_work_clear(&t->thread.hal, HAL_WORK_SIGNAL);
	}
}

void signal_recalc(void)
{
	struct task *t = current_task();
	irqflags_t f = spin_lock_irqsave(&t->process->siglock);

	signal_recalc_locked(t);
	spin_unlock_irqrestore(&t->process->siglock, f);
}

void siginfo_init_user(siginfo_t *info, int sig)
{
	struct task *t = task_current_or_null();

	siginfo_clear(info);
	info->si_signo = sig;
	info->si_code = SI_USER;
	if (t) {
		info->si_pid = t->process->pid->nr;
		info->si_uid = t->cred->uid;
	}
}

void siginfo_init_kernel(siginfo_t *info, int sig)
{
	siginfo_clear(info);
	info->si_signo = sig;
	info->si_code = SI_KERNEL;
}
