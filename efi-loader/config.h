/* SPDX-License-Identifier: MIT */
/*
 * boot.conf: what can be booted, and how the command line comes together.
 *
 * The file holds the key words of the Boot Loader Specification (UAPI.1) in one file:
 *
 *	# comment
 *	default Halcyon			(title, or number of the entry counted from 1; else the first)
 *	timeout 3			(seconds that the menu waits; 0 or absent: no menu)
 *	title   Halcyon			(starts an entry)
 *	linux   /halcyon/kernel.elf	(exactly one)
 *	initrd  /halcyon/initrd.img	(any number, loaded one after the other)
 *	options console=ttyS0		(any number, joined by a space)
 *
 * Paths are relative to the root of the loader's volume, with / or \. Lines end in LF or CRLF. Key words
 * that the specification has and we do not need are accepted and ignored; a key word that nobody knows
 * is ignored too, as the specification asks, but counted, so that the loader can say so.
 */
#ifndef LOADER_CONFIG_H
#define LOADER_CONFIG_H

#include "text.h"

#define CONFIG_BYTES_MAX	(64u * 1024u)
#define CONFIG_ENTRIES_MAX	16u
#define CONFIG_INITRDS_MAX	8u
#define CONFIG_OPTIONS_MAX	8u
#define CONFIG_PATH_MAX		255u
#define CONFIG_TIMEOUT_MAX_S	3600u

struct config_entry {
	struct span title;
	struct span kernel;
	struct span initrds[CONFIG_INITRDS_MAX];
	struct span options[CONFIG_OPTIONS_MAX];
	unsigned initrd_count;
	unsigned option_count;
	unsigned line;		/* of its title */
};

struct config {
	struct config_entry entries[CONFIG_ENTRIES_MAX];
	unsigned entry_count;
	unsigned chosen;	/* index of the default entry */
	unsigned timeout_s;
	unsigned unknown_keys;	/* lines ignored */
	unsigned unknown_line;	/* the first of them */
};

/*
 * Parse `length` bytes of `text`; the result points into it. Returns 0, or -1 with the reason and the
 * line in `error`. A configuration that parses has at least one entry, each with a kernel.
 */
int config_parse(const char *text, size_t length, struct config *config, struct load_error *error);

/*
 * Join the entry's options and `extra` (the firmware's load options, may be NULL) with spaces into
 * `line`, ended by a NUL. Returns the length, or -1 when it does not fit `size`.
 */
int config_command_line(const struct config_entry *entry, const char *extra, char *line, size_t size);

/* Whether `word` stands in the command line as a word of its own, before "--". */
bool command_line_has(const char *line, const char *word);

/*
 * The loader's own arguments in UEFI's UCS-2, of `bytes` bytes, as ASCII into `text`. What is not
 * printable ASCII throughout is binary data of a boot manager and gives "". A first word that ends in
 * .efi is the shell's name of us and is left out.
 */
void load_options_to_text(const uint16_t *options, size_t bytes, char *text, size_t size);

/*
 * A path of boot.conf (UTF-8) as UCS-2 with backslashes, beginning with one and ended by 0, into `path`
 * of CONFIG_PATH_MAX + 2 units. Returns 0, or -1 when it is too long or not valid UTF-8.
 */
int config_path_to_ucs2(struct span span, uint16_t *path);

#endif /* LOADER_CONFIG_H */
