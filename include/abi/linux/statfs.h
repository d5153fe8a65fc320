/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_STATFS_H
#define ABI_LINUX_STATFS_H

/* statfs(2): the structure, mount flags in f_flags, magic numbers. */

#include <lib/types.h>

struct statfs {
	s64 f_type;
	s64 f_bsize;
	s64 f_blocks;
	s64 f_bfree;
	s64 f_bavail;
	s64 f_files;
	s64 f_ffree;
	struct {
		s32 val[2];
	} f_fsid;
	s64 f_namelen;
	s64 f_frsize;
	s64 f_flags;
	s64 f_spare[4];
};

#define ST_RDONLY		0x0001
#define ST_NOSUID		0x0002
#define ST_NODEV		0x0004
#define ST_NOEXEC		0x0008
#define ST_SYNCHRONOUS		0x0010
#define ST_VALID		0x0020
#define ST_MANDLOCK		0x0040
#define ST_NOATIME		0x0400
#define ST_NODIRATIME		0x0800
#define ST_RELATIME		0x1000
#define ST_NOSYMFOLLOW		0x2000

#define RAMFS_MAGIC		0x858458f6
#define TMPFS_MAGIC		0x01021994
#define PROC_SUPER_MAGIC	0x9fa0
#define SYSFS_MAGIC		0x62656572
#define DEVPTS_SUPER_MAGIC	0x1cd1
#define EXT4_SUPER_MAGIC	0xEF53
#define MSDOS_SUPER_MAGIC	0x4d44
#define ISOFS_SUPER_MAGIC	0x9660
#define DEBUGFS_MAGIC		0x64626720
#define PIPEFS_MAGIC		0x50495045
#define SOCKFS_MAGIC		0x534F434B
#define ANON_INODE_FS_MAGIC	0x09041934
#define CGROUP2_SUPER_MAGIC	0x63677270
#define OVERLAYFS_SUPER_MAGIC	0x794c7630
#define SQUASHFS_MAGIC		0x73717368
#define EFIVARFS_MAGIC		0xde5e81e4
#define NSFS_MAGIC		0x6e736673
#define BDEVFS_MAGIC		0x62646576
#define HUGETLBFS_MAGIC		0x958458f6
#define TRACEFS_MAGIC		0x74726163

#endif
