/* SPDX-License-Identifier: MIT */
/*
 * What this CPU can do: one table of CPUID bits, read once. The names are Linux's, as /proc/cpuinfo
 * shows them. A feature that needs the operating system's consent (AVX wants OSXSAVE and XCR0) counts
 * as there when CPUID says so; what is switched on is decided by entry.asm and fpu.c.
 */
#include <hal/clock.h>
#include <hal/topology.h>
#include <lib/string.h>
#include "cpu_state.h"
#include "x86.h"

enum cpuid_word { W_1D, W_1C, W_81D, W_81C, W_7B, W_7C, W_7D, W_D1A, W_6A, W_807D, W_COUNT };

struct feature {
	u8 word;
	u8 bit;
	const char *name;
};

#define F(f, w, b, n) [X86_F_##f] = { W_##w, b, n }
static const struct feature features[X86_F_COUNT] = {
	F(FPU, 1D, 0, "fpu"), F(VME, 1D, 1, "vme"), F(DE, 1D, 2, "de"), F(PSE, 1D, 3, "pse"),
	F(TSC, 1D, 4, "tsc"), F(MSR, 1D, 5, "msr"), F(PAE, 1D, 6, "pae"), F(MCE, 1D, 7, "mce"),
	F(CX8, 1D, 8, "cx8"), F(APIC, 1D, 9, "apic"), F(SEP, 1D, 11, "sep"), F(MTRR, 1D, 12, "mtrr"),
	F(PGE, 1D, 13, "pge"), F(MCA, 1D, 14, "mca"), F(CMOV, 1D, 15, "cmov"), F(PAT, 1D, 16, "pat"),
	F(PSE36, 1D, 17, "pse36"), F(CLFLUSH, 1D, 19, "clflush"), F(MMX, 1D, 23, "mmx"),
	F(FXSR, 1D, 24, "fxsr"), F(SSE, 1D, 25, "sse"), F(SSE2, 1D, 26, "sse2"), F(HT, 1D, 28, "ht"),
	F(SYSCALL, 81D, 11, "syscall"), F(NX, 81D, 20, "nx"), F(PDPE1GB, 81D, 26, "pdpe1gb"),
	F(RDTSCP, 81D, 27, "rdtscp"), F(LM, 81D, 29, "lm"), F(CONSTANT_TSC, 807D, 8, "constant_tsc"),
	F(NONSTOP_TSC, 807D, 8, "nonstop_tsc"),
	F(SSE3, 1C, 0, "pni"), F(PCLMULQDQ, 1C, 1, "pclmulqdq"), F(MONITOR, 1C, 3, "monitor"),
	F(SSSE3, 1C, 9, "ssse3"), F(FMA, 1C, 12, "fma"), F(CX16, 1C, 13, "cx16"), F(PCID, 1C, 17, "pcid"),
	F(SSE41, 1C, 19, "sse4_1"), F(SSE42, 1C, 20, "sse4_2"), F(X2APIC, 1C, 21, "x2apic"),
	F(MOVBE, 1C, 22, "movbe"), F(POPCNT, 1C, 23, "popcnt"), F(TSC_DEADLINE, 1C, 24, "tsc_deadline_timer"),
	F(AES, 1C, 25, "aes"), F(XSAVE, 1C, 26, "xsave"), F(AVX, 1C, 28, "avx"), F(F16C, 1C, 29, "f16c"),
	F(RDRAND, 1C, 30, "rdrand"), F(HYPERVISOR, 1C, 31, "hypervisor"),
	F(LAHF_LM, 81C, 0, "lahf_lm"), F(SVM, 81C, 2, "svm"), F(ABM, 81C, 5, "abm"), F(SSE4A, 81C, 6, "sse4a"),
	F(3DNOWPREFETCH, 81C, 8, "3dnowprefetch"),
	F(FSGSBASE, 7B, 0, "fsgsbase"), F(BMI1, 7B, 3, "bmi1"), F(AVX2, 7B, 5, "avx2"), F(SMEP, 7B, 7, "smep"),
	F(BMI2, 7B, 8, "bmi2"), F(ERMS, 7B, 9, "erms"), F(INVPCID, 7B, 10, "invpcid"), F(MPX, 7B, 14, "mpx"),
	F(AVX512F, 7B, 16, "avx512f"), F(RDSEED, 7B, 18, "rdseed"), F(ADX, 7B, 19, "adx"),
	F(SMAP, 7B, 20, "smap"), F(CLFLUSHOPT, 7B, 23, "clflushopt"), F(CLWB, 7B, 24, "clwb"),
	F(SHA_NI, 7B, 29, "sha_ni"), F(UMIP, 7C, 2, "umip"), F(PKU, 7C, 3, "pku"), F(VAES, 7C, 9, "vaes"),
	F(VPCLMULQDQ, 7C, 10, "vpclmulqdq"), F(LA57, 7C, 16, "la57"), F(RDPID, 7C, 22, "rdpid"),
	F(FSRM, 7D, 4, "fsrm"), F(XSAVEOPT, D1A, 0, "xsaveopt"), F(XSAVEC, D1A, 1, "xsavec"),
	F(XGETBV1, D1A, 2, "xgetbv1"), F(XSAVES, D1A, 3, "xsaves"), F(ARAT, 6A, 2, "arat"),
};

