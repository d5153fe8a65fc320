/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_COMMAND_H
#define KERNEL_TASK_COMMAND_H

/* For debug commands that are about a task: what a word names. Nothing is locked or believed: peek at what comes out. */
#include <lib/compiler.h>

struct command_io;
struct task;
struct thread;
struct vm_space;

/* A number is a task's, an address a struct thread; NULL the current thread. NULL, and said so: there is none. */
struct thread *task_command_thread(struct command_io *io, const char *word);
/* The same, but not a kernel thread. */
struct task *task_command_find(struct command_io *io, const char *word);
bool task_is_user_thread(const struct thread *t);
/* Its address space; NULL when it has none, or is not readable. */
struct vm_space *task_command_space(const struct task *t);

#endif
