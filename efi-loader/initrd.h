/* SPDX-License-Identifier: MIT */
#ifndef LOADER_INITRD_H
#define LOADER_INITRD_H

#include "text.h"

/*
 * Look at one initrd file. Returns 0 when the kernel has a chance with it, or -1 with the reason: it is
 * empty, not a newc archive, or its first archive is cut short or damaged in its headers. What follows
 * the end of the first archive is the kernel's business, as is everything that a compressed file holds
 * (the kernel says which compression it does not know).
 */
int initrd_check(const void *data, uint64_t size, struct load_error *error);

#endif /* LOADER_INITRD_H */
