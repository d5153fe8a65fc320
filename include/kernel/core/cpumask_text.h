/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_CPUMASK_TEXT_H
#define KERNEL_CORE_CPUMASK_TEXT_H

/*
 * Sets of CPUs as text, as /proc and /sys show and take them: the mask of Linux's "%*pb" ("f", "ffffffff,ffffffff") and
 * the list of "%*pbl" ("0-3,8"). `nr` is how many CPUs there can be. Any context, no locks.
 */
#include <kernel/core/cpumask.h>
#include <lib/compiler.h>

#define CPUMASK_TEXT_BYTES	160u	/* a mask of MAX_CPUS with its NUL */
#define CPULIST_TEXT_BYTES	2048u	/* a list of every other of them */

/* Bytes without the NUL. size: at least the above, or the text is cut. */
size_t cpumask_format(char *buf, size_t size, const struct cpumask *m, u32 nr);
size_t cpumask_format_list(char *buf, size_t size, const struct cpumask *m, u32 nr);

/*
 * Up to a line feed or the text's end. An empty text is an empty set. 0; -EINVAL no such text; -EOVERFLOW a CPU at or
 * above nr, or more than eight digits in a group.
 */
int __must_check cpumask_parse(const char *text, u32 nr, struct cpumask *out);
/*
 * Numbers, ranges "a-b", "a-b:used/group", "N" for the last CPU, "all". 0; -EINVAL; -ERANGE a CPU at or above nr;
 * -EOVERFLOW a number that is none.
 */
int __must_check cpumask_parse_list(const char *text, u32 nr, struct cpumask *out);

#endif
