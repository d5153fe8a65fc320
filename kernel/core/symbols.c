/* SPDX-License-Identifier: MIT */
/*
 * The kernel's symbol table: sorted offsets from the image's start, and names. tools/ksyms.py writes it, the
 * link script puts it last into the image. Everything here is read-only data and usable in any context.
 */
#include <kernel/core/command.h>
#include <kernel/core/symbols.h>
#include <lib/printf.h>
#include <lib/string.h>

extern const u32 __ksyms_count;
extern const u32 __ksyms_offsets[], __ksyms_names[];
extern const char __ksyms_strings[];
extern const char __kernel_start[], __text_start[], __text_end[];

bool symbol_is_text(vaddr_t addr)
{
	return addr >= (vaddr_t)(uintptr_t)__text_start && addr < (vaddr_t)(uintptr_t)__text_end;
}

/* The index of the last symbol at or below the offset; -1 when there is none. */
static long symbol_index(u64 offset)
{
	u32 low = 0, high = __ksyms_count;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (__ksyms_offsets[mid] <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return (long)low - 1;
}

const char *symbol_lookup(vaddr_t addr, u64 *offset, u64 *size)
{
	u64 base = (vaddr_t)(uintptr_t)__kernel_start, end = (vaddr_t)(uintptr_t)__text_end;
	long i;

	if (!symbol_is_text(addr) || (i = symbol_index(addr - base)) < 0)
		return NULL;
	if ((u32)i + 1 < __ksyms_count)
		end = MIN(end, base + __ksyms_offsets[i + 1]);
	*offset = addr - base - __ksyms_offsets[i];
	*size = end - base - __ksyms_offsets[i];
	return __ksyms_strings + __ksyms_names[i];
}

const char *symbol_nearest(vaddr_t addr, u64 *offset)
{
	u64 base = (vaddr_t)(uintptr_t)__kernel_start;
	long i = addr >= base && addr < (vaddr_t)(uintptr_t)__ksyms_strings ? symbol_index(addr - base) : -1;

	if (i < 0)
		return NULL;
	*offset = addr - base - __ksyms_offsets[i];
	return __ksyms_strings + __ksyms_names[i];
}

vaddr_t symbol_address(const char *name)
{
	for (u32 i = 0; i < __ksyms_count; i++)
		if (strcmp(__ksyms_strings + __ksyms_names[i], name) == 0)
			return (vaddr_t)(uintptr_t)__kernel_start + __ksyms_offsets[i];
	return 0;
}

static size_t symbol_print(u64 addr, char *buf, size_t size)
{
	u64 offset, length;
	const char *name = symbol_lookup(addr, &offset, &length);

	return name ? (size_t)scnprintf(buf, size, "%s+0x%llx/0x%llx", name, (unsigned long long)offset,
					(unsigned long long)length) : 0;
}

static void command_sym(struct command_io *io, int argc, char **argv)
{
	u64 addr, offset;
	const char *name;

	if (argc < 2 || !command_number(io, argv[1], &addr))
		return;
	name = symbol_nearest(addr, &offset);
	if (name)
		command_printf(io, "%016llx %s+0x%llx\n", (unsigned long long)addr, name, (unsigned long long)offset);
	else
		command_printf(io, "%016llx is not in the image\n", (unsigned long long)addr);
}
DEBUG_COMMAND(sym, "name|address", "where a symbol is, or which one an address is in", command_sym);

void symbols_init(void)
{
	printf_symbol_hook = symbol_print;
}
