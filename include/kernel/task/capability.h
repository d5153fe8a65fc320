/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_CAPABILITY_H
#define KERNEL_TASK_CAPABILITY_H

/* Capabilities as one 64-bit set; the numbers are Linux's, capabilities(7). */
#include <abi/linux/capability.h>
#include <lib/compiler.h>

typedef u64 capset_t;

#define CAP_BIT(cap)	(1ULL << (cap))
#define CAP_FULL_SET	((1ULL << (CAP_LAST_CAP + 1)) - 1)
/* What loses its effect when fsuid leaves 0: CAP_FS_SET of capabilities(7). */
#define CAP_FS_SET	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_DAC_OVERRIDE) |	\
			 CAP_BIT(CAP_DAC_READ_SEARCH) | CAP_BIT(CAP_FOWNER) |			\
			 CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_LINUX_IMMUTABLE) | CAP_BIT(CAP_MAC_OVERRIDE))

#endif
