/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VM_VDSO_H
#define KERNEL_VM_VDSO_H

/* The vDSO in address spaces: kernel/vm/vdso.c. */
#include <lib/compiler.h>

struct vm_area;
struct vm_space;

/* Boot, after vm_init() and clock_init(). */
void vdso_init(void);

/* How much room vdso_map() wants; 0: there is none. */
u64 vdso_bytes(void);

/*
 * execve: maps data and code into a new space, in the pages above `above` (the end of the stack) where there is room, else
 * wherever mmap(2) would. *out is where the object begins, for AT_SYSINFO_EHDR; 0: this machine has none, or vdso=0. Takes
 * the space's lock. 0, -ENOMEM, -EINTR.
 */
int __must_check vdso_map(struct vm_space *s, vaddr_t above, bool randomize, vaddr_t *out);
/* "[vvar]", "[vdso]", or NULL. The space's lock held, either way. */
const char *vdso_area_name(const struct vm_area *a);

#endif
