/* SPDX-License-Identifier: MIT */
/*
 * Magic SysRq: one key that a machine obeys whose programs no longer do (Linux's Documentation/admin-guide/sysrq.rst).
 *
 * A break on the serial line and then, within five seconds, the key; or the key written to /proc/sysrq-trigger.
 * kernel.sysrq says what the line may do: 0 nothing, 1 all, else a sum of the SYSRQ_* below. The file is root's and always works.
 *
 * From the line the key arrives in the UART's interrupt, and is served right there: what shows the state must work when
 * no thread runs any more. So these handlers take no lock that an interrupt may not take, and read what they show as
 * the commands after a panic do (kernel/core/command.h), many of which they are. What has to sleep (sync, signals to everybody)
 * goes to the system's work queue.
 *
 * Output goes to the log; while a key is served consoles show all levels but debug, whatever loglevel says.
 * `serving` lets one key in at a time: one that comes in the middle of another's output is dropped.
 */
#define LOG_TAG "sysrq"
#include <abi/linux/sched.h>
#include <abi/linux/signal.h>
#include <hal/backtrace.h>
#include <hal/cpu.h>
#include <hal/power.h>
#include <hal/regs.h>
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/command.h>
#include <kernel/core/log.h>
#include <kernel/core/preempt.h>
#include <kernel/core/stop.h>
#include <kernel/debug/debug.h>
#include <kernel/dev/tty.h>
#include <kernel/proc/oom.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/work.h>
#include <kernel/signal/signal.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vfs/inode.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/string.h>

#define SYSRQ_LOGLEVEL	0x02u
#define SYSRQ_DUMP	0x08u
#define SYSRQ_SYNC	0x10u
#define SYSRQ_SIGNAL	0x40u
#define SYSRQ_BOOT	0x80u
#define SYSRQ_NICE	0x100u

static u32 sysrq_mask = 1;	/* [a] kernel.sysrq */
static u32 serving;		/* [a] */

/* ---- output of commands ------------------------------------------------------------------------ */

static struct {			/* of whom `serving` let in */
	char text[LOG_LINE_MAX];
	u32 n;
} line;

static void line_end(void)
{
	if (line.n)
		log_printf(LOG_INFO, "%.*s", (int)line.n, line.text);
	line.n = 0;
}

/* Pieces of text to whole records. */
static void line_emit(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n' || line.n == sizeof(line.text))
			line_end();
		if (text[i] != '\n')
			line.text[line.n++] = text[i];
	}
}

#define COMMAND_LINES 500u

static void run_command(const char *name)
{
	struct command_io io = { .emit = line_emit, .budget = COMMAND_LINES };
	char words[32];

	strscpy(words, name, sizeof(words));
	if (command_run(&io, words))
		log_info("this kernel does not keep that");
	line_end();
}

/* ---- tasks ------------------------------------------------------------------------------------- */

static char state_letter(const struct thread *t)
{
	u32 state = READ_ONCE(t->state);

	return !state || state == THREAD_WAKING ? 'R' : state & THREAD_INTERRUPTIBLE ? 'S' :
	       state & (THREAD_UNINTERRUPTIBLE | THREAD_KILLABLE) ? 'D' : state & THREAD_STOPPED ? 'T' :
	       state & THREAD_TRACED ? 't' : 'X';
}

static void show_thread(const struct thread *t)
{
	const char *why = READ_ONCE(t->wait_why);
	char name[THREAD_NAME_BYTES];

	log_info("task:%-15s state:%c tid:%-6u cpu:%u%s%s", thread_name_text(t, name), state_letter(t), t->id, t->cpu, why ? " in " : "",
		 why ? why : "");
	if (t == current_thread())
		backtrace_print(LOG_INFO);
	else if (READ_ONCE(t->on_rq) && !READ_ONCE(t->queued))
		log_info(" running on CPU %u", t->cpu);
	else
		backtrace_print_thread(LOG_INFO, t);
}

static bool is_blocked(const struct thread *t)
{
	return READ_ONCE(t->state) & (THREAD_UNINTERRUPTIBLE | THREAD_KILLABLE);
}

static bool show_kernel_thread(struct thread *t, void *blocked)
{
	if (!blocked || is_blocked(t))
		show_thread(t);
	return true;
}

#define KTHREADS_MOST 1000u

static void show_threads(bool blocked)
{
	int last = pid_max();

	rcu_read_lock();
	for (int nr = 1; nr < last; nr++) {
		const struct pid *pid = pid_find_rcu(nr);
		const struct task *t = pid ? rcu_dereference(pid->task) : NULL;

		if (t && (!blocked || is_blocked(&t->thread)))
			show_thread(&t->thread);
	}
	rcu_read_unlock();
	kthread_each_unlocked(KTHREADS_MOST, show_kernel_thread, blocked ? &line : NULL);
}

