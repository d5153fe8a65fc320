/* SPDX-License-Identifier: MIT */
/*
 * Signal frames: struct rt_sigframe on the user stack, and rt_sigreturn(2).
 *
 * Layout, from high to low addresses, as Linux makes it: the red zone of 128 bytes (only on the
 * interrupted stack), the XSAVE area aligned to 64 with its magic words, the rt_sigframe so that RSP is
 * 8 off a multiple of 16, as after a CALL. pretcode is the return address: the C library's call of
 * rt_sigreturn. Without SA_RESTORER there is no frame, because there is no code of ours to return to.
 *
 * Both ways go field by field between registers and user memory (user.h), and the vector state by one XSAVE
 * or XRSTOR of user memory (fpu.c): nothing is gathered in the kernel first.
 *
 * Going back trusts nothing. Selectors must be the two of 64-bit user mode, flags are masked, a wild RIP
 * is caught by x86_exit_to_user(), and vector state that XRSTOR refuses ends the program. What Linux takes
 * (no state at all, old-style state without the magic words) is taken alike.
 */
#include <abi/linux/sigcontext.h>
#include <hal/signal.h>
#include <hal/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "user.h"

#define RED_ZONE_BYTES		128
#define XSAVE_ALIGN		64ull
#define FXSAVE_ALIGN		16ull
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

/* Through the thread's area: where XSAVE cannot go to the frame at once, because pages of it are not there yet. */
static noinline int save_state_slow(u64 fp)
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

#define FRAME(field) offsetof(struct rt_sigframe, field)
#define CONTEXT(field) offsetof(struct rt_sigframe, uc.uc_mcontext.field)

_Static_assert(CONTEXT(ss) == CONTEXT(cs) + 6, "the four selectors are one word");
_Static_assert(FRAME(uc.uc_stack.ss_flags) == FRAME(uc.uc_stack.ss_sp) + 8, "sigaltstack(2)");

/* As on Linux, only those who asked for siginfo get it. What no layout of it uses is zeros. */
static int store_siginfo(u64 sp, const void *info)
{
	u64 at = sp + FRAME(info);

	if (hal_copy_to_user(uptr(at), info, SIGINFO_USED_BYTES))
		return -EFAULT;
	return hal_clear_user(uptr(at + SIGINFO_USED_BYTES), sizeof(siginfo_t) - SIGINFO_USED_BYTES) ? -EFAULT : 0;
}

