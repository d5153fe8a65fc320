/* SPDX-License-Identifier: MIT */
/*
 * What mitigate.c decides, over many models of CPU.
 *
 * The first table is what Debian's Linux 6.1 says in QEMU with that -cpu: the bugs of /proc/cpuinfo word for word, and of
 * the files in vulnerabilities/ those where the same is done. (Where it is not: its, retbleed and srso on AMD; see mitigate.c.)
 * Real machines come with microcode and MSRs that QEMU does not have: the tests below them say what follows from each bit.
 */
#include <lib/string.h>
#include "framework.h"
#include "mitigate.h"

#define HYPERVISOR	(1u << 31)
#define RDRAND		(1u << 30)
#define AVX		(1u << 28)
#define RTM		(1u << 11)
#define CLEAR_TRIED	"Vulnerable: Clear CPU buffers attempted, no microcode; SMT Host state unknown"
#define HIDDEN		"Unknown: Dependent on hypervisor status"
#define INTEL_VM_BUGS	"cpu_meltdown spectre_v1 spectre_v2 spec_store_bypass l1tf mds swapgs itlb_multihit "
#define AMD_VM_BUGS	"fxsave_leak sysret_ss_attrs null_seg "

static struct x86_mitigate_in intel(u32 model, u32 stepping, u32 leaf1_c)
{
	return (struct x86_mitigate_in){ .vendor = X86_VENDOR_INTEL, .family = 6, .model = model, .stepping = stepping,
					 .leaf1_c = leaf1_c };
}

static struct x86_mitigate_in amd(u32 family, u32 model, u32 stepping, u32 leaf1_c)
{
	return (struct x86_mitigate_in){ .vendor = X86_VENDOR_AMD, .family = family, .model = model, .stepping = stepping,
					 .leaf1_c = leaf1_c };
}

static void bug_line(const struct x86_mitigate *m, char *buf, size_t n)
{
	buf[0] = '\0';
	for (u32 b = 0; b < X86_BUG_COUNT; b++) {
		if (!x86_bug(m, (enum x86_bug)b))
			continue;
		if (buf[0])
			strlcat(buf, " ", n);
		strlcat(buf, x86_bug_name((enum x86_bug)b), n);
	}
}

static const char *text_of(const struct x86_mitigate_in *in, const char *file)
{
	static char buf[160];
	struct x86_mitigate m;

	x86_mitigate_decide(in, &m);
	for (u32 i = 0; x86_vulnerability_name(i); i++)
		if (!strcmp(x86_vulnerability_name(i), file)) {
			x86_vulnerability_text(in, &m, i, buf, sizeof(buf));
			return buf;
		}
	return "no such file";
}

static void expect_bugs(const struct x86_mitigate_in *in, const char *want)
{
	struct x86_mitigate m;
	char buf[400];

	x86_mitigate_decide(in, &m);
	bug_line(&m, buf, sizeof(buf));
	EXPECT_STR(buf, want);
}

#define RETPOLINES_INTEL "Mitigation: Retpolines; STIBP: disabled; RSB filling; PBRSB-eIBRS: Not affected; BHI: Retpoline"
#define RETPOLINES_AMD	"Mitigation: Retpolines; STIBP: disabled; RSB filling; PBRSB-eIBRS: Not affected; BHI: Not affected"
#define INTEL_MODEL(m, s, c) { .vendor = X86_VENDOR_INTEL, .family = 6, .model = m, .stepping = s, .leaf1_c = HYPERVISOR | (c) }
#define AMD_MODEL(f, m, s) { .vendor = X86_VENDOR_AMD, .family = f, .model = m, .stepping = s, .leaf1_c = HYPERVISOR | AVX }

