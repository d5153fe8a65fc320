/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_VM_FILES_H
#define KERNEL_PROC_VM_FILES_H

/*
 * Boot, after proc's registry is there: /proc/meminfo, /proc/PID/{maps,statm,auxv,cmdline,environ,mem} and
 * the knobs of memory below /proc/sys.
 */
void proc_vm_files_init(void);

/* The same for /proc/PID/numa_maps and /proc/vmstat. */
void proc_numa_files_init(void);

#endif
