/* SPDX-License-Identifier: MIT */
#ifndef HAL_PT_H
#define HAL_PT_H

/*
 * Page-table entries. The one walker is mm's; here is what an entry means on this machine, as inline
 * codecs (arch/pt.h), so that the walker has no number of the machine in it.
 *
 * Levels count from 0, the table of 4 KiB pages, to HAL_PT_LEVELS - 1, the root. A leaf at level n maps
 * 1 << hal_pt_shift(n) bytes; levels up to HAL_PT_MAX_LEAF may hold leaves (ask hal_pt_leaf_ok()).
 *
 *	hal_pte_t			one entry: struct { u64 v; }
 *	HAL_PT_LEVELS, HAL_PT_ENTRIES, HAL_PT_KERNEL_FIRST (root index where the kernel half starts)
 *	unsigned hal_pt_index(vaddr_t, level)	unsigned hal_pt_shift(level)	bool hal_pt_leaf_ok(level)
 *	HAL_PT_READ WRITE EXEC USER GLOBAL	what a maker asks for; EXEC absent = never executable
 *	HAL_PT_DEVICE (uncached) HAL_PT_WC (write-combining)
 *	hal_pte_t hal_pte_leaf(paddr_t, prot, level)
 *	hal_pte_t hal_pte_table(paddr_t, bool user)	allows everything: rights are in the leaf, but for
 *							write, which hal_pte_wrprotect() may take from it
 *	hal_pte_t hal_pte_none(void)	bool hal_pte_is_none(e)	(no bit at all)
 *	bool hal_pte_present(e) hal_pte_is_leaf(e, level) hal_pte_writable(e) hal_pte_user(e)
 *	     hal_pte_exec(e) hal_pte_dirty(e) hal_pte_accessed(e)
 *	paddr_t hal_pte_table_paddr(e)		of an entry that leads to a table
 *	paddr_t hal_pte_paddr(e, level)	u32 hal_pte_prot(e, level)
 *	hal_pte_t hal_pte_wrprotect(e) hal_pte_mkwrite(e) hal_pte_mkdirty(e) hal_pte_mkclean(e)
 *	          hal_pte_mkyoung(e) hal_pte_mkold(e)
 *	hal_pte_t hal_pte_change_prot(e, prot, level)	keeps address, dirty, accessed, soft bits
 *	unsigned hal_pte_soft(e)	hal_pte_t hal_pte_with_soft(e, 0..7)	free for the kernel
 *	hal_pte_t hal_pte_swap(u64 value)	not present, carries 58 bits; hal_pte_swap_value(e)
 *	hal_pte_t hal_pte_read(p)	void hal_pte_write(p, e)	hal_pte_t hal_pte_xchg(p, e)
 *	bool hal_pte_cmpxchg(p, old, new)	true: exchanged
 *
 * With page-table isolation an address space has two roots, in one block of 1 << hal_pt_root_order() pages: the kernel's,
 * which mm knows, and behind it the one that user mode runs on. After each change of an entry of the root's user half:
 *	hal_pt_root_changed(p)			under whatever keeps others from changing it
 *
 * Entries are read and written as single words in any context; who may write which entry is mm's
 * business. The CPU itself sets accessed and dirty bits at any time, so a present entry must be
 * changed with xchg or cmpxchg, never with read and write.
 *
 * PROT_NONE: hal_pte_leaf() with prot 0 gives an entry that the CPU treats as not present and that
 * still says hal_pte_present(): the page is owned by the table.
 */
#include <lib/compiler.h>

#define HAL_PT_READ	0x01u
#define HAL_PT_WRITE	0x02u
#define HAL_PT_EXEC	0x04u
#define HAL_PT_USER	0x08u
#define HAL_PT_GLOBAL	0x10u
#define HAL_PT_DEVICE	0x20u
#define HAL_PT_WC	0x40u

#include <arch/pt.h>

struct hal_space;

/* The root that this CPU walks now. Any context; stable with preemption off. */
paddr_t hal_pt_root_current(void);

/*
 * Makes *space, whose root table is at `root`, this CPU's address space and takes the CPU out of the
 * set of the one before. space NULL: the kernel's own. Interrupts or preemption off.
 */
void hal_space_activate(paddr_t root, struct hal_space *space);

/*
 * The kernel half is one template: 256 top-level entries, fixed once and shared by every root.
 * hal_pt_kernel_template_init() takes them from the given root (mm has filled every entry that will
 * ever be needed); hal_pt_root_init() makes a page (a block of hal_pt_root_order()) into a root with an empty user half.
 */
void hal_pt_kernel_template_init(paddr_t root);
void hal_pt_root_init(void *root_page);

#endif
