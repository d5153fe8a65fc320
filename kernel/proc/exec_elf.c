/* SPDX-License-Identifier: MIT */
/*
 * ELF programs: from a file and strings to a complete address space.
 *
 * Nothing here touches the caller's memory, and everything may fail: the space is thrown away then. The
 * headers are checked as a whole by lib/elf.h before anything is mapped, so every sum below stays
 * inside user space.
 *
 * Placement is Linux's, because programs and people rely on it:
 *   ET_EXEC                where it says
 *   ET_DYN with PT_INTERP  two thirds up the address space, plus random
 *   ET_DYN without         from the mmap area: it may be the dynamic loader itself, and must leave room for the
 *                          program that it will load
 *   the interpreter        from the mmap area
 *   the heap               behind the highest segment, plus random
 *   the stack              at the top, minus random
 */
#include <abi/linux/auxvec.h>
#include <abi/linux/fcntl.h>
#include <abi/linux/mman.h>
#include <abi/linux/personality.h>
#include <hal/cpu.h>
#include <hal/signal.h>
#include <hal/uaccess.h>
#include <kernel/core/random.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/exec.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/file.h>
#include <kernel/vm/space.h>
#include <kernel/vm/vdso.h>
#include <lib/elf.h>
#include <lib/errno.h>
#include <lib/string.h>

#define STACK_EXPAND	131072ULL		/* room below the strings that the stack starts with */
#define STACK_RND_PAGES	0x3fffffULL		/* STACK_RND_MASK of Linux on x86-64 */
#define STACK_ALIGN_RND	8192ULL			/* how much the first frame is moved */
#define DYN_RND_BITS	28			/* vm.mmap_rnd_bits */
#define BRK_RND		0x02000000ULL		/* arch_randomize_brk of Linux */
#define CLOCK_TICKS	100			/* AT_CLKTCK: USER_HZ */
#define AT_RANDOM_BYTES	16

/* One ELF file on its way into memory. */
struct elf_file {
	struct file *file;
	struct elf64_ehdr eh;
	struct elf64_phdr *ph;		/* heap */
	struct elf_layout layout;
	u64 bias;			/* address in memory - address in the file */
};

/* What is put together for the program. */
struct elf_load {
	struct exec_image *img;
	struct vm_space *space;
	struct elf_file prog, interp;
	bool randomize;
	vaddr_t stack_top;
	vaddr_t vdso;			/* 0: none */
};

/* ---- reading ---- */

static int elf_read(struct file *file, void *buf, size_t n, u64 offset)
{
	s64 pos = (s64)offset;
	ssize_t done = kernel_read(file, buf, n, &pos);

	if (done < 0)
		return (int)done;
	return (size_t)done == n ? 0 : -EIO;
}

/* Program headers of a file whose header is in e->eh, and the checks of everything. */
static int elf_read_headers(struct elf_file *e)
{
	size_t bytes = (size_t)e->eh.e_phnum * sizeof(struct elf64_phdr);
	int err = elf_check_header(&e->eh, sizeof(e->eh), inode_size(e->file->inode));

	if (err)
		return err;
	e->ph = kmalloc(bytes, MM_KERNEL);
	if (!e->ph)
		return -ENOMEM;
	err = elf_read(e->file, e->ph, bytes, e->eh.e_phoff);
	return err ? err : elf_check_segments(&e->eh, e->ph, HAL_USER_END, &e->layout);
}

static void elf_file_fini(struct elf_file *e)
{
	kfree(e->ph);
	e->ph = NULL;
}

int exec_elf_check(const struct exec_image *img)
{
	return elf_check_header(img->header, img->header_len, inode_size(img->file->inode));
}

/* Opens what PT_INTERP names. */
static int interp_open(struct elf_load *l)
{
	const struct elf_layout *lay = &l->prog.layout;
	struct pathname name;
	struct file *file;
	char *path = kmalloc(lay->interp_size, MM_KERNEL);
	int err;

	if (!path)
		return -ENOMEM;
	err = elf_read(l->prog.file, path, lay->interp_size, lay->interp_offset);
	if (!err && path[lay->interp_size - 1])
		err = -ENOEXEC;
	if (!err)
		err = pathname_from_kernel(&name, path);
	kfree(path);
	if (err)
		return err;
	file = kernel_file_open_exec(AT_FDCWD, &name, 0);
	pathname_release(&name);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	l->interp.file = file;
	err = elf_read(file, &l->interp.eh, sizeof(l->interp.eh), 0);
	if (err)
		return err;
	err = elf_read_headers(&l->interp);
	return err == -ENOEXEC ? -ELIBBAD : err;
}