TEST(mitigate_as_linux_in_qemu)
{
	static const struct {
		struct x86_mitigate_in in;
		const char *bugs, *mds, *mmio, *srbds, *gds, *rfds, *meltdown, *ssb, *v2;
	} table[] = {
		{ AMD_MODEL(15, 107, 1), AMD_VM_BUGS "swapgs_fence amd_e400 spectre_v1 spectre_v2", "Not affected", "Not affected",
		  "Not affected", "Not affected", "Not affected", "Not affected", "Not affected", RETPOLINES_AMD },
		{ INTEL_MODEL(94, 3, RDRAND | AVX), INTEL_VM_BUGS "srbds mmio_stale_data retbleed gds bhi its", CLEAR_TRIED,
		  CLEAR_TRIED, HIDDEN, HIDDEN, "Not affected", "Mitigation: PTI", "Vulnerable", RETPOLINES_INTEL },
		{ INTEL_MODEL(26, 3, 0), INTEL_VM_BUGS "mmio_unknown bhi its", CLEAR_TRIED, "Unknown: No mitigations",
		  "Not affected", "Not affected", "Not affected", "Mitigation: PTI", "Vulnerable", RETPOLINES_INTEL },
		{ INTEL_MODEL(60, 4, RDRAND | AVX), INTEL_VM_BUGS "srbds mmio_unknown bhi its", CLEAR_TRIED,
		  "Unknown: No mitigations", HIDDEN, "Not affected", "Not affected", "Mitigation: PTI", "Vulnerable",
		  RETPOLINES_INTEL },
		{ INTEL_MODEL(42, 1, AVX), INTEL_VM_BUGS "mmio_unknown bhi its", CLEAR_TRIED, "Unknown: No mitigations",
		  "Not affected", "Not affected", "Not affected", "Mitigation: PTI", "Vulnerable", RETPOLINES_INTEL },
		{ INTEL_MODEL(58, 9, RDRAND | AVX), INTEL_VM_BUGS "srbds mmio_unknown bhi its", CLEAR_TRIED,
		  "Unknown: No mitigations", HIDDEN, "Not affected", "Not affected", "Mitigation: PTI", "Vulnerable",
		  RETPOLINES_INTEL },
		{ INTEL_MODEL(85, 6, RDRAND | AVX), INTEL_VM_BUGS "mmio_stale_data retbleed gds bhi its", CLEAR_TRIED, CLEAR_TRIED,
		  "Not affected", HIDDEN, "Not affected", "Mitigation: PTI", "Vulnerable", RETPOLINES_INTEL },
		{ INTEL_MODEL(134, 0, RDRAND | AVX),
		  "cpu_meltdown spectre_v1 spectre_v2 spec_store_bypass l1tf mds swapgs mmio_stale_data rfds bhi its", CLEAR_TRIED,
		  CLEAR_TRIED, "Not affected", "Not affected", "Vulnerable: No microcode", "Mitigation: PTI", "Vulnerable",
		  RETPOLINES_INTEL },
		{ INTEL_MODEL(85, 4, RDRAND | AVX), INTEL_VM_BUGS "mmio_stale_data retbleed gds bhi its", CLEAR_TRIED, CLEAR_TRIED,
		  "Not affected", HIDDEN, "Not affected", "Mitigation: PTI", "Vulnerable", RETPOLINES_INTEL },
		{ INTEL_MODEL(61, 2, RDRAND | AVX), INTEL_VM_BUGS "srbds mmio_unknown bhi its", CLEAR_TRIED,
		  "Unknown: No mitigations", HIDDEN, "Not affected", "Not affected", "Mitigation: PTI", "Vulnerable",
		  RETPOLINES_INTEL },
		{ INTEL_MODEL(95, 1, RDRAND), "cpu_meltdown spectre_v1 spectre_v2 spec_store_bypass rfds bhi its", "Not affected",
		  "Not affected", "Not affected", "Not affected", "Vulnerable: No microcode", "Mitigation: PTI", "Vulnerable",
		  RETPOLINES_INTEL },
		{ INTEL_MODEL(23, 3, 0), INTEL_VM_BUGS "mmio_unknown bhi its", CLEAR_TRIED, "Unknown: No mitigations",
		  "Not affected", "Not affected", "Not affected", "Mitigation: PTI", "Vulnerable", RETPOLINES_INTEL },
		{ AMD_MODEL(23, 1, 2), AMD_VM_BUGS "spectre_v1 spectre_v2 spec_store_bypass retbleed smt_rsb srso div0",
		  "Not affected", "Not affected", "Not affected", "Not affected", "Not affected", "Not affected", "Vulnerable",
		  RETPOLINES_AMD },
		{ AMD_MODEL(23, 49, 0), AMD_VM_BUGS "spectre_v1 spectre_v2 spec_store_bypass retbleed smt_rsb srso",
		  "Not affected", "Not affected", "Not affected", "Not affected", "Not affected", "Not affected", "Vulnerable",
		  RETPOLINES_AMD },
		{ AMD_MODEL(25, 1, 1), AMD_VM_BUGS "spectre_v1 spectre_v2 spec_store_bypass srso tsa", "Not affected",
		  "Not affected", "Not affected", "Not affected", "Not affected", "Not affected", "Vulnerable", RETPOLINES_AMD },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table) && !test_failed(); i++) {
		const struct x86_mitigate_in *in = &table[i].in;

		expect_bugs(in, table[i].bugs);
		EXPECT_STR(text_of(in, "mds"), table[i].mds);
		EXPECT_STR(text_of(in, "mmio_stale_data"), table[i].mmio);
		EXPECT_STR(text_of(in, "srbds"), table[i].srbds);
		EXPECT_STR(text_of(in, "gather_data_sampling"), table[i].gds);
		EXPECT_STR(text_of(in, "reg_file_data_sampling"), table[i].rfds);
		EXPECT_STR(text_of(in, "meltdown"), table[i].meltdown);
		EXPECT_STR(text_of(in, "spec_store_bypass"), table[i].ssb);
		EXPECT_STR(text_of(in, "spectre_v2"), table[i].v2);
		EXPECT_STR(text_of(in, "spectre_v1"),
			   "Mitigation: usercopy/swapgs barriers and __user pointer sanitization");
	}
}

