/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_RANDOM_H
#define ABI_LINUX_RANDOM_H

/* getrandom(2), random(4). */

#include <lib/types.h>

#define GRND_NONBLOCK		0x0001
#define GRND_RANDOM		0x0002
#define GRND_INSECURE		0x0004
#define RNDGETENTCNT		0x80045200
#define RNDADDTOENTCNT		0x40045201
#define RNDGETPOOL		0x80085202
#define RNDADDENTROPY		0x40085203
#define RNDZAPENTCNT		0x5204
#define RNDCLEARPOOL		0x5206
#define RNDRESEEDCRNG		0x5207

struct rand_pool_info {
	s32 entropy_count;	/* bits */
	s32 buf_size;		/* bytes */
	u32 buf[];
};

#endif
