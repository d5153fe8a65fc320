/* SPDX-License-Identifier: MIT */
/*
 * Masks and lists of CPUs. What is accepted, and the errors, are those of Linux's bitmap_parse() and bitmap_parselist(), which
 * programs (taskset, irqbalance) meet in /proc/irq and /sys.
 */
#include <kernel/core/cpumask_text.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#define GROUP_BITS 32u

static u32 group_of(const struct cpumask *m, u32 group)
{
	return (u32)(m->bits[group / 2] >> (group % 2 * GROUP_BITS));
}

size_t cpumask_format(char *buf, size_t size, const struct cpumask *m, u32 nr)
{
	u32 groups = DIV_ROUND_UP(nr, GROUP_BITS);
	size_t n = 0;

	for (u32 g = groups; g-- > 0;) {
		u32 bits = g == groups - 1 ? nr - g * GROUP_BITS : GROUP_BITS;
		u32 value = group_of(m, g) & (u32)(BIT(bits) - 1);

		n += (size_t)scnprintf(buf + n, size - n, "%0*x%s", (int)DIV_ROUND_UP(bits, 4u), value, g ? "," : "");
	}
	return n;
}

size_t cpumask_format_list(char *buf, size_t size, const struct cpumask *m, u32 nr)
{
	u32 first = cpumask_next(m, 0);
	size_t n = 0;

	if (size)
		buf[0] = '\0';
	while (first < nr) {
		u32 last = first;

		while (last + 1 < nr && cpumask_test(m, last + 1))
			last++;
		n += (size_t)scnprintf(buf + n, size - n, last == first ? "%s%u" : "%s%u-%u", n ? "," : "", first, last);
		first = cpumask_next(m, last + 1);
	}
	return n;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool ends_region(char c)
{
	return is_space(c) || c == ',' || c == '\0' || c == '\n';
}

/* From the right: the last group is the lowest. */
int cpumask_parse(const char *text, u32 nr, struct cpumask *out)
{
	size_t end = 0;
	u32 group = 0;

	while (text[end] && text[end] != '\n')
		end++;
	cpumask_clear(out);
	for (;;) {
		u32 value = 0;

		while (end && ends_region(text[end - 1]))
			end--;
		if (!end)
			return 0;
		if (group == DIV_ROUND_UP(nr, GROUP_BITS))
			return -EOVERFLOW;
		for (u32 shift = 0; end && !ends_region(text[end - 1]); shift += 4) {
			int digit = hex_digit(text[--end]);

			if (digit < 0)
				return -EINVAL;
			if (shift == GROUP_BITS)
				return -EOVERFLOW;
			value |= (u32)digit << shift;
		}
		if (nr - group * GROUP_BITS < GROUP_BITS && value >> (nr - group * GROUP_BITS))
			return -EOVERFLOW;
		out->bits[group / 2] |= (u64)value << (group % 2 * GROUP_BITS);
		group++;
	}
}

/* A number, or N. -EINVAL none there; -EOVERFLOW too long. */
static int number(const char **text, u32 nr, u32 *out)
{
	const char *p = *text;
	u64 v = 0;

	if (*p == 'N') {
		*text = p + 1;
		*out = nr - 1;
		return 0;
	}
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (u32)(*p - '0');
		if (v > 0xffffffffull)
			return -EOVERFLOW;
	}
	*text = p;
	*out = (u32)v;
	return 0;
}

struct region {
	u32 start, end, used, group;
};

static int parse_region(const char **text, u32 nr, struct region *r)
{
	int err;

	if (!strncmp(*text, "all", 3) && (ends_region((*text)[3]) || (*text)[3] == ':')) {
		*text += 3;
		*r = (struct region){ 0, nr - 1, nr, nr };
	} else {
		err = number(text, nr, &r->start);
		if (err)
			return err;
		r->end = r->start;
		if (**text == '-') {
			(*text)++;
			err = number(text, nr, &r->end);
			if (err)
				return err;
		} else if (!ends_region(**text)) {
			return -EINVAL;
		}
		r->used = r->group = r->end + 1;
	}
	if (**text == ':') {
		(*text)++;
		err = number(text, nr, &r->used);
		if (!err && *(*text)++ != '/')
			err = -EINVAL;
		if (!err)
			err = number(text, nr, &r->group);
		if (err)
			return err;
	}
	return ends_region(**text) ? 0 : -EINVAL;
}

int cpumask_parse_list(const char *text, u32 nr, struct cpumask *out)
{
	struct region r;
	int err;

	cpumask_clear(out);
	for (;;) {
		while (*text == ',' || (is_space(*text) && *text != '\n'))
			text++;
		if (!*text || *text == '\n')
			return 0;
		err = parse_region(&text, nr, &r);
		if (err)
			return err;
		if (r.start > r.end || !r.group || r.used > r.group)
			return -EINVAL;
		if (r.end >= nr)
			return -ERANGE;
		for (u64 base = r.start; base <= r.end; base += r.group)
			for (u64 cpu = base; cpu < base + r.used && cpu <= r.end; cpu++)
				cpumask_set(out, (u32)cpu);
	}
}
