/* SPDX-License-Identifier: MIT */
/* Numbers from text: strict, with overflow as an error of its own. */
#include <lib/errno.h>
#include <lib/string.h>

static int digit_value(int c)
{
	if (isdigit(c))
		return c - '0';
	if (isalpha(c))
		return tolower(c) - 'a' + 10;
	return 99;
}

/* Base 0: C's prefixes. Skips 0x for base 16 if a digit follows. */
static int detect_base(const char **s, int base)
{
	const char *p = *s;

	if ((base == 0 || base == 16) && p[0] == '0' && (p[1] == 'x' || p[1] == 'X') &&
	    hex_digit(p[2]) >= 0) {
		*s = p + 2;
		return 16;
	}
	if (base == 0)
		return p[0] == '0' ? 8 : 10;
	return base;
}

int parse_u64(const char *s, int base, u64 *val, const char **end)
{
	u64 v = 0;
	bool overflow = false;
	const char *start;

	base = detect_base(&s, base);
	for (start = s; digit_value(*s) < base; s++)
		overflow |= mul_overflow(v, (u64)base, &v) ||
			    add_overflow(v, (u64)digit_value(*s), &v);
	if (end)
		*end = s;
	if (s == start || (!end && *s))
		return -EINVAL;
	if (overflow)
		return -ERANGE;
	*val = v;
	return 0;
}

int parse_s64(const char *s, int base, s64 *val, const char **end)
{
	bool negative = *s == '-';
	u64 v;
	int err = parse_u64(*s == '-' || *s == '+' ? s + 1 : s, base, &v, end);

	if (err)
		return err;
	if (v > (u64)INT64_MAX + negative)
		return -ERANGE;
	*val = (s64)(negative ? -v : v);
	return 0;
}

int parse_size(const char *s, u64 *val, const char **end)
{
	static const char units[] = "kmgt";
	const char *stop, *unit;
	u64 v;
	int err = parse_u64(s, 0, &v, &stop);

	if (err)
		return err;
	unit = *stop ? strchr(units, tolower(*stop)) : NULL;
	if (unit) {
		stop++;
		if (mul_overflow(v, 1ULL << (10 * (unit - units + 1)), &v))
			return -ERANGE;
	}
	if (end)
		*end = stop;
	else if (*stop)
		return -EINVAL;
	*val = v;
	return 0;
}
