/* SPDX-License-Identifier: MIT */
/* A synthetic kernel file for the tests of efi-loader/elf.c; see loader_kernel.h. */
#include "loader_kernel.h"

#include <boot/bootinfo.h>

#include "crc.h"
#include "text.h"

#define BASE	BOOT_KERNEL_LINK_VIRT

void put16(uint8_t *file, size_t at, uint16_t value)
{
	mem_copy(file + at, &value, sizeof(value));
}

void put32(uint8_t *file, size_t at, uint32_t value)
{
	mem_copy(file + at, &value, sizeof(value));
}

void put64(uint8_t *file, size_t at, uint64_t value)
{
	mem_copy(file + at, &value, sizeof(value));
}

uint64_t get64(const uint8_t *file, size_t at)
{
	uint64_t value;

	mem_copy(&value, file + at, sizeof(value));
	return value;
}

static void put_program(uint8_t *file, unsigned index, uint32_t type, uint32_t flags, uint64_t offset,
			uint64_t virt, uint64_t file_bytes, uint64_t memory_bytes)
{
	size_t at = KERNEL_PHDR(index);

	put32(file, at, type);
	put32(file, at + 4, flags);
	put64(file, at + 8, offset);
	put64(file, at + 16, virt);
	put64(file, at + 24, virt);
	put64(file, at + 32, file_bytes);
	put64(file, at + 40, memory_bytes);
	put64(file, at + 48, type == 1 ? 4096 : 8);
}

static void put_pair(uint8_t *file, size_t *at, uint64_t a, uint64_t b)
{
	put64(file, *at, a);
	put64(file, *at + 8, b);
	*at += 16;
}

void kernel_build(uint8_t *file)
{
	size_t at = KERNEL_DYNAMIC;

	mem_zero(file, KERNEL_FILE_BYTES);
	mem_copy(file, "\177ELF\2\1\1", 7);
	put16(file, 16, 3);
	put16(file, 18, 62);
	put32(file, 20, 1);
	put64(file, 24, BASE + 16);
	put64(file, 32, 64);
	put16(file, 52, 64);
	put16(file, 54, 56);
	put16(file, 56, 5);
	put_program(file, KERNEL_PH_TEXT, 1, 5, KERNEL_TEXT, BASE, 64, 64);
	put_program(file, KERNEL_PH_RODATA, 1, 4, KERNEL_NOTE, BASE + 0x1000, 320, 320);
	put_program(file, KERNEL_PH_DATA, 1, 6, KERNEL_DATA, BASE + 0x2000, 128, 0x3000);
	put_program(file, KERNEL_PH_DYNAMIC, 2, 4, KERNEL_DYNAMIC, BASE + 0x1000 + 64, 128, 128);
	put_program(file, KERNEL_PH_NOTE, 4, 4, KERNEL_NOTE, BASE + 0x1000, 36, 36);
	put32(file, KERNEL_NOTE, 8);
	put32(file, KERNEL_NOTE + 4, 16);
	put32(file, KERNEL_NOTE + 8, BOOT_NOTE_TYPE);
	mem_copy(file + KERNEL_NOTE + 12, BOOT_NOTE_NAME, 8);
	put32(file, KERNEL_NOTE + 20, BOOTINFO_VERSION);
	put_pair(file, &at, 7, BASE + 0x1000 + (KERNEL_RELA - KERNEL_NOTE));
	put_pair(file, &at, 8, KERNEL_RELAS * 24);
	put_pair(file, &at, 9, 24);
	for (unsigned i = 0; i < KERNEL_RELAS; i++) {
		put64(file, KERNEL_RELA + 24 * i, BASE + 0x2000 + 8 * i);
		put64(file, KERNEL_RELA + 24 * i + 8, 8);
		put64(file, KERNEL_RELA + 24 * i + 16, BASE + 0x100 * i);
	}
	for (unsigned i = 0; i < 64; i++)
		file[KERNEL_TEXT + i] = (uint8_t)i;
	kernel_seal(file, KERNEL_FILE_BYTES);
}

/* Independent of elf.c: copies each segment and clears the field in the copy. */
void kernel_seal(uint8_t *file, size_t bytes)
{
	static uint8_t copy[1 << 16];
	uint64_t programs, note = 0;
	uint32_t crc = 0;
	unsigned count;

	if (bytes < 64 || bytes > sizeof(copy))
		return;
	programs = get64(file, 32);
	count = file[56] | file[57] << 8;
	if (programs > bytes || count > (bytes - programs) / 56)
		return;
	for (unsigned i = 0; i < count; i++) {
		size_t at = programs + 56 * i;

		if (file[at] == 4 && !file[at + 1] && !file[at + 2] && !file[at + 3] && !note)
			note = get64(file, at + 8);
	}
	if (!note || bytes < 36 || note > bytes - 36)
		return;
	put32(file, note + 24, 0);
	mem_copy(copy, file, bytes);
	for (unsigned i = 0; i < count; i++) {
		size_t at = programs + 56 * i;
		uint64_t offset = get64(file, at + 8), length = get64(file, at + 32);

		if (file[at] != 1 || file[at + 1] || file[at + 2] || file[at + 3])
			continue;
		crc = crc32_update(crc, file + at + 16, 8);
		crc = crc32_update(crc, file + at + 40, 8);
		crc = crc32_update(crc, file + at + 32, 8);
		if (offset > bytes || length > bytes - offset)
			return;
		crc = crc32_update(crc, copy + offset, length);
	}
	crc = crc32_update(crc, file + 24, 8);
	put32(file, note + 24, crc);
}
