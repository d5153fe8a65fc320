/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEBUG_LEAKS_H
#define KERNEL_DEBUG_LEAKS_H

/*
 * The leak check at power-off, and /proc/halcyon/leaks. Debug and check kernels; leakcheck=0 on the command line says no.
 */
#include <lib/compiler.h>

#if HALCYON_DEBUG
/* The boot thread, before anything of the user's is there: what is in use now is right. */
void debug_leak_baseline(void);
/*
 * From reboot(2): ends all processes, the caller too, unmounts, compares with the baseline, reports, and calls
 * end(leaked). Returns to the caller only to let it die, or when the check is not wanted or not possible.
 */
void debug_leak_end_machine(void (*end)(bool leaked));
/* Empties what is kept by intent: names that nobody uses, page tables, stacks, magazines, what RCU still has to free. */
void debug_leak_quiesce(void);
#else
static inline void debug_leak_baseline(void)
{
}

static inline void debug_leak_end_machine(void (*end)(bool leaked))
{
	(void)end;
}
#endif

#endif
