/* SPDX-License-Identifier: MIT */
/*
 * Leaks: what a program, or everything since boot, left behind.
 *
 * At power-off. reboot(2) hands over to a kernel thread, which ends all processes (PID 1 included), unmounts
 * everything, takes out what was put into the trees that stay (the root file system, devtmpfs), empties the caches and
 * compares with the account that was taken before the first program. Each kind that grew is a line "leak: ..." at error
 * level, with who allocated; the machine then leaves with another status than usual (syscall/misc.c), so a test run
 * cannot miss it.
 *
 * On demand. "mark" written to /proc/halcyon/leaks takes an account, reading the file compares: tests do this around
 * each scenario. Neither allocates: the file has a buffer of its own. "plant" leaks an object and a page on purpose, for the
 * test of the check at power-off.
 */
#define LOG_TAG "leaks"
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/selftest.h>
#include <kernel/debug/debug.h>
#include <kernel/debug/leaks.h>
#include <kernel/mm/leak.h>
#include <kernel/mm/page.h>
#include <kernel/mm/reclaim.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/exit.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/wait.h>
#include <kernel/sched/work.h>
#include <kernel/signal/signal.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>
#include <kernel/vfs/vfs.h>
#include <kernel/vm/iter.h>
#include <kernel/vm/space.h>
#include <lib/string.h>

#if HALCYON_DEBUG

#define QUIESCE_ROUNDS	4u	/* what one round frees may be what another cache waited for */
#define END_PATIENCE_NS	(20 * NSEC_PER_SEC)	/* for processes to die, under emulation */
#define REPORT_BYTES	8192u

/* Each process may keep a queue entry for its next signal. */
static void drop_spares(void)
{
	struct process *p;
	irqflags_t f;
	int nr = 1;

	while ((p = process_next_get(nr))) {
		nr = p->pid->nr + 1;
		f = spin_lock_irqsave(&p->siglock);
		signal_drop_spare_locked(p);
		spin_unlock_irqrestore(&p->siglock, f);
		process_put(p);
	}
}

/* Nobody but a CPU itself may empty its caches: the calling thread goes to each of them. */
static void drain_every_cpu(void)
{
	struct thread *me = current_thread();
	struct cpumask before = me->affinity, one;
	u32 cpu;

	for_each_online_cpu(cpu) {
		cpumask_clear(&one);
		cpumask_set(&one, cpu);
		if (sched_set_affinity(me, &one))
			continue;	/* it has just gone, and gave everything back */
		schedule();
		(void)mm_reclaim(~0ull);
		mm_drain();
	}
	(void)sched_set_affinity(me, &before);
	schedule();
}

void debug_leak_quiesce(void)
{
	drop_spares();
	vm_space_drop_lazy();
	for (u32 i = 0; i < QUIESCE_ROUNDS; i++) {
		vfs_forget_names();
		drain_every_cpu();
		workq_flush(&system_work);
		rcu_barrier();
	}
	drain_every_cpu();
}

/* ---- at power-off ------------------------------------------------------------------------------ */

static bool have_baseline;		/* [I] after boot */
static struct cpumask baseline_cpus;	/* [I] after boot: those that were online */
static u32 end_begun;			/* [a] the first one counts */
static void (*end_machine)(bool leaked);	/* [I] once begun */

void debug_leak_baseline(void)
{
	u32 cpu;

	if (!cmdline_bool("leakcheck", true))
		return;
	for_each_online_cpu(cpu)
		cpumask_set(&baseline_cpus, cpu);
	debug_leak_quiesce();
	mm_leak_mark(LEAK_BOOT);
	have_baseline = true;
}

static void emit_log(void *arg, const char *line)
{
	(void)arg;
	log_err("%s", line);
}

static bool is_later(const void *object)
{
	return mm_leak_is_later(LEAK_BOOT, object);
}

/* A CPU that came later (maxcpus=) has files in /sys that were not there. */
static void send_cpus_away(void)
{
	u32 cpu;

	for_each_online_cpu(cpu)
		if (!cpumask_test(&baseline_cpus, cpu) && cpuhp_down(cpu))
			log_notice("cpu %u stays, and with it what it has in /sys", cpu);
}

static void end_thread(void *arg)
{
	int left = proc_end_all(END_PATIENCE_NS);
	u32 grown;

	(void)arg;
	if (left) {
		log_err("leak: %d tasks did not die: nothing can be said", left);
		end_machine(true);
	}
	send_cpus_away();
	vm_space_leave();
	debug_leak_quiesce();
	vfs_end(is_later);
	debug_leak_quiesce();
	grown = mm_leak_report(LEAK_BOOT, emit_log, NULL);
	if (grown)
		log_err("leak: %u kinds of memory grew since boot", grown);
	else
		log_info("all memory that programs used came back");
	end_machine(grown != 0);
	panic("the machine goes on after its end");
}