static u32 words[W_COUNT];
static u32 max_basic, max_extended;
static u32 signature, leaf1_b;
static u32 cache_kib;

u8 x86_smap __section(".data");	/* set by entry.asm */
u8 x86_erms;
u8 x86_fsgsbase;
bool x86_have_1g_pages;
u64 x86_global_bit = X86_PTE_G;

bool x86_has_leaf(u32 leaf)
{
	return leaf <= (leaf & 0x80000000u ? max_extended : max_basic);
}

bool x86_has(enum x86_feature f)
{
	return words[features[f].word] & (1u << features[f].bit);
}

/*
 * What needs XSAVE is not there without it, whatever CPUID says (Linux's table of dependencies says the same). XSAVE itself
 * needs leaf 0Dh, which firmware and hypervisors can cut off by a limit of the leaves, and x87 and SSE in it.
 */
static void drop_without_xsave(u32 w[W_COUNT])
{
	static const u8 dependent[] = {
		X86_F_XSAVE, X86_F_AVX, X86_F_F16C, X86_F_FMA, X86_F_AVX2, X86_F_AVX512F, X86_F_VAES, X86_F_VPCLMULQDQ,
		X86_F_MPX, X86_F_PKU, X86_F_XSAVEOPT, X86_F_XSAVEC, X86_F_XGETBV1, X86_F_XSAVES,
	};
	const struct feature *xsave = &features[X86_F_XSAVE];

	if ((w[xsave->word] >> xsave->bit & 1) && max_basic >= 0xd && (x86_cpuid(0xd, 0).a & 3) == 3)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(dependent); i++)
		w[features[dependent[i]].word] &= ~(1u << features[dependent[i]].bit);
}

/* Of the CPU that executes it. max_basic and max_extended are known. */
static void read_words(u32 w[W_COUNT])
{
	struct x86_cpuid r = x86_cpuid(1, 0);

	memset(w, 0, W_COUNT * sizeof(w[0]));
	w[W_1D] = r.d;
	w[W_1C] = r.c;
	if (max_basic >= 6)
		w[W_6A] = x86_cpuid(6, 0).a;
	if (max_basic >= 7) {
		r = x86_cpuid(7, 0);
		w[W_7B] = r.b;
		w[W_7C] = r.c;
		w[W_7D] = r.d;
	}
	if (max_basic >= 0xd && (w[W_1C] & (1u << 26)))
		w[W_D1A] = x86_cpuid(0xd, 1).a;
	if (max_extended >= 0x80000001) {
		r = x86_cpuid(0x80000001, 0);
		w[W_81D] = r.d;
		w[W_81C] = r.c;
	}
	if (max_extended >= 0x80000007)
		w[W_807D] = x86_cpuid(0x80000007, 0).d;
	drop_without_xsave(w);
}

/*
 * Programs ask one CPU and run on all. The names are for people; one is enough, as the rest is of the same kind. The
 * leaves that are read are the boot CPU's; a CPU with fewer answers with something else, and that shows as well.
 */
const char *x86_features_missing(void)
{
	u32 mine[W_COUNT];

	read_words(mine);
	for (u32 f = 0; f < X86_F_COUNT; f++)
		if (x86_has((enum x86_feature)f) && !(mine[features[f].word] & (1u << features[f].bit)))
			return features[f].name;
	return NULL;
}

void x86_features_detect(void)
{
	struct x86_cpuid r = x86_cpuid(1, 0);

	max_basic = x86_cpuid(0, 0).a;
	max_extended = x86_cpuid(0x80000000, 0).a;
	signature = r.a;
	leaf1_b = r.b;
	read_words(words);
	if (max_extended >= 0x80000006)
		cache_kib = x86_cpuid(0x80000006, 0).c >> 16;
	x86_have_1g_pages = x86_has(X86_F_PDPE1GB);
	x86_erms = x86_has(X86_F_ERMS);
	x86_fsgsbase = (x86_read_cr4() & X86_CR4_FSGSBASE) != 0;
}

static u32 cpu_family(void)
{
	u32 family = (signature >> 8) & 15;

	return family == 15 ? family + ((signature >> 20) & 0xff) : family;
}

static u32 cpu_model(void)
{
	u32 base = (signature >> 8) & 15, model = (signature >> 4) & 15;

	return base == 15 || base == 6 ? model | ((signature >> 12) & 0xf0) : model;
}

