/* SPDX-License-Identifier: MIT */
#ifndef ARCH_THREAD_H
#define ARCH_THREAD_H

#include <lib/types.h>

struct thread;

struct arch_thread {
	u64 fs_base;		/* [sw] user values while it does not run; true ones are in the CPU else */
	u64 gs_base;		/* [sw] */
	u16 fs_sel;		/* [sw] */
	u16 gs_sel;
	u16 ds_sel;
	u16 es_sel;
	u32 fpu_cpu;		/* [sw] CPU whose registers last held the vector state */
	u8 spec;		/* [cur] what prctl(2) has asked about speculation: mitigate_cpu.c */
	void *fpu;		/* [I] XSAVE area, 64-aligned; NULL: never was in user mode */
	void *fpu_alloc;	/* [I] what the allocator gave */
	/* [cur] the last trap that became a signal, for sigcontext */
	u64 trap_vector;
	u64 trap_error;
	u64 trap_addr;
};

#endif
