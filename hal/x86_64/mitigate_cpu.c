/* SPDX-License-Identifier: MIT */
/*
 * The machine's side of mitigate.c: what CPUID, MSRs and the command line say, MSRs of each CPU, and what changes with the
 * thread that runs.
 *
 * Per thread (arch_thread.spec, inherited by children): a program may ask that its own stores are not bypassed (SSBD) or that
 * its indirect branches are not steered by others (STIBP while it runs, IBPB between it and other address spaces). As on
 * Linux both are off until prctl(2) asks. pc->spec_ctrl is what IA32_SPEC_CTRL holds in user mode for the running thread; with
 * HARD_IBRS the kernel runs with IBRS set and the way out writes it, otherwise it is in force all the time.
 *
 * Between address spaces the return predictor is filled with harmless entries: those of the last program could steer the
 * returns of the next one (SpectreRSB). Within one there is nobody to protect from.
 *
 * [own] data belong to their CPU and change with interrupts off.
 */
#include <abi/linux/prctl.h>
#include <boot/bootinfo.h>
#include <hal/mitigate.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "fpu.h"
#include "mitigate.h"
#include "pti.h"
#include "user.h"

#define MSR_MICROCODE	0x0000008b
#define MSR_DE_CFG	0xc0011029
#define DE_CFG_LFENCE	(1ull << 1)	/* LFENCE waits for all before it (AMD) */
#define EFER_AUTOIBRS	(1ull << 21)
#define TSX_RTM_DISABLE	(1ull << 0)
#define TSX_CPUID_CLEAR	(1ull << 1)

/* arch_thread.spec */
#define SPEC_SSB_OFF	0x01u
#define SPEC_SSB_FORCED	0x02u
#define SPEC_SSB_EXEC	0x04u	/* until execve */
#define SPEC_IB_OFF	0x08u
#define SPEC_IB_FORCED	0x10u

u8 x86_hard;
u8 x86_spec_switch;
u8 x86_space_work;
static struct x86_mitigate_in in;	/* [I] after x86_mitigate_init() */
static struct x86_mitigate decided;	/* [I] */
static u64 spec_base;			/* [I] IA32_SPEC_CTRL of every thread */
static u32 thread_bits;			/* [I] of an APIC id: which thread of its core a CPU is */
static bool one_thread;			/* [I] auto,nosmt on a CPU whose siblings could look into each other */

static struct {
	u8 left;	/* [own] SPEC_* of the user thread that ran last */
	bool moved;	/* [own] another address space since then */
} last[HAL_MAX_CPUS];

/* ---- asking ------------------------------------------------------------------------------------ */

/* An MSR that may not be there: 0 then. */
static u64 rdmsr_or_0(u32 msr)
{
	u32 lo, hi;

	__asm__ goto("1:	rdmsr\n" X86_EX_FAULT : "=a"(lo), "=d"(hi) : "c"(msr) : "memory" : fault);
	return (u64)hi << 32 | lo;
fault:
	return 0;
}

static void wrmsr_or_not(u32 msr, u64 v)
{
	__asm__ goto("1:	wrmsr\n" X86_EX_FAULT : : "a"((u32)v), "d"((u32)(v >> 32)), "c"(msr) : "memory" : fault);
fault:
	return;
}

static enum x86_vendor vendor(void)
{
	static const struct {
		const char *name;
		enum x86_vendor vendor;
	} vendors[] = {
		{ "GenuineIntel", X86_VENDOR_INTEL }, { "AuthenticAMD", X86_VENDOR_AMD }, { "HygonGenuine", X86_VENDOR_HYGON },
		{ "CentaurHauls", X86_VENDOR_CENTAUR }, { "  Shanghai  ", X86_VENDOR_ZHAOXIN },
	};
	struct hal_cpu_info info;

