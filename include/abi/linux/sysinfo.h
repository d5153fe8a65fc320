/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_SYSINFO_H
#define ABI_LINUX_SYSINFO_H

/* sysinfo(2). */

#include <lib/types.h>

#define SI_LOAD_SHIFT		16

struct sysinfo {
	s64 uptime;		/* seconds */
	u64 loads[3];		/* fixed point, SI_LOAD_SHIFT */
	u64 totalram;		/* in mem_unit, like all below */
	u64 freeram;
	u64 sharedram;
	u64 bufferram;
	u64 totalswap;
	u64 freeswap;
	u16 procs;
	u16 pad;
	u64 totalhigh;
	u64 freehigh;
	u32 mem_unit;
};

#endif
