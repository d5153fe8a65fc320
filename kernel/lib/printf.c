/* SPDX-License-Identifier: MIT */
/*
 * Formatted output.
 *
 * Each conversion is first taken apart into a struct spec, then rendered: digits
 * from the end into a small buffer, then padding, sign, prefix, precision zeros
 * and digits in the order that C11 7.21.6.1 gives. Output goes through emit(),
 * which counts everything and stores what fits, so nothing can be overrun.
 */
#include <lib/printf.h>
#include <lib/string.h>

size_t (*printf_symbol_hook)(u64 addr, char *buf, size_t size);

struct out {
	char *pos;
	char *end;		/* the last byte that may be stored, plus one */
	size_t total;		/* what the whole text takes */
};

enum {
	LEFT = 1,
	PLUS = 2,
	SPACE = 4,
	ALT = 8,
	ZERO = 16,
	UPPER = 32,
};

struct spec {
	unsigned int flags;
	int width;
	int precision;		/* -1: none given */
	int size;		/* bytes of an integer argument */
};

static inline void emit(struct out *o, char c)
{
	if (o->pos < o->end)
		*o->pos++ = c;
	o->total++;
}

static void emit_mem(struct out *o, const char *s, size_t n)
{
	size_t room = MIN(n, (size_t)(o->end - o->pos));

	memcpy(o->pos, s, room);
	o->pos += room;
	o->total += n;
}

static void emit_pad(struct out *o, char c, int n)
{
	size_t room;

	if (n <= 0)
		return;
	room = MIN((size_t)n, (size_t)(o->end - o->pos));
	memset(o->pos, c, room);
	o->pos += room;
	o->total += (size_t)n;
}

static void emit_text(struct out *o, const struct spec *sp, const char *s, size_t n)
{
	int len = (int)MIN(n, (size_t)INT32_MAX);

	if (!(sp->flags & LEFT))
		emit_pad(o, ' ', sp->width - len);
	emit_mem(o, s, n);
	if (sp->flags & LEFT)
		emit_pad(o, ' ', sp->width - len);
}

static void emit_string(struct out *o, const struct spec *sp, const char *s)
{
	if (!s)
		s = sp->precision < 0 || sp->precision >= 6 ? "(null)" : "";
	emit_text(o, sp, s, sp->precision < 0 ? strlen(s) : strnlen(s, (size_t)sp->precision));
}

/* Digits of v, written so that they end at end; returns where they begin. */
static char *render(char *end, u64 v, unsigned int base, unsigned int flags)
{
	const char *digits = flags & UPPER ? "0123456789ABCDEF" : "0123456789abcdef";

	if (base == 10) {
		for (; v > UINT32_MAX; v /= 10)
			*--end = (char)('0' + v % 10);
		for (u32 w = (u32)v; w; w /= 10)
			*--end = (char)('0' + w % 10);
	} else {
		unsigned int shift = base == 16 ? 4 : 3;

		for (; v; v >>= shift)
			*--end = digits[v & (base - 1)];
	}
	return end;
}

static void emit_number(struct out *o, const struct spec *sp, u64 v, unsigned int base, char sign)
{
	char buf[24], *end = buf + sizeof(buf), *p = render(end, v, base, sp->flags);
	int digits = (int)(end - p), zeros, pad;
	const char *prefix = "";

	if (sp->flags & ALT && base == 16 && v)
		prefix = sp->flags & UPPER ? "0X" : "0x";
	zeros = (sp->precision < 0 ? 1 : sp->precision) - digits;
	if (sp->flags & ALT && base == 8 && zeros <= 0)
		zeros = 1;
	zeros = MAX(zeros, 0);
	pad = sp->width - digits - zeros - (sign != 0) - (*prefix ? 2 : 0);
	if (sp->flags & ZERO && !(sp->flags & LEFT) && sp->precision < 0 && pad > 0) {
		zeros += pad;
		pad = 0;
	}
	if (!(sp->flags & LEFT))
		emit_pad(o, ' ', pad);
	if (sign)
		emit(o, sign);
	emit_mem(o, prefix, *prefix ? 2 : 0);
	emit_pad(o, '0', zeros);
	emit_mem(o, p, (size_t)digits);
	if (sp->flags & LEFT)
		emit_pad(o, ' ', pad);
}

static void emit_signed(struct out *o, const struct spec *sp, s64 v)
{
	char sign = v < 0 ? '-' : sp->flags & PLUS ? '+' : sp->flags & SPACE ? ' ' : 0;

	emit_number(o, sp, v < 0 ? -(u64)v : (u64)v, 10, sign);
}

static void emit_address(struct out *o, struct spec *sp, u64 v)
{
	sp->flags |= ALT;
	if (v) {
		emit_number(o, sp, v, 16, 0);
	} else {
		sp->precision = -1;
		emit_text(o, sp, "0x0", 3);
	}
}

static void emit_symbol(struct out *o, struct spec *sp, u64 addr)
{
	char name[128];
	size_t n = 0;

	if (printf_symbol_hook)
		n = printf_symbol_hook(addr, name, sizeof(name));
	if (n)
		emit_text(o, sp, name, MIN(n, sizeof(name)));
	else
		emit_address(o, sp, addr);
}

