/* SPDX-License-Identifier: MIT */
/*
 * /sys/devices/system/clocksource/clocksource0: which counters time may be read from, and which one it is. Writing the name
 * of another one changes it.
 */
#define LOG_TAG "clock"
#include <hal/clock.h>
#include <kernel/core/log.h>
#include <kernel/dev/clocksource.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/string.h>

#define CLOCKSOURCE_DIR "devices/system/clocksource/clocksource0/"
#define NAME_BYTES 32 /* CS_NAME_LEN */

static int show_available(struct seq *s, void *arg)
{
	const char *name;

	(void)arg;
	for (u32 i = 0; (name = hal_clock_source_name(i)); i++)
		seq_printf(s, "%s ", name);
	seq_putc(s, '\n');
	return 0;
}

static int show_current(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%s\n", hal_clock_source_current());
	return 0;
}

/* As on Linux, a name that nobody has is taken and changes nothing. */
static int store_current(void *arg, const char *text, size_t len)
{
	char name[NAME_BYTES];
	const char *before = hal_clock_source_current();

	(void)arg;
	if (len && text[len - 1] == '\n')
		len--;
	if (!len || len >= sizeof(name))
		return -EINVAL;
	memcpy(name, text, len);
	name[len] = '\0';
	if (!hal_clock_source_select(name) && strcmp(before, name))
		log_info("time is read from %s now", name);
	return 0;
}

/* Linux takes one out of use; ours are the machine's and stay. */
static int store_unbind(void *arg, const char *text, size_t len)
{
	(void)arg, (void)text, (void)len;
	return -ENODEV;
}

void clocksource_files_init(void)
{
	(void)sys_register(CLOCKSOURCE_DIR "available_clocksource", 0444, show_available, NULL, NULL);
	(void)sys_register(CLOCKSOURCE_DIR "current_clocksource", 0644, show_current, store_current, NULL);
	(void)sys_register(CLOCKSOURCE_DIR "unbind_clocksource", 0200, NULL, store_unbind, NULL);
}
