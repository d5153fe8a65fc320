/* SPDX-License-Identifier: MIT */
#ifndef CORE_CONSOLE_PRIVATE_H
#define CORE_CONSOLE_PRIVATE_H

/* Between log.c and console.c. */
#include <kernel/core/log.h>

#define CONSOLE_PREFIX_MAX 40u
#define CONSOLE_LINE_MAX (LOG_RECORD_MAX + 8 * CONSOLE_PREFIX_MAX)	/* a record with its stamp before each line */

void console_init(void);
/* Prints what the consoles have not shown yet, unless somebody is at it. */
void console_flush(void);
/* "[    1.234567] text\n" into line; returns its length. */
size_t console_format(char *line, size_t size, const struct log_record *rec, const char *text);
bool log_in_panic(void);

#endif
