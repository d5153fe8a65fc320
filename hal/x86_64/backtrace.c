/* SPDX-License-Identifier: MIT */
/*
 * The unwinder. Frames are linked by RBP: [rbp] the caller's RBP, [rbp + 8] the return address. Below a
 * trap frame stands FRAME_MARK (entry.asm); then what looks like a return address is the interrupted RIP
 * and the registers lie right above.
 *
 * It runs in panics, so it believes nothing: each frame must lie whole inside one stack that is known
 * (the current thread's, the boot stack, this CPU's IST stacks), frames on one stack must go upwards, and
 * every word is read by hal_kernel_load_u64(), which survives a page that is not there.
 */
#include <hal/backtrace.h>
#include <hal/shadow.h>
#include <hal/uaccess.h>
#include <lib/kasan.h>
#include <lib/printf.h>
#include "x86.h"

struct bounds {
	vaddr_t low, high;
};

static bool within(struct bounds b, vaddr_t fp)
{
	return fp >= b.low && fp <= b.high - 16 && b.high - b.low >= 16;
}

/* The stack that holds fp, or low == 0. */
static struct bounds stack_of(vaddr_t fp, const struct hal_thread *t)
{
	struct bounds thread = { 0, 0 };
	struct bounds boot = { (u64)x86_boot_stacks.boot, (u64)x86_boot_stacks.boot + X86_BOOT_STACK_BYTES };
	struct bounds end = { (u64)x86_boot_stacks.panic, (u64)x86_boot_stacks.panic + X86_PANIC_STACK_BYTES };
	struct x86_cpu *cpu = x86_cpus[hal_cpu_id()];

	if (t) {
		thread.low = t->stack_base;
		thread.high = t->stack_base + t->stack_size;
		if (t->stack_size && within(thread, fp))
			return thread;
	}
	if (within(boot, fp))
		return boot;
	if (within(end, fp))
		return end;
	for (unsigned int i = 0; cpu && i < X86_IST_COUNT; i++) {
		struct bounds ist = { (u64)cpu->ist_base[i], (u64)cpu->ist_base[i] + X86_IST_BYTES };

		if (within(ist, fp))
			return ist;
	}
	return (struct bounds){ 0, 0 };
}

static bool is_kernel_text(vaddr_t ip)
{
	extern const u8 __text_start[], __text_end[];

	return ip >= (u64)__text_start && ip < (u64)__text_end;
}

#if HALCYON_KASAN
bool hal_stack_of(vaddr_t sp, vaddr_t *low, vaddr_t *high)
{
	struct bounds b = stack_of(sp & ~15ull, (const struct hal_thread *)hal_current());

	*low = b.low;
	*high = b.high;
	return b.low != 0;
}
#endif

/* Between two frames of one stack nothing but the frames is read, so that this needs no care and no fault handler. */
__no_kasan
unsigned int hal_backtrace_fast(vaddr_t *out, unsigned int max)
{
	const u64 *fp = __builtin_frame_address(0);
	struct bounds stack = stack_of((vaddr_t)fp, (const struct hal_thread *)hal_current());
	unsigned int n = 0;

	while (n < max && stack.low && within(stack, (vaddr_t)fp) && is_kernel_text(fp[1])) {
		out[n++] = fp[1];
		if (fp[0] <= (vaddr_t)fp || fp[0] & 7)
			break;
		fp = (const u64 *)fp[0];
	}
	return n;
}

/* The stack may be another thread's, and go while it is looked at: registers are believed as a copy. */
static bool load_regs(vaddr_t at, struct hal_regs *to)
{
	u64 *word = (u64 *)to;

	for (u32 i = 0; i < sizeof(*to) / sizeof(*word); i++)
		if (!hal_kernel_load_u64(at + i * sizeof(*word), &word[i]))
			return false;
	return true;
}
static_assert(sizeof(struct hal_regs) % sizeof(u64) == 0, "whole words");