/* ---- mapping ---- */

static u32 segment_prot(const struct elf64_phdr *p)
{
	return (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
	       (p->p_flags & PF_X ? PROT_EXEC : 0);
}

static int map_file_part(struct elf_load *l, struct elf_file *e, const struct elf64_phdr *p)
{
	u64 skew = p->p_vaddr & (VM_PAGE_SIZE - 1);
	struct vm_map_request req = {
		.addr = p->p_vaddr - skew + e->bias, .len = p->p_filesz + skew,
		.prot = segment_prot(p), .flags = MAP_PRIVATE | MAP_FIXED,
		.pgoff = (p->p_offset - skew) / VM_PAGE_SIZE, .file = &e->file->backing,
	};
	vaddr_t at;
	int err;

	if (!e->file->ops->mmap)
		return -ENODEV;
	err = e->file->ops->mmap(e->file, &req);
	return err ? err : vm_map(l->space, &req, &at);
}

/* Zeroes bytes of pages that are mapped already. A segment that may not be written stays as the file has it. */
static int zero_part(struct elf_load *l, vaddr_t from, vaddr_t to, bool writable)
{
	static const u8 zeros[256];

	while (writable && from < to) {
		size_t n = MIN(sizeof(zeros), to - from);
		int err;

		if (vm_access_remote(l->space, from, (u8 *)(uintptr_t)zeros, n, true, false) != n) {
			/* No memory, or behind the end of the file? Asked here, where it costs nobody. */
			err = vm_populate(l->space, from, n, VM_ACCESS_WRITE);
			if (err)
				return err == -EFAULT ? -ENOEXEC : err;
			if (vm_access_remote(l->space, from, (u8 *)(uintptr_t)zeros, n, true, false) != n)
				return -ENOMEM;
		}
		from += n;
	}
	return 0;
}

/*
 * The part of a segment that is not in the file. *mapped: end of the pages that segments have
 * taken so far, so that a page shared with the segment before is zeroed in part and not replaced.
 */
static int map_bss_part(struct elf_load *l, struct elf_file *e, const struct elf64_phdr *p,
			vaddr_t mapped)
{
	vaddr_t start = p->p_vaddr + p->p_filesz + e->bias, end = p->p_vaddr + p->p_memsz + e->bias;
	vaddr_t first = p->p_filesz ? ALIGN_UP(start, VM_PAGE_SIZE) : ALIGN_DOWN(start, VM_PAGE_SIZE);
	vaddr_t last = ALIGN_UP(end, VM_PAGE_SIZE);
	int err;

	first = MAX(first, mapped);
	err = zero_part(l, start, MIN(first, last), p->p_flags & PF_W);
	if (err || first >= last)
		return err;
	return vm_map_anon_fixed(l->space, first, last - first,
				 PROT_READ | PROT_WRITE | (p->p_flags & PF_X ? PROT_EXEC : 0));
}

static int map_segments(struct elf_load *l, struct elf_file *e)
{
	vaddr_t mapped = 0;
	unsigned int i;

	for (i = 0; i < e->eh.e_phnum; i++) {
		const struct elf64_phdr *p = &e->ph[i];
		int err = 0;

		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_filesz) {
			err = map_file_part(l, e, p);
			mapped = ALIGN_UP(p->p_vaddr + p->p_filesz + e->bias, VM_PAGE_SIZE);
		}
		if (!err && p->p_memsz > p->p_filesz) {
			err = map_bss_part(l, e, p, mapped);
			mapped = ALIGN_UP(p->p_vaddr + p->p_memsz + e->bias, VM_PAGE_SIZE);
		}
		if (err)
			return err;
	}
	return 0;
}