static const char *parse_flags(const char *f, struct spec *sp)
{
	for (;; f++) {
		switch (*f) {
		case '-': sp->flags |= LEFT; break;
		case '+': sp->flags |= PLUS; break;
		case ' ': sp->flags |= SPACE; break;
		case '#': sp->flags |= ALT; break;
		case '0': sp->flags |= ZERO; break;
		default: return f;
		}
	}
}

/* Decimal digits, saturating well below what could overflow sums of an int. */
static const char *parse_count(const char *f, int *n)
{
	*n = 0;
	for (; isdigit(*f); f++)
		*n = MIN(*n * 10 + (*f - '0'), 1 << 20);
	return f;
}

static const char *parse_length(const char *f, struct spec *sp)
{
	switch (*f) {
	case 'h':
		sp->size = f[1] == 'h' ? 1 : 2;
		return f[1] == 'h' ? f + 2 : f + 1;
	case 'l':
		sp->size = 8;
		return f[1] == 'l' ? f + 2 : f + 1;
	case 'z':
	case 't':
	case 'j':
		sp->size = 8;
		return f + 1;
	default:
		sp->size = 4;
		return f;
	}
}

static u64 truncate_unsigned(u64 v, int size)
{
	return size == 8 ? v : v & (BIT(8 * size) - 1);
}

static s64 truncate_signed(u64 v, int size)
{
	return size == 8 ? (s64)v : size == 4 ? (s32)v : size == 2 ? (s16)v : (s8)v;
}

/* va_list is an array type: inside a structure it can be passed on by address. */
struct args {
	va_list ap;
};

static u64 next_int(struct args *a, int size)
{
	return size == 8 ? va_arg(a->ap, u64) : va_arg(a->ap, unsigned int);
}

static const char *parse_spec(const char *f, struct spec *sp, struct args *a)
{
	*sp = (struct spec){ .precision = -1 };
	f = parse_flags(f, sp);
	if (*f == '*') {
		f++;
		sp->width = CLAMP(va_arg(a->ap, int), -(1 << 20), 1 << 20);
		if (sp->width < 0) {
			sp->flags |= LEFT;
			sp->width = -sp->width;
		}
	} else {
		f = parse_count(f, &sp->width);
	}
	if (*f == '.') {
		f++;
		if (*f == '*') {
			f++;
			sp->precision = MAX(MIN(va_arg(a->ap, int), 1 << 20), -1);
		} else {
			f = parse_count(f, &sp->precision);
		}
	}
	return parse_length(f, sp);
}

/* One conversion; f is behind the %. Returns where the format goes on, or NULL. */
static const char *convert(struct out *o, const char *f, struct args *a)
{
	const char *start = f - 1;
	struct spec sp;
	char c;

	f = parse_spec(f, &sp, a);
	switch (*f) {
	case 'd':
	case 'i':
		emit_signed(o, &sp, truncate_signed(next_int(a, sp.size), sp.size));
		return f + 1;
	case 'X':
		sp.flags |= UPPER;
		fallthrough;
	case 'x':
		emit_number(o, &sp, truncate_unsigned(next_int(a, sp.size), sp.size), 16, 0);
		return f + 1;
	case 'u':
		emit_number(o, &sp, truncate_unsigned(next_int(a, sp.size), sp.size), 10, 0);
		return f + 1;
	case 'o':
		emit_number(o, &sp, truncate_unsigned(next_int(a, sp.size), sp.size), 8, 0);
		return f + 1;
	case 'c':
		c = (char)va_arg(a->ap, int);
		emit_text(o, &sp, &c, 1);
		return f + 1;
	case 's':
		emit_string(o, &sp, va_arg(a->ap, const char *));
		return f + 1;
	case 'p':
		if (f[1] == 'S') {
			emit_symbol(o, &sp, (u64)(uintptr_t)va_arg(a->ap, void *));
			return f + 2;
		}
		emit_address(o, &sp, (u64)(uintptr_t)va_arg(a->ap, void *));
		return f + 1;
	case '%':
		emit(o, '%');
		return f + 1;
	default:
		/* What follows cannot be trusted: its argument may be misread. */
		emit_mem(o, start, strlen(start));
		return NULL;
	}
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	char none;
	struct out o = { buf, buf, 0 };
	struct args a;

	if (size)
		o.end = buf + size - 1;
	else
		o.pos = o.end = &none;
	va_copy(a.ap, ap);
	while (fmt && *fmt) {
		const char *next = strchrnul(fmt, '%');

		emit_mem(&o, fmt, (size_t)(next - fmt));
		fmt = *next ? convert(&o, next + 1, &a) : next;
	}
	va_end(a.ap);
	if (size)
		*o.pos = 0;
	return (int)MIN(o.total, (size_t)INT32_MAX);
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

int vscnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, size, fmt, ap);

	return size ? (int)MIN((size_t)n, size - 1) : 0;
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vscnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
