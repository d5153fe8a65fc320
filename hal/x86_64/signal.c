/* SPDX-License-Identifier: MIT */
/*
 * Signal frames: struct rt_sigframe on the user stack, and rt_sigreturn(2).
 *
 * Layout, from high to low addresses, as Linux makes it: the red zone of 128 bytes (only on the
 * interrupted stack), the XSAVE area aligned to 64 with its magic words, the rt_sigframe so that RSP is
 * 8 off a multiple of 16, as after a CALL. pretcode is the return address: the C library's call of
 * rt_sigreturn. Without SA_RESTORER there is no frame, because there is no code of ours to return to.
 *
 * Going back trusts nothing. Selectors must be the two of 64-bit user mode, flags are masked, a wild RIP
 * is caught by x86_exit_to_user(), and vector state is copied to kernel memory and checked for all that
 * XRSTOR would fault on. What Linux takes (no state at all, old-style state without the magic words) is
 * taken alike.
 */
#include <abi/linux/sigcontext.h>
#include <hal/signal.h>
#include <hal/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "x86.h"

#define RED_ZONE_BYTES		128
#define XSAVE_ALIGN		64ull
#define XSAVE_HEADER_BYTES	64
#define LEGACY_BYTES		512
#define LEGACY_FEATURES		3ull	/* x87 and SSE */
/*
 * What Linux counts for AT_MINSIGSTKSZ beside the state: its largest frame (the 32-bit one, with its
 * old-style floating-point area), paddings, and the header for 32-bit programs' state. Programs size
 * stacks by it, so the same number is given.
 */
#define LINUX_FRAME_BYTES	(736 + 15 + 63 + 112)

_Static_assert(sizeof(struct rt_sigframe) == 440, "Linux's frame");
_Static_assert(offsetof(struct rt_sigframe, uc) == 8, "Linux's frame");
_Static_assert(offsetof(struct rt_sigframe, info) == 312, "Linux's frame");
_Static_assert(sizeof(struct sigcontext) == 256, "Linux's frame");
_Static_assert(offsetof(struct _fpstate, sw_reserved) == 464, "XSAVE leaves these bytes to software");

u64 hal_minsigstksz(void)
{
	return ALIGN_UP((u64)x86_fpu_bytes + (x86_xcr0 ? sizeof(u32) : 0) + LINUX_FRAME_BYTES, 16ull);
}

/* ---- setting up ---- */

static u64 user_state_bytes(void)
{
	return x86_fpu_bytes + (x86_xcr0 ? sizeof(u32) : 0);
}

/* Where the frame goes; *fp is where the vector state goes. 0: it does not fit the alternate stack. */
static u64 place_frame(const struct hal_regs *regs, const struct hal_signal *s, u64 *fp)
{
	bool armed = !(s->alt_flags & SS_AUTODISARM);
	bool nested = armed && hal_signal_on_stack(regs->rsp, s->alt_sp, s->alt_size);
	bool entering = false;
	u64 sp = regs->rsp - RED_ZONE_BYTES;

	if ((s->sa_flags & SA_ONSTACK) && s->alt_size &&
	    !(armed && hal_signal_on_stack(sp, s->alt_sp, s->alt_size))) {
		sp = s->alt_sp + s->alt_size;
		entering = true;
	}
	*fp = ALIGN_DOWN(sp - user_state_bytes(), XSAVE_ALIGN);
	sp = ALIGN_DOWN(*fp - sizeof(struct rt_sigframe), 16ull) - 8;
	if ((nested || entering) && !hal_signal_on_stack(sp, s->alt_sp, s->alt_size))
		return 0;
	return sp;
}

static int save_state(u64 fp)
{
	struct hal_thread *t = (struct hal_thread *)hal_current();
	struct _fpstate *legacy = t->arch.fpu;
	struct _xstate_header *header = (void *)(legacy + 1);
	irqflags_t f = hal_irq_save();
	u64 features;

	x86_fpu_unload(t);
	hal_irq_restore(f);
	memset(&legacy->sw_reserved, 0, sizeof(legacy->sw_reserved));
	if (x86_xcr0) {
		legacy->sw_reserved.magic1 = FP_XSTATE_MAGIC1;
		legacy->sw_reserved.extended_size = x86_fpu_bytes + (u32)sizeof(u32);
		legacy->sw_reserved.xfeatures = x86_xcr0;
		legacy->sw_reserved.xstate_size = x86_fpu_bytes;
	}
	if (hal_copy_to_user(uptr(fp), legacy, x86_fpu_bytes))
		return -EFAULT;
	if (!x86_xcr0)
		return 0;
	/* Programs that only know the legacy part change it without a look at the header. */
	features = header->xfeatures | LEGACY_FEATURES;
	if (hal_user_store_u64(uptr(fp + LEGACY_BYTES), features))
		return -EFAULT;
	return hal_user_store_u32(uptr(fp + x86_fpu_bytes), FP_XSTATE_MAGIC2);
}

