/* SPDX-License-Identifier: MIT */
/*
 * Names are hashed with SipHash-1-3 under a key drawn at boot, so that nobody can
 * choose names that collide. The hash of a component is made in the same pass that
 * finds its end: eight bytes at a time, the classical zero-byte test for NUL and '/'.
 *
 * The result is 32 bits; the parent is mixed in by the dentry cache, not here: a
 * name that moves keeps its hash.
 */
#include "internal.h"

#include <kernel/core/random.h>
#include <lib/fls.h>

/* The state that every hash starts from: the key mixed with the constants of SipHash. [I] */
static u64 start[4];

#define ONES  0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL

/* High bit set in (at least) the lowest byte of x that is zero. */
#define ZERO_BYTES(x) (((x) - ONES) & ~(x) & HIGHS)

#define SIP_ROUND(v0, v1, v2, v3) do {						\
	(v0) += (v1); (v1) = rol64(v1, 13) ^ (v0); (v0) = rol64(v0, 32);	\
	(v2) += (v3); (v3) = rol64(v3, 16) ^ (v2);				\
	(v0) += (v3); (v3) = rol64(v3, 21) ^ (v0);				\
	(v2) += (v1); (v1) = rol64(v1, 17) ^ (v2); (v2) = rol64(v2, 32);	\
} while (0)

struct sip_state {
	u64 v0, v1, v2, v3;
};

static __always_inline void sip_start(struct sip_state *s)
{
	*s = (struct sip_state){ start[0], start[1], start[2], start[3] };
}

static __always_inline void sip_add(struct sip_state *s, u64 word)
{
	s->v3 ^= word;
	SIP_ROUND(s->v0, s->v1, s->v2, s->v3);
	s->v0 ^= word;
}

static __always_inline u32 sip_finish(struct sip_state *s, u64 tail, u32 len)
{
	u64 h;

	sip_add(s, tail | (u64)len << 56);
	s->v2 ^= 0xff;
	SIP_ROUND(s->v0, s->v1, s->v2, s->v3);
	SIP_ROUND(s->v0, s->v1, s->v2, s->v3);
	SIP_ROUND(s->v0, s->v1, s->v2, s->v3);
	h = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
	return (u32)(h ^ h >> 32);
}

void name_hash_init(void)
{
	u64 key0 = random_u64(), key1 = random_u64();

	start[0] = key0 ^ 0x736f6d6570736575ULL;
	start[1] = key1 ^ 0x646f72616e646f6dULL;
	start[2] = key0 ^ 0x6c7967656e657261ULL;
	start[3] = key1 ^ 0x7465646279746573ULL;
}

u32 name_hash_component(const char *s, u32 *len)
{
	struct sip_state sip;
	u32 n = 0;

	sip_start(&sip);
	for (;;) {
		u64 word = get_le64(s + n);
		u64 end = ZERO_BYTES(word) | ZERO_BYTES(word ^ ('/' * ONES));

		if (likely(end)) {
			n += ctz64(end) / 8;
			*len = n;
			/* Bytes beyond the end are not part of the name: keep what is below the lowest bit. */
			return sip_finish(&sip, word & ((end - 1) & ~end) >> 7, n);
		}
		sip_add(&sip, word);
		n += 8;
	}
}

u32 name_hash_bytes(const char *s, u32 len)
{
	struct sip_state sip;
	u64 tail = 0;
	u32 n;

	sip_start(&sip);
	for (n = 0; n + 8 <= len; n += 8)
		sip_add(&sip, get_le64(s + n));
	for (u32 i = n; i < len; i++)
		tail |= (u64)(u8)s[i] << (8 * (i - n));
	return sip_finish(&sip, tail, len);
}