static void vendor_string(char *out)
{
	struct x86_cpuid r = x86_cpuid(0, 0);

	memcpy(out, &r.b, 4);
	memcpy(out + 4, &r.d, 4);
	memcpy(out + 8, &r.c, 4);
	out[12] = '\0';
}

bool x86_vendor_is(const char *vendor)
{
	char mine[13];

	vendor_string(mine);
	return !strcmp(mine, vendor);
}

static void brand_string(char *out)
{
	if (max_extended < 0x80000004) {
		strlcpy(out, "x86-64", 49);
		return;
	}
	for (u32 i = 0; i < 3; i++) {
		struct x86_cpuid r = x86_cpuid(0x80000002 + i, 0);

		memcpy(out + 16 * i, &r, 16);
	}
	out[48] = '\0';
}

/* Linux's "cache size": Intel's last level, everybody else's second. */
static u32 last_cache_kib(u32 cpu)
{
	struct hal_cache c;
	u64 bytes = 0;

	for (u32 i = 0; x86_vendor_is("GenuineIntel") && hal_cpu_cache(cpu, i, &c); i++)
		if (c.level > 1)
			bytes = c.bytes;
	return bytes ? (u32)(bytes / KIB) : cache_kib;
}

void hal_cpu_info(u32 cpu, struct hal_cpu_info *out)
{
	u32 sizes = max_extended >= 0x80000008 ? x86_cpuid(0x80000008, 0).a : 0x3028;

	memset(out, 0, sizeof(*out));
	out->microcode = x86_topology_microcode(cpu);	/* the rest is alike on all CPUs */
	vendor_string(out->vendor);
	brand_string(out->model_name);
	out->family = cpu_family();
	out->model = cpu_model();
	out->stepping = signature & 15;
	out->cpuid_level = max_basic;
	out->clflush_bytes = x86_has(X86_F_CLFLUSH) ? ((leaf1_b >> 8) & 0xff) * 8 : 64;
	out->cache_kib = last_cache_kib(cpu);
	out->phys_bits = sizes & 0xff;
	out->virt_bits = (sizes >> 8) & 0xff;
	out->khz = hal_clock_hz() / 1000;
}

const char *hal_cpu_flag_name(u32 i)
{
	for (u32 f = 0; f < X86_F_COUNT; f++)
		if (x86_has((enum x86_feature)f) && i-- == 0)
			return features[f].name;
	return NULL;
}

bool hal_cpu_is_virtual(void)
{
	return x86_has(X86_F_HYPERVISOR);
}

/* CPUID is the one that every CPU has and that changes nothing: SDM vol. 3A 9.3. */
void hal_cpu_serialize(void)
{
	(void)x86_cpuid(0, 0);
}

u64 hal_hwcap(void)
{
	return words[W_1D];
}

/* HWCAP2_FSGSBASE: programs may use the instructions. */
u64 hal_hwcap2(void)
{
	return x86_fsgsbase ? 2 : 0;
}

const char *hal_platform_string(void)
{
	return "x86_64";
}

void x86_features_report(void)
{
	u64 cr4 = x86_read_cr4();
	struct hal_cpu_info info;

	hal_cpu_info(0, &info);
	upcall_log(6, "cpu: %s, %s family %u model %u stepping %u", info.model_name, info.vendor, info.family,
		   info.model, info.stepping);
	upcall_log(6, "cpu: protections:%s%s%s%s%s%s; vector state %u bytes (xcr0 %llx%s)",
		   (x86_rdmsr(X86_MSR_EFER) & X86_EFER_NXE) ? " nx" : "", (x86_read_cr0() & X86_CR0_WP) ? " wp" : "",
		   (cr4 & X86_CR4_SMEP) ? " smep" : "", (cr4 & X86_CR4_SMAP) ? " smap" : "",
		   (cr4 & X86_CR4_UMIP) ? " umip" : "", x86_fsgsbase ? " fsgsbase" : "", x86_fpu_bytes,
		   (unsigned long long)x86_xcr0, x86_has(X86_F_XSAVEOPT) ? ", xsaveopt" : "");
	if (!x86_has(X86_F_NX))
		upcall_log(4, "cpu: no NX: data can be executed");
}

static bool rdrand(u64 *out)
{
	bool ok;

	__asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}

static bool rdseed(u64 *out)
{
	bool ok;

	__asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}

/* SDM vol. 1 7.3.17.1: ten tries, RDSEED may run dry. Some old AMD parts answer all ones for ever. */
bool hal_random_seed(u64 *out)
{
	for (int i = 0; i < 10; i++) {
		if (x86_has(X86_F_RDSEED) ? rdseed(out) : x86_has(X86_F_RDRAND) ? rdrand(out) : false)
			return *out != 0 && *out != ~0ull;
		hal_cpu_relax();
	}
	return false;
}
