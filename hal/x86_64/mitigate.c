/* SPDX-License-Identifier: MIT */
/*
 * Which of the known speculation bugs a CPU has, and what is done about each: a pure function (mitigate.h).
 *
 * A CPU tells by bits of CPUID and IA32_ARCH_CAPABILITIES that a bug is not there; that is believed. Of older ones the
 * model numbers are known: `immune` lists models that never had a bug, `affected` those that have one that most do not.
 * What is in neither is taken for affected by the general bugs. A guest of a hypervisor is told little: what
 * could hide under it counts as there (BHI, ITS), as on Linux, whose bug names and order these are.
 *
 * Choices differ from Linux where our code does: retpolines are compiled in, so they stay below enhanced IBRS; returns have
 * no thunks, so RETBleed on AMD is met by IBPB on entry, and what only such thunks meet (SRSO on Zen 3 and 4, ITS) stays
 * vulnerable and is shown so. There are no virtual machines here, so bugs of VM exits have nothing to attack.
 */
#include <lib/compiler.h>
#include "mitigate.h"

#define NO_SPECULATION	0x0001u
#define NO_MELTDOWN	0x0002u
#define NO_SSB		0x0004u
#define NO_L1TF		0x0008u
#define NO_MDS		0x0010u
#define MSBDS_ONLY	0x0020u
#define NO_SWAPGS	0x0040u
#define NO_ITLB		0x0080u
#define NO_SPECTRE_V2	0x0100u
#define NO_MMIO		0x0200u
#define NO_PBRSB	0x0400u
#define NO_BHI		0x0800u

#define SRBDS		0x0001u
#define MMIO		0x0002u
#define MMIO_SBDS	0x0004u
#define RETBLEED	0x0008u
#define SMT_RSB		0x0010u
#define SRSO		0x0020u
#define GDS		0x0040u
#define RFDS		0x0080u
#define ITS		0x0100u
#define ITS_NATIVE	0x0200u
#define TSA		0x0400u

#define ANY 0xffu	/* every model */

struct model {
	u8 vendor, family, model;
	u16 what;
	u8 last_stepping;	/* of these; 0xff: all */
};

#define INTEL(m, w)	{ X86_VENDOR_INTEL, 6, m, w, ANY }
#define INTEL_UPTO(m, s, w) { X86_VENDOR_INTEL, 6, m, w, s }
#define AMD(f, w)	{ X86_VENDOR_AMD, f, ANY, w, ANY }
#define OLD_AMD		(NO_MELTDOWN | NO_SSB | NO_L1TF | NO_MDS | NO_SWAPGS | NO_ITLB | NO_MMIO | NO_PBRSB | NO_BHI)
#define ANY_AMD		(OLD_AMD & ~NO_SSB)
#define SILVERMONT	(NO_SSB | NO_L1TF | MSBDS_ONLY | NO_SWAPGS | NO_ITLB)
#define GOLDMONT	(NO_MDS | NO_L1TF | NO_SWAPGS | NO_ITLB | NO_MMIO)

static const struct model immune[] = {
	{ X86_VENDOR_INTEL, 5, ANY, NO_SPECULATION, ANY }, { X86_VENDOR_CENTAUR, 5, ANY, NO_SPECULATION, ANY },
	/* Bonnell and Saltwell execute in order. */
	INTEL(0x1c, NO_SPECULATION | NO_ITLB), INTEL(0x26, NO_SPECULATION | NO_ITLB), INTEL(0x27, NO_SPECULATION | NO_ITLB),
	INTEL(0x35, NO_SPECULATION | NO_ITLB), INTEL(0x36, NO_SPECULATION | NO_ITLB),
	INTEL(0x37, SILVERMONT), INTEL(0x4a, SILVERMONT), INTEL(0x4c, SILVERMONT), INTEL(0x4d, SILVERMONT),
	INTEL(0x57, SILVERMONT), INTEL(0x85, SILVERMONT),	/* Xeon Phi */
	INTEL(0x5a, SILVERMONT & ~NO_SSB), INTEL(0x75, NO_L1TF | NO_SWAPGS | NO_ITLB),
	INTEL(0x0e, NO_SSB),					/* Yonah */
	INTEL(0x5c, GOLDMONT), INTEL(0x5f, GOLDMONT), INTEL(0x7a, GOLDMONT | NO_PBRSB),
	INTEL(0x96, NO_PBRSB), INTEL(0x9c, NO_PBRSB), INTEL(0x86, NO_ITLB | NO_PBRSB),	/* Tremont */
	AMD(0x0f, OLD_AMD), AMD(0x10, OLD_AMD), AMD(0x11, OLD_AMD), AMD(0x12, OLD_AMD), AMD(ANY, ANY_AMD),
	{ X86_VENDOR_HYGON, ANY, ANY, ANY_AMD, ANY },
	{ X86_VENDOR_CENTAUR, 7, ANY, NO_SPECTRE_V2 | NO_SWAPGS | NO_MMIO | NO_BHI, ANY },
	{ X86_VENDOR_ZHAOXIN, 7, ANY, NO_SPECTRE_V2 | NO_SWAPGS | NO_MMIO | NO_BHI, ANY },
};

