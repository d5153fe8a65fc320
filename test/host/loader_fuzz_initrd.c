/* SPDX-License-Identifier: MIT */
/* Any bytes as an initrd: the look at it stays inside, whatever it says. */
#include "framework.h"

#include "initrd.h"

const char fuzz_corpus[] = "loader_initrd";
const unsigned int fuzz_rounds = 120000;

void fuzz_one(const u8 *data, size_t n)
{
	struct load_error error = { 0 };

	if (initrd_check(data, n, &error) && (!error.what || error.where > n))
		__builtin_trap();
}
