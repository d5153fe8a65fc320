/* SPDX-License-Identifier: MIT */
/*
 * KASAN's shadow at boot (hal/shadow.h), and the traps of looking at it where there is none.
 *
 * x86_shadow_init() is called by entry.asm before any other C. It is compiled without instrumentation and touches
 * nothing but its own tables: three shared ones that lead to the page of zeros, and a chain for the image. The image's
 * shadow is the end of .bss (kernel.lds); what lies behind that, the symbol table, is only ever read and has the page
 * of zeros. All 32 top-level entries are filled, so that later none ever changes.
 *
 * Addresses of the lower half have no shadow: (va >> 3) + offset is not canonical there, so the compiler's look at a
 * null or user pointer is a #GP in place of the page fault of the access itself. x86_shadow_trap() finds out which address it was
 * from the instruction, so that the report can say so.
 */
#include <hal/backtrace.h>
#include <hal/shadow.h>
#include <hal/tlb.h>
#include <hal/uaccess.h>
#include <lib/kasan.h>
#include "x86.h"

#if HALCYON_KASAN

#define IMAGE_TABLES 2u	/* a table of small pages is the shadow of 16 MiB: the image lies in two at most */

extern u8 __kernel_start[], __image_shadow_start[], __image_shadow_end[];
extern void (*const __init_array_start[])(void), (*const __init_array_end[])(void);

static u64 zero_tables[HAL_PT_LEVELS][HAL_PT_ENTRIES] __aligned(4096) __section(".bss.page_aligned");
static u64 image_upper[2][HAL_PT_ENTRIES] __aligned(4096) __section(".bss.page_aligned");
static u64 image_tables[IMAGE_TABLES][HAL_PT_ENTRIES] __aligned(4096) __section(".bss.page_aligned");

#define TABLE_BITS (X86_PTE_P | X86_PTE_W | X86_PTE_A)
#define ZERO_BITS  (X86_PTE_P | X86_PTE_A | X86_PTE_NX)
#define REAL_BITS  (X86_PTE_P | X86_PTE_W | X86_PTE_A | X86_PTE_D | X86_PTE_NX)

static u64 image_phys(const struct bootinfo *bi, const void *p)
{
	return (u64)p - bi->kernel_virt + bi->kernel_base;
}

/* [0] is the page of zeros, each of the others a table that leads to the one below everywhere. */
static void make_zero_tables(const struct bootinfo *bi)
{
	for (unsigned int level = 1; level < HAL_PT_LEVELS; level++)
		for (unsigned int i = 0; i < HAL_PT_ENTRIES; i++)
			zero_tables[level][i] = image_phys(bi, zero_tables[level - 1]) |
						(level == 1 ? ZERO_BITS : TABLE_BITS);
}

/* The upper tables of the image's chain begin as copies of the shared ones. */
static void make_image_tables(const struct bootinfo *bi)
{
	u64 first = (u64)hal_shadow_of((u64)__kernel_start) & HAL_PAGE_MASK;
	u64 last = (u64)hal_shadow_of((u64)__image_shadow_start - 1) & HAL_PAGE_MASK;
	u64 base = first & ~((1ull << hal_pt_shift(1)) - 1);
	u64 memory = image_phys(bi, __image_shadow_start);

	for (unsigned int i = 0; i < HAL_PT_ENTRIES; i++) {
		image_upper[0][i] = zero_tables[3][i];
		image_upper[1][i] = zero_tables[2][i];
		for (unsigned int t = 0; t < IMAGE_TABLES; t++)
			image_tables[t][i] = zero_tables[1][i];
	}
	image_upper[0][hal_pt_index(base, 2)] = image_phys(bi, image_upper[1]) | TABLE_BITS;
	for (unsigned int t = 0; t < IMAGE_TABLES; t++)
		image_upper[1][hal_pt_index(base, 1) + t] = image_phys(bi, image_tables[t]) | TABLE_BITS;
	for (u64 va = first; va <= last; va += HAL_PAGE_SIZE, memory += HAL_PAGE_SIZE)
		image_tables[(va - base) >> hal_pt_shift(1)][hal_pt_index(va, 0)] = memory | REAL_BITS;
}

