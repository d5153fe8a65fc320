/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_STOP_H
#define KERNEL_CORE_STOP_H

/*
 * Stopping all other CPUs for good: for a panic, and for the end of the machine.
 */
#include <lib/compiler.h>
#include <lib/types.h>

struct hal_regs;

/*
 * Returns when every other online CPU stands still or did not obey in time (about a second, then it is named and left
 * alone). Each notes where it was. Any context; the first CPU to call it wins, and does not stop itself; called again by that CPU it
 * returns at once; another CPU stops in it. force: NMIs at once, as CPUs may have interrupts off for ever (a panic); else
 * first by an interrupt, so that none is stopped with a lock held that interrupts exclude.
 */
void stop_others(bool force);

/* This CPU stops for good because another one said so, if it did: from the NMI. regs: where it was. */
void stop_if_wanted(const struct hal_regs *regs);

/* The same for one that panics while another one does: what it wanted to say is kept for the report. */
__noreturn void stop_with_reason(const struct hal_regs *regs, const char *fmt, va_list ap);

/* What the others noted, for the panic report. */
void stop_report(void (*emit)(const char *text, size_t n));

#endif
