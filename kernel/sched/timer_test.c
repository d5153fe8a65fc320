/* SPDX-License-Identifier: MIT */
/*
 * Self tests of timers and clocks on many CPUs: timers that are armed and cancelled while they fire elsewhere, slack, the
 * timers of a CPU that goes, and time itself, which never goes back, whoever looks and whatever counter it comes from.
 */
#include <abi/linux/time.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/random.h>
#include <kernel/core/selftest.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/timer.h>
#include <lib/string.h>
#include "internal.h"

#define MS ((u64)NSEC_PER_MSEC)
#define US ((u64)NSEC_PER_USEC)
#define MAX_WORKERS 8u
#define TIMERS_EACH 16u

static void sleep_ns(u64 ns)
{
	thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
	(void)thread_sleep_until(clock_mono_ns() + ns, THREAD_UNINTERRUPTIBLE, "selftest");
}

static u32 nr_workers(void)
{
	return MIN(MAX(hal_cpu_online_count(), 2u), MAX_WORKERS);
}

/* The calling thread goes to the n-th online CPU, round and round. */
static void go_to(u32 n)
{
	struct cpumask mask;
	u32 cpu, left = n % hal_cpu_online_count();

	for_each_online_cpu(cpu)
		if (!left--)
			break;
	cpumask_clear(&mask);
	cpumask_set(&mask, cpu < MAX_CPUS ? cpu : 0);
	(void)sched_set_affinity(current_thread(), &mask);
}

/* ---- timers ------------------------------------------------------------------------------------ */

struct probe {
	struct timer timer;
	u64 earliest_ns; /* [a] 0: it must not fire */
	u32 fired; /* [a] */
	u32 wrong; /* [a] too early, or after it was cancelled */
};

static void probe_fire(struct timer *t)
{
	struct probe *p = container_of(t, struct probe, timer);
	u64 earliest = READ_ONCE(p->earliest_ns);

	if (!earliest || hal_clock_ns() < earliest)
		__atomic_fetch_add(&p->wrong, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&p->fired, 1, __ATOMIC_RELAXED);
}

struct timer_worker {
	struct completion done;
	u32 number;
	u64 until_ns;
	struct probe probe[TIMERS_EACH];
	u64 arms, cancels, late;
};

static void probe_arm(struct probe *p, u64 in_ns, u64 slack_ns)
{
	/* Off everywhere, so that the expectation may change. */
	(void)timer_cancel_sync(&p->timer);
	WRITE_ONCE(p->earliest_ns, hal_clock_ns() + in_ns);
	timer_arm_slack(&p->timer, p->earliest_ns, slack_ns);
}

static void probe_cancel(struct probe *p)
{
	(void)timer_cancel_sync(&p->timer);
	WRITE_ONCE(p->earliest_ns, 0);
}

static void timer_worker_main(void *arg)
{
	struct timer_worker *w = arg;

	for (u32 i = 0; i < TIMERS_EACH; i++)
		timer_init(&w->probe[i].timer, probe_fire);
	for (u32 n = 0; hal_clock_ns() < w->until_ns; n++) {
		struct probe *p = &w->probe[random_below(TIMERS_EACH)];

		if (n % 64 == 0)
			go_to(w->number + n / 64); /* the timers stay behind: they are armed and cancelled across CPUs */
		switch (random_below(4)) {
		case 0:
			probe_cancel(p);
			w->cancels++;
			break;
		case 1:
			probe_arm(p, random_below(200 * US), random_below(100 * US));
			break;
		case 2:
			probe_arm(p, 0, 0);
			break;
		default:
			probe_arm(p, random_below(20 * US), 0);
			break;
		}
		w->arms++;
		if (n % 16 == 0)
			sleep_ns(random_below(50 * US));
	}
	for (u32 i = 0; i < TIMERS_EACH; i++)
		probe_cancel(&w->probe[i]);
	complete(&w->done);
}

SELFTEST(torture_timers, armed_and_cancelled_across_cpus)
{
	static struct timer_worker workers[MAX_WORKERS];
	u32 n = nr_workers(), fired = 0, wrong = 0;
	u64 until = hal_clock_ns() + selftest_seconds() * (u64)NSEC_PER_SEC;

	memset(workers, 0, sizeof(workers));
	for (u32 i = 0; i < n; i++) {
		workers[i].number = i;
		workers[i].until_ns = until;
		completion_init(&workers[i].done);
		REQUIRE(kthread_run(timer_worker_main, &workers[i], "timers"));
	}
	for (u32 i = 0; i < n; i++) {
		wait_for_completion(&workers[i].done, "selftest");
		EXPECT(workers[i].arms > 10);
		for (u32 k = 0; k < TIMERS_EACH; k++) {
			fired += READ_ONCE(workers[i].probe[k].fired);
			wrong += READ_ONCE(workers[i].probe[k].wrong);
		}
	}
	EXPECT(fired > 10);
	EXPECT_EQ(wrong, 0);
}

