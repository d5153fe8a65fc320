/* SPDX-License-Identifier: MIT */
/*
 * The trace of system calls: a line in the log for each, with decoded arguments and the result.
 *
 *	trace: sh[7] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC, 0) = 3 <0.000012>
 *
 * Who. `trace=` on the command line, or /proc/halcyon/trace later: the named calls of everybody. /proc/PID/trace: all
 * calls of one process (1), and of those that it makes (2). Both lead through task/watch.h to the slow path, so that a
 * call that nobody traces costs what it always costs.
 *
 * When. A line is made when the call returns; one that never does (exit) when it begins. Arguments up to the first that
 * the call fills are printed before it, since the call may change what they point to; the others after it.
 *
 * Where. The log, at level debug: `dmesg` has it, consoles only with `debug` on the command line or dmesg -n 8. The
 * switches need CAP_SYS_ADMIN, as the log may be read by everybody.
 */
#define LOG_TAG "trace"
#include <abi/linux/unistd.h>
#include <hal/clock.h>
#include <hal/regs.h>
#include <hal/thread.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/record.h>
#include <kernel/sched/mutex.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/watch.h>
#include <kernel/vfs/proc.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "trace.h"

#define TRACE_CALLS 512u /* numbers that a set can name */

static struct mutex trace_mutex;
static u64 trace_set[TRACE_CALLS / 64];	/* [trace_mutex] bits read anywhere */
static bool trace_all_calls;		/* [trace_mutex] numbers that are no calls too */

/* ---- a line ------------------------------------------------------------------------------------ */

/* Arguments from i on; stops before the first output unless the call is done. Returns where it stopped. */
static u32 trace_arguments(struct trace_text *t, const struct syscall_info *call, u32 i, const u64 *args, bool done,
			   s64 result)
{
	for (; i < call->args; i++) {
		if (!done && trace_is_output(&call->arg[i]))
			break;
		if (i)
			trace_printf(t, ", ");
		trace_argument(t, call, i, args, done, result);
	}
	return i;
}

static bool returns_address(u64 nr)
{
	return nr == __NR_mmap || nr == __NR_brk || nr == __NR_mremap;
}

static void trace_result(struct trace_text *t, u64 nr, s64 result)
{
	const char *error = result < 0 && result >= -4095 ? trace_errno_name((int)-result) : NULL;

	if (error)
		trace_printf(t, ") = %s %s", result <= -ERESTARTSYS ? "?" : "-1", error);
	else
		trace_printf(t, returns_address(nr) ? ") = 0x%llx" : ") = %lld", (long long)result);
}

static void trace_emit(const struct trace_text *t)
{
	const struct task *me = current_task();
	char name[THREAD_NAME_BYTES];

	log_debug("%s[%d] %s", thread_name_text(&me->thread, name), me->pid->nr, t->text);
}

static void trace_begin(struct trace_text *t, const struct syscall_info *call, u64 nr)
{
	t->n = 0;
	if (call)
		trace_printf(t, "%s(", call->name);
	else
		trace_printf(t, "syscall_%llu(", (unsigned long long)nr);
}

/* The calls that do not come back. */
static bool never_returns(u64 nr)
{
	return nr == __NR_exit || nr == __NR_exit_group;
}

long trace_call(struct hal_regs *regs, u64 nr)
{
	const struct syscall_info *call = nr < syscall_table_size && syscall_info[nr].name ? &syscall_info[nr] : NULL;
	struct trace_text t;
	u64 args[6], begin, us;
	u32 next = 0;
	long result;

	for (u32 i = 0; i < 6; i++)
		args[i] = hal_regs_arg(regs, i);
	trace_begin(&t, call, nr);
	if (call)
		next = trace_arguments(&t, call, 0, args, false, 0);
	if (never_returns(nr)) {
		trace_printf(&t, ") = ?");
		trace_emit(&t);
		return syscall_make(regs, nr);
	}
	begin = hal_clock_ns();
	result = syscall_make(regs, nr);
	us = (hal_clock_ns() - begin) / (u64)NSEC_PER_USEC;
	if (call)
		trace_arguments(&t, call, next, args, true, result);
	trace_result(&t, nr, result);
	trace_printf(&t, " <%llu.%06llu>", (unsigned long long)(us / (u64)USEC_PER_SEC),
		     (unsigned long long)(us % (u64)USEC_PER_SEC));
	trace_emit(&t);
	return result;
}

/* ---- who is traced ----------------------------------------------------------------------------- */

bool trace_wants(const struct task *t, u64 nr)
{
	if (READ_ONCE(t->watch) & WATCH_TRACE)
		return true;
	if (!(READ_ONCE(watch_all) & WATCH_TRACE))
		return false;
	return nr < TRACE_CALLS ? READ_ONCE(trace_set[nr / 64]) >> nr % 64 & 1 : READ_ONCE(trace_all_calls);
}