#define SKYLAKE		(SRBDS | MMIO | RETBLEED | GDS)
#define ICELAKE_SERVER	(MMIO | GDS | ITS | ITS_NATIVE)

/* The first line that fits counts, so a line for some steppings stands before the one for all. */
static const struct model affected[] = {
	INTEL(0x3a, SRBDS), INTEL(0x3c, SRBDS), INTEL(0x45, SRBDS), INTEL(0x46, SRBDS), INTEL(0x3f, MMIO),
	INTEL(0x3d, SRBDS), INTEL(0x47, SRBDS), INTEL(0x4f, MMIO), INTEL(0x56, MMIO),
	INTEL(0x4e, SKYLAKE), INTEL(0x5e, SKYLAKE),
	INTEL_UPTO(0x55, 5, MMIO | RETBLEED | GDS), INTEL(0x55, MMIO | RETBLEED | GDS | ITS),
	INTEL_UPTO(0x8e, 0xb, SKYLAKE), INTEL(0x8e, SKYLAKE | ITS),
	INTEL_UPTO(0x9e, 0xc, SKYLAKE), INTEL(0x9e, SKYLAKE | ITS),
	INTEL(0x66, RETBLEED),
	INTEL(0x7e, MMIO | MMIO_SBDS | RETBLEED | GDS | ITS | ITS_NATIVE),
	INTEL(0x6a, ICELAKE_SERVER), INTEL(0x6c, ICELAKE_SERVER),
	INTEL(0xa5, MMIO | MMIO_SBDS | RETBLEED | GDS | ITS),
	INTEL_UPTO(0xa6, 0, MMIO | RETBLEED | GDS | ITS), INTEL(0xa6, MMIO | MMIO_SBDS | RETBLEED | GDS | ITS),
	INTEL(0x8c, GDS | ITS | ITS_NATIVE), INTEL(0x8d, GDS | ITS | ITS_NATIVE),
	INTEL(0x8a, MMIO | MMIO_SBDS | RETBLEED), INTEL(0xa7, MMIO | RETBLEED | GDS | ITS | ITS_NATIVE),
	INTEL(0x97, RFDS), INTEL(0x9a, RFDS), INTEL(0xb7, RFDS), INTEL(0xba, RFDS), INTEL(0xbe, RFDS), INTEL(0xbf, RFDS),
	INTEL(0x96, MMIO | MMIO_SBDS | RFDS), INTEL(0x86, MMIO | RFDS), INTEL(0x9c, MMIO | MMIO_SBDS | RFDS),
	INTEL(0x5c, RFDS), INTEL(0x5f, RFDS), INTEL(0x7a, RFDS),
	AMD(0x15, RETBLEED), AMD(0x16, RETBLEED), AMD(0x17, RETBLEED | SMT_RSB | SRSO), AMD(0x19, SRSO | TSA),
	{ X86_VENDOR_HYGON, 0x18, ANY, RETBLEED | SMT_RSB | SRSO, ANY },
};

static u32 find(const struct x86_mitigate_in *in, const struct model *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct model *m = &list[i];

		if (m->vendor == in->vendor && (m->family == ANY || m->family == in->family) &&
		    (m->model == ANY || m->model == in->model) && (m->last_stepping == ANY || in->stepping <= m->last_stepping))
			return m->what;
	}
	return 0;
}

#define BIT_OF(reg, n) ((in->reg >> (n) & 1) != 0)

static bool is_amd(const struct x86_mitigate_in *in)
{
	return in->vendor == X86_VENDOR_AMD || in->vendor == X86_VENDOR_HYGON;
}

static void set(struct x86_mitigate *m, enum x86_bug bug, bool is)
{
	if (is)
		m->bugs |= 1ull << bug;
}