static void walk(vaddr_t fp, const struct hal_thread *t, unsigned int left, hal_backtrace_fn fn, void *arg)
{
	struct hal_regs copy;
	u64 next, ip, mark;

	while (left--) {
		struct bounds stack = stack_of(fp, t);
		const struct hal_regs *regs = NULL;

		if (!stack.low || (fp & 7) || !hal_kernel_load_u64(fp, &next) || !hal_kernel_load_u64(fp + 8, &ip))
			return;
		if (fp - 8 >= stack.low && hal_kernel_load_u64(fp - 8, &mark) && mark == X86_FRAME_MARK &&
		    fp + 16 + sizeof(*regs) <= stack.high && load_regs(fp + 16, &copy))
			regs = &copy;
		if (!is_kernel_text(ip) && !regs)
			return;
		if (!fn(ip, regs, arg) || (regs && hal_regs_user_mode(regs)))
			return;
		/* Upwards on one stack; a trap frame may lead from an IST stack to another one. */
		if (next <= fp && !(regs && !within(stack, next)))
			return;
		fp = next;
	}
}

void hal_backtrace(const struct hal_regs *regs, hal_backtrace_fn fn, void *arg)
{
	const struct hal_thread *t = (const struct hal_thread *)hal_current();
	u64 caller;

	if (!regs) {
		walk((vaddr_t)__builtin_frame_address(0), t, HAL_BACKTRACE_MAX, fn, arg);
		return;
	}
	if (!fn(regs->rip, regs, arg) || hal_regs_user_mode(regs))
		return;
	/* A jump to nowhere built no frame: who called is on top of the stack. */
	if (!is_kernel_text(regs->rip) && stack_of(regs->rsp, t).low && hal_kernel_load_u64(regs->rsp, &caller) &&
	    is_kernel_text(caller) && !fn(caller, NULL, arg))
		return;
	walk(regs->rbp, t, HAL_BACKTRACE_MAX - 2, fn, arg);
}

/* Where x86_switch() left off: RBP is the sixth word of what it pushed, RIP the seventh. */
void hal_backtrace_thread(const struct thread *thread, hal_backtrace_fn fn, void *arg)
{
	const struct hal_thread *t = (const struct hal_thread *)thread;
	u64 fp, ip;

	if (!stack_of(t->sp, t).low || !hal_kernel_load_u64(t->sp + 40, &fp) ||
	    !hal_kernel_load_u64(t->sp + 48, &ip))
		return;
	if (fn(ip, NULL, arg))
		walk(fp, t, HAL_BACKTRACE_MAX - 1, fn, arg);
}

/* CALL rel32 is E8h and a distance from the return address. */
vaddr_t hal_call_target(vaddr_t ret)
{
	u64 bytes;

	if (!is_kernel_text(ret - 5) || !is_kernel_text(ret) || !hal_kernel_load_u64(ret - 5, &bytes) ||
	    (bytes & 0xff) != 0xe8)
		return 0;
	return ret + (u64)(s64)(s32)(u32)(bytes >> 8);
}

void hal_regs_print(const struct hal_regs *r, void (*emit)(const char *line, void *arg), void *arg)
{
	char line[128];
	const struct {
		const char *name[3];
		u64 v[3];
	} rows[] = {
		{ { "rax", "rbx", "rcx" }, { r->rax, r->rbx, r->rcx } },
		{ { "rdx", "rsi", "rdi" }, { r->rdx, r->rsi, r->rdi } },
		{ { "rbp", "r8 ", "r9 " }, { r->rbp, r->r8, r->r9 } },
		{ { "r10", "r11", "r12" }, { r->r10, r->r11, r->r12 } },
		{ { "r13", "r14", "r15" }, { r->r13, r->r14, r->r15 } },
		{ { "cr0", "cr2", "cr3" }, { x86_read_cr0(), x86_read_cr2(), x86_read_cr3() } },
	};

	snprintf(line, sizeof(line), "rip %04x:%016llx rsp %04x:%016llx rflags %08llx", (u32)r->cs & 0xffff,
		 (unsigned long long)r->rip, (u32)r->ss & 0xffff, (unsigned long long)r->rsp,
		 (unsigned long long)r->rflags);
	emit(line, arg);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(line, sizeof(line), "%s %016llx %s %016llx %s %016llx", rows[i].name[0],
			 (unsigned long long)rows[i].v[0], rows[i].name[1], (unsigned long long)rows[i].v[1],
			 rows[i].name[2], (unsigned long long)rows[i].v[2]);
		emit(line, arg);
	}
	snprintf(line, sizeof(line), "cr4 %08llx gs base %016llx fs base %016llx", (unsigned long long)x86_read_cr4(),
		 (unsigned long long)x86_rdmsr(X86_MSR_GS_BASE), (unsigned long long)x86_rdmsr(X86_MSR_FS_BASE));
	emit(line, arg);
}
