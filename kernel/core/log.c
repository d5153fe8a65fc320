/* SPDX-License-Identifier: MIT */
/*
 * The ring of log records.
 *
 * A byte ring of records: header, text, padding to 8. Positions only grow; a position modulo the size is the
 * place. A record never wraps: where it would, a filler takes the rest. A new record pushes old ones out.
 *
 * The ring has a lock of its own kind. It must work where spinlocks do not: in an NMI that hit the holder, in a panic
 * on top of it, and inside of the lock checker. So it is a word with the owner's CPU, taken with interrupts off;
 * who finds that its own CPU has it (an NMI) gives up and counts the record as lost; after log_enter_panic() nobody
 * waits for it. Sections are short and copy bytes only.
 *
 * Text is formatted before the lock is taken, on the caller's stack.
 */
#define LOG_TAG "log"
#include <hal/clock.h>
#include <hal/upcall.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/command.h>
#include <kernel/core/log.h>
#include <kernel/core/preempt.h>
#include <kernel/core/selftest.h>
#include <lib/atomic.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "console.h"

#define RING_BYTES (128u * 1024u)

/* In the ring. Alignment 8. */
struct ring_record {
	u64 seq;
	u64 ns;
	u32 cpu;
	u16 len;		/* of text */
	u8 level;		/* RECORD_FILLER: skip `size` bytes */
	u8 facility;		/* any: a program's may be 255 */
	u32 size;		/* of the whole record */
	u32 reserved;
};
#define RECORD_FILLER 0xff /* no level of a record: those are 0 to 7 */

/* Key: [l] the word `lock`. */
static struct {
	u32 lock;		/* 0 free, else CPU + 1 */
	u64 head;		/* [l] position of the oldest record */
	u64 tail;		/* [l] position behind the newest */
	u64 first_seq;		/* [l] */
	u64 next_seq;		/* [l] read racily */
	u64 clear_seq;		/* [l] */
	u32 lost;		/* [a] records that could not be taken */
	u32 wake_pending;	/* [a] */
	bool panic;		/* [a] nobody waits any more */
} ring;
static u8 ring_data[RING_BYTES] __aligned(8);

void (*log_wake_hook)(void);
int log_console_level = LOG_DEBUG;

static bool ring_lock(irqflags_t *f)
{
	u32 me = hal_cpu_id() + 1;

	*f = hal_irq_save();
	while (cmpxchg(&ring.lock, 0u, me) != 0) {
		if (READ_ONCE(ring.panic))
			return true;
		if (READ_ONCE(ring.lock) == me) {
			hal_irq_restore(*f);
			return false;
		}
		hal_cpu_relax();
	}
	return true;
}

static void ring_unlock(irqflags_t f)
{
	__atomic_store_n(&ring.lock, 0, __ATOMIC_RELEASE);
	hal_irq_restore(f);
}

static struct ring_record *record_at(u64 pos)
{
	return (struct ring_record *)(ring_data + pos % RING_BYTES);
}

/* [ring] Makes room for `size` bytes at the tail, which do not wrap. */
static void ring_reserve(u32 size)
{
	u64 rest = RING_BYTES - ring.tail % RING_BYTES;
	u64 need = rest < size ? rest + size : size;

	while (ring.tail + need - ring.head > RING_BYTES) {
		const struct ring_record *old = record_at(ring.head);

		if (old->level != RECORD_FILLER)
			ring.first_seq = old->seq + 1;
		ring.head += old->size;
	}
	if (rest >= size)
		return;
	*record_at(ring.tail) = (struct ring_record){ .level = RECORD_FILLER, .size = (u32)rest };
	ring.tail += rest;
}

/* Records are multiples of sizeof(struct ring_record), so that a filler always has room for its header. */
static u32 record_size(size_t len)
{
	return (u32)ALIGN_UP(sizeof(struct ring_record) + len, sizeof(struct ring_record));
}
static_assert(sizeof(struct ring_record) == 32 && RING_BYTES % 32 == 0, "a filler fits whenever there is a rest");

