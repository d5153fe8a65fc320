/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_RECORD_H
#define KERNEL_CORE_RECORD_H

/*
 * The flight recorder: what each CPU did last.
 *
 * Every CPU has a ring of fixed entries: when, which thread, what, two words. A site costs one load and one branch
 * that is predicted not taken while its kind is off, and some twenty instructions when it is on; nothing is
 * formatted before somebody reads. Any context: interrupts, NMI, any lock held.
 *
 * What is recorded is a mask of kinds. `record=switch,irq` on the command line (or `all`, `off`) sets it at boot, a
 * write to /proc/halcyon/recorder later. The debug kernel starts with everything but system calls, because those need
 * the slow path of every call; the release kernel starts with nothing. A panic freezes the rings and prints their end.
 */
#include <lib/atomic.h>
#include <lib/compiler.h>

struct command_io;

enum record_kind {
	RECORD_SWITCH,	/* a = next thread's id | how the last one left << 32, b = the first 8 bytes of its name */
	RECORD_IRQ,	/* a = vector, b = interrupted instruction */
	RECORD_FAULT,	/* a = address, b = instruction, extra = HAL_FAULT_* */
	RECORD_TRAP,	/* a = enum hal_trap, b = instruction */
	RECORD_SYSCALL,	/* a = number, b = first argument */
	RECORD_RESULT,	/* a = number, b = result */
	RECORD_KINDS,
};
#define RECORD_MASK_CALLS	(BIT(RECORD_SYSCALL) | BIT(RECORD_RESULT))
#define RECORD_MASK_ALL		(BIT(RECORD_KINDS) - 1)

#define RECORD_LINE_MAX 160u

/* [a] bit per kind */
extern u32 record_mask;

/* The out-of-line halves: only when the kind is on. extra: six bits. */
void record_write(enum record_kind kind, u32 extra, u64 a, u64 b) __cold;
void record_write_switch(u32 prev_state, u32 next_id, const char *next_name) __cold;

static __always_inline bool record_wants(enum record_kind kind)
{
	return unlikely(READ_ONCE(record_mask) & BIT(kind));
}

/* Notes an event. Any context. */
static __always_inline void record_extra(enum record_kind kind, u32 extra, u64 a, u64 b)
{
	if (record_wants(kind))
		record_write(kind, extra, a, b);
}

static __always_inline void record(enum record_kind kind, u64 a, u64 b)
{
	record_extra(kind, 0, a, b);
}

/* The scheduler's: also tells the ring who runs from now on. id 0: a kernel thread. */
static __always_inline void record_switch(u32 prev_state, u32 next_id, const char *next_name)
{
	if (unlikely(READ_ONCE(record_mask)))
		record_write_switch(prev_state, next_id, next_name);
}

/* Boot, after the log and the command line: record=. */
void record_setup(void);
/*
 * "all", "off", or names of kinds with commas. Thread context (memory for the other CPUs' rings). -EINVAL: what
 * is this; -ENOMEM.
 */
int __must_check record_set(const char *kinds);
/* The mask as such a text, terminated. */
void record_get(char *buf, size_t n);
/* [I] Set by the layer that knows system calls: the mask has changed. Thread context. */
extern void (*record_changed_hook)(u32 mask);
/* [I] Set by the same: the name of a call, NULL when there is none. Any context. */
extern const char *(*record_call_name_hook)(u64 nr);
/* Empties the rings. Racy against what is being written, which at worst stays. */
void record_clear(void);
/* No more entries: what is there is what led here. Panic. */
void record_freeze(void);

/*
 * The last n entries of all CPUs, oldest first, a line each, with line feed; stops when emit says false. One reader at a
 * time: the caller sees to it (a panic does not: other CPUs stand). Any context. Entries that are
 * overwritten meanwhile are left out.
 */
void record_tail(u32 n, bool (*emit)(void *arg, const char *line, size_t len), void *arg);

struct cpuhp_step;
/* Its part in CPUs that come and go. */
extern const struct cpuhp_step record_cpuhp;

#endif
