/* SPDX-License-Identifier: MIT */
#ifndef ARCH_PT_H
#define ARCH_PT_H

/*
 * SDM vol. 3A, 4.5. Bits 9, 10, 58 are the kernel's soft bits (58 is free below protection keys at
 * 59-62), bit 11 with P clear marks PROT_NONE. Memory types go through the PAT as the HAL programs
 * it (cpu.c): entry 0 write-back, 1 write-combining, 2 uncached-minus, 3 uncached.
 */
#include <lib/types.h>

typedef struct {
	u64 v;
} hal_pte_t;

#define HAL_PT_LEVELS		4
#define HAL_PT_ENTRIES		512
#define HAL_PT_KERNEL_FIRST	256

#define X86_PTE_P	(1ull << 0)
#define X86_PTE_W	(1ull << 1)
#define X86_PTE_U	(1ull << 2)
#define X86_PTE_PWT	(1ull << 3)
#define X86_PTE_PCD	(1ull << 4)
#define X86_PTE_A	(1ull << 5)
#define X86_PTE_D	(1ull << 6)
#define X86_PTE_PS	(1ull << 7)	/* level 1 and 2 */
#define X86_PTE_G	(1ull << 8)
#define X86_PTE_SOFT0	(1ull << 9)
#define X86_PTE_SOFT1	(1ull << 10)
#define X86_PTE_NONE	(1ull << 11)	/* owned, but PROT_NONE */
#define X86_PTE_SOFT2	(1ull << 58)
#define X86_PTE_NX	(1ull << 63)
#define X86_PTE_ADDR	0x000ffffffffff000ull

extern bool x86_have_1g_pages;	/* [I] */
extern u8 x86_pti;		/* [I] page-table isolation is on: pti.c */
extern u64 x86_global_bit;	/* [I] X86_PTE_G, or 0 with page-table isolation */

static inline unsigned int hal_pt_shift(unsigned int level)
{
	return 12 + 9 * level;
}

static inline unsigned int hal_pt_index(vaddr_t va, unsigned int level)
{
	return (va >> hal_pt_shift(level)) & 511;
}

static inline bool hal_pt_leaf_ok(unsigned int level)
{
	return level <= 1 || (level == 2 && x86_have_1g_pages);
}

/* With these rights the entry is not present for the CPU. */
static inline bool x86_prot_none(u32 prot)
{
	return !(prot & (HAL_PT_READ | HAL_PT_WRITE | HAL_PT_EXEC));
}

static inline u64 x86_pte_rights(u32 prot)
{
	u64 v = X86_PTE_P;

	if (x86_prot_none(prot))
		v = X86_PTE_NONE;
	if (prot & HAL_PT_WRITE)
		v |= X86_PTE_W;
	if (prot & HAL_PT_USER)
		v |= X86_PTE_U;
	if (prot & HAL_PT_GLOBAL)
		v |= x86_global_bit;
	if (prot & HAL_PT_DEVICE)
		v |= X86_PTE_PCD | X86_PTE_PWT;
	else if (prot & HAL_PT_WC)
		v |= X86_PTE_PWT;
	if (!(prot & HAL_PT_EXEC))
		v |= X86_PTE_NX;
	return v;
}

/*
 * An entry that is not present holds its address inverted: a CPU with L1TF (CVE-2018-3620) guesses that it is
 * present all the same, and reads from its first-level cache what lies there. Nothing lies at the inverted one, which is in
 * the upper half of what the address bits can say. On every CPU, because all it costs is a test that is rarely true.
 */
static inline u64 x86_pte_hide(u64 v)
{
	if (unlikely(!(v & X86_PTE_P)))
		v ^= X86_PTE_ADDR;
	return v;
}

/* Kernel leaves are born accessed and dirty: nobody asks, and the CPU need not write them. */
static inline hal_pte_t hal_pte_leaf(paddr_t pa, u32 prot, unsigned int level)
{
	u64 v = (pa & X86_PTE_ADDR) | x86_pte_rights(prot);

	if (level)
		v |= X86_PTE_PS;
	if (!(prot & HAL_PT_USER))
		v |= X86_PTE_A | ((prot & HAL_PT_WRITE) ? X86_PTE_D : 0);
	if (x86_prot_none(prot))
		v ^= X86_PTE_ADDR;
	return (hal_pte_t){ v };
}

static inline hal_pte_t hal_pte_table(paddr_t pa, bool user)
{
	return (hal_pte_t){ pa | X86_PTE_P | X86_PTE_W | X86_PTE_A | (user ? X86_PTE_U : 0) };
}

static inline hal_pte_t hal_pte_none(void)
{
	return (hal_pte_t){ 0 };
}

static inline bool hal_pte_is_none(hal_pte_t e)
{
	return e.v == 0;
}

static inline bool hal_pte_present(hal_pte_t e)
{
	if (likely(e.v & X86_PTE_P))
		return true;
	__asm__ volatile("");	/* two tests: what follows then knows which bit it was, and x86_pte_hide() costs nothing */
	return e.v & X86_PTE_NONE;
}

static inline bool hal_pte_is_leaf(hal_pte_t e, unsigned int level)
{
	return level == 0 || (e.v & X86_PTE_PS);
}

static inline bool hal_pte_writable(hal_pte_t e)
{
	return (e.v & X86_PTE_W) != 0;
}

static inline bool hal_pte_user(hal_pte_t e)
{
	return (e.v & X86_PTE_U) != 0;
}

static inline bool hal_pte_exec(hal_pte_t e)
{
	return (e.v & (X86_PTE_NX | X86_PTE_P)) == X86_PTE_P;
}

static inline bool hal_pte_dirty(hal_pte_t e)
{
	return (e.v & X86_PTE_D) != 0;
}

