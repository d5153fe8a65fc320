/* SPDX-License-Identifier: MIT */
/*
 * What a CPU takes over from the boot CPU, how it is compared, where it says it sits: hal/x86_64's cpu_state.c, features.c,
 * topology.c and tsc_sync.c on made-up CPUs. Each CPU has registers of its own; an MSR that is not in its list, a
 * CPUID leaf above its highest, and a variable MTRR written in another state than SDM vol. 3A 11.11.7.2 wants fail the test.
 */
#include <hal/clock.h>
#include <hal/numa.h>
#include <hal/topology.h>
#include <lib/string.h>
#include "cpu_state.h"
#include "framework.h"
#include "x86.h"

#define CPUS		16
#define MTRRS		8
#define CR0_CD		(1ull << 30)
#define CR0_NW		(1ull << 29)
#define MTRR_ENABLE	0x800u

enum model { INTEL_0B, INTEL_1F, INTEL_MODULES, AMD_NEW, INTEL_OLD, HYGON, AMD_EMPTY, LIAR, ZEROS };

struct fake_cpu {
	struct hal_percpu pc;
	u64 cr0, cr3, cr4, efer, pat, tsc_adjust;
	u64 def_type, base[MTRRS], mask[MTRRS], fixed[11];
	u32 variable;
	bool stubborn;		/* its MTRRs do not take what is written */
	u32 drop_feature_7b;	/* bits of leaf 7, EBX that it lacks */
	u32 wbinvds;
	s64 tsc_skew;
};

static struct fake_cpu cpus[CPUS];
static u32 cur;
static enum model model;
static u64 tsc;
static u32 warps;
static char vendor[13] = "GenuineIntel";
static u32 liar_seed;
static u32 top_leaf, leaf1_c, leaf0d_a;	/* for a CPU with vector registers; 0: the model's */

/* ---- the instructions ---- */

static u32 word(const char *s)
{
	return (u32)(u8)s[0] | (u32)(u8)s[1] << 8 | (u32)(u8)s[2] << 16 | (u32)(u8)s[3] << 24;
}

/* Two packages, two cores each, two threads each; INTEL_1F: two dies of one core in each package. */
static struct x86_cpuid levels(u32 leaf, u32 sub)
{
	u32 id = cpus[cur].pc.apic_id;

	if (sub == 0)
		return (struct x86_cpuid){ 1, 2, 1 << 8, id };
	if (model == INTEL_MODULES && sub < 4)	/* modules of two cores, dies of two modules, packages of two dies */
		return (struct x86_cpuid){ sub + 1, 2u << sub, (sub == 3 ? 5u : sub + 1) << 8 | sub, id };
	if (leaf == 0x1f && sub == 1)
		return (struct x86_cpuid){ 1, 2, 2 << 8 | 1, id };
	if (leaf == 0x1f && sub == 2)
		return (struct x86_cpuid){ 2, 4, 5 << 8 | 2, id };
	if (leaf == 0x0b && sub == 1)
		return (struct x86_cpuid){ 2, 4, 2 << 8 | 1, id };
	return (struct x86_cpuid){ 0, 0, sub, id };
}

/* L1 data of a core (two ids), L2 of a core, L3 of a package (four ids). 64 bytes, 8 ways. */
static struct x86_cpuid caches(u32 sub)
{
	u32 shape = 63 | 7u << 22;

	if (sub == 0)
		return (struct x86_cpuid){ 1 | 1 << 5 | 1 << 14 | (model == INTEL_OLD ? 1u << 26 : 3u << 26), shape, 63, 0 };
	if (sub == 1)
		return (struct x86_cpuid){ 3 | 2 << 5 | 1 << 14, shape, 1023, 0 };
	if (sub == 2)
		return (struct x86_cpuid){ 3 | 3 << 5 | 3 << 14, shape, 4095, 0 };
	return (struct x86_cpuid){ 0, 0, 0, 0 };
}

static bool is_amd(void)
{
	return model == AMD_NEW || model == HYGON;
}

/* What a hypervisor may say that has not thought of topology: all leaves are there, and each holds what `liar` returns. */
static struct x86_cpuid liar(u32 leaf, u32 sub)
{
	u32 x = (leaf * 2654435761u ^ (sub + liar_seed) * 40503u ^ cur * 97u) * 2246822519u;

	x ^= x >> 15;
	return (struct x86_cpuid){ x * 3, x * 5, x * 7 ^ x >> 3, x * 11 };
}

