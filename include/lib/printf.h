/* SPDX-License-Identifier: MIT */
#ifndef LIB_PRINTF_H
#define LIB_PRINTF_H

/*
 * Formatted output as in C, without floating point: %d %i %u %x %X %o %c %s
 * %p %%, flags "-+ 0#", width and precision (numbers or *), lengths hh h l ll
 * z t j. Beyond C: %pS prints an address as symbol+offset/size through
 * printf_symbol_hook. %n is not there, and ends the output.
 */
#include <stdarg.h>
#include <lib/compiler.h>

/* Return the length that the whole text would have; always end it with NUL. */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf(3, 0);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
/* The same, but return what was stored, without the NUL: for appending. */
int vscnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf(3, 0);
int scnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

/*
 * Writes the name of an address into buf; returns its length, 0 when it knows
 * none. Set once at boot, must be callable in any context.
 */
extern size_t (*printf_symbol_hook)(u64 addr, char *buf, size_t size);

#endif
