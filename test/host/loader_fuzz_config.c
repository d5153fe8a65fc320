/* SPDX-License-Identifier: MIT */
/* Any bytes as boot.conf: what is accepted has entries with kernels, valid paths, a command line. */
#include "framework.h"

#include "config.h"

const char fuzz_corpus[] = "loader_config";
const unsigned int fuzz_rounds = 60000;

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

void fuzz_one(const u8 *data, size_t n)
{
	static struct config config;
	uint16_t path[CONFIG_PATH_MAX + 2];
	char line[256];
	struct load_error error = { 0 };

	if (config_parse((const char *)data, n, &config, &error)) {
		check(error.what != NULL);
		return;
	}
	check(config.entry_count && config.chosen < config.entry_count);
	for (unsigned i = 0; i < config.entry_count; i++) {
		const struct config_entry *e = &config.entries[i];

		check(e->kernel.length && !config_path_to_ucs2(e->kernel, path) && path[0] == '\\');
		for (unsigned k = 0; k < e->initrd_count; k++)
			check(!config_path_to_ucs2(e->initrds[k], path));
		if (config_command_line(e, "extra", line, sizeof(line)) >= 0)
			check(str_length(line) < sizeof(line));
		else
			line[0] = '\0';
		command_line_has(line, "nokaslr");
	}
	load_options_to_text((const uint16_t *)(const void *)data, n, line, sizeof(line));
	check(str_length(line) < sizeof(line));
}