/* Called by entry.asm. Then the constructors run, which put the red zones of global objects into the shadow. */
void x86_shadow_init(const struct bootinfo *bi)
{
	u64 *root = (u64 *)(bi->direct_map_virt + (x86_read_cr3() & X86_PTE_ADDR));
	unsigned int end = hal_pt_index(HAL_KASAN_END - 1, HAL_PT_LEVELS - 1);

	make_zero_tables(bi);
	make_image_tables(bi);
	for (unsigned int i = hal_pt_index(HAL_KASAN_BASE, HAL_PT_LEVELS - 1); i < end; i++)
		root[i] = image_phys(bi, zero_tables[3]) | TABLE_BITS | X86_PTE_NX;
	root[end] = image_phys(bi, image_upper[0]) | TABLE_BITS | X86_PTE_NX;
	for (void (*const *f)(void) = __init_array_start; f < __init_array_end; f++)
		(*f)();
}

paddr_t hal_shadow_zero(unsigned int level)
{
	return hal_image_to_phys(zero_tables[level]);
}

/*
 * A page of zeros has become memory, and another CPU was not waited for: it was told to forget, or finds out here.
 * The entry is writable by now; the stale translation goes by INVLPG (SDM vol. 3A 4.10.4.3 allows such faults).
 */
bool x86_shadow_spurious(vaddr_t addr)
{
	hal_pte_t *table = hal_phys_to_virt(hal_pt_root_current());

	if (addr < HAL_KASAN_BASE || addr >= HAL_KASAN_END)
		return false;
	for (unsigned int level = HAL_PT_LEVELS - 1;; level--) {
		hal_pte_t e = hal_pte_read(&table[hal_pt_index(addr, level)]);

		if (!hal_pte_present(e))
			return false;
		if (hal_pte_is_leaf(e, level) || level == 0) {
			hal_tlb_flush_local_page(addr);
			return hal_pte_writable(e);
		}
		table = hal_phys_to_virt(hal_pte_paddr(e, level));
	}
}

/* ---- traps ------------------------------------------------------------------------------------- */

static u64 reg_value(const struct hal_regs *r, unsigned int n)
{
	const u64 values[16] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
				 r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };

	return values[n & 15];
}

/* SDM vol. 2A 2.1.5: the address of a ModR/M operand in memory; p points to the ModR/M byte. False: none that we know. */
static bool operand_address(const struct hal_regs *r, const u8 *p, unsigned int rex, u64 *out)
{
	unsigned int mod = p[0] >> 6, rm = p[0] & 7;
	u64 address;

	if (mod == 3 || (mod == 0 && rm == 5))
		return false;
	p++;
	if (rm == 4) {
		unsigned int index = ((p[0] >> 3) & 7) | (rex & 2) << 2, base = (p[0] & 7) | (rex & 1) << 3;

		if (mod == 0 && (base & 7) == 5)
			return false;
		address = reg_value(r, base) + (index == 4 ? 0 : reg_value(r, index) << (p[0] >> 6));
		p++;
	} else {
		address = reg_value(r, rm | (rex & 1) << 3);
	}
	if (mod == 1)
		address += (u64)(s64)(s8)p[0];
	else if (mod == 2)
		address += (u64)(s64)(s32)(p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24);
	*out = address;
	return true;
}

/* A #GP of the kernel. True: it was a look at the shadow of *addr, an address below the kernel's half. */
bool x86_shadow_trap(const struct hal_regs *r, vaddr_t *addr)
{
	u8 code[16];
	u64 words[2], address, first = HAL_SHADOW_OFFSET, n = 0;
	unsigned int rex = 0;

	if (!hal_kernel_load_u64(r->rip, &words[0]) || !hal_kernel_load_u64(r->rip + 8, &words[1]))
		return false;
	__builtin_memcpy(code, words, sizeof(code));
	if (code[n] == 0x66)
		n++;
	if ((code[n] & 0xf0) == 0x40)
		rex = code[n++];
	n += code[n] == 0x0f ? 2 : 1;
	if (!operand_address(r, code + n, rex, &address) || address < first ||
	    address >= first + (HAL_USER_END >> HAL_SHADOW_SHIFT) + HAL_PAGE_SIZE)
		return false;
	*addr = (address - first) << HAL_SHADOW_SHIFT;
	return true;
}

#endif
