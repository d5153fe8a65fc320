/* SPDX-License-Identifier: MIT */
/* BLAKE2s, RFC 7693. */
#include <lib/blake2s.h>
#include <lib/fls.h>
#include <lib/string.h>

static const u32 iv[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static const u8 sigma[10][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
};

static __always_inline void mix(u32 *v, int a, int b, int c, int d, u32 x, u32 y)
{
	v[a] += v[b] + x;
	v[d] = ror32(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = ror32(v[b] ^ v[c], 12);
	v[a] += v[b] + y;
	v[d] = ror32(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = ror32(v[b] ^ v[c], 7);
}

static void compress(struct blake2s *b, const u8 *block, bool last)
{
	u32 v[16], m[16];

	for (int i = 0; i < 16; i++)
		m[i] = get_le32(block + 4 * i);
	for (int i = 0; i < 8; i++) {
		v[i] = b->h[i];
		v[i + 8] = iv[i];
	}
	v[12] ^= (u32)b->total;
	v[13] ^= (u32)(b->total >> 32);
	if (last)
		v[14] = ~v[14];
	for (int r = 0; r < 10; r++) {
		const u8 *s = sigma[r];

		mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
		mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
		mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
		mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
		mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
		mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
		mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
		mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
	}
	for (int i = 0; i < 8; i++)
		b->h[i] ^= v[i] ^ v[i + 8];
}

void blake2s_init(struct blake2s *b, u32 outlen)
{
	memset(b, 0, sizeof(*b));
	for (int i = 0; i < 8; i++)
		b->h[i] = iv[i];
	b->outlen = CLAMP(outlen, 1U, (u32)BLAKE2S_HASH_BYTES);
	b->h[0] ^= 0x01010000 ^ b->outlen;
}

void blake2s_update(struct blake2s *b, const void *data, size_t n)
{
	const u8 *p = data;

	while (n) {
		u32 take;

		/* A full block waits here: the last one is compressed differently. */
		if (b->used == BLAKE2S_BLOCK_BYTES) {
			b->total += BLAKE2S_BLOCK_BYTES;
			compress(b, b->buf, false);
			b->used = 0;
		}
		take = (u32)MIN(n, (size_t)(BLAKE2S_BLOCK_BYTES - b->used));
		memcpy(b->buf + b->used, p, take);
		b->used += take;
		p += take;
		n -= take;
	}
}

void blake2s_final(struct blake2s *b, u8 *out)
{
	u8 hash[BLAKE2S_HASH_BYTES];

	b->total += b->used;
	memset(b->buf + b->used, 0, BLAKE2S_BLOCK_BYTES - b->used);
	compress(b, b->buf, true);
	for (int i = 0; i < 8; i++)
		put_le32(hash + 4 * i, b->h[i]);
	memcpy(out, hash, b->outlen);
	memzero_explicit(b, sizeof(*b));
	memzero_explicit(hash, sizeof(hash));
}