/* Does a word of the list name that call? %file: has a path; %desc: a descriptor; %signal: a signal or a set of them. */
static bool word_matches(const char *word, size_t n, const struct syscall_info *call)
{
	enum syscall_arg_kind kind = SYSCALL_ARG_SIG;

	if (*word != '%')
		return strlen(call->name) == n && !memcmp(word, call->name, n);
	if (n == 5 && !memcmp(word, "%file", 5))
		kind = SYSCALL_ARG_STR;
	else if (n == 5 && !memcmp(word, "%desc", 5))
		kind = SYSCALL_ARG_FD;
	else if (n != 7 || memcmp(word, "%signal", 7))
		return false;
	for (u32 i = 0; i < call->args; i++)
		if (call->arg[i].kind == kind || (kind == SYSCALL_ARG_SIG && call->arg[i].show == SYSCALL_SHOW_SIGSET))
			return true;
	return false;
}

static int parse_set(const char *text, u64 *set, bool *all)
{
	*all = !strcmp(text, "all");
	memset(set, *all ? 0xff : 0, sizeof(trace_set));
	if (*all || !strcmp(text, "off"))
		return 0;
	while (*text) {
		const char *comma = strchr(text, ',');
		size_t n = comma ? (size_t)(comma - text) : strlen(text);
		bool found = false;

		for (u32 nr = 0; nr < syscall_table_size; nr++)
			if (syscall_info[nr].name && word_matches(text, n, &syscall_info[nr])) {
				set[nr / 64] |= 1ull << nr % 64;
				found = true;
			}
		if (!found)
			return -EINVAL;
		text += n + (comma != NULL);
	}
	return 0;
}

static int trace_choose(const char *text)
{
	u64 set[TRACE_CALLS / 64], any = 0;
	bool all;
	int err = parse_set(text, set, &all);

	if (err)
		return err;
	mutex_lock(&trace_mutex);
	for (u32 i = 0; i < ARRAY_SIZE(set); i++) {
		WRITE_ONCE(trace_set[i], set[i]);
		any |= set[i];
	}
	WRITE_ONCE(trace_all_calls, all);
	watch_change_all(WATCH_TRACE, any ? WATCH_TRACE : 0);
	mutex_unlock(&trace_mutex);
	return 0;
}

static int show_trace(struct seq *s, void *arg)
{
	const char *comma = "";

	(void)arg;
	mutex_lock(&trace_mutex);
	if (trace_all_calls) {
		seq_puts(s, "all");
	} else if (!(watch_all & WATCH_TRACE)) {
		seq_puts(s, "off");
	} else {
		for (u32 nr = 0; nr < syscall_table_size; nr++)
			if (trace_set[nr / 64] >> nr % 64 & 1) {
				seq_printf(s, "%s%s", comma, syscall_info[nr].name);
				comma = ",";
			}
	}
	mutex_unlock(&trace_mutex);
	seq_putc(s, '\n');
	return 0;
}

/* The text of a write without the line feed that echo makes; false: too long. */
bool text_of_write(const char *text, size_t len, char *buf, size_t room)
{
	if (len && text[len - 1] == '\n')
		len--;
	if (len >= room)
		return false;
	memcpy(buf, text, len);
	buf[len] = '\0';
	return true;
}

static int store_trace(void *arg, const char *text, size_t len)
{
	char buf[512];

	(void)arg;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return text_of_write(text, len, buf, sizeof(buf)) ? trace_choose(buf) : -EINVAL;
}

static int show_pid_trace(struct seq *s, struct task *task)
{
	u32 watch = READ_ONCE(task->watch);

	seq_printf(s, "%d\n", !(watch & WATCH_TRACE) ? 0 : watch & WATCH_FOLLOW ? 2 : 1);
	return 0;
}

static int store_pid_trace(struct task *task, const char *text, size_t len)
{
	char buf[4];

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!text_of_write(text, len, buf, sizeof(buf)) || buf[0] < '0' || buf[0] > '2' || buf[1])
		return -EINVAL;
	watch_change_task(task, true, WATCH_TRACE | WATCH_FOLLOW,
			  buf[0] == '0' ? 0 : buf[0] == '1' ? WATCH_TRACE : WATCH_TRACE | WATCH_FOLLOW);
	return 0;
}

static const char *call_name(u64 nr)
{
	return nr < syscall_table_size ? syscall_info[nr].name : NULL;
}

void trace_init(void)
{
	char text[512];

	record_call_name_hook = call_name;
	mutex_init(&trace_mutex, "trace", LOCK_RANK_SLEEP_LEAF);
	VERIFY(syscall_table_size <= TRACE_CALLS);
	(void)proc_register_rw("halcyon/trace", 0644, show_trace, store_trace, NULL);
	(void)proc_pid_register_rw("trace", 0644, PROC_PID_ANY | PROC_PID_TGID_ONLY, show_pid_trace, store_pid_trace);
	if (cmdline_find("trace", text, sizeof(text)) && trace_choose(text))
		log_err("trace=%s: names of system calls, %%file, %%desc, %%signal, all or off", text);
}
