/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "framework.h"

static struct test *tests, **tests_end = &tests;
static bool failed;
static u64 state;

void test_register(struct test *t)
{
	*tests_end = t;
	tests_end = &t->next;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	failed = true;
}

bool test_failed(void)
{
	return failed;
}

static u64 env_number(const char *name, u64 otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

/* SplitMix64 (Steele, Lea and Flood). */
u64 random_u64(void)
{
	u64 z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

u64 random_below(u64 n)
{
	return random_u64() % n;
}

void random_fill(void *p, size_t n)
{
	u8 *b = p;

	while (n--)
		*b++ = (u8)random_u64();
}

unsigned int test_rounds(unsigned int n)
{
	return n * (unsigned int)env_number("SCALE", 1);
}

int main(void)
{
	unsigned int n = 0, bad = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test *t = tests; t; t = t->next) {
		failed = false;
		state = env_number("SEED", 1);
		t->run();
		n++;
		bad += failed;
		printf("%s %u - %s\n", failed ? "not ok" : "ok", n, t->name);
	}
	printf("1..%u\n", n);
	return bad != 0;
}
