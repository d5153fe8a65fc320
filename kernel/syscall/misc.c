/* SPDX-License-Identifier: MIT */
/* What belongs to the machine as a whole: its name, its state, its log, its end. */
#define LOG_TAG "reboot"
#include <abi/linux/reboot.h>
#include <abi/linux/random.h>
#include <abi/linux/sysinfo.h>
#include <abi/linux/utsname.h>
#include <hal/power.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/random.h>
#include <kernel/core/percpu.h>
#include <kernel/core/stop.h>
#include <kernel/debug/leaks.h>
#include <kernel/dev/tty.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/sched.h>
#include <kernel/signal/signal.h>
#include <kernel/syscall/syscall.h>
#include <kernel/task/cred.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/uaccess.h>
#include <lib/printf.h>
#include <lib/string.h>
#include <gen/syscall_protos.h>
#include "trace.h"

/* ---- names ------------------------------------------------------------------------------------- */

#define UTS_RELEASE "6.1.0-halcyon"
#define UTS_VERSION "#1 SMP PREEMPT Halcyon"

static char uts_sysname[] = "Linux", uts_release[] = UTS_RELEASE, uts_version[] = UTS_VERSION; /* [I] */
static struct mutex uts_mutex;
static char uts_nodename[__NEW_UTS_LEN + 1] = "(none)"; /* [uts_mutex] */
static char uts_domainname[__NEW_UTS_LEN + 1] = "(none)"; /* [uts_mutex] */

long sys_uname(uptr_t name)
{
	struct new_utsname u = { .sysname = "Linux", .release = UTS_RELEASE, .version = UTS_VERSION, .machine = "x86_64" };

	mutex_lock(&uts_mutex);
	memcpy(u.nodename, uts_nodename, sizeof(u.nodename));
	memcpy(u.domainname, uts_domainname, sizeof(u.domainname));
	mutex_unlock(&uts_mutex);
	return copy_to_user(name, &u, sizeof(u));
}

static long set_name(char *to, uptr_t name, int len)
{
	char buf[__NEW_UTS_LEN + 1] = { 0 };

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len > __NEW_UTS_LEN)
		return -EINVAL;
	if (copy_from_user(buf, name, (size_t)len))
		return -EFAULT;
	mutex_lock(&uts_mutex);
	memcpy(to, buf, sizeof(buf));
	mutex_unlock(&uts_mutex);
	return 0;
}

long sys_sethostname(uptr_t name, int len)
{
	return set_name(uts_nodename, name, len);
}

long sys_setdomainname(uptr_t name, int len)
{
	return set_name(uts_domainname, name, len);
}

/* ---- state ------------------------------------------------------------------------------------- */

long sys_sysinfo(uptr_t info)
{
	struct sysinfo s = { 0 };
	struct mm_stats m;
	u64 load[3];

	mm_stats(&m);
	sched_loadavg(load);
	s.uptime = (s64)(clock_mono_ns() / NSEC_PER_SEC);
	for (u32 i = 0; i < 3; i++)
		s.loads[i] = load[i] << (SI_LOAD_SHIFT - 11);
	s.totalram = m.total * PAGE_SIZE;
	s.freeram = m.free * PAGE_SIZE;
	s.procs = (u16)task_count();
	s.mem_unit = 1;
	return copy_to_user(info, &s, sizeof(s));
}