static void show_state(u8 key)
{
	(void)key;
	show_threads(false);
}

static void show_blocked(u8 key)
{
	(void)key;
	show_threads(true);
}

/* ---- the other dumps --------------------------------------------------------------------------- */

static void regs_line(const char *text, void *arg)
{
	(void)arg;
	log_info(" %s", text);
}

static void show_regs(u8 key)
{
	const struct hal_regs *regs = sched_irq_regs();
	struct hal_regs here;

	(void)key;
	if (!regs) {
		hal_regs_capture(&here);
		regs = &here;
	}
	hal_regs_print(regs, regs_line, NULL);
	backtrace_print_regs(LOG_INFO, regs);
}

/* Other CPUs are asked where they are, by NMI, one after another. */
static void show_cpus(u8 key)
{
	char name[THREAD_NAME_BYTES];

	(void)key;
	log_info("CPU %u, thread %s:", hal_cpu_id(), thread_name_text(current_thread(), name));
	backtrace_print(LOG_INFO);
	rcu_read_lock();	/* who ends meanwhile still has a name */
	for (u32 cpu = 0; cpu < hal_cpu_count(); cpu++) {
		if (cpu == hal_cpu_id() || !hal_cpu_online(cpu))
			continue;
		log_info("CPU %u, thread %s", cpu, thread_name_text(sched_running_on(cpu), name));
		backtrace_print_cpu(LOG_INFO, cpu);
	}
	rcu_read_unlock();
}

static void show_memory(u8 key)
{
	(void)key;
	run_command("mem");
	run_command("slab");
}

static void show_locks(u8 key)
{
	(void)key;
	run_command("locks");
}

static void show_recorder(u8 key)
{
	(void)key;
	run_command("recorder 200");
}

/* ---- actions ----------------------------------------------------------------------------------- */

static void set_loglevel(u8 key)
{
	log_notice("Loglevel set to %d", key - '0');
	log_console_level = key - '0';
}

static void crash(u8 key)
{
	(void)key;
	panic("sysrq triggered crash");
}

static void reboot(u8 key)
{
	(void)key;
	stop_others(true);
	hal_reboot();
}

static void power_off(u8 key)
{
	(void)key;
	stop_others(true);
	hal_poweroff();
}

static void sync_super(struct super_block *sb, void *arg)
{
	(void)arg;
	if (sb->ops && sb->ops->sync)
		(void)!sb->ops->sync(sb, true);
}

static void sync_work_fn(struct work *w)
{
	(void)w;
	super_for_each(sync_super, NULL);
	log_notice("Emergency Sync complete");
}

static void signal_all(int sig)
{
	struct process *p;

	for (int nr = 2; (p = process_next_get(nr)); nr = p->pid->nr + 1, process_put(p))
		(void)signal_send_process(p, sig, true);
}

static void term_work_fn(struct work *w)
{
	(void)w;
	signal_all(SIGTERM);
}

static void kill_work_fn(struct work *w)
{
	(void)w;
	signal_all(SIGKILL);
}

static void oom_work_fn(struct work *w)
{
	(void)w;
	oom_kill_one();
}

static struct work sync_work, term_work, kill_work, oom_work;

static void queue_action(u8 key)
{
	(void)work_queue(&system_work, key == 's' ? &sync_work : key == 'e' ? &term_work :
			 key == 'i' ? &kill_work : &oom_work);
}

/* A real-time thread that spins keeps the work queue's thread from running: at once, not by work. */
static void nice_realtime(u8 key)
{
	int last = pid_max();

	(void)key;
	rcu_read_lock();
	for (int nr = 1; nr < last; nr++) {
		const struct pid *pid = pid_find_rcu(nr);
		struct task *t = pid ? rcu_dereference(pid->task) : NULL;

		if (t && (t->thread.sp.policy == SCHED_FIFO || t->thread.sp.policy == SCHED_RR))
			(void)sched_set_params(&t->thread, SCHED_NORMAL, 0, 0, false);
	}
	rcu_read_unlock();
}

/* ---- the keys ---------------------------------------------------------------------------------- */

static void show_help(u8 key);

