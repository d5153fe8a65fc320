/* SPDX-License-Identifier: MIT */
#ifndef X86_MITIGATE_H
#define X86_MITIGATE_H

/*
 * What is wrong with this model of CPU, and what the kernel does about it.
 *
 * x86_mitigate_decide() is a pure function from what CPUID and MSRs say and what the command line wants to a set of bugs
 * and a choice per bug; the host tests run it over many models. mitigate_text.c words it as Linux does.
 * mitigate_cpu.c asks the CPU, and does what was chosen.
 */
#include <lib/types.h>

#define X86_MSR_SPEC_CTRL	0x00000048
#define X86_MSR_PRED_CMD	0x00000049
#define X86_MSR_ARCH_CAP	0x0000010a
#define X86_MSR_FLUSH_CMD	0x0000010b
#define X86_MSR_TSX_CTRL	0x00000122
#define X86_MSR_MCU_OPT_CTRL	0x00000123
#define X86_MSR_VIRT_SPEC_CTRL	0xc001011f

#define X86_SPEC_IBRS	(1ull << 0)
#define X86_SPEC_STIBP	(1ull << 1)
#define X86_SPEC_SSBD	(1ull << 2)
#define X86_SPEC_RRSBA_DIS (1ull << 6)
#define X86_SPEC_BHI_DIS (1ull << 10)
#define X86_PRED_IBPB	(1ull << 0)

/* IA32_ARCH_CAPABILITIES (SDM vol. 4). */
#define X86_ARCH_RDCL_NO	(1ull << 0)
#define X86_ARCH_IBRS_ALL	(1ull << 1)
#define X86_ARCH_RSBA		(1ull << 2)
#define X86_ARCH_SSB_NO		(1ull << 4)
#define X86_ARCH_MDS_NO		(1ull << 5)
#define X86_ARCH_PSCHANGE_MC_NO	(1ull << 6)
#define X86_ARCH_TSX_CTRL	(1ull << 7)
#define X86_ARCH_TAA_NO		(1ull << 8)
#define X86_ARCH_SBDR_SSDP_NO	(1ull << 13)
#define X86_ARCH_FBSDP_NO	(1ull << 14)
#define X86_ARCH_PSDP_NO	(1ull << 15)
#define X86_ARCH_FB_CLEAR	(1ull << 17)
#define X86_ARCH_RRSBA		(1ull << 19)
#define X86_ARCH_BHI_NO		(1ull << 20)
#define X86_ARCH_PBRSB_NO	(1ull << 24)
#define X86_ARCH_GDS_CTRL	(1ull << 25)
#define X86_ARCH_GDS_NO		(1ull << 26)
#define X86_ARCH_RFDS_NO	(1ull << 27)
#define X86_ARCH_RFDS_CLEAR	(1ull << 28)
#define X86_ARCH_ITS_NO		(1ull << 62)
#define X86_MCU_RNGDS_DIS	(1ull << 0)
#define X86_MCU_GDS_DIS		(1ull << 4)

/* In the order in which Linux lists them in /proc/cpuinfo. */
enum x86_bug {
	X86_BUG_FXSAVE_LEAK, X86_BUG_CLFLUSH_MONITOR, X86_BUG_SYSRET_SS, X86_BUG_NULL_SEG, X86_BUG_SWAPGS_FENCE,
	X86_BUG_MONITOR, X86_BUG_AMD_E400, X86_BUG_MELTDOWN, X86_BUG_SPECTRE_V1, X86_BUG_SPECTRE_V2, X86_BUG_SSB,
	X86_BUG_L1TF, X86_BUG_MDS, X86_BUG_MSBDS_ONLY, X86_BUG_SWAPGS, X86_BUG_TAA, X86_BUG_ITLB_MULTIHIT, X86_BUG_SRBDS,
	X86_BUG_MMIO, X86_BUG_MMIO_UNKNOWN, X86_BUG_RETBLEED, X86_BUG_EIBRS_PBRSB, X86_BUG_SMT_RSB, X86_BUG_GDS,
	X86_BUG_SRSO, X86_BUG_DIV0, X86_BUG_RFDS, X86_BUG_BHI, X86_BUG_IBPB_NO_RET, X86_BUG_ITS, X86_BUG_ITS_NATIVE,
	X86_BUG_TSA, X86_BUG_VMSCAPE, X86_BUG_COUNT
};

