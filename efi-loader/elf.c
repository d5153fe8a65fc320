/* SPDX-License-Identifier: MIT */
/*
 * Verifying and loading the kernel's ELF file.
 *
 * The file comes from a disk that anybody may have written, so nothing in it is believed: each offset
 * and size is checked against the file before it is used, in 64-bit arithmetic that cannot wrap. What
 * passes is a plan; loading follows the plan and needs no checks of its own. Relocations are read from
 * the file, never from the image that they change, so a relocation that aims at the table changes
 * nothing that is still to be read.
 *
 * What is accepted is narrow on purpose: a static position-independent x86-64 executable, linked in the
 * kernel's area, page-aligned segments that are readable and never both writable and executable, only
 * R_X86_64_RELATIVE, and our note with the right handoff version and checksum. References: System V
 * gABI chapters 4 and 5, x86-64 psABI §4.4. ld marks a PIE that is not linked at 0 as ET_EXEC or ET_DYN
 * depending on its version, so both are taken; what makes it movable is checked.
 */
#include "elf.h"

#include <boot/bootinfo.h>

#include "crc.h"

struct elf_header {
	uint8_t ident[16];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
	uint64_t entry;
	uint64_t program_offset;
	uint64_t section_offset;
	uint32_t flags;
	uint16_t header_size;
	uint16_t program_size;
	uint16_t program_count;
	uint16_t section_size;
	uint16_t section_count;
	uint16_t section_names;
};

struct elf_program {
	uint32_t type;
	uint32_t flags;
	uint64_t offset;
	uint64_t virt;
	uint64_t phys;
	uint64_t file_bytes;
	uint64_t memory_bytes;
	uint64_t align;
};

struct elf_dynamic {
	uint64_t tag;
	uint64_t value;
};

struct elf_rela {
	uint64_t offset;
	uint64_t info;
	uint64_t addend;
};

_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_program) == 56 &&
	       sizeof(struct elf_rela) == 24, "gABI layouts");

enum {
	ET_EXEC = 2, ET_DYN = 3, EM_X86_64 = 62, PROGRAMS_MAX = 32,
	PT_LOAD = 1, PT_DYNAMIC = 2, PT_INTERP = 3, PT_NOTE = 4, PT_TLS = 7, PT_GNU_STACK = 0x6474e551,
	DT_NULL = 0, DT_NEEDED = 1, DT_RELA = 7, DT_RELASZ = 8, DT_RELAENT = 9, DT_REL = 17,
	DT_TEXTREL = 22, DT_JMPREL = 23, DT_RELRSZ = 35,
	R_X86_64_RELATIVE = 8,
};

/* What the checks share. */
struct checker {
	const uint8_t *file;
	uint64_t size;
	struct elf_header header;
	struct elf_plan *plan;
	struct load_error *error;
	struct elf_program dynamic;	/* type 0 until found */
	struct elf_program note;
};

static int refuse(struct checker *c, const char *what, const char *unit, uint64_t where)
{
	return load_refuse(c->error, what, unit, where);
}

static bool in_file(const struct checker *c, uint64_t offset, uint64_t bytes)
{
	uint64_t end;

	return add_fits(offset, bytes, &end) && end <= c->size;
}

/* The segment that holds [virt, virt + bytes), in its file part if `from_file`; NULL when none does. */
static const struct elf_segment *find_segment(const struct elf_plan *plan, uint64_t virt, uint64_t bytes,
					      bool from_file)
{
	for (unsigned i = 0; i < plan->segment_count; i++) {
		const struct elf_segment *s = &plan->segments[i];
		uint64_t length = from_file ? s->file_bytes : s->memory_bytes;

		if (virt >= s->virt && virt - s->virt <= length && bytes <= length - (virt - s->virt))
			return s;
	}
	return NULL;
}

