/* SPDX-License-Identifier: MIT */
/* Backtraces with names. The HAL walks the frames. */
#define LOG_TAG "backtrace"
#include <hal/backtrace.h>
#include <hal/regs.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/log.h>

#define BACKTRACE_LINE_MAX 160u

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

static bool backtrace_frame(vaddr_t ip, const struct hal_regs *regs, void *arg)
{
	struct backtrace *b = arg;
	char line[BACKTRACE_LINE_MAX];
	int n;

	if (regs && hal_regs_user_mode(regs)) {
		n = scnprintf(line, sizeof(line), " user mode at %016llx\n", (unsigned long long)hal_regs_ip(regs));
		backtrace_line(b, line, (size_t)n);
		return false;
	}
	/* A return address may be the first byte behind a call that never returns. */
	n = scnprintf(line, sizeof(line), " #%-2u [%016llx] %s%pS\n", b->depth, (unsigned long long)ip,
		      regs && b->depth ? "interrupted: " : "", (void *)(uintptr_t)(regs || !b->depth ? ip : ip - 1));
	backtrace_line(b, line, (size_t)n);
	b->depth++;
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