enum x86_vendor { X86_VENDOR_OTHER, X86_VENDOR_INTEL, X86_VENDOR_AMD, X86_VENDOR_HYGON, X86_VENDOR_CENTAUR, X86_VENDOR_ZHAOXIN };

/* Registers as CPUID gives them, 0 where there is no such leaf; MSRs 0 where CPUID does not name them. */
struct x86_mitigate_in {
	enum x86_vendor vendor;
	u32 family, model, stepping;	/* 0 family: no CPUID leaf 1 that means anything */
	u32 leaf1_c, leaf1_d, leaf7_b, leaf7_d, leaf7_2_d;
	u32 ext1_c, ext1_d, ext8_b, ext21_a, ext21_c;
	u32 microcode;
	u64 arch_cap;
	u64 mcu_opt_ctrl;
	bool smt;			/* sibling threads run */
	bool off;			/* mitigations=off */
	s8 pti;				/* 1: pti=on, -1: pti=off or nopti, 0: as the CPU needs */
};

enum x86_v2_mode { X86_V2_NONE, X86_V2_RETPOLINE, X86_V2_IBRS, X86_V2_EIBRS };

struct x86_mitigate {
	u64 bugs;			/* bit per enum x86_bug */
	enum x86_v2_mode v2;
	bool pti;
	bool verw;			/* on every way out to user mode */
	bool ibpb_entry;		/* on every way in */
	bool rsb_fill;			/* when another address space begins to run */
	bool l1tf_invert;		/* entries that are not present hold an address where no memory is */
	bool rrsba_off, bhi_dis;	/* SPEC_CTRL bits that make retpolines enough, or stand in for them */
	bool md_clear;			/* VERW clears by microcode, it is not just tried */
	bool have_ibpb, have_stibp, have_ssbd, have_spec_ctrl, amd_always_on_stibp;
	bool ssbd_prctl;		/* SSBD per thread, by prctl(2) */
	bool user_ibpb;			/* IBPB per thread, by prctl(2) and on switches */
	bool user_stibp;
	bool hypervisor;
};

void x86_mitigate_decide(const struct x86_mitigate_in *in, struct x86_mitigate *out);
static inline bool x86_bug(const struct x86_mitigate *m, enum x86_bug b)
{
	return m->bugs >> b & 1;
}

/* Names for /proc/cpuinfo; the i-th file of /sys/devices/system/cpu/vulnerabilities (NULL past the last) and its text. */
const char *x86_bug_name(enum x86_bug b);
const char *x86_vulnerability_name(u32 i);
void x86_vulnerability_text(const struct x86_mitigate_in *in, const struct x86_mitigate *m, u32 i, char *buf, size_t n);

/* ---- mitigate_cpu.c ---- */
#define X86_HARD	0x01u	/* entry_hard.asm is the way in and out */
#define X86_HARD_IBRS	0x02u
#define X86_HARD_IBPB	0x04u
#define X86_HARD_VERW	0x08u
extern u8 x86_hard;		/* [I] */
extern u8 x86_spec_switch;	/* [I] hal_switch() has MSRs to look after */

struct bootinfo;
struct hal_thread;
/* On the boot CPU, once the handoff is known, before mm makes page tables. */
void x86_mitigate_init(const struct bootinfo *bi);
/* Each CPU, once its features were compared: the MSRs. Interrupts off. */
void x86_mitigate_cpu(void);
/* A CPU that is not started, because a sibling of it is and mitigations=auto,nosmt was given. After x86_mitigate_init(). */
bool x86_mitigate_leaves_out(u32 apic_id);
/* From hal_switch(), interrupts off, when x86_spec_switch is set. */
void x86_spec_switch_to(const struct hal_thread *next);
/* execve(2) of the calling thread. Interrupts off. */
void x86_spec_exec(struct hal_thread *t);
/* This CPU's root register names another user address space. Interrupts off, when x86_space_work is set. */
void x86_space_entered(void);
extern u8 x86_space_work;	/* [I] */

/* Fills the return predictor with addresses that lead nowhere (thunk.asm). Any context. */
void x86_rsb_fill(void);

#endif