static int check_header(struct checker *c)
{
	struct elf_header *h = &c->header;

	if (c->size > ELF_FILE_BYTES_MAX)
		return refuse(c, "the file is larger than 512 MiB", NULL, 0);
	if (c->size < sizeof(*h))
		return refuse(c, "the file is too short for an ELF header", "byte", c->size);
	mem_copy(h, c->file, sizeof(*h));
	if (!mem_equal(h->ident, "\177ELF", 4))
		return refuse(c, "not an ELF file", "byte", 0);
	if (h->ident[4] != 2 || h->ident[5] != 1 || h->ident[6] != 1 || h->version != 1)
		return refuse(c, "not a 64-bit little-endian ELF file of version 1", "byte", 4);
	if (h->machine != EM_X86_64 || (h->type != ET_EXEC && h->type != ET_DYN))
		return refuse(c, "not an x86-64 executable", "byte", 16);
	if (h->header_size != sizeof(*h) || h->program_size != sizeof(struct elf_program) ||
	    !h->program_count || h->program_count > PROGRAMS_MAX)
		return refuse(c, "impossible header sizes or counts", "byte", 52);
	if (!in_file(c, h->program_offset, (uint64_t)h->program_count * sizeof(struct elf_program)))
		return refuse(c, "the program headers lie outside the file", "byte", h->program_offset);
	return 0;
}

static int check_load_segment(struct checker *c, const struct elf_program *p, unsigned index)
{
	struct elf_plan *plan = c->plan;
	uint64_t area_end = BOOT_KERNEL_LINK_VIRT + ELF_IMAGE_BYTES_MAX, end;

	if (!p->memory_bytes && !p->file_bytes)
		return 0;
	if (plan->segment_count == ELF_SEGMENTS_MAX)
		return refuse(c, "more than 12 loadable segments", "segment", index);
	if (p->file_bytes > p->memory_bytes)
		return refuse(c, "a segment is larger in the file than in memory", "segment", index);
	if (!in_file(c, p->offset, p->file_bytes))
		return refuse(c, "a segment lies outside the file: is it cut short?", "segment", index);
	if (p->virt % PAGE_BYTES || (p->align && (p->align & (p->align - 1) || p->align > BOOT_KERNEL_SLIDE_ALIGN)))
		return refuse(c, "a segment is not aligned to pages", "segment", index);
	if (p->virt < BOOT_KERNEL_LINK_VIRT || !add_fits(p->virt, p->memory_bytes, &end) || end > area_end)
		return refuse(c, "a segment lies outside the kernel's area", "segment", index);
	if (!(p->flags & ELF_READ) || (p->flags & (ELF_WRITE | ELF_EXECUTE)) == (ELF_WRITE | ELF_EXECUTE))
		return refuse(c, "a segment is unreadable, or both writable and executable", "segment", index);
	if (plan->segment_count && p->virt < plan->first_virt + plan->image_bytes)
		return refuse(c, "segments overlap or are out of order", "segment", index);
	if (!plan->segment_count)
		plan->first_virt = p->virt;
	plan->segments[plan->segment_count++] = (struct elf_segment){
		p->virt, p->memory_bytes, p->offset, p->file_bytes, p->flags & 7,
	};
	plan->image_bytes = round_up(end, PAGE_BYTES) - plan->first_virt;
	return 0;
}

static int check_program(struct checker *c, const struct elf_program *p, unsigned index)
{
	switch (p->type) {
	case PT_LOAD:
		return check_load_segment(c, p, index);
	case PT_INTERP:
	case PT_TLS:
		return refuse(c, "asks for an interpreter or thread storage: not a kernel", "segment", index);
	case PT_GNU_STACK:
		return p->flags & ELF_EXECUTE ? refuse(c, "asks for an executable stack", "segment", index) : 0;
	case PT_DYNAMIC:
		if (c->dynamic.type)
			return refuse(c, "a second dynamic segment", "segment", index);
		c->dynamic = *p;
		return 0;
	case PT_NOTE:
		if (!c->note.type)
			c->note = *p;
		return 0;
	default:
		return 0;
	}
}

