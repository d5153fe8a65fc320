/* SPDX-License-Identifier: MIT */
/* The allocator of vectors against a model that is a plain array. */
#include <hal/vectors.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "framework.h"

#define CPUS	3u
#define FIRST	48u
#define LAST	55u

static struct vectors v;
static struct vectors_cpu parts[CPUS];
static bool model[CPUS][VECTORS_PER_CPU];
static u64 mask[VECTORS_MAX_CPUS / 64];

static void setup(void)
{
	memset(model, 0, sizeof(model));
	memset(mask, 0, sizeof(mask));
	vectors_init(&v, FIRST, LAST);
	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		vectors_add_cpu(&v, cpu, &parts[cpu]);
		EXPECT(vectors_open(&v, cpu, true));
	}
}

TEST(vectors_spread_and_run_out)
{
	u32 cpu, vector, n;

	setup();
	mask[0] = 7;
	for (n = 0; vectors_alloc(&v, mask, &cpu, &vector) == 0; n++) {
		EXPECT_EQ(cpu, n % CPUS);
		EXPECT_EQ(vector, FIRST + n / CPUS);
	}
	EXPECT_EQ(n, CPUS * (LAST - FIRST + 1));
	EXPECT_EQ(vectors_alloc(&v, mask, &cpu, &vector), -ENOSPC);
	mask[0] = 8;
	EXPECT_EQ(vectors_alloc(&v, mask, &cpu, &vector), -EINVAL);
	EXPECT(!vectors_open(&v, CPUS, true));
	EXPECT(!vectors_any_open(&v, mask));
}

TEST(vectors_freed_last_to_return)
{
	u32 cpu, vector, first;

	setup();
	mask[0] = 1;
	EXPECT_EQ(vectors_alloc(&v, mask, &cpu, &first), 0);
	vectors_free(&v, cpu, first);
	vectors_free(&v, cpu, first);	/* twice is once */
	for (u32 n = 0; n < LAST - FIRST; n++) {
		EXPECT_EQ(vectors_alloc(&v, mask, &cpu, &vector), 0);
		EXPECT(vector != first);
	}
	EXPECT_EQ(vectors_alloc(&v, mask, &cpu, &vector), 0);
	EXPECT_EQ(vector, first);
	EXPECT_EQ(vectors_count_used(&v, 0), LAST - FIRST + 1);
}

static void check_model(void)
{
	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		u32 used = 0;

		for (u32 n = 0; n < VECTORS_PER_CPU; n++) {
			EXPECT_EQ(bitmap_test(parts[cpu].used, n), model[cpu][n]);
			used += model[cpu][n];
		}
		EXPECT_EQ(vectors_count_used(&v, cpu), used);
	}
}

/* A random life: allocations, moves and frees; every pair has one owner at any time. */
TEST(vectors_random)
{
	struct { u32 cpu, vector; } have[CPUS * VECTORS_PER_CPU];
	u32 n = 0;

	setup();
	for (u32 round = 0; round < test_rounds(20000) && !test_failed(); round++) {
		u32 cpu = 0, vector = 0, i = n ? (u32)random_below(n) : 0;
		bool both = false;
		int err;

		mask[0] = 1 + random_below(7);
		switch (random_below(4)) {
		case 0:
		case 1:
			if (vectors_alloc(&v, mask, &cpu, &vector))
				break;
			EXPECT(mask[0] >> cpu & 1 && vector >= FIRST && vector <= LAST && !model[cpu][vector]);
			model[cpu][vector] = true;
			have[n].cpu = cpu;
			have[n++].vector = vector;
			break;
		case 2:
			if (!n)
				break;
			err = vectors_alloc_move(&v, mask, have[i].cpu, have[i].vector, &cpu, &vector, &both);
			if (err)
				break;
			EXPECT(cpu != have[i].cpu && mask[0] >> cpu & 1 && !model[cpu][vector]);
			EXPECT_EQ(both, vector != have[i].vector);
			EXPECT(!both || !model[have[i].cpu][vector]);
			EXPECT(!both || model[cpu][have[i].vector]);	/* the same number if it is free */
			model[cpu][vector] = true;
			if (both)
				vectors_free(&v, have[i].cpu, vector);
			vectors_free(&v, have[i].cpu, have[i].vector);
			model[have[i].cpu][have[i].vector] = false;
			have[i].cpu = cpu;
			have[i].vector = vector;
			break;
		default:
			if (!n)
				break;
			vectors_free(&v, have[i].cpu, have[i].vector);
			model[have[i].cpu][have[i].vector] = false;
			have[i] = have[--n];
		}
		check_model();
	}
}