TEST(mitigate_command_line)
{
	struct x86_mitigate_in in = intel(60, 4, HYPERVISOR | RDRAND | AVX);
	struct x86_mitigate m;

	in.off = true;
	x86_mitigate_decide(&in, &m);
	EXPECT(!m.pti && !m.verw && !m.rsb_fill && m.v2 == X86_V2_NONE);
	EXPECT_STR(text_of(&in, "spectre_v2"), "Vulnerable; STIBP: disabled; PBRSB-eIBRS: Not affected; BHI: Vulnerable");
	EXPECT_STR(text_of(&in, "mds"), "Vulnerable; SMT Host state unknown");
	EXPECT_STR(text_of(&in, "meltdown"), "Vulnerable");
	EXPECT_STR(text_of(&in, "l1tf"), "Mitigation: PTE Inversion");
	in.pti = 1;
	EXPECT_STR(text_of(&in, "meltdown"), "Mitigation: PTI");
	in.off = false;
	in.pti = -1;
	x86_mitigate_decide(&in, &m);
	EXPECT(!m.pti && m.verw);
	in = amd(15, 107, 1, HYPERVISOR);
	in.pti = 1;
	x86_mitigate_decide(&in, &m);
	EXPECT(m.pti && !m.verw && !m.ibpb_entry);
	EXPECT_STR(text_of(&in, "meltdown"), "Not affected");
}

/* Skylake with its microcode: IBRS in the kernel, SSBD and IBPB per thread, VERW that clears. */
TEST(mitigate_skylake)
{
	struct x86_mitigate_in in = intel(0x5e, 3, RDRAND | AVX);
	struct x86_mitigate m;

	in.leaf7_b = RTM;
	in.leaf7_d = 1u << 9 | 1u << 10 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 31;
	x86_mitigate_decide(&in, &m);
	EXPECT(m.pti && m.verw && m.v2 == X86_V2_IBRS && m.ssbd_prctl && m.user_ibpb && !m.user_stibp && m.have_spec_ctrl);
	expect_bugs(&in, "cpu_meltdown spectre_v1 spectre_v2 spec_store_bypass l1tf mds swapgs taa itlb_multihit srbds "
		    "mmio_stale_data retbleed gds");
	EXPECT_STR(text_of(&in, "retbleed"), "Mitigation: IBRS");
	EXPECT_STR(text_of(&in, "mds"), "Mitigation: Clear CPU buffers; SMT disabled");
	EXPECT_STR(text_of(&in, "mmio_stale_data"), "Mitigation: Clear CPU buffers; SMT disabled");
	EXPECT_STR(text_of(&in, "tsx_async_abort"), "Mitigation: Clear CPU buffers; SMT disabled");
	EXPECT_STR(text_of(&in, "srbds"), "Mitigation: Microcode");
	EXPECT_STR(text_of(&in, "gather_data_sampling"), "Vulnerable: No microcode");
	EXPECT_STR(text_of(&in, "spec_store_bypass"), "Mitigation: Speculative Store Bypass disabled via prctl");
	in.smt = true;
	EXPECT_STR(text_of(&in, "mds"), "Mitigation: Clear CPU buffers; SMT vulnerable");
	EXPECT_STR(text_of(&in, "spectre_v2"), "Mitigation: IBRS; IBPB: conditional; STIBP: conditional; RSB filling; "
		   "PBRSB-eIBRS: Not affected; BHI: Not affected");
	in.arch_cap = X86_ARCH_GDS_CTRL;
	EXPECT_STR(text_of(&in, "gather_data_sampling"), "Mitigation: Microcode");
	in.mcu_opt_ctrl = X86_MCU_GDS_DIS | X86_MCU_RNGDS_DIS;
	EXPECT_STR(text_of(&in, "gather_data_sampling"), "Vulnerable");
	EXPECT_STR(text_of(&in, "srbds"), "Vulnerable");
}

