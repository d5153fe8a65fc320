/* SPDX-License-Identifier: MIT */
/* Watched system calls: between dispatch.c, the trace and the statistics. */
#pragma once

#include <kernel/syscall/syscall.h>

struct hal_regs;
struct task;

/* ---- text ---- */

#define TRACE_TEXT_BYTES 420u /* with name, pid and time it fits one log record */

/* A line in the making. What does not fit is cut. */
struct trace_text {
	u32 n;
	char text[TRACE_TEXT_BYTES];
};

void trace_printf(struct trace_text *t, const char *fmt, ...) __printf(2, 3);

/* trace_names.c. A number by its names: bits with |, what has no name in hex. show: below SYSCALL_SHOW_NAMES. */
void trace_named(struct trace_text *t, enum syscall_show show, u64 value);
/* "ENOENT", also the kernel's own restart codes; NULL: no such error. */
const char *trace_errno_name(int error);
/* "SIGINT" or the number. */
void trace_signal(struct trace_text *t, u64 signal);

/* trace_args.c. One argument. done: the call is over, what it wrote may be read; result counts only then. */
void trace_argument(struct trace_text *t, const struct syscall_info *call, u32 i, const u64 *args, bool done, s64 result);
/* A pointer that is printed after the call, since the call fills it. */
bool trace_is_output(const struct syscall_arg *a);

/* trace.c. Is this call of this thread to be traced? Only for threads with WATCH_TRACE. */
bool trace_wants(const struct task *t, u64 nr);
/* Makes the call, and a line of it. */
long trace_call(struct hal_regs *regs, u64 nr);

/* trace.c. The text of a write to a /proc file, without the line feed that echo makes; false: too long. */
bool text_of_write(const char *text, size_t len, char *buf, size_t room);

/* dispatch.c. Makes the call. */
long syscall_make(struct hal_regs *regs, u64 nr);

/* stats.c. Around each call of a thread with WATCH_COUNT; nr is below syscall_table_size. */
void stats_enter(u64 nr);
void stats_leave(u64 nr, u64 ns, long result);

/* Boot, from syscall_init(). */
void syslog_init(void);
void trace_init(void);
void stats_init(void);
