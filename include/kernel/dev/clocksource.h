/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_CLOCKSOURCE_H
#define KERNEL_DEV_CLOCKSOURCE_H

/* Boot, after fs_init(): the clock sources in sysfs. */
void clocksource_files_init(void);

#endif
