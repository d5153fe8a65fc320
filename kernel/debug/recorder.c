/* SPDX-License-Identifier: MIT */
/*
 * /proc/halcyon/recorder: the flight recorder as text, and its switch. Writing kinds (`switch,syscall`, `all`, `off`)
 * chooses what is recorded from now on, `clear` empties it. System calls are recorded on their slow path, which
 * their threads are led to as long as somebody wants them.
 */
#define LOG_TAG "record"
#include <hal/cpu.h>
#include <kernel/core/log.h>
#include <kernel/core/record.h>
#include <kernel/debug/debug.h>
#include <kernel/sched/mutex.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/watch.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/string.h>

static struct mutex recorder_mutex; /* one reader, one switch */

static bool emit_line(void *arg, const char *line, size_t n)
{
	struct seq *s = arg;

	seq_write(s, line, n);
	return !seq_overflowed(s);
}

static int show_recorder(struct seq *s, void *arg)
{
	char kinds[64];

	(void)arg;
	mutex_lock(&recorder_mutex);
	record_get(kinds, sizeof(kinds));
	seq_printf(s, "recording %s\n%15s %5s %6s event\n", kinds, "seconds", "cpu", "thread");
	record_tail(~0u, emit_line, s);
	mutex_unlock(&recorder_mutex);
	return 0;
}

static int store_recorder(void *arg, const char *text, size_t len)
{
	char word[64];
	int err = 0;

	(void)arg;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (len && text[len - 1] == '\n')
		len--;
	if (len >= sizeof(word))
		return -EINVAL;
	memcpy(word, text, len);
	word[len] = '\0';
	mutex_lock(&recorder_mutex);
	if (!strcmp(word, "clear"))
		record_clear();
	else
		err = record_set(word);
	mutex_unlock(&recorder_mutex);
	return err;
}

static void recorder_changed(u32 mask)
{
	watch_change_all(WATCH_RECORD, mask & RECORD_MASK_CALLS ? WATCH_RECORD : 0);
}

void debug_recorder_init(void)
{
	mutex_init(&recorder_mutex, "recorder", LOCK_RANK_SLEEP_LEAF);
	record_changed_hook = recorder_changed;
	recorder_changed(READ_ONCE(record_mask));
	(void)proc_register_rw("halcyon/recorder", 0600, show_recorder, store_recorder, NULL);
}
