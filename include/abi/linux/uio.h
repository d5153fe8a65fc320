/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_UIO_H
#define ABI_LINUX_UIO_H

/* readv(2), preadv2(2). */

#include <lib/types.h>

#define UIO_FASTIOV		8
#define UIO_MAXIOV		1024
#define RWF_HIPRI		0x00000001
#define RWF_DSYNC		0x00000002
#define RWF_SYNC		0x00000004
#define RWF_NOWAIT		0x00000008
#define RWF_APPEND		0x00000010
#define RWF_SUPPORTED		0x0000001f

struct iovec {
	uptr_t iov_base;
	u64 iov_len;
};

#endif
