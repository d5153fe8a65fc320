/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_DIRENT_H
#define ABI_LINUX_DIRENT_H

/* getdents64(2). */

#include <lib/types.h>

#define DT_UNKNOWN		0
#define DT_FIFO			1
#define DT_CHR			2
#define DT_DIR			4
#define DT_BLK			6
#define DT_REG			8
#define DT_LNK			10
#define DT_SOCK			12
#define DT_WHT			14

/* d_reclen is a multiple of 8; the name ends with a NUL. */
struct linux_dirent64 {
	u64 d_ino;
	s64 d_off;
	u16 d_reclen;
	u8 d_type;
	char d_name[];
};

/* getdents(2): the type is the last byte of the record. */
struct linux_dirent {
	u64 d_ino;
	u64 d_off;
	u16 d_reclen;
	char d_name[];
};

#endif
