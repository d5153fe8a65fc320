/* SPDX-License-Identifier: MIT */
/*
 * The handoff: everything that the kernel gets is put in its place, then boot services end.
 *
 * Order matters. All that can fail, and all that can print, happens first: buffers are allocated with
 * room to spare, page tables are built from a trial map (the union of all RAM does not change by
 * allocating), the jump page is made ready. After the first call of ExitBootServices only GetMemoryMap
 * and ExitBootServices may be called (UEFI 2.10 §7.4.6), so the rest works in memory that is there
 * already: normalise the final map, sign the structure, jump.
 */
#include "loader.h"

#include "crc.h"

#define EXIT_TRIES_MAX	8u
/* The kernel needs this much besides itself and twice the initrd (archive and unpacked files). */
#define KERNEL_NEEDS_BYTES	(24 * MIB)

/* The buffers of the handoff, in one allocation. */
struct arena {
	uint64_t base;
	uint64_t bytes;
	uint64_t used;
};

struct handoff {
	struct loader *loader;
	struct bootinfo *bi;
	struct arena arena;
	uint8_t *map;
	uint64_t map_capacity;
	uint64_t descriptor_bytes;
	struct bootinfo_region *regions;
	unsigned region_capacity;
	uint64_t *edges;
	unsigned edge_capacity;
	struct memmap_overlay overlays[MEMMAP_OVERLAYS_MAX];
	unsigned overlay_count;
	UINTN map_bytes;
	UINTN map_key;
	UINT32 map_version;
};

static void *arena_take(struct arena *arena, uint64_t bytes, uint64_t align)
{
	uint64_t at = round_up(arena->used, align);

	arena->used = at + bytes;
	return (void *)(arena->base + at);
}

static int make_buffers(struct handoff *h)
{
	uint64_t descriptors, need;

	if (map_capacity(&h->map_capacity, &h->descriptor_bytes))
		return -1;
	descriptors = h->map_capacity / h->descriptor_bytes;
	h->region_capacity = MEMMAP_REGIONS_FOR((unsigned)descriptors, MEMMAP_OVERLAYS_MAX);
	h->edge_capacity = MEMMAP_EDGES_FOR((unsigned)descriptors, MEMMAP_OVERLAYS_MAX);
	need = PAGE_BYTES + BOOTINFO_STACK_BYTES + BOOTINFO_CMDLINE_MAX + LOADER_LOG_BYTES + h->map_capacity +
	       h->region_capacity * sizeof(*h->regions) + h->edge_capacity * sizeof(*h->edges) + 16 * 64;
	h->arena.bytes = round_up(need, PAGE_BYTES);
	h->arena.base = pages_alloc(h->arena.bytes, ANYWHERE, EfiLoaderData, "the handoff to the kernel");
	if (!h->arena.base)
		return -1;
	mem_zero((void *)h->arena.base, h->arena.bytes);
	h->bi = arena_take(&h->arena, sizeof(*h->bi), 64);
	h->bi->stack = (struct bootinfo_buffer){
		(uint64_t)arena_take(&h->arena, BOOTINFO_STACK_BYTES, PAGE_BYTES), BOOTINFO_STACK_BYTES,
	};
	h->map = arena_take(&h->arena, h->map_capacity, 64);
	h->regions = arena_take(&h->arena, h->region_capacity * sizeof(*h->regions), 64);
	h->edges = arena_take(&h->arena, h->edge_capacity * sizeof(*h->edges), 64);
	return 0;
}

static void add_overlay(struct handoff *h, uint64_t base, uint64_t bytes, uint32_t type)
{
	if (base && bytes)
		h->overlays[h->overlay_count++] =
			(struct memmap_overlay){ base, round_up(bytes, PAGE_BYTES), type };
}

static EFI_STATUS read_map(struct handoff *h)
{
	UINTN step;
	EFI_STATUS status;

	h->map_bytes = h->map_capacity;
	status = boot->GetMemoryMap(&h->map_bytes, (EFI_MEMORY_DESCRIPTOR *)(void *)h->map, &h->map_key, &step,
				    &h->map_version);
	if (!EFI_ERROR(status))
		h->descriptor_bytes = step;
	return status;
}

