/* SPDX-License-Identifier: MIT */
#ifndef CORE_LOCKDEP_PRIVATE_H
#define CORE_LOCKDEP_PRIVATE_H

/* Between spinlock.c and lockdep.c, debug kernel only. Preemption is off in all of them. */
#include <kernel/core/spinlock.h>

#if HALCYON_DEBUG
void lockdep_spin_check(const struct spinlock *l, bool nested, vaddr_t place);
void lockdep_spin_push(const struct spinlock *l, vaddr_t place);
void lockdep_spin_pop(const struct spinlock *l);
#endif

#endif
