/* SPDX-License-Identifier: MIT */
/*
 * The flight recorder's rings.
 *
 * A writer reads the time and takes its place by a compare-and-exchange of its CPU's head; whoever was between, an
 * interrupt, an NMI, or another CPU after the thread moved, makes it do both anew. So within a ring time grows with the
 * position, which the merging of rings relies on. It marks the entry as unfinished, fills it, and stores the number of its
 * position last. A reader copies an entry and takes it only when the number was right before and after.
 * A thread that is moved to another CPU in the middle writes into the ring it began with: the
 * entry says when and who, only the CPU is the one where it began.
 *
 * Who: the ring remembers the thread that the scheduler put on the CPU last, so that an entry needs no pointer that
 * might be dead when it is read.
 *
 * Time is the raw cycle counter; readers convert it. Entries of several CPUs are merged by it.
 *
 * The boot CPU's ring is static; others get theirs when recording is switched on with them there. Not in the per-CPU
 * section: that one is stored in the image.
 */
#define LOG_TAG "record"
#include <hal/clock.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/command.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/record.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#define RECORD_ENTRIES 1024u /* per CPU, a power of two: 32 KiB */
#define WHO_BITS 22u /* Linux's largest pid has 22 bits */
#define EXTRA_BITS 6u

struct record_entry {
	u64 cycles;
	u64 a, b;
	u32 seq;			/* [a] low half of the position + 1; 0: unfinished */
	u32 who : WHO_BITS;
	u32 kind : 32 - WHO_BITS - EXTRA_BITS;
	u32 extra : EXTRA_BITS;
};
static_assert(sizeof(struct record_entry) == 32, "two entries a cache line");
static_assert(RECORD_KINDS <= BIT(32 - WHO_BITS - EXTRA_BITS), "kinds");

struct record_ring {
	u64 head;			/* [a] position of the next entry */
	u64 first;			/* [a] nothing before is shown: record_clear() */
	u32 who;			/* written by the scheduler of this CPU */
	u64 cursor, end;		/* the reader's */
	struct record_entry entry[RECORD_ENTRIES];
};

u32 record_mask;
void (*record_changed_hook)(u32 mask);
const char *(*record_call_name_hook)(u64 nr);

static struct record_ring boot_ring;
static DEFINE_PER_CPU(struct record_ring *, record_ring); /* [a] NULL: none yet */
static bool record_frozen;

static const struct {
	const char *word;	/* in record= */
	u32 mask;
} record_words[] = {
	{ "switch", BIT(RECORD_SWITCH) }, { "irq", BIT(RECORD_IRQ) }, { "fault", BIT(RECORD_FAULT) },
	{ "trap", BIT(RECORD_TRAP) },	  { "syscall", RECORD_MASK_CALLS },
};

/* ---- writing ----------------------------------------------------------------------------------- */

