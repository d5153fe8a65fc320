/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEBUG_DEBUG_H
#define KERNEL_DEBUG_DEBUG_H

/*
 * kernel/debug: what looks at the kernel from outside. It lies above proc, so it may include every subsystem: the shell
 * after a panic, and the files of /proc/halcyon/ for what layers below vfs print.
 *
 * Each of its files has one init function, named debug_FILE_init(), declared here and called by debug_init().
 */

/* From main, in the boot thread, once everything that has files is up and before the self tests. May sleep. */
void debug_init(void);

/* The detector of threads that sleep for ever. Starts its thread. */
void debug_hung_task_init(void);
/* /proc/sys/kernel/hung_task_* and the like; starts the NMI watchdog. */
void debug_knobs_init(void);
/* /proc/halcyon/locks. */
void debug_locks_init(void);
/* failslab=, /proc/halcyon/failslab, /proc/PID/fail-nth. */
void debug_failslab_init(void);
/* /proc/halcyon/recorder. */
void debug_recorder_init(void);
/* Magic SysRq: the serial line, /proc/sysrq-trigger, /proc/sys/kernel/sysrq. */
void debug_sysrq_init(void);
/* /proc/halcyon/tlb and /proc/halcyon/calls. */
void debug_smp_init(void);
/* /proc/halcyon/leaks. */
void debug_leaks_init(void);
#endif
