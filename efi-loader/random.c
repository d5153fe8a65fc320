/* SPDX-License-Identifier: MIT */
/*
 * Randomness. The sources differ in quality and any of them may be bad (a firmware RNG that repeats, a
 * CPU whose RDRAND is stuck), so none replaces another: all go into one sponge, and the result is as
 * good as the best of them. The permutation is ChaCha's, twenty rounds (RFC 8439 §2.3), without its
 * final addition, so the state's hidden half is what keeps outputs apart; a squeeze ends by clearing
 * the shown half, which makes it one-way.
 */
#include "random.h"

#include <boot/bootinfo.h>

#define RATE_BYTES	32u

static uint32_t rotate(uint32_t x, unsigned by)
{
	return x << by | x >> (32 - by);
}

static void quarter(uint32_t *s, unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 7);
}

static void permute(struct sponge *sponge)
{
	uint32_t *s = sponge->state;

	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < 4; i++)
			quarter(s, i, i + 4, i + 8, i + 12);
		for (unsigned i = 0; i < 4; i++)
			quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
	}
}

void sponge_init(struct sponge *sponge)
{
	mem_zero(sponge, sizeof(*sponge));
	mem_copy(sponge->state, "Halcyon loader entropy sponge 1", 32);
	permute(sponge);
}

void sponge_absorb(struct sponge *sponge, const void *data, size_t bytes)
{
	const uint8_t *from = data;
	uint8_t *shown = (uint8_t *)sponge->state;

	do {
		size_t part = bytes < RATE_BYTES - 1 ? bytes : RATE_BYTES - 1;

		for (size_t i = 0; i < part; i++)
			shown[i] ^= from[i];
		shown[RATE_BYTES - 1] ^= (uint8_t)(part + 1);	/* pieces of other lengths differ */
		permute(sponge);
		from += part;
		bytes -= part;
	} while (bytes);
}

void sponge_squeeze(struct sponge *sponge, void *data, size_t bytes)
{
	uint8_t *to = data, *shown = (uint8_t *)sponge->state;

	while (bytes) {
		size_t part = bytes < RATE_BYTES ? bytes : RATE_BYTES;

		permute(sponge);
		mem_copy(to, shown, part);
		to += part;
		bytes -= part;
	}
	mem_zero(shown, RATE_BYTES);
	permute(sponge);
}

/* A number below `count`, by multiplication: the bias is count / 2^64. */
static uint64_t pick(struct sponge *sponge, uint64_t count)
{
	uint64_t random;

	sponge_squeeze(sponge, &random, sizeof(random));
	return (uint64_t)((unsigned __int128)random * count >> 64);
}

int kaslr_choose(struct sponge *sponge, uint64_t image_bytes, uint64_t direct_bytes, bool fixed, struct kaslr *kaslr)
{
	uint64_t window = BOOT_DIRECT_MAP_END - BOOT_DIRECT_MAP_FIRST;

	if (image_bytes > BOOT_KERNEL_AREA_BYTES || direct_bytes > window)
		return -1;
	*kaslr = (struct kaslr){ .direct_map_virt = BOOT_DIRECT_MAP_FIRST };
	if (fixed)
		return 0;
	kaslr->slide = pick(sponge, (BOOT_KERNEL_AREA_BYTES - image_bytes) / BOOT_KERNEL_SLIDE_ALIGN + 1) *
		       BOOT_KERNEL_SLIDE_ALIGN;
	kaslr->direct_map_virt += pick(sponge, (window - direct_bytes) / BOOT_DIRECT_MAP_ALIGN + 1) *
				  BOOT_DIRECT_MAP_ALIGN;
	return 0;
}
