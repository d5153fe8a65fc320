/* SPDX-License-Identifier: MIT */
/* Published test vectors. */
#include <lib/blake2s.h>
#include <lib/chacha.h>
#include <lib/crc32.h>
#include <lib/hash.h>
#include <lib/fls.h>
#include <lib/string.h>

#include "framework.h"

static bool is_hex(const u8 *p, const char *hex)
{
	for (; *hex; hex += 2, p++)
		if (*p != (hex_digit(hex[0]) << 4 | hex_digit(hex[1])))
			return false;
	return true;
}

TEST(chacha20_rfc8439)
{
	u8 key[32], out[64];
	u32 state[16];

	for (int i = 0; i < 32; i++)
		key[i] = (u8)i;
	/* §2.3.2: counter 1, nonce 00:00:00:09 00:00:00:4a 00:00:00:00. */
	chacha20_init(state, key, 0x4a000000);
	state[12] = 1;
	state[13] = 0x09000000;
	chacha20_block(state, out);
	EXPECT(is_hex(out, "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
			   "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"));
	EXPECT_EQ(state[12], 2);
	/* Appendix A.1, vector 1: all zero. */
	memset(key, 0, sizeof(key));
	chacha20_init(state, key, 0);
	chacha20_block(state, out);
	EXPECT(is_hex(out, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"));
	state[12] = UINT32_MAX;
	chacha20_block(state, out);
	EXPECT_EQ(state[12], 0);
	EXPECT_EQ(state[13], 1);
}

TEST(blake2s_rfc7693)
{
	struct blake2s b;
	u8 out[32], again[32], data[300];

	blake2s_init(&b, 32);
	blake2s_update(&b, "abc", 3);
	blake2s_final(&b, out);
	EXPECT(is_hex(out, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"));
	blake2s_init(&b, 32);
	blake2s_final(&b, out);
	EXPECT(is_hex(out, "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9"));
	/* In pieces as at once. */
	random_fill(data, sizeof(data));
	for (size_t n = 0; n < sizeof(data); n += 13) {
		blake2s_init(&b, 32);
		blake2s_update(&b, data, n);
		blake2s_final(&b, out);
		blake2s_init(&b, 32);
		for (size_t at = 0, step; at < n; at += step) {
			step = MIN(random_below(80), n - at);
			blake2s_update(&b, data + at, step);
		}
		blake2s_final(&b, again);
		EXPECT(memcmp(out, again, 32) == 0);
	}
}

/* The sequence of RFC 7693 appendix E. */
static void selftest_sequence(u8 *out, size_t n, u32 seed)
{
	u32 a = 0xdead4bad * seed, b = 1;

	for (size_t i = 0; i < n; i++) {
		u32 t = a + b;

		a = b;
		b = t;
		out[i] = (u8)(t >> 24);
	}
}

/* A hash of hashes, of all output lengths; the expected value is Python's hashlib's. */
TEST(blake2s_lengths)
{
	static const u32 out_lengths[] = { 16, 20, 28, 32 };
	static const size_t in_lengths[] = { 0, 3, 64, 65, 255, 1024 };
	struct blake2s all, one;
	u8 in[1024], md[32];

	blake2s_init(&all, 32);
	for (size_t i = 0; i < ARRAY_SIZE(out_lengths); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(in_lengths); j++) {
			selftest_sequence(in, in_lengths[j], (u32)in_lengths[j]);
			blake2s_init(&one, out_lengths[i]);
			blake2s_update(&one, in, in_lengths[j]);
			blake2s_final(&one, md);
			blake2s_update(&all, md, out_lengths[i]);
		}
	}
	blake2s_final(&all, md);
	EXPECT(is_hex(md, "f3beed67aa7807e27881fd59dd3184a82264d10ca8528b92fc5198dd8811e660"));
}

TEST(crc32_and_checksum)
{
	u8 sum[] = { 1, 2, 0xfd };

	EXPECT_EQ(crc32(0, "123456789", 9), 0xcbf43926);
	EXPECT_EQ(crc32(crc32(0, "12345", 5), "6789", 4), 0xcbf43926);
	EXPECT_EQ(crc32(0, "", 0), 0);
	EXPECT_EQ(checksum8(sum, 3), 0);
	EXPECT_EQ(checksum8(sum, 2), 3);
}

/* SipHash as its paper words it: c and d rounds, everything 64-bit and plain. */
static u64 siphash_reference(int c, int d, u64 k0, u64 k1, const u8 *p, size_t n)
{
	u64 v[4] = { k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
		     k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL };
	size_t words = n / 8 + 1;

	for (size_t w = 0; w < words + (size_t)1; w++) {
		u64 m = 0;
		int rounds = w == words ? d : c;

		for (size_t i = 0; w < words && i < 8 && 8 * w + i < n; i++)
			m |= (u64)p[8 * w + i] << (8 * i);
		if (w == words - 1)
			m |= (u64)n << 56;
		if (w == words)
			v[2] ^= 0xff;
		v[3] ^= m;
		while (rounds--) {
			v[0] += v[1]; v[2] += v[3]; v[1] = rol64(v[1], 13); v[3] = rol64(v[3], 16);
			v[1] ^= v[0]; v[3] ^= v[2]; v[0] = rol64(v[0], 32);
			v[2] += v[1]; v[0] += v[3]; v[1] = rol64(v[1], 17); v[3] = rol64(v[3], 21);
			v[1] ^= v[2]; v[3] ^= v[0]; v[2] = rol64(v[2], 32);
		}
		v[0] ^= m;
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

TEST(siphash)
{
	u64 k0 = 0x0706050403020100ULL, k1 = 0x0f0e0d0c0b0a0908ULL;
	u8 in[64];

	for (int i = 0; i < 64; i++)
		in[i] = (u8)i;
	/* The paper's appendix A proves the reference, the reference proves ours. */
	EXPECT_EQ(siphash_reference(2, 4, k0, k1, in, 15), 0xa129ca6149be45e5ULL);
	for (size_t n = 0; n < 64; n++)
		EXPECT_EQ(siphash13(k0, k1, in, n), siphash_reference(1, 3, k0, k1, in, n));
}

TEST(component_hash)
{
	static const char path[] = "usr/share//a-rather-long-component-name.so.6";
	size_t len;

	hash_set_key(1, 2);
	EXPECT_EQ(hash_component(path, 99, 7, &len), hash_bytes("usr", 3, 7));
	EXPECT_EQ(len, 3);
	EXPECT_EQ(hash_component(path + 10, 99, 7, &len), hash_bytes("", 0, 7));
	EXPECT_EQ(len, 0);
	EXPECT_EQ(hash_component(path + 11, 99, 7, &len), hash_bytes(path + 11, strlen(path + 11), 7));
	EXPECT_EQ(hash_component(path + 11, 8, 7, &len), hash_bytes(path + 11, 8, 7));
	EXPECT_EQ(len, 8);
	EXPECT(hash_bytes("a", 1, 1) != hash_bytes("a", 1, 2));
	EXPECT(hash_u64_keyed(1, 0) != hash_u64_keyed(2, 0));
	EXPECT(hash_bits(12345, 6) < 64);
}