static void ring_add(int level, int facility, const char *text, size_t len)
{
	irqflags_t f;
	struct ring_record *r;

	len = MIN(len, (size_t)LOG_RECORD_MAX);
	if (!ring_lock(&f)) {
		__atomic_fetch_add(&ring.lost, 1, __ATOMIC_RELAXED);
		return;
	}
	ring_reserve(record_size(len));
	r = record_at(ring.tail);
	*r = (struct ring_record){ .seq = ring.next_seq, .ns = hal_clock_ns(), .cpu = hal_cpu_id(),
				   .len = (u16)len, .level = (u8)level, .facility = (u8)facility,
				   .size = record_size(len) };
	memcpy(r + 1, text, len);
	ring.tail += r->size;
	WRITE_ONCE(ring.next_seq, ring.next_seq + 1);
	ring_unlock(f);
}

/* A record per line. */
static void log_add_lines(int level, int facility, const char *text, size_t n)
{
	while (n) {
		const char *end = memchr(text, '\n', n);
		size_t len = end ? (size_t)(end - text) : n;

		if (len || !end)
			ring_add(level, facility, text, len);
		n -= end ? len + 1 : len;
		text += end ? len + 1 : len;
	}
}

static void log_wake(void)
{
	if (!log_wake_hook || READ_ONCE(ring.panic))
		return;
	if (in_atomic() || !hal_irq_enabled())
		__atomic_store_n(&ring.wake_pending, 1, __ATOMIC_RELAXED);
	else
		log_wake_hook();
}

void log_poll(void)
{
	if (likely(!READ_ONCE(ring.wake_pending)))
		return;
	__atomic_store_n(&ring.wake_pending, 0, __ATOMIC_RELAXED);
	if (log_wake_hook)
		log_wake_hook();
}

void log_vprintf(int level, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX + 1];
	size_t n = (size_t)vscnprintf(text, sizeof(text), fmt, ap);
	u32 lost;

	if (unlikely(report_capture_active()) && report_capture_line(level, text, n))
		return;
	lost = __atomic_exchange_n(&ring.lost, 0, __ATOMIC_RELAXED);
	log_add_lines(level, 0, text, n);
	if (unlikely(lost)) {
		n = (size_t)scnprintf(text, sizeof(text), "log: %u records were lost", lost);
		ring_add(LOG_WARNING, 0, text, n);
	}
	console_flush();
	log_wake();
}

void log_printf(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vprintf(level, fmt, ap);
	va_end(ap);
}

void upcall_log(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vprintf(level, fmt, ap);
	va_end(ap);
}

void log_write_user(int level, int facility, const char *text, size_t n)
{
	if (n && text[n - 1] == '\n')
		n--;
	ring_add(level & 7, facility, text, n);
	console_flush();
	log_wake();
}

/* [ring] The record with that number, or the oldest; NULL when there is none yet. */
static const struct ring_record *ring_find(u64 seq)
{
	u64 pos = ring.head;

	while (pos < ring.tail) {
		const struct ring_record *r = record_at(pos);

		if (r->level != RECORD_FILLER && r->seq >= seq)
			return r;
		if (!r->size)
			return NULL;	/* overwritten by somebody: a panic still wants its log */
		pos += r->size;
	}
	return NULL;
}

/*
 * [ring] Readers go forward one by one: where the last one stopped is remembered, so that reading the whole log
 * takes linear time. The hint is checked against the record it leads to.
 */
