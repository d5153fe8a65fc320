/* SPDX-License-Identifier: MIT */
#ifndef HAL_BACKTRACE_H
#define HAL_BACKTRACE_H

/*
 * Walks frame pointers, through marked trap frames, and reads nothing outside a stack that it knows.
 */
#include <lib/compiler.h>

struct hal_regs;
struct thread;

/*
 * Calls fn(ip, regs, arg) for each frame, innermost first, at most HAL_BACKTRACE_MAX times. regs of NULL
 * starts at the caller. The second argument of fn is not NULL where a trap frame begins: what it holds
 * was interrupted there. Stops where fn returns false. Any context, NMI and panic included.
 */
#define HAL_BACKTRACE_MAX 64
typedef bool (*hal_backtrace_fn)(vaddr_t ip, const struct hal_regs *regs, void *arg);
void hal_backtrace(const struct hal_regs *regs, hal_backtrace_fn fn, void *arg);

/* The return addresses of the caller's stack, innermost first; stops where another stack begins. Returns how many. Any context. */
unsigned int hal_backtrace_fast(vaddr_t *out, unsigned int max);

/* The same for a thread that does not run; the caller sees to that. */
void hal_backtrace_thread(const struct thread *t, hal_backtrace_fn fn, void *arg);

/*
 * What the direct call in front of a return address calls; 0 when there is none. It tells whether a word on a stack is
 * the return address of a function that has made no frame yet, or makes none. Any context.
 */
vaddr_t hal_call_target(vaddr_t ret);

/* Writes the registers as lines through emit(line, arg). For the panic report. Any context. */
void hal_regs_print(const struct hal_regs *regs, void (*emit)(const char *line, void *arg), void *arg);

/* "page fault", "general protection" … of a vector that upcall_kernel_trap() got. */
const char *hal_trap_name(u32 vector);

#endif
