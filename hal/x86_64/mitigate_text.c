/* SPDX-License-Identifier: MIT */
/*
 * What mitigate.c decided, in Linux's words: /proc/cpuinfo's bugs and /sys/devices/system/cpu/vulnerabilities. The words
 * are an interface (administrators' scripts compare them), so they are Linux 6.1's wherever the same thing is done.
 */
#include <lib/printf.h>
#include <lib/string.h>
#include "mitigate.h"

const char *x86_bug_name(enum x86_bug b)
{
	static const char *const names[X86_BUG_COUNT] = {
		[X86_BUG_FXSAVE_LEAK] = "fxsave_leak", [X86_BUG_CLFLUSH_MONITOR] = "clflush_monitor",
		[X86_BUG_SYSRET_SS] = "sysret_ss_attrs", [X86_BUG_NULL_SEG] = "null_seg",
		[X86_BUG_SWAPGS_FENCE] = "swapgs_fence", [X86_BUG_MONITOR] = "monitor", [X86_BUG_AMD_E400] = "amd_e400",
		[X86_BUG_MELTDOWN] = "cpu_meltdown", [X86_BUG_SPECTRE_V1] = "spectre_v1",
		[X86_BUG_SPECTRE_V2] = "spectre_v2", [X86_BUG_SSB] = "spec_store_bypass", [X86_BUG_L1TF] = "l1tf",
		[X86_BUG_MDS] = "mds", [X86_BUG_MSBDS_ONLY] = "msbds_only", [X86_BUG_SWAPGS] = "swapgs",
		[X86_BUG_TAA] = "taa", [X86_BUG_ITLB_MULTIHIT] = "itlb_multihit", [X86_BUG_SRBDS] = "srbds",
		[X86_BUG_MMIO] = "mmio_stale_data", [X86_BUG_MMIO_UNKNOWN] = "mmio_unknown",
		[X86_BUG_RETBLEED] = "retbleed", [X86_BUG_EIBRS_PBRSB] = "eibrs_pbrsb", [X86_BUG_SMT_RSB] = "smt_rsb",
		[X86_BUG_GDS] = "gds", [X86_BUG_SRSO] = "srso", [X86_BUG_DIV0] = "div0", [X86_BUG_RFDS] = "rfds",
		[X86_BUG_BHI] = "bhi", [X86_BUG_IBPB_NO_RET] = "ibpb_no_ret", [X86_BUG_ITS] = "its",
		[X86_BUG_ITS_NATIVE] = "its_native_only", [X86_BUG_TSA] = "tsa", [X86_BUG_VMSCAPE] = "vmscape",
	};

	return names[b];
}

#define HIDDEN		"Unknown: Dependent on hypervisor status"
#define ATTEMPTED	"Vulnerable: Clear CPU buffers attempted, no microcode"
#define CLEARS		"Mitigation: Clear CPU buffers"

struct words {
	const struct x86_mitigate_in *in;
	const struct x86_mitigate *m;
	char *buf;
	size_t n;
};

static void say(const struct words *w, const char *text)
{
	strlcpy(w->buf, text, w->n);
}

/* Buffers are shared by sibling threads: who runs on the other one may look. */
static void say_smt(const struct words *w, const char *text)
{
	const char *smt = w->m->hypervisor ? "Host state unknown" : w->in->smt ? "vulnerable" : "disabled";

	snprintf(w->buf, w->n, "%s; SMT %s", text, smt);
}

static void gds(const struct words *w)
{
	u64 cap = w->in->arch_cap;

	say(w, w->m->hypervisor ? HIDDEN : !(cap & X86_ARCH_GDS_CTRL) ? "Vulnerable: No microcode" :
	    (w->in->mcu_opt_ctrl & X86_MCU_GDS_DIS) ? "Vulnerable" : "Mitigation: Microcode");
}

static void its(const struct words *w)
{
	say(w, "Vulnerable");
}