static int store_frame(u64 sp, u64 fp, const struct hal_regs *r, const struct hal_signal *s)
{
	const struct arch_thread *a = &((const struct hal_thread *)hal_current())->arch;

	if (!hal_user_range_ok(uptr(sp), sizeof(struct rt_sigframe)))
		return -EFAULT;
	x86_user_open();
	x86_user_put64(sp, FRAME(pretcode), s->restorer);
	x86_user_put64(sp, FRAME(uc.uc_flags), (x86_xcr0 ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS);
	x86_user_put64(sp, FRAME(uc.uc_link), 0);
	x86_user_put64(sp, FRAME(uc.uc_stack.ss_sp), s->alt_sp);
	x86_user_put64(sp, FRAME(uc.uc_stack.ss_flags), s->alt_size ? s->alt_flags : SS_DISABLE);
	x86_user_put64(sp, FRAME(uc.uc_stack.ss_size), s->alt_size);
	x86_user_put64(sp, CONTEXT(r8), r->r8);
	x86_user_put64(sp, CONTEXT(r9), r->r9);
	x86_user_put64(sp, CONTEXT(r10), r->r10);
	x86_user_put64(sp, CONTEXT(r11), r->r11);
	x86_user_put64(sp, CONTEXT(r12), r->r12);
	x86_user_put64(sp, CONTEXT(r13), r->r13);
	x86_user_put64(sp, CONTEXT(r14), r->r14);
	x86_user_put64(sp, CONTEXT(r15), r->r15);
	x86_user_put64(sp, CONTEXT(rdi), r->rdi);
	x86_user_put64(sp, CONTEXT(rsi), r->rsi);
	x86_user_put64(sp, CONTEXT(rbp), r->rbp);
	x86_user_put64(sp, CONTEXT(rbx), r->rbx);
	x86_user_put64(sp, CONTEXT(rdx), r->rdx);
	x86_user_put64(sp, CONTEXT(rax), r->rax);
	x86_user_put64(sp, CONTEXT(rcx), r->rcx);
	x86_user_put64(sp, CONTEXT(rsp), r->rsp);
	x86_user_put64(sp, CONTEXT(rip), r->rip);
	x86_user_put64(sp, CONTEXT(eflags), r->rflags);
	x86_user_put64(sp, CONTEXT(cs), (r->cs & 0xffff) | r->ss << 48);
	x86_user_put64(sp, CONTEXT(err), a->trap_error);
	x86_user_put64(sp, CONTEXT(trapno), a->trap_vector);
	x86_user_put64(sp, CONTEXT(oldmask), s->mask);
	x86_user_put64(sp, CONTEXT(cr2), a->trap_addr);
	x86_user_put64(sp, CONTEXT(fpstate), fp);
	x86_user_put64(sp, FRAME(uc.uc_sigmask), s->mask);
	x86_user_close();
	return s->sa_flags & SA_SIGINFO ? store_siginfo(sp, s->siginfo) : 0;
fault:
	x86_user_close();
	return -EFAULT;
}

/* The vector state into the frame, and the initial one for the handler. */
static int hand_over_state(struct hal_thread *t, u64 fp)
{
	irqflags_t f = hal_irq_save();
	int err = x86_fpu_save_user(t, fp);

	if (unlikely(err)) {
		hal_irq_restore(f);
		err = save_state_slow(fp);
		if (err)
			return err;
		f = hal_irq_save();
	}
	x86_fpu_reset(t);
	hal_irq_restore(f);
	return 0;
}

/* Exit work leads out through the whole frame: HAL_WORK_FRAME is not needed here. */
int hal_signal_frame_setup(struct hal_regs *regs, const struct hal_signal *s)
{
	struct hal_thread *t = (struct hal_thread *)hal_current();
	u64 fp, sp = place_frame(regs, s, &fp);

	if (!sp || !(s->sa_flags & SA_RESTORER))
		return -EFAULT;
	if (store_frame(sp, fp, regs, s) || hand_over_state(t, fp))
		return -EFAULT;

	regs->rdi = (u64)s->sig;
	regs->rsi = sp + FRAME(info);
	regs->rdx = sp + FRAME(uc);
	regs->rax = 0;
	regs->rip = s->handler;
	regs->rsp = sp;
	regs->cs = X86_USER_CS;
	regs->ss = X86_USER_SS;
	regs->rflags &= ~(X86_RFLAGS_DF | X86_RFLAGS_RF | X86_RFLAGS_TF);
	return 0;
}

/* ---- going back ---- */

/*
 * Do the software bytes and the word behind the area say that all of it is there, and would MXCSR be
 * accepted? -EFAULT: unreadable.
 */
static int has_extended(u64 fp, bool *extended, u64 *features)
{
	u32 mxcsr, magic1, whole, bytes, magic2;
	u64 offered, at;

	*extended = false;
	if (!x86_xcr0)
		return 0;
	if (!hal_user_range_ok(uptr(fp), LEGACY_BYTES))
		return -EFAULT;
	x86_user_open();
	x86_user_get32(fp, offsetof(struct _fpstate, mxcsr), mxcsr);
	x86_user_get32(fp, offsetof(struct _fpstate, sw_reserved.magic1), magic1);
	x86_user_get32(fp, offsetof(struct _fpstate, sw_reserved.extended_size), whole);
	x86_user_get64(fp, offsetof(struct _fpstate, sw_reserved.xfeatures), offered);
	x86_user_get32(fp, offsetof(struct _fpstate, sw_reserved.xstate_size), bytes);
	if (magic1 != FP_XSTATE_MAGIC1 || bytes < LEGACY_BYTES + XSAVE_HEADER_BYTES || bytes > x86_fpu_bytes ||
	    bytes > whole) {
		x86_user_close();
		return 0;
	}
	at = fp + bytes;
	if (!hal_user_range_ok(uptr(at), sizeof(magic2)))
		goto fault;
	x86_user_barrier();
	x86_user_get32(at, 0, magic2);
	x86_user_close();
	/* XRSTOR refuses reserved bits of MXCSR; emulators may load them without a word. */
	if (mxcsr & ~x86_mxcsr_mask)
		return -EFAULT;
	*extended = magic2 == FP_XSTATE_MAGIC2;
	*features = offered & x86_xcr0;
	return 0;
fault:
	x86_user_close();
	return -EFAULT;
}

static void reset_registers(struct hal_thread *t)
{
	irqflags_t f = hal_irq_save();

	x86_fpu_reset(t);
	hal_irq_restore(f);
}

/*
 * The long way: old-style state, or pages that are not there. The thread's area is filled while it is in
 * use as "memory is the truth": HAL_WORK_FPU is set first, so a switch in the middle of the copy neither saves over
 * it nor takes it for the registers' contents. Whether it is valid is for XRSTOR to say, as on the short way: a program
 * may even hand back the compacted format where the CPU knows it (SDM vol. 1 13.8).
 */
static noinline int restore_state_slow(struct hal_thread *t, u64 fp, bool extended, u64 features)
{
	struct _fpstate *legacy = t->arch.fpu;
	struct _xstate_header *header = (void *)(legacy + 1);
	irqflags_t f = hal_irq_save();
	int err;

	x86_fpu_reset_area(t);
	hal_irq_restore(f);
	if (hal_copy_from_user(legacy, uptr(fp), extended ? x86_fpu_bytes : LEGACY_BYTES))
		goto damaged;
	if (!extended && x86_xcr0)
		header->xfeatures = LEGACY_FEATURES;
	if ((legacy->mxcsr & ~x86_mxcsr_mask) || (x86_xcr0 && (header->xfeatures & ~x86_xcr0)))
		goto damaged;
	if (extended)
		header->xfeatures &= features;
	f = hal_irq_save();
	err = x86_fpu_load_area(t);
	hal_irq_restore(f);
	return err;

damaged:
	reset_registers(t);
	return -EFAULT;
}

static int restore_state(u64 fp)
{
	struct hal_thread *t = (struct hal_thread *)hal_current();
	bool extended = false;
	u64 features = 0;
	irqflags_t f;
	int err = fp ? has_extended(fp, &extended, &features) : 0;

	/* Where XRSTOR and FXRSTOR refuse the address, Linux does. */
	if (!err && fp % (extended ? XSAVE_ALIGN : FXSAVE_ALIGN))
		err = -EFAULT;
	if (unlikely(err || !fp)) {
		reset_registers(t);
		return err;
	}
	if (unlikely(!extended))
		return restore_state_slow(t, fp, false, 0);
	f = hal_irq_save();
	err = x86_fpu_load_user(t, fp, features);
	hal_irq_restore(f);
	return unlikely(err) ? restore_state_slow(t, fp, true, features) : 0;
}

/* Both ends of the frame first: what faults then, faults before a register is changed. */
static int restore_registers(struct hal_regs *r, u64 sp, struct hal_sigreturn *out, u64 *fp)
{
	u64 uc_flags, selectors, flags, alt_flags, v;
	u16 cs, ss;

	if (!hal_user_range_ok(uptr(sp), sizeof(struct rt_sigframe)))
		return -EFAULT;
	x86_user_open();
	x86_user_get64(sp, FRAME(uc.uc_flags), uc_flags);
	x86_user_get64(sp, FRAME(uc.uc_sigmask), out->mask);
	x86_user_get64(sp, CONTEXT(cs), selectors);
	cs = (u16)selectors | 3;
	ss = (u16)(selectors >> 48) | 3;
	/* An old frame, or one made by hand, may hold any SS: without the strict flag it is repaired. */
	if (unlikely(cs != X86_USER_CS || (ss != X86_USER_SS && (uc_flags & UC_STRICT_RESTORE_SS))))
		goto fault;
	x86_user_get64(sp, FRAME(uc.uc_stack.ss_sp), out->alt_sp);
	x86_user_get64(sp, FRAME(uc.uc_stack.ss_flags), alt_flags);
	x86_user_get64(sp, FRAME(uc.uc_stack.ss_size), out->alt_size);
	x86_user_get64(sp, CONTEXT(fpstate), *fp);
#define RESTORE(reg)				\
	x86_user_get64(sp, CONTEXT(reg), v);	\
	r->reg = v
	RESTORE(r8);
	RESTORE(r9);
	RESTORE(r10);
	RESTORE(r11);
	RESTORE(r12);
	RESTORE(r13);
	RESTORE(r14);
	RESTORE(r15);
	RESTORE(rdi);
	RESTORE(rsi);
	RESTORE(rbp);
	RESTORE(rbx);
	RESTORE(rdx);
	RESTORE(rax);
	RESTORE(rcx);
	RESTORE(rsp);
	RESTORE(rip);
#undef RESTORE
	x86_user_get64(sp, CONTEXT(eflags), flags);
	x86_user_close();
	out->alt_flags = (u32)alt_flags;
	r->cs = X86_USER_CS;
	r->ss = X86_USER_SS;
	r->rflags = (r->rflags & ~X86_SIGRETURN_FLAGS) | (flags & X86_SIGRETURN_FLAGS);
	r->orig_rax = ~0ull;
	return 0;
fault:
	x86_user_close();
	return -EFAULT;
}

int hal_signal_frame_return(struct hal_regs *regs, struct hal_sigreturn *out)
{
	u64 fp;

	hal_work_set((struct hal_thread *)hal_current(), HAL_WORK_FRAME);
	if (restore_registers(regs, regs->rsp - 8, out, &fp))	/* RET has popped pretcode */
		return -EFAULT;
	return restore_state(fp);
}