/* Cascade Lake: the first with fixes in the silicon. TSX is switched off by its MSR. */
TEST(mitigate_cascade_lake)
{
	struct x86_mitigate_in in = intel(0x55, 7, RDRAND | AVX);
	struct x86_mitigate m;

	in.leaf7_b = RTM;
	in.leaf7_d = 1u << 10 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 29 | 1u << 31;
	in.arch_cap = X86_ARCH_RDCL_NO | X86_ARCH_IBRS_ALL | X86_ARCH_MDS_NO | X86_ARCH_TSX_CTRL | X86_ARCH_FB_CLEAR |
		      X86_ARCH_PSCHANGE_MC_NO;
	x86_mitigate_decide(&in, &m);
	EXPECT(!m.pti && m.verw && m.v2 == X86_V2_EIBRS && m.user_ibpb && !m.user_stibp);
	EXPECT(!x86_bug(&m, X86_BUG_MELTDOWN) && !x86_bug(&m, X86_BUG_L1TF) && !x86_bug(&m, X86_BUG_MDS));
	EXPECT(x86_bug(&m, X86_BUG_ITS) && !x86_bug(&m, X86_BUG_ITLB_MULTIHIT));
	EXPECT_STR(text_of(&in, "tsx_async_abort"), "Mitigation: TSX disabled");
	EXPECT_STR(text_of(&in, "mmio_stale_data"), "Mitigation: Clear CPU buffers; SMT disabled");
	EXPECT_STR(text_of(&in, "retbleed"), "Mitigation: Enhanced IBRS");
	EXPECT_STR(text_of(&in, "spectre_v2"), "Mitigation: Enhanced / Automatic IBRS + Retpolines; IBPB: conditional; RSB filling; "
		   "PBRSB-eIBRS: Not affected; BHI: Retpoline");
}

/* Retpolines are returns: where returns follow the branch history, that must be switched off, or BHI has its own bit. */
TEST(mitigate_bhi)
{
	struct x86_mitigate_in in = intel(0x8f, 8, RDRAND | AVX);
	struct x86_mitigate m;

	in.leaf7_d = 1u << 26 | 1u << 27 | 1u << 29 | 1u << 31;
	in.arch_cap = X86_ARCH_RDCL_NO | X86_ARCH_IBRS_ALL | X86_ARCH_MDS_NO | X86_ARCH_TAA_NO | X86_ARCH_RRSBA |
		      X86_ARCH_FBSDP_NO | X86_ARCH_PSDP_NO | X86_ARCH_SBDR_SSDP_NO | X86_ARCH_PSCHANGE_MC_NO;
	x86_mitigate_decide(&in, &m);
	EXPECT(x86_bug(&m, X86_BUG_BHI) && !m.rrsba_off && !m.bhi_dis && !m.verw);
	EXPECT(strstr(text_of(&in, "spectre_v2"), "BHI: Vulnerable"));
	in.leaf7_2_d = 1u << 4;
	x86_mitigate_decide(&in, &m);
	EXPECT(m.bhi_dis && !m.rrsba_off);
	EXPECT(strstr(text_of(&in, "spectre_v2"), "BHI: BHI_DIS_S"));
	in.leaf7_2_d = 1u << 4 | 1u << 2;
	x86_mitigate_decide(&in, &m);
	EXPECT(m.rrsba_off && !m.bhi_dis);
	EXPECT(strstr(text_of(&in, "spectre_v2"), "BHI: Retpoline"));
	in.arch_cap |= X86_ARCH_BHI_NO;
	EXPECT(strstr(text_of(&in, "spectre_v2"), "BHI: Not affected"));
}

