/* SPDX-License-Identifier: MIT */
/* Bytes, strings and messages; see text.h. */
#include "text.h"

int load_refuse(struct load_error *error, const char *what, const char *unit, uint64_t where)
{
	error->what = what;
	error->unit = unit;
	error->where = where;
	return -1;
}

void mem_copy(void *to, const void *from, size_t length)
{
	__builtin_memcpy(to, from, length);
}

void mem_zero(void *to, size_t length)
{
	__builtin_memset(to, 0, length);
}

bool mem_equal(const void *a, const void *b, size_t length)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < length; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

size_t str_length(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

bool span_equal(struct span span, const char *text)
{
	return str_length(text) == span.length && mem_equal(span.text, text, span.length);
}

bool span_to_number(struct span span, uint64_t max, uint64_t *value)
{
	uint64_t n = 0;

	if (!span.length)
		return false;
	for (size_t i = 0; i < span.length; i++) {
		unsigned digit = (unsigned char)span.text[i] - '0';

		if (digit > 9 || n > (max - (digit > max ? max : digit)) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (n > max)
		return false;
	*value = n;
	return true;
}

bool add_fits(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

struct sink {
	char *buffer;
	size_t size;
	size_t length;
};

static void put_char(struct sink *sink, char c)
{
	if (sink->length + 1 < sink->size)
		sink->buffer[sink->length++] = c;
}

static void put_string(struct sink *sink, const char *text)
{
	while (*text)
		put_char(sink, *text++);
}

static void put_number(struct sink *sink, uint64_t value, unsigned base)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		put_char(sink, digits[--n]);
}

static void put_span(struct sink *sink, const struct span *span)
{
	for (size_t i = 0; i < span->length; i++)
		put_char(sink, span->text[i] >= ' ' && span->text[i] < 127 ? span->text[i] : '?');
}

static void put_signed(struct sink *sink, int value)
{
	if (value < 0)
		put_char(sink, '-');
	put_number(sink, value < 0 ? -(uint64_t)value : (uint64_t)value, 10);
}

size_t text_format(char *buffer, size_t size, const char *format, va_list args)
{
	struct sink sink = { buffer, size, 0 };

	for (; *format; format++) {
		bool wide = false;

		if (*format != '%') {
			put_char(&sink, *format);
			continue;
		}
		if (*++format == 'l') {
			wide = true;
			format++;
		}
		switch (*format) {
		case 's':
			put_string(&sink, va_arg(args, const char *));
			break;
		case 'z':
			put_span(&sink, va_arg(args, const struct span *));
			break;
		case 'c':
			put_char(&sink, (char)va_arg(args, int));
			break;
		case 'd':
			put_signed(&sink, va_arg(args, int));
			break;
		case 'u':
			put_number(&sink, wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), 10);
			break;
		case 'x':
			put_number(&sink, wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), 16);
			break;
		case 'p':
			put_number(&sink, va_arg(args, uint64_t), 16);
			break;
		case '\0':
			format--;
			break;
		default:
			put_char(&sink, *format);
		}
	}
	if (size)
		buffer[sink.length] = '\0';
	return sink.length;
}
