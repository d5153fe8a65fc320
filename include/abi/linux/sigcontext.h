/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_SIGCONTEXT_H
#define ABI_LINUX_SIGCONTEXT_H

/*
 * The signal frame of x86-64: what rt_sigreturn(2) expects on the stack. The
 * extended state behind _fpstate is described by sw_reserved.
 */

#include <abi/linux/signal.h>

#define FP_XSTATE_MAGIC1	0x46505853U
#define FP_XSTATE_MAGIC2	0x46505845U
/* uc_flags */
#define UC_FP_XSTATE		0x1
#define UC_SIGCONTEXT_SS	0x2
#define UC_STRICT_RESTORE_SS	0x4

struct _fpx_sw_bytes {
	u32 magic1;		/* FP_XSTATE_MAGIC1 if the rest is valid */
	u32 extended_size;	/* with _fpstate and FP_XSTATE_MAGIC2 */
	u64 xfeatures;
	u32 xstate_size;
	u32 padding[7];
};

struct _fpstate {
	u16 cwd;
	u16 swd;
	u16 twd;
	u16 fop;
	u64 rip;
	u64 rdp;
	u32 mxcsr;
	u32 mxcsr_mask;
	u32 st_space[32];
	u32 xmm_space[64];
	u32 reserved2[12];
	union {
		u32 reserved3[12];
		struct _fpx_sw_bytes sw_reserved;
	};
};

struct _xstate_header {
	u64 xfeatures;
	u64 reserved1[2];
	u64 reserved2[5];
};

static_assert(sizeof(struct _fpstate) == 512, "FXSAVE area");

struct sigcontext {
	u64 r8;
	u64 r9;
	u64 r10;
	u64 r11;
	u64 r12;
	u64 r13;
	u64 r14;
	u64 r15;
	u64 rdi;
	u64 rsi;
	u64 rbp;
	u64 rbx;
	u64 rdx;
	u64 rax;
	u64 rcx;
	u64 rsp;
	u64 rip;
	u64 eflags;
	u16 cs;
	u16 gs;
	u16 fs;
	u16 ss;
	u64 err;
	u64 trapno;
	u64 oldmask;
	u64 cr2;
	uptr_t fpstate;
	u64 reserved1[8];
};

struct ucontext {
	u64 uc_flags;
	uptr_t uc_link;
	stack_t uc_stack;
	struct sigcontext uc_mcontext;
	sigset_t uc_sigmask;
};

struct rt_sigframe {
	uptr_t pretcode;
	struct ucontext uc;
	siginfo_t info;
};

#endif
