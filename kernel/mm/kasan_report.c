/* SPDX-License-Identifier: MIT */
/*
 * What KASAN says: what was done, by whom, and what lies there.
 *
 *	KASAN: slab-use-after-free: read of 8 bytes at ffff…4d20 by tty_close+0x31
 *	  object ffff…4d00 of 192 bytes, cache "kmalloc-192": 32 bytes inside
 *	  allocated:
 *	    kmalloc+0x20 …
 *	  freed:
 *	    kfree+0x51 …
 *	  shadow: …
 *
 * Then the kernel panics, with the backtrace of who did it. While a self test captures reports the text goes there,
 * and the access is made after all. A report inside of a report, and in a panic, says nothing: those look at
 * whatever they like.
 *
 * Which object an address belongs to: a slab's frame entry gives the slot, the trail behind the object the
 * backtraces; other pages have theirs in the frame entry; global objects and those on stacks are described by what the
 * compiler left in the image and at the bottom of the frame.
 */
#define LOG_TAG "kasan"
#include <hal/uaccess.h>
#include <kernel/core/assert.h>
#include <kernel/core/command.h>
#include <kernel/core/log.h>
#include <kernel/core/selftest.h>
#include <kernel/mm/kmap.h>
#include <lib/string.h>
#include "kasan.h"
#include "slab.h"

#if HALCYON_KASAN

#define LINE_MAX	160u
#define FRAMES_MAX	12u
#define STACK_MAGIC	0x41b58ab3u	/* gcc: first word of a frame with red zones; then what is in it */
#define STACK_SEARCH	8192u		/* bytes downwards for it */
#define SHADOW_ROW	16

struct writer {
	void (*emit)(void *arg, const char *line);
	void *arg;
};

