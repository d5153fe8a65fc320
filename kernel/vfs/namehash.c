/* SPDX-License-Identifier: MIT */
/*
 * Names are hashed eight bytes at a time, each word by one multiplication of 64 by 64 bits whose halves are
 * folded together, under two secret words drawn at boot: who does not know them cannot choose names that
 * collide, and no program ever sees a hash. (SipHash-1-3, which was here first, makes that a matter of proof
 * instead of keys, and cost half of a look-up: four rounds for a name of one word.) The hash of a component is made in the
 * same pass that finds its end, see name_hash_component() in internal.h.
 *
 * The result is 32 bits; the parent is mixed in by the dentry cache, not here: a
 * name that moves keeps its hash.
 */
#include "internal.h"

#include <kernel/core/random.h>

u64 name_hash_key[2];

void name_hash_init(void)
{
	name_hash_key[0] = random_u64();
	name_hash_key[1] = random_u64() | 1;	/* a multiplier without a factor of two loses nothing */
}

u32 name_hash_bytes(const char *s, u32 len)
{
	u64 h = name_hash_key[0], tail = 0;
	u32 n;

	for (n = 0; n + 8 <= len; n += 8)
		h = name_hash_word(h, get_le64(s + n));
	for (u32 i = n; i < len; i++)
		tail |= (u64)(u8)s[i] << (8 * (i - n));
	return name_hash_finish(h, tail, len);
}
