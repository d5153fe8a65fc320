/* SPDX-License-Identifier: MIT */
/* boot.conf and the command line; see config.h. Portable: runs on the host under test and fuzzing. */
#include "config.h"

#define KEY_IS(key, word)	span_equal(key, word)

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Cut the next line off *rest, without its end and the blanks around it. */
static struct span take_line(struct span *rest)
{
	struct span line = { rest->text, 0 };

	while (line.length < rest->length && rest->text[line.length] != '\n')
		line.length++;
	size_t taken = line.length < rest->length ? line.length + 1 : line.length;

	rest->text += taken;
	rest->length -= taken;
	if (line.length && line.text[line.length - 1] == '\r')
		line.length--;
	while (line.length && is_blank(line.text[0])) {
		line.text++;
		line.length--;
	}
	while (line.length && is_blank(line.text[line.length - 1]))
		line.length--;
	return line;
}

/* Split a line into its key word and the rest after blanks. */
static struct span take_key(struct span *line)
{
	struct span key = { line->text, 0 };

	while (key.length < line->length && !is_blank(key.text[key.length]))
		key.length++;
	line->text += key.length;
	line->length -= key.length;
	while (line->length && is_blank(line->text[0])) {
		line->text++;
		line->length--;
	}
	return key;
}

static bool has_control_bytes(struct span line)
{
	for (size_t i = 0; i < line.length; i++)
		if ((unsigned char)line.text[i] < ' ' && line.text[i] != '\t')
			return true;
	return false;
}

/* Key words of the specification that mean nothing to us. */
static bool is_ignored_key(struct span key)
{
	static const char *const ignored[] = {
		"version", "machine-id", "sort-key", "architecture", "devicetree", "devicetree-overlay",
		"grub_hotkey", "grub_users", "grub_class", "console-mode", "editor", "beep", "auto-entries",
		"auto-firmware", "random-seed-mode", "secure-boot-enroll", "reboot-for-bitlocker",
	};

	for (unsigned i = 0; i < ARRAY_COUNT(ignored); i++)
		if (KEY_IS(key, ignored[i]))
			return true;
	return false;
}

struct parser {
	struct config *config;
	struct config_entry *entry;	/* NULL in the global part */
	struct span wanted;		/* value of `default` */
	unsigned line;
	struct load_error *error;
};

static int parse_title(struct parser *p, struct span value)
{
	struct config *config = p->config;

	if (!value.length)
		return load_refuse(p->error, "a title without a text", "line", p->line);
	if (p->entry && !p->entry->kernel.length)
		return load_refuse(p->error, "this entry has no `linux` line", "line", p->entry->line);
	if (config->entry_count == CONFIG_ENTRIES_MAX)
		return load_refuse(p->error, "more than 16 entries", "line", p->line);
	p->entry = &config->entries[config->entry_count++];
	p->entry->title = value;
	p->entry->line = p->line;
	return 0;
}

static int parse_path(struct parser *p, struct span value, struct span *path)
{
	uint16_t ucs2[CONFIG_PATH_MAX + 2];

	if (!value.length)
		return load_refuse(p->error, "a path is missing", "line", p->line);
	if (config_path_to_ucs2(value, ucs2))
		return load_refuse(p->error, "a path that is too long or not UTF-8", "line", p->line);
	*path = value;
	return 0;
}

static int parse_entry_key(struct parser *p, struct span key, struct span value)
{
	struct config_entry *entry = p->entry;

	if (KEY_IS(key, "linux")) {
		if (entry->kernel.length)
			return load_refuse(p->error, "a second `linux` line in one entry", "line", p->line);
		return parse_path(p, value, &entry->kernel);
	}
	if (KEY_IS(key, "initrd")) {
		if (entry->initrd_count == CONFIG_INITRDS_MAX)
			return load_refuse(p->error, "more than 8 `initrd` lines in one entry", "line", p->line);
		return parse_path(p, value, &entry->initrds[entry->initrd_count++]);
	}
	if (entry->option_count == CONFIG_OPTIONS_MAX)
		return load_refuse(p->error, "more than 8 `options` lines in one entry", "line", p->line);
	entry->options[entry->option_count++] = value;
	return 0;
}

static int parse_global_key(struct parser *p, struct span key, struct span value)
{
	uint64_t seconds;

	if (KEY_IS(key, "default")) {
		p->wanted = value;
		return 0;
	}
	if (!span_to_number(value, CONFIG_TIMEOUT_MAX_S, &seconds))
		return load_refuse(p->error, "timeout wants seconds, 0 to 3600", "line", p->line);
	p->config->timeout_s = (unsigned)seconds;
	return 0;
}

static int parse_line(struct parser *p, struct span line)
{
	struct span value = line;
	struct span key = take_key(&value);
	bool global = KEY_IS(key, "default") || KEY_IS(key, "timeout");
	bool inside = KEY_IS(key, "linux") || KEY_IS(key, "initrd") || KEY_IS(key, "options");

	if (has_control_bytes(line))
		return load_refuse(p->error, "control characters; is it a text file?", "line", p->line);
	if (KEY_IS(key, "title"))
		return parse_title(p, value);
	if (inside && !p->entry)
		return load_refuse(p->error, "a line of an entry before the first `title`", "line", p->line);
	if (inside)
		return parse_entry_key(p, key, value);
	if (global && p->entry)
		return load_refuse(p->error, "a global line after the first `title`", "line", p->line);
	if (global)
		return parse_global_key(p, key, value);
	if (!is_ignored_key(key) && !p->config->unknown_keys++)
		p->config->unknown_line = p->line;
	return 0;
}

