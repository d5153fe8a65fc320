/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing without outside tools: every file of the corpus is run as it is, then
 * a fixed number of mutants of them, made by a generator with a fixed seed. The
 * input lives in memory of exactly its size, so that the sanitizer sees every
 * step past its end. When a run dies, the input is saved and named; put it into
 * the corpus folder and it is replayed for ever.
 *
 *	PROGRAM [FILE ...]	runs these files only
 */
#include <dirent.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>

#include "framework.h"

#define INPUT_BYTES_MAX (64u << 10)
#define MAX_FILES 256

struct input {
	u8 *data;
	size_t n;
};

static struct input corpus[MAX_FILES];
static unsigned int corpus_files;
static u8 current[INPUT_BYTES_MAX];
static size_t current_len;

/* Into the build folder when the runner started us. */
static void save_current(void)
{
	const char *folder = getenv("BUILD");
	char name[512];
	FILE *f;

	sprintf(name, "%.400s/crash-%s.bin", folder ? folder : ".", fuzz_corpus);
	f = fopen(name, "wb");
	if (f && fwrite(current, 1, current_len, f) == current_len)
		printf("# the input is in %s\n", name);
	if (f)
		fclose(f);
}

static void run(const u8 *data, size_t n)
{
	u8 *copy = host_alloc(n ? n : 1);

	current_len = n;
	host_memmove(current, data, n);
	host_memmove(copy, data, n);
	fuzz_one(copy, n);
	host_free(copy);
}

static bool load(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct input *in = &corpus[corpus_files];

	if (!f || corpus_files == MAX_FILES)
		return false;
	in->data = host_alloc(INPUT_BYTES_MAX);
	in->n = fread(in->data, 1, INPUT_BYTES_MAX, f);
	fclose(f);
	corpus_files++;
	return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return host_strcmp((*a)->d_name, (*b)->d_name);
}

static void load_corpus(void)
{
	char folder[256], path[600];
	struct dirent **names;
	int n;

	sprintf(folder, "test/host/corpus/%s", fuzz_corpus);
	n = scandir(folder, &names, NULL, by_name);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			sprintf(path, "%s/%.255s", folder, names[i]->d_name);
			load(path);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static const u64 interesting[] = {
	0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
	0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 4096, 0xfffffffffffff000,
};

/* One change of one of the usual kinds. */
static size_t mutate_once(u8 *p, size_t n)
{
	size_t at = n ? random_below(n) : 0, width = 1ULL << random_below(4), count;
	u64 v;

	switch (random_below(8)) {
	case 0:
		if (n)
			p[at] ^= (u8)(1 << random_below(8));
		return n;
	case 1:
		if (n)
			p[at] = (u8)random_u64();
		return n;
	case 2:
	case 3:
		v = interesting[random_below(ARRAY_SIZE(interesting))];
		if (n >= width)
			host_memmove(p + random_below(n - width + 1), &v, width);
		return n;
	case 4:
		return n ? random_below(n + 1) : 0;
	case 5:
		count = random_below(64);
		if (n + count > INPUT_BYTES_MAX)
			return n;
		host_memmove(p + at + count, p + at, n - at);
		random_fill(p + at, count);
		return n + count;
	case 6:
		count = random_below(n - at + 1);
		host_memmove(p + at, p + at + count, n - at - count);
		return n - count;
	default: {
		const struct input *other = &corpus[random_below(corpus_files)];

		count = other->n ? random_below(MIN(other->n, (size_t)256)) : 0;
		if (at + count > n)
			return n;
		host_memmove(p + at, other->data + random_below(other->n - count + 1), count);
		return n;
	}
	}
}

static void run_mutants(unsigned int rounds)
{
	u8 *p = host_alloc(INPUT_BYTES_MAX);

	for (unsigned int i = 0; i < rounds; i++) {
		const struct input *in = &corpus[random_below(corpus_files)];
		size_t n = in->n;

		host_memmove(p, in->data, n);
		for (u64 k = random_below(6) + 1; k; k--)
			n = mutate_once(p, n);
		if (fuzz_repair && random_below(4))
			fuzz_repair(p, n);
		run(p, n);
	}
	host_free(p);
}

TEST(corpus)
{
	__sanitizer_set_death_callback(save_current);
	load_corpus();
	if (!corpus_files)
		test_fail(__FILE__, __LINE__, "no corpus in test/host/corpus/%s", fuzz_corpus);
	for (unsigned int i = 0; i < corpus_files; i++)
		run(corpus[i].data, corpus[i].n);
}

TEST(mutants)
{
	if (corpus_files)
		run_mutants(test_rounds(fuzz_rounds));
	for (unsigned int i = 0; i < corpus_files; i++)
		host_free(corpus[i].data);
	corpus_files = 0;
}
