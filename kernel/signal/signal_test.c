// SPDX-License-Identifier: MIT
/* Self tests: queues and the rules of sending, on a process that never runs. */
#include <kernel/core/selftest.h>
#include <kernel/signal/sighand.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <lib/string.h>

#include "internal.h"

struct dummy {
	struct process *p;
	struct task *t;
};

static bool dummy_make(struct dummy *d)
{
	d->p = process_alloc();
	d->t = task_alloc();
	if (!d->p || !d->t)
		return false;
	d->p->sighand = sighand_create();
	d->t->process = process_get(d->p);
	d->t->real_cred = d->t->cred = cred_get(&cred_root);
	d->p->leader = d->t;
	for (int i = 0; i < RLIM_NLIMITS; i++)
		d->p->rlim[i] = (struct rlimit64){ 100, 100 };
	process_attach_task_locked(d->p, d->t);
	return d->p->sighand != NULL;
}

static void dummy_drop(struct dummy *d)
{
	sigpending_flush(&d->t->pending);
	sigpending_flush(&d->p->pending);
	process_detach_task_locked(d->t);
	sighand_put(d->p->sighand);
	task_put(d->t);
	process_put(d->p);
}

static int take(struct dummy *d, siginfo_t *info)
{
	irqflags_t f = spin_lock_irqsave(&d->p->siglock);
	int sig = signal_dequeue_locked(d->t, d->t->blocked, info);

	spin_unlock_irqrestore(&d->p->siglock, f);
	return sig;
}

static void catch(struct dummy *d, int sig, u64 handler)
{
	struct sigaction act = { .sa_handler = { handler } };

	sighand_exchange_action(d->p->sighand, sig, &act, NULL);
}

static void queue(struct dummy *d, int sig, int value)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_QUEUE;
	info.si_int = value;
	EXPECT_EQ(signal_send_info_process(d->p, sig, &info), 0);
}

SELFTEST(signal, standard_signals_coalesce_and_realtime_ones_queue)
{
	struct dummy d;
	siginfo_t info;

	REQUIRE(dummy_make(&d));
	catch(&d, SIGUSR1, 0x1000);
	catch(&d, 40, 0x1000);
	queue(&d, 40, 1);
	queue(&d, 40, 2);
	queue(&d, SIGUSR1, 3);
	queue(&d, SIGUSR1, 4);
	EXPECT_EQ(take(&d, &info), SIGUSR1);
	EXPECT_EQ(info.si_int, 3);
	EXPECT_EQ(take(&d, &info), 40);
	EXPECT_EQ(info.si_int, 1);
	EXPECT_EQ(take(&d, &info), 40);
	EXPECT_EQ(info.si_int, 2);
	EXPECT_EQ(take(&d, &info), 0);
	EXPECT_EQ(atomic64_load(&user_root.sigpending), 0);
	dummy_drop(&d);
}

SELFTEST(signal, faults_go_first)
{
	struct dummy d;
	siginfo_t info;

	REQUIRE(dummy_make(&d));
	catch(&d, SIGHUP, 0x1000);
	catch(&d, SIGSEGV, 0x1000);
	EXPECT_EQ(signal_send_task(d.t, SIGHUP, true), 0);
	EXPECT_EQ(signal_send_task(d.t, SIGSEGV, true), 0);
	EXPECT_EQ(take(&d, &info), SIGSEGV);
	EXPECT_EQ(info.si_code, SI_KERNEL);
	EXPECT_EQ(take(&d, &info), SIGHUP);
	dummy_drop(&d);
}

SELFTEST(signal, ignored_is_dropped_unless_blocked)
{
	struct dummy d;
	siginfo_t info;

	REQUIRE(dummy_make(&d));
	EXPECT_EQ(signal_send_process(d.p, SIGCHLD, true), 0);
	EXPECT_EQ(d.p->pending.set, 0);
	d.t->blocked = SIGMASK(SIGCHLD) | SIGMASK(SIGUSR2);
	EXPECT_EQ(signal_send_process(d.p, SIGCHLD, true), 0);
	EXPECT_EQ(d.p->pending.set, SIGMASK(SIGCHLD));
	EXPECT_EQ(take(&d, &info), 0);
	d.t->blocked = 0;
	EXPECT_EQ(take(&d, &info), SIGCHLD);
	dummy_drop(&d);
}

