/* SPDX-License-Identifier: MIT */
/* pipe(2). */
#include <abi/linux/fcntl.h>
#include <gen/syscall_protos.h>
#include <kernel/ipc/pipe.h>
#include <kernel/vfs/files.h>
#include <kernel/vm/uaccess.h>

/* Reserves both descriptors and tells the program before anything of it can be seen. */
static long install_pair(struct file *pair[2], unsigned flags, uptr_t fds)
{
	s32 fd[2];
	long err;

	fd[0] = fd_reserve(0, flags);
	if (fd[0] < 0)
		return fd[0];
	fd[1] = fd_reserve(0, flags);
	if (fd[1] < 0) {
		err = fd[1];
		goto unreserve_first;
	}
	err = copy_to_user(fds, fd, sizeof(fd));
	if (err)
		goto unreserve_second;
	fd_install(fd[0], pair[0]);
	fd_install(fd[1], pair[1]);
	return 0;
unreserve_second:
	fd_unreserve(fd[1]);
unreserve_first:
	fd_unreserve(fd[0]);
	return err;
}

long sys_pipe2(uptr_t fds, int flags)
{
	struct file *pair[2];
	long err;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_EXCL))
		return -EINVAL;
	if (flags & O_EXCL) /* O_NOTIFICATION_PIPE: as a Linux without watch queues */
		return -ENOPKG;
	err = pipe_create((unsigned)flags, pair);
	if (err)
		return err;
	err = install_pair(pair, (unsigned)flags, fds);
	if (err) {
		file_put(pair[0]);
		file_put(pair[1]);
	}
	return err;
}

long sys_pipe(uptr_t fds)
{
	return sys_pipe2(fds, 0);
}
