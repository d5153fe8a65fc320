/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_IPC_TIMERFD_H
#define KERNEL_IPC_TIMERFD_H

/* Timers that one reads from a descriptor: timerfd_create(2). */
#include <abi/linux/time.h>
#include <lib/compiler.h>

struct file;

/* A disarmed timer as a file. -EINVAL: a clock that cannot be; -EPERM: an alarm clock without CAP_WAKE_ALARM; -ENOMEM, -ENFILE. */
int __must_check timerfd_create_file(int clock, u32 o_flags, struct file **out);
/*
 * timerfd_settime(2) with a valid itimerspec and flags; *old is what was left. -EINVAL: no timer descriptor; -EPERM;
 * -ECANCELED: the wall clock was set since the last read of one that wants to know.
 */
int __must_check timerfd_set(struct file *file, int flags, const struct itimerspec *new, struct itimerspec *old);
int __must_check timerfd_get(struct file *file, struct itimerspec *out);

#endif
