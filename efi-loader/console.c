/* SPDX-License-Identifier: MIT */
/* Messages on the firmware's console; see loader.h. All text is kept, for the kernel's log. */
#include "loader.h"

EFI_SYSTEM_TABLE *firmware;
EFI_BOOT_SERVICES *boot;

static char log_text[LOADER_LOG_BYTES];
static size_t log_bytes;

void console_init(EFI_SYSTEM_TABLE *system)
{
	firmware = system;
	boot = system->BootServices;
}

static void log_append(const char *text, size_t bytes)
{
	/* A carriage return begins a progress figure that is written over: the log keeps the last. */
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\r') {
			while (log_bytes && log_text[log_bytes - 1] != '\n')
				log_bytes--;
		} else if (log_bytes < sizeof(log_text)) {
			log_text[log_bytes++] = text[i];
		}
	}
}

static void console_write(const char *text, size_t bytes)
{
	CHAR16 line[258];
	unsigned n = 0;

	log_append(text, bytes);
	if (!firmware->ConOut)
		return;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\n')
			line[n++] = '\r';
		line[n++] = (CHAR16)(unsigned char)text[i];
		if (n >= ARRAY_COUNT(line) - 2 || i + 1 == bytes) {
			line[n] = 0;
			firmware->ConOut->OutputString(firmware->ConOut, line);
			n = 0;
		}
	}
}

static void say_va(const char *format, va_list args)
{
	char text[512];

	console_write(text, text_format(text, sizeof(text), format, args));
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_va(format, args);
	va_end(args);
}

int fail(const char *format, ...)
{
	va_list args;

	say("\nloader: error: ");
	va_start(args, format);
	say_va(format, args);
	va_end(args);
	say("\n");
	return -1;
}

int fail_about(const struct span *name, const struct load_error *error)
{
	if (error->unit)
		return fail("%z: %s (%s %lu)", name, error->what, error->unit, error->where);
	return fail("%z: %s", name, error->what);
}

static const char *status_name(EFI_STATUS status)
{
	static const struct {
		EFI_STATUS status;
		const char *name;
	} names[] = {
		{ EFI_NOT_FOUND, "not found" }, { EFI_DEVICE_ERROR, "the device reports an error" },
		{ EFI_OUT_OF_RESOURCES, "out of memory" }, { EFI_VOLUME_CORRUPTED, "the file system is damaged" },
		{ EFI_NO_MEDIA, "no medium" }, { EFI_ACCESS_DENIED, "access denied" },
		{ EFI_UNSUPPORTED, "not supported by the firmware" }, { EFI_SECURITY_VIOLATION, "refused by Secure Boot" },
		{ EFI_INVALID_PARAMETER, "the firmware calls it invalid" }, { EFI_MEDIA_CHANGED, "the medium was changed" },
		{ EFI_END_OF_FILE, "the file ends early" },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
		if (names[i].status == status)
			return names[i].name;
	return "firmware error";
}

int fail_status(const char *doing, const struct span *name, EFI_STATUS status)
{
	return fail("cannot %s %z: %s (status %lx)", doing, name, status_name(status), (uint64_t)status);
}

static bool take_key(EFI_INPUT_KEY *key)
{
	return firmware->ConIn->ReadKeyStroke(firmware->ConIn, key) == EFI_SUCCESS;
}

void console_forget_keys(void)
{
	EFI_INPUT_KEY key;

	/* Bounded: a stuck key must not keep the question from being asked. */
	for (unsigned i = 0; i < 64 && firmware->ConIn && take_key(&key); i++)
		;
}

bool console_wait_key(EFI_INPUT_KEY *key)
{
	UINTN index;

	if (!firmware->ConIn)
		return false;
	do {
		if (boot->WaitForEvent(1, &firmware->ConIn->WaitForKey, &index) != EFI_SUCCESS)
			return false;
	} while (!take_key(key));
	return true;
}

bool console_poll_key(EFI_INPUT_KEY *key)
{
	for (unsigned step = 0; step < 20; step++) {
		if (firmware->ConIn && take_key(key))
			return true;
		boot->Stall(50 * 1000);	/* microseconds */
	}
	return false;
}

size_t console_log(const char **text)
{
	*text = log_text;
	return log_bytes;
}