void debug_leak_end_machine(void (*end)(bool leaked))
{
	u32 none = 0;

	if (!have_baseline || !try_cmpxchg(&end_begun, &none, 1u))
		return;
	end_machine = end;
	if (!kthread_run(end_thread, NULL, "leaks")) {
		log_err("leak: no memory to look");
		return;
	}
	/* The thread kills the caller too. */
	do {
		thread_set_state(current_thread(), THREAD_KILLABLE);
	} while (!thread_sleep_until(clock_mono_ns() + END_PATIENCE_NS, THREAD_KILLABLE, "the machine to end") &&
		 !READ_ONCE(current_thread()->fatal));
}

/* ---- /proc/halcyon/leaks ----------------------------------------------------------------------- */

static struct mutex report_mutex;
static char report_text[REPORT_BYTES];	/* [report_mutex] */
static size_t report_used;		/* [report_mutex] */
static bool report_marked;		/* [report_mutex] */

static void emit_text(void *arg, const char *line)
{
	size_t n = strlen(line);

	(void)arg;
	if (report_used + n + 1 > sizeof(report_text))
		return;
	memcpy(report_text + report_used, line, n);
	report_used += n;
	report_text[report_used++] = '\n';
}

static void make_report(void)
{
	report_used = 0;
	if (!report_marked) {
		emit_text(NULL, "write \"mark\" first");
		return;
	}
	debug_leak_quiesce();
	(void)mm_leak_report(LEAK_USER, emit_text, NULL);
}

static ssize_t leaks_read(struct kiocb *iocb, struct iter *to)
{
	ssize_t n = 0;
	size_t want;

	mutex_lock(&report_mutex);
	if (!iocb->pos)
		make_report();
	if ((u64)iocb->pos < report_used) {
		want = MIN(report_used - (size_t)iocb->pos, iter_count(to));
		n = (ssize_t)iter_copy_to(to, report_text + iocb->pos, want);
		if (!n && want)
			n = -EFAULT;
		else
			iocb->pos += n;
	}
	mutex_unlock(&report_mutex);
	return n;
}

/* Loses both on purpose. The pointers are hidden from a detector that looks for references: there is none. */
static noinline void plant_leak(void)
{
	void *object = kmalloc(100, MM_KERNEL);
	struct page *page = page_alloc(0, MM_KERNEL);

	log_info("a leak was planted%s", object && page ? "" : ", in part");
}

static ssize_t leaks_write(struct kiocb *iocb, struct iter *from)
{
	size_t n = iter_count(from);
	char text[8];

	(void)iocb;
	if (n >= sizeof(text))
		return -EINVAL;
	if (iter_copy_from(from, text, n) != n)
		return -EFAULT;
	text[n] = '\0';
	if (strncmp(text, "plant", 5) == 0) {
		plant_leak();
		return (ssize_t)n;
	}
	if (strncmp(text, "mark", 4) != 0)
		return -EINVAL;
	mutex_lock(&report_mutex);
	debug_leak_quiesce();
	mm_leak_mark(LEAK_USER);
	report_marked = true;
	mutex_unlock(&report_mutex);
	return (ssize_t)n;
}

static s64 leaks_llseek(struct file *file, s64 offset, int whence)
{
	if (whence != SEEK_SET || offset < 0)
		return -EINVAL;
	return file->pos = offset;
}

static const struct file_ops leaks_fops = { .read_iter = leaks_read, .write_iter = leaks_write, .llseek = leaks_llseek };

void debug_leaks_init(void)
{
	mutex_init(&report_mutex, "leaks", LOCK_RANK_SEQ_FILE);
	(void)proc_register_file("halcyon/leaks", 0600, &leaks_fops, NULL);
}

/* ---- self test --------------------------------------------------------------------------------- */

static u32 said_kinds, said_places;

static void emit_test(void *arg, const char *line)
{
	(void)arg;
	said_kinds += strstr(line, "leak: kmalloc-192:") || strstr(line, "leak: kernel pages:");
	said_places += strstr(line, "allocated at ") && strstr(line, "leaks_are_named");
}

SELFTEST(leak, leaks_are_named)
{
	struct page *page;
	void *object;

	debug_leak_quiesce();
	mm_leak_mark(LEAK_TEST);
	object = kmalloc(180, MM_KERNEL);
	page = page_alloc(0, MM_KERNEL);
	REQUIRE(object && page);
	said_kinds = said_places = 0;
	EXPECT_EQ(mm_leak_report(LEAK_TEST, emit_test, NULL), 2);
	EXPECT_EQ(said_kinds, 2);
	EXPECT_EQ(said_places, 2);
	kfree(object);
	page_put(page);
	debug_leak_quiesce();
	EXPECT_EQ(mm_leak_report(LEAK_TEST, emit_test, NULL), 0);
}

#else

void debug_leaks_init(void)
{
}

#endif
