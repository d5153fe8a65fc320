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
/*
 * Where a CPU is now, the calling one included: it is asked by an NMI and prints itself; waits for that, up to 0.2 s.
 * Any context but NMI and panic.
 */
void backtrace_print_cpu(int level, u32 cpu);
/* All online CPUs, this one first. */
void backtrace_print_all(int level);
/* Through emit, one line with line feed each. regs of NULL: the caller. */
void backtrace_emit(const struct hal_regs *regs, void (*emit)(const char *line, size_t n));
/* Of a thread that is not running. */
void backtrace_emit_thread(const struct thread *t, void (*emit)(const char *line, size_t n));

#endif
