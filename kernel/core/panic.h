/* SPDX-License-Identifier: MIT */
#ifndef CORE_PANIC_PRIVATE_H
#define CORE_PANIC_PRIVATE_H

/* Between panic.c (that there is an end) and panic_report.c (what is said before it). */
#include <kernel/core/assert.h>

struct hal_regs;

/* The panicking CPU's. */
struct panic_facts {
	char reason[320];
	const struct hal_regs *regs;
	bool fault;		/* `addr` is what a page fault was about */
	vaddr_t addr;
};
extern struct panic_facts panic_facts;

/* Goes through the parts of the report; called again after a panic inside of one, it goes on with the next. */
void panic_report_continue(void);
/* Straight to the consoles. */
void panic_printf(const char *fmt, ...) __printf(1, 2);

#endif