/* Normalise what read_map() read. Returns the number of regions, or -1. */
static int normalise_map(struct handoff *h)
{
	struct memmap_source source = {
		h->map, h->map_bytes, h->descriptor_bytes, h->overlays, h->overlay_count,
	};

	return memmap_normalise(&source, h->regions, h->region_capacity, h->edges, h->edge_capacity);
}

static int check_memory(struct handoff *h, int regions)
{
	struct loader *l = h->loader;
	uint64_t have = memmap_free_bytes(h->regions, (unsigned)regions);
	uint64_t need = KERNEL_NEEDS_BYTES + l->initrd_bytes;

	if (have < need)
		return fail("not enough memory: %lu MiB are free beside kernel and initrd, %lu MiB are needed",
			    have / MIB, need / MIB);
	return 0;
}

static int make_page_tables(struct handoff *h, int regions)
{
	struct loader *l = h->loader;
	struct paging_segment segments[ELF_SEGMENTS_MAX];
	struct paging_plan plan = {
		.regions = h->regions, .region_count = (unsigned)regions,
		.direct_map_virt = l->kaslr.direct_map_virt,
		.kernel_virt = BOOT_KERNEL_LINK_VIRT + l->kaslr.slide,
		.kernel_phys = l->kernel_phys, .kernel_bytes = l->plan.image_bytes,
		.segments = segments, .segment_count = l->plan.segment_count,
		.identity_page = l->jump_page,
	};
	bool has_1g = cpu_has_1g_pages();
	uint64_t pages = paging_pages_for(&plan, has_1g), arena;
	struct load_error error = { "no room for the first page table", "page tables", 0 };

	for (unsigned i = 0; i < l->plan.segment_count; i++) {
		const struct elf_segment *s = &l->plan.segments[i];

		segments[i] = (struct paging_segment){
			s->virt - l->plan.first_virt, round_up(s->memory_bytes, PAGE_BYTES),
			(s->flags & ELF_WRITE ? PAGING_WRITE : 0) | (s->flags & ELF_EXECUTE ? PAGING_EXECUTE : 0),
		};
	}
	/* Below 4 GiB for the sake of the bounce out of 5-level paging. */
	arena = pages_alloc(pages * PAGE_BYTES, BELOW_4G, EfiLoaderData, "page tables");
	if (!arena)
		return -1;
	if (paging_init(&l->paging, (void *)arena, arena, (unsigned)pages, has_1g) ||
	    paging_build(&l->paging, &plan, &error))
		return fail("%s (%s %lu of %lu)", error.what, error.unit, error.where, pages);
	h->bi->page_tables = (struct bootinfo_buffer){ arena, pages * PAGE_BYTES };
	h->bi->flags |= has_1g ? BOOT_FLAG_PAGES_1G : 0;
	return 0;
}

/* EFI_MEMORY_ATTRIBUTE_PROTOCOL (UEFI 2.10 §37.5), which gnu-efi does not know. */
struct memory_attributes {
	EFI_STATUS (EFIAPI *get)(struct memory_attributes *, EFI_PHYSICAL_ADDRESS, UINT64, UINT64 *);
	EFI_STATUS (EFIAPI *set)(struct memory_attributes *, EFI_PHYSICAL_ADDRESS, UINT64, UINT64);
	EFI_STATUS (EFIAPI *clear)(struct memory_attributes *, EFI_PHYSICAL_ADDRESS, UINT64, UINT64);
};

#define MEMORY_READ_ONLY	0x20000ull	/* EFI_MEMORY_RO */
#define MEMORY_NO_EXECUTE	0x4000ull	/* EFI_MEMORY_XP */

/* Firmware that enforces no-execute must be told that the jump page is code, and not writable. */
static void make_executable(uint64_t page)
{
	EFI_GUID guid = { 0xf4560cf6, 0x40ec, 0x4b4a, { 0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89 } };
	struct memory_attributes *attributes;

	if (EFI_ERROR(boot->LocateProtocol(&guid, NULL, (void **)&attributes)))
		return;
	attributes->set(attributes, page, PAGE_BYTES, MEMORY_READ_ONLY);
	attributes->clear(attributes, page, PAGE_BYTES, MEMORY_NO_EXECUTE);
}