	hal_cpu_info(0, &info);
	in.family = info.family;
	in.model = info.model;
	in.stepping = info.stepping;
	for (size_t i = 0; i < ARRAY_SIZE(vendors); i++)
		if (!strcmp(vendors[i].name, info.vendor))
			return vendors[i].vendor;
	return X86_VENDOR_OTHER;
}

static void read_cpuid(void)
{
	u32 basic = x86_cpuid(0, 0).a, extended = x86_cpuid(0x80000000, 0).a;
	struct x86_cpuid r = x86_cpuid(1, 0);

	in.leaf1_c = r.c;
	in.leaf1_d = r.d;
	if (basic >= 7) {
		r = x86_cpuid(7, 0);
		in.leaf7_b = r.b;
		in.leaf7_d = r.d;
		if (r.a >= 2)
			in.leaf7_2_d = x86_cpuid(7, 2).d;
	}
	if (extended >= 0x80000001) {
		r = x86_cpuid(0x80000001, 0);
		in.ext1_c = r.c;
		in.ext1_d = r.d;
	}
	if (extended >= 0x80000008)
		in.ext8_b = x86_cpuid(0x80000008, 0).b;
	if (extended >= 0x80000021) {
		r = x86_cpuid(0x80000021, 0);
		in.ext21_a = r.a;
		in.ext21_c = r.c;
	}
	if (in.leaf7_d & (1u << 29))
		in.arch_cap = rdmsr_or_0(X86_MSR_ARCH_CAP);
	if ((in.leaf7_d & (1u << 9)) || (in.arch_cap & X86_ARCH_GDS_CTRL))
		in.mcu_opt_ctrl = rdmsr_or_0(X86_MSR_MCU_OPT_CTRL);
}

/* ---- the command line -------------------------------------------------------------------------- */

/* `word` of length n is "key" or begins with it when key ends in '='. */
static const char *value_of(const char *word, size_t n, const char *key)
{
	size_t len = strlen(key);

	return n >= len && !memcmp(word, key, len) && (n == len || key[len - 1] == '=') ? word + len : NULL;
}

static bool is(const char *value, const char *end, const char *what)
{
	return (size_t)(end - value) == strlen(what) && !memcmp(value, what, strlen(what));
}

static bool nosmt_wanted;

static void take_word(const char *word, size_t n)
{
	const char *end = word + n, *v;

	v = value_of(word, n, "mitigations=");
	if (v) {
		in.off = is(v, end, "off");
		nosmt_wanted = is(v, end, "auto,nosmt");
		if (!in.off && !nosmt_wanted && !is(v, end, "auto"))
			upcall_log(4, "cpu: mitigations=%.*s is not known", (int)(end - v), v);
		return;
	}
	v = value_of(word, n, "pti=");
	if (v) {
		in.pti = is(v, end, "on") ? 1 : is(v, end, "off") ? -1 : 0;
		if (!in.pti && !is(v, end, "auto"))
			upcall_log(4, "cpu: pti=%.*s is not known", (int)(end - v), v);
	} else if (value_of(word, n, "nopti")) {
		in.pti = -1;
	}
}

/* Earlier than core's own parser: page tables depend on it. Up to "--"; the last of several words counts. */
static void read_command_line(const struct bootinfo *bi)
{
	const char *s = hal_phys_to_virt(bi->cmdline.base), *end = s + bi->cmdline.length;

	while (bi->cmdline.base && s < end && *s) {
		const char *word;

		while (s < end && (*s == ' ' || *s == '\t' || *s == '\n'))
			s++;
		word = s;
		while (s < end && *s && *s != ' ' && *s != '\t' && *s != '\n')
			s++;
		if (s - word == 2 && word[0] == '-' && word[1] == '-')
			return;
		take_word(word, (size_t)(s - word));
	}
}

/* ---- sibling threads --------------------------------------------------------------------------- */