static const struct ring_record *ring_find_hinted(u64 seq)
{
	static u64 hint_pos, hint_seq;	/* [l] a record's position and number */
	const struct ring_record *r = NULL;
	u64 pos;

	if (hint_pos >= ring.head && hint_pos < ring.tail && hint_seq <= seq && hint_seq >= ring.first_seq) {
		for (pos = hint_pos; pos < ring.tail; pos += record_at(pos)->size) {
			const struct ring_record *at = record_at(pos);

			if (at->level != RECORD_FILLER && at->seq >= seq) {
				r = at;
				break;
			}
			if (!at->size)
				return NULL; /* as above */
		}
	} else {
		r = ring_find(seq);
	}
	if (!r)
		return NULL;
	pos = ring.head - ring.head % RING_BYTES + (u64)((const u8 *)r - ring_data);
	hint_pos = pos < ring.head ? pos + RING_BYTES : pos;
	hint_seq = r->seq;
	return r;
}

ssize_t log_read(u64 *seq, struct log_record *rec, char *buf, size_t n, u64 *missed)
{
	const struct ring_record *r;
	ssize_t len = -EAGAIN;
	irqflags_t f;

	if (!ring_lock(&f))
		return -EAGAIN;
	r = *seq < ring.next_seq ? ring_find_hinted(*seq) : NULL;
	if (r) {
		if (missed)
			*missed = r->seq - *seq;
		*rec = (struct log_record){ .seq = r->seq, .ns = r->ns, .cpu = r->cpu, .len = r->len,
					    .level = r->level, .facility = r->facility };
		memcpy(buf, r + 1, MIN(n, (size_t)r->len));
		*seq = r->seq + 1;
		len = r->len;
	}
	ring_unlock(f);
	return len;
}

u64 log_first_seq(void)
{
	return READ_ONCE(ring.first_seq);
}

u64 log_next_seq(void)
{
	return READ_ONCE(ring.next_seq);
}

void log_clear(void)
{
	WRITE_ONCE(ring.clear_seq, log_next_seq());
}

u64 log_clear_seq(void)
{
	return MAX(READ_ONCE(ring.clear_seq), log_first_seq());
}

size_t log_ring_bytes(void)
{
	return RING_BYTES;
}

bool ratelimit_ok(struct ratelimit *r, const char *what)
{
	u64 now = hal_clock_ns();
	u32 missed;

	if (now - READ_ONCE(r->begin_ns) >= r->interval_ns) {
		WRITE_ONCE(r->begin_ns, now);
		missed = __atomic_exchange_n(&r->missed, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&r->printed, 0, __ATOMIC_RELAXED);
		if (missed)
			log_warn("%s: %u messages were held back", what, missed);
	}
	if (__atomic_fetch_add(&r->printed, 1, __ATOMIC_RELAXED) < r->burst)
		return true;
	__atomic_fetch_sub(&r->printed, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&r->missed, 1, __ATOMIC_RELAXED);
	return false;
}

void log_enter_panic(void)
{
	WRITE_ONCE(ring.panic, true);
	__atomic_store_n(&ring.lock, 0, __ATOMIC_RELEASE);
}

bool log_in_panic(void)
{
	return READ_ONCE(ring.panic);
}

static void command_log(struct command_io *io, int argc, char **argv)
{
	static char line[CONSOLE_LINE_MAX], text[LOG_RECORD_MAX];
	u64 n = 40, next = log_next_seq(), seq;
	struct log_record rec;

	if (argc > 1 && !command_number(io, argv[1], &n))
		return;
	for (seq = next - MIN(n, next); seq < next && io->budget; io->budget--) {
		ssize_t len = log_read(&seq, &rec, text, sizeof(text), NULL);

		if (len < 0)
			return;
		io->emit(line, console_format(line, sizeof(line), &rec, text));
	}
}
DEBUG_COMMAND(log, "[lines]", "the end of the log", command_log);

void log_init(void)
{
	console_init();
}

void log_setup(void)
{
	u64 level = cmdline_u64("loglevel", LOG_DEBUG);

	if (cmdline_has("quiet"))
		level = LOG_WARNING;
	if (cmdline_has("debug") || cmdline_has("ignore_loglevel"))
		level = LOG_DEBUG + 1;
	log_console_level = (int)CLAMP(level, 1ull, 8ull);
}
