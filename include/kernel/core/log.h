/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_LOG_H
#define KERNEL_CORE_LOG_H

/*
 * The kernel log: a ring of records and the consoles that show them.
 *
 *	#define LOG_TAG "mm"		before the first include of a file
 *	log_info("%llu KiB free", kib);	no line feed at the end
 *
 * Any context, NMI and panic included, and under any lock. Until a console is registered the text goes
 * to the HAL's early console. What cannot be printed at once, because the CPU that prints is busy,
 * is printed by that CPU when it is done. Levels are Linux's.
 */
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/printf.h>

#ifndef LOG_TAG
#define LOG_TAG "kernel"
#endif

enum log_level {
	LOG_EMERG = 0,
	LOG_ALERT = 1,
	LOG_CRIT = 2,
	LOG_ERR = 3,
	LOG_WARNING = 4,
	LOG_NOTICE = 5,
	LOG_INFO = 6,
	LOG_DEBUG = 7,
};

#define LOG_LINE_MAX 480	/* bytes of one line of the kernel's own; a longer one is cut */
#define LOG_RECORD_MAX 992	/* bytes of a record's text: what a program writes may be longer, and have several lines */

void log_printf(int level, const char *fmt, ...) __printf(2, 3);
void log_vprintf(int level, const char *fmt, va_list ap) __printf(2, 0);

#define log_emerg(...)	log_tagged_(LOG_EMERG, __VA_ARGS__)
#define log_alert(...)	log_tagged_(LOG_ALERT, __VA_ARGS__)
#define log_crit(...)	log_tagged_(LOG_CRIT, __VA_ARGS__)
#define log_err(...)	log_tagged_(LOG_ERR, __VA_ARGS__)
#define log_warn(...)	log_tagged_(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)	log_tagged_(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	log_tagged_(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_tagged_(LOG_DEBUG, __VA_ARGS__)
#define log_tagged_(level, fmt, ...) log_printf(level, LOG_TAG ": " fmt, ##__VA_ARGS__)

/* At most `burst` messages in interval_ns; then one line says how many were held back. */
struct ratelimit {
	u64 begin_ns;		/* [a] start of the interval */
	u64 interval_ns;	/* [I] */
	u32 burst;		/* [I] */
	u32 printed;		/* [a] in this interval */
	u32 missed;		/* [a] in this interval */
};
#define RATELIMIT_INIT(interval_ns_, burst_) { .interval_ns = (interval_ns_), .burst = (burst_) }
/* True: go on and print. Any context. `what` names the place in the line about missed messages. */
bool ratelimit_ok(struct ratelimit *r, const char *what);

/* Up to 10 lines in 5 s per place, as Linux. */
#define log_ratelimited(level, fmt, ...) do {						\
		static struct ratelimit ratelimit_ = RATELIMIT_INIT(5000000000ull, 10);	\
		if (ratelimit_ok(&ratelimit_, __func__))				\
			log_tagged_(level, fmt, ##__VA_ARGS__);				\
	} while (0)

/*
 * A console. write() gets whole lines with line feeds, in the order of the log; called with preemption
 * off, interrupts as they happen to be, by one CPU at a time, and in a panic by any CPU at any time. It
 * must not sleep, take a lock that a caller of the log may hold, nor log.
 */
struct console {
	const char *name;				/* [I] */
	void (*write)(struct console *c, const char *buf, size_t n); /* [I] */
	u32 flags;					/* [I] CONSOLE_* */
	struct list_head node;				/* [console lock] */
	u64 next_seq;					/* [printing CPU] */
};
#define CONSOLE_REPLACES_EARLY	0x1u	/* it shows what the early console shows: that one falls silent */
#define CONSOLE_REPLAY		0x2u	/* print what the ring holds already */

/* Thread context. Never undone. */
void console_register(struct console *c);

/* First of all: nothing before it may log. Reads nothing but static data. */
void log_init(void);
/* After cmdline_init(): loglevel=N, quiet, debug, ignore_loglevel. */
void log_setup(void);

/* Records with a level below it reach the consoles. 1..8; Linux's syslog(2) actions 6 to 8. */
extern int log_console_level;

/* One record, for /dev/kmsg and syslog(2). */
struct log_record {
	u64 seq;		/* counts from 0 */
	u64 ns;			/* hal_clock_ns() */
	u32 cpu;
	u16 len;		/* bytes of text */
	u8 level;		/* LOG_* */
	u8 facility;		/* syslog's: 0 kernel, 1 user (written through /dev/kmsg) */
};

/*
 * Copies the record *seq into rec and its text (at most n bytes, not terminated) into buf, and steps
 * *seq behind it. When *seq was overwritten already the oldest record is taken, and *missed (may be
 * NULL) is how many were lost. Returns the text's length (may exceed n), or -EAGAIN when there is
 * nothing at *seq yet. Any context.
 */
ssize_t log_read(u64 *seq, struct log_record *rec, char *buf, size_t n, u64 *missed);
u64 log_first_seq(void);
u64 log_next_seq(void);
/* syslog(2) CLEAR: log_clear_seq() is where the next "read all" starts. */
void log_clear(void);
u64 log_clear_seq(void);
/* Bytes of the ring. */
size_t log_ring_bytes(void);
/* Writes as user space does (/dev/kmsg), one record: facility 1 unless given. */
void log_write_user(int level, int facility, const char *text, size_t n);

/*
 * [I] Set by higher layers: records came in, wake those who read them. Called where a wake-up is allowed: from a
 * thread that holds no spinlock, else later from log_poll().
 */
extern void (*log_wake_hook)(void);
/* From the tick: delivers what was put off. */
void log_poll(void);

/* Panic only: no locks are waited for from now on, everything goes to all consoles at once. */
void log_enter_panic(void);
/* Panic only: raw text to every console and the early console. */
void log_emit_raw(const char *s, size_t n);

#endif