static void say(const struct writer *w, const char *fmt, ...) __printf(2, 3);
static void say(const struct writer *w, const char *fmt, ...)
{
	char line[LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vscnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	w->emit(w->arg, line);
}

static bool in_half(vaddr_t va)
{
	return (s64)va < 0;
}

/* ---- words ------------------------------------------------------------------------------------- */

static const char *shadow_word(u8 v)
{
	switch (v) {
	case KASAN_FREE_PAGE:
		return "page-use-after-free";
	case KASAN_PAGE_REDZONE:
		return "page-out-of-bounds";
	case KASAN_SLAB_REDZONE:
		return "slab-out-of-bounds";
	case KASAN_SLAB_FREE:
		return "slab-use-after-free";
	case KASAN_GLOBAL:
		return "global-out-of-bounds";
	case KASAN_STACK_SCOPE:
		return "stack-use-after-scope";
	case KASAN_VMALLOC:
		return "vmalloc-out-of-bounds";
	case KASAN_STACK_FREE:
		return "freed-stack-use";
	case KASAN_STACK_LEFT:
	case KASAN_STACK_MID:
	case KASAN_STACK_RIGHT:
		return "stack-out-of-bounds";
	default:
		return "wild-access";
	}
}

/* A partly allowed byte says nothing about why: the next one does. */
static u8 shadow_value(vaddr_t bad)
{
	u8 v;

	if (!in_half(bad))
		return 0;
	v = *hal_shadow_of(bad);
	return v < 8 && in_half(bad + 8) ? *hal_shadow_of(bad + 8) : v;
}

/* ---- what lies there --------------------------------------------------------------------------- */

static void say_stack(const struct writer *w, const char *what, u32 handle)
{
	vaddr_t frames[FRAMES_MAX];
	u32 n = stack_depot_fetch(handle, frames, FRAMES_MAX);

	if (!n)
		return;
	say(w, "  %s:", what);
	for (u32 i = 0; i < n; i++)
		say(w, "    %pS", (void *)frames[i]);
}

static void say_slab(const struct writer *w, const struct page *slab, vaddr_t addr)
{
	const struct kmem_cache *c = slab->slab.cache;
	u64 slot = (addr - (vaddr_t)(uintptr_t)page_address(slab)) / c->stride;
	vaddr_t obj;
	u32 alloc, freed;
	bool in_use;

	if (slot >= slab->slab.total) {
		say(w, "  behind the objects of a slab, cache \"%s\"", c->name);
		return;
	}
	obj = (vaddr_t)(uintptr_t)slab_slot(slab, (u32)slot);
	in_use = slab_debug_stacks(c, (void *)obj, &alloc, &freed);
	if (addr < obj)
		say(w, "  %llu bytes in front of object %llx of %u bytes, cache \"%s\"",
		    (unsigned long long)(obj - addr), (unsigned long long)obj, c->object_size, c->name);
	else
		say(w, "  %llu bytes into object %llx of %u bytes, cache \"%s\", %s", (unsigned long long)(addr - obj),
		    (unsigned long long)obj, c->object_size, c->name, in_use ? "in use" : "free");
	say_stack(w, "allocated", alloc);
	if (!in_use || (c->flags & SLAB_TYPESAFE_BY_RCU))
		say_stack(w, "freed", freed);
}

static void say_page(const struct writer *w, vaddr_t addr)
{
	static const char *const types[] = {
		[PAGE_RESERVED] = "not the allocator's", [PAGE_FREE] = "free", [PAGE_CACHED] = "free",
		[PAGE_KERNEL] = "kernel", [PAGE_SLAB] = "slab", [PAGE_TABLE] = "page table", [PAGE_USER] = "user",
		[PAGE_TAIL] = "tail",
	};
	struct page *page = virt_to_page((const void *)addr);

	if (!pfn_valid(page_to_pfn(page)))
		return;
	page = page_head(page);
	if (page->type == PAGE_SLAB) {
		say_slab(w, page, addr);
		return;
	}
	say(w, "  %llu bytes into the page at frame %#llx: %s, order %u",
	    (unsigned long long)(addr - (vaddr_t)(uintptr_t)page_address(page)), (unsigned long long)page_to_pfn(page),
	    page->type < ARRAY_SIZE(types) ? types[page->type] : "of unknown type", page->order);
	say_stack(w, "allocated", page->alloc_stack);
	if (page->type == PAGE_FREE || page->type == PAGE_CACHED || page->type == PAGE_RESERVED)
		say_stack(w, "freed", page->free_stack);
}

/* "2 32 8 3 ptr 64 100 6 buf:12": how many, and of each: distance from the frame's bottom, size, length of the name, name. */
static void say_frame(const struct writer *w, const char *text, u64 distance)
{
	u64 n[3], count = 0;

	for (; isdigit(*text); text++)
		count = count * 10 + (u64)(*text - '0');
	for (u64 i = 0; i < count && i < 64; i++) {
		for (u32 k = 0; k < 3; k++) {
			for (n[k] = 0; *text == ' '; text++)
				;
			for (; isdigit(*text); text++)
				n[k] = n[k] * 10 + (u64)(*text - '0');
		}
		if (*text == ' ')
			text++;
		if (distance + 32 >= n[0] && distance < n[0] + n[1] + 32)
			say(w, "  near \"%.*s\": bytes %llu to %llu of the frame, accessed at %llu", (int)n[2], text,
			    (unsigned long long)n[0], (unsigned long long)(n[0] + n[1] - 1),
			    (unsigned long long)distance);
		for (u64 k = 0; k < n[2] && *text; k++)
			text++;
	}
}

static void say_on_stack(const struct writer *w, vaddr_t addr, vaddr_t low)
{
	say(w, "  %llu bytes into the stack at %llx", (unsigned long long)(addr - low), (unsigned long long)low);
	for (vaddr_t at = addr & ~7ull; at >= low && addr - at < STACK_SEARCH; at -= 8) {
		u64 word, text, pc;

		if (*hal_shadow_of(at) != KASAN_STACK_LEFT || !hal_kernel_load_u64(at, &word) || word != STACK_MAGIC ||
		    !hal_kernel_load_u64(at + 8, &text) || !hal_kernel_load_u64(at + 16, &pc) ||
		    text < HAL_IMAGE_BASE)
			continue;
		say(w, "  frame of %pS", (void *)pc);
		say_frame(w, (const char *)text, addr - at);
		return;
	}
}

static void describe(const struct writer *w, vaddr_t addr)
{
	const char *name, *file;
	vaddr_t low, high, start;
	u64 size;

	if (!in_half(addr))
		return;
	if (hal_stack_of(addr, &low, &high)) {
		say_on_stack(w, addr, low);
		return;
	}
	if (hal_is_direct_map(addr)) {
		say_page(w, addr);
		return;
	}
	name = kasan_global_name(addr, &start, &size, &file);
	if (name)
		say(w, "  %llu bytes into \"%s\" of %llu bytes, %s", (unsigned long long)(addr - start), name,
		    (unsigned long long)size, file);
	else if (is_vmalloc((const void *)addr))
		say(w, "  in the window of vmalloc");
}

static void say_shadow(const struct writer *w, vaddr_t addr)
{
	u8 *at = hal_shadow_of(addr & ~(vaddr_t)(8 * SHADOW_ROW - 1));
	char line[LINE_MAX];

	for (int row = -1; row <= 1; row++) {
		u8 *s = at + row * SHADOW_ROW;
		size_t n;

		if (!in_half(hal_shadow_to_virt(s)) || s >= (u8 *)HAL_KASAN_END)
			continue;
		n = (size_t)scnprintf(line, sizeof(line), "  shadow %llx:", (unsigned long long)hal_shadow_to_virt(s));
		for (u32 i = 0; i < SHADOW_ROW; i++)
			n += (size_t)scnprintf(line + n, sizeof(line) - n, "%c%02x",
					       s + i == hal_shadow_of(addr) ? '>' : ' ', s[i]);
		w->emit(w->arg, line);
	}
}

void kasan_describe(vaddr_t addr, void (*emit)(void *arg, const char *line), void *arg)
{
	const struct writer w = { .emit = emit, .arg = arg };

	describe(&w, addr);
	if (in_half(addr))
		say_shadow(&w, addr);
}

/* ---- the report -------------------------------------------------------------------------------- */

static u32 reporting;	/* [a] */

static void to_capture(void *arg, const char *line)
{
	(void)arg;
	(void)report_capture_line(LOG_ERR, line, strlen(line));
}

static void to_consoles(void *arg, const char *line)
{
	(void)arg;
	log_emit_raw(line, strlen(line));
	log_emit_raw("\n", 1);
}

void kasan_report(vaddr_t addr, vaddr_t bad, size_t size, bool write, vaddr_t place)
{
	char heading[LINE_MAX];
	bool captured = report_capture_active();

	if (panic_active() || __atomic_exchange_n(&reporting, 1, __ATOMIC_ACQ_REL))
		return;
	if (!bad)
		bad = addr;
	scnprintf(heading, sizeof(heading), "KASAN: %s: %s of %llu bytes at %016llx by %pS", shadow_word(shadow_value(bad)),
		  write ? "write" : "read", (unsigned long long)size, (unsigned long long)bad, (void *)place);
	if (captured) {
		to_capture(NULL, heading);
		kasan_describe(bad, to_capture, NULL);
		__atomic_store_n(&reporting, 0, __ATOMIC_RELEASE);
		return;
	}
	log_enter_panic();
	to_consoles(NULL, heading);
	kasan_describe(bad, to_consoles, NULL);
	panic("%s", heading);
}

/* ---- command ----------------------------------------------------------------------------------- */

static void to_command(void *arg, const char *line)
{
	(void)command_printf(arg, "%s\n", line);
}

static void show_kasan(struct command_io *io, int argc, char **argv)
{
	u64 addr, objects, bytes;

	if (argc < 2) {
		quarantine_stats(&objects, &bytes);
		(void)command_printf(io, "quarantine of this CPU: %llu objects, %llu bytes; shadow: %llu pages\n",
				     (unsigned long long)objects, (unsigned long long)bytes,
				     (unsigned long long)kasan_shadow_pages());
		return;
	}
	if (!command_number(io, argv[1], &addr))
		return;
	(void)command_printf(io, "%016llx: shadow %#x%s%s\n", (unsigned long long)addr,
			     in_half(addr) ? *hal_shadow_of(addr) : 0u, shadow_value(addr) ? ", " : "",
			     shadow_value(addr) ? shadow_word(shadow_value(addr)) : "");
	kasan_describe(addr, to_command, io);
}
DEBUG_COMMAND(kasan, "[address]", "what KASAN knows of an address; quarantine", show_kasan);

#endif