/* Finds room for a position-independent file in the mmap area: maps it whole, and lets go again. */
static int place_in_mmap_area(struct elf_load *l, struct elf_file *e)
{
	const struct elf_layout *lay = &e->layout;
	u64 total = ALIGN_UP(lay->max_vaddr, VM_PAGE_SIZE) - lay->min_vaddr;
	struct vm_map_request req = {
		.len = total + (lay->max_align - VM_PAGE_SIZE), .prot = PROT_NONE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	};
	vaddr_t at;
	int err;

	if (lay->max_align > HAL_USER_END)
		return -ENOMEM;
	err = vm_map(l->space, &req, &at);
	if (err)
		return err;
	e->bias = ALIGN_UP(at, lay->max_align) - ALIGN_DOWN(lay->min_vaddr, lay->max_align);
	if (e->bias + lay->min_vaddr + total > at + req.len)
		e->bias = at - lay->min_vaddr;
	return vm_unmap(l->space, at, req.len);
}

static int place_program(struct elf_load *l)
{
	struct elf_file *e = &l->prog;
	const struct elf_layout *lay = &e->layout;
	u64 base = HAL_USER_END / 3 * 2;

	if (e->eh.e_type == ET_EXEC)
		return 0;
	if (!lay->interp_size)
		return place_in_mmap_area(l, e);
	if (l->randomize)
		base += (random_u64() & (BIT(DYN_RND_BITS) - 1)) << 12;
	base &= ~(MIN(lay->max_align, BIT(40)) - 1) & ~(VM_PAGE_SIZE - 1);
	e->bias = base - lay->min_vaddr;
	return lay->max_vaddr - lay->min_vaddr > HAL_USER_END - base ? -ENOMEM : 0;
}

static int map_program(struct elf_load *l)
{
	struct elf_file *e = &l->prog;
	int err = place_program(l);

	if (!err)
		err = map_segments(l, e);
	if (err || !l->interp.file)
		return err;
	if (l->interp.eh.e_type == ET_DYN)
		err = place_in_mmap_area(l, &l->interp);
	return err ? err : map_segments(l, &l->interp);
}

/* Code and data ranges, and where the heap begins. */
static void set_layout(struct elf_load *l)
{
	struct vm_space *s = l->space;
	struct elf_file *e = &l->prog;
	vaddr_t end = ALIGN_UP(e->layout.max_vaddr + e->bias, VM_PAGE_SIZE);
	unsigned int i;

	s->start_code = ~0ULL;
	for (i = 0; i < e->eh.e_phnum; i++) {
		const struct elf64_phdr *p = &e->ph[i];
		vaddr_t start = p->p_vaddr + e->bias, stop = start + p->p_filesz;

		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_flags & PF_X) {
			s->start_code = MIN(s->start_code, start);
			s->end_code = MAX(s->end_code, stop);
		}
		s->start_data = MAX(s->start_data, start);
		s->end_data = MAX(s->end_data, stop);
	}
	if (s->start_code > s->end_code)	/* nothing executable in it */
		s->start_code = s->end_code = 0;
	if (l->randomize && READ_ONCE(vm_randomize_va_space) > 1) {
		/* A static PIE lies in the mmap area, where a heap behind it could not grow. */
		if (e->eh.e_type == ET_DYN && !l->interp.file)
			end = ALIGN_DOWN(HAL_USER_END / 3 * 2, VM_PAGE_SIZE);
		end += random_below(BRK_RND / VM_PAGE_SIZE) * VM_PAGE_SIZE;
	}
	s->start_brk = end;
	s->brk = end;
}

/* ---- the stack ---- */

static int map_stack(struct elf_load *l)
{
	struct exec_image *img = l->img;
	u64 size = img->nr_arg_pages * VM_PAGE_SIZE, limit = img->stack_rlimit & ~(VM_PAGE_SIZE - 1);
	struct vm_map_request req = {
		.prot = PROT_READ | PROT_WRITE, .area_flags = AREA_STACK,
		.flags = MAP_PRIVATE | MAP_FIXED | MAP_GROWSDOWN | MAP_ANONYMOUS,
	};
	size_t i;
	int err;

	l->stack_top = ALIGN_DOWN(HAL_USER_END, VM_PAGE_SIZE) - vdso_bytes(); /* room above it, in the same page table */
	if (l->randomize)
		l->stack_top -= (random_u64() & STACK_RND_PAGES) * VM_PAGE_SIZE;
	req.len = size + STACK_EXPAND <= limit ? size + STACK_EXPAND : MAX(limit, size);
	req.addr = l->stack_top - req.len;
	if (img->executable_stack)
		req.prot |= PROT_EXEC;
	err = vm_map(l->space, &req, &req.addr);
	for (i = 0; i < img->nr_arg_pages && !err; i++)
		err = vm_install_page(l->space, l->stack_top - (i + 1) * VM_PAGE_SIZE,
				      img->arg_pages[i]);
	return err;
}