SELFTEST(signal, stop_and_continue_cancel_each_other)
{
	struct dummy d;
	siginfo_t info;

	REQUIRE(dummy_make(&d));
	d.t->blocked = SIGMASK(SIGTSTP) | SIGMASK(SIGCONT);
	EXPECT_EQ(signal_send_process(d.p, SIGTSTP, true), 0);
	EXPECT_EQ(d.p->pending.set, SIGMASK(SIGTSTP));
	EXPECT_EQ(signal_send_process(d.p, SIGCONT, true), 0);
	EXPECT_EQ(d.p->pending.set, SIGMASK(SIGCONT));
	EXPECT_EQ(signal_send_process(d.p, SIGSTOP, true), 0);
	EXPECT_EQ(d.p->pending.set, SIGMASK(SIGSTOP));
	EXPECT_EQ(take(&d, &info), SIGSTOP);
	EXPECT(d.t->jobctl & JOBCTL_STOP_DEQUEUED);
	/* A SIGCONT between the taking and the stopping takes the stop back. */
	EXPECT_EQ(signal_send_process(d.p, SIGCONT, true), 0);
	EXPECT(!(d.t->jobctl & JOBCTL_STOP_DEQUEUED));
	dummy_drop(&d);
}

SELFTEST(signal, fatal_starts_group_exit)
{
	struct dummy d;

	REQUIRE(dummy_make(&d));
	EXPECT_EQ(signal_send_process(d.p, SIGTERM, true), 0);
	EXPECT(d.p->sigflags & PROCESS_GROUP_EXIT);
	EXPECT_EQ(d.p->group_exit_code, SIGTERM);
	EXPECT(d.t->pending.set & SIGMASK(SIGKILL));
	/* Nothing comes after the end. */
	EXPECT_EQ(signal_send_process(d.p, SIGINT, true), 0);
	EXPECT(!(d.p->pending.set & SIGMASK(SIGINT)));
	dummy_drop(&d);
}

SELFTEST(signal, unkillable_process_gets_only_what_it_asked_for)
{
	struct dummy d;
	siginfo_t info;

	REQUIRE(dummy_make(&d));
	d.p->sigflags = PROCESS_UNKILLABLE;
	EXPECT_EQ(signal_send_process(d.p, SIGTERM, false), 0);
	EXPECT_EQ(signal_send_process(d.p, SIGKILL, false), 0);
	EXPECT_EQ(d.p->pending.set, 0);
	catch(&d, SIGTERM, 0x1000);
	EXPECT_EQ(signal_send_process(d.p, SIGTERM, false), 0);
	EXPECT_EQ(take(&d, &info), SIGTERM);
	dummy_drop(&d);
}

SELFTEST(signal, limit_of_queued_signals)
{
	struct dummy d;
	siginfo_t info;

	REQUIRE(dummy_make(&d));
	d.p->rlim[RLIMIT_SIGPENDING].rlim_cur = 2;
	d.t->blocked = SIGMASK(40) | SIGMASK(SIGUSR1);
	queue(&d, 40, 1);
	queue(&d, 40, 2);
	memset(&info, 0, sizeof(info));
	info.si_signo = 40;
	info.si_code = SI_QUEUE;
	EXPECT_EQ(signal_send_info_process(d.p, 40, &info), -EAGAIN);
	/* What kill(2) sends is never refused. */
	EXPECT_EQ(signal_send_process(d.p, SIGUSR1, false), 0);
	EXPECT_EQ(atomic64_load(&user_root.sigpending), 3);
	sigpending_flush(&d.p->pending);
	EXPECT_EQ(atomic64_load(&user_root.sigpending), 0);
	dummy_drop(&d);
}

SELFTEST(sighand, copies_what_is_used)
{
	struct sigaction act = { .sa_handler = { 0x4000 }, .sa_flags = SA_RESTART, .sa_mask = 5 }, got;
	struct sigaction ignore = { .sa_handler = { SIG_IGN } };
	struct sighand *a = sighand_create(), *b;

	REQUIRE(a);
	sighand_exchange_action(a, SIGINT, &act, NULL);
	sighand_exchange_action(a, SIGQUIT, &ignore, NULL);
	b = sighand_copy(a);
	REQUIRE(b);
	sighand_action(b, SIGINT, &got);
	EXPECT_EQ(got.sa_handler.addr, 0x4000);
	EXPECT_EQ(got.sa_mask, 5);
	sighand_action(b, SIGHUP, &got);
	EXPECT_EQ(got.sa_handler.addr, SIG_DFL);
	sighand_flush_handlers(b);
	sighand_action(b, SIGINT, &got);
	EXPECT_EQ(got.sa_handler.addr, SIG_DFL);
	EXPECT_EQ(got.sa_flags, 0);
	sighand_action(b, SIGQUIT, &got);
	EXPECT_EQ(got.sa_handler.addr, SIG_IGN);
	sighand_put(b);
	sighand_put(a);
}
