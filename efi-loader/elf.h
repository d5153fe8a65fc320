/* SPDX-License-Identifier: MIT */
/*
 * The kernel file: verified first, in full, then copied and relocated by code that cannot fail.
 */
#ifndef LOADER_ELF_H
#define LOADER_ELF_H

#include "text.h"

#define ELF_SEGMENTS_MAX	12u
#define ELF_IMAGE_BYTES_MAX	(256ull * MIB)
#define ELF_FILE_BYTES_MAX	(512ull * MIB)

#define ELF_EXECUTE	1u	/* p_flags */
#define ELF_WRITE	2u
#define ELF_READ	4u

struct elf_segment {
	uint64_t virt;		/* as linked, page-aligned */
	uint64_t memory_bytes;
	uint64_t file_offset;
	uint64_t file_bytes;
	uint32_t flags;		/* ELF_* */
};

/* What is to be done with a kernel file that was found good. */
struct elf_plan {
	struct elf_segment segments[ELF_SEGMENTS_MAX];	/* ascending, not overlapping */
	unsigned segment_count;
	uint64_t first_virt;	/* as linked */
	uint64_t image_bytes;	/* whole pages from first_virt */
	uint64_t entry_virt;	/* as linked */
	uint64_t rela_offset;	/* of the relocation table in the file */
	uint64_t rela_count;
	uint32_t crc;
};

/*
 * Verify `size` bytes of a kernel file: every header, bound, alignment, overlap, W^X, relocation and
 * the checksum. Returns 0 and the plan, or -1 with the reason.
 */
int elf_plan_image(const void *file, uint64_t size, struct elf_plan *plan, struct load_error *error);

/*
 * Copy the segments to `image` (plan->image_bytes of zeroed memory are not needed: it zeroes) and apply
 * the relocations for an image that runs at first_virt + slide. `file` is what the plan was made from.
 */
void elf_load_image(const void *file, const struct elf_plan *plan, uint64_t slide, void *image);

#endif /* LOADER_ELF_H */