struct slow_fire {
	struct timer timer;
	u32 runs; /* [a] */
	u32 ended; /* [a] */
};

static void slow_fire(struct timer *t)
{
	struct slow_fire *s = container_of(t, struct slow_fire, timer);
	u64 end = hal_clock_ns() + 20 * MS;

	__atomic_fetch_add(&s->runs, 1, __ATOMIC_RELEASE);
	while (hal_clock_ns() < end)
		hal_cpu_relax();
	__atomic_fetch_add(&s->ended, 1, __ATOMIC_RELEASE);
}

/* Who arms a timer from elsewhere while its function runs, and cancels it, has waited for the function. */
SELFTEST(torture_timers, armed_while_it_runs_elsewhere)
{
	struct slow_fire s = { .runs = 0 };
	struct cpumask before = current_thread()->affinity, mask;

	if (hal_cpu_online_count() < 2 || !hal_cpu_online(1)) {
		selftest_skip("one CPU");
		return;
	}
	cpumask_clear(&mask);
	cpumask_set(&mask, 1);
	REQUIRE(sched_set_affinity(current_thread(), &mask) == 0);
	timer_init(&s.timer, slow_fire);
	timer_arm(&s.timer, hal_clock_ns() + 20 * MS);
	cpumask_clear(&mask);
	cpumask_set(&mask, 0);
	REQUIRE(sched_set_affinity(current_thread(), &mask) == 0);
	for (u64 end = hal_clock_ns() + 10000 * MS; !__atomic_load_n(&s.runs, __ATOMIC_ACQUIRE) && hal_clock_ns() < end;)
		hal_cpu_relax();
	EXPECT_EQ(s.runs, 1);
	timer_arm(&s.timer, hal_clock_ns() + 60000 * MS);
	EXPECT(timer_cancel_sync(&s.timer)); /* it was armed, in whichever round that was found */
	EXPECT_EQ(__atomic_load_n(&s.ended, __ATOMIC_ACQUIRE), 1);
	EXPECT(!timer_cancel_sync(&s.timer));
	(void)sched_set_affinity(current_thread(), &before);
}

struct slack_pair {
	struct probe exact, lax;
	bool early; /* lax came before exact */
	bool next; /* lax stood first when exact had gone off */
};

static void exact_fire(struct timer *t)
{
	struct slack_pair *s = container_of(t, struct slack_pair, exact.timer);

	s->early = READ_ONCE(s->lax.fired) != 0;
	s->next = timer_first_here() == &s->lax.timer;
	probe_fire(t);
}

/*
 * One that may come late goes off with the next that must come on time, if no other timer stands between the two (the tick,
 * say): so the interrupt that fires `exact` says whether one does. Preemption is off, so that all is one CPU's: when the loop
 * sees that exact has fired, that interrupt is over. However late the host lets it come, lax fired in it.
 */
SELFTEST(timer, slack_shares_an_interrupt)
{
	u32 shared = 0;

	for (u32 round = 0; round < 20; round++) {
		struct slack_pair s = { .early = false };
		irqflags_t f;

		timer_init(&s.exact.timer, exact_fire);
		timer_init(&s.lax.timer, probe_fire);
		preempt_disable();
		f = hal_irq_save(); /* both are armed before either fires */
		s.lax.earliest_ns = hal_clock_ns() + MS;
		s.exact.earliest_ns = s.lax.earliest_ns + MS;
		timer_arm_slack(&s.lax.timer, s.lax.earliest_ns, 2 * MS);
		timer_arm(&s.exact.timer, s.exact.earliest_ns);
		hal_irq_restore(f);
		while (!READ_ONCE(s.exact.fired))
			hal_cpu_relax();
		EXPECT(!s.early);
		shared += s.next;
		if (s.next)
			EXPECT_EQ(READ_ONCE(s.lax.fired), 1);
		while (!READ_ONCE(s.lax.fired))
			hal_cpu_relax();
		preempt_enable();
		EXPECT_EQ(s.exact.fired, 1);
		EXPECT_EQ(s.lax.fired, 1);
		EXPECT_EQ(s.exact.wrong + s.lax.wrong, 0);
	}
	EXPECT(shared > 0);
}

