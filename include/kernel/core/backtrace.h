/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_BACKTRACE_H
#define KERNEL_CORE_BACKTRACE_H

/* Symbolised backtraces. Any context. */
#include <lib/compiler.h>

struct hal_regs;
struct thread;

/* To the log at that level, from the caller, or from regs. */
void backtrace_print(int level);
void backtrace_print_regs(int level, const struct hal_regs *regs);
/* Of a thread that is not running. */
void backtrace_print_thread(int level, const struct thread *t);
/* Through emit, one line with line feed each. regs of NULL: the caller. */
void backtrace_emit(const struct hal_regs *regs, void (*emit)(const char *line, size_t n));

#endif
