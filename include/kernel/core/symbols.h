/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_SYMBOLS_H
#define KERNEL_CORE_SYMBOLS_H

/* The kernel's own symbol table (tools/ksyms.py makes it). Any context after the first instruction. */
#include <lib/compiler.h>

/* Makes %pS work. */
void symbols_init(void);
/* The function that addr lies in, with the distance from its start and its size; NULL outside the text. */
const char *symbol_lookup(vaddr_t addr, u64 *offset, u64 *size);
/* The address of a name; 0 when there is none. Linear: for debuggers. */
vaddr_t symbol_address(const char *name);
bool symbol_is_text(vaddr_t addr);
/* The function or variable at or before an address of the image, for debuggers; NULL outside the image. */
const char *symbol_nearest(vaddr_t addr, u64 *offset);

#endif
