/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_ASSERT_H
#define KERNEL_CORE_ASSERT_H

/*
 * What to do when the kernel is wrong. VERIFY() always, ASSERT() in the debug kernel; both panic.
 * Mistakes of user space are never a matter for this header.
 *
 * A panic stops the other CPUs, prints the reason, CPU, thread, registers, a symbolised backtrace, held locks, what a
 * faulting address is, the current process, and the last events and log lines to every console, and then does what
 * `panic=halt|reboot|poweroff|shell` says (halt is the default; docs/debugging.md tells of the shell). With `qemu-exit`
 * it leaves QEMU with PANIC_EXIT_VALUE instead, after the shell.
 */
#include <lib/compiler.h>

struct hal_regs;

/* hal_qemu_exit()'s value after a panic; QEMU's status is then 2 * value + 1. */
#define PANIC_EXIT_VALUE 0x2au

__noreturn void panic(const char *fmt, ...) __printf(1, 2) __cold;
/* The same with the registers of the place that is to blame. */
__noreturn void panic_regs(const struct hal_regs *regs, const char *fmt, ...) __printf(2, 3) __cold;

#if HALCYON_DEBUG
/*
 * A detector found a bug. Panics with the reason; but while a self test captures reports (selftest.h), the reason is
 * written there and the call returns, so the caller goes on as if nothing was wrong. Any context.
 */
void report_bug(const char *fmt, ...) __printf(1, 2) __cold;
#endif

__noreturn void assert_failed(const char *kind, const char *expr, const char *file, int line,
			      const char *func) __cold;

#define VERIFY(x) do {								\
		if (unlikely(!(x)))						\
			assert_failed("VERIFY", #x, __FILE__, __LINE__, __func__);	\
	} while (0)

#if HALCYON_DEBUG
#define ASSERT(x) do {								\
		if (unlikely(!(x)))						\
			assert_failed("ASSERT", #x, __FILE__, __LINE__, __func__);	\
	} while (0)
#else
/* Not evaluated, but compiled. */
#define ASSERT(x) do { if (0 && (x)) {} } while (0)
#endif

/* Logs a warning with a backtrace, once per place. Returns the condition. */
#define warn_once(cond, fmt, ...) __extension__ ({				\
	static bool warned_;							\
	bool warn_hit_ = (cond);						\
	if (unlikely(warn_hit_) && !__atomic_exchange_n(&warned_, true, __ATOMIC_RELAXED)) \
		warn_report(__FILE__, __LINE__, fmt, ##__VA_ARGS__);		\
	warn_hit_; })
void warn_report(const char *file, int line, const char *fmt, ...) __printf(3, 4) __cold;

/* [I] Set by sched: name and id of a thread for the report. buf is never empty. */
extern void (*panic_thread_hook)(char *buf, size_t n);
/* [I] Set by higher layers: more lines for the report (process, space), through log_emit_raw(). */
extern void (*panic_report_hook)(void);
/* [I] Set by mm: does the address lie in the guard page of a kernel stack? Any context. */
extern bool (*panic_guard_hook)(vaddr_t addr);

/* After cmdline_init(): reads panic= and qemu-exit, installs the refcount hook. */
void panic_setup(void);
/* A panic is going on. */
bool panic_active(void);
/* The registers that the report shows, and the address of the page fault that it is about. NULL, false: there are none. */
const struct hal_regs *panic_registers(void);
bool panic_fault_address(vaddr_t *addr);
/* In a panic: what the CPU does now, in a few words, for the report of a panic inside of it. It got so far: it may panic again. */
void panic_doing(const char *what);
/* `qemu-exit` is on the command line. */
bool panic_qemu_exit_wanted(void);

#endif
