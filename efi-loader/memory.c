/* SPDX-License-Identifier: MIT */
/*
 * Memory from the firmware. Every allocation is written down, so that a loader that gives up gives all
 * of it back; what cannot be had is an error that says how much was wanted and what for.
 */
#include "loader.h"

#define ALLOCATIONS_MAX	32u
/* A map may grow while we allocate: at least 32 descriptors of slack are needed, we take more. */
#define SLACK_DESCRIPTORS	64u

static struct {
	uint64_t phys;
	uint64_t pages;
} allocations[ALLOCATIONS_MAX];

static uint64_t remember(uint64_t phys, uint64_t pages, const char *purpose)
{
	for (unsigned i = 0; i < ALLOCATIONS_MAX; i++) {
		if (allocations[i].pages)
			continue;
		allocations[i].phys = phys;
		allocations[i].pages = pages;
		return phys;
	}
	boot->FreePages(phys, pages);
	fail("too many pieces of memory, at %s", purpose);
	return 0;
}

uint64_t pages_alloc(uint64_t bytes, uint64_t max, EFI_MEMORY_TYPE type, const char *purpose)
{
	EFI_PHYSICAL_ADDRESS phys = max;
	uint64_t pages = round_up(bytes, PAGE_BYTES) / PAGE_BYTES;
	EFI_STATUS status;

	status = boot->AllocatePages(max == ANYWHERE ? AllocateAnyPages : AllocateMaxAddress, type, pages, &phys);
	if (!EFI_ERROR(status) && phys)
		return remember(phys, pages, purpose);
	if (!EFI_ERROR(status)) {	/* page 0 is no use to anybody: take another, then give it back */
		EFI_PHYSICAL_ADDRESS zero = phys;

		phys = pages_alloc(bytes, max, type, purpose);
		boot->FreePages(zero, pages);
		return phys;
	}
	fail("not enough memory: %lu KiB for %s are not to be had%s", pages * 4, purpose,
	     max == BELOW_4G ? " below 4 GiB" : "");
	return 0;
}

uint64_t pages_alloc_aligned(uint64_t bytes, const char *purpose)
{
	uint64_t align = BOOT_KERNEL_SLIDE_ALIGN, wanted = round_up(bytes, PAGE_BYTES);
	uint64_t phys = pages_alloc(wanted + align, ANYWHERE, EfiLoaderData, purpose), start;

	if (!phys)
		return 0;
	/* Keep the aligned middle: what we asked for in addition goes back in two pieces. */
	start = round_up(phys, align);
	for (unsigned i = 0; i < ALLOCATIONS_MAX; i++) {
		if (allocations[i].phys != phys)
			continue;
		allocations[i].phys = start;
		allocations[i].pages = wanted / PAGE_BYTES;
	}
	if (start != phys)
		boot->FreePages(phys, (start - phys) / PAGE_BYTES);
	if (phys + align != start)
		boot->FreePages(start + wanted, (phys + align - start) / PAGE_BYTES);
	return start;
}

void pages_free(uint64_t phys, uint64_t bytes)
{
	for (unsigned i = 0; i < ALLOCATIONS_MAX; i++) {
		if (!allocations[i].pages || allocations[i].phys != phys)
			continue;
		boot->FreePages(phys, round_up(bytes, PAGE_BYTES) / PAGE_BYTES);
		allocations[i].pages = 0;
		allocations[i].phys = 0;
	}
}

void pages_free_all(void)
{
	for (unsigned i = 0; i < ALLOCATIONS_MAX; i++)
		if (allocations[i].pages)
			pages_free(allocations[i].phys, allocations[i].pages * PAGE_BYTES);
}

int map_capacity(uint64_t *bytes, uint64_t *descriptor_bytes)
{
	UINTN size = 0, key, step = 0;
	UINT32 version;
	EFI_STATUS status = boot->GetMemoryMap(&size, NULL, &key, &step, &version);

	if (status != EFI_BUFFER_TOO_SMALL || step < sizeof(struct bootinfo_efi_descriptor) ||
	    size / step > MEMMAP_DESCRIPTORS_MAX / 2)
		return fail("the firmware's memory map cannot be read (status %lx, %lu bytes in steps of %lu)",
			    (uint64_t)status, (uint64_t)size, (uint64_t)step);
	*bytes = size + SLACK_DESCRIPTORS * step;
	*descriptor_bytes = step;
	return 0;
}

/* A page below 640 KiB, not page 0, that will be ours after boot services, from the map; or 0. */
static uint64_t low_page_from_map(const uint8_t *map, uint64_t bytes, uint64_t step)
{
	for (uint64_t at = 0; at + step <= bytes; at += step) {
		struct bootinfo_efi_descriptor d;
		uint64_t end;

		mem_copy(&d, map + at, sizeof(d));
		if (d.type != EfiBootServicesCode && d.type != EfiBootServicesData && d.type != EfiConventionalMemory)
			continue;
		if (d.physical_start >= 0xa0000 || d.number_of_pages > 0x100)
			continue;
		end = d.physical_start + d.number_of_pages * PAGE_BYTES;
		if (end > PAGE_BYTES && end <= 0xa0000 && end - PAGE_BYTES >= d.physical_start)
			return end - PAGE_BYTES;
	}
	return 0;
}

/*
 * The page for starting other CPUs. On some machines all low memory is in use by boot services; such a
 * page is ours once they are gone, and until then nobody writes to it. Without any page the kernel
 * boots on one CPU.
 */
uint64_t trampoline_alloc(void)
{
	EFI_PHYSICAL_ADDRESS phys = 0x9ffff;
	uint64_t bytes, step, page = 0;
	UINTN size, key, step_again;
	UINT32 version;
	void *map;

	if (!EFI_ERROR(boot->AllocatePages(AllocateMaxAddress, EfiLoaderData, 1, &phys)) && phys)
		return remember(phys, 1, "starting other CPUs");
	if (map_capacity(&bytes, &step) || EFI_ERROR(boot->AllocatePool(EfiLoaderData, bytes, &map)))
		return 0;
	size = bytes;
	if (!EFI_ERROR(boot->GetMemoryMap(&size, map, &key, &step_again, &version)))
		page = low_page_from_map(map, size, step_again);
	boot->FreePool(map);
	return page;
}
