/* SPDX-License-Identifier: MIT */
/*
 * The end: panic, failed assertions, traps that nothing explains.
 *
 * The first CPU to get here writes the report; later ones halt at once. A panic inside of the report ends it with one
 * line and goes on to the action, so that there is always an end: halt, reboot, power off, or QEMU's exit.
 *
 * Everything is written straight to the consoles (they may be asked at any time), nothing is waited for, and
 * nothing is allocated. Buffers are static: the stack may be the double-fault stack, or nearly used up.
 */
#define LOG_TAG "panic"
#include <hal/backtrace.h>
#include <hal/clock.h>
#include <hal/power.h>
#include <hal/regs.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/lockdep.h>
#include <kernel/core/log.h>
#include <kernel/core/preempt.h>
#include <kernel/core/symbols.h>
#include <lib/refcount.h>
#include <lib/string.h>

#define PANIC_LOG_LINES 24u

enum panic_action { PANIC_HALT, PANIC_REBOOT, PANIC_POWEROFF };

void (*panic_stop_others_hook)(void);
void (*panic_thread_hook)(char *buf, size_t n);
void (*panic_report_hook)(void);
bool (*panic_guard_hook)(vaddr_t addr);

static u32 panic_cpu;		/* [a] CPU + 1 of the one that panics; 0: none */
static u32 panic_depth;		/* that CPU's */
static enum panic_action panic_action;	/* [I] */
static u64 panic_delay_ns;	/* [I] before a reboot */
static bool panic_qemu_exit;	/* [I] */
static char panic_reason[320];	/* the panicking CPU's */

/* __printf() does not look into what is only passed on. */
static void emit_format(const char *fmt, ...) __printf(1, 2);
static void emit_format(const char *fmt, ...)
{
	static char line[400];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vscnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_emit_raw(line, (size_t)n);
}

static void emit_regs_line(const char *line, void *arg)
{
	(void)arg;
	emit_format(" %s\n", line);
}

static __noreturn void panic_end(void)
{
	if (panic_qemu_exit)
		hal_qemu_exit(PANIC_EXIT_VALUE);
	switch (panic_action) {
	case PANIC_REBOOT:
		if (panic_delay_ns)
			hal_delay_ns(panic_delay_ns);
		hal_reboot();
	case PANIC_POWEROFF:
		hal_poweroff();
	case PANIC_HALT:
		break;
	}
	hal_halt();
}

static void report_header(void)
{
	static char thread[64] = "no threads yet";
	u64 us = hal_clock_ns() / (u64)NSEC_PER_USEC;

	if (panic_thread_hook && hal_current())
		panic_thread_hook(thread, sizeof(thread));
	emit_format("\n*** kernel panic: %s\n", panic_reason);
	emit_format("cpu %u, thread %s, preempt count %x, %llu.%06llu s after start\n", hal_cpu_id(), thread,
		    hal_preempt_count(), (unsigned long long)(us / (u64)USEC_PER_SEC),
		    (unsigned long long)(us % (u64)USEC_PER_SEC));
	emit_format("command line: %s\n", cmdline_raw());
}

static void panic_report(const struct hal_regs *regs)
{
	report_header();
	emit_format("registers:\n");
	hal_regs_print(regs, emit_regs_line, NULL);
	emit_format("backtrace:\n");
	backtrace_emit(regs, log_emit_raw);
	lock_dep_report(log_emit_raw);
	if (panic_report_hook)
		panic_report_hook();
	emit_format("last log lines:\n");
	log_tail(PANIC_LOG_LINES, log_emit_raw);
	emit_format("*** end of panic report: %s\n", panic_reason);
}

/* Interrupts go off for good. True: this CPU is to write the report. */
static bool panic_enter(void)
{
	u32 me = hal_cpu_id() + 1, other;

	hal_irq_disable();
	other = cmpxchg(&panic_cpu, 0u, me);
	if (other && other != me)
		hal_cpu_halt_forever();
	log_enter_panic();
	return panic_depth++ == 0;
}

static __noreturn void panic_with(const struct hal_regs *regs, const char *fmt, va_list ap)
{
	static char second[200];

	if (!panic_enter()) {
		vscnprintf(second, sizeof(second), fmt, ap);
		if (panic_depth < 5)
			emit_format("\n*** panic in panic: %s\n*** end of panic report: %s\n", second, panic_reason);
		panic_end();
	}
	if (panic_stop_others_hook)
		panic_stop_others_hook();
	vscnprintf(panic_reason, sizeof(panic_reason), fmt, ap);
	panic_report(regs);
	panic_end();
}

void panic(const char *fmt, ...)
{
	struct hal_regs regs;
	va_list ap;

	hal_regs_capture(&regs);
	va_start(ap, fmt);
	panic_with(&regs, fmt, ap);
}