static uint64_t jump_code_bytes(void)
{
	return (uint64_t)(jump_code_end - jump_code_start);
}

/* Copy the jump code to its page; its arguments lie behind it. */
static void make_jump_page(struct handoff *h)
{
	struct loader *l = h->loader;
	uint64_t page = l->jump_page, direct = l->kaslr.direct_map_virt;
	uint64_t gdt = page + (uint64_t)(jump_gdt - jump_code_start);
	struct jump_arguments *args = (void *)(page + PAGE_BYTES - sizeof(*args));

	mem_copy((void *)page, jump_code_start, jump_code_bytes());
	*args = (struct jump_arguments){
		.cr3 = l->paging.root,
		.entry_virt = h->bi->kernel_entry_virt,
		.stack_virt = direct + h->bi->stack.base + h->bi->stack.length,
		.bootinfo_virt = direct + (uint64_t)h->bi,
		.gdt_limit = 4 * 8 - 1,
		.gdt_phys = gdt,
		.gdt_limit_again = 4 * 8 - 1,
		.gdt_virt = direct + gdt,
		.leave_offset = (uint32_t)(page + (uint64_t)(jump_leave_la57 - jump_code_start)),
		.leave_selector = 0x08,
		.return_offset = (uint32_t)(page + (uint64_t)(jump_back_to_64 - jump_code_start)),
		.return_selector = 0x10,
	};
	make_executable(page);
}

static void describe_kernel(struct handoff *h)
{
	struct loader *l = h->loader;
	struct bootinfo *bi = h->bi;

	bi->magic = BOOTINFO_MAGIC;
	bi->version = BOOTINFO_VERSION;
	bi->size = sizeof(*bi);
	bi->paging_levels = 4;
	bi->flags |= l->nokaslr ? BOOT_FLAG_NOKASLR : 0;
	bi->kernel_base = l->kernel_phys;
	bi->kernel_length = l->plan.image_bytes;
	bi->kernel_slide = l->kaslr.slide;
	bi->kernel_virt = BOOT_KERNEL_LINK_VIRT + l->kaslr.slide;
	bi->kernel_entry_virt = l->plan.entry_virt + l->kaslr.slide;
	bi->direct_map_virt = l->kaslr.direct_map_virt;
	bi->identity_page = l->jump_page;
	bi->trampoline = l->trampoline;
	bi->initrd = (struct bootinfo_buffer){ l->initrd_phys, l->initrd_bytes };
	bi->region_size = sizeof(struct bootinfo_region);
	bi->tsc_loader_start = l->tsc_start;
	bi->cmdline.base = (uint64_t)arena_take(&h->arena, BOOTINFO_CMDLINE_MAX, 64);
	bi->cmdline.length = l->cmdline_bytes;
	mem_copy((void *)bi->cmdline.base, l->cmdline, l->cmdline_bytes + 1);
}

static void keep_log(struct handoff *h)
{
	const char *text;
	size_t bytes = console_log(&text);

	h->bi->loader_log.base = (uint64_t)arena_take(&h->arena, LOADER_LOG_BYTES, 64);
	h->bi->loader_log.length = bytes;
	mem_copy((void *)h->bi->loader_log.base, text, bytes);
}

/* Where the loader's own memory lies; the rest of LoaderData is reclaimable by its type. */
static void mark_memory(struct handoff *h)
{
	struct loader *l = h->loader;

	h->overlay_count = 0;
	add_overlay(h, l->kernel_phys, l->plan.image_bytes, BOOT_MEM_KERNEL);
	add_overlay(h, l->initrd_phys, l->initrd_bytes, BOOT_MEM_INITRD);
	add_overlay(h, l->trampoline, PAGE_BYTES, BOOT_MEM_TRAMPOLINE);
	add_overlay(h, h->arena.base, h->arena.bytes, BOOT_MEM_LOADER_RECLAIM);
	add_overlay(h, l->jump_page, PAGE_BYTES, BOOT_MEM_LOADER_RECLAIM);
	add_overlay(h, h->bi->page_tables.base, h->bi->page_tables.length, BOOT_MEM_LOADER_RECLAIM);
}