/* `default` names a title or counts from 1; what names nothing is an error, not a silent first entry. */
static int choose_default(struct parser *p)
{
	struct config *config = p->config;
	uint64_t number;

	config->chosen = 0;
	if (!p->wanted.length)
		return 0;
	for (unsigned i = 0; i < config->entry_count; i++) {
		const struct span *title = &config->entries[i].title;

		if (title->length == p->wanted.length &&
		    mem_equal(title->text, p->wanted.text, title->length)) {
			config->chosen = i;
			return 0;
		}
	}
	if (!span_to_number(p->wanted, config->entry_count, &number) || !number)
		return load_refuse(p->error, "`default` names no entry", NULL, 0);
	config->chosen = (unsigned)number - 1;
	return 0;
}

int config_parse(const char *text, size_t length, struct config *config, struct load_error *error)
{
	struct parser p = { .config = config, .error = error };
	struct span rest = { text, length };

	mem_zero(config, sizeof(*config));
	if (length > CONFIG_BYTES_MAX)
		return load_refuse(error, "larger than 64 KiB", NULL, 0);
	if (length >= 3 && mem_equal(text, "\xef\xbb\xbf", 3)) {	/* byte order mark of an editor */
		rest.text += 3;
		rest.length -= 3;
	}
	while (rest.length) {
		struct span line = take_line(&rest);

		p.line++;
		if (line.length && line.text[0] != '#' && parse_line(&p, line))
			return -1;
	}
	if (!config->entry_count)
		return load_refuse(error, "no `title` line, nothing to boot", NULL, 0);
	if (!p.entry->kernel.length)
		return load_refuse(error, "this entry has no `linux` line", "line", p.entry->line);
	return choose_default(&p);
}

static int append_word(char *line, size_t size, size_t *at, const char *text, size_t length)
{
	if (!length)
		return 0;
	if (length + 2 > size - *at)
		return -1;
	if (*at)
		line[(*at)++] = ' ';
	mem_copy(line + *at, text, length);
	*at += length;
	return 0;
}

int config_command_line(const struct config_entry *entry, const char *extra, char *line, size_t size)
{
	size_t at = 0;

	for (unsigned i = 0; i < entry->option_count; i++)
		if (append_word(line, size, &at, entry->options[i].text, entry->options[i].length))
			return -1;
	if (extra && append_word(line, size, &at, extra, str_length(extra)))
		return -1;
	line[at] = '\0';
	return (int)at;
}

bool command_line_has(const char *line, const char *word)
{
	for (;;) {
		struct span found = { line, 0 };

		while (is_blank(*found.text))
			found.text++;
		while (found.text[found.length] && !is_blank(found.text[found.length]))
			found.length++;
		if (!found.length || span_equal(found, "--"))
			return false;
		if (span_equal(found, word))
			return true;
		line = found.text + found.length;
	}
}

static bool ends_in_efi(const char *word, size_t length)
{
	return length > 4 && word[length - 4] == '.' && (word[length - 3] | 32) == 'e' &&
	       (word[length - 2] | 32) == 'f' && (word[length - 1] | 32) == 'i';
}

void load_options_to_text(const uint16_t *options, size_t bytes, char *text, size_t size)
{
	size_t n = 0, skip = 0;

	text[0] = '\0';
	for (size_t i = 0; i < bytes / 2 && options[i]; i++) {
		if (options[i] < ' ' || options[i] > '~' || n + 1 >= size) {
			text[0] = '\0';
			return;
		}
		text[n++] = (char)options[i];
	}
	text[n] = '\0';
	while (text[skip] && text[skip] != ' ')
		skip++;
	if (!ends_in_efi(text, skip))
		return;
	while (text[skip] == ' ')
		skip++;
	for (size_t i = 0; i <= n - skip; i++)
		text[i] = text[skip + i];
}

/* Decode one UTF-8 sequence of at most three bytes (UCS-2 has no more); 0 when it is not valid. */
static unsigned decode_utf8(const unsigned char *s, size_t left, uint16_t *unit)
{
	if (s[0] >= ' ' && s[0] < 0x80) {
		*unit = s[0];
		return 1;
	}
	if (left >= 2 && (s[0] & 0xe0) == 0xc0 && (s[1] & 0xc0) == 0x80 && s[0] >= 0xc2) {
		*unit = (uint16_t)((s[0] & 0x1f) << 6 | (s[1] & 0x3f));
		return 2;
	}
	if (left >= 3 && (s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
		*unit = (uint16_t)((s[0] & 0x0f) << 12 | (s[1] & 0x3f) << 6 | (s[2] & 0x3f));
		return *unit >= 0x800 && (*unit & 0xf800) != 0xd800 ? 3 : 0;
	}
	return 0;
}

int config_path_to_ucs2(struct span span, uint16_t *path)
{
	const unsigned char *s = (const unsigned char *)span.text;
	size_t n = 0;

	path[n++] = '\\';
	for (size_t i = 0; i < span.length;) {
		uint16_t unit;
		unsigned used = decode_utf8(s + i, span.length - i, &unit);

		if (!used)
			return -1;
		i += used;
		if (unit == '/')
			unit = '\\';
		if (unit == '\\' && path[n - 1] == '\\')
			continue;
		if (n > CONFIG_PATH_MAX)
			return -1;
		path[n++] = unit;
	}
	path[n] = 0;
	return 0;
}
