/* SPDX-License-Identifier: MIT */
/*
 * The menu: only when boot.conf gives it time. A list, a count-down that the first key stops, and four
 * ways on: a figure boots that entry, up and down move, Enter boots, Escape goes back to the firmware.
 * It prints lines and never positions a cursor, so it works on a serial line as on a screen.
 */
#include "loader.h"

#define SCAN_UP_KEY	0x01	/* UEFI 2.10 table 12.4 */
#define SCAN_DOWN_KEY	0x02
#define SCAN_ESC_KEY	0x17

static void print_entries(const struct config *config, unsigned marked)
{
	say("\n");
	for (unsigned i = 0; i < config->entry_count; i++)
		say("  %c %u. %z\n", i == marked ? '>' : ' ', i + 1, &config->entries[i].title);
}

/* Returns 1 to boot *marked, 0 to go on, -1 to leave. */
static int handle_key(const struct config *config, const EFI_INPUT_KEY *key, unsigned *marked)
{
	if (key->UnicodeChar >= '1' && key->UnicodeChar <= '9' &&
	    (unsigned)(key->UnicodeChar - '1') < config->entry_count) {
		*marked = key->UnicodeChar - '1';
		return 1;
	}
	if (key->UnicodeChar == '\r' || key->UnicodeChar == '\n')
		return 1;
	if (key->ScanCode == SCAN_ESC_KEY || key->UnicodeChar == 27)
		return -1;
	if (key->ScanCode == SCAN_UP_KEY && *marked)
		--*marked;
	else if (key->ScanCode == SCAN_DOWN_KEY && *marked + 1 < config->entry_count)
		++*marked;
	else
		return 0;
	print_entries(config, *marked);
	return 0;
}

/* Count down; true when a key stopped it. */
static bool count_down(unsigned seconds, EFI_INPUT_KEY *key)
{
	for (; seconds; seconds--) {
		say("\r  booting in %u s; any key stops, Enter boots, Esc returns to the firmware ", seconds);
		if (console_poll_key(key)) {
			say("\n");
			return true;
		}
	}
	say("\n");
	return false;
}

const struct config_entry *menu_choose(const struct config *config)
{
	unsigned marked = config->chosen;
	EFI_INPUT_KEY key;
	int verdict;

	if (!config->timeout_s)
		return &config->entries[marked];
	print_entries(config, marked);
	if (!count_down(config->timeout_s, &key))
		return &config->entries[marked];
	while (!(verdict = handle_key(config, &key, &marked)))
		if (!console_wait_key(&key))
			break;	/* no keyboard after all: boot what is marked */
	return verdict < 0 ? NULL : &config->entries[marked];
}