static int check_programs(struct checker *c)
{
	for (unsigned i = 0; i < c->header.program_count; i++) {
		struct elf_program p;

		mem_copy(&p, c->file + c->header.program_offset + i * sizeof(p), sizeof(p));
		if (check_program(c, &p, i))
			return -1;
	}
	if (!c->plan->segment_count)
		return refuse(c, "no loadable segment", NULL, 0);
	if (c->plan->first_virt != BOOT_KERNEL_LINK_VIRT)
		return refuse(c, "not linked at the start of the kernel's area", NULL, 0);
	if (!c->dynamic.type)
		return refuse(c, "no dynamic segment: not position-independent", NULL, 0);
	return 0;
}

static int check_entry(struct checker *c)
{
	const struct elf_segment *s = find_segment(c->plan, c->header.entry, 1, true);

	if (!s || !(s->flags & ELF_EXECUTE))
		return refuse(c, "the entry point is not in executable code", "address", c->header.entry);
	c->plan->entry_virt = c->header.entry;
	return 0;
}

static int check_dynamic(struct checker *c, uint64_t *rela_virt, uint64_t *rela_bytes)
{
	const struct elf_program *d = &c->dynamic;
	uint64_t entry_bytes = sizeof(struct elf_rela);

	if (!find_segment(c->plan, d->virt, d->file_bytes, true) || !in_file(c, d->offset, d->file_bytes))
		return refuse(c, "the dynamic segment lies outside the image", "byte", d->offset);
	for (uint64_t at = 0; d->file_bytes - at >= sizeof(struct elf_dynamic); at += sizeof(struct elf_dynamic)) {
		struct elf_dynamic entry;

		mem_copy(&entry, c->file + d->offset + at, sizeof(entry));
		switch (entry.tag) {
		case DT_NULL:
			at = d->file_bytes - sizeof(entry);
			break;
		case DT_RELA:
			*rela_virt = entry.value;
			break;
		case DT_RELASZ:
			*rela_bytes = entry.value;
			break;
		case DT_RELAENT:
			entry_bytes = entry.value;
			break;
		case DT_NEEDED:
		case DT_REL:
		case DT_JMPREL:
		case DT_TEXTREL:
		case DT_RELRSZ:
			return refuse(c, "needs libraries or other relocations than RELATIVE", "byte", d->offset + at);
		}
	}
	if (*rela_bytes && (entry_bytes != sizeof(struct elf_rela) || *rela_bytes % sizeof(struct elf_rela)))
		return refuse(c, "relocation entries of a wrong size", "byte", d->offset);
	return 0;
}

static int check_one_rela(struct checker *c, const struct elf_rela *rela, uint64_t at)
{
	const struct elf_segment *s = find_segment(c->plan, rela->offset, sizeof(uint64_t), false);

	if (rela->info != R_X86_64_RELATIVE)
		return refuse(c, "a relocation that is not R_X86_64_RELATIVE", "byte", at);
	if (!s || s->flags & ELF_EXECUTE)
		return refuse(c, "a relocation outside the data of the image", "byte", at);
	if (rela->addend - c->plan->first_virt > c->plan->image_bytes)
		return refuse(c, "a relocation to an address outside the image", "byte", at);
	return 0;
}

static int check_relocations(struct checker *c)
{
	uint64_t rela_virt = 0, rela_bytes = 0;
	const struct elf_segment *s;

	if (check_dynamic(c, &rela_virt, &rela_bytes))
		return -1;
	if (!rela_bytes)
		return 0;
	s = find_segment(c->plan, rela_virt, rela_bytes, true);
	if (!s)
		return refuse(c, "the relocations lie outside the image", "address", rela_virt);
	c->plan->rela_offset = s->file_offset + (rela_virt - s->virt);
	c->plan->rela_count = rela_bytes / sizeof(struct elf_rela);
	for (uint64_t i = 0; i < c->plan->rela_count; i++) {
		uint64_t at = c->plan->rela_offset + i * sizeof(struct elf_rela);
		struct elf_rela rela;

		mem_copy(&rela, c->file + at, sizeof(rela));
		if (check_one_rela(c, &rela, at))
			return -1;
	}
	return 0;
}

