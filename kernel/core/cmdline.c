/* SPDX-License-Identifier: MIT */
/*
 * The command line. It is kept as it was given and looked through at each question: questions are few and
 * asked at boot. A word ends at a blank outside of double quotes; the quotes are not part of it.
 */
#include <kernel/core/cmdline.h>
#include <lib/string.h>

static char cmdline_text[CMDLINE_MAX];	/* [I] terminated */
static size_t cmdline_length;		/* [I] of the kernel's part */
static size_t cmdline_init_start;	/* [I] of init's part, behind "--" */

/* Steps over one word from *pos and writes it unquoted to buf, cut at n - 1. Its full length, or -1 at the end. */
static long next_word(size_t *pos, size_t end, char *buf, size_t n)
{
	bool quoted = false;
	size_t out = 0;

	while (*pos < end && isspace(cmdline_text[*pos]))
		(*pos)++;
	if (*pos >= end)
		return -1;
	for (; *pos < end; (*pos)++) {
		char c = cmdline_text[*pos];

		if (c == '"') {
			quoted = !quoted;
			continue;
		}
		if (isspace(c) && !quoted)
			break;
		if (out + 1 < n)
			buf[out] = c;
		out++;
	}
	if (n)
		buf[MIN(out, n - 1)] = '\0';
	return (long)out;
}

void cmdline_init(const char *s, size_t len)
{
	char word[4];
	size_t pos = 0;

	len = MIN(len, (size_t)CMDLINE_MAX - 1);
	memcpy(cmdline_text, s, len);
	cmdline_text[len] = '\0';
	len = strlen(cmdline_text);
	while (len && isspace(cmdline_text[len - 1]))
		cmdline_text[--len] = '\0';
	cmdline_length = cmdline_init_start = len;
	while (pos < len) {
		size_t start = pos;

		if (next_word(&pos, len, word, sizeof(word)) == 2 && strcmp(word, "--") == 0) {
			cmdline_length = start;
			cmdline_init_start = pos;
			return;
		}
	}
}

const char *cmdline_raw(void)
{
	return cmdline_text;
}

bool cmdline_next_word(size_t *pos, char *buf, size_t n)
{
	return next_word(pos, cmdline_length, buf, n) >= 0;
}

/*
 * Compares the word at pos with key, in place. Returns the position of the value ('=' skipped), or of the
 * word's end when there is no value; (size_t)-1 when it is another word.
 */
static size_t match_key(size_t pos, const char *key, bool *has_value)
{
	size_t len = strlen(key);

	while (pos < cmdline_length && isspace(cmdline_text[pos]))
		pos++;
	if (pos + len > cmdline_length || strncmp(cmdline_text + pos, key, len) != 0)
		return (size_t)-1;
	pos += len;
	*has_value = pos < cmdline_length && cmdline_text[pos] == '=';
	if (*has_value)
		return pos + 1;
	return pos == cmdline_length || isspace(cmdline_text[pos]) ? pos : (size_t)-1;
}

/*
 * Looks for the nth key=value (last = false), or the last one, and writes the value. with_value false: finds the bare
 * word too. False: not there, or too long.
 */
static bool find(const char *key, u32 nth, bool last, char *buf, size_t n)
{
	size_t pos = 0, at = (size_t)-1;
	u32 seen = 0;
	long len;

	while (pos < cmdline_length) {
		bool has_value = false;
		size_t value = match_key(pos, key, &has_value);

		if (value != (size_t)-1 && has_value) {
			if (last || seen == nth)
				at = value;
			if (!last && seen++ == nth)
				break;
		}
		if (next_word(&pos, cmdline_length, NULL, 0) < 0)
			break;
	}
	if (at == (size_t)-1)
		return false;
	if (n)
		buf[0] = '\0';
	if (at >= cmdline_length || isspace(cmdline_text[at]))
		return n > 0;
	len = next_word(&at, cmdline_length, buf, n);
	return len >= 0 && (size_t)len < n;
}

bool cmdline_find(const char *key, char *buf, size_t n)
{
	return find(key, 0, true, buf, n);
}

bool cmdline_find_nth(const char *key, u32 i, char *buf, size_t n)
{
	return find(key, i, false, buf, n);
}

bool cmdline_has(const char *word)
{
	size_t pos = 0;
	bool has_value;

	while (pos < cmdline_length) {
		if (match_key(pos, word, &has_value) != (size_t)-1)
			return true;
		if (next_word(&pos, cmdline_length, NULL, 0) < 0)
			return false;
	}
	return false;
}

u64 cmdline_u64(const char *key, u64 fallback)
{
	const char *end;
	char value[32];
	u64 v;

	if (!cmdline_find(key, value, sizeof(value)))
		return fallback;
	if (parse_u64(value, 0, &v, NULL) == 0)
		return v;
	return parse_size(value, &v, &end) == 0 && !*end ? v : fallback;
}

bool cmdline_bool(const char *key, bool fallback)
{
	static const char *const yes[] = { "1", "y", "yes", "on", "true" };
	static const char *const no[] = { "0", "n", "no", "off", "false" };
	char value[8];

	if (!cmdline_find(key, value, sizeof(value)))
		return cmdline_has(key) ? true : fallback;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(value, yes[i]) == 0)
			return true;
		if (strcmp(value, no[i]) == 0)
			return false;
	}
	return fallback;
}

bool cmdline_init_arg(u32 i, char *buf, size_t n)
{
	size_t pos = cmdline_init_start, end = strlen(cmdline_text);
	long len;

	do {
		len = next_word(&pos, end, buf, n);
	} while (len >= 0 && i--);
	return len >= 0 && (size_t)len < n;
}
