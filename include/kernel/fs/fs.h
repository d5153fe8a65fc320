/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_FS_FS_H
#define KERNEL_FS_FS_H

/* File systems: what main.c calls, in this order, after vfs_init(). */
#include <lib/compiler.h>

/* Registers ramfs, tmpfs, devtmpfs, proc, sysfs; mounts the rootfs (a tmpfs) as / of everybody. */
void fs_init(void);

/*
 * Unpacks one initrd (any number of concatenated archives) into /. Logs what is wrong with it, by
 * `name`. 0, or -errno when something was wrong: what came before is there.
 */
int initramfs_unpack(const char *name, const void *data, u64 size);

/*
 * /dev/console, whatever the initrd holds: makes /dev and the node if they are missing, opens it
 * and returns the file (for descriptors 0, 1, 2), or ERR_PTR.
 */
struct file;
struct file *initramfs_open_console(void);

#endif
