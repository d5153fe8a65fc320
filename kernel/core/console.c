/* SPDX-License-Identifier: MIT */
/*
 * Consoles: who shows the log.
 *
 * Each console remembers the next record it has to show. Whoever logs tries to become the printer (one atomic
 * flag, never waited for); who fails leaves the record to the one who is printing, who looks again after it has
 * given the flag back. So no caller of the log ever waits for a slow line because of another one's text,
 * and an interrupt in the middle of printing cannot deadlock.
 *
 * The HAL's early console is an entry like the others, until a console that shows the same line registers.
 */
#define LOG_TAG "console"
#include <hal/console.h>
#include <kernel/core/assert.h>
#include <kernel/core/preempt.h>
#include <kernel/core/spinlock.h>
#include <lib/atomic.h>
#include <lib/string.h>
#include "console.h"

static void early_write(struct console *c, const char *buf, size_t n)
{
	(void)c;
	hal_console_early_write(buf, n);
}

static struct console early_console = { .name = "early", .write = early_write };

/* Key: [p] the printer, who has the flag `busy`; additions are published with a release. */
static LIST_HEAD(consoles);
static struct spinlock console_list_lock = SPINLOCK_INIT("console list", LOCK_RANK_CONSOLE);
static u32 console_busy;	/* [a] */
static bool early_silent;	/* [a] */
static char console_line[CONSOLE_LINE_MAX];			/* [p] */
static char console_text[LOG_RECORD_MAX];			/* [p] */

size_t console_format(char *line, size_t size, const struct log_record *rec, const char *text)
{
	u64 us = rec->ns / (u64)NSEC_PER_USEC;
	const char *end = text + MIN((size_t)rec->len, (size_t)LOG_RECORD_MAX);
	size_t n = 0;

	do {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((stop ? stop : end) - text);

		if (n + CONSOLE_PREFIX_MAX > size)
			break;
		n += (size_t)scnprintf(line + n, size - n, "[%5llu.%06llu] ", (unsigned long long)(us / (u64)USEC_PER_SEC),
				       (unsigned long long)(us % (u64)USEC_PER_SEC));
		len = MIN(len, size - n - 1);
		memcpy(line + n, text, len);
		n += len;
		line[n++] = '\n';
		text = stop ? stop + 1 : end;
	} while (text < end);
	return n;
}

static bool console_wants(const struct console *c)
{
	return !(c == &early_console && READ_ONCE(early_silent));
}

/* False: the ring cannot be read now. This is an NMI, which hit the holder of the ring's lock. */
static bool console_catch_up(struct console *c)
{
	struct log_record rec;
	u64 missed;

	while (c->next_seq < log_next_seq()) {
		if (log_read(&c->next_seq, &rec, console_text, sizeof(console_text), &missed) < 0)
			return false;
		if (missed) {
			int n = scnprintf(console_line, sizeof(console_line), "[%llu records missing]\n",
					  (unsigned long long)missed);

			c->write(c, console_line, (size_t)n);
		}
		if (rec.level >= log_console_level)
			continue;
		c->write(c, console_line, console_format(console_line, sizeof(console_line), &rec, console_text));
	}
	return true;
}

static bool console_behind(void)
{
	struct console *c;

	list_for_each_entry_rcu(c, &consoles, node)
		if (console_wants(c) && c->next_seq < log_next_seq())
			return true;
	return false;
}

void console_flush(void)
{
	struct console *c;
	bool readable = true;

	if (log_in_panic())
		return;
	preempt_disable();
	do {
		if (__atomic_exchange_n(&console_busy, 1, __ATOMIC_ACQUIRE))
			break;
		list_for_each_entry_rcu(c, &consoles, node) {
			if (console_wants(c))
				readable &= console_catch_up(c);
			else
				c->next_seq = log_next_seq();
		}
		__atomic_store_n(&console_busy, 0, __ATOMIC_RELEASE);
		smp_mb();
	} while (readable && console_behind()); /* else the holder, or the next record, finds them */
	preempt_enable();
}

void console_register(struct console *c)
{
	irqflags_t f = spin_lock_irqsave(&console_list_lock);

	c->next_seq = c->flags & CONSOLE_REPLAY ? log_first_seq() : log_next_seq();
	list_add_tail_rcu(&c->node, &consoles);
	if (c->flags & CONSOLE_REPLACES_EARLY)
		WRITE_ONCE(early_silent, true);
	spin_unlock_irqrestore(&console_list_lock, f);
	log_info("%s shows the log", c->name);
}

void console_init(void)
{
	list_add_tail_rcu(&early_console.node, &consoles);
}

/* In a panic: whatever state the consoles are in. */
void log_emit_raw(const char *s, size_t n)
{
	struct console *c;

	list_for_each_entry_rcu(c, &consoles, node)
		if (console_wants(c))
			c->write(c, s, n);
}
