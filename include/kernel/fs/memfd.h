/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_FS_MEMFD_H
#define KERNEL_FS_MEMFD_H

#include <lib/compiler.h>

struct file;

/*
 * memfd_create(2): a nameless file in memory, open for reading and writing; name is what /proc shows.
 * ERR_PTR(-ENOMEM, -ENFILE, -ENOSPC).
 */
struct file *memfd_create(const char *name, bool sealable);

#endif