struct x86_cpuid x86_cpuid(u32 leaf, u32 sub)
{
	u32 top = model == INTEL_1F || model == INTEL_MODULES ? 0x1f : model == INTEL_0B ? 0x0b : 7;

	if (model == LIAR || model == ZEROS)
		top = 0x1f;
	if (top_leaf)
		top = top_leaf;
	if (leaf == 0)
		return (struct x86_cpuid){ top, word(vendor), word(vendor + 8), word(vendor + 4) };
	if (leaf == 0x80000000)
		return (struct x86_cpuid){ is_amd() || model == LIAR || model == ZEROS ? 0x8000001e : 0x80000008, 0, 0, 0 };
	if (model == LIAR)
		return liar(leaf, sub);
	if (model == ZEROS)
		return (struct x86_cpuid){ 0, 0, 0, 0 };
	EXPECT(leaf <= (leaf >= 0x80000000 ? (is_amd() ? 0x8000001e : 0x80000008) : top));
	switch (leaf) {
	case 1:	/* MSR, MTRR, PAT, HT; four logical processors in the package */
		return (struct x86_cpuid){ 0x000506e3, cpus[cur].pc.apic_id << 24 | 4 << 16, leaf1_c,
					   1u << 5 | 1u << 12 | 1u << 16 | 1u << 28 };
	case 4:
		return caches(sub);
	case 6:
		return (struct x86_cpuid){ 0, 0, 0, 0 };
	case 0x0d:
		return (struct x86_cpuid){ sub ? 1 : leaf0d_a, 0, 0, 0 };
	case 7:	/* TSC_ADJUST and SMEP */
		return (struct x86_cpuid){ 0, (1u << 1 | 1u << 7) & ~cpus[cur].drop_feature_7b, 0, 0 };
	case 0x0b:
	case 0x1f:
		return levels(leaf, sub);
	case 0x80000001:
		return (struct x86_cpuid){ 0, 0, is_amd() ? 1u << 22 : 0, 0 };
	case 0x80000008:
		return (struct x86_cpuid){ 0x3028, 0, is_amd() ? 2u << 12 | 3 : 0, 0 };
	case 0x8000001d:
		return caches(sub);
	case 0x8000001e:
		return (struct x86_cpuid){ cpus[cur].pc.apic_id, 1u << 8, 0, 0 };
	default:
		return (struct x86_cpuid){ 0, 0, 0, 0 };
	}
}

static u64 *msr_of(struct fake_cpu *c, u32 msr)
{
	static const u16 fixed[11] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

	for (u32 i = 0; i < 11; i++)
		if (fixed[i] == msr)
			return &c->fixed[i];
	if (msr >= 0x200 && msr < 0x200 + 2 * c->variable)
		return msr & 1 ? &c->mask[(msr - 0x200) / 2] : &c->base[(msr - 0x200) / 2];
	switch (msr) {
	case 0x03b:
		return &c->tsc_adjust;
	case 0x277:
		return &c->pat;
	case 0x2ff:
		return &c->def_type;
	case X86_MSR_EFER:
		return &c->efer;
	default:
		return NULL;
	}
}

u64 x86_rdmsr(u32 msr)
{
	static u64 none;
	u64 *at = msr_of(&cpus[cur], msr);

	if (msr == 0x0fe)	/* MTRRcap */
		return 0x100 | cpus[cur].variable;
	if (msr == 0x08b)
		return 0x1234ull << 32;
	if (!at)
		test_fail(__FILE__, __LINE__, "MSR %x is read", msr);
	return at ? *at : none;
}

void x86_wrmsr(u32 msr, u64 v)
{
	struct fake_cpu *c = &cpus[cur];
	u64 *at = msr_of(c, msr);
	bool mtrr = msr >= 0x200 && msr <= 0x26f;

	if (msr == 0x08b)
		return;
	if (!at) {
		test_fail(__FILE__, __LINE__, "MSR %x is written", msr);
		return;
	}
	if (mtrr || msr == 0x2ff)
		EXPECT((c->cr0 & CR0_CD) && !(c->cr0 & CR0_NW) && !(c->cr4 & X86_CR4_PGE) && c->wbinvds);
	if (mtrr)
		EXPECT(!(c->def_type & MTRR_ENABLE));
	if (!(mtrr && c->stubborn))
		*at = v;
}

