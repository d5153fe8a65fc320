/* SPDX-License-Identifier: MIT */
/*
 * The host's MMU: makes the software page tables real.
 *
 * The windows of frame table and kernel mappings are reserved without access. A first access faults; the handler
 * walks the kernel's tables as hardware would and maps the arena's page there, or, where they say nothing,
 * ends the program: the kernel has touched what it had not mapped. A flush takes mappings out again, so that
 * stale translations are found too (a missing flush shows as an access that still works; a missing mapping as a fault).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hal/mem.h>
#include <hal/pt.h>
#include <hal/tlb.h>
#include <hal/uaccess.h>
#include <lib/atomic.h>
#include "host.h"

static int arena_fd;
static uint64_t arena_first, arena_bytes;
static uint64_t current_root;
static hal_pte_t kernel_half[HAL_PT_ENTRIES - HAL_PT_KERNEL_FIRST];

static bool in_windows(uint64_t va)
{
	return va >= HAL_FRAME_TABLE_BASE && va < HAL_KMAP_END;
}

int host_translate(uint64_t va, uint64_t *pa, int *writable)
{
	uint64_t table = current_root;

	for (unsigned int level = HAL_PT_LEVELS; level-- > 0;) {
		hal_pte_t e = hal_pte_read((hal_pte_t *)hal_phys_to_virt(table) + hal_pt_index(va, level));

		if (!hal_pte_present(e))
			return 0;
		if (hal_pte_is_leaf(e, level)) {
			*pa = hal_pte_paddr(e, level) + (va & ((1ull << hal_pt_shift(level)) - 1));
			*writable = hal_pte_writable(e);
			return 1;
		}
		table = hal_pte_paddr(e, level);
	}
	return 0;
}

static bool map_page(uint64_t va)
{
	uint64_t pa;
	int writable;

	va &= HAL_PAGE_MASK;
	if (!in_windows(va) || !host_translate(va, &pa, &writable) || pa < arena_first || pa - arena_first >= arena_bytes)
		return false;
	return mmap((void *)va, HAL_PAGE_SIZE, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_FIXED, arena_fd,
		    (off_t)(pa - arena_first)) != MAP_FAILED;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	static char text[100];
	int n;

	(void)context;
	if (map_page((uint64_t)(uintptr_t)info->si_addr))
		return;
	n = snprintf(text, sizeof(text), "\nhost: the kernel touched %p, where nothing is mapped\n", info->si_addr);
	(void)!write(2, text, (size_t)n);
	signal(sig, SIG_DFL);
}

static void reserve(uint64_t start, uint64_t end)
{
	if (mmap((void *)start, end - start, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
	    MAP_FAILED)
		abort();
}

/* The first root lies in the arena's first page, as a loader's tables would. */
void host_mmu_init(int fd, uint64_t first, uint64_t bytes)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	arena_fd = fd;
	arena_first = first;
	arena_bytes = bytes;
	current_root = first;
	reserve(HAL_FRAME_TABLE_BASE, HAL_KMAP_END);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

/* In a child process: an arena of its own, with what the parent's holds now. */
void host_mmu_copy_arena(void)
{
	char *at = hal_phys_to_virt(arena_first);
	uint64_t done = 0;
	int fd = memfd_create("arena copy", 0);

	while (fd >= 0 && done < arena_bytes) {
		ssize_t n = write(fd, at + done, arena_bytes - done);

		if (n <= 0)
			abort();
		done += (uint64_t)n;
	}
	if (fd < 0 || mmap(at, arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		abort();
	arena_fd = fd;
	reserve(HAL_FRAME_TABLE_BASE, HAL_KMAP_END);
}

paddr_t hal_pt_root_current(void)
{
	return current_root;
}

/* The windows are the kernel's, which is the same in all spaces; what each CPU remembers of user addresses is a count. */
void hal_space_activate(paddr_t root, struct hal_space *space)
{
	struct hal_percpu *pc = hal_percpu();
	struct hal_space *old = pc->active_space;

	if (space && space != old)
		atomic_set_bit(pc->cpu, space->cpus);
	pc->active_space = space;
	pc->tlb_gen = space ? space->gen : 0;
	pc->tlb_lazy = 0;
	pc->flushed_all++;
	if (old && old != space)
		atomic_clear_bit(pc->cpu, old->cpus);
	if (root != current_root) {
		current_root = root;
		reserve(HAL_FRAME_TABLE_BASE, HAL_KMAP_END);
	}
}

void hal_space_resume(paddr_t root, struct hal_space *space)
{
	struct hal_percpu *pc = hal_percpu();

	pc->tlb_lazy = 0;
	if (pc->active_space != space) {
		hal_space_activate(root, space);
	} else if (pc->tlb_gen != space->gen) {
		pc->tlb_gen = space->gen;
		hal_tlb_flush_local_all();
	}
}

void hal_space_drop(void)
{
	hal_space_activate(current_root, NULL);
	hal_space_set_lazy();
}

void hal_pt_kernel_template_init(paddr_t root)
{
	memcpy(kernel_half, (hal_pte_t *)hal_phys_to_virt(root) + HAL_PT_KERNEL_FIRST, sizeof(kernel_half));
}

void hal_pt_root_init(void *root_page)
{
	hal_pte_t *table = root_page;

	memset(table, 0, HAL_PT_KERNEL_FIRST * sizeof(*table));
	memset(table + HAL_PT_ENTRIES, 0, HAL_PT_ENTRIES * sizeof(*table));
	memcpy(table + HAL_PT_KERNEL_FIRST, kernel_half, sizeof(kernel_half));
}

void hal_tlb_flush_local_kernel(vaddr_t start, vaddr_t end)
{
	hal_percpu()->flushed_kernel++;
	if (end == ~0ull) {
		start = HAL_FRAME_TABLE_BASE;
		end = HAL_KMAP_END;
	}
	reserve(start & HAL_PAGE_MASK, (end + HAL_PAGE_SIZE - 1) & HAL_PAGE_MASK);
}

void hal_tlb_flush_local_range(vaddr_t start, vaddr_t end)
{
	if (hal_tlb_is_short(start, end))
		hal_percpu()->flushed_pages += (end - start) / HAL_PAGE_SIZE;
	else
		hal_tlb_flush_local_all();
}

void hal_tlb_flush_local_page(vaddr_t va)
{
	if (in_windows(va))
		hal_tlb_flush_local_kernel(va, va + 1);
	else
		hal_percpu()->flushed_pages++;
}

void hal_tlb_flush_local_all(void)
{
	hal_percpu()->flushed_all++;
}

bool hal_kernel_load_u64(vaddr_t va, u64 *v)
{
	uint64_t pa;
	int writable;

	if (!host_translate(va, &pa, &writable))
		return false;
	memcpy(v, hal_phys_to_virt(pa), sizeof(*v));
	return true;
}