/* SDM vol. 2A CPUID 0Bh: the first level is the thread's. Before that leaf there are no siblings worth a thought. */
static void read_topology(void)
{
	struct x86_cpuid r;

	if (x86_cpuid(0, 0).a < 0xb)
		return;
	r = x86_cpuid(0xb, 0);
	if (r.b && ((r.c >> 8) & 0xff) == 1)
		thread_bits = r.a & 31;
	in.smt = thread_bits != 0;
}

/* Does a core run two threads now? A few hundred CPUs at most, and who asks is a person. */
static bool siblings_run(void)
{
	for (u32 a = 0; a < hal_cpu_count(); a++)
		for (u32 b = a + 1; thread_bits && hal_cpu_online(a) && b < hal_cpu_count(); b++)
			if (hal_cpu_online(b) &&
			    hal_percpu_of(a)->apic_id >> thread_bits == hal_percpu_of(b)->apic_id >> thread_bits)
				return true;
	return false;
}

/* Linux's list: what VERW and L1 flushes cannot take from a sibling that runs. */
static void choose_siblings(void)
{
	u64 bugs = 1ull << X86_BUG_MDS | 1ull << X86_BUG_TAA | 1ull << X86_BUG_MMIO | 1ull << X86_BUG_L1TF |
		   1ull << X86_BUG_RETBLEED;

	one_thread = nosmt_wanted && (decided.bugs & bugs);
}

bool x86_mitigate_leaves_out(u32 apic_id)
{
	return one_thread && (apic_id & ((1u << thread_bits) - 1));
}

/* ---- once, and once per CPU -------------------------------------------------------------------- */

static void choose_base(void)
{
	if (decided.v2 == X86_V2_EIBRS && in.vendor == X86_VENDOR_INTEL)
		spec_base |= X86_SPEC_IBRS;
	if (decided.v2 != X86_V2_NONE && decided.have_stibp && decided.amd_always_on_stibp)
		spec_base |= X86_SPEC_STIBP;
	if (decided.rrsba_off)
		spec_base |= X86_SPEC_RRSBA_DIS;
	if (decided.bhi_dis)
		spec_base |= X86_SPEC_BHI_DIS;
}

static void report(void)
{
	char text[128];

	for (u32 i = 0; hal_vulnerability_name(i); i++) {
		hal_vulnerability_text(i, text, sizeof(text));
		if (strncmp(text, "Not affected", 12) != 0)
			upcall_log(6, "cpu: %s: %s", hal_vulnerability_name(i), text);
	}
}

void x86_mitigate_init(const struct bootinfo *bi)
{
	in.vendor = vendor();
	read_cpuid();
	read_topology();
	read_command_line(bi);
	x86_mitigate_decide(&in, &decided);
	choose_siblings();
	choose_base();
	if (decided.v2 == X86_V2_IBRS)
		x86_hard |= X86_HARD | X86_HARD_IBRS;
	if (decided.ibpb_entry)
		x86_hard |= X86_HARD | X86_HARD_IBPB;
	if (decided.verw)
		x86_hard |= X86_HARD | X86_HARD_VERW;
	if (decided.pti) {
		x86_hard |= X86_HARD;
		x86_pti_enable();
	}
	if (x86_hard)
		x86_tables_harden();
	x86_fpu_pointers_leak = x86_bug(&decided, X86_BUG_FXSAVE_LEAK);
	x86_spec_switch = decided.ssbd_prctl || decided.user_ibpb || decided.user_stibp;
	x86_space_work = decided.rsb_fill || decided.user_ibpb;
	x86_mitigate_cpu();
	report();
}