/* All that can fail. */
static int prepare(struct handoff *h)
{
	struct loader *l = h->loader;
	struct sponge sponge;
	uint64_t direct_bytes;
	int regions;

	if (make_buffers(h))
		return -1;
	sponge_init(&sponge);
	machine_gather_entropy(&sponge, &h->bi->flags);
	mark_memory(h);
	if (EFI_ERROR(read_map(h)) || (regions = normalise_map(h)) < 0)
		return fail("the firmware's memory map makes no sense (%lu bytes, %lu per descriptor)",
			    (uint64_t)h->map_bytes, h->descriptor_bytes);
	if (check_memory(h, regions))
		return -1;
	direct_bytes = paging_direct_map_bytes(h->regions, (unsigned)regions);
	if (kaslr_choose(&sponge, l->plan.image_bytes, direct_bytes, l->nokaslr, &l->kaslr))
		return fail("kernel (%lu bytes) or memory (%lu GiB) are too large for their places",
			    l->plan.image_bytes, direct_bytes / GIB);
	sponge_squeeze(&sponge, h->bi->seed, sizeof(h->bi->seed));
	mem_zero(&sponge, sizeof(sponge));
	h->bi->direct_map_length = direct_bytes;
	if (make_page_tables(h, regions))
		return -1;
	mark_memory(h);
	h->bi->cr3 = l->paging.root;
	elf_load_image(l->kernel_file.data, &l->plan, l->kaslr.slide, (void *)l->kernel_phys);
	pages_free((uint64_t)l->kernel_file.data, l->kernel_file.room);
	describe_kernel(h);
	machine_describe(l, h->bi);
	make_jump_page(h);
	say("loader: kernel at %lx, slide %lx; leaving the firmware\n", h->bi->kernel_virt, h->bi->kernel_slide);
	keep_log(h);
	return 0;
}

/* Until the map that we hold is the current one: handlers of the event may allocate. */
static bool exit_boot_services(struct handoff *h)
{
	for (h->bi->exit_tries = 1; h->bi->exit_tries <= EXIT_TRIES_MAX; h->bi->exit_tries++) {
		if (EFI_ERROR(read_map(h)))
			return false;
		if (!EFI_ERROR(boot->ExitBootServices(h->loader->image, h->map_key)))
			return true;
	}
	return false;
}

/* After boot services: no calls, no messages. */
static void finish(struct handoff *h, int regions)
{
	struct bootinfo *bi = h->bi;

	bi->efi_map = (struct bootinfo_efi_map){
		(uint64_t)h->map, h->map_bytes, (uint32_t)h->descriptor_bytes, h->map_version,
	};
	bi->regions = (uint64_t)h->regions;
	bi->region_count = (uint32_t)regions;
	bi->crc = 0;
	bi->crc = crc32_update(0, bi, sizeof(*bi));
}

int handoff_run(struct loader *loader)
{
	struct handoff h = { .loader = loader };
	void (*jump)(const struct jump_arguments *args);
	int regions = -1;

	loader->trampoline = trampoline_alloc();
	if (!loader->trampoline)
		say("loader: no free page below 640 KiB: other CPUs will not be started\n");
	loader->jump_page = pages_alloc(PAGE_BYTES, BELOW_4G, EfiLoaderCode, "the jump page");
	if (!loader->jump_page || prepare(&h))
		return -1;
	loader->bootinfo = h.bi;
	if (exit_boot_services(&h)) {
		h.bi->tsc_exit_boot_services = read_tsc();
		regions = normalise_map(&h);
	}
	/* Nobody can be told any more; a reset is better than a silent halt. */
	if (regions < 0)
		firmware->RuntimeServices->ResetSystem(EfiResetCold, EFI_ABORTED, 0, NULL);
	finish(&h, regions);
	coverage_dump();
	jump = (void (*)(const struct jump_arguments *))loader->jump_page;
	jump((const struct jump_arguments *)(loader->jump_page + PAGE_BYTES - sizeof(struct jump_arguments)));
	__builtin_unreachable();
}
