/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_EXEC_INTERNAL_H
#define KERNEL_PROC_EXEC_INTERNAL_H

/* What exec.c and its helpers share. */
#include <kernel/proc/exec.h>

struct cred;
struct task;

/* Where argv and envp are: arrays of pointers in user or in kernel memory; 0: none. */
struct exec_source {
	bool kernel;
	u64 argv, envp;
};

/* exec_args.c */
int exec_copy_args(struct exec_image *img, const char *filename, const struct exec_source *src);
int exec_replace_argv0(struct exec_image *img, const char *interp, const char *arg, const char *script);
void exec_free_args(struct exec_image *img);

/* exec_cred.c: what the new program may do; sets img->secure, lowers img->personality. unsafe: EXEC_UNSAFE_*. */
#define EXEC_UNSAFE_SHARED	1U	/* another process shares cwd and root */
#define EXEC_UNSAFE_NO_NEW_PRIVS 2U
void exec_compute_cred(struct exec_image *img, struct cred *c, u32 unsafe);

/* exec_thread.c: the caller becomes the only thread and the leader. 0, -EAGAIN, -EINTR. */
int exec_become_only_thread(struct task *t);

/* For PID 1: strings from the kernel. On success the caller's user frame is the new program's. */
#define INIT_MAX_WORDS 40	/* Linux: MAX_INIT_ARGS is 32 */
int exec_kernel(const char *path, const char *const *argv, const char *const *envp);

#endif
