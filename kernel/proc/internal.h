/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_INTERNAL_H
#define KERNEL_PROC_INTERNAL_H

/* What the files of the process layer share. */
#include <lib/list.h>
#include <lib/types.h>

struct file;
struct pid;
struct process;
struct task;

/* A descriptor for pid: reserves a number (returned), makes the file. -errno. */
int pidfd_prepare(struct pid *pid, struct file **out);
void pidfd_abandon(int fd, struct file *file);

/*
 * The task stops using its address space: robust futexes, clear_child_tid,
 * the vfork parent. For exit and for execve, before the space goes.
 */
void exit_release_user_memory(struct task *t);

/*
 * Takes an ended process out of the tree. task_tree_lock held. Its memory is
 * freed by process_reap_finish() after the lock.
 */
void process_reap_locked(struct process *p, struct list_head *dead);
void process_reap_finish(struct list_head *dead);
/* All threads are gone but the leader, which is a zombie. task_tree_lock held. */
bool process_is_zombie_locked(const struct process *p);

/* pid_files.c, pid_status.c: /proc/PID. */
int proc_files_init(void);
int proc_status_init(void);
int sched_files_init(void); /* sched_files.c */
/* The letter of /proc/PID/stat's third column. */
char proc_state_letter(struct task *t);

#endif
