/* SPDX-License-Identifier: MIT */
/*
 * Every CPU like the boot CPU.
 *
 * Programs move between CPUs, and so does the kernel, so what changes the meaning of an instruction or of an address must
 * be equal. What can be set is set: PAT, EFER, CR0, CR4, TSC_ADJUST. Features are compared; a CPU that lacks one which the
 * boot CPU has, and which programs may have found by then, cannot take part. One that has more is no harm.
 *
 * MTRRs (SDM vol. 3A 11.11) say which physical memory may be cached. Firmware sets them up on all CPUs, or should; an
 * INIT leaves them alone on real machines, and clears them in QEMU. Two CPUs that see one page with different types
 * break its coherence. A difference is repaired and reported. 11.11.8 wants all CPUs to stand still while MTRRs
 * change, so that nobody sees the difference; here the difference is there already, and the new CPU, which has run
 * nothing but this, goes through the rest of the procedure alone: caches off and written back, TLB empty, MTRRs off.
 *
 *	[I] after x86_cpu_state_record(), [a] atomic
 */
#include <lib/string.h>
#include "cpu_state.h"
#include "x86.h"

#define MSR_TSC_ADJUST		0x03b
#define MSR_BIOS_SIGN_ID	0x08b
#define MSR_MTRR_CAP		0x0fe
#define MSR_MTRR_BASE(n)	(0x200 + 2 * (n))
#define MSR_MTRR_MASK(n)	(0x201 + 2 * (n))
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_CAP_COUNT		0x0ffu
#define MTRR_CAP_FIXED		0x100u
#define MTRR_DEF_ENABLE		0x800u
#define MTRR_VARIABLE_MAX	32u
#define MTRR_FIXED		11u
#define CR0_NW			(1ull << 29)
#define CR0_CD			(1ull << 30)
#define EFER_LMA		(1ull << 10)	/* says, and cannot be written */
#define FEATURE_TSC_ADJUST	(1u << 1)	/* CPUID 7, EBX */

static const u16 mtrr_fixed_msr[MTRR_FIXED] = {
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
};

struct mtrr_set {
	u32 variable;	/* how many pairs */
	bool fixed;
	u64 def_type;
	u64 fixed_value[MTRR_FIXED];
	u64 base[MTRR_VARIABLE_MAX], mask[MTRR_VARIABLE_MAX];
};

static struct {
	u64 pat, efer, cr0, cr4, tsc_adjust;
	bool has_tsc_adjust;
	struct mtrr_set mtrr;
} boot;				/* [I] */

static u32 mtrr_repaired, tsc_adjusted;	/* [a] CPUs, since the last report */

/* ---- MTRRs ------------------------------------------------------------------------------------- */

static void mtrr_read(struct mtrr_set *s)
{
	u64 cap;

	memset(s, 0, sizeof(*s));
	if (!x86_has(X86_F_MTRR))
		return;
	cap = x86_rdmsr(MSR_MTRR_CAP);
	s->variable = MIN((u32)cap & MTRR_CAP_COUNT, MTRR_VARIABLE_MAX);
	s->fixed = (cap & MTRR_CAP_FIXED) != 0;
	s->def_type = x86_rdmsr(MSR_MTRR_DEF_TYPE);
	for (u32 i = 0; i < s->variable; i++) {
		s->base[i] = x86_rdmsr(MSR_MTRR_BASE(i));
		s->mask[i] = x86_rdmsr(MSR_MTRR_MASK(i));
	}
	for (u32 i = 0; s->fixed && i < MTRR_FIXED; i++)
		s->fixed_value[i] = x86_rdmsr(mtrr_fixed_msr[i]);
}

static void caches_off(u64 cr0)
{
	x86_write_cr0((cr0 | CR0_CD) & ~CR0_NW);
	x86_wbinvd();
}

