/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_XATTR_H
#define ABI_LINUX_XATTR_H

/* setxattr(2). */

#define XATTR_CREATE		0x1
#define XATTR_REPLACE		0x2
#define XATTR_OS2_PREFIX	"os2."
#define XATTR_MAC_OSX_PREFIX	"osx."
#define XATTR_BTRFS_PREFIX	"btrfs."
#define XATTR_HURD_PREFIX	"gnu."
#define XATTR_SECURITY_PREFIX	"security."
#define XATTR_SYSTEM_PREFIX	"system."
#define XATTR_TRUSTED_PREFIX	"trusted."
#define XATTR_USER_PREFIX	"user."

#endif
