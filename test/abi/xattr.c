/*
 * xattr.c - extended attributes in the user namespace of a tmpfs: not supported
 * there by Linux 6.1 either, with the errors that come before that.
 */
#include "tap.h"

#include <sys/mount.h>
#include <sys/xattr.h>

static char long_name[300];

int main(void)
{
	char buf[64];
	int fd;

	mkdir("xattr", 0755);
	works(mount("tmpfs", "xattr", "tmpfs", 0, ""), "a tmpfs");
	fd = open("xattr/file", O_RDWR | O_CREAT, 0644);
	symlink("nowhere", "xattr/dangling");
	memset(long_name, 'u', sizeof(long_name) - 1);
	memcpy(long_name, "user.", 5);
	fails(getxattr("xattr/file", "user.a", buf, sizeof(buf)), EOPNOTSUPP, "getxattr");
	fails(fgetxattr(fd, "user.a", buf, sizeof(buf)), EOPNOTSUPP, "fgetxattr");
	fails(setxattr("xattr/file", "user.a", "v", 1, 0), EOPNOTSUPP, "setxattr");
	fails(fsetxattr(fd, "user.a", "v", 1, 0), EOPNOTSUPP, "fsetxattr");
	fails(removexattr("xattr/file", "user.a"), EOPNOTSUPP, "removexattr");
	is(listxattr("xattr/file", buf, sizeof(buf)), 0, "listxattr: none");
	is(llistxattr("xattr/file", NULL, 0), 0, "llistxattr: none");
	is(flistxattr(fd, buf, sizeof(buf)), 0, "flistxattr: none");
	fails(getxattr("xattr/missing", "user.a", buf, sizeof(buf)), ENOENT, "a missing file");
	fails(getxattr("xattr/dangling", "user.a", buf, sizeof(buf)), ENOENT, "a dangling link");
	fails(fgetxattr(-1, "user.a", buf, sizeof(buf)), EBADF, "a bad descriptor");
	fails(getxattr("xattr/file", "", buf, sizeof(buf)), ERANGE, "an empty name");
	fails(getxattr("xattr/file", long_name, buf, sizeof(buf)), ERANGE, "a long name");
	fails(getxattr("xattr/file", (char *)8, buf, sizeof(buf)), EFAULT, "a bad name");
	fails(setxattr("xattr/file", "user.a", "v", 1, 4), EINVAL, "a bad flag");
	fails(setxattr("xattr/file", "user.a", "v", 65537, 0), E2BIG, "a huge value");
	fails(setxattr("xattr/file", "user.a", (char *)8, 1, 0), EFAULT, "a bad value");
	fails(removexattr("xattr/file", (char *)-4096), EFAULT, "a kernel address");
	fails(getxattr((char *)8, "user.a", buf, sizeof(buf)), EFAULT, "a bad path");
	close(fd);
	works(umount("xattr"), "umount");
	return tap_done();
}
