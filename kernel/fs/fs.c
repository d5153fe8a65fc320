/* SPDX-License-Identifier: MIT */
/* Boot of the file systems: types, and the tmpfs that is / from here on. */
#include "internal.h"

#include <kernel/fs/fs.h>

void fs_init(void)
{
	int err;

	tmpfs_init();
	err = mount_init_root("rootfs");
	if (err)
		panic("cannot mount the root file system: error %d", -err);
	memfd_init();
	devtmpfs_init();
	proc_pid_init();
	procfs_init();
	sysfs_init();
	initramfs_init();
}