static void fill_sigcontext(struct sigcontext *sc, const struct hal_regs *r, const struct hal_signal *s, u64 fp)
{
	const struct arch_thread *a = &((const struct hal_thread *)hal_current())->arch;

	*sc = (struct sigcontext){
		.r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11,
		.r12 = r->r12, .r13 = r->r13, .r14 = r->r14, .r15 = r->r15,
		.rdi = r->rdi, .rsi = r->rsi, .rbp = r->rbp, .rbx = r->rbx,
		.rdx = r->rdx, .rax = r->rax, .rcx = r->rcx, .rsp = r->rsp,
		.rip = r->rip, .eflags = r->rflags, .cs = (u16)r->cs, .ss = (u16)r->ss,
		.err = a->trap_error, .trapno = a->trap_vector, .oldmask = s->mask, .cr2 = a->trap_addr,
		.fpstate = uptr(fp),
	};
}

static int store_frame(u64 sp, u64 fp, const struct hal_regs *regs, const struct hal_signal *s)
{
	struct rt_sigframe frame;
	size_t bytes = offsetof(struct rt_sigframe, info);

	memset(&frame, 0, sizeof(frame));
	frame.pretcode = uptr(s->restorer);
	frame.uc.uc_flags = (x86_xcr0 ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	frame.uc.uc_stack.ss_sp = uptr(s->alt_sp);
	frame.uc.uc_stack.ss_flags = (s32)(s->alt_size ? s->alt_flags : SS_DISABLE);
	frame.uc.uc_stack.ss_size = s->alt_size;
	fill_sigcontext(&frame.uc.uc_mcontext, regs, s, fp);
	frame.uc.uc_sigmask = s->mask;
	/* As on Linux, only those who asked for siginfo get it. */
	if (s->sa_flags & SA_SIGINFO) {
		memcpy(&frame.info, s->siginfo, sizeof(frame.info));
		bytes = sizeof(frame);
	}
	return hal_copy_to_user(uptr(sp), &frame, bytes) ? -EFAULT : 0;
}

int hal_signal_frame_setup(struct hal_regs *regs, const struct hal_signal *s)
{
	u64 fp, sp = place_frame(regs, s, &fp);
	irqflags_t f;

	if (!sp || !(s->sa_flags & SA_RESTORER))
		return -EFAULT;
	if (save_state(fp) || store_frame(sp, fp, regs, s))
		return -EFAULT;

	regs->rdi = (u64)s->sig;
	regs->rsi = sp + offsetof(struct rt_sigframe, info);
	regs->rdx = sp + offsetof(struct rt_sigframe, uc);
	regs->rax = 0;
	regs->rip = s->handler;
	regs->rsp = sp;
	regs->cs = X86_USER_CS;
	regs->ss = X86_USER_SS;
	regs->rflags &= ~(X86_RFLAGS_DF | X86_RFLAGS_RF | X86_RFLAGS_TF);

	f = hal_irq_save();
	x86_fpu_reset((struct hal_thread *)hal_current());
	hal_work_set((struct hal_thread *)hal_current(), HAL_WORK_FRAME);
	hal_irq_restore(f);
	return 0;
}

/* ---- going back ---- */

/* Do the software bytes and the word behind the area say that all of it is there? -EFAULT: unreadable. */
static int has_extended(u64 fp, bool *extended, u64 *features)
{
	struct _fpx_sw_bytes sw;
	u32 magic2;

	*extended = false;
	if (!x86_xcr0)
		return 0;
	if (hal_copy_from_user(&sw, uptr(fp + offsetof(struct _fpstate, sw_reserved)), sizeof(sw)))
		return -EFAULT;
	if (sw.magic1 != FP_XSTATE_MAGIC1 || sw.xstate_size < LEGACY_BYTES + XSAVE_HEADER_BYTES ||
	    sw.xstate_size > x86_fpu_bytes || sw.xstate_size > sw.extended_size)
		return 0;
	if (hal_user_load_u32(uptr(fp + sw.xstate_size), &magic2))
		return -EFAULT;
	*extended = magic2 == FP_XSTATE_MAGIC2;
	*features = sw.xfeatures & x86_xcr0;
	return 0;
}

/* XRSTOR's own rules (SDM vol. 1 13.8), so that it will not fault. */
static bool state_valid(const struct _fpstate *legacy)
{
	const struct _xstate_header *h = (const void *)(legacy + 1);

	if (legacy->mxcsr & ~x86_mxcsr_mask)
		return false;
	if (!x86_xcr0)
		return true;
	return !(h->xfeatures & ~x86_xcr0) && !h->reserved1[0] && !h->reserved1[1];
}

/*
 * The thread's area is filled while it is in use as "memory is the truth": HAL_WORK_FPU is set first, so
 * a switch in the middle of the copy neither saves over it nor takes it for the registers' contents.
 */
static int restore_state(u64 fp)
{
	struct hal_thread *t = (struct hal_thread *)hal_current();
	struct _fpstate *legacy = t->arch.fpu;
	struct _xstate_header *header = (void *)(legacy + 1);
	irqflags_t f = hal_irq_save();
	bool extended;
	u64 features = 0;
	int err;

	x86_fpu_reset(t);
	hal_irq_restore(f);
	if (!fp)
		return 0;
	err = has_extended(fp, &extended, &features);
	if (err)
		return err;
	if (hal_copy_from_user(legacy, uptr(fp), extended ? x86_fpu_bytes : LEGACY_BYTES))
		goto damaged;
	if (!extended && x86_xcr0)
		header->xfeatures = LEGACY_FEATURES;
	if (!state_valid(legacy))
		goto damaged;
	if (extended)
		header->xfeatures &= features;
	return 0;

damaged:
	f = hal_irq_save();
	x86_fpu_reset(t);
	hal_irq_restore(f);
	return -EFAULT;
}

static int restore_registers(struct hal_regs *r, const struct sigcontext *sc, u64 uc_flags)
{
	u64 ss = sc->ss | 3u;

	/* An old frame, or one made by hand, may hold any SS: without the strict flag it is repaired. */
	if (!(uc_flags & UC_STRICT_RESTORE_SS))
		ss = X86_USER_SS;
	if ((sc->cs | 3) != X86_USER_CS || ss != X86_USER_SS)
		return -EFAULT;
	*r = (struct hal_regs){
		.r8 = sc->r8, .r9 = sc->r9, .r10 = sc->r10, .r11 = sc->r11,
		.r12 = sc->r12, .r13 = sc->r13, .r14 = sc->r14, .r15 = sc->r15,
		.rdi = sc->rdi, .rsi = sc->rsi, .rbp = sc->rbp, .rbx = sc->rbx,
		.rdx = sc->rdx, .rax = sc->rax, .rcx = sc->rcx, .rsp = sc->rsp,
		.rip = sc->rip, .cs = X86_USER_CS, .ss = X86_USER_SS,
		.rflags = (r->rflags & ~X86_SIGRETURN_FLAGS) | (sc->eflags & X86_SIGRETURN_FLAGS),
		.orig_rax = ~0ull,
	};
	return 0;
}

int hal_signal_frame_return(struct hal_regs *regs, struct hal_sigreturn *out)
{
	struct ucontext uc;
	u64 sp = regs->rsp - 8;	/* RET has popped pretcode */

	hal_work_set((struct hal_thread *)hal_current(), HAL_WORK_FRAME);
	if (hal_copy_from_user(&uc, uptr(sp + offsetof(struct rt_sigframe, uc)), sizeof(uc)))
		return -EFAULT;
	out->mask = uc.uc_sigmask;
	out->alt_sp = uc.uc_stack.ss_sp.addr;
	out->alt_size = uc.uc_stack.ss_size;
	out->alt_flags = (u32)uc.uc_stack.ss_flags;
	if (restore_registers(regs, &uc.uc_mcontext, uc.uc_flags))
		return -EFAULT;
	return restore_state(uc.uc_mcontext.fpstate.addr);
}