/* SDM vol. 3A 11.11.7.2, steps 4 to 15, but for the waiting. */
static void mtrr_write(const struct mtrr_set *s)
{
	u64 cr0 = x86_read_cr0(), cr4 = x86_read_cr4();

	caches_off(cr0);
	x86_write_cr4(cr4 & ~X86_CR4_PGE);
	x86_write_cr3(x86_read_cr3());
	x86_wrmsr(MSR_MTRR_DEF_TYPE, s->def_type & ~(u64)MTRR_DEF_ENABLE);
	for (u32 i = 0; i < s->variable; i++) {
		x86_wrmsr(MSR_MTRR_BASE(i), s->base[i]);
		x86_wrmsr(MSR_MTRR_MASK(i), s->mask[i]);
	}
	for (u32 i = 0; s->fixed && i < MTRR_FIXED; i++)
		x86_wrmsr(mtrr_fixed_msr[i], s->fixed_value[i]);
	x86_wrmsr(MSR_MTRR_DEF_TYPE, s->def_type);
	x86_wbinvd();
	x86_write_cr3(x86_read_cr3());
	x86_write_cr0(cr0);
	x86_write_cr4(cr4);
}

/* NULL, or why this CPU's cannot become the boot CPU's. */
static const char *mtrr_apply(void)
{
	struct mtrr_set mine;

	mtrr_read(&mine);
	if (!memcmp(&mine, &boot.mtrr, sizeof(mine)))
		return NULL;
	if (mine.variable != boot.mtrr.variable || mine.fixed != boot.mtrr.fixed)
		return "it has another number of MTRRs than the boot CPU";
	mtrr_write(&boot.mtrr);
	mtrr_read(&mine);
	if (memcmp(&mine, &boot.mtrr, sizeof(mine)))
		return "its MTRRs do not take the boot CPU's values";
	__atomic_fetch_add(&mtrr_repaired, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* ---- the rest ---------------------------------------------------------------------------------- */

void x86_cpu_state_record(void)
{
	boot.pat = x86_has(X86_F_PAT) ? x86_rdmsr(X86_MSR_PAT) : 0;
	boot.efer = x86_rdmsr(X86_MSR_EFER);
	boot.cr0 = x86_read_cr0();
	boot.cr4 = x86_read_cr4();
	boot.has_tsc_adjust = x86_has_leaf(7) && (x86_cpuid(7, 0).b & FEATURE_TSC_ADJUST);
	boot.tsc_adjust = boot.has_tsc_adjust ? x86_rdmsr(MSR_TSC_ADJUST) : 0;
	mtrr_read(&boot.mtrr);
}

const char *x86_cpu_state_apply(void)
{
	const char *why = x86_features_missing();

	if (why)
		return why;	/* the name of the feature */
	if (x86_has(X86_F_PAT))
		x86_wrmsr(X86_MSR_PAT, boot.pat);
	why = mtrr_apply();
	if (why)
		return why;
	if (x86_read_cr0() != boot.cr0)
		x86_write_cr0(boot.cr0);
	if (x86_read_cr4() != boot.cr4)
		x86_write_cr4(boot.cr4);
	if ((x86_rdmsr(X86_MSR_EFER) ^ boot.efer) & ~EFER_LMA)
		x86_wrmsr(X86_MSR_EFER, boot.efer);
	if (boot.has_tsc_adjust && x86_rdmsr(MSR_TSC_ADJUST) != boot.tsc_adjust) {
		x86_wrmsr(MSR_TSC_ADJUST, boot.tsc_adjust);
		__atomic_fetch_add(&tsc_adjusted, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

void x86_cpu_state_report(void)
{
	u32 n = __atomic_exchange_n(&mtrr_repaired, 0, __ATOMIC_RELAXED);

	if (n)
		upcall_log(4, "smp: the MTRRs of %u CPU%s differed from the boot CPU's: set equal", n, n == 1 ? "" : "s");
	n = __atomic_exchange_n(&tsc_adjusted, 0, __ATOMIC_RELAXED);
	if (n)
		upcall_log(4, "smp: TSC_ADJUST of %u CPU%s differed from the boot CPU's: set equal", n, n == 1 ? "" : "s");
}

/* SDM vol. 3A 10.11.7.1: 0 is written, then CPUID makes the processor fill it in. AMD's has the revision in its low half. */
u32 x86_microcode_revision(void)
{
	u64 v;

	if (!x86_vendor_is("GenuineIntel"))
		return x86_vendor_is("AuthenticAMD") ? (u32)x86_rdmsr(MSR_BIOS_SIGN_ID) : 0;
	x86_wrmsr(MSR_BIOS_SIGN_ID, 0);
	(void)x86_cpuid(1, 0);
	v = x86_rdmsr(MSR_BIOS_SIGN_ID);
	return (u32)(v >> 32);
}