/* CRC over `bytes` at `offset` of the file, with the four bytes at `hole` as 0. */
static uint32_t crc_with_hole(const struct checker *c, uint32_t crc, uint64_t offset, uint64_t bytes, uint64_t hole)
{
	static const uint8_t zeros[4];

	if (hole < offset || hole + sizeof(zeros) > offset + bytes)
		return crc32_update(crc, c->file + offset, bytes);
	crc = crc32_update(crc, c->file + offset, hole - offset);
	crc = crc32_update(crc, zeros, sizeof(zeros));
	return crc32_update(crc, c->file + hole + sizeof(zeros), offset + bytes - hole - sizeof(zeros));
}

static uint32_t image_crc(const struct checker *c, uint64_t hole)
{
	uint32_t crc = 0;

	for (unsigned i = 0; i < c->header.program_count; i++) {
		struct elf_program p;

		mem_copy(&p, c->file + c->header.program_offset + i * sizeof(p), sizeof(p));
		if (p.type != PT_LOAD)
			continue;
		crc = crc32_update(crc, &p.virt, sizeof(p.virt));
		crc = crc32_update(crc, &p.memory_bytes, sizeof(p.memory_bytes));
		crc = crc32_update(crc, &p.file_bytes, sizeof(p.file_bytes));
		if (p.file_bytes)	/* then its bounds were checked */
			crc = crc_with_hole(c, crc, p.offset, p.file_bytes, hole);
	}
	return crc32_update(crc, &c->header.entry, sizeof(c->header.entry));
}

static int check_note(struct checker *c)
{
	const struct elf_program *p = &c->note;
	struct boot_kernel_note note;

	if (!p->type || p->file_bytes != sizeof(note) || !in_file(c, p->offset, p->file_bytes))
		return refuse(c, "no Halcyon note: not a Halcyon kernel", NULL, 0);
	mem_copy(&note, c->file + p->offset, sizeof(note));
	if (note.name_size != sizeof(note.name) || note.type != BOOT_NOTE_TYPE ||
	    !mem_equal(note.name, BOOT_NOTE_NAME, sizeof(note.name)))
		return refuse(c, "no Halcyon note: not a Halcyon kernel", "byte", p->offset);
	if (note.bootinfo_version != BOOTINFO_VERSION)
		return refuse(c, "kernel and loader do not fit together: this kernel takes handoff version",
			      "version", note.bootinfo_version);
	c->plan->crc = note.crc;
	if (image_crc(c, p->offset + offsetof(struct boot_kernel_note, crc)) != note.crc)
		return refuse(c, "the checksum does not match: the file is damaged", NULL, 0);
	return 0;
}

int elf_plan_image(const void *file, uint64_t size, struct elf_plan *plan, struct load_error *error)
{
	struct checker c = { .file = file, .size = size, .plan = plan, .error = error };

	mem_zero(plan, sizeof(*plan));
	if (check_header(&c) || check_programs(&c) || check_entry(&c) || check_note(&c))
		return -1;
	return check_relocations(&c);
}

void elf_load_image(const void *file, const struct elf_plan *plan, uint64_t slide, void *image)
{
	const uint8_t *from = file;
	uint8_t *to = image;

	mem_zero(to, plan->image_bytes);
	for (unsigned i = 0; i < plan->segment_count; i++) {
		const struct elf_segment *s = &plan->segments[i];

		mem_copy(to + (s->virt - plan->first_virt), from + s->file_offset, s->file_bytes);
	}
	for (uint64_t i = 0; i < plan->rela_count; i++) {
		struct elf_rela rela;
		uint64_t value;

		mem_copy(&rela, from + plan->rela_offset + i * sizeof(rela), sizeof(rela));
		value = rela.addend + slide;
		mem_copy(to + (rela.offset - plan->first_virt), &value, sizeof(value));
	}
}
