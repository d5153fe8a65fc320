/* SPDX-License-Identifier: MIT */
#ifndef LIB_ELF_H
#define LIB_ELF_H

/*
 * ELF64: the structures of the System V gABI and the x86-64 psABI, and the
 * checks that every file must pass before anything is done with it. Shared by
 * the loader and by execve.
 */
#include <lib/compiler.h>

#define EI_NIDENT	16
#define ELFMAG		"\177ELF"
#define SELFMAG		4
#define EI_CLASS	4
#define EI_DATA		5
#define EI_VERSION	6
#define EI_OSABI	7
#define ELFCLASS32	1
#define ELFCLASS64	2
#define ELFDATA2LSB	1
#define EV_CURRENT	1
#define ELFOSABI_NONE	0
#define ELFOSABI_LINUX	3

#define ET_NONE		0
#define ET_REL		1
#define ET_EXEC		2
#define ET_DYN		3
#define ET_CORE		4
#define EM_386		3
#define EM_X86_64	62

#define PT_NULL		0
#define PT_LOAD		1
#define PT_DYNAMIC	2
#define PT_INTERP	3
#define PT_NOTE		4
#define PT_SHLIB	5
#define PT_PHDR		6
#define PT_TLS		7
#define PT_GNU_EH_FRAME	0x6474e550
#define PT_GNU_STACK	0x6474e551
#define PT_GNU_RELRO	0x6474e552
#define PT_GNU_PROPERTY	0x6474e553
#define PF_X		1
#define PF_W		2
#define PF_R		4
#define PN_XNUM		0xffff

#define DT_NULL		0
#define DT_NEEDED	1
#define DT_PLTRELSZ	2
#define DT_PLTGOT	3
#define DT_HASH		4
#define DT_STRTAB	5
#define DT_SYMTAB	6
#define DT_RELA		7
#define DT_RELASZ	8
#define DT_RELAENT	9
#define DT_STRSZ	10
#define DT_SYMENT	11
#define DT_REL		17
#define DT_RELSZ	18
#define DT_TEXTREL	22
#define DT_JMPREL	23
#define DT_RELACOUNT	0x6ffffff9
#define DT_FLAGS_1	0x6ffffffb

#define R_X86_64_NONE		0
#define R_X86_64_64		1
#define R_X86_64_RELATIVE	8

#define SHT_NULL	0
#define SHT_PROGBITS	1
#define SHT_SYMTAB	2
#define SHT_STRTAB	3
#define SHT_RELA	4
#define SHT_NOBITS	8
#define SHF_WRITE	1
#define SHF_ALLOC	2
#define SHF_EXECINSTR	4
#define SHN_UNDEF	0
#define SHN_ABS		0xfff1

#define STT_NOTYPE	0
#define STT_OBJECT	1
#define STT_FUNC	2
#define STB_LOCAL	0
#define STB_GLOBAL	1
#define STB_WEAK	2
#define ELF64_ST_BIND(i)   ((i) >> 4)
#define ELF64_ST_TYPE(i)   ((i) & 0xf)
#define ELF64_R_SYM(i)	   ((i) >> 32)
#define ELF64_R_TYPE(i)	   ((u32)(i))

#define NT_PRSTATUS	1
#define NT_PRFPREG	2
#define NT_PRPSINFO	3
#define NT_AUXV		6
#define NT_GNU_BUILD_ID	3

struct elf64_ehdr {
	u8 e_ident[EI_NIDENT];
	u16 e_type;
	u16 e_machine;
	u32 e_version;
	u64 e_entry;
	u64 e_phoff;
	u64 e_shoff;
	u32 e_flags;
	u16 e_ehsize;
	u16 e_phentsize;
	u16 e_phnum;
	u16 e_shentsize;
	u16 e_shnum;
	u16 e_shstrndx;
};

struct elf64_phdr {
	u32 p_type;
	u32 p_flags;
	u64 p_offset;
	u64 p_vaddr;
	u64 p_paddr;
	u64 p_filesz;
	u64 p_memsz;
	u64 p_align;
};

struct elf64_shdr {
	u32 sh_name;
	u32 sh_type;
	u64 sh_flags;
	u64 sh_addr;
	u64 sh_offset;
	u64 sh_size;
	u32 sh_link;
	u32 sh_info;
	u64 sh_addralign;
	u64 sh_entsize;
};

struct elf64_sym {
	u32 st_name;
	u8 st_info;
	u8 st_other;
	u16 st_shndx;
	u64 st_value;
	u64 st_size;
};

struct elf64_rela {
	u64 r_offset;
	u64 r_info;
	s64 r_addend;
};

struct elf64_dyn {
	s64 d_tag;
	u64 d_val;
};

struct elf64_nhdr {
	u32 n_namesz;
	u32 n_descsz;
	u32 n_type;
};

static_assert(sizeof(struct elf64_ehdr) == 64, "gABI");
static_assert(sizeof(struct elf64_phdr) == 56, "gABI");
static_assert(sizeof(struct elf64_shdr) == 64, "gABI");
static_assert(sizeof(struct elf64_sym) == 24, "gABI");
static_assert(sizeof(struct elf64_rela) == 24, "gABI");

/* execve reads at most this much of program headers (Linux: 64 KiB). */
#define ELF_MAX_PHDRS (65536 / sizeof(struct elf64_phdr))
/* Interpreter names: Linux refuses lengths below 2 and above PATH_MAX. */
#define ELF_MAX_INTERP 4096

/* What the segments say together; addresses as in the file, not relocated. */
struct elf_layout {
	u64 min_vaddr;		/* lowest PT_LOAD, rounded down to a page */
	u64 max_vaddr;		/* end of the highest PT_LOAD, not rounded */
	u64 phdr_vaddr;		/* of the headers in memory, 0 if not loaded */
	u64 interp_offset;	/* of the name in the file, if interp_size */
	u64 interp_size;	/* with its NUL; 0: no interpreter */
	u64 max_align;		/* largest p_align of a PT_LOAD, at least a page */
	u32 nr_load;
	bool has_stack;		/* PT_GNU_STACK is there, and */
	bool exec_stack;	/*   asks for an executable stack */
};

/*
 * Is it an ELF64 x86-64 program (ET_EXEC or ET_DYN) whose program headers lie
 * inside file_size bytes? 0 or -ENOEXEC. n: bytes at `buf` that are there.
 */
int __must_check elf_check_header(const void *buf, size_t n, u64 file_size);

/*
 * Checks all e_phnum program headers and fills *out. user_end: no address may
 * reach it. Refused, with -ENOEXEC: no PT_LOAD, memory size below file size,
 * sums that wrap, addresses out of range, offset and address that differ
 * within a page, PT_LOADs not in ascending order or overlapping, a bad length of
 * the interpreter's name. As on Linux, segments may point past the end of the
 * file (that is SIGBUS later), alignments that are no power of two are ignored,
 * and the first PT_INTERP and the last PT_GNU_STACK count.
 */
int __must_check elf_check_segments(const struct elf64_ehdr *eh, const struct elf64_phdr *ph,
				    u64 user_end, struct elf_layout *out);

#endif
