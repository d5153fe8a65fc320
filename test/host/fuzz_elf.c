/* SPDX-License-Identifier: MIT */
/* Any bytes as a program: what passes the checks must be safe to map. */
#include <lib/elf.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "framework.h"

#define USER_END 0x7ffffffff000ULL

const char fuzz_corpus[] = "elf";
const unsigned int fuzz_rounds = 150000;

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

void fuzz_one(const u8 *data, size_t n)
{
	struct elf64_phdr *ph;
	struct elf64_ehdr eh;
	struct elf_layout l;
	u64 bytes;

	if (elf_check_header(data, n, n) != 0)
		return;
	memcpy(&eh, data, sizeof(eh));
	bytes = (u64)eh.e_phnum * sizeof(*ph);
	ph = host_alloc(bytes);
	memcpy(ph, data + eh.e_phoff, bytes);
	if (elf_check_segments(&eh, ph, USER_END, &l) == 0) {
		u64 end = 0;

		check(l.nr_load && l.min_vaddr < l.max_vaddr && l.max_vaddr <= USER_END);
		check(IS_ALIGNED(l.min_vaddr, 4096) && IS_POW2(l.max_align));
		check(l.interp_size <= ELF_MAX_INTERP && l.interp_offset <= INT64_MAX);
		for (unsigned int i = 0; i < eh.e_phnum; i++) {
			if (ph[i].p_type != PT_LOAD)
				continue;
			check(ph[i].p_vaddr >= end && ph[i].p_vaddr >= l.min_vaddr);
			end = ph[i].p_vaddr + ph[i].p_memsz;
			check(end >= ph[i].p_vaddr && end <= l.max_vaddr);
			check(ph[i].p_filesz <= ph[i].p_memsz);
			check(ph[i].p_offset + ph[i].p_filesz <= INT64_MAX);
		}
	}
	host_free(ph);
}
