/* SPDX-License-Identifier: MIT */
/*
 * SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", with
 * one compression and three finalization rounds, as hash tables use it).
 */
#include <lib/fls.h>
#include <lib/hash.h>

static u64 boot_key[2];

struct sip {
	u64 v0, v1, v2, v3;
};

static __always_inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rol64(s->v1, 13) ^ s->v0;
	s->v0 = rol64(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rol64(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rol64(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rol64(s->v1, 17) ^ s->v2;
	s->v2 = rol64(s->v2, 32);
}

static __always_inline void sip_begin(struct sip *s, u64 k0, u64 k1)
{
	s->v0 = k0 ^ 0x736f6d6570736575ULL;
	s->v1 = k1 ^ 0x646f72616e646f6dULL;
	s->v2 = k0 ^ 0x6c7967656e657261ULL;
	s->v3 = k1 ^ 0x7465646279746573ULL;
}

static __always_inline void sip_word(struct sip *s, u64 m)
{
	s->v3 ^= m;
	sip_round(s);
	s->v0 ^= m;
}

static __always_inline u64 sip_end(struct sip *s, u64 last, size_t n)
{
	sip_word(s, last | (u64)n << 56);
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

u64 siphash13(u64 k0, u64 k1, const void *data, size_t n)
{
	const u8 *p = data;
	struct sip s;
	u64 last = 0;
	size_t i;

	sip_begin(&s, k0, k1);
	for (i = 0; i + 8 <= n; i += 8)
		sip_word(&s, get_le64(p + i));
	for (; i < n; i++)
		last |= (u64)p[i] << (8 * (i % 8));
	return sip_end(&s, last, n);
}

void hash_set_key(u64 k0, u64 k1)
{
	boot_key[0] = k0;
	boot_key[1] = k1;
}

u64 hash_bytes(const void *data, size_t n, u64 salt)
{
	return siphash13(boot_key[0] ^ salt, boot_key[1], data, n);
}

u64 hash_component(const char *s, size_t max, u64 salt, size_t *len)
{
	struct sip sip;
	u64 last = 0;
	size_t n;

	sip_begin(&sip, boot_key[0] ^ salt, boot_key[1]);
	for (n = 0; n < max && s[n] && s[n] != '/'; n++) {
		last |= (u64)(u8)s[n] << (8 * (n % 8));
		if (n % 8 == 7) {
			sip_word(&sip, last);
			last = 0;
		}
	}
	*len = n;
	return sip_end(&sip, last, n);
}

u64 hash_u64_keyed(u64 v, u64 salt)
{
	struct sip s;

	sip_begin(&s, boot_key[0] ^ salt, boot_key[1]);
	sip_word(&s, v);
	return sip_end(&s, 0, 8);
}
