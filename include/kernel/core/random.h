/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_RANDOM_H
#define KERNEL_CORE_RANDOM_H

/*
 * Random numbers for keys, seeds and addresses: ChaCha20 with fast key erasure, a state per CPU, seeded
 * from the loader's seed, the CPU's generator and what drivers mix in. Never blocks, never fails.
 */
#include <lib/compiler.h>

/* Boot, before anything asks; draws the key of lib's hash tables. seed is wiped from the caller's memory by the caller. */
void random_init(const void *seed, size_t n);
/* Any context. */
void random_bytes(void *buf, size_t n);
u64 random_u64(void);
/* Evenly distributed in [0, limit); limit 0 gives 0. */
u64 random_below(u64 limit);
/* Adds entropy (times, device identities, what user space writes). Cannot make things worse. Any context. */
void random_mix(const void *data, size_t n);
/*
 * Bytes of a source of entropy that are sure to hold `bits` bits that nobody can know (at most all). They make new keys when,
 * with those before, they are credited with 256. Any context.
 */
void random_add_entropy(const void *data, size_t n, u32 bits);
/* Bits credited that way since boot; how often there were new keys, for whatever reason. For reports and tests. */
u64 random_credited_bits(void);
u32 random_generation(void);
/* Forget and reseed all states (after suspend, on demand). Any context. */
void random_reseed(void);

#endif