u64 x86_read_cr0(void) { return cpus[cur].cr0; }
u64 x86_read_cr3(void) { return cpus[cur].cr3; }
u64 x86_read_cr4(void) { return cpus[cur].cr4; }
void x86_write_cr0(u64 v) { cpus[cur].cr0 = v; }
void x86_write_cr3(u64 v) { cpus[cur].cr3 = v; }
void x86_write_cr4(u64 v) { cpus[cur].cr4 = v; }
void x86_wbinvd(void) { cpus[cur].wbinvds++; }
u64 x86_rdtsc(void) { return tsc += 10, tsc + (u64)cpus[cur].tsc_skew; }

/* ---- what the files call ---- */

u32 x86_fpu_bytes;
u64 x86_xcr0;
static char last_log[200];

void upcall_log(int level, const char *fmt, ...)
{
	(void)level;
	strlcpy(last_log, fmt, sizeof(last_log));
}

void *upcall_alloc(size_t bytes)
{
	static u8 room[CPUS][4096];
	static u32 used;

	EXPECT(bytes <= sizeof(room[0]));
	return room[used++ % CPUS];
}

struct hal_percpu *hal_percpu_of(u32 cpu) { return cpu < CPUS ? &cpus[cpu].pc : NULL; }
u32 hal_numa_node_of_cpu(u32 cpu) { return cpu / 4; }
u64 hal_clock_hz(void) { return 1000000000; }

static bool reliable;

bool x86_clock_wants_warp_test(void) { return !reliable; }

void x86_clock_tsc_unstable(const char *why)
{
	(void)why;
	warps++;
}

/* ---- scenes ---- */

static void power_on(enum model m)
{
	memset(cpus, 0, sizeof(cpus));
	model = m;
	strlcpy(vendor, m == AMD_NEW || m == AMD_EMPTY ? "AuthenticAMD" : m == HYGON ? "HygonGenuine" : "GenuineIntel",
		sizeof(vendor));
	cur = 0;
	warps = 0;
	last_log[0] = '\0';
	for (u32 i = 0; i < CPUS; i++) {
		cpus[i].pc.apic_id = i;
		cpus[i].variable = MTRRS;
		cpus[i].cr0 = 0x80050033;
		cpus[i].cr4 = X86_CR4_PGE | X86_CR4_PAE;
		cpus[i].efer = 0xd01;
	}
	cpus[0].pat = 0x0007040600070106ull;
	cpus[0].def_type = 0xc06;
	cpus[0].base[0] = 0xc0000000;
	cpus[0].mask[0] = 0xffc0000800ull;
	cpus[0].fixed[3] = 0x0505050505050505ull;
	x86_features_detect();
	x86_cpu_state_record();
}

static bool mtrrs_equal(const struct fake_cpu *a, const struct fake_cpu *b)
{
	return a->def_type == b->def_type && !memcmp(a->base, b->base, sizeof(a->base)) && !memcmp(a->mask, b->mask, sizeof(a->mask)) &&
	       !memcmp(a->fixed, b->fixed, sizeof(a->fixed));
}

/* AVX and XSAVEOPT need XSAVE, and XSAVE the leaf that describes it, with x87 and SSE. */
TEST(no_xsave_without_its_leaf)
{
	static const struct {
		u32 top, leaf1_c, leaf0d_a;
		bool usable;
	} cases[] = {
		{ 0x0d, 1u << 26 | 1u << 28, 7, true }, { 0x0c, 1u << 26 | 1u << 28, 7, false }, { 1, 1u << 26 | 1u << 28, 7, false },
		{ 0x0d, 1u << 28, 7, false }, { 0x0d, 1u << 26 | 1u << 28, 0, false },
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		top_leaf = cases[i].top;
		leaf1_c = cases[i].leaf1_c;
		leaf0d_a = cases[i].leaf0d_a;
		power_on(INTEL_0B);
		EXPECT_EQ(x86_has(X86_F_XSAVE), cases[i].usable);
		EXPECT_EQ(x86_has(X86_F_AVX), cases[i].usable);
		EXPECT_EQ(x86_has(X86_F_XSAVEOPT), cases[i].usable);
	}
	top_leaf = leaf1_c = leaf0d_a = 0;
}

