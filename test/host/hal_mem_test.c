/* SPDX-License-Identifier: MIT */
/*
 * The machine's own memory functions (hal/x86_64/mem.asm), which use nothing that
 * a program may not use, against libc's. Assembly is not instrumented, so what
 * lies round each buffer is compared too.
 */
#include "framework.h"

void *asm_memcpy(void *dst, const void *src, size_t n);
void *asm_memmove(void *dst, const void *src, size_t n);
void *asm_memset(void *dst, int c, size_t n);
void hal_copy_page(void *dst, const void *src);
void hal_zero_page(void *page);

#define SIZE 2048

static u8 src[SIZE], ours[SIZE], theirs[SIZE];

TEST(hal_memcpy_memset)
{
	for (size_t n = 0; n <= 700 && !test_failed(); n++) {
		for (int round = 0; round < 6; round++) {
			size_t to = random_below(300) + 8, from = random_below(300);

			random_fill(src, sizeof(src));
			random_fill(ours, sizeof(ours));
			host_memmove(theirs, ours, SIZE);
			host_memmove(theirs + to, src + from, n);
			EXPECT(asm_memcpy(ours + to, src + from, n) == ours + to);
			EXPECT(host_memcmp(ours, theirs, SIZE) == 0);
			host_memset(theirs + to, (int)n + 0x1f0, n);
			EXPECT(asm_memset(ours + to, (int)n + 0x1f0, n) == ours + to);
			EXPECT(host_memcmp(ours, theirs, SIZE) == 0);
		}
	}
}

TEST(hal_memmove_overlaps)
{
	for (unsigned int i = 0; i < test_rounds(20000) && !test_failed(); i++) {
		size_t n = random_below(i % 2 ? 40 : 900), to = random_below(600), from = to;

		if (i % 3)
			from = random_below(600);
		else
			from += random_below(20);
		random_fill(ours, sizeof(ours));
		host_memmove(theirs, ours, SIZE);
		EXPECT(asm_memmove(ours + to, ours + from, n) == ours + to);
		host_memmove(theirs + to, theirs + from, n);
		EXPECT(host_memcmp(ours, theirs, SIZE) == 0);
		EXPECT(asm_memmove(ours + from, ours + to, n) == ours + from);
		host_memmove(theirs + from, theirs + to, n);
		EXPECT(host_memcmp(ours, theirs, SIZE) == 0);
	}
}

TEST(hal_pages)
{
	static u8 pages[4][4096] __aligned(4096);

	random_fill(pages, sizeof(pages));
	hal_copy_page(pages[1], pages[3]);
	EXPECT(host_memcmp(pages[1], pages[3], 4096) == 0);
	host_memmove(pages[0], pages[2], 4096);
	hal_zero_page(pages[1]);
	for (int i = 0; i < 4096; i++)
		EXPECT(pages[1][i] == 0);
	EXPECT(host_memcmp(pages[0], pages[2], 4096) == 0);
}
