/* SPDX-License-Identifier: MIT */
/*
 * A look at an initrd before the kernel gets it: a message on the firmware's console, with the file's
 * name and a way back, beats a panic later. Only the structure is walked (cpio(5), "newc": a header of
 * 110 ASCII characters, the name, the contents, each padded to four bytes); contents are not read.
 * Nothing that Linux would boot from is refused.
 */
#include "initrd.h"

#define HEADER_BYTES	110u
#define NAME_BYTES_MAX	4096u	/* PATH_MAX, as Linux has it */

/* Eight hexadecimal digits at `at`; -1 when they are not. */
static int64_t read_hex(const uint8_t *at)
{
	int64_t value = 0;

	for (unsigned i = 0; i < 8; i++) {
		unsigned char c = at[i] | 32;	/* lower case; digits have the bit already */

		if (!(at[i] >= '0' && at[i] <= '9') && !(c >= 'a' && c <= 'f'))
			return -1;
		value = value << 4 | (c >= 'a' ? c - 'a' + 10 : c - '0');
	}
	return value;
}

static bool is_compressed(const uint8_t *d, uint64_t size)
{
	static const struct {
		uint8_t bytes[6];
		uint8_t length;
	} magics[] = {
		{ "\x1f\x8b", 2 }, { "\x1f\x9e", 2 }, { "BZh", 3 }, { "\xfd" "7zXZ", 6 }, { "\x5d\0\0", 3 },
		{ "\x89LZO\0", 5 }, { "\x02\x21\x4c\x18", 4 }, { "\x28\xb5\x2f\xfd", 4 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(magics); i++)
		if (size >= magics[i].length && mem_equal(d, magics[i].bytes, magics[i].length))
			return true;
	return false;
}

/* Step over the entry at *at. Returns 1 after the trailer, 0 after another entry, -1 when damaged. */
static int step_entry(const uint8_t *d, uint64_t size, uint64_t *at, struct load_error *error)
{
	int64_t file_bytes, name_bytes;
	uint64_t name, next;

	if (size - *at < HEADER_BYTES)
		return load_refuse(error, "the archive is cut short inside a header", "byte", *at);
	if (!mem_equal(d + *at, "070701", 6) && !mem_equal(d + *at, "070702", 6))
		return load_refuse(error, "not the header of a newc cpio archive", "byte", *at);
	file_bytes = read_hex(d + *at + 54);
	name_bytes = read_hex(d + *at + 94);
	if (file_bytes < 0 || name_bytes <= 0 || name_bytes > NAME_BYTES_MAX)
		return load_refuse(error, "a damaged header in the archive", "byte", *at);
	name = *at + HEADER_BYTES;
	next = round_up(round_up(name + (uint64_t)name_bytes, 4) + (uint64_t)file_bytes, 4);
	if (name + (uint64_t)name_bytes > size || round_up(name + (uint64_t)name_bytes, 4) + (uint64_t)file_bytes > round_up(size, 4))
		return load_refuse(error, "the archive is cut short inside a file", "byte", *at);
	*at = next < size ? next : size;
	return name_bytes == 11 && mem_equal(d + name, "TRAILER!!!", 11);
}

int initrd_check(const void *data, uint64_t size, struct load_error *error)
{
	const uint8_t *d = data;
	uint64_t at = 0;

	if (!size)
		return load_refuse(error, "the file is empty", NULL, 0);
	if (is_compressed(d, size))
		return 0;
	/* Zeros may stand before an archive, at multiples of four bytes. */
	while (at < size && !d[at])
		at++;
	if (at == size || at % 4)
		return load_refuse(error, "not a cpio archive", "byte", at == size ? 0 : at);
	while (at < size && d[at]) {
		int step = step_entry(d, size, &at, error);

		if (step)
			return step < 0 ? -1 : 0;
		while (at < size && !d[at] && at % 4)
			at++;
	}
	return 0;
}