void x86_mitigate_cpu(void)
{
	bool amd = in.vendor == X86_VENDOR_AMD || in.vendor == X86_VENDOR_HYGON;

	if (in.arch_cap & X86_ARCH_TSX_CTRL)
		wrmsr_or_not(X86_MSR_TSX_CTRL, TSX_RTM_DISABLE | TSX_CPUID_CLEAR);
	/* Family 0Fh and 11h have neither the MSR nor the need. */
	if (amd && in.family >= 0x10 && in.family != 0x11 && !(in.ext21_a & 4) && !decided.hypervisor)
		wrmsr_or_not(MSR_DE_CFG, rdmsr_or_0(MSR_DE_CFG) | DE_CFG_LFENCE);
	if (amd && decided.v2 == X86_V2_EIBRS)
		x86_wrmsr(X86_MSR_EFER, x86_rdmsr(X86_MSR_EFER) | EFER_AUTOIBRS);
	hal_percpu()->spec_ctrl = spec_base;
	if (decided.have_spec_ctrl)
		x86_wrmsr(X86_MSR_SPEC_CTRL, spec_base | (x86_hard & X86_HARD_IBRS ? X86_SPEC_IBRS : 0));
}

/* ---- what follows the thread ------------------------------------------------------------------- */

static void barrier_ibpb(void)
{
	x86_wrmsr(X86_MSR_PRED_CMD, X86_PRED_IBPB);
}

void x86_space_entered(void)
{
	u32 cpu = hal_cpu_id();

	if (decided.rsb_fill)
		x86_rsb_fill();
	last[cpu].moved = true;
	if (decided.user_ibpb && (last[cpu].left & SPEC_IB_OFF))
		barrier_ibpb();
}

static u64 spec_of(u8 spec)
{
	u64 v = spec_base;

	if (decided.ssbd_prctl && (spec & SPEC_SSB_OFF))
		v |= X86_SPEC_SSBD;
	if (decided.user_stibp && (spec & SPEC_IB_OFF))
		v |= X86_SPEC_STIBP;
	return v;
}

void x86_spec_switch_to(const struct hal_thread *next)
{
	struct hal_percpu *pc = hal_percpu();
	u64 v = spec_of(next->arch.spec);

	if (!next->arch.fpu)
		return;		/* a kernel thread: the last user's setting stays */
	if (v != pc->spec_ctrl && decided.have_spec_ctrl) {
		pc->spec_ctrl = v;
		x86_wrmsr(X86_MSR_SPEC_CTRL, v | (x86_hard & X86_HARD_IBRS ? X86_SPEC_IBRS : 0));
	}
	if (decided.user_ibpb && last[pc->cpu].moved && (next->arch.spec & SPEC_IB_OFF))
		barrier_ibpb();
	last[pc->cpu].moved = false;
	last[pc->cpu].left = next->arch.spec;
}

void x86_spec_exec(struct hal_thread *t)
{
	if (t->arch.spec & SPEC_SSB_EXEC) {
		t->arch.spec &= (u8)~(SPEC_SSB_OFF | SPEC_SSB_EXEC);
		x86_spec_switch_to(t);
	}
}

/* ---- prctl(2) ---------------------------------------------------------------------------------- */

static bool ib_controlled(void)
{
	return decided.user_ibpb || decided.user_stibp;
}

static long ssb_get(u8 spec)
{
	if (!x86_bug(&decided, X86_BUG_SSB))
		return PR_SPEC_NOT_AFFECTED;
	if (!decided.ssbd_prctl)
		return PR_SPEC_ENABLE;
	if (spec & SPEC_SSB_FORCED)
		return PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE;
	if (spec & SPEC_SSB_EXEC)
		return PR_SPEC_PRCTL | PR_SPEC_DISABLE_NOEXEC;
	return PR_SPEC_PRCTL | (spec & SPEC_SSB_OFF ? PR_SPEC_DISABLE : PR_SPEC_ENABLE);
}

static long ib_get(u8 spec)
{
	if (!x86_bug(&decided, X86_BUG_SPECTRE_V2))
		return PR_SPEC_NOT_AFFECTED;
	if (!ib_controlled())
		return PR_SPEC_ENABLE;
	if (spec & SPEC_IB_FORCED)
		return PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE;
	return PR_SPEC_PRCTL | (spec & SPEC_IB_OFF ? PR_SPEC_DISABLE : PR_SPEC_ENABLE);
}

