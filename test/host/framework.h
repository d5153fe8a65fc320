/* SPDX-License-Identifier: MIT */
#ifndef TEST_HOST_FRAMEWORK_H
#define TEST_HOST_FRAMEWORK_H

/*
 * Host tests. A program is any number of files with TEST(name) { ... } and the
 * framework; it prints TAP, one line a test. An expectation that fails is printed
 * with its place and values, and the test goes on; a sanitizer's report ends the
 * program, which the runner counts as a failure.
 *
 * Nothing here depends on the time or on addresses: random_u64() starts from a
 * fixed seed in each test, so a failure repeats. SEED=n in the environment gives
 * another run, SCALE=n multiplies the number of rounds.
 */
#include <lib/compiler.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

void test_register(struct test *t);
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(__printf__, 3, 4)));
/* Has the running test failed? For loops that should stop at the first fault. */
bool test_failed(void);

#define TEST(ident)							\
	static void test_##ident(void);					\
	static struct test test_entry_##ident = { #ident, test_##ident, NULL }; \
	__attribute__((constructor)) static void test_ctor_##ident(void) \
	{								\
		test_register(&test_entry_##ident);			\
	}								\
	static void test_##ident(void)

#define EXPECT(cond)							\
	do {								\
		if (!(cond))						\
			test_fail(__FILE__, __LINE__, "%s", #cond);	\
	} while (0)

#define EXPECT_EQ(actual, expected)					\
	do {								\
		long long __got = (long long)(actual);			\
		long long __want = (long long)(expected);		\
		if (__got != __want)					\
			test_fail(__FILE__, __LINE__, "%s is %lld (%#llx), not %lld (%#llx)", \
				  #actual, __got, (unsigned long long)__got, __want, \
				  (unsigned long long)__want);		\
	} while (0)

#define EXPECT_STR(actual, expected)					\
	do {								\
		const char *__got = (actual), *__want = (expected);	\
		if (!host_str_equal(__got, __want))			\
			test_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #actual, \
				  __got ? __got : "(null)", __want);	\
	} while (0)

u64 random_u64(void);
/* Below n; n > 0. */
u64 random_below(u64 n);
void random_fill(void *p, size_t n);
/* n, times SCALE. */
unsigned int test_rounds(unsigned int n);

/* Memory of exactly n bytes with the sanitizer's red zones round it. */
void *host_alloc(size_t n);
void host_free(void *p);
bool host_str_equal(const char *a, const char *b);
/* Runs fn in a process of its own, for code that keeps state. False: an expectation failed there, or it crashed. */
bool host_in_child(void (*fn)(void));

/*
 * libc's versions, under other names (host.c). Results of comparisons and
 * pointers are reduced to what the standard promises.
 */
int host_vsnprintf(char *buf, size_t size, const char *fmt, __builtin_va_list ap);
int host_memcmp(const void *a, const void *b, size_t n);
void *host_memmove(void *d, const void *s, size_t n);
void *host_memset(void *d, int c, size_t n);
size_t host_strlen(const char *s);
int host_strcmp(const char *a, const char *b);
int host_strncmp(const char *a, const char *b, size_t n);
char *host_strstr(const char *s, const char *needle);
char *host_strrchr(const char *s, int c);
void host_sort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *));

/* Fuzzing: see fuzz.c. A program defines this and links fuzz.c instead of tests. */
void fuzz_one(const u8 *data, size_t n);
/* The folder of the corpus below test/host/corpus, and rounds of mutation. */
extern const char fuzz_corpus[];
extern const unsigned int fuzz_rounds;
/* Optional: repairs checksums and the like of a mutated input, in place. */
void fuzz_repair(u8 *data, size_t n) __attribute__((weak));

#endif