static void ring_write(struct record_ring *r, enum record_kind kind, u32 extra, u64 a, u64 b)
{
	u64 pos = READ_ONCE(r->head), cycles;
	struct record_entry *e;

	do
		cycles = hal_cycles();
	while (!__atomic_compare_exchange_n(&r->head, &pos, pos + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	e = &r->entry[pos % RECORD_ENTRIES];
	WRITE_ONCE(e->seq, 0);
	smp_wmb();
	e->cycles = cycles;
	e->a = a;
	e->b = b;
	e->who = r->who & (BIT(WHO_BITS) - 1);
	e->kind = kind & (BIT(32 - WHO_BITS - EXTRA_BITS) - 1);
	e->extra = extra & (BIT(EXTRA_BITS) - 1);
	smp_store_release(&e->seq, (u32)pos + 1);
}

void record_write(enum record_kind kind, u32 extra, u64 a, u64 b)
{
	struct record_ring *r = READ_ONCE(this_cpu(record_ring));

	if (r)
		ring_write(r, kind, extra, a, b);
}

void record_write_switch(u32 prev_state, u32 next_id, const char *next_name)
{
	struct record_ring *r = READ_ONCE(this_cpu(record_ring));
	u64 name;

	if (!r)
		return;
	memcpy(&name, next_name, sizeof(name)); /* names have 16 bytes */
	if (record_wants(RECORD_SWITCH))
		ring_write(r, RECORD_SWITCH, 0, (u64)prev_state << 32 | next_id, name);
	r->who = next_id;
}

/* ---- switching --------------------------------------------------------------------------------- */

static int parse_kinds(const char *text, u32 *mask)
{
	*mask = 0;
	if (!strcmp(text, "all") || !strcmp(text, "on") || !strcmp(text, "1"))
		*mask = RECORD_MASK_ALL;
	else if (strcmp(text, "off") && strcmp(text, "0") && strcmp(text, "none"))
		while (*text) {
			const char *comma = strchr(text, ',');
			size_t n = comma ? (size_t)(comma - text) : strlen(text);
			u32 i;

			for (i = 0; i < ARRAY_SIZE(record_words); i++)
				if (strlen(record_words[i].word) == n && !memcmp(record_words[i].word, text, n))
					break;
			if (i == ARRAY_SIZE(record_words))
				return -EINVAL;
			*mask |= record_words[i].mask;
			text += n + (comma != NULL);
		}
	return 0;
}

static int ring_create(u32 cpu)
{
	struct record_ring *r = &boot_ring;

	if (!percpu_ready(cpu) || per_cpu(record_ring, cpu))
		return 0;
	if (cpu) {
		r = percpu_alloc_hook ? percpu_alloc_hook(ALIGN_UP(sizeof(*r), 4096)) : NULL;
		if (!r)
			return -ENOMEM;
	}
	smp_store_release(&per_cpu(record_ring, cpu), r);
	return 0;
}

static int rings_create(void)
{
	int err = 0;
	u32 cpu;

	for_each_possible_cpu(cpu)
		if (!err)
			err = ring_create(cpu);
	return err;
}

/* A CPU that comes while things are recorded: without memory it records nothing, which is no reason to do without it. */
static int record_prepare(u32 cpu)
{
	if (READ_ONCE(record_mask))
		(void)ring_create(cpu);
	return 0;
}

const struct cpuhp_step record_cpuhp = { .name = "recorder", .prepare = record_prepare };

int record_set(const char *kinds)
{
	u32 mask;
	int err = parse_kinds(kinds, &mask);

	if (!err && mask)
		err = rings_create();
	if (err)
		return err;
	if (!record_frozen)
		WRITE_ONCE(record_mask, mask);
	if (record_changed_hook)
		record_changed_hook(mask);
	return 0;
}

void record_get(char *buf, size_t n)
{
	u32 mask = READ_ONCE(record_mask);
	size_t used = 0;

	for (u32 i = 0; i < ARRAY_SIZE(record_words); i++)
		if (mask & record_words[i].mask)
			used += (size_t)scnprintf(buf + used, n - used, "%s%s", used ? "," : "", record_words[i].word);
	if (!used)
		scnprintf(buf, n, "off");
}

void record_clear(void)
{
	u32 cpu;

	for_each_possible_cpu(cpu) {
		struct record_ring *r = percpu_ready(cpu) ? per_cpu(record_ring, cpu) : NULL;

		if (r)
			WRITE_ONCE(r->first, READ_ONCE(r->head));
	}
}

void record_freeze(void)
{
	record_frozen = true;
	WRITE_ONCE(record_mask, 0);
}

void record_setup(void)
{
	char text[64];

	strscpy(text, HALCYON_DEBUG ? "switch,irq,fault,trap" : "off", sizeof(text));
	(void)cmdline_find("record", text, sizeof(text));
	if (record_set(text))
		log_err("record=%s: switch, irq, fault, trap, syscall, all or off", text);
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* The entry at a position; false when it is gone, or not finished. */
static bool entry_read(const struct record_ring *r, u64 pos, struct record_entry *out)
{
	const struct record_entry *e = &r->entry[pos % RECORD_ENTRIES];

	if (smp_load_acquire(&e->seq) != (u32)pos + 1)
		return false;
	*out = *e;
	smp_rmb();
	return READ_ONCE(e->seq) == (u32)pos + 1;
}

/* The ring of a CPU with its cursor behind the newest entry, or NULL. */
static struct record_ring *ring_open(u32 cpu)
{
	struct record_ring *r = percpu_ready(cpu) ? READ_ONCE(per_cpu(record_ring, cpu)) : NULL;

	if (!r)
		return NULL;
	r->end = READ_ONCE(r->head);
	r->cursor = r->end;
	return r;
}

static u64 ring_oldest(const struct record_ring *r)
{
	u64 first = READ_ONCE(r->first);

	return r->end > RECORD_ENTRIES ? MAX(r->end - RECORD_ENTRIES, first) : first;
}

/* Moves one cursor, the one at the latest entry, a step back. False: all are at their oldest. */
static bool step_back(void)
{
	struct record_ring *latest = NULL;
	u64 cycles = 0;
	u32 cpu;

	for_each_possible_cpu(cpu) {
		struct record_ring *r = percpu_ready(cpu) ? per_cpu(record_ring, cpu) : NULL;
		u64 at;

		if (!r || r->cursor <= ring_oldest(r))
			continue;
		at = READ_ONCE(r->entry[(r->cursor - 1) % RECORD_ENTRIES].cycles);
		if (!latest || at >= cycles) {
			latest = r;
			cycles = at;
		}
	}
	if (latest)
		latest->cursor--;
	return latest != NULL;
}

/* Takes the earliest entry of all cursors. */
static bool step_forward(struct record_entry *out, u32 *out_cpu)
{
	struct record_ring *earliest = NULL;
	u64 cycles = 0;
	u32 cpu;

	for_each_possible_cpu(cpu) {
		struct record_ring *r = percpu_ready(cpu) ? per_cpu(record_ring, cpu) : NULL;
		struct record_entry e;

		if (!r)
			continue;
		while (r->cursor < r->end && !entry_read(r, r->cursor, &e))
			r->cursor++;
		if (r->cursor >= r->end || (earliest && e.cycles >= cycles))
			continue;
		earliest = r;
		cycles = e.cycles;
		*out = e;
		*out_cpu = cpu;
	}
	if (earliest)
		earliest->cursor++;
	return earliest != NULL;
}

/* ---- as text ----------------------------------------------------------------------------------- */

static u64 cycles_to_ns(u64 cycles)
{
	u64 base, mult;

	hal_clock_params(&base, &mult);
	return (u64)(((unsigned __int128)(cycles - base) * mult) >> 32);
}

static const char *leave_word(u32 state)
{
	return !state ? "preempted" : state & 1 ? "sleeps" : state & 6 ? "waits" : "leaves";
}

/* A system call's name, or the number in buf. */
static const char *call_name(u64 nr, char *buf, size_t n)
{
	const char *name = record_call_name_hook ? record_call_name_hook(nr) : NULL;

	scnprintf(buf, n, "%u", (u32)nr);
	return name ? name : buf;
}

static int format_event(const struct record_entry *e, char *buf, size_t n)
{
	char name[12] = "";

	switch ((enum record_kind)e->kind) {
	case RECORD_SWITCH:
		memcpy(name, &e->b, 8);
		for (char *c = name; *c; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
		return scnprintf(buf, n, "switch   %s, then %u %s", leave_word((u32)(e->a >> 32)), (u32)e->a, name);
	case RECORD_IRQ:
		return scnprintf(buf, n, "irq      vector %u in %s %llx", (u32)e->a, e->extra ? "user mode at" : "the kernel at",
				 (unsigned long long)e->b);
	case RECORD_FAULT:
		return scnprintf(buf, n, "fault    %s%s %llx from %llx", e->extra & HAL_FAULT_WRITE ? "write" :
				 e->extra & HAL_FAULT_EXEC ? "fetch" : "read", e->extra & HAL_FAULT_USER ? "" : " by the kernel",
				 (unsigned long long)e->a, (unsigned long long)e->b);
	case RECORD_TRAP:
		return scnprintf(buf, n, "trap     %u at %llx", (u32)e->a, (unsigned long long)e->b);
	case RECORD_SYSCALL:
		return scnprintf(buf, n, "syscall  %s(0x%llx, ...)", call_name(e->a, name, sizeof(name)),
				 (unsigned long long)e->b);
	case RECORD_RESULT:
		return scnprintf(buf, n, "result   %s = %lld", call_name(e->a, name, sizeof(name)), (long long)e->b);
	case RECORD_KINDS:
		break;
	}
	return scnprintf(buf, n, "kind %u: %llx %llx", e->kind, (unsigned long long)e->a, (unsigned long long)e->b);
}

static size_t format_entry(const struct record_entry *e, u32 cpu, char *line)
{
	u64 ns = cycles_to_ns(e->cycles);
	size_t n = (size_t)scnprintf(line, RECORD_LINE_MAX, "%5llu.%09llu cpu%-2u %6u ",
				     (unsigned long long)(ns / (u64)NSEC_PER_SEC),
				     (unsigned long long)(ns % (u64)NSEC_PER_SEC), cpu, e->who);

	n += (size_t)format_event(e, line + n, RECORD_LINE_MAX - n - 1);
	line[n++] = '\n';
	return n;
}

void record_tail(u32 n, bool (*emit)(void *arg, const char *line, size_t len), void *arg)
{
	char line[RECORD_LINE_MAX];
	struct record_entry e;
	u32 cpu, i;

	n = MIN(n, RECORD_ENTRIES * MAX_CPUS);	/* an end, even if magic SysRq moves the cursors under a reader */
	for_each_possible_cpu(cpu)
		(void)ring_open(cpu);
	for (i = 0; i < n && step_back(); i++)
		;
	while (i-- && step_forward(&e, &cpu))
		if (!emit(arg, line, format_entry(&e, cpu, line)))
			return;
}

/* ---- the command ------------------------------------------------------------------------------- */

#define RECORD_COMMAND_LINES 40u

static bool command_line(void *arg, const char *line, size_t n)
{
	return command_printf(arg, "%.*s", (int)n, line);
}

static void command_recorder(struct command_io *io, int argc, char **argv)
{
	u64 n = RECORD_COMMAND_LINES;

	if (argc > 1 && parse_u64(argv[1], 0, &n, NULL))
		return;
	record_tail((u32)MIN(n, (u64)RECORD_ENTRIES * MAX_CPUS), command_line, io);
}
DEBUG_COMMAND(recorder, "[lines]", "the flight recorder's last entries", command_recorder);
