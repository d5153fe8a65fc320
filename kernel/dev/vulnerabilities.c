/* SPDX-License-Identifier: MIT */
/*
 * /sys/devices/system/cpu/vulnerabilities: one file per known bug of CPUs' speculation, which says whether this machine has
 * it and what is done about it. The HAL decides and words it (hal/mitigate.h); a file's argument is its number there.
 */
#define LOG_TAG "cpu"
#include <hal/mitigate.h>
#include <kernel/core/log.h>
#include <kernel/dev/vulnerabilities.h>
#include <kernel/vfs/proc.h>
#include <lib/printf.h>

#define TEXT_BYTES 256

static int show_vulnerability(struct seq *s, void *arg)
{
	char text[TEXT_BYTES];

	hal_vulnerability_text((u32)(uintptr_t)arg, text, sizeof(text));
	seq_printf(s, "%s\n", text);
	return 0;
}

void vulnerabilities_init(void)
{
	const char *name;
	char path[80];

	for (u32 i = 0; (name = hal_vulnerability_name(i)); i++) {
		snprintf(path, sizeof(path), "devices/system/cpu/vulnerabilities/%s", name);
		if (sys_register(path, 0444, show_vulnerability, NULL, (void *)(uintptr_t)i))
			log_warn("no memory for /sys/%s", path);
	}
}
