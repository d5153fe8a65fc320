/* SPDX-License-Identifier: MIT */
#ifndef LIB_CRC32_H
#define LIB_CRC32_H

#include <lib/types.h>

/* The CRC of zlib, GPT and UEFI (reflected 0x04c11db7). Start with crc 0. */
u32 crc32(u32 crc, const void *data, size_t n);
/* An 8-bit sum, as ACPI and SMBIOS use it: a good table adds up to 0. */
u8 checksum8(const void *data, size_t n);

#endif
