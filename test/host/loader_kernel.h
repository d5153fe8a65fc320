/* SPDX-License-Identifier: MIT */
#ifndef TEST_HOST_LOADER_KERNEL_H
#define TEST_HOST_LOADER_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* A small kernel file that the loader accepts: text, rodata with note and relocations, data. */
#define KERNEL_FILE_BYTES	1024u

/* Places in it that tests change. */
#define KERNEL_PHDR(i)		(64u + 56u * (i))
#define KERNEL_PH_TEXT		0u
#define KERNEL_PH_RODATA	1u
#define KERNEL_PH_DATA		2u
#define KERNEL_PH_DYNAMIC	3u
#define KERNEL_PH_NOTE		4u
#define KERNEL_TEXT		512u
#define KERNEL_NOTE		576u
#define KERNEL_DYNAMIC		640u
#define KERNEL_RELA		768u
#define KERNEL_RELAS		2u
#define KERNEL_DATA		896u

/* Build it into `file` of KERNEL_FILE_BYTES, sealed. */
void kernel_build(uint8_t *file);
/* Compute the checksum of a (perhaps mutated) file and put it into its note, when it has one. */
void kernel_seal(uint8_t *file, size_t bytes);

void put16(uint8_t *file, size_t at, uint16_t value);
void put32(uint8_t *file, size_t at, uint32_t value);
void put64(uint8_t *file, size_t at, uint64_t value);
uint64_t get64(const uint8_t *file, size_t at);

#endif
