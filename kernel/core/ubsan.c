/* SPDX-License-Identifier: MIT */
/*
 * What the compiler calls when it catches undefined behaviour (-fsanitize=undefined, HALCYON_UBSAN).
 *
 * The debug kernel panics with the place, the kind and the values; while a self test captures reports the operation goes on
 * as the machine does it. Structures are those that gcc 12 emits (libsanitizer/ubsan/ubsan_handlers.h); names and
 * layouts are its ABI. Values up to 64 bits come in the word itself, wider ones by address.
 *
 * Not asked for: signed overflow (the kernel is compiled with -fwrapv), null (page 0 is never mapped: the access
 * faults), alignment (x86 has none; structures of devices and files are __packed).
 */
#include <kernel/core/assert.h>
#include <lib/printf.h>
#include <lib/string.h>

#if HALCYON_UBSAN

struct ubsan_place {
	const char *file;
	u32 line;
	u32 column;
};

enum { TYPE_INTEGER = 0 };

struct ubsan_type {
	u16 kind;
	u16 info;	/* integers: bit 0 signed, the rest the logarithm of the width */
	char name[];
};

struct ubsan_overflow {
	struct ubsan_place place;
	const struct ubsan_type *type;
};

struct ubsan_shift {
	struct ubsan_place place;
	const struct ubsan_type *left;
	const struct ubsan_type *right;
};

struct ubsan_bounds {
	struct ubsan_place place;
	const struct ubsan_type *array;
	const struct ubsan_type *index;
};

struct ubsan_mismatch {
	struct ubsan_place place;
	const struct ubsan_type *type;
	u8 log_alignment;
	u8 kind;
};

struct ubsan_value {
	struct ubsan_place place;
	const struct ubsan_type *type;
};

struct ubsan_where {
	struct ubsan_place place;
};

struct ubsan_nonnull {
	struct ubsan_place place;
	struct ubsan_place attribute;
	int argument;
};

struct ubsan_builtin {
	struct ubsan_place place;
	u8 kind;
};

#define VALUE_TEXT 24

static bool is_signed(const struct ubsan_type *t)
{
	return t->kind == TYPE_INTEGER && (t->info & 1);
}

static u32 width_of(const struct ubsan_type *t)
{
	return 1u << (t->info >> 1);
}

static const char *value_text(char text[VALUE_TEXT], const struct ubsan_type *t, uintptr_t word)
{
	u32 width = width_of(t);

	if (t->kind != TYPE_INTEGER)
		scnprintf(text, VALUE_TEXT, "%#llx", (unsigned long long)word);
	else if (width > 64)
		scnprintf(text, VALUE_TEXT, "(%u bits)", width);
	else if (is_signed(t))
		scnprintf(text, VALUE_TEXT, "%lld", (long long)((s64)((u64)word << (64 - width)) >> (64 - width)));
	else
		scnprintf(text, VALUE_TEXT, "%llu", (unsigned long long)word);
	return text;
}

static bool is_negative(const struct ubsan_type *t, uintptr_t word)
{
	u32 width = width_of(t);

	return is_signed(t) && width <= 64 && (s64)((u64)word << (64 - width)) < 0;
}

static void report(const struct ubsan_place *p, const char *fmt, ...) __printf(2, 3) __cold;
static void report(const struct ubsan_place *p, const char *fmt, ...)
{
	char what[160];
	va_list ap;

	if (panic_active())
		return;
	va_start(ap, fmt);
	vscnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	report_bug("UBSAN: %s at %s:%u:%u", what, p->file, p->line, p->column);
}

void __ubsan_handle_out_of_bounds(const struct ubsan_bounds *d, uintptr_t index);
void __ubsan_handle_out_of_bounds(const struct ubsan_bounds *d, uintptr_t index)
{
	char text[VALUE_TEXT];

	report(&d->place, "index %s is out of bounds of %s", value_text(text, d->index, index), d->array->name);
}

void __ubsan_handle_shift_out_of_bounds(const struct ubsan_shift *d, uintptr_t left, uintptr_t right);
void __ubsan_handle_shift_out_of_bounds(const struct ubsan_shift *d, uintptr_t left, uintptr_t right)
{
	char a[VALUE_TEXT], b[VALUE_TEXT];

	report(&d->place, "shift of %s by %s%s in type %s", value_text(a, d->left, left), value_text(b, d->right, right),
	       is_negative(d->right, right) ? " (negative)" : "", d->left->name);
}

