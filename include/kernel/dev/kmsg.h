/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_KMSG_H
#define KERNEL_DEV_KMSG_H

/* Readers of the log: /dev/kmsg, /proc/kmsg and syslog(2) wait here; woken with POLLIN when records have come. */
#include <kernel/sched/wait.h>

extern struct waitq kmsg_wait;
/* [a] kernel.dmesg_restrict: only who has CAP_SYSLOG reads the log. */
extern bool kmsg_restricted;

#endif