static void itlb(const struct words *w)
{
	say(w, w->in->leaf1_c & (1u << 5) ? "KVM: Mitigation: VMX disabled" : "KVM: Mitigation: VMX unsupported");
}

static void l1tf(const struct words *w)
{
	say(w, w->m->l1tf_invert ? "Mitigation: PTE Inversion" : "Vulnerable");
}

static void mds(const struct words *w)
{
	const char *text = !w->m->verw ? "Vulnerable" : w->m->md_clear ? CLEARS : ATTEMPTED;

	if (x86_bug(w->m, X86_BUG_MSBDS_ONLY) && !w->m->hypervisor && w->in->smt && w->m->verw)
		snprintf(w->buf, w->n, "%s; SMT mitigated", text);
	else
		say_smt(w, text);
}

static void meltdown(const struct words *w)
{
	say(w, w->m->pti ? "Mitigation: PTI" : "Vulnerable");
}

static void mmio(const struct words *w)
{
	bool flush_l1d = w->in->leaf7_d >> 28 & 1;
	bool clears = (w->in->arch_cap & X86_ARCH_FB_CLEAR) ||
		      (w->m->md_clear && flush_l1d && !(w->in->arch_cap & X86_ARCH_MDS_NO));

	if (x86_bug(w->m, X86_BUG_MMIO_UNKNOWN))
		say(w, "Unknown: No mitigations");
	else
		say_smt(w, !w->m->verw ? "Vulnerable" : clears ? CLEARS : ATTEMPTED);
}

static void rfds(const struct words *w)
{
	say(w, !(w->in->arch_cap & X86_ARCH_RFDS_CLEAR) ? "Vulnerable: No microcode" :
	    w->m->verw ? "Mitigation: Clear Register File" : "Vulnerable");
}

static void retbleed(const struct words *w)
{
	if (w->m->ibpb_entry)
		snprintf(w->buf, w->n, "Mitigation: IBPB; SMT %s", !w->in->smt ? "disabled" :
			 w->m->amd_always_on_stibp ? "enabled with STIBP protection" : "vulnerable");
	else
		say(w, w->m->v2 == X86_V2_IBRS ? "Mitigation: IBRS" :
		    w->m->v2 == X86_V2_EIBRS && w->in->vendor == X86_VENDOR_INTEL ? "Mitigation: Enhanced IBRS" : "Vulnerable");
}

/* IBPB on entry meets it on Zen 1 and 2, which need no microcode for that. */
static void srso(const struct words *w)
{
	bool microcode = w->in->ext21_a >> 28 & 1;

	if (w->m->ibpb_entry && w->in->family < 0x19)
		say(w, "Mitigation: IBPB");
	else
		say(w, microcode || w->in->off ? "Vulnerable" : "Vulnerable, no microcode");
}

static void ssb(const struct words *w)
{
	say(w, w->m->ssbd_prctl ? "Mitigation: Speculative Store Bypass disabled via prctl" : "Vulnerable");
}

/* The barriers are in the code, whatever the command line says. */
static void v1(const struct words *w)
{
	say(w, "Mitigation: usercopy/swapgs barriers and __user pointer sanitization");
}

static const char *stibp_words(const struct words *w)
{
	if (w->m->v2 == X86_V2_EIBRS && w->in->vendor == X86_VENDOR_INTEL)
		return "";
	if (!w->m->user_ibpb && !(w->m->have_stibp && w->m->v2 != X86_V2_NONE))
		return "; STIBP: disabled";
	if (w->m->amd_always_on_stibp && w->m->have_stibp)
		return "; STIBP: always-on";
	return w->m->user_stibp ? "; STIBP: conditional" : w->m->have_stibp ? "" : "; STIBP: disabled";
}

static const char *bhi_words(const struct words *w)
{
	if (!x86_bug(w->m, X86_BUG_BHI))
		return "Not affected";
	if (w->m->v2 == X86_V2_NONE)
		return "Vulnerable";
	if (!(w->in->arch_cap & X86_ARCH_RRSBA) || w->m->rrsba_off)
		return "Retpoline";
	return w->m->bhi_dis ? "BHI_DIS_S" : "Vulnerable";
}

