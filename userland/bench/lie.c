/*
 * lie.c - proof that the operations notice a kernel that only says that it did something.
 *
 * `bench lie:NUMBER:VALUE:OP` runs an operation while one system call is answered without being carried out: a seccomp
 * filter hands the call to a second thread of ours (seccomp_unotify(2)), which returns VALUE, or the call's third
 * argument where VALUE is "count": a read that moved all bytes and none, a kill that nobody hears, an mprotect that
 * protects nothing. The operation must end with "failed". test/qemu/bench.py runs a list of such lies on Debian's Linux.
 *
 * Calls on descriptor 1 stay true for write, or nothing could be said about it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

static int listener = -1, listener_pipe[2];
static int value_is_count;
static long value;

/* The thread that answers; it has no filter, as it began before there was one. */
static void *answer(void *unused __attribute__((unused)))
{
	int fd;

	if (read(listener_pipe[0], &fd, sizeof(fd)) != sizeof(fd))
		return NULL;
	for (;;) {
		struct seccomp_notif call;
		struct seccomp_notif_resp reply;

		memset(&call, 0, sizeof(call));
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			return NULL;
		}
		memset(&reply, 0, sizeof(reply));
		reply.id = call.id;
		reply.val = value_is_count ? (long)call.data.args[2] : value;
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &reply);
	}
}

void lie_begin(unsigned int number, const char *what)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number == SYS_write ? 1 : 0xffffffff, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	pthread_t thread;

	value_is_count = !strcmp(what, "count");
	sscanf(what, "%ld", &value);
	must(pipe(listener_pipe), "pipe");
	REQUIRE(pthread_create(&thread, NULL, answer, NULL) == 0);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	listener = must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program), "seccomp");
	/* From here on a lied-about write could not tell the thread; only then does it matter that it is not lied about. */
	must(syscall(SYS_writev, listener_pipe[1], &(struct { void *at; size_t length; }){ &listener, sizeof(listener) }, 1),
	     "writev");
}