void __ubsan_handle_divrem_overflow(const struct ubsan_overflow *d, uintptr_t left, uintptr_t right);
void __ubsan_handle_divrem_overflow(const struct ubsan_overflow *d, uintptr_t left, uintptr_t right)
{
	char a[VALUE_TEXT], b[VALUE_TEXT];

	report(&d->place, "division of %s by %s in type %s", value_text(a, d->type, left), value_text(b, d->type, right),
	       d->type->name);
}

#define ARITHMETIC(op, sign)								\
	void __ubsan_handle_##op##_overflow(const struct ubsan_overflow *d, uintptr_t left, uintptr_t right);	\
	void __ubsan_handle_##op##_overflow(const struct ubsan_overflow *d, uintptr_t left, uintptr_t right)	\
	{										\
		char a[VALUE_TEXT], b[VALUE_TEXT];					\
											\
		report(&d->place, "overflow: %s " sign " %s in type %s", value_text(a, d->type, left),		\
		       value_text(b, d->type, right), d->type->name);			\
	}
ARITHMETIC(add, "+")
ARITHMETIC(sub, "-")
ARITHMETIC(mul, "*")

void __ubsan_handle_negate_overflow(const struct ubsan_overflow *d, uintptr_t value);
void __ubsan_handle_negate_overflow(const struct ubsan_overflow *d, uintptr_t value)
{
	char text[VALUE_TEXT];

	report(&d->place, "overflow: -%s in type %s", value_text(text, d->type, value), d->type->name);
}

void __ubsan_handle_pointer_overflow(const struct ubsan_where *d, uintptr_t base, uintptr_t result);
void __ubsan_handle_pointer_overflow(const struct ubsan_where *d, uintptr_t base, uintptr_t result)
{
	report(&d->place, "pointer arithmetic wraps: from %#llx to %#llx", (unsigned long long)base,
	       (unsigned long long)result);
}

/* Also object-size: an access beyond the end of an object that the compiler sees. */
void __ubsan_handle_type_mismatch_v1(const struct ubsan_mismatch *d, uintptr_t pointer);
void __ubsan_handle_type_mismatch_v1(const struct ubsan_mismatch *d, uintptr_t pointer)
{
	static const char *const kinds[] = { "load", "store", "reference", "member access", "member call", "constructor call",
					     "downcast", "downcast", "upcast", "cast", "_Nonnull", "dynamic operation" };

	report(&d->place, "%s at %#llx: no room for an object of type %s", d->kind < ARRAY_SIZE(kinds) ? kinds[d->kind] : "access",
	       (unsigned long long)pointer, d->type->name);
}

void __ubsan_handle_load_invalid_value(const struct ubsan_value *d, uintptr_t value);
void __ubsan_handle_load_invalid_value(const struct ubsan_value *d, uintptr_t value)
{
	char text[VALUE_TEXT];

	report(&d->place, "value %s is none of type %s", value_text(text, d->type, value), d->type->name);
}

void __ubsan_handle_vla_bound_not_positive(const struct ubsan_value *d, uintptr_t bound);
void __ubsan_handle_vla_bound_not_positive(const struct ubsan_value *d, uintptr_t bound)
{
	char text[VALUE_TEXT];

	report(&d->place, "length of an array is %s", value_text(text, d->type, bound));
}

void __ubsan_handle_nonnull_arg(const struct ubsan_nonnull *d);
void __ubsan_handle_nonnull_arg(const struct ubsan_nonnull *d)
{
	report(&d->place, "argument %d must not be null", d->argument);
}

void __ubsan_handle_nonnull_return_v1(const struct ubsan_nonnull *d, const struct ubsan_place *place);
void __ubsan_handle_nonnull_return_v1(const struct ubsan_nonnull *d, const struct ubsan_place *place)
{
	(void)d;
	report(place, "null is returned where it must not be");
}

void __ubsan_handle_invalid_builtin(const struct ubsan_builtin *d);
void __ubsan_handle_invalid_builtin(const struct ubsan_builtin *d)
{
	report(&d->place, "%s of zero is undefined", d->kind ? "__builtin_clz" : "__builtin_ctz");
}

/* There is nowhere to go on. */
__noreturn void __ubsan_handle_builtin_unreachable(const struct ubsan_where *d);
__noreturn void __ubsan_handle_builtin_unreachable(const struct ubsan_where *d)
{
	panic("UBSAN: unreachable code was reached at %s:%u:%u", d->place.file, d->place.line, d->place.column);
}

__noreturn void __ubsan_handle_missing_return(const struct ubsan_where *d);
__noreturn void __ubsan_handle_missing_return(const struct ubsan_where *d)
{
	panic("UBSAN: a function ended without its value at %s:%u:%u", d->place.file, d->place.line, d->place.column);
}

#endif
