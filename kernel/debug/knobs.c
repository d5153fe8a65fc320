/* SPDX-License-Identifier: MIT */
/*
 * The settings of the detectors, as files with Linux's names: /proc/sys/kernel/{hung_task_*, nmi_watchdog,
 * watchdog_thresh} (Documentation/admin-guide/sysctl/kernel.rst) and the RCU stall time-out of module rcupdate. Each is
 * one number. Debug kernel only.
 *
 * Locks: knob_lock, a mutex: one writer at a time.
 */
#define LOG_TAG "debug"
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/rcu.h>
#include <kernel/core/watchdog.h>
#include <kernel/debug/debug.h>
#include <kernel/sched/mutex.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "hung.h"

#if HALCYON_DEBUG

struct knob {
	const char *name;
	s64 min, max;
	s64 (*get)(void);
	int (*set)(s64 value);	/* [knob_lock] 0 or -errno */
};

static struct mutex knob_lock;
static u64 watchdog_seconds = WATCHDOG_THRESH_SECONDS;	/* [knob_lock] what it runs with when it runs */

static s64 get_timeout(void)
{
	return (s64)(READ_ONCE(hung_timeout_ns) / (u64)NSEC_PER_SEC);
}

static int set_timeout(s64 v)
{
	WRITE_ONCE(hung_timeout_ns, (u64)v * (u64)NSEC_PER_SEC);
	hung_task_kick();
	return 0;
}

static s64 get_warnings(void)
{
	return READ_ONCE(hung_warnings);
}

static int set_warnings(s64 v)
{
	WRITE_ONCE(hung_warnings, v);
	return 0;
}

static s64 get_panics(void)
{
	return (s64)READ_ONCE(hung_panics);
}

static int set_panics(s64 v)
{
	WRITE_ONCE(hung_panics, (u64)v);
	return 0;
}

static s64 get_nmi_watchdog(void)
{
	return watchdog_thresh_ns() != 0;
}

static int set_nmi_watchdog(s64 v)
{
	return watchdog_set(v ? watchdog_seconds * (u64)NSEC_PER_SEC : 0);
}

static s64 get_thresh(void)
{
	return (s64)watchdog_seconds;
}

static int set_thresh(s64 v)
{
	bool on = get_nmi_watchdog();

	watchdog_seconds = (u64)v;
	return on || !v ? set_nmi_watchdog(v != 0) : 0;
}

static s64 get_stall(void)
{
	return (s64)(READ_ONCE(rcu_stall_ns) / (u64)NSEC_PER_SEC);
}

static int set_stall(s64 v)
{
	WRITE_ONCE(rcu_stall_ns, (u64)v * (u64)NSEC_PER_SEC);
	return 0;
}

static const struct knob knobs[] = {
	{ "kernel/hung_task_timeout_secs", 0, 1000000, get_timeout, set_timeout },
	{ "kernel/hung_task_warnings", -1, INT32_MAX, get_warnings, set_warnings },
	{ "kernel/hung_task_panic", 0, 1, get_panics, set_panics },
	{ "kernel/nmi_watchdog", 0, 1, get_nmi_watchdog, set_nmi_watchdog },
	{ "kernel/watchdog_thresh", 0, 50, get_thresh, set_thresh },
};

/* Linux: /sys/module/rcupdate/parameters, and rcupdate.rcu_cpu_stall_timeout on the command line. Seconds. */
static const struct knob stall_knob = { "rcu_cpu_stall_timeout", 3, 300, get_stall, set_stall };

static int knob_show(struct seq *s, void *arg)
{
	const struct knob *k = arg;

	seq_printf(s, "%lld\n", (long long)k->get());
	return 0;
}

static int knob_store(void *arg, const char *text, size_t len)
{
	const struct knob *k = arg;
	const char *end;
	s64 v;
	int err;

	(void)len;
	err = parse_s64(text, 10, &v, &end);
	while (!err && (*end == '\n' || *end == ' '))
		end++;
	if (err || *end || v < k->min || v > k->max)
		return -EINVAL;
	mutex_lock(&knob_lock);
	err = k->set(v);
	mutex_unlock(&knob_lock);
	return err;
}

void debug_knobs_init(void)
{
	char name[64];
	u64 stall = cmdline_u64("rcupdate.rcu_cpu_stall_timeout", 0);

	mutex_init(&knob_lock, "debug settings", LOCK_RANK_SLEEP_LEAF);
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++) {
		snprintf(name, sizeof(name), "sys/%s", knobs[i].name);
		if (proc_register_rw(name, 0644, knob_show, knob_store, (void *)(uintptr_t)&knobs[i]))
			log_warn("no memory for /proc/%s", name);
	}
	(void)sys_register("module/rcupdate/parameters/rcu_cpu_stall_timeout", 0644, knob_show, knob_store,
			   (void *)(uintptr_t)&stall_knob);
	if (stall)
		(void)set_stall((s64)CLAMP(stall, 3ull, 300ull));
	watchdog_init();
}

#else

void debug_knobs_init(void)
{
}

#endif
