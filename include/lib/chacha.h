/* SPDX-License-Identifier: MIT */
#ifndef LIB_CHACHA_H
#define LIB_CHACHA_H

#include <lib/types.h>

#define CHACHA_KEY_BYTES   32
#define CHACHA_BLOCK_BYTES 64

/*
 * One block of ChaCha20 (RFC 8439 §2.3). state: 4 constant words, 8 of key, a
 * 64-bit block counter in words 12 and 13, 64 bits of nonce in 14 and 15.
 */
void chacha20_init(u32 state[16], const u8 key[CHACHA_KEY_BYTES], u64 nonce);
/* Writes a block and steps the counter. */
void chacha20_block(u32 state[16], u8 out[CHACHA_BLOCK_BYTES]);

#endif
