/* SPDX-License-Identifier: MIT */
#ifndef LOADER_CRC_H
#define LOADER_CRC_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32 of IEEE 802.3, as in zip, PNG and UEFI's table headers (reflected, polynomial edb88320h).
 * Start with 0; feed the result of one piece into the next.
 */
uint32_t crc32_update(uint32_t crc, const void *data, size_t length);

#endif /* LOADER_CRC_H */
