/* SPDX-License-Identifier: MIT */
#ifndef X86_PTI_CR3_H
#define X86_PTI_CR3_H

/*
 * The values of CR3 that a CPU's entries and ways out load with page-table isolation, and when they flush (pti.c). Plain
 * arithmetic on three words, which the host tests run against a model of a TLB.
 *
 * The way out (SHIELD_OUT in entry_hard.asm): user_cr3 = user_next; user_next |= noflush.
 */
#include <lib/types.h>

/* Bit of CR3 that says which root of a pair it names, and the PCID of the user's; the kernel's is 0 (SDM vol. 3A 4.10.1). */
#define X86_PTI_USER_ROOT	0x1000ull
#define X86_PTI_USER_PCID	1ull
#define X86_CR3_NOFLUSH		(1ull << 63)

struct x86_pti_cr3 {
	u64 kernel_cr3;		/* [own] what an entry loads */
	u64 user_cr3;		/* [own] what this way out loads */
	u64 user_next;		/* [own] what the next one will: without NOFLUSH while a flush is due */
	u64 noflush;		/* [I] X86_CR3_NOFLUSH with PCIDs, else 0 */
};

/*
 * The CPU has loaded the kernel's root `root`, which flushed PCID 0. `user`: the root that user mode will run on. Its PCID may
 * still hold another space's translations, so the next way out flushes it.
 */
static inline void x86_pti_cr3_set(struct x86_pti_cr3 *c, u64 root, u64 user)
{
	c->kernel_cr3 = root | c->noflush;
	c->user_next = c->user_cr3 = user | (c->noflush ? X86_PTI_USER_PCID : 0);
}

/* A translation of user memory has changed: one instruction, so that an interrupt cannot come between. */
static inline void x86_pti_cr3_flush(struct x86_pti_cr3 *c)
{
	__atomic_fetch_and(&c->user_next, ~X86_CR3_NOFLUSH, __ATOMIC_RELAXED);
}

#endif
