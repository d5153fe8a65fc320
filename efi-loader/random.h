/* SPDX-License-Identifier: MIT */
/*
 * Randomness of the loader: a sponge that takes whatever entropy there is and gives the kernel's seed
 * and the two random places.
 */
#ifndef LOADER_RANDOM_H
#define LOADER_RANDOM_H

#include "text.h"

/* A duplex sponge over the ChaCha permutation: 32 bytes in or out per turn, 32 bytes never shown. */
struct sponge {
	uint32_t state[16];
};

void sponge_init(struct sponge *sponge);
void sponge_absorb(struct sponge *sponge, const void *data, size_t bytes);
/* Any number of bytes; what was squeezed cannot be turned back, and does not tell what comes next. */
void sponge_squeeze(struct sponge *sponge, void *data, size_t bytes);

/* Where things go. */
struct kaslr {
	uint64_t slide;			/* of the image, multiple of 2 MiB */
	uint64_t direct_map_virt;	/* multiple of 1 GiB */
};

/*
 * Choose places for an image of `image_bytes` and a direct map of `direct_bytes` (a multiple of 1 GiB),
 * evenly among all that fit; with `fixed` the first ones. Returns 0, or -1 when one does not fit.
 */
int kaslr_choose(struct sponge *sponge, uint64_t image_bytes, uint64_t direct_bytes, bool fixed, struct kaslr *kaslr);

#endif /* LOADER_RANDOM_H */
