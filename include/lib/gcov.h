/* SPDX-License-Identifier: MIT */
#ifndef LIB_GCOV_H
#define LIB_GCOV_H

/*
 * Coverage counters of freestanding code: how gcc 12 and 13 lay them out, and how they leave the machine.
 *
 * With -fprofile-arcs -fprofile-info-section the compiler emits for each object file a struct gcov_info and a
 * pointer to it in a section that the linker script brackets; nothing has to run at start. gcov_emit_all() writes all
 * of them, byte by byte, as a stream that tools/coverage.py takes apart and adds up over many boots:
 *
 *	for each object file	GCOV_STREAM_MAGIC, the name of its .gcda with a NUL, then the .gcda itself (gcc's
 *				gcov-io.h), then a tag of 0
 *
 * Counters are not atomic: a lost count is a lost count, whether a line ran is not lost. Used by the loader and by
 * hal/x86_64, COVERAGE=1 only.
 */
#if HALCYON_COVERAGE

#define GCOV_STREAM_MAGIC	0x56434748u	/* "HGCV" */
#define GCOV_DATA_MAGIC		0x67636461u	/* "gcda" */
#define GCOV_TAG_FUNCTION	0x01000000u
#define GCOV_TAG_COUNTER_BASE	0x01a10000u
#define GCOV_TAG_STEP		0x00020000u	/* between kinds of counters */
#define GCOV_COUNTERS		8u		/* kinds; gcc 14 has nine */
#define GCOV_PORT		0x4e9		/* QEMU's isa-debugcon at this port takes the stream */

#if __GNUC__ < 12 || __GNUC__ > 13
#error "the layout of gcc's coverage counters is known for gcc 12 and 13 only"
#endif

struct gcov_counters {
	unsigned int count;
	long long *values;
};

struct gcov_function {
	const struct gcov_info *owner;	/* another object's: the linker kept that copy of an inline function */
	unsigned int ident;
	unsigned int line_checksum;
	unsigned int flow_checksum;
	struct gcov_counters counters[];	/* one for each kind that the object uses */
};

struct gcov_info {
	unsigned int version;
	struct gcov_info *next;
	unsigned int stamp;
	unsigned int checksum;
	const char *filename;
	void (*merge[GCOV_COUNTERS])(long long *, unsigned int);	/* NULL: kind not used */
	unsigned int function_count;
	const struct gcov_function *const *functions;
};

static inline void gcov_emit_bytes(void (*emit)(unsigned char), unsigned long long value, int n)
{
	for (int i = 0; i < n; i++)
		emit((unsigned char)(value >> 8 * i));
}

/* Most functions never run in one boot: they are left out, and count as zero. */
static inline int gcov_has_run(const struct gcov_info *info, const struct gcov_function *f)
{
	const struct gcov_counters *c = f->counters;

	for (unsigned int kind = 0; kind < GCOV_COUNTERS; kind++) {
		if (!info->merge[kind])
			continue;
		for (unsigned int i = 0; i < c->count; i++)
			if (c->values[i])
				return 1;
		c++;
	}
	return 0;
}

static inline void gcov_emit_function(void (*emit)(unsigned char), const struct gcov_info *info,
				      const struct gcov_function *f)
{
	const struct gcov_counters *c = f->counters;

	gcov_emit_bytes(emit, GCOV_TAG_FUNCTION, 4);
	gcov_emit_bytes(emit, 12, 4);
	gcov_emit_bytes(emit, f->ident, 4);
	gcov_emit_bytes(emit, f->line_checksum, 4);
	gcov_emit_bytes(emit, f->flow_checksum, 4);
	for (unsigned int kind = 0; kind < GCOV_COUNTERS; kind++) {
		if (!info->merge[kind])
			continue;
		gcov_emit_bytes(emit, GCOV_TAG_COUNTER_BASE + kind * GCOV_TAG_STEP, 4);
		gcov_emit_bytes(emit, c->count * 8ull, 4);
		for (unsigned int i = 0; i < c->count; i++)
			gcov_emit_bytes(emit, (unsigned long long)c->values[i], 8);
		c++;
	}
}

static inline void gcov_emit_all(struct gcov_info *const *from, struct gcov_info *const *to, void (*emit)(unsigned char))
{
	for (; from < to; from++) {
		const struct gcov_info *info = *from;

		gcov_emit_bytes(emit, GCOV_STREAM_MAGIC, 4);
		for (const char *c = info->filename; *c; c++)
			emit((unsigned char)*c);
		emit(0);
		gcov_emit_bytes(emit, GCOV_DATA_MAGIC, 4);
		gcov_emit_bytes(emit, info->version, 4);
		gcov_emit_bytes(emit, info->stamp, 4);
		gcov_emit_bytes(emit, info->checksum, 4);
		for (unsigned int i = 0; i < info->function_count; i++)
			if (info->functions[i] && info->functions[i]->owner == info && gcov_has_run(info, info->functions[i]))
				gcov_emit_function(emit, info, info->functions[i]);
		gcov_emit_bytes(emit, 0, 4);
	}
}

#endif
#endif
