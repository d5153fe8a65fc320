/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_MACHINE_FILES_H
#define KERNEL_PROC_MACHINE_FILES_H

/* Boot, after the vfs: /proc/loadavg, stat, cpuinfo, interrupts. */
void machine_files_init(void);

#endif
