/* SPDX-License-Identifier: MIT */
/* Backtraces with names. The HAL walks the frames. */
#define LOG_TAG "backtrace"
#include <hal/backtrace.h>
#include <hal/regs.h>
#include <hal/uaccess.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/log.h>
#include <kernel/core/symbols.h>
#include <lib/string.h>

#define BACKTRACE_LINE_MAX 160u
#define MISSING_WORDS 4u	/* of the stack that are looked at: assembly pushes few */

struct backtrace {
	void (*emit)(const char *line, size_t n);	/* or NULL: log at `level` */
	int level;
	u32 depth;
};

static void backtrace_line(struct backtrace *b, const char *line, size_t n)
{
	if (b->emit)
		b->emit(line, n);
	else
		log_printf(b->level, "%s", line);
}

/* Is `caller`'s text before the dot, or all of it, the function that addr lies in? Labels of assembly have a dot. */
static bool in_function(vaddr_t addr, vaddr_t caller)
{
	u64 offset, size;
	const char *name = symbol_lookup(addr, &offset, &size), *of = symbol_lookup(caller, &offset, &size);
	size_t n = of ? strcspn(of, ".") : 0;

	return name && of && strcspn(name, ".") == n && memcmp(name, of, n) == 0;
}

/*
 * A function that was interrupted before it had made its frame, or that makes none (assembly), is missing in the
 * chain of frame pointers: its caller. The return address is then near the stack pointer. A word there is taken for it
 * when the instruction before it calls the very function that was interrupted, and the frame that the frame pointer
 * shows is not that function's; or when it lies in the function whose frame that is. 0: nothing is missing.
 */
static vaddr_t missing_caller(const struct hal_regs *regs)
{
	vaddr_t ip = hal_regs_ip(regs), owner = 0;
	u64 word;

	if (!symbol_is_text(ip))
		return 0;	/* a jump to nowhere: the HAL looks into that */
	if (hal_kernel_load_u64(hal_regs_fp(regs) + 8, &word))
		owner = hal_call_target(word);
	if (owner && in_function(ip, owner))
		return 0;
	for (u32 i = 0; i < MISSING_WORDS; i++) {
		if (!hal_kernel_load_u64(hal_regs_sp(regs) + i * sizeof(word), &word))
			return 0;
		if (hal_call_target(word) && in_function(ip, hal_call_target(word)))
			return word;
		if (!i && owner && hal_call_target(word) && in_function(word, owner))
			return word;
	}
	return 0;
}

static void backtrace_line_at(struct backtrace *b, const char *what, vaddr_t ip, vaddr_t shown)
{
	char line[BACKTRACE_LINE_MAX];
	int n = scnprintf(line, sizeof(line), " #%-2u [%016llx] %s%pS\n", b->depth, (unsigned long long)ip, what,
			  (void *)(uintptr_t)shown);

	backtrace_line(b, line, (size_t)n);
	b->depth++;
}

static bool backtrace_frame(vaddr_t ip, const struct hal_regs *regs, void *arg)
{
	struct backtrace *b = arg;
	char line[BACKTRACE_LINE_MAX];
	vaddr_t caller;
	int n;

	if (regs && hal_regs_user_mode(regs)) {
		n = hal_regs_syscall_nr(regs) < 0 ?
		    scnprintf(line, sizeof(line), " user mode at %016llx\n", (unsigned long long)hal_regs_ip(regs)) :
		    scnprintf(line, sizeof(line), " user mode at %016llx, system call %ld\n",
			      (unsigned long long)hal_regs_ip(regs), hal_regs_syscall_nr(regs));
		backtrace_line(b, line, (size_t)n);
		return false;
	}
	/* A return address may be the first byte behind a call that never returns. */
	backtrace_line_at(b, regs && b->depth ? "interrupted: " : "", ip, regs || !b->depth ? ip : ip - 1);
	caller = regs ? missing_caller(regs) : 0;
	if (caller)
		backtrace_line_at(b, "", caller, caller - 1);
	return true;
}

void backtrace_print(int level)
{
	struct backtrace b = { .level = level };

	hal_backtrace(NULL, backtrace_frame, &b);
}

void backtrace_print_regs(int level, const struct hal_regs *regs)
{
	struct backtrace b = { .level = level };

	hal_backtrace(regs, backtrace_frame, &b);
}

void backtrace_print_thread(int level, const struct thread *t)
{
	struct backtrace b = { .level = level };

	hal_backtrace_thread(t, backtrace_frame, &b);
}

void backtrace_emit(const struct hal_regs *regs, void (*emit)(const char *line, size_t n))
{
	struct backtrace b = { .emit = emit };

	hal_backtrace(regs, backtrace_frame, &b);
}

void backtrace_emit_thread(const struct thread *t, void (*emit)(const char *line, size_t n))
{
	struct backtrace b = { .emit = emit };

	hal_backtrace_thread(t, backtrace_frame, &b);
}
