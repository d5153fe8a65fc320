/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_CPU_H
#define KERNEL_DEV_CPU_H

/* /sys/devices/system/cpu. After cpuhp_boot(), which says what CPUs there are; the steps of those online by then have run. */
struct cpuhp_step;
extern const struct cpuhp_step cpu_files_cpuhp;
void cpu_files_init(void);

#endif
