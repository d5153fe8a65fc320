/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_VULNERABILITIES_H
#define KERNEL_DEV_VULNERABILITIES_H

/* Boot: /sys/devices/system/cpu/vulnerabilities. */
void vulnerabilities_init(void);

#endif