/* Errata that programs may see in /proc/cpuinfo; speculation has no part in them. */
static void find_errata(const struct x86_mitigate_in *in, struct x86_mitigate *m)
{
	bool zen1 = in->vendor == X86_VENDOR_AMD && in->family == 0x17 &&
		    (in->model <= 0x2f || (in->model >= 0x50 && in->model <= 0x5f));
	bool zen2_native = in->family == 0x17 && in->model >= 0x30 && !m->hypervisor;

	if (is_amd(in)) {
		set(m, X86_BUG_FXSAVE_LEAK, !BIT_OF(ext8_b, 2));
		set(m, X86_BUG_SYSRET_SS, true);
		set(m, X86_BUG_NULL_SEG, !BIT_OF(ext21_a, 6) && !zen2_native);
		set(m, X86_BUG_SWAPGS_FENCE, in->family == 0x0f);
		set(m, X86_BUG_AMD_E400, (in->family == 0x0f && (in->model > 0x41 || (in->model == 0x41 && in->stepping >= 2))) ||
		    (in->family == 0x10 && (in->model > 2 || (in->model == 2 && in->stepping >= 1))));
		set(m, X86_BUG_DIV0, zen1);
		set(m, X86_BUG_IBPB_NO_RET, in->vendor == X86_VENDOR_AMD && BIT_OF(ext8_b, 12) && !BIT_OF(ext8_b, 30));
	}
	if (in->vendor == X86_VENDOR_INTEL && in->family == 6) {
		set(m, X86_BUG_CLFLUSH_MONITOR, in->model == 0x1d || in->model == 0x2e || in->model == 0x2f);
		set(m, X86_BUG_MONITOR, in->model == 0x5c);
	}
}

static bool has_its(const struct x86_mitigate_in *in, const struct x86_mitigate *m, u32 bad)
{
	if ((in->arch_cap & X86_ARCH_ITS_NO) || in->vendor != X86_VENDOR_INTEL || BIT_OF(leaf7_2_d, 4))
		return false;
	return m->hypervisor || (bad & ITS);
}

/* MMIO: three ways of leaking, and CPUs that have none of them say so for each. */
static void find_mmio(const struct x86_mitigate_in *in, struct x86_mitigate *m, u32 good, u32 bad)
{
	u64 all = X86_ARCH_FBSDP_NO | X86_ARCH_PSDP_NO | X86_ARCH_SBDR_SSDP_NO;

	if ((in->arch_cap & all) == all)
		return;
	set(m, X86_BUG_MMIO, bad & MMIO);
	set(m, X86_BUG_MMIO_UNKNOWN, !(bad & MMIO) && !(good & NO_MMIO));
}

static bool has_eibrs(const struct x86_mitigate_in *in)
{
	return (in->arch_cap & X86_ARCH_IBRS_ALL) || (is_amd(in) && BIT_OF(ext21_a, 8));
}

static bool has_rtm(const struct x86_mitigate_in *in)
{
	return BIT_OF(leaf7_b, 11) && !(in->arch_cap & X86_ARCH_TSX_CTRL);	/* mitigate_cpu.c switches it off */
}

static void find_bugs(const struct x86_mitigate_in *in, struct x86_mitigate *m)
{
	u32 good = find(in, immune, ARRAY_SIZE(immune)), bad = find(in, affected, ARRAY_SIZE(affected));
	u64 cap = in->arch_cap;

	set(m, X86_BUG_ITLB_MULTIHIT, !(good & NO_ITLB) && !(cap & X86_ARCH_PSCHANGE_MC_NO));
	if (good & NO_SPECULATION)
		return;
	set(m, X86_BUG_SPECTRE_V1, true);
	set(m, X86_BUG_SPECTRE_V2, !(good & NO_SPECTRE_V2));
	set(m, X86_BUG_SSB, !(good & NO_SSB) && !(cap & X86_ARCH_SSB_NO) && !BIT_OF(ext8_b, 26));
	set(m, X86_BUG_EIBRS_PBRSB, has_eibrs(in) && !(good & NO_PBRSB) && !(cap & X86_ARCH_PBRSB_NO));
	set(m, X86_BUG_MDS, !(good & NO_MDS) && !(cap & X86_ARCH_MDS_NO));
	set(m, X86_BUG_MSBDS_ONLY, x86_bug(m, X86_BUG_MDS) && (good & MSBDS_ONLY));
	set(m, X86_BUG_SWAPGS, !(good & NO_SWAPGS));
	set(m, X86_BUG_TAA, !(cap & X86_ARCH_TAA_NO) && (BIT_OF(leaf7_b, 11) || (cap & X86_ARCH_TSX_CTRL)));
	set(m, X86_BUG_SRBDS, (BIT_OF(leaf1_c, 30) || BIT_OF(leaf7_b, 18)) && (bad & (SRBDS | MMIO_SBDS)));
	find_mmio(in, m, good, bad);
	set(m, X86_BUG_RETBLEED, !BIT_OF(ext8_b, 29) && ((bad & RETBLEED) || (cap & X86_ARCH_RSBA)));
	set(m, X86_BUG_SMT_RSB, bad & SMT_RSB);
	set(m, X86_BUG_SRSO, !BIT_OF(ext21_a, 29) && (bad & SRSO));
	set(m, X86_BUG_GDS, (bad & GDS) && !(cap & X86_ARCH_GDS_NO) && BIT_OF(leaf1_c, 28));
	set(m, X86_BUG_RFDS, !(cap & X86_ARCH_RFDS_NO) && ((cap & X86_ARCH_RFDS_CLEAR) || (bad & RFDS)));
	set(m, X86_BUG_BHI, !(good & NO_BHI) && !(cap & X86_ARCH_BHI_NO) && (has_eibrs(in) || m->hypervisor));
	set(m, X86_BUG_ITS, has_its(in, m, bad));
	set(m, X86_BUG_ITS_NATIVE, x86_bug(m, X86_BUG_ITS) && (bad & ITS_NATIVE));
	set(m, X86_BUG_TSA, (bad & TSA) && (in->ext21_c & 6) != 6);
	if ((good & NO_MELTDOWN) || (cap & X86_ARCH_RDCL_NO))
		return;
	set(m, X86_BUG_MELTDOWN, true);
	set(m, X86_BUG_L1TF, !(good & NO_L1TF));
}

