/* SPDX-License-Identifier: MIT */
/*
 * The end: panic, failed assertions, traps that nothing explains.
 *
 * The first CPU to get here stops all others and writes the report; one that panics meanwhile leaves its reason for it
 * (stop.c). Everything is written straight to the consoles
 * (they may be asked at any time), nothing is waited for, nothing is allocated, no lock is taken.
 *
 * Stages. Report, shell (panic=shell), end. They run on a stack of their own, the panic stack: the one that panicked may
 * be nearly used up, or be the double fault's. A panic inside of a stage says so and goes on from the top of that stack
 * with what comes next: the next part of the report, the shell's next command. So a damaged structure costs what would
 * have been shown of it and no more, and there is always an end: who panics without getting on (PANIC_NESTED_MAX) goes
 * straight to the last stage, and a panic in there halts.
 *
 * What is below needs no lock: only the CPU that won `panic_cpu` touches it.
 */
#define LOG_TAG "panic"
#include <hal/backtrace.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/power.h>
#include <hal/regs.h>
#include <hal/upcall.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/command.h>
#include <kernel/core/log.h>
#include <kernel/core/record.h>
#include <kernel/core/preempt.h>
#include <kernel/core/stop.h>
#include <kernel/core/symbols.h>
#include <lib/refcount.h>
#include <lib/string.h>
#include "panic.h"

#define PANIC_NESTED_MAX 24u	/* more than the report has parts */

enum panic_action { PANIC_HALT, PANIC_REBOOT, PANIC_POWEROFF, PANIC_SHELL };
enum panic_stage { STAGE_REPORT, STAGE_SHELL, STAGE_END };

void (*panic_thread_hook)(char *buf, size_t n);
void (*panic_report_hook)(void);
bool (*panic_guard_hook)(vaddr_t addr);

static u32 panic_cpu;		/* [a] CPU + 1 of the one that panics; 0: none */
static enum panic_action panic_action;	/* [I] */
static u64 panic_delay_ns;	/* [I] before a reboot */
static bool panic_qemu_exit;	/* [I] */

struct panic_facts panic_facts;
static struct hal_regs panic_frame;	/* what panic_facts.regs points to */
static enum panic_stage panic_stage;
static u32 panic_nested;		/* panics inside of the panic since something was done */
static bool panic_telling;		/* a panic inside of the panic is being told */
static char panic_work[80];		/* what is being done: for the panic inside of it */

/* ---- the end ----------------------------------------------------------------------------------- */

static __noreturn void panic_end(void)
{
	if (panic_stage == STAGE_END)
		hal_cpu_halt_forever();	/* the end itself panicked */
	panic_stage = STAGE_END;
	if (panic_qemu_exit)
		hal_qemu_exit(PANIC_EXIT_VALUE);
	switch (panic_action) {
	case PANIC_REBOOT:
		if (panic_delay_ns)
			hal_delay_ns(panic_delay_ns);
		hal_reboot();
	case PANIC_POWEROFF:
		hal_poweroff();
	case PANIC_SHELL:
	case PANIC_HALT:
		break;
	}
	hal_halt();
}

/* The shell is a command of a higher layer; it comes back when it is told to. */
static void run_shell(void)
{
	struct command_io io = { .emit = log_emit_raw, .budget = 1 };
	char word[] = "shell";

	if (command_run(&io, word))
		panic_printf("panic=shell: there is no shell\n");
}

/* On the panic stack: whatever is still to be done. */
static void panic_continue(void)
{
	if (panic_stage == STAGE_REPORT) {
		panic_report_continue();
		panic_stage = STAGE_SHELL;
	}
	if (panic_stage == STAGE_SHELL && panic_action == PANIC_SHELL)
		run_shell();
	panic_end();
}

void panic_doing(const char *what)
{
	if (!panic_active())
		return;
	panic_nested = 0;
	strlcpy(panic_work, what, sizeof(panic_work));
}

/* A panic of the CPU that panics. */
static __noreturn void panic_again(const struct hal_regs *regs, const char *fmt, va_list ap)
{
	static char reason[200];

	if (panic_stage == STAGE_END || ++panic_nested > PANIC_NESTED_MAX)
		panic_end();
	if (!panic_telling) {
		panic_telling = true;
		vscnprintf(reason, sizeof(reason), fmt, ap);
		panic_printf("\n*** panic in panic (%s): %s\n", panic_work, reason);
		backtrace_emit(regs, log_emit_raw);
	}
	panic_telling = false;
	hal_panic_stack_run(panic_continue);
}

/* Interrupts go off for good. Whose panic it is: CPU + 1, 0 when it has become this CPU's only now. */
static u32 panic_enter(void)
{
	u32 me, other;

	hal_irq_disable();
	me = hal_cpu_id() + 1;
	other = cmpxchg(&panic_cpu, 0u, me);
	if (other && other != me)
		return other;
	log_enter_panic();
	record_freeze();
	return other;
}

static __noreturn void panic_with(const struct hal_regs *regs, const char *fmt, va_list ap)
{
	u32 whose = panic_enter();

	if (whose == hal_cpu_id() + 1)
		panic_again(regs, fmt, ap);
	if (whose)
		stop_with_reason(regs, fmt, ap);
	strlcpy(panic_work, "the beginning", sizeof(panic_work));
	panic_frame = *regs;
	panic_facts.regs = &panic_frame;
	stop_others(true);
	vscnprintf(panic_facts.reason, sizeof(panic_facts.reason), fmt, ap);
	hal_panic_stack_run(panic_continue);
}

/* ---- who calls it ------------------------------------------------------------------------------ */

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
static const char *fault_words(u64 error, vaddr_t addr)
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
	if ((error & (HAL_FAULT_PRESENT | HAL_FAULT_CHECK)) && addr < (1ull << 47))
		return "access to user memory outside of a copy";
	if ((error & HAL_FAULT_PRESENT) && (error & HAL_FAULT_WRITE))
		return symbol_is_text(addr) ? "write to kernel text" : "write to read-only memory";
	return "access to unmapped memory";
}

static void note_fault(vaddr_t addr)
{
	if (panic_active())
		return;
	panic_facts.fault = true;
	panic_facts.addr = addr;
}

void upcall_kernel_trap(struct hal_regs *regs, u32 vector, u64 error, vaddr_t addr)
{
	if (vector == HAL_VECTOR_PAGE_FAULT) {
		note_fault(addr);
		panic_regs(regs, "%s: %s at %016llx (error %llx) from %pS", fault_words(error, addr),
			   error & HAL_FAULT_EXEC ? "fetch" : error & HAL_FAULT_CHECK ? "access" :
			   error & HAL_FAULT_WRITE ? "write" : "read",
			   (unsigned long long)addr, (unsigned long long)error,
			   (void *)(uintptr_t)hal_regs_ip(regs));
	}
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

/* ---- set-up ------------------------------------------------------------------------------------ */

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
	else if (strcmp(value, "shell") == 0)
		panic_action = PANIC_SHELL;
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

const struct hal_regs *panic_registers(void)
{
	return panic_facts.regs;
}

bool panic_fault_address(vaddr_t *addr)
{
	*addr = panic_facts.addr;
	return panic_facts.fault;
}
