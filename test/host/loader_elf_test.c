/* SPDX-License-Identifier: MIT */
/* The kernel file: what is accepted, what each damage is called, and what loading makes of it. */
#include "framework.h"

#include <boot/bootinfo.h>

#include "crc.h"
#include "elf.h"
#include "initrd.h"
#include "loader_kernel.h"

#define BASE	BOOT_KERNEL_LINK_VIRT

static const char *verdict(const uint8_t *file, size_t bytes)
{
	struct load_error error = { "accepted", NULL, 0 };
	uint8_t *copy = host_alloc(bytes ? bytes : 1);
	struct elf_plan plan;

	host_memmove(copy, file, bytes);
	elf_plan_image(copy, bytes, &plan, &error);
	host_free(copy);
	return error.what;
}

TEST(crc_known_value)
{
	EXPECT_EQ(crc32_update(0, "123456789", 9), 0xcbf43926);
	EXPECT_EQ(crc32_update(crc32_update(0, "1234", 4), "56789", 5), 0xcbf43926);
}

TEST(kernel_is_planned)
{
	uint8_t file[KERNEL_FILE_BYTES];
	struct load_error error;
	struct elf_plan plan;

	kernel_build(file);
	EXPECT_EQ(elf_plan_image(file, sizeof(file), &plan, &error), 0);
	EXPECT_EQ(plan.segment_count, 3);
	EXPECT_EQ(plan.first_virt, BASE);
	EXPECT_EQ(plan.image_bytes, 0x5000);
	EXPECT_EQ(plan.entry_virt, BASE + 16);
	EXPECT_EQ(plan.rela_count, KERNEL_RELAS);
	put16(file, 16, 2);	/* ET_EXEC, as some versions of ld call the same file */
	EXPECT_STR(verdict(file, sizeof(file)), "accepted");
}

TEST(kernel_is_loaded_and_relocated)
{
	uint8_t file[KERNEL_FILE_BYTES], *image = host_alloc(0x5000);
	uint64_t slide = 7 * BOOT_KERNEL_SLIDE_ALIGN;
	struct load_error error;
	struct elf_plan plan;

	kernel_build(file);
	host_memset(image, 0xaa, 0x5000);
	EXPECT_EQ(elf_plan_image(file, sizeof(file), &plan, &error), 0);
	elf_load_image(file, &plan, slide, image);
	EXPECT_EQ(image[5], 5);
	EXPECT_EQ(image[64], 0);
	EXPECT_EQ(get64(image, 0x2000), BASE + slide);
	EXPECT_EQ(get64(image, 0x2008), BASE + slide + 0x100);
	EXPECT_EQ(get64(image, 0x4ff8), 0);
	host_free(image);
}

/* One change each, sealed again, so that the check meant and not the checksum refuses. */
static const struct damage {
	size_t at;
	unsigned width;
	uint64_t value;
	const char *what;
} damages[] = {
	{ 0, 1, 0, "not an ELF file" },
	{ 4, 1, 1, "not a 64-bit little-endian ELF file of version 1" },
	{ 18, 2, 3, "not an x86-64 executable" },
	{ 16, 2, 1, "not an x86-64 executable" },
	{ 54, 2, 32, "impossible header sizes or counts" },
	{ 56, 2, 0, "impossible header sizes or counts" },
	{ 56, 2, 33, "impossible header sizes or counts" },
	{ 32, 8, ~0ull - 8, "the program headers lie outside the file" },
	{ 24, 8, BASE + 0x2000, "the entry point is not in executable code" },
	{ 24, 8, 0, "the entry point is not in executable code" },
	{ KERNEL_PHDR(0) + 8, 8, KERNEL_FILE_BYTES - 10, "a segment lies outside the file: is it cut short?" },
	{ KERNEL_PHDR(0) + 8, 8, ~0ull - 10, "a segment lies outside the file: is it cut short?" },
	{ KERNEL_PHDR(0) + 32, 8, 65, "a segment is larger in the file than in memory" },
	{ KERNEL_PHDR(0) + 16, 8, BASE + 8, "a segment is not aligned to pages" },
	{ KERNEL_PHDR(0) + 48, 8, 3, "a segment is not aligned to pages" },
	{ KERNEL_PHDR(0) + 16, 8, 0x400000, "a segment lies outside the kernel's area" },
	{ KERNEL_PHDR(2) + 40, 8, 1ull << 40, "a segment lies outside the kernel's area" },
	{ KERNEL_PHDR(2) + 40, 8, ~0ull - 64, "a segment lies outside the kernel's area" },
	{ KERNEL_PHDR(0) + 4, 4, 7, "a segment is unreadable, or both writable and executable" },
	{ KERNEL_PHDR(2) + 4, 4, 2, "a segment is unreadable, or both writable and executable" },
	{ KERNEL_PHDR(1) + 16, 8, BASE, "segments overlap or are out of order" },
	{ KERNEL_PHDR(0) + 40, 8, 0x1001, "segments overlap or are out of order" },
	{ KERNEL_PHDR(3), 4, 0, "no dynamic segment: not position-independent" },
	{ KERNEL_PHDR(3), 4, 3, "asks for an interpreter or thread storage: not a kernel" },
	{ KERNEL_PHDR(4), 4, 2, "a second dynamic segment" },
	{ KERNEL_PHDR(4), 4, 0, "no Halcyon note: not a Halcyon kernel" },
	{ KERNEL_NOTE + 12, 1, 'h', "no Halcyon note: not a Halcyon kernel" },
	{ KERNEL_NOTE + 20, 4, 99, "kernel and loader do not fit together: this kernel takes handoff version" },
	{ KERNEL_PHDR(3) + 32, 8, 4096, "the dynamic segment lies outside the image" },
	{ KERNEL_PHDR(3) + 8, 8, KERNEL_FILE_BYTES, "the dynamic segment lies outside the image" },
	{ KERNEL_DYNAMIC + 0x30, 8, 1, "needs libraries or other relocations than RELATIVE" },
	{ KERNEL_DYNAMIC + 0x28, 8, 16, "relocation entries of a wrong size" },
	{ KERNEL_DYNAMIC + 0x18, 8, 23, "relocation entries of a wrong size" },
	{ KERNEL_DYNAMIC + 0x08, 8, BASE + 0x2000, "a relocation that is not R_X86_64_RELATIVE" },
	{ KERNEL_DYNAMIC + 0x08, 8, BASE + 0x4000, "the relocations lie outside the image" },
	{ KERNEL_DYNAMIC + 0x18, 8, 24000, "the relocations lie outside the image" },
	{ KERNEL_RELA + 8, 8, 1, "a relocation that is not R_X86_64_RELATIVE" },
	{ KERNEL_RELA, 8, BASE, "a relocation outside the data of the image" },
	{ KERNEL_RELA, 8, BASE + 0x4ffc, "a relocation outside the data of the image" },
	{ KERNEL_RELA, 8, 0x1000, "a relocation outside the data of the image" },
	{ KERNEL_RELA + 16, 8, 0xffff, "a relocation to an address outside the image" },
};