/* Intel: one bit for IBRS and IBPB; AMD: one each. */
static void find_controls(const struct x86_mitigate_in *in, struct x86_mitigate *m)
{
	bool ibrs_intel = BIT_OF(leaf7_d, 26);

	m->have_ibpb = ibrs_intel || BIT_OF(ext8_b, 12);
	m->have_stibp = BIT_OF(leaf7_d, 27) || BIT_OF(ext8_b, 15);
	m->have_ssbd = BIT_OF(leaf7_d, 31) || BIT_OF(ext8_b, 24);
	m->amd_always_on_stibp = BIT_OF(ext8_b, 17);
	m->have_spec_ctrl = ibrs_intel || BIT_OF(leaf7_d, 27) || BIT_OF(leaf7_d, 31) || BIT_OF(ext8_b, 14) ||
			    BIT_OF(ext8_b, 15) || BIT_OF(ext8_b, 24);
	m->md_clear = BIT_OF(leaf7_d, 10) || (is_amd(in) && BIT_OF(ext21_a, 5));
}

static enum x86_v2_mode choose_v2(const struct x86_mitigate_in *in, const struct x86_mitigate *m)
{
	if (!x86_bug(m, X86_BUG_SPECTRE_V2))
		return X86_V2_NONE;
	if (has_eibrs(in))
		return X86_V2_EIBRS;
	if (x86_bug(m, X86_BUG_RETBLEED) && in->vendor == X86_VENDOR_INTEL && BIT_OF(leaf7_d, 26))
		return X86_V2_IBRS;
	return X86_V2_RETPOLINE;
}

void x86_mitigate_decide(const struct x86_mitigate_in *in, struct x86_mitigate *out)
{
	*out = (struct x86_mitigate){ .hypervisor = in->leaf1_c >> 31 };
	find_errata(in, out);
	find_bugs(in, out);
	find_controls(in, out);
	out->pti = in->pti > 0 || (in->pti == 0 && !in->off && x86_bug(out, X86_BUG_MELTDOWN));
	out->l1tf_invert = true;	/* the page-table codecs know no other way */
	if (in->off)
		return;
	out->v2 = choose_v2(in, out);
	out->rsb_fill = out->v2 != X86_V2_NONE;
	/* Enhanced IBRS may let returns be guessed from the branch history; retpolines are returns. */
	out->rrsba_off = out->v2 != X86_V2_NONE && (in->arch_cap & X86_ARCH_RRSBA) && BIT_OF(leaf7_2_d, 2);
	out->bhi_dis = x86_bug(out, X86_BUG_BHI) && (in->arch_cap & X86_ARCH_RRSBA) && !out->rrsba_off && BIT_OF(leaf7_2_d, 4);
	out->ssbd_prctl = x86_bug(out, X86_BUG_SSB) && out->have_ssbd;
	out->user_ibpb = out->v2 != X86_V2_NONE && out->have_ibpb;
	/* Enhanced IBRS keeps siblings apart by itself; AMD's automatic one does not. */
	out->user_stibp = out->v2 != X86_V2_NONE && out->have_stibp && in->smt &&
			  (out->v2 != X86_V2_EIBRS || is_amd(in)) && !out->amd_always_on_stibp;
	out->ibpb_entry = x86_bug(out, X86_BUG_RETBLEED) && is_amd(in) && out->have_ibpb;
	out->verw = x86_bug(out, X86_BUG_MDS) || x86_bug(out, X86_BUG_MMIO) || x86_bug(out, X86_BUG_TSA) ||
		    (x86_bug(out, X86_BUG_TAA) && has_rtm(in)) ||
		    (x86_bug(out, X86_BUG_RFDS) && (in->arch_cap & X86_ARCH_RFDS_CLEAR));
}
