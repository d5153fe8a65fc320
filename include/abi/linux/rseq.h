/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_RSEQ_H
#define ABI_LINUX_RSEQ_H

/* rseq(2), membarrier(2). */

#include <lib/types.h>

#define RSEQ_FLAG_UNREGISTER	1
#define RSEQ_CPU_ID_UNINITIALIZED	(-1)
#define RSEQ_CPU_ID_REGISTRATION_FAILED	(-2)

struct rseq_cs {
	u32 version;
	u32 flags;
	u64 start_ip;
	u64 post_commit_offset;
	u64 abort_ip;
} __attribute__((aligned(32)));

struct rseq {
	u32 cpu_id_start;
	u32 cpu_id;
	u64 rseq_cs;
	u32 flags;
} __attribute__((aligned(32)));

#define MEMBARRIER_CMD_QUERY	0
#define MEMBARRIER_CMD_GLOBAL	(1<<0)
#define MEMBARRIER_CMD_GLOBAL_EXPEDITED	(1<<1)
#define MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED	(1<<2)
#define MEMBARRIER_CMD_PRIVATE_EXPEDITED	(1<<3)
#define MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED	(1<<4)
#define MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE	(1<<5)
#define MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE	(1<<6)
#define MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ	(1<<7)
#define MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ	(1<<8)
#define MEMBARRIER_CMD_FLAG_CPU	(1<<0)

#endif
