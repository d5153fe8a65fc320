/* SPDX-License-Identifier: MIT */
/*
 * Debug commands that look at addresses, the kernel's or a process's: `x`, `xb`, `xs`, `pt`, `vma`, and `poke`, which
 * changes kernel memory. User memory is read through the page tables of the process, which are peeked at, so nothing is
 * faulted in; an address may be followed by @PID, else the current process is meant.
 */
#include <hal/pt.h>
#include <kernel/core/assert.h>
#include <kernel/core/command.h>
#include <kernel/core/symbols.h>
#include <kernel/mm/pt.h>
#include <kernel/task/command.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/path.h>
#include <kernel/vm/space.h>
#include <lib/printf.h>
#include <lib/string.h>

#define WORDS_DEFAULT	8u
#define BYTES_DEFAULT	64u
#define BYTES_PER_LINE	16u
#define STRING_MAX	200u
#define VMA_PATH_MAX	120u

/* ---- where to look ----------------------------------------------------------------------------- */

static paddr_t root_of(const struct task *t)
{
	struct vm_space *s = t ? task_command_space(t) : NULL;
	paddr_t root;

	return s && COMMAND_LOAD(root, &s->root) ? root : hal_pt_root_current();
}

/* "ADDRESS[@PID]". The word is cut. */
static bool parse_place(struct command_io *io, char *word, paddr_t *root, vaddr_t *va)
{
	char *at = strchr(word, '@');
	const struct task *t = NULL;

	if (at) {
		*at = '\0';
		t = task_command_find(io, at + 1);
		if (!t)
			return false;
	}
	*root = t ? root_of(t) : hal_pt_root_current();
	return command_number(io, word, va);
}

/* The count of `x` and its like, or what it is without one. */
static bool parse_count(struct command_io *io, int argc, char **argv, u64 *count)
{
	return argc < 3 || command_number(io, argv[2], count);
}

/* ---- x ----------------------------------------------------------------------------------------- */

static bool word_line(struct command_io *io, vaddr_t va, u64 word)
{
	u64 offset;
	const char *name = symbol_nearest(word, &offset);

	if (name)
		return command_printf(io, "%016llx: %016llx <%s+0x%llx>\n", (unsigned long long)va, (unsigned long long)word, name,
				      (unsigned long long)offset);
	return command_printf(io, "%016llx: %016llx\n", (unsigned long long)va, (unsigned long long)word);
}

static void command_x(struct command_io *io, int argc, char **argv)
{
	u64 count = WORDS_DEFAULT, word;
	paddr_t root;
	vaddr_t va;

	if (argc < 2 || !parse_place(io, argv[1], &root, &va) || !parse_count(io, argc, argv, &count))
		return;
	for (; count--; va += sizeof(word)) {
		if (pt_peek_memory(root, &word, va, sizeof(word))) {
			command_printf(io, "%016llx: not readable\n", (unsigned long long)va);
			return;
		}
		if (!word_line(io, va, word))
			return;
	}
}
DEBUG_COMMAND(x, "address[@pid] [n]", "n words of memory", command_x);

static void command_xb(struct command_io *io, int argc, char **argv)
{
	u8 bytes[BYTES_PER_LINE];
	char line[4 * BYTES_PER_LINE + 1];
	u64 count = BYTES_DEFAULT;
	paddr_t root;
	vaddr_t va;

	if (argc < 2 || !parse_place(io, argv[1], &root, &va) || !parse_count(io, argc, argv, &count))
		return;
	for (; count; va += BYTES_PER_LINE) {
		u32 n = (u32)MIN(count, (u64)BYTES_PER_LINE);
		size_t used = 0;

		count -= n;
		if (pt_peek_memory(root, bytes, va, n)) {
			command_printf(io, "%016llx: not readable\n", (unsigned long long)va);
			return;
		}
		for (u32 i = 0; i < n; i++)
			used += (size_t)scnprintf(line + used, sizeof(line) - used, "%02x ", bytes[i]);
		for (u32 i = 0; i < n; i++)
			line[used++] = bytes[i] >= ' ' && bytes[i] <= '~' ? (char)bytes[i] : '.';
		line[used] = '\0';
		if (!command_printf(io, "%016llx: %s\n", (unsigned long long)va, line))
			return;
	}
}
DEBUG_COMMAND(xb, "address[@pid] [n]", "n bytes of memory", command_xb);