/* Writes through the kernel's view; the pages are made as they are needed. */
static int stack_write(struct elf_load *l, vaddr_t at, const void *buf, size_t n)
{
	return vm_access_remote(l->space, at, (void *)(uintptr_t)buf, n, true, false) == n ? 0 : -ENOMEM;
}

struct auxv {
	u64 *word;
	unsigned int n;
};

static void auxv_add(struct auxv *a, u64 type, u64 value)
{
	a->word[a->n++] = type;
	a->word[a->n++] = value;
}

/* In Linux's order (create_elf_tables), without the vDSO's entry while there is none. */
static unsigned int auxv_fill(struct elf_load *l, vaddr_t platform, vaddr_t random)
{
	struct exec_image *img = l->img;
	const struct cred *c = img->cred;
	const struct elf_file *e = &l->prog;
	struct auxv a = { l->space->auxv, 0 };

	if (l->vdso)
		auxv_add(&a, AT_SYSINFO_EHDR, l->vdso);
	auxv_add(&a, AT_MINSIGSTKSZ, hal_minsigstksz());
	auxv_add(&a, AT_HWCAP, hal_hwcap());
	auxv_add(&a, AT_PAGESZ, VM_PAGE_SIZE);
	auxv_add(&a, AT_CLKTCK, CLOCK_TICKS);
	auxv_add(&a, AT_PHDR, e->layout.phdr_vaddr ? e->layout.phdr_vaddr + e->bias : 0);
	auxv_add(&a, AT_PHENT, sizeof(struct elf64_phdr));
	auxv_add(&a, AT_PHNUM, e->eh.e_phnum);
	auxv_add(&a, AT_BASE, l->interp.file ? l->interp.bias : 0);
	auxv_add(&a, AT_FLAGS, 0);
	auxv_add(&a, AT_ENTRY, e->eh.e_entry + e->bias);
	auxv_add(&a, AT_UID, c->uid);
	auxv_add(&a, AT_EUID, c->euid);
	auxv_add(&a, AT_GID, c->gid);
	auxv_add(&a, AT_EGID, c->egid);
	auxv_add(&a, AT_SECURE, img->secure);
	auxv_add(&a, AT_RANDOM, random);
	auxv_add(&a, AT_HWCAP2, hal_hwcap2());
	auxv_add(&a, AT_EXECFN, l->stack_top - img->execfn_off);
	auxv_add(&a, AT_PLATFORM, platform);
	auxv_add(&a, AT_NULL, 0);
	return a.n;
}

/*
 * The addresses of n strings that lie one behind the other from `at` on, in 64-bit words from *sp on, and
 * a null behind them. The strings are read in the pages that the caller gave.
 */
static const u8 *arg_byte(const struct exec_image *img, size_t distance)
{
	return (const u8 *)page_address(img->arg_pages[(distance - 1) / VM_PAGE_SIZE]) +
	       (VM_PAGE_SIZE - 1 - (distance - 1) % VM_PAGE_SIZE);
}

/* Distance of the string behind the one at distance d; 0 when it does not end. */
static size_t arg_next(const struct exec_image *img, size_t d)
{
	while (d) {
		const u8 *p = arg_byte(img, d);
		size_t left = MIN(d, VM_PAGE_SIZE - ((uintptr_t)p & (VM_PAGE_SIZE - 1)));
		const u8 *nul = memchr(p, 0, left);

		if (nul)
			return d - (size_t)(nul - p) - 1;
		d -= left;
	}
	return 0;
}

static int put_pointers(struct elf_load *l, vaddr_t *sp, size_t *distance, int n)
{
	u64 words[32];
	unsigned int fill = 0;
	int i, err = 0;

	for (i = 0; i <= n && !err; i++) {
		words[fill++] = i < n ? l->stack_top - *distance : 0;
		if (i < n)
			*distance = arg_next(l->img, *distance);
		if (fill == ARRAY_SIZE(words) || i == n) {
			err = stack_write(l, *sp, words, fill * sizeof(words[0]));
			*sp += fill * sizeof(words[0]);
			fill = 0;
		}
	}
	return err;
}