static inline bool hal_pte_accessed(hal_pte_t e)
{
	return (e.v & X86_PTE_A) != 0;
}

/* A large leaf has the PAT bit at 12: it is not an address bit. */
static inline paddr_t hal_pte_paddr(hal_pte_t e, unsigned int level)
{
	u64 v = x86_pte_hide(e.v);

	if (level && (v & X86_PTE_PS))
		return v & X86_PTE_ADDR & ~((1ull << hal_pt_shift(level)) - 1);
	return v & X86_PTE_ADDR;
}

/* Of an entry that leads to a table. */
static inline paddr_t hal_pte_table_paddr(hal_pte_t e)
{
	return e.v & X86_PTE_ADDR;
}

static inline u32 hal_pte_prot(hal_pte_t e, unsigned int level)
{
	u32 prot = 0;

	(void)level;
	if (e.v & X86_PTE_P)
		prot |= HAL_PT_READ | ((e.v & X86_PTE_NX) ? 0 : HAL_PT_EXEC);
	if (e.v & X86_PTE_W)
		prot |= HAL_PT_WRITE;
	if (e.v & X86_PTE_U)
		prot |= HAL_PT_USER;
	if (e.v & X86_PTE_G)
		prot |= HAL_PT_GLOBAL;
	if (e.v & X86_PTE_PCD)
		prot |= HAL_PT_DEVICE;
	else if (e.v & X86_PTE_PWT)
		prot |= HAL_PT_WC;
	return prot;
}

static inline hal_pte_t hal_pte_wrprotect(hal_pte_t e)
{
	return (hal_pte_t){ e.v & ~X86_PTE_W };
}

static inline hal_pte_t hal_pte_mkwrite(hal_pte_t e)
{
	return (hal_pte_t){ e.v | X86_PTE_W };
}

static inline hal_pte_t hal_pte_mkdirty(hal_pte_t e)
{
	return (hal_pte_t){ e.v | X86_PTE_D };
}

static inline hal_pte_t hal_pte_mkclean(hal_pte_t e)
{
	return (hal_pte_t){ e.v & ~X86_PTE_D };
}

static inline hal_pte_t hal_pte_mkyoung(hal_pte_t e)
{
	return (hal_pte_t){ e.v | X86_PTE_A };
}

static inline hal_pte_t hal_pte_mkold(hal_pte_t e)
{
	return (hal_pte_t){ e.v & ~X86_PTE_A };
}

static inline hal_pte_t hal_pte_change_prot(hal_pte_t e, u32 prot, unsigned int level)
{
	u64 keep = X86_PTE_ADDR | X86_PTE_A | X86_PTE_D | X86_PTE_SOFT0 | X86_PTE_SOFT1 | X86_PTE_SOFT2;

	if (level)
		keep |= X86_PTE_PS;
	e.v = (x86_pte_hide(e.v) & keep) | x86_pte_rights(prot);
	if (x86_prot_none(prot))
		e.v ^= X86_PTE_ADDR;
	return e;
}

static inline unsigned int hal_pte_soft(hal_pte_t e)
{
	return ((e.v >> 9) & 3) | ((e.v >> 56) & 4);
}

static inline hal_pte_t hal_pte_with_soft(hal_pte_t e, unsigned int soft)
{
	e.v &= ~(X86_PTE_SOFT0 | X86_PTE_SOFT1 | X86_PTE_SOFT2);
	e.v |= (u64)(soft & 3) << 9 | (u64)(soft & 4) << 56;
	return e;
}

/* P and the PROT_NONE bit clear, bit 1 set so that it is never "none"; 5 bits below 12 stay unused. */
static inline hal_pte_t hal_pte_swap(u64 value)
{
	return (hal_pte_t){ x86_pte_hide((value & 0xff) << 2 | (value >> 8) << 12 | X86_PTE_W) };
}

static inline u64 hal_pte_swap_value(hal_pte_t e)
{
	u64 v = x86_pte_hide(e.v);

	return ((v >> 2) & 0xff) | (v >> 12) << 8;
}

static inline hal_pte_t hal_pte_read(const hal_pte_t *p)
{
	return (hal_pte_t){ __atomic_load_n(&p->v, __ATOMIC_ACQUIRE) };
}

static inline void hal_pte_write(hal_pte_t *p, hal_pte_t e)
{
	__atomic_store_n(&p->v, e.v, __ATOMIC_RELEASE);
}

static inline hal_pte_t hal_pte_xchg(hal_pte_t *p, hal_pte_t e)
{
	return (hal_pte_t){ __atomic_exchange_n(&p->v, e.v, __ATOMIC_SEQ_CST) };
}

/* Roots come in pairs with page-table isolation, the user's behind the kernel's. */
static inline unsigned int hal_pt_root_order(void)
{
	return x86_pti;
}

/*
 * The kernel's entry gets NX, because nobody executes user memory by the kernel's root. Tables of user memory only: what
 * else is in the lower half (firmware, mapped one to one) is for the kernel.
 */
static inline void hal_pt_root_changed(hal_pte_t *p)
{
	u64 v;

	if (likely(!x86_pti))
		return;
	v = __atomic_load_n(&p->v, __ATOMIC_ACQUIRE);
	if (v && !(v & X86_PTE_U))
		return;
	__atomic_store_n(&p[HAL_PT_ENTRIES].v, v & ~X86_PTE_NX, __ATOMIC_RELEASE);
	if (v)
		__atomic_store_n(&p->v, v | X86_PTE_NX, __ATOMIC_RELEASE);
}

static inline bool hal_pte_cmpxchg(hal_pte_t *p, hal_pte_t old, hal_pte_t new)
{
	return __atomic_compare_exchange_n(&p->v, &old.v, new.v, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif
