/* SPDX-License-Identifier: MIT */
#ifndef LIB_BLAKE2S_H
#define LIB_BLAKE2S_H

#include <lib/types.h>

/* BLAKE2s (RFC 7693), without a key: mixes entropy, hashes modules. */

#define BLAKE2S_HASH_BYTES  32
#define BLAKE2S_BLOCK_BYTES 64

struct blake2s {
	u32 h[8];
	u64 total;			/* bytes so far */
	u8 buf[BLAKE2S_BLOCK_BYTES];
	u32 used;			/* bytes in buf */
	u32 outlen;
};

/* outlen: 1 to 32 bytes. */
void blake2s_init(struct blake2s *b, u32 outlen);
void blake2s_update(struct blake2s *b, const void *data, size_t n);
/* Writes outlen bytes and wipes the state. */
void blake2s_final(struct blake2s *b, u8 *out);

#endif
