/* SPDX-License-Identifier: MIT */
/* rseq(2). */
#include <gen/syscall_protos.h>
#include <kernel/proc/rseq.h>

long sys_rseq(uptr_t addr, unsigned len, int flags, unsigned sig)
{
	return rseq_register(addr, len, (u32)flags, sig);
}