/* The flush of the L1 cache is switched on by l1d_flush= on Linux, which we do not have: refused as without it. */
long hal_spec_get(const struct hal_thread *t, u64 which)
{
	switch (which) {
	case PR_SPEC_STORE_BYPASS:
		return ssb_get(t->arch.spec);
	case PR_SPEC_INDIRECT_BRANCH:
		return ib_get(t->arch.spec);
	case PR_SPEC_L1D_FLUSH:
		return PR_SPEC_FORCE_DISABLE;
	default:
		return -ENODEV;
	}
}

static long ssb_change(u8 *spec, u64 ctrl)
{
	bool forced = *spec & SPEC_SSB_FORCED;

	if (!decided.ssbd_prctl)
		return -ENXIO;
	switch (ctrl) {
	case PR_SPEC_ENABLE:
		if (forced)
			return -EPERM;
		*spec &= (u8)~(SPEC_SSB_OFF | SPEC_SSB_EXEC);
		return 0;
	case PR_SPEC_DISABLE:
		*spec = (u8)((*spec | SPEC_SSB_OFF) & ~SPEC_SSB_EXEC);
		return 0;
	case PR_SPEC_FORCE_DISABLE:
		*spec = (u8)((*spec | SPEC_SSB_OFF | SPEC_SSB_FORCED) & ~SPEC_SSB_EXEC);
		return 0;
	case PR_SPEC_DISABLE_NOEXEC:
		if (forced)
			return -EPERM;
		*spec |= SPEC_SSB_OFF | SPEC_SSB_EXEC;
		return 0;
	default:
		return -ERANGE;
	}
}

static long ib_change(u8 *spec, u64 ctrl)
{
	switch (ctrl) {
	case PR_SPEC_ENABLE:
		if (!ib_controlled())
			return 0;
		if (*spec & SPEC_IB_FORCED)
			return -EPERM;
		*spec &= (u8)~SPEC_IB_OFF;
		return 0;
	case PR_SPEC_DISABLE:
	case PR_SPEC_FORCE_DISABLE:
		if (!ib_controlled())
			return -EPERM;
		*spec |= ctrl == PR_SPEC_DISABLE ? SPEC_IB_OFF : SPEC_IB_OFF | SPEC_IB_FORCED;
		return 0;
	default:
		return -ERANGE;
	}
}

long hal_spec_set(u64 which, u64 ctrl)
{
	struct hal_thread *t = (struct hal_thread *)hal_current();
	u8 spec = t->arch.spec;
	irqflags_t f;
	long err;

	switch (which) {
	case PR_SPEC_STORE_BYPASS:
		err = ssb_change(&spec, ctrl);
		break;
	case PR_SPEC_INDIRECT_BRANCH:
		err = ib_change(&spec, ctrl);
		break;
	case PR_SPEC_L1D_FLUSH:
		return -EPERM;
	default:
		return -ENODEV;
	}
	if (err || spec == t->arch.spec)
		return err;
	f = hal_irq_save();
	t->arch.spec = spec;
	x86_spec_switch_to(t);
	if (decided.user_ibpb && (spec & SPEC_IB_OFF))
		barrier_ibpb();
	hal_irq_restore(f);
	return 0;
}

/* ---- what userland reads ----------------------------------------------------------------------- */

const char *hal_cpu_bug_name(u32 i)
{
	for (u32 b = 0; b < X86_BUG_COUNT; b++)
		if (x86_bug(&decided, (enum x86_bug)b) && i-- == 0)
			return x86_bug_name((enum x86_bug)b);
	return NULL;
}

const char *hal_vulnerability_name(u32 i)
{
	return x86_vulnerability_name(i);
}

/* Sibling threads may have come and gone since boot. */
void hal_vulnerability_text(u32 i, char *buf, size_t n)
{
	struct x86_mitigate_in now = in;

	now.smt = siblings_run();
	x86_vulnerability_text(&now, &decided, i, buf, n);
}