TEST(each_damage_has_its_name)
{
	for (unsigned i = 0; i < ARRAY_COUNT(damages); i++) {
		uint8_t file[KERNEL_FILE_BYTES];

		kernel_build(file);
		mem_copy(file + damages[i].at, &damages[i].value, damages[i].width);
		kernel_seal(file, sizeof(file));
		EXPECT_STR(verdict(file, sizeof(file)), damages[i].what);
	}
}

TEST(every_flipped_bit_of_a_segment_is_found)
{
	uint8_t file[KERNEL_FILE_BYTES];

	for (size_t at = KERNEL_TEXT; at < KERNEL_FILE_BYTES; at++) {
		kernel_build(file);
		file[at] ^= (uint8_t)(1 << at % 8);
		EXPECT(!host_str_equal(verdict(file, sizeof(file)), "accepted"));
	}
}

TEST(every_truncation_is_found)
{
	uint8_t file[KERNEL_FILE_BYTES];

	kernel_build(file);
	for (size_t bytes = 0; bytes < sizeof(file); bytes++)
		EXPECT(!host_str_equal(verdict(file, bytes), "accepted"));
}

/* ---- the initrd ---------------------------------------------------------------------------------- */

static const char *initrd_verdict(const char *data, size_t bytes)
{
	struct load_error error = { "accepted", NULL, 0 };
	uint8_t *copy = host_alloc(bytes ? bytes : 1);

	host_memmove(copy, data, bytes);
	initrd_check(copy, bytes, &error);
	host_free(copy);
	return error.what;
}

#define HEADER(size, name)	"070701" "00000001" "000081A4" "00000000" "00000000" "00000001" "00000000" \
				size "00000000" "00000000" "00000000" "00000000" name "00000000"
#define ONE	HEADER("00000005", "00000002") "f\0hello\0\0\0"
#define END	HEADER("00000000", "0000000B") "TRAILER!!!\0\0\0\0"

TEST(initrd_shapes)
{
	static const char one[] = ONE END, two[] = ONE END "\0\0\0\0" ONE END, padded[] = "\0\0\0\0" ONE END;

	EXPECT_STR(initrd_verdict(one, sizeof(one) - 1), "accepted");
	EXPECT_STR(initrd_verdict(two, sizeof(two) - 1), "accepted");
	EXPECT_STR(initrd_verdict(padded, sizeof(padded) - 1), "accepted");
	EXPECT_STR(initrd_verdict(ONE, sizeof(ONE) - 1), "accepted");
	EXPECT_STR(initrd_verdict("\x1f\x8b\x08", 3), "accepted");
	EXPECT_STR(initrd_verdict(ONE END "junk", sizeof(ONE END "junk") - 1), "accepted");
	EXPECT_STR(initrd_verdict("", 0), "the file is empty");
	EXPECT_STR(initrd_verdict("hello world", 11), "the archive is cut short inside a header");
	EXPECT_STR(initrd_verdict("\0\0\0\0\0\0\0\0", 8), "not a cpio archive");
}

TEST(initrd_damages)
{
	char data[sizeof(ONE END)] = ONE END;

	EXPECT_STR(initrd_verdict(data, 114), "the archive is cut short inside a file");
	EXPECT_STR(initrd_verdict(data, 200), "the archive is cut short inside a header");
	data[5] = '7';
	EXPECT_STR(initrd_verdict(data, sizeof(data) - 1), "not the header of a newc cpio archive");
	data[5] = '1';
	data[54] = 'F';
	EXPECT_STR(initrd_verdict(data, sizeof(data) - 1), "the archive is cut short inside a file");
	data[54] = 'G';
	EXPECT_STR(initrd_verdict(data, sizeof(data) - 1), "a damaged header in the archive");
}