static const struct sysrq_key {
	char key, last;		/* a range */
	u16 mask;		/* who kernel.sysrq must let in */
	const char *help;
	const char *title;
	void (*serve)(u8 key);
} keys[] = {
	{ '0', '9', SYSRQ_LOGLEVEL, "loglevel(0-9)", "Changing Loglevel", set_loglevel },
	{ 'b', 'b', SYSRQ_BOOT, "reboot(b)", "Resetting", reboot },
	{ 'c', 'c', SYSRQ_DUMP, "crash(c)", "Trigger a crash", crash },
	{ 'd', 'd', SYSRQ_DUMP, "show-all-locks(d)", "Show Locks Held", show_locks },
	{ 'e', 'e', SYSRQ_SIGNAL, "terminate-all-tasks(e)", "Terminate All Tasks", queue_action },
	{ 'f', 'f', SYSRQ_SIGNAL, "memory-full-oom-kill(f)", "Manual OOM execution", queue_action },
	{ 'h', 'h', 0, "help(h)", "HELP", show_help },
	{ 'i', 'i', SYSRQ_SIGNAL, "kill-all-tasks(i)", "Kill All Tasks", queue_action },
	{ 'l', 'l', SYSRQ_DUMP, "show-backtrace-all-active-cpus(l)", "Show backtrace of all active CPUs", show_cpus },
	{ 'm', 'm', SYSRQ_DUMP, "show-memory-usage(m)", "Show Memory", show_memory },
	{ 'n', 'n', SYSRQ_NICE, "nice-all-RT-tasks(n)", "Nice All RT Tasks", nice_realtime },
	{ 'o', 'o', SYSRQ_BOOT, "poweroff(o)", "Power Off", power_off },
	{ 'p', 'p', SYSRQ_DUMP, "show-registers(p)", "Show Regs", show_regs },
	{ 's', 's', SYSRQ_SYNC, "sync(s)", "Emergency Sync", queue_action },
	{ 't', 't', SYSRQ_DUMP, "show-task-states(t)", "Show State", show_state },
	{ 'w', 'w', SYSRQ_DUMP, "show-blocked-tasks(w)", "Show Blocked State", show_blocked },
	{ 'z', 'z', SYSRQ_DUMP, "show-recorder(z)", "Show Recorder", show_recorder },
};

static void show_help(u8 key)
{
	static char text[LOG_LINE_MAX]; /* of whom `serving` let in */
	size_t n = 0;

	(void)key;
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
		n += (size_t)scnprintf(text + n, sizeof(text) - n, " %s", keys[i].help);
	log_notice("HELP :%s", text);
}

static const struct sysrq_key *find_key(u8 key)
{
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
		if (key >= (u8)keys[i].key && key <= (u8)keys[i].last)
			return &keys[i];
	return NULL;
}

static bool allowed(const struct sysrq_key *k)
{
	u32 mask = READ_ONCE(sysrq_mask);

	return mask == 1 || !k->mask || (mask & k->mask);
}

static void serve(u8 key, bool trusted)
{
	const struct sysrq_key *k = find_key(key);
	int level = log_console_level;

	if (__atomic_exchange_n(&serving, 1, __ATOMIC_ACQUIRE))
		return;
	log_console_level = MAX(level, LOG_DEBUG);
	if (!k) {
		show_help(key);
	} else if (!trusted && !allowed(k)) {
		log_notice("This sysrq operation is disabled.");
	} else {
		if (k->serve != show_help)
			log_notice("%s", k->title);
		k->serve(key);
	}
	if (!k || k->serve != set_loglevel)
		log_console_level = level;
	__atomic_store_n(&serving, 0, __ATOMIC_RELEASE);
}

static void key_of_line(u8 key)
{
	serve(key, false);
}

/* ---- files ------------------------------------------------------------------------------------- */

/* The first character counts, as on Linux. */
static int store_trigger(void *arg, const char *text, size_t len)
{
	(void)arg;
	if (len)
		serve((u8)text[0], true);
	return 0;
}

static int show_mask(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%u\n", READ_ONCE(sysrq_mask));
	return 0;
}

static int store_mask(void *arg, const char *text, size_t len)
{
	const char *end;
	s64 value;

	(void)arg, (void)len;
	if (parse_s64(text, 10, &value, &end) || (*end && *end != '\n') || value < 0 || value > 0x1ff)
		return -EINVAL;
	WRITE_ONCE(sysrq_mask, (u32)value);
	WRITE_ONCE(serial_sysrq_hook, value ? key_of_line : NULL);
	return 0;
}

void debug_sysrq_init(void)
{
	work_init(&sync_work, sync_work_fn);
	work_init(&term_work, term_work_fn);
	work_init(&kill_work, kill_work_fn);
	work_init(&oom_work, oom_work_fn);
	(void)proc_register_rw("sysrq-trigger", 0200, NULL, store_trigger, NULL);
	(void)proc_register_rw("sys/kernel/sysrq", 0644, show_mask, store_mask, NULL);
	serial_sysrq_hook = key_of_line;
}
