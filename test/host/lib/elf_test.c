/* SPDX-License-Identifier: MIT */
#include <lib/elf.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "framework.h"

#define USER_END 0x7ffffffff000ULL

static struct elf64_ehdr eh;
static struct elf64_phdr ph[4];
static struct elf_layout out;

static void good_header(void)
{
	memset(&eh, 0, sizeof(eh));
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_type = ET_EXEC;
	eh.e_machine = EM_X86_64;
	eh.e_phentsize = sizeof(struct elf64_phdr);
	eh.e_phnum = 4;
	eh.e_phoff = 64;
	memset(ph, 0, sizeof(ph));
	ph[0] = (struct elf64_phdr){ PT_LOAD, PF_R | PF_X, 0, 0x400000, 0, 0x1234, 0x1234, 0x1000 };
	ph[1] = (struct elf64_phdr){ PT_LOAD, PF_R | PF_W, 0x2010, 0x403010, 0, 0x100, 0x2000, 0x200000 };
	ph[2] = (struct elf64_phdr){ PT_INTERP, PF_R, 0x200, 0x400200, 0, 28, 28, 1 };
	ph[3] = (struct elf64_phdr){ PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16 };
}

static int header(void)
{
	return elf_check_header(&eh, sizeof(eh), 0x3000);
}

static int segments(void)
{
	return elf_check_segments(&eh, ph, USER_END, &out);
}

TEST(elf_good)
{
	good_header();
	EXPECT_EQ(header(), 0);
	EXPECT_EQ(segments(), 0);
	EXPECT_EQ(out.min_vaddr, 0x400000);
	EXPECT_EQ(out.max_vaddr, 0x405010);
	EXPECT_EQ(out.phdr_vaddr, 0x400040);
	EXPECT_EQ(out.interp_offset, 0x200);
	EXPECT_EQ(out.interp_size, 28);
	EXPECT_EQ(out.max_align, 0x200000);
	EXPECT_EQ(out.nr_load, 2);
	EXPECT(out.has_stack && !out.exec_stack);
}

TEST(elf_bad_headers)
{
	good_header();
	EXPECT_EQ(elf_check_header(&eh, 63, 0x3000), -ENOEXEC);
	EXPECT_EQ(elf_check_header(&eh, 64, 64 + 4 * 56), 0);
	EXPECT_EQ(elf_check_header(&eh, 64, 64 + 4 * 56 - 1), -ENOEXEC);
#define BAD(field, value)						\
	do {								\
		good_header();						\
		eh.field = (value);					\
		EXPECT_EQ(header(), -ENOEXEC);				\
	} while (0)
	BAD(e_ident[0], 0);
	BAD(e_ident[EI_CLASS], ELFCLASS32);
	BAD(e_ident[EI_DATA], 2);
	BAD(e_machine, EM_386);
	BAD(e_type, ET_REL);
	BAD(e_type, ET_CORE);
	BAD(e_phentsize, 32);
	BAD(e_phentsize, 57);
	BAD(e_phnum, 0);
	BAD(e_phnum, PN_XNUM);
	BAD(e_phnum, 1171);
	BAD(e_phoff, UINT64_MAX - 100);
	BAD(e_phoff, 0x3000);
#undef BAD
}

TEST(elf_bad_segments)
{
#define BAD(i, field, value)						\
	do {								\
		good_header();						\
		ph[i].field = (value);					\
		EXPECT_EQ(segments(), -ENOEXEC);			\
	} while (0)
	BAD(1, p_memsz, 0xff);
	BAD(1, p_memsz, UINT64_MAX);
	BAD(1, p_memsz, USER_END - 0x403010 + 1);
	BAD(1, p_vaddr, 0xffff800000000010);
	BAD(1, p_vaddr, 0x400010);
	BAD(1, p_vaddr, 0x403020);
	BAD(1, p_offset, UINT64_MAX & ~0xfefULL);
	BAD(1, p_offset, INT64_MAX & ~0xfefULL);
	BAD(0, p_vaddr, 0x403000);
	BAD(2, p_filesz, 1);
	BAD(2, p_filesz, 4097);
	BAD(2, p_offset, UINT64_MAX - 3);
#undef BAD
	good_header();
	ph[0].p_type = ph[1].p_type = PT_NULL;
	EXPECT_EQ(segments(), -ENOEXEC);
	good_header();
	ph[0].p_filesz = ph[0].p_memsz = ph[1].p_filesz = ph[1].p_memsz = 0;
	ph[0].p_vaddr = ph[1].p_vaddr = 0x400000;
	EXPECT_EQ(segments(), -ENOEXEC);
	good_header();
	ph[1].p_memsz = USER_END - 0x403010;
	ph[1].p_align = 3;
	EXPECT_EQ(segments(), 0);
	EXPECT_EQ(out.max_align, 4096);
}