/* Of a CPU that goes they fire elsewhere, once, and not early. */
SELFTEST(torture_timers, survive_their_cpu)
{
	struct probe p[4] = { { .fired = 0 } };
	struct cpumask before = current_thread()->affinity, mask;
	u32 cpu = hal_cpu_count() - 1;

	if (hal_cpu_online_count() < 2 || !hal_cpu_online(cpu)) {
		selftest_skip("one CPU");
		return;
	}
	cpumask_clear(&mask);
	cpumask_set(&mask, cpu);
	REQUIRE(sched_set_affinity(current_thread(), &mask) == 0);
	for (u32 i = 0; i < ARRAY_SIZE(p); i++) {
		timer_init(&p[i].timer, probe_fire);
		p[i].earliest_ns = hal_clock_ns() + (i == 3 ? 3600 * (u64)NSEC_PER_SEC : (i + 1) * 60 * MS);
		timer_arm(&p[i].timer, p[i].earliest_ns);
	}
	EXPECT_EQ(p[0].timer.cpu, cpu);
	cpumask_clear(&mask);
	cpumask_set(&mask, 0);
	REQUIRE(sched_set_affinity(current_thread(), &mask) == 0);
	EXPECT_EQ(cpuhp_down(cpu), 0);
	EXPECT(timer_cancel(&p[3].timer));
	for (u32 i = 0; i < 5000 && !READ_ONCE(p[2].fired); i++)
		sleep_ns(1 * MS);
	EXPECT_EQ(cpuhp_up(cpu), 0);
	for (u32 i = 0; i < 3; i++) {
		EXPECT_EQ(p[i].fired, 1);
		EXPECT_EQ(p[i].wrong, 0);
		(void)timer_cancel_sync(&p[i].timer);
	}
	EXPECT_EQ(p[3].fired, 0);
	(void)sched_set_affinity(current_thread(), &before);
}

/* ---- clocks ------------------------------------------------------------------------------------ */

struct clock_race {
	u64 seen_ns; /* [a] the latest time that anybody has seen */
	u64 back; /* [a] how often somebody saw an earlier one afterwards */
	u64 worst_ns; /* [a] */
	u64 until_ns;
	struct completion done[MAX_WORKERS];
	u32 next; /* [a] */
};

static void clock_look(struct clock_race *r)
{
	u64 seen = __atomic_load_n(&r->seen_ns, __ATOMIC_ACQUIRE), now = hal_clock_ns();

	if (now < seen) {
		__atomic_fetch_add(&r->back, 1, __ATOMIC_RELAXED);
		WRITE_ONCE(r->worst_ns, MAX(READ_ONCE(r->worst_ns), seen - now));
	}
	while (now > seen &&
	       !__atomic_compare_exchange_n(&r->seen_ns, &seen, now, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

static void clock_worker_main(void *arg)
{
	struct clock_race *r = arg;
	u32 number = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED);

	for (u32 n = 0; hal_clock_ns() < r->until_ns; n++) {
		for (u32 i = 0; i < 100; i++)
			clock_look(r);
		if (n % 64 == 0)
			go_to(number + n / 64);
		sched_relax();
	}
	complete(&r->done[number]);
}

SELFTEST(torture_timers, time_never_goes_back)
{
	static struct clock_race r;
	u32 n = nr_workers(), switches = 0;
	const char *first = hal_clock_source_current();

	memset(&r, 0, sizeof(r));
	r.until_ns = hal_clock_ns() + selftest_seconds() * (u64)NSEC_PER_SEC;
	for (u32 i = 0; i < n; i++) {
		completion_init(&r.done[i]);
		REQUIRE(kthread_run(clock_worker_main, &r, "clocks"));
	}
	while (hal_clock_ns() < r.until_ns || switches <= 10) {
		const char *name = hal_clock_source_name(switches % 3);

		if (name)
			EXPECT_EQ(hal_clock_source_select(name), 0);
		switches++;
		sleep_ns(5 * MS);
		clock_look(&r);
	}
	for (u32 i = 0; i < n; i++)
		wait_for_completion(&r.done[i], "selftest");
	EXPECT_EQ(hal_clock_source_select(first), 0);
	EXPECT(switches > 10);
	EXPECT_EQ(r.back, 0);
	EXPECT_EQ(r.worst_ns, 0);
	EXPECT_EQ(hal_clock_source_select("sundial"), -EINVAL);
}

/* The wall clock is set while others read it and listen. */
struct listening {
	struct clock_listener listener;
	u32 told; /* [a] */
};

static void count_told(struct clock_listener *l, bool set)
{
	(void)set;
	__atomic_fetch_add(&container_of(l, struct listening, listener)->told, 1, __ATOMIC_RELAXED);
}

SELFTEST(clock, listeners_are_told)
{
	struct listening a = { .listener.fn = count_told }, b = { .listener.fn = count_told };
	u64 mono = clock_mono_ns(), real = clock_real_ns(), now; /* a pause between two readings must not look like a step */

	clock_listen(&a.listener);
	clock_listen(&b.listener);
	EXPECT_EQ(clock_step_real_ns(5 * (s64)NSEC_PER_SEC), 0);
	EXPECT(clock_real_ns() >= real + 5 * (u64)NSEC_PER_SEC);
	clock_unlisten(&b.listener);
	EXPECT_EQ(clock_step_real_ns(-5 * (s64)NSEC_PER_SEC), 0);
	clock_unlisten(&a.listener);
	EXPECT_EQ(a.told, 2);
	EXPECT_EQ(b.told, 1);
	now = clock_real_ns();
	EXPECT(now - real < clock_mono_ns() - mono + MS);
	EXPECT_EQ(clock_set_real_ns(0), -EINVAL); /* the machine runs longer than that */
	EXPECT_EQ(clock_step_real_ns(INT64_MIN), -EINVAL);
}
