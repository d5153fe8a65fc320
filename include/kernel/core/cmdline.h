/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_CMDLINE_H
#define KERNEL_CORE_CMDLINE_H

/*
 * The kernel command line: words separated by blanks, "key=value" or "flag". A value, or part of it, may
 * be in double quotes. Of a key that occurs several times the last one counts. Everything after a word
 * "--" belongs to init, as on Linux. Immutable after cmdline_init(); any context.
 */
#include <lib/compiler.h>

#define CMDLINE_MAX 4096u

/* Boot, once. Takes a copy of len bytes. */
void cmdline_init(const char *s, size_t len);
/* All of it, as it was given: /proc/cmdline. */
const char *cmdline_raw(void);
/* Copies the value of the last key=value, unquoted and terminated. False: not there, or longer than n - 1. */
bool cmdline_find(const char *key, char *buf, size_t n);
/* The i-th one from the left (console= may come often). False past the last one. */
bool cmdline_find_nth(const char *key, u32 i, char *buf, size_t n);
/* The word stands there, alone or as key=value. */
bool cmdline_has(const char *word);
/* The value as a number (0x and 0 prefixes; K, M, G suffixes), or fallback. */
u64 cmdline_u64(const char *key, u64 fallback);
/* "1", "y", "yes", "on", "true", the word alone: true; "0", "n", "no", "off", "false": false; else fallback. */
bool cmdline_bool(const char *key, bool fallback);
/* The i-th word after "--"; false past the last one. */
bool cmdline_init_arg(u32 i, char *buf, size_t n);

/*
 * Walks the words before "--" from *pos (start with 0): the next one, unquoted, in buf. False at the end.
 * For init's environment and arguments: words that the kernel does not know go to init, as on Linux.
 */
bool cmdline_next_word(size_t *pos, char *buf, size_t n);

#endif