void panic_regs(const struct hal_regs *regs, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	panic_with(regs, fmt, ap);
}

void upcall_panic(const char *fmt, ...)
{
	struct hal_regs regs;
	va_list ap;

	hal_regs_capture(&regs);
	va_start(ap, fmt);
	panic_with(&regs, fmt, ap);
}

void assert_failed(const char *kind, const char *expr, const char *file, int line, const char *func)
{
	panic("%s(%s) failed in %s at %s:%d", kind, expr, func, file, line);
}

/* What a page fault of the kernel most likely means, as people would say it. */
static const char *fault_words(const struct hal_regs *regs, u64 error, vaddr_t addr)
{
	if (panic_guard_hook && panic_guard_hook(addr))
		return "kernel stack overflow";
	if (error & HAL_FAULT_RESERVED)
		return "damaged page table";
	if (error & HAL_FAULT_EXEC)
		return addr < 4096 ? "jump to null" :
		       addr < (1ull << 47) ? "execution of user memory" : "execution of data";
	if (addr < 4096)
		return "null pointer dereference";
	if ((error & HAL_FAULT_PRESENT) && addr < (1ull << 47))
		return "access to user memory outside of a copy";
	if ((error & HAL_FAULT_PRESENT) && (error & HAL_FAULT_WRITE))
		return symbol_is_text(addr) ? "write to kernel text" : "write to read-only memory";
	(void)regs;
	return "access to unmapped memory";
}

void upcall_kernel_trap(struct hal_regs *regs, u32 vector, u64 error, vaddr_t addr)
{
	if (vector == HAL_VECTOR_PAGE_FAULT)
		panic_regs(regs, "%s: %s at %016llx (error %llx) from %pS", fault_words(regs, error, addr),
			   error & HAL_FAULT_EXEC ? "fetch" : error & HAL_FAULT_WRITE ? "write" : "read",
			   (unsigned long long)addr, (unsigned long long)error,
			   (void *)(uintptr_t)hal_regs_ip(regs));
	if (panic_guard_hook && (panic_guard_hook(hal_regs_sp(regs) - 8) || panic_guard_hook(addr)))
		panic_regs(regs, "kernel stack overflow: %s in %pS", hal_trap_name(vector),
			   (void *)(uintptr_t)hal_regs_ip(regs));
	panic_regs(regs, "kernel trap %u (%s, error %llx, address %016llx) in %pS", vector, hal_trap_name(vector),
		   (unsigned long long)error, (unsigned long long)addr, (void *)(uintptr_t)hal_regs_ip(regs));
}

/* The compiler calls it where a function finds its canary changed. */
__noreturn void __stack_chk_fail(void);
__noreturn __used void __stack_chk_fail(void)
{
	panic("stack canary of %pS was overwritten", __builtin_return_address(0));
}

void warn_report(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	log_warn("warning at %s:%d", file, line);
	va_start(ap, fmt);
	log_vprintf(LOG_WARNING, fmt, ap);
	va_end(ap);
	backtrace_print(LOG_WARNING);
}

static void refcount_fault(refcount_t *r, enum refcount_fault what)
{
	static const char *const words[] = {
		[REFCOUNT_GET_FROM_ZERO] = "taken from zero",
		[REFCOUNT_OVERFLOW] = "overflow",
		[REFCOUNT_UNDERFLOW] = "underflow",
	};

#if HALCYON_DEBUG
	panic("reference count %p: %s", (void *)r, words[what]);
#else
	log_err("reference count %p: %s; the object is kept for ever", (void *)r, words[what]);
	backtrace_print(LOG_ERR);
#endif
}

/* Linux's panic=N (seconds, negative: at once) is understood too. */
void panic_setup(void)
{
	char value[16];
	s64 seconds;

	panic_qemu_exit = cmdline_has("qemu-exit");
	refcount_fault_hook = refcount_fault;
	if (!cmdline_find("panic", value, sizeof(value)))
		return;
	if (strcmp(value, "reboot") == 0)
		panic_action = PANIC_REBOOT;
	else if (strcmp(value, "poweroff") == 0)
		panic_action = PANIC_POWEROFF;
	else if (parse_s64(value, 10, &seconds, NULL) == 0 && seconds != 0) {
		panic_action = PANIC_REBOOT;
		panic_delay_ns = seconds > 0 ? (u64)MIN(seconds, 3600ll) * (u64)NSEC_PER_SEC : 0;
	}
}

bool panic_active(void)
{
	return READ_ONCE(panic_cpu) != 0;
}

bool panic_qemu_exit_wanted(void)
{
	return panic_qemu_exit;
}
