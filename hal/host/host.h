/* SPDX-License-Identifier: MIT */
#ifndef HAL_HOST_H
#define HAL_HOST_H

/* What a host test may ask of its machine, beyond the HAL's contract. */
#include <stddef.h>
#include <stdint.h>

/* Arena of so many bytes at physical address `first`, CPU 0, page tables. Once, before anything of the kernel's. */
void host_machine_init(uint64_t first, uint64_t bytes);

/*
 * Two nodes: memory below `border` is node 0's, the rest node 1's; CPUs with odd numbers are node 1's. Before
 * mm_numa_init(), or never: one node.
 */
void host_nodes_split(uint64_t border, uint64_t end);

/*
 * Makes CPU n (from 1 up, in order) known, so that its per-CPU area can be created; then host_cpu_start() runs fn(arg) on
 * it, as a fibre, when the others pause. host_run_all() lets all of them run until their functions have returned.
 */
uint32_t host_cpu_add(void);
void host_cpu_start(uint32_t cpu, void (*fn)(void *arg), void *arg);
void host_run_all(void);

/* One in `n` places where a CPU may be left is taken; 0: none. */
void host_set_interleave(uint32_t n, uint64_t seed);
void host_time_advance(uint64_t ns);

/* Runs fn(arg) in a child process; 1 when the kernel panicked there, with the reason in buf. */
int host_catch_panic(void (*fn)(void *arg), void *arg, char *buf, size_t n);

/* mmu.c */
int host_translate(uint64_t va, uint64_t *pa, int *writable);
void host_mmu_init(int fd, uint64_t first, uint64_t bytes);
void host_mmu_copy_arena(void);

/* Writes what came to the early console as comments of TAP. */
void host_console_show(void);

#endif