/* PBRSB needs VM exits, and there are none: the bug's name is in /proc/cpuinfo, here it has nothing to attack. */
static void v2(const struct words *w)
{
	static const char *const modes[] = {
		[X86_V2_NONE] = "Vulnerable", [X86_V2_RETPOLINE] = "Mitigation: Retpolines",
		[X86_V2_IBRS] = "Mitigation: IBRS", [X86_V2_EIBRS] = "Mitigation: Enhanced / Automatic IBRS + Retpolines",
	};

	snprintf(w->buf, w->n, "%s%s%s%s; PBRSB-eIBRS: Not affected; BHI: %s", modes[w->m->v2],
		 !w->m->have_ibpb ? "" : w->m->user_ibpb ? "; IBPB: conditional" : "; IBPB: disabled", stibp_words(w),
		 w->m->rsb_fill ? "; RSB filling" : "", bhi_words(w));
}

static void srbds(const struct words *w)
{
	bool control = w->in->leaf7_d >> 9 & 1, rtm = w->in->leaf7_b >> 11 & 1;

	if ((w->in->arch_cap & X86_ARCH_MDS_NO) && !rtm && !x86_bug(w->m, X86_BUG_MMIO))
		say(w, "Mitigation: TSX disabled");
	else
		say(w, w->m->hypervisor ? HIDDEN : !control ? "Vulnerable: No microcode" :
		    (w->in->mcu_opt_ctrl & X86_MCU_RNGDS_DIS) ? "Vulnerable" : "Mitigation: Microcode");
}

static void tsa(const struct words *w)
{
	say(w, !w->m->verw ? "Vulnerable" : w->m->md_clear ? CLEARS : ATTEMPTED);
}

static void taa(const struct words *w)
{
	u64 cap = w->in->arch_cap;
	bool rtm = w->in->leaf7_b >> 11 & 1;

	if (!rtm || (cap & X86_ARCH_TSX_CTRL))
		say(w, "Mitigation: TSX disabled");
	else if (!w->m->verw)
		say(w, "Vulnerable");
	else
		say_smt(w, w->m->md_clear && !(cap & X86_ARCH_MDS_NO) ? CLEARS : ATTEMPTED);
}

static const struct {
	const char *name;
	u64 bugs;
	void (*words)(const struct words *w);
} files[] = {
#define B(b) (1ull << X86_BUG_##b)
	{ "gather_data_sampling", B(GDS), gds },
	{ "indirect_target_selection", B(ITS), its },
	{ "itlb_multihit", B(ITLB_MULTIHIT), itlb },
	{ "l1tf", B(L1TF), l1tf },
	{ "mds", B(MDS), mds },
	{ "meltdown", B(MELTDOWN), meltdown },
	{ "mmio_stale_data", B(MMIO) | B(MMIO_UNKNOWN), mmio },
	{ "reg_file_data_sampling", B(RFDS), rfds },
	{ "retbleed", B(RETBLEED), retbleed },
	{ "spec_rstack_overflow", B(SRSO), srso },
	{ "spec_store_bypass", B(SSB), ssb },
	{ "spectre_v1", B(SPECTRE_V1), v1 },
	{ "spectre_v2", B(SPECTRE_V2), v2 },
	{ "srbds", B(SRBDS), srbds },
	{ "tsa", B(TSA), tsa },
	{ "tsx_async_abort", B(TAA), taa },
	{ "vmscape", B(VMSCAPE), its },
#undef B
};

const char *x86_vulnerability_name(u32 i)
{
	return i < ARRAY_SIZE(files) ? files[i].name : NULL;
}

void x86_vulnerability_text(const struct x86_mitigate_in *in, const struct x86_mitigate *m, u32 i, char *buf, size_t n)
{
	const struct words w = { in, m, buf, n };

	if (m->bugs & files[i].bugs)
		files[i].words(&w);
	else
		say(&w, "Not affected");
}