static int put_vectors(struct elf_load *l, vaddr_t sp, unsigned int auxv_words)
{
	struct exec_image *img = l->img;
	struct vm_space *s = l->space;
	u64 argc = (u64)img->argc;
	size_t distance = img->argv_off;
	int err = stack_write(l, sp, &argc, sizeof(argc));

	sp += sizeof(argc);
	s->arg_start = l->stack_top - distance;
	if (!err)
		err = put_pointers(l, &sp, &distance, img->argc);
	s->arg_end = l->stack_top - distance;
	s->env_start = s->arg_end;
	if (!err)
		err = put_pointers(l, &sp, &distance, img->envc);
	s->env_end = l->stack_top - distance;
	return err ? err : stack_write(l, sp, s->auxv, auxv_words * sizeof(u64));
}

static int fill_stack(struct elf_load *l)
{
	struct exec_image *img = l->img;
	const char *platform = hal_platform_string();
	u8 random[AT_RANDOM_BYTES];
	vaddr_t sp = l->stack_top - img->arg_bytes, platform_at, random_at;
	unsigned int auxv_words;
	u64 words;
	int err;

	if (l->randomize)
		sp -= random_below(STACK_ALIGN_RND);
	sp &= ~15ULL;
	sp -= strlen(platform) + 1;
	platform_at = sp;
	sp -= sizeof(random);
	random_at = sp;
	random_bytes(random, sizeof(random));
	err = stack_write(l, platform_at, platform, strlen(platform) + 1);
	if (!err)
		err = stack_write(l, random_at, random, sizeof(random));
	if (err)
		return err;
	auxv_words = auxv_fill(l, platform_at, random_at);
	words = 1 + (u64)img->argc + 1 + (u64)img->envc + 1 + auxv_words;
	sp = (sp - words * sizeof(u64)) & ~15ULL;
	l->space->start_stack = sp;
	img->sp = sp;
	return put_vectors(l, sp, auxv_words);
}

/* ---- the whole ---- */

static int set_entry(struct elf_load *l)
{
	const struct elf_file *e = l->interp.file ? &l->interp : &l->prog;

	l->img->entry = e->eh.e_entry + e->bias;
	if (l->img->entry < HAL_USER_END)
		return 0;
	return l->interp.file ? -EINVAL : -ENOEXEC;
}

static int load_headers(struct elf_load *l)
{
	struct exec_image *img = l->img;
	int err;

	l->prog.file = img->file;
	memcpy(&l->prog.eh, img->header, sizeof(l->prog.eh));
	err = elf_read_headers(&l->prog);
	if (!err && l->prog.layout.interp_size)
		err = interp_open(l);
	img->executable_stack = l->prog.layout.has_stack && l->prog.layout.exec_stack;
	return err;
}

static int load_space(struct elf_load *l)
{
	struct exec_image *img = l->img;
	int err = vm_space_create(&l->space);

	if (err)
		return err;
	l->randomize = vm_randomize_wanted(img->personality);
	vm_layout_pick(l->space, img->stack_rlimit, img->personality, l->randomize);
	err = map_stack(l);
	if (!err)
		err = map_program(l);
	if (!err && img->personality & MMAP_PAGE_ZERO)
		/* System V programs that read through null pointers; Linux ignores failure, too. */
		(void)!vm_map_anon_fixed(l->space, 0, VM_PAGE_SIZE, PROT_READ | PROT_EXEC);
	if (!err)
		err = set_entry(l);
	if (err)
		return err;
	set_layout(l);
	err = vdso_map(l->space, l->stack_top, l->randomize, &l->vdso);
	return err ? err : fill_stack(l);
}

int exec_elf_load(struct exec_image *img)
{
	struct elf_load l = { .img = img };
	int err = load_headers(&l);

	if (!err)
		err = load_space(&l);
	elf_file_fini(&l.prog);
	elf_file_fini(&l.interp);
	if (l.interp.file)
		file_put(l.interp.file);
	img->space = err ? NULL : l.space;
	if (err && l.space)
		vm_space_put(l.space);
	return err;
}