TEST(mitigate_zen)
{
	struct x86_mitigate_in in = amd(0x17, 0x31, 0, AVX);
	struct x86_mitigate m;

	in.ext8_b = 1u << 2 | 1u << 12 | 1u << 14 | 1u << 15 | 1u << 24;
	in.smt = true;
	x86_mitigate_decide(&in, &m);
	EXPECT(!m.pti && !m.verw && m.ibpb_entry && m.v2 == X86_V2_RETPOLINE && m.ssbd_prctl && m.user_stibp);
	expect_bugs(&in, "sysret_ss_attrs spectre_v1 spectre_v2 spec_store_bypass retbleed smt_rsb srso ibpb_no_ret");
	EXPECT_STR(text_of(&in, "retbleed"), "Mitigation: IBPB; SMT vulnerable");
	EXPECT_STR(text_of(&in, "spec_rstack_overflow"), "Mitigation: IBPB");

	in = amd(0x19, 0x61, 2, AVX);	/* Zen 4: automatic IBRS, STIBP preferred always on */
	in.ext8_b = 1u << 2 | 1u << 12 | 1u << 14 | 1u << 15 | 1u << 17 | 1u << 24 | 1u << 30;
	in.ext21_a = 1u << 2 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 28;
	x86_mitigate_decide(&in, &m);
	EXPECT(m.v2 == X86_V2_EIBRS && !m.ibpb_entry && m.verw && m.md_clear);
	expect_bugs(&in, "sysret_ss_attrs spectre_v1 spectre_v2 spec_store_bypass srso tsa");
	EXPECT_STR(text_of(&in, "tsa"), "Mitigation: Clear CPU buffers");
	EXPECT_STR(text_of(&in, "spec_rstack_overflow"), "Vulnerable");
	EXPECT_STR(text_of(&in, "spectre_v2"), "Mitigation: Enhanced / Automatic IBRS + Retpolines; IBPB: conditional; "
		   "STIBP: always-on; RSB filling; PBRSB-eIBRS: Not affected; BHI: Not affected");
	in.ext21_c = 6;			/* TSA_SQ_NO, TSA_L1_NO */
	EXPECT_STR(text_of(&in, "tsa"), "Not affected");
}

TEST(mitigate_few_bugs)
{
	struct x86_mitigate_in in = intel(0x1c, 2, 0);	/* Bonnell: in order */
	struct x86_mitigate m;

	expect_bugs(&in, "");
	x86_mitigate_decide(&in, &m);
	EXPECT(!m.pti && !m.rsb_fill && m.v2 == X86_V2_NONE);
	in = intel(0x37, 8, 0);				/* Silvermont: store buffers only */
	expect_bugs(&in, "cpu_meltdown spectre_v1 spectre_v2 mds msbds_only mmio_unknown");
	EXPECT_STR(text_of(&in, "l1tf"), "Not affected");
	in = intel(0x97, 2, RDRAND | AVX);		/* Alder Lake */
	in.arch_cap = X86_ARCH_RDCL_NO | X86_ARCH_RFDS_CLEAR | X86_ARCH_MDS_NO | X86_ARCH_FBSDP_NO | X86_ARCH_PSDP_NO |
		      X86_ARCH_SBDR_SSDP_NO;
	in.leaf7_d = 1u << 10;
	EXPECT_STR(text_of(&in, "reg_file_data_sampling"), "Mitigation: Clear Register File");
	in.off = true;
	EXPECT_STR(text_of(&in, "reg_file_data_sampling"), "Vulnerable");
	/* A vendor nobody knows gets everything that is not told to be absent. */
	in = (struct x86_mitigate_in){ .vendor = X86_VENDOR_OTHER, .family = 6 };
	x86_mitigate_decide(&in, &m);
	EXPECT(m.pti && x86_bug(&m, X86_BUG_SPECTRE_V2) && x86_bug(&m, X86_BUG_MDS));
}
