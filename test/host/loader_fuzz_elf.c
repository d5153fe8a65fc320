/* SPDX-License-Identifier: MIT */
/* Any bytes as a kernel: what is accepted loads without leaving its image, at any slide. */
#include "framework.h"

#include <boot/bootinfo.h>

#include "elf.h"
#include "loader_kernel.h"

const char fuzz_corpus[] = "loader_elf";
const unsigned int fuzz_rounds = 120000;

void fuzz_repair(u8 *data, size_t n)
{
	kernel_seal(data, n);
}

void fuzz_one(const u8 *data, size_t n)
{
	struct load_error error = { 0 };
	struct elf_plan plan;
	u8 *image;

	if (elf_plan_image(data, n, &plan, &error)) {
		if (!error.what)
			__builtin_trap();
		return;
	}
	if (plan.image_bytes > 64 * MIB)
		return;
	image = host_alloc(plan.image_bytes);
	elf_load_image(data, &plan, 5 * BOOT_KERNEL_SLIDE_ALIGN, image);
	if (plan.entry_virt - plan.first_virt >= plan.image_bytes)
		__builtin_trap();
	host_free(image);
}
