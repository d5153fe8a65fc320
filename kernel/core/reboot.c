/* SPDX-License-Identifier: MIT */
/*
 * `reboot=` as on Linux: words parted by commas, of which the first letter counts. a, e, k, p, t: the way to reset the
 * machine that is tried first (ACPI, EFI, keyboard controller, PCI, triple fault); w and c: warm or cold. BIOS (b) does not
 * exist in long mode without a BIOS, f (force), h (hard), s (soft, smp) and g (gpio) change nothing here.
 *
 * Beside it the other words that the HAL obeys before it looks at the machine: noefi, efi=noruntime, numa=off.
 */
#define LOG_TAG "power"
#include <hal/efi.h>
#include <hal/numa.h>
#include <hal/power.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/reboot.h>
#include <lib/string.h>

static void take_word(const char *word)
{
	switch (word[0]) {
	case 'a': hal_reset_prefer(HAL_RESET_ACPI); break;
	case 'e': hal_reset_prefer(HAL_RESET_EFI); break;
	case 'k': hal_reset_prefer(HAL_RESET_KEYBOARD); break;
	case 'p': hal_reset_prefer(HAL_RESET_PCI); break;
	case 't': hal_reset_prefer(HAL_RESET_TRIPLE); break;
	case 'w': hal_reset_warm(true); break;
	case 'c': hal_reset_warm(false); break;
	case 'b': case 'f': case 'g': case 'h': case 's': break;
	default: log_warn("reboot=%s is not understood", word); break;
	}
}

void reboot_setup(void)
{
	char words[64], *word = words;

	if (cmdline_find("reboot", words, sizeof(words))) {
		while (word && *word) {
			char *next = strchr(word, ',');

			if (next)
				*next++ = 0;
			take_word(word);
			word = next;
		}
	}
	if (cmdline_has("noefi") || (cmdline_find("efi", words, sizeof(words)) && !strcmp(words, "noruntime")))
		hal_efi_disable();
	if (cmdline_find("numa", words, sizeof(words)) && !strcmp(words, "off"))
		hal_numa_disable();
}