TEST(cpu_state_is_taken_over)
{
	power_on(INTEL_0B);
	cur = 1;
	cpus[1].tsc_adjust = 77;
	cpus[1].efer = 0x500;
	cpus[1].cr4 |= X86_CR4_DE;
	EXPECT(!x86_cpu_state_apply());
	EXPECT(mtrrs_equal(&cpus[0], &cpus[1]));
	EXPECT_EQ(cpus[1].pat, cpus[0].pat);
	EXPECT_EQ(cpus[1].tsc_adjust, 0);
	EXPECT_EQ(cpus[1].cr0, cpus[0].cr0);
	EXPECT_EQ(cpus[1].cr4, cpus[0].cr4);
	EXPECT_EQ(cpus[1].efer, cpus[0].efer);
	EXPECT(cpus[1].wbinvds >= 2);
	x86_cpu_state_report();
	EXPECT(last_log[0] != '\0');
	last_log[0] = '\0';
	x86_cpu_state_report();
	EXPECT(last_log[0] == '\0');	/* said once */
}

TEST(cpu_state_equal_mtrrs_are_left_alone)
{
	power_on(INTEL_0B);
	memcpy(cpus[2].base, cpus[0].base, sizeof(cpus[2].base));
	memcpy(cpus[2].mask, cpus[0].mask, sizeof(cpus[2].mask));
	memcpy(cpus[2].fixed, cpus[0].fixed, sizeof(cpus[2].fixed));
	cpus[2].def_type = cpus[0].def_type;
	cur = 2;
	EXPECT(!x86_cpu_state_apply());
	EXPECT_EQ(cpus[2].wbinvds, 0);
	x86_cpu_state_report();
	EXPECT(last_log[0] == '\0');
}

/* Whichever of them differs, all are written. */
TEST(cpu_state_any_mtrr)
{
	for (u32 i = 0; i < 5; i++) {
		power_on(INTEL_0B);
		memcpy(cpus[2].base, cpus[0].base, sizeof(cpus[2].base));
		memcpy(cpus[2].mask, cpus[0].mask, sizeof(cpus[2].mask));
		memcpy(cpus[2].fixed, cpus[0].fixed, sizeof(cpus[2].fixed));
		cpus[2].def_type = cpus[0].def_type;
		*(i == 0 ? &cpus[2].def_type : i == 1 ? &cpus[2].base[MTRRS - 1] : i == 2 ? &cpus[2].mask[0] :
		  i == 3 ? &cpus[2].fixed[0] : &cpus[2].fixed[10]) ^= 1u << 2;
		cur = 2;
		EXPECT(!x86_cpu_state_apply());
		EXPECT(mtrrs_equal(&cpus[0], &cpus[2]));
		EXPECT(cpus[2].wbinvds >= 2);
	}
}

TEST(cpu_state_refusals)
{
	power_on(INTEL_0B);
	cur = 1;
	cpus[1].stubborn = true;
	EXPECT(x86_cpu_state_apply() != NULL);
	cur = 2;
	cpus[2].variable = MTRRS - 1;
	EXPECT(x86_cpu_state_apply() != NULL);
	cur = 3;
	cpus[3].drop_feature_7b = 1u << 7;
	EXPECT_STR(x86_cpu_state_apply(), "smep");
	EXPECT_EQ(cpus[3].wbinvds, 0);
}

TEST(microcode_revision)
{
	power_on(INTEL_0B);
	EXPECT_EQ(x86_microcode_revision(), 0x1234);
}

static struct hal_topology place(u32 cpu)
{
	struct hal_topology t;

	cur = cpu;
	EXPECT_EQ(x86_topology_prepare(cpu), 0);
	hal_cpu_topology(cpu, &t);
	EXPECT_EQ(t.package, cpu);	/* not seen yet: alone */
	x86_topology_record(cpu);
	hal_cpu_topology(cpu, &t);
	EXPECT_EQ(t.node, cpu / 4);
	EXPECT_EQ(t.apic_id, cpu);
	return t;
}

static void expect_place(u32 cpu, u32 package, u32 die, u32 core, u32 thread)
{
	struct hal_topology t = place(cpu);

	EXPECT_EQ(t.package, package);
	EXPECT_EQ(t.die, die);
	EXPECT_EQ(t.core, core);
	EXPECT_EQ(t.thread, thread);
	EXPECT_EQ(t.llc_id, cpu / 4);
}

TEST(topology_leaf_0b)
{
	power_on(INTEL_0B);
	expect_place(0, 0, 0, 0, 0);
	expect_place(3, 0, 0, 1, 1);
	expect_place(6, 1, 0, 1, 0);
}

