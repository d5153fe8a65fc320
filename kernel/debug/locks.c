/* SPDX-License-Identifier: MIT */
/*
 * Locks from outside: /proc/halcyon/locks and the command `locks`.
 *
 * Both print who holds what now, and the statistics of kernel/core/lockstat.c, the classes that cost most waiting first.
 * Writing 0 or 1 to the file stops or starts the counting, "reset" begins anew. The command reads all structures by
 * command_peek(), as it runs after a panic too, and shows the classes that were contended or held long.
 *
 * Locks: task_tree_lock and the list of kernel threads, one after the other, while the file is printed. The command
 * takes none.
 */
#include <hal/clock.h>
#include <kernel/core/command.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/lockdep.h>
#include <kernel/core/lockstat.h>
#include <kernel/core/percpu.h>
#include <kernel/debug/debug.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>
#include "threads.h"

#if HALCYON_DEBUG

#define LINE_BYTES 240
#define COMMAND_CLASSES 20u	/* of the statistics */

/* Where lines go: a file's text or a command's output. */
struct sink {
	struct seq *seq;
	struct command_io *io;
};

static bool sink_line(const struct sink *to, const char *line)
{
	if (to->io)
		return command_printf(to->io, "%s\n", line);
	seq_printf(to->seq, "%s\n", line);
	return true;
}

/* ---- who holds what ---------------------------------------------------------------------------- */

/* The stack may change while it is read, or be damaged: an entry is copied whole before it is believed. */
static bool print_stack(const struct sink *to, const char *who, const struct lock_held_stack *s)
{
	struct lock_held h;
	char line[LINE_BYTES];
	u32 depth;

	if (command_peek(&depth, &s->depth, sizeof(depth)))
		return true;
	for (u32 i = 0; i < MIN(depth, (u32)LOCK_HELD_MAX); i++) {
		char name[32] = "";

		if (command_peek(&h, &s->held[i], sizeof(h)) || !h.lock)
			continue;
		if (command_peek(name, h.name, sizeof(name) - 1))
			name[0] = '?';
		snprintf(line, sizeof(line), "%s: \"%.31s\" (rank %u) at %p, taken at %pS", who, name, h.rank, h.lock,
			 (void *)h.place);
		if (!sink_line(to, line))
			return false;
	}
	return true;
}

static bool print_thread(struct thread *t, void *arg)
{
	char who[DEBUG_THREAD_NAME_BYTES], line[LINE_BYTES];
	const struct lock_class_ref *waits = NULL;
	const struct sink *to = arg;
	struct lock_class_ref c;
	char name[32] = "";

	debug_thread_name(t, who);
	if (!print_stack(to, who, &t->held))
		return false;
	if (command_peek(&waits, &t->blocked_on, sizeof(waits)) || !waits || command_peek(&c, waits, sizeof(c)))
		return true;
	if (command_peek(name, c.name, sizeof(name) - 1))
		name[0] = '?';
	snprintf(line, sizeof(line), "%s: waits for \"%.31s\" (rank %u) at %p", who, name, c.rank, (const void *)waits);
	return sink_line(to, line);
}

static void print_thread_locked(struct thread *t, void *arg)
{
	(void)print_thread(t, arg);
}

static bool print_cpus(const struct sink *to)
{
	char who[16];
	u32 cpu;

	for_each_possible_cpu(cpu) {
		const struct lock_held_stack *s = lock_dep_cpu_stack(cpu);

		snprintf(who, sizeof(who), "cpu %u", cpu);
		if (s && !print_stack(to, who, s))
			return false;
	}
	return true;
}

/* ---- statistics -------------------------------------------------------------------------------- */

static u64 cycles_to_ns(u64 cycles)
{
	u64 base, mult;

	hal_clock_params(&base, &mult);
	return (u64)(((unsigned __int128)cycles * mult) >> 32);
}