long sys_getrandom(uptr_t buf, size_t len, unsigned flags)
{
	u8 chunk[256];
	size_t done = 0;

	if (flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	len = MIN(len, (size_t)0x7fffffff);
	while (done < len) {
		size_t n = MIN(len - done, sizeof(chunk)), left;

		random_bytes(chunk, n);
		might_fault();
		left = hal_copy_to_user(uptr_add(buf, done), chunk, n);
		done += n - left;
		if (left)
			break;
		if (done % 4096 == 0 && signal_pending())
			break;
	}
	memset(chunk, 0, sizeof(chunk));
	return done || !len ? (long)done : -EFAULT;
}

/* ---- the end ----------------------------------------------------------------------------------- */

static bool reboot_magic_ok(u32 magic2)
{
	return magic2 == LINUX_REBOOT_MAGIC2 || magic2 == LINUX_REBOOT_MAGIC2A || magic2 == LINUX_REBOOT_MAGIC2B ||
	       magic2 == LINUX_REBOOT_MAGIC2C;
}

/* For tests, with qemu-exit: the machine leaves QEMU with status 33, and 37 when the debug kernel found leaks. */
#define REBOOT_EXIT_VALUE 0x10u
#define REBOOT_EXIT_LEAKED 0x12u

/* Nothing else runs while the machine ends. */
static void leave_qemu(bool leaked)
{
	stop_others(false);
	if (cmdline_has("qemu-exit"))
		hal_qemu_exit(leaked ? REBOOT_EXIT_LEAKED : REBOOT_EXIT_VALUE);
}

static void end_by_reboot(bool leaked)
{
	leave_qemu(leaked);
	hal_reboot();
}

static void end_by_halt(bool leaked)
{
	leave_qemu(leaked);
	hal_halt();
}

static void end_by_poweroff(bool leaked)
{
	leave_qemu(leaked);
	hal_poweroff();
}

/* The ring of a terminal holds 32 KiB, which a line of 115,200 bit/s sends in less than three seconds. */
#define TTY_PATIENCE_NS (3 * (u64)NSEC_PER_SEC)

static long end_machine(const char *how, void (*end)(bool leaked))
{
	tty_drain_all(TTY_PATIENCE_NS);
	log_notice("%s", how);
	debug_leak_end_machine(end);
	if (signal_fatal_pending())
		return -EINTR; /* the leak check goes on without its caller */
	end(false);
	return 0;
}

long sys_reboot(unsigned magic1, unsigned magic2, unsigned cmd, unsigned long arg)
{
	char command[256];

	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (magic1 != LINUX_REBOOT_MAGIC1 || !reboot_magic_ok(magic2))
		return -EINVAL;
	switch (cmd) {
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0; /* there is no keyboard that could send Ctrl-Alt-Del */
	case LINUX_REBOOT_CMD_RESTART2:
		if (strncpy_from_user(command, uptr(arg), sizeof(command) - 1) < 0)
			return -EFAULT;
		fallthrough;
	case LINUX_REBOOT_CMD_RESTART:
		return end_machine("restarting", end_by_reboot);
	case LINUX_REBOOT_CMD_HALT:
		return end_machine("halted", end_by_halt);
	case LINUX_REBOOT_CMD_POWER_OFF:
		return end_machine("power off", end_by_poweroff);
	default:
		return -EINVAL;
	}
}

long sys_vhangup(void)
{
	if (!capable(CAP_SYS_TTY_CONFIG))
		return -EPERM;
	tty_vhangup_current();
	return 0;
}

/* ---- /proc ------------------------------------------------------------------------------------- */

static int show_version(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "Linux version %s %s\n", UTS_RELEASE, UTS_VERSION);
	return 0;
}

static int show_uptime(struct seq *s, void *arg)
{
	struct sched_stats st;
	u64 up = clock_mono_ns() / 10000000, idle = 0;
	u32 cpu;

	(void)arg;
	for_each_online_cpu(cpu) {
		sched_stats_cpu(cpu, &st);
		idle += st.idle_ns / 10000000;
	}
	seq_printf(s, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / 100), (unsigned long long)(up % 100),
		   (unsigned long long)(idle / 100), (unsigned long long)(idle % 100));
	return 0;
}

static int show_cmdline(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%s\n", cmdline_raw());
	return 0;
}

static int show_name(struct seq *s, void *arg)
{
	mutex_lock(&uts_mutex);
	seq_printf(s, "%s\n", (const char *)arg);
	mutex_unlock(&uts_mutex);
	return 0;
}

static int show_text(struct seq *s, void *arg)
{
	seq_printf(s, "%s\n", (const char *)arg);
	return 0;
}

void syscall_init(void)
{
	mutex_init(&uts_mutex, "uts", LOCK_RANK_SLEEP_LEAF);
	syslog_init();
	trace_init();
	stats_init();
	(void)proc_register("version", 0444, show_version, NULL);
	(void)proc_register("uptime", 0444, show_uptime, NULL);
	(void)proc_register("cmdline", 0444, show_cmdline, NULL);
	(void)proc_register("sys/kernel/hostname", 0444, show_name, uts_nodename);
	(void)proc_register("sys/kernel/domainname", 0444, show_name, uts_domainname);
	(void)proc_register("sys/kernel/ostype", 0444, show_text, uts_sysname);
	(void)proc_register("sys/kernel/osrelease", 0444, show_text, uts_release);
	(void)proc_register("sys/kernel/version", 0444, show_text, uts_version);
}
