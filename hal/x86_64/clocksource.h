/* SPDX-License-Identifier: MIT */
#ifndef X86_CLOCKSOURCE_H
#define X86_CLOCKSOURCE_H

/* The counters that the clock may be read from, apart from the machine: clocksource.c has the theory. */
#include <lib/compiler.h>

enum { CLOCKSOURCE_TSC, CLOCKSOURCE_HPET, CLOCKSOURCE_PM, CLOCKSOURCE_COUNT };

/* [I] once added, but for last and usable. */
struct clocksource {
	const char *name;	/* Linux's */
	u64 (*read)(void);	/* NULL: the machine has none */
	u64 hz;
	u64 mask;		/* the counter wraps there */
	u64 mult;		/* ns per tick, 32.32 */
	u64 last;		/* [a] widest value seen, see calibrate_extend() */
	bool usable;		/* [a] */
};

/* Boot: there is such a counter. The best one of those added is chosen by the first clocksource_select(). */
void clocksource_add(u32 which, u64 (*read)(void), u64 hz, u64 mask);
/* Never again. The current one keeps running until another is selected. */
void clocksource_forbid(u32 which);
bool clocksource_usable(u32 which);
const struct clocksource *clocksource_get(u32 which);
u32 clocksource_current(void);

/*
 * The clock goes on from where it is with that counter. Callers exclude each other; interrupts off. 0; -EINVAL: not
 * usable.
 */
int clocksource_select(u32 which);

/* How many ns may pass between two looks at the clock before the current counter has gone half round; 0: for ever. */
u64 clocksource_half_turn_ns(void);

#endif