/* Which of two classes costs more: in waiting, else in being held. */
static bool costs_more(u32 class, u32 than)
{
	struct lock_stat a, b;
	const char *name;
	u32 rank;

	if (!lock_stat_read(class, &name, &rank, &a) || !lock_stat_read(than, &name, &rank, &b))
		return false;
	return a.wait != b.wait ? a.wait > b.wait : a.hold > b.hold;
}

/* Numbers of all classes, the dearest first. They may change meanwhile: the order is only for the reader. */
static u32 stat_order(u8 order[LOCK_CLASSES])
{
	struct lock_stat s;
	const char *name;
	u32 rank, n = 0;

	for (u32 class = 1; lock_stat_read(class, &name, &rank, &s); class++, n++) {
		u32 at = n;

		for (; at > 0 && costs_more(class, order[at - 1]); at--)
			order[at] = order[at - 1];
		order[at] = (u8)class;
	}
	return n;
}
_Static_assert(LOCK_CLASSES <= 256, "a class fits in a byte");

static bool print_stat(const struct sink *to, u32 class)
{
	char line[LINE_BYTES];
	struct lock_stat s;
	const char *name;
	u32 rank, n;

	if (!lock_stat_read(class, &name, &rank, &s) || !s.taken)
		return true;
	n = (u32)scnprintf(line, sizeof(line), "%-20.20s %4u %10llu %8llu %12llu %10llu %14llu %10llu %pS", name, rank,
			   (unsigned long long)s.taken, (unsigned long long)s.contended,
			   (unsigned long long)cycles_to_ns(s.wait), (unsigned long long)cycles_to_ns(s.wait_max),
			   (unsigned long long)cycles_to_ns(s.hold), (unsigned long long)cycles_to_ns(s.hold_max),
			   (void *)s.hold_place);
	if (s.contended)
		scnprintf(line + n, sizeof(line) - n, " %pS", (void *)s.wait_place);
	return sink_line(to, line);
}

static void print_stats(const struct sink *to, u32 most)
{
	u8 order[LOCK_CLASSES];
	u32 n = MIN(stat_order(order), most);
	char line[LINE_BYTES];

	snprintf(line, sizeof(line), "%-20s %4s %10s %8s %12s %10s %14s %10s %s", "class (times in ns)", "rank", "taken",
		 "waits", "wait", "wait-max", "hold", "hold-max", "longest hold, longest wait");
	if (!sink_line(to, line))
		return;
	for (u32 i = 0; i < n; i++)
		if (!print_stat(to, order[i]))
			return;
}

/* ---- the file and the command ------------------------------------------------------------------- */

static int show_locks(struct seq *seq, void *arg)
{
	struct sink to = { .seq = seq };

	(void)arg;
	seq_printf(seq, "counting: %s\n", READ_ONCE(lock_stat_on) ? "on" : "off");
	(void)print_cpus(&to);
	debug_each_thread(print_thread_locked, &to);
	print_stats(&to, LOCK_CLASSES);
	return 0;
}

static int store_locks(void *arg, const char *text, size_t len)
{
	(void)arg;
	while (len && text[len - 1] == '\n')
		len--;
	if (len == 1 && (text[0] == '0' || text[0] == '1'))
		WRITE_ONCE(lock_stat_on, text[0] == '1');
	else if (len == 5 && memcmp(text, "reset", 5) == 0)
		lock_stat_reset();
	else
		return -EINVAL;
	return 0;
}

static void command_locks(struct command_io *io, int argc, char **argv)
{
	struct sink to = { .io = io };

	(void)argc, (void)argv;
	if (!print_cpus(&to))
		return;
	debug_each_thread_unlocked(print_thread, &to);
	print_stats(&to, COMMAND_CLASSES);
}
DEBUG_COMMAND(locks, "", "held locks, who waits for them, and where time goes in them", command_locks);

void debug_locks_init(void)
{
	if (!cmdline_u64("lock_stat", 1))
		WRITE_ONCE(lock_stat_on, false);
	(void)proc_register_rw("halcyon/locks", 0600, show_locks, store_locks, NULL);
}

#else

void debug_locks_init(void)
{
}

#endif
