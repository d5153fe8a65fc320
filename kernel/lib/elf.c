/* SPDX-License-Identifier: MIT */
/*
 * Checks of ELF files, before anything of them is believed.
 *
 * Everything here is arithmetic on headers that the caller has read; no sum is
 * formed that could wrap unnoticed. What passes can be mapped without further
 * checks of ranges. The rules are Linux's (fs/binfmt_elf.c decides what runs
 * there), made stricter only where Linux would fail later, after the old
 * program is gone.
 */
#include <lib/elf.h>
#include <lib/errno.h>
#include <lib/string.h>

#define PAGE 4096ULL

int elf_check_header(const void *buf, size_t n, u64 file_size)
{
	struct elf64_ehdr eh;
	u64 end;

	if (n < sizeof(eh))
		return -ENOEXEC;
	memcpy(&eh, buf, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	if (eh.e_machine != EM_X86_64 || (eh.e_type != ET_EXEC && eh.e_type != ET_DYN))
		return -ENOEXEC;
	if (eh.e_phentsize != sizeof(struct elf64_phdr) || eh.e_phnum == 0 ||
	    eh.e_phnum > ELF_MAX_PHDRS)
		return -ENOEXEC;
	if (add_overflow(eh.e_phoff, (u64)eh.e_phnum * sizeof(struct elf64_phdr), &end) ||
	    end > file_size)
		return -ENOEXEC;
	return 0;
}

/* One PT_LOAD. *last_end: the end of the one before. */
static int check_load(const struct elf64_ehdr *eh, const struct elf64_phdr *p, u64 user_end,
		      struct elf_layout *out, u64 *last_end)
{
	u64 end, file_end;

	if (p->p_filesz > p->p_memsz)
		return -ENOEXEC;
	if (add_overflow(p->p_vaddr, p->p_memsz, &end) || end > user_end)
		return -ENOEXEC;
	/* The file offset becomes a signed loff_t and is rounded up to a page. */
	if (add_overflow(p->p_offset, p->p_filesz, &file_end) || file_end > INT64_MAX - PAGE)
		return -ENOEXEC;
	if (p->p_filesz && (p->p_offset ^ p->p_vaddr) % PAGE)
		return -ENOEXEC;
	if (out->nr_load && p->p_vaddr < *last_end)
		return -ENOEXEC;
	if (!out->nr_load)
		out->min_vaddr = ALIGN_DOWN(p->p_vaddr, PAGE);
	out->nr_load++;
	out->max_vaddr = end;
	*last_end = end;
	if (IS_POW2(p->p_align))
		out->max_align = MAX(out->max_align, p->p_align);
	if (eh->e_phoff >= p->p_offset && eh->e_phoff - p->p_offset < p->p_filesz)
		out->phdr_vaddr = eh->e_phoff - p->p_offset + p->p_vaddr;
	return 0;
}

static int check_interp(const struct elf64_phdr *p, struct elf_layout *out)
{
	u64 end;

	if (out->interp_size)
		return 0;
	if (p->p_filesz < 2 || p->p_filesz > ELF_MAX_INTERP)
		return -ENOEXEC;
	if (add_overflow(p->p_offset, p->p_filesz, &end) || end > INT64_MAX)
		return -ENOEXEC;
	out->interp_offset = p->p_offset;
	out->interp_size = p->p_filesz;
	return 0;
}

int elf_check_segments(const struct elf64_ehdr *eh, const struct elf64_phdr *ph, u64 user_end,
		       struct elf_layout *out)
{
	u64 last_end = 0;
	int err = 0;

	memset(out, 0, sizeof(*out));
	out->max_align = PAGE;
	for (unsigned int i = 0; i < eh->e_phnum && !err; i++) {
		const struct elf64_phdr *p = &ph[i];

		switch (p->p_type) {
		case PT_LOAD:
			err = check_load(eh, p, user_end, out, &last_end);
			break;
		case PT_INTERP:
			err = check_interp(p, out);
			break;
		case PT_GNU_STACK:
			out->has_stack = true;
			out->exec_stack = p->p_flags & PF_X;
			break;
		default:
			break;
		}
	}
	if (err)
		return err;
	return out->nr_load && out->max_vaddr > out->min_vaddr ? 0 : -ENOEXEC;
}
