/* SPDX-License-Identifier: MIT */
#ifndef ARCH_PT_H
#define ARCH_PT_H

/*
 * A page-table format of our own, on purpose not that of any machine: rights are positive bits (EXEC too), leaves are
 * marked on every level, and none is zero. The host's "MMU" (mmu.c) walks it.
 */
#include <lib/types.h>

typedef struct {
	u64 v;
} hal_pte_t;

#define HAL_PT_LEVELS		4
#define HAL_PT_ENTRIES		512
#define HAL_PT_KERNEL_FIRST	96	/* HAL_FRAME_TABLE_BASE >> 39 */

#define HOST_PTE_VALID	0x001ull
#define HOST_PTE_PROT	0x0feull	/* HAL_PT_* << 1 */
#define HOST_PTE_LEAF	0x100ull
#define HOST_PTE_USED	0x200ull	/* accessed */
#define HOST_PTE_DIRTY	0x400ull
#define HOST_PTE_ADDR	0x000ffffffffff000ull
#define HOST_PTE_SOFT	(7ull << 60)

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
	return level <= 1;
}

static inline hal_pte_t hal_pte_leaf(paddr_t pa, u32 prot, unsigned int level)
{
	(void)level;
	return (hal_pte_t){ (pa & HOST_PTE_ADDR) | HOST_PTE_VALID | HOST_PTE_LEAF | (u64)prot << 1 };
}

static inline hal_pte_t hal_pte_table(paddr_t pa, bool user)
{
	return (hal_pte_t){ pa | HOST_PTE_VALID | (user ? (u64)HAL_PT_USER << 1 : 0) | (u64)HAL_PT_WRITE << 1 };
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
	return e.v & HOST_PTE_VALID;
}

static inline bool hal_pte_is_leaf(hal_pte_t e, unsigned int level)
{
	return level == 0 || (e.v & HOST_PTE_LEAF);
}

static inline u32 hal_pte_prot(hal_pte_t e, unsigned int level)
{
	(void)level;
	return (u32)((e.v & HOST_PTE_PROT) >> 1);
}

static inline bool hal_pte_writable(hal_pte_t e)
{
	return hal_pte_prot(e, 0) & HAL_PT_WRITE;
}

static inline bool hal_pte_user(hal_pte_t e)
{
	return hal_pte_prot(e, 0) & HAL_PT_USER;
}

static inline bool hal_pte_exec(hal_pte_t e)
{
	return hal_pte_prot(e, 0) & HAL_PT_EXEC;
}

static inline bool hal_pte_dirty(hal_pte_t e)
{
	return e.v & HOST_PTE_DIRTY;
}

static inline bool hal_pte_accessed(hal_pte_t e)
{
	return e.v & HOST_PTE_USED;
}

static inline paddr_t hal_pte_paddr(hal_pte_t e, unsigned int level)
{
	(void)level;
	return e.v & HOST_PTE_ADDR;
}

static inline hal_pte_t hal_pte_wrprotect(hal_pte_t e)
{
	return (hal_pte_t){ e.v & ~((u64)HAL_PT_WRITE << 1) };
}

static inline hal_pte_t hal_pte_mkwrite(hal_pte_t e)
{
	return (hal_pte_t){ e.v | (u64)HAL_PT_WRITE << 1 };
}

static inline hal_pte_t hal_pte_mkdirty(hal_pte_t e)
{
	return (hal_pte_t){ e.v | HOST_PTE_DIRTY };
}

static inline hal_pte_t hal_pte_mkclean(hal_pte_t e)
{
	return (hal_pte_t){ e.v & ~HOST_PTE_DIRTY };
}

static inline hal_pte_t hal_pte_mkyoung(hal_pte_t e)
{
	return (hal_pte_t){ e.v | HOST_PTE_USED };
}

static inline hal_pte_t hal_pte_mkold(hal_pte_t e)
{
	return (hal_pte_t){ e.v & ~HOST_PTE_USED };
}

static inline hal_pte_t hal_pte_change_prot(hal_pte_t e, u32 prot, unsigned int level)
{
	(void)level;
	return (hal_pte_t){ (e.v & ~HOST_PTE_PROT) | (u64)prot << 1 };
}

static inline unsigned int hal_pte_soft(hal_pte_t e)
{
	return (e.v & HOST_PTE_SOFT) >> 60;
}

static inline hal_pte_t hal_pte_with_soft(hal_pte_t e, unsigned int soft)
{
	return (hal_pte_t){ (e.v & ~HOST_PTE_SOFT) | (u64)soft << 60 };
}

static inline hal_pte_t hal_pte_swap(u64 value)
{
	return (hal_pte_t){ value << 2 | 2 };
}

static inline u64 hal_pte_swap_value(hal_pte_t e)
{
	return e.v >> 2;
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

static inline paddr_t hal_pte_table_paddr(hal_pte_t e)
{
	return hal_pte_paddr(e, 0);
}

/* Roots come in pairs here, as with page-table isolation: test/host/vm_test.c looks whether the second one follows. */
static inline unsigned int hal_pt_root_order(void)
{
	return 1;
}

static inline void hal_pt_root_changed(hal_pte_t *p)
{
	p[HAL_PT_ENTRIES] = hal_pte_read(p);
}

static inline bool hal_pte_cmpxchg(hal_pte_t *p, hal_pte_t old, hal_pte_t new)
{
	return __atomic_compare_exchange_n(&p->v, &old.v, new.v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif
