/* SPDX-License-Identifier: MIT */
#include <lib/chacha.h>
#include <lib/fls.h>

static __always_inline void quarter(u32 *x, int a, int b, int c, int d)
{
	x[a] += x[b];
	x[d] = rol32(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rol32(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rol32(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rol32(x[b] ^ x[c], 7);
}

void chacha20_init(u32 state[16], const u8 key[CHACHA_KEY_BYTES], u64 nonce)
{
	/* "expand 32-byte k" */
	state[0] = 0x61707865;
	state[1] = 0x3320646e;
	state[2] = 0x79622d32;
	state[3] = 0x6b206574;
	for (int i = 0; i < 8; i++)
		state[4 + i] = get_le32(key + 4 * i);
	state[12] = state[13] = 0;
	state[14] = (u32)nonce;
	state[15] = (u32)(nonce >> 32);
}

void chacha20_block(u32 state[16], u8 out[CHACHA_BLOCK_BYTES])
{
	u32 x[16];

	for (int i = 0; i < 16; i++)
		x[i] = state[i];
	for (int round = 0; round < 10; round++) {
		quarter(x, 0, 4, 8, 12);
		quarter(x, 1, 5, 9, 13);
		quarter(x, 2, 6, 10, 14);
		quarter(x, 3, 7, 11, 15);
		quarter(x, 0, 5, 10, 15);
		quarter(x, 1, 6, 11, 12);
		quarter(x, 2, 7, 8, 13);
		quarter(x, 3, 4, 9, 14);
	}
	for (int i = 0; i < 16; i++)
		put_le32(out + 4 * i, x[i] + state[i]);
	if (++state[12] == 0)
		state[13]++;
}
