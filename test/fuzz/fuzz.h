/* SPDX-License-Identifier: MIT */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

/* What the parts of the fuzzer share: the grammar, the random numbers, the arguments. See fuzz.c. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arg_spec {
	int kind;	/* enum kind */
	int show;	/* enum show */
	int size;	/* bytes; 0: see size_arg */
	int size_arg;	/* index of the argument that holds the size, or -1 */
	int null;	/* NULL is allowed */
};

struct call {
	int nr;
	int there;
	int nargs;
	const char *name;
	struct arg_spec args[6];
};

/* ---- random numbers (fuzz.c): the same seed gives the same calls ---------------------------------- */

uint64_t rnd(void);
/* 0 … n-1 */
static inline unsigned rnd_below(unsigned n)
{
	return (unsigned)(rnd() >> 16) % n;
}
static inline bool one_in(unsigned n)
{
	return rnd_below(n) == 0;
}

/* ---- arguments (args.c) --------------------------------------------------------------------------- */

#define POOL_BASE	0x20000000ul	/* memory that calls may do anything to */
#define POOL_BYTES	(8ul << 20)
#define ARENA_BASE	0x30000000ul	/* where arguments are built; nothing unmaps it on purpose */
#define ARENA_BYTES	(1ul << 20)

struct call;
/* Maps both, once per process image. False: no memory. */
bool args_init(void);
/* Remembers a process or thread number that a call returned. */
void args_remember_pid(long pid);
/* Fills in six arguments for the call. */
void args_make(const struct call *c, uint64_t values[6]);
/* A number out of those that often break things. */
uint64_t interesting(void);

#endif
