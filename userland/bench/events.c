/*
 * events.c - what CPUs do to each other while work is done: interrupts, switches, and waits for locks.
 *
 * Interrupts between CPUs are three rows of /proc/interrupts, switches a line of /proc/stat: the same text on both kernels.
 * Contended locks are counted by Halcyon's debug kernel only (/proc/halcyon/locks, where writing "reset" begins anew);
 * Debian's Linux is built without lock statistics.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "events.h"

#define LOCKS		"/proc/halcyon/locks"
#define NAME_COLUMNS	20	/* of a class in that file */
#define SHOWN		3u	/* classes that are named */
#define LINE		1024

/* The sum of a row's columns, one a CPU. */
static uint64_t sum_columns(const char *at)
{
	uint64_t sum = 0;
	char *end;

	for (;;) {
		unsigned long long value = strtoull(at, &end, 10);

		if (end == at)
			return sum;
		sum += value;
		at = end;
	}
}

static FILE *must_open(const char *path)
{
	FILE *f = fopen(path, "r");

	REQUIRE(f != NULL);
	return f;
}

void events_read(struct events *e)
{
	static const char *const rows[EVENT_SWITCH] = { "RES:", "CAL:", "TLB:" };
	char line[LINE];
	FILE *f = must_open("/proc/interrupts");

	memset(e, 0, sizeof(*e));
	while (fgets(line, sizeof(line), f))
		for (unsigned int i = 0; i < EVENT_SWITCH; i++)
			if (!strncmp(line + strspn(line, " "), rows[i], 4))
				e->count[i] = sum_columns(line + strspn(line, " ") + 4);
	fclose(f);
	f = must_open("/proc/stat");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "ctxt ", 5))
			e->count[EVENT_SWITCH] = sum_columns(line + 5);
	fclose(f);
}

void events_print(const char *name, const struct events *before, const struct events *after, unsigned long steps)
{
	static const char *const words[EVENTS] = { "resched", "call", "tlb", "switch" };

	printf("BENCH_EVENTS %s steps=%lu", name, steps);
	for (unsigned int i = 0; i < EVENTS; i++)
		printf(" %s=%llu", words[i], (unsigned long long)(after->count[i] - before->count[i]));
	printf("\n");
	fflush(stdout);
}

int locks_reset(void)
{
	FILE *f = fopen(LOCKS, "w");

	return f && fputs("reset", f) >= 0 && fclose(f) == 0;
}

struct class {
	char name[NAME_COLUMNS + 1];
	unsigned long long waits;
};

/* Keeps the most contended ones, in order. */
static void note_class(struct class top[SHOWN], const char *line, unsigned long long waits)
{
	unsigned int at, length;

	for (at = 0; at < SHOWN && top[at].waits >= waits; at++)
		;
	if (at == SHOWN)
		return;
	memmove(&top[at + 1], &top[at], (SHOWN - 1 - at) * sizeof(*top));
	for (length = NAME_COLUMNS; length && line[length - 1] == ' '; length--)
		;
	memcpy(top[at].name, line, length);
	top[at].name[length] = 0;
	for (unsigned int i = 0; i < length; i++)
		if (top[at].name[i] == ' ')
			top[at].name[i] = '_';
	top[at].waits = waits;
}

void locks_print(const char *name, unsigned long steps)
{
	unsigned long long taken, waits, all_taken = 0, all_waits = 0;
	struct class top[SHOWN] = { { "", 0 } };
	FILE *f = must_open(LOCKS);
	int table = 0;
	char line[LINE];

	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "class ", 6)) {
			table = 1;
		} else if (table && strlen(line) > NAME_COLUMNS &&
			   sscanf(line + NAME_COLUMNS, "%*u %llu %llu", &taken, &waits) == 2) {
			all_taken += taken;
			all_waits += waits;
			if (waits)
				note_class(top, line, waits);
		}
	}
	fclose(f);
	REQUIRE(all_taken > 0);
	printf("BENCH_LOCKS %s steps=%lu taken=%llu waits=%llu", name, steps, all_taken, all_waits);
	for (unsigned int i = 0; i < SHOWN && top[i].waits; i++)
		printf(" %s=%llu", top[i].name, top[i].waits);
	printf("\n");
	fflush(stdout);
}
