/* SPDX-License-Identifier: MIT */
#ifndef LIB_HASH_H
#define LIB_HASH_H

/*
 * Hashes for tables. Names that user space chooses are hashed with SipHash-1-3
 * under a key drawn at boot, so that nobody can build collisions. Integers that
 * the kernel chose itself take one multiplication.
 */
#include <lib/compiler.h>

/* Called once, before the first keyed hash. */
void hash_set_key(u64 k0, u64 k1);

u64 siphash13(u64 k0, u64 k1, const void *data, size_t n);

/* Under the boot key. salt: what else belongs to the key, the parent's address say. */
u64 hash_bytes(const void *data, size_t n, u64 salt);
/*
 * Hashes one component of a path: up to the next '/' or NUL, or max bytes.
 * Stores its length. Equal to hash_bytes(s, *len, salt).
 */
u64 hash_component(const char *s, size_t max, u64 salt, size_t *len);
u64 hash_u64_keyed(u64 v, u64 salt);

/* For bits from the top: hash_u64(v) >> (64 - bits). Not for hostile input. */
static inline u64 hash_u64(u64 v)
{
	return v * 0x9e3779b97f4a7c15ULL;
}

static inline u32 hash_bits(u64 v, unsigned int bits)
{
	return (u32)(hash_u64(v) >> (64 - bits));
}

static inline u32 hash_ptr(const void *p, unsigned int bits)
{
	return hash_bits((u64)(uintptr_t)p, bits);
}

#endif
