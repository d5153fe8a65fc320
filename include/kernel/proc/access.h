// SPDX-License-Identifier: MIT
/*
 * Looking into another process's memory: who may.
 *
 * Permission is about what the process is now, and execve may make it another: with a set-user-ID program
 * new memory and a new identity come one after the other. process.access_seq is odd meanwhile and
 * differs afterwards, so that a check and the space that it was made for can be kept together.
 */
#pragma once

#include <lib/types.h>

struct task;
struct process;
struct vm_space;

/*
 * The space of t's process, referenced, if the caller may look into it, and the sequence number that it belongs
 * to. -EPERM, -ESRCH (it has none any more), -EINTR. May sleep.
 */
int proc_space_access(struct task *t, struct vm_space **space, u32 *seq);

/*
 * For files of PROC_PID_READ: the space, referenced. procfs has asked already who may look, but of what the process was
 * then. NULL: *err, which is 0 when there is none any more.
 */
struct vm_space *proc_space_to_show(struct task *t, int *err);

/* The same space again, referenced; NULL when it is gone or execve has replaced it. */
struct vm_space *proc_space_again(struct task *t, u32 seq);

/* Around the point of no return of execve, by the only thread that is left. */
void proc_access_exec_begin(struct process *p);
void proc_access_exec_end(struct process *p);
