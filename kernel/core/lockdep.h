/* SPDX-License-Identifier: MIT */
#ifndef CORE_LOCKDEP_PRIVATE_H
#define CORE_LOCKDEP_PRIVATE_H

/* Between spinlock.c and lockdep.c, debug kernel only. Interrupts are off in all of them, as they change the CPU's book. */
#include <kernel/core/spinlock.h>

#if HALCYON_DEBUG
/* irqs_on: as the caller of the lock had them. */
void lockdep_spin_check(const struct spinlock *l, bool nested, bool irqs_on, vaddr_t place);
/* A try-lock cannot deadlock with its own CPU's order, but with an interrupt that finds it held. */
void lockdep_spin_check_context(const struct spinlock *l, bool irqs_on, vaddr_t place);
/* wait: hal_cycles() that it took to get it. */
void lockdep_spin_push(struct spinlock *l, vaddr_t place, u64 wait);
void lockdep_spin_pop(const struct spinlock *l);
#endif

#endif