TEST(topology_leaf_1f_has_dies)
{
	power_on(INTEL_1F);
	expect_place(1, 0, 0, 0, 1);
	expect_place(2, 0, 1, 0, 0);
	expect_place(7, 1, 1, 0, 1);
}

/* What stands between core and die counts in the core's number. */
TEST(topology_modules)
{
	power_on(INTEL_MODULES);
	expect_place(3, 0, 0, 1, 1);
	expect_place(6, 0, 0, 3, 0);
	expect_place(13, 0, 1, 2, 1);
}

TEST(topology_amd)
{
	power_on(AMD_NEW);
	expect_place(1, 0, 0, 0, 1);
	expect_place(5, 1, 0, 0, 1);
	expect_place(6, 1, 0, 1, 0);
}

/* Zen under another name: it has AMD's leaves and none of Intel's. */
TEST(topology_hygon)
{
	struct hal_cache c;

	power_on(HYGON);
	expect_place(1, 0, 0, 0, 1);
	expect_place(6, 1, 0, 1, 0);
	EXPECT(hal_cpu_cache(6, 2, &c));
	EXPECT_EQ(c.level, 3);
}

/* AMD's old cache leaves, all zeros: no cache, and nothing is divided by one. */
TEST(topology_without_caches)
{
	struct hal_cache c;

	power_on(AMD_EMPTY);
	(void)place(2);
	EXPECT(!hal_cpu_cache(2, 0, &c));
}

/* Whatever the leaves say, each CPU has a place, the same one each time, and its fields are of its APIC id. */
TEST(topology_believes_anything)
{
	static const char *const vendors[] = { "GenuineIntel", "AuthenticAMD", "HygonGenuine", "nobody knows" };
	struct hal_cache c;

	for (u32 i = 0; i < 4000; i++) {
		power_on(i < 4 ? ZEROS : LIAR);
		strlcpy(vendor, vendors[i % 4], sizeof(vendor));
		liar_seed = i;
		x86_features_detect();
		for (u32 cpu = 0; cpu < 4; cpu++) {
			struct hal_topology t = place(cpu);

			EXPECT_EQ(t.apic_id, cpu);
			EXPECT(t.package <= cpu && t.die <= cpu && t.core <= cpu && t.thread <= cpu);
			for (u32 n = 0; hal_cpu_cache(cpu, n, &c); n++)
				EXPECT(n < 16 && c.type && c.line_bytes);
		}
	}
}

/* Leaf 4 says two cores in the package, leaf 1 four logical processors. */
TEST(topology_before_leaf_0b)
{
	power_on(INTEL_OLD);
	expect_place(3, 0, 0, 1, 1);
	expect_place(4, 1, 0, 0, 0);
}

TEST(topology_caches)
{
	struct hal_cache c;
	u32 n = 0;

	power_on(INTEL_0B);
	(void)place(6);
	while (hal_cpu_cache(6, n, &c))
		n++;
	EXPECT_EQ(n, 3);
	EXPECT(hal_cpu_cache(6, 0, &c));
	EXPECT_EQ(c.type, 'D');
	EXPECT_EQ(c.bytes, 64 * 8 * 64);
	EXPECT_EQ(c.id, 3);
	EXPECT(hal_cpu_cache(6, 2, &c));
	EXPECT_EQ(c.level, 3);
	EXPECT_EQ(c.type, 'U');
	EXPECT_EQ(c.id, 1);
	EXPECT(!hal_cpu_cache(6, 3, &c));
	EXPECT(!hal_cpu_cache(CPUS + 1000, 0, &c));
}

static u32 warps_with_skew(s64 skew)
{
	power_on(INTEL_0B);
	tsc = 1000000;
	cpus[3].tsc_skew = skew;
	x86_tsc_sync_begin();
	for (u32 i = 0; i < 50; i++) {
		cur = i % 4;
		x86_tsc_sync_round();
	}
	cur = 0;
	x86_tsc_sync_end();
	return warps;
}

TEST(tsc_sync)
{
	EXPECT_EQ(warps_with_skew(0), 0);
	EXPECT_EQ(warps_with_skew(1000), 1);	/* ahead: the others see it */
	EXPECT_EQ(warps_with_skew(-1000), 1);	/* behind: it sees the others */
	reliable = true;
	EXPECT_EQ(warps_with_skew(-1000), 0);	/* tsc=reliable */
	reliable = false;
}