static void command_xs(struct command_io *io, int argc, char **argv)
{
	char text[STRING_MAX];
	paddr_t root;
	vaddr_t va;
	size_t n = 0;

	if (argc < 2 || !parse_place(io, argv[1], &root, &va))
		return;
	while (n + 1 < sizeof(text) && !pt_peek_memory(root, &text[n], va + n, 1) && text[n]) {
		if (text[n] < ' ' || text[n] > '~')
			text[n] = '?';
		n++;
	}
	text[n] = '\0';
	command_printf(io, "%016llx: \"%s\"\n", (unsigned long long)va, text);
}
DEBUG_COMMAND(xs, "address[@pid]", "the string at an address", command_xs);

/*
 * The one command that changes something. The store is an ordinary one: where it may not be done the kernel panics,
 * and the shell goes on.
 */
static void command_poke(struct command_io *io, int argc, char **argv)
{
	u64 va, value, old = 0;

	if (argc < 3 || !command_number(io, argv[1], &va) || !command_number(io, argv[2], &value))
		return;
	if (!panic_active()) {
		command_printf(io, "only after a panic\n");
		return;
	}
	(void)COMMAND_LOAD(old, (const u64 *)va);
	*(volatile u64 *)va = value;
	command_printf(io, "%016llx: %016llx, was %016llx\n", (unsigned long long)va, (unsigned long long)value,
		       (unsigned long long)old);
}
DEBUG_COMMAND(poke, "address value", "write one word of kernel memory", command_poke);

/* ---- pt ---------------------------------------------------------------------------------------- */

static void command_pt(struct command_io *io, int argc, char **argv)
{
	paddr_t root = hal_pt_root_current();
	vaddr_t va;

	if (argc > 1 ? !parse_place(io, argv[1], &root, &va) : !panic_fault_address(&va))
		return;
	pt_show_walk(io, root, va);
}
DEBUG_COMMAND(pt, "[address[@pid]]", "page-table entries on the way to an address", command_pt);

/* ---- vma --------------------------------------------------------------------------------------- */

static bool vma_line(struct command_io *io, const struct vm_space *s, const struct vm_area *at)
{
	char name[VMA_PATH_MAX] = "";
	struct path path;
	struct vm_area a;
	u64 brk = 0, start_brk = 0, stack = 0;

	if (!COMMAND_LOAD(a, at))
		return command_printf(io, "area %p is not readable\n", (const void *)at);
	if (a.file && COMMAND_LOAD(path, &file_of_backing(a.file)->path))
		path_peek(&path, name, sizeof(name));
	else if (COMMAND_LOAD(brk, &s->brk) && COMMAND_LOAD(start_brk, &s->start_brk) && COMMAND_LOAD(stack, &s->start_stack))
		strlcpy(name, a.start <= stack && a.end >= stack ? "[stack]" :
			a.start <= brk && a.end >= start_brk ? "[heap]" : "", sizeof(name));
	return command_printf(io, " %012llx-%012llx %c%c%c%c %8llx %p %s\n", (unsigned long long)a.start,
			      (unsigned long long)a.end, a.flags & AREA_READ ? 'r' : '-', a.flags & AREA_WRITE ? 'w' : '-',
			      a.flags & AREA_EXEC ? 'x' : '-', a.flags & AREA_MAP_SHARED ? 's' : 'p',
			      (unsigned long long)(a.object || a.file ? a.pgoff << 12 : 0), (const void *)at, name);
}

static void command_vma(struct command_io *io, int argc, char **argv)
{
	const struct task *t = task_command_find(io, argc > 1 ? argv[1] : NULL);
	const struct vm_space *s = t ? task_command_space(t) : NULL;
	struct command_tree tree;
	u64 pages[2] = { 0, 0 };
	paddr_t root;

	if (!t)
		return;
	if (!s || !COMMAND_LOAD(root, &s->root)) {
		command_printf(io, " no address space\n");
		return;
	}
	(void)COMMAND_LOAD(pages[0], &s->total_pages);
	(void)COMMAND_LOAD(pages[1], (const u64 *)&s->rss_anon);
	command_printf(io, " space %p, root %llx, %llu pages mapped, %llu anonymous ones resident\n", (const void *)s,
		       (unsigned long long)root, (unsigned long long)pages[0], (unsigned long long)pages[1]);
	for (command_tree_begin(&tree, io, &s->areas); command_tree_next(&tree);)
		if (!vma_line(io, s, rb_entry(tree.node, struct vm_area, node)))
			return;
}
DEBUG_COMMAND(vma, "[pid]", "what a process has mapped where", command_vma);
