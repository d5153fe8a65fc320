/* SPDX-License-Identifier: MIT */
/* The x86-64 page-table codecs: what is put in comes out, and the bits are the manual's. */
#include <hal/pt.h>
#include "framework.h"

bool x86_have_1g_pages = true;
u64 x86_global_bit = X86_PTE_G;
u8 x86_pti;

TEST(hal_pte_round_trip)
{
	static const u32 prots[] = {
		HAL_PT_READ, HAL_PT_READ | HAL_PT_WRITE, HAL_PT_READ | HAL_PT_EXEC,
		HAL_PT_READ | HAL_PT_WRITE | HAL_PT_USER, HAL_PT_READ | HAL_PT_EXEC | HAL_PT_USER,
		HAL_PT_READ | HAL_PT_WRITE | HAL_PT_GLOBAL | HAL_PT_DEVICE,
		HAL_PT_READ | HAL_PT_WRITE | HAL_PT_GLOBAL | HAL_PT_WC,
	};

	for (unsigned int level = 0; level < 3; level++) {
		u64 step = 1ull << hal_pt_shift(level), pa = (0x000fedcba9876000ull >> hal_pt_shift(level)) * step;

		for (size_t i = 0; i < ARRAY_SIZE(prots); i++) {
			hal_pte_t e = hal_pte_leaf(pa, prots[i], level);

			EXPECT(hal_pte_present(e) && hal_pte_is_leaf(e, level) && !hal_pte_is_none(e));
			EXPECT_EQ(hal_pte_paddr(e, level), pa);
			EXPECT_EQ(hal_pte_prot(e, level), prots[i]);
			EXPECT_EQ(hal_pte_writable(e), (prots[i] & HAL_PT_WRITE) != 0);
			EXPECT_EQ(hal_pte_exec(e), (prots[i] & HAL_PT_EXEC) != 0);
			EXPECT_EQ(hal_pte_soft(hal_pte_with_soft(e, 5)), 5);
			EXPECT_EQ(hal_pte_paddr(hal_pte_with_soft(e, 7), level), pa);
		}
	}
}

TEST(hal_pte_none_prot)
{
	hal_pte_t e = hal_pte_leaf(0x1234000, HAL_PT_USER, 0);

	EXPECT_EQ(e.v & X86_PTE_P, 0);
	EXPECT(hal_pte_present(e) && !hal_pte_exec(e));
	EXPECT_EQ(hal_pte_paddr(e, 0), 0x1234000);
	e = hal_pte_change_prot(hal_pte_mkdirty(e), HAL_PT_READ | HAL_PT_WRITE | HAL_PT_USER, 0);
	EXPECT(hal_pte_present(e) && (e.v & X86_PTE_P) && hal_pte_writable(e) && hal_pte_dirty(e));
	EXPECT_EQ(hal_pte_paddr(e, 0), 0x1234000);
}

TEST(hal_pte_swap)
{
	static const u64 values[] = { 0, 1, 0xff, 0x100, 0x123456789abull, (1ull << 58) - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		hal_pte_t e = hal_pte_swap(values[i]);

		EXPECT(!hal_pte_present(e) && !hal_pte_is_none(e));
		EXPECT_EQ(hal_pte_swap_value(e), values[i]);
	}
}

/* L1TF: what the CPU would look for in its cache must be where no memory is. */
TEST(hal_pte_not_present_is_inverted)
{
	hal_pte_t e = hal_pte_leaf(0x1234000, HAL_PT_USER, 0), huge = hal_pte_leaf(0x40000000, HAL_PT_USER, 1);

	EXPECT_EQ(e.v & X86_PTE_ADDR, ~0x1234000ull & X86_PTE_ADDR);
	EXPECT_EQ(hal_pte_paddr(huge, 1), 0x40000000);
	EXPECT(huge.v & 1ull << 51);
	huge = hal_pte_change_prot(huge, HAL_PT_READ | HAL_PT_USER, 1);
	EXPECT_EQ(huge.v & X86_PTE_ADDR, 0x40000000);
	e = hal_pte_change_prot(hal_pte_leaf(0x1234000, HAL_PT_READ | HAL_PT_USER, 0), HAL_PT_USER, 0);
	EXPECT_EQ(e.v & X86_PTE_ADDR, ~0x1234000ull & X86_PTE_ADDR);
	EXPECT_EQ(hal_pte_paddr(hal_pte_mkdirty(hal_pte_with_soft(e, 7)), 0), 0x1234000);
	EXPECT(hal_pte_swap(5).v & 1ull << 51);
}

/* Page-table isolation: the user's root follows, and the kernel's executes nothing of it. */
TEST(hal_pt_root_pair)
{
	static hal_pte_t pair[2 * HAL_PT_ENTRIES];

	pair[3] = hal_pte_table(0x5000, true);
	hal_pt_root_changed(&pair[3]);
	EXPECT_EQ(hal_pt_root_order(), 0);
	EXPECT(hal_pte_is_none(pair[HAL_PT_ENTRIES + 3]) && !(pair[3].v & X86_PTE_NX));
	x86_pti = 1;
	EXPECT_EQ(hal_pt_root_order(), 1);
	hal_pt_root_changed(&pair[3]);
	EXPECT_EQ(pair[HAL_PT_ENTRIES + 3].v, hal_pte_table(0x5000, true).v);
	EXPECT_EQ(pair[3].v, hal_pte_table(0x5000, true).v | X86_PTE_NX);
	EXPECT_EQ(hal_pte_paddr(pair[3], 3), 0x5000);
	pair[3] = hal_pte_none();
	hal_pt_root_changed(&pair[3]);
	EXPECT(hal_pte_is_none(pair[HAL_PT_ENTRIES + 3]) && hal_pte_is_none(pair[3]));
	pair[4] = hal_pte_table(0x6000, false);	/* firmware, mapped for the kernel */
	hal_pt_root_changed(&pair[4]);
	EXPECT(hal_pte_is_none(pair[HAL_PT_ENTRIES + 4]) && !(pair[4].v & X86_PTE_NX));
	x86_pti = 0;
}

TEST(hal_pt_indices)
{
	EXPECT_EQ(hal_pt_index(0xffff800000000000ull, 3), HAL_PT_KERNEL_FIRST);
	EXPECT_EQ(hal_pt_index(0xffffffff80000000ull, 3), 511);
	EXPECT_EQ(hal_pt_index(0x00007fffffffe000ull, 3), 255);
	EXPECT_EQ(hal_pt_index(0x00007fffffffe000ull, 0), 510);
	EXPECT_EQ(hal_pt_shift(2), 30);
	EXPECT(hal_pt_leaf_ok(2) && !hal_pt_leaf_ok(3));
}
