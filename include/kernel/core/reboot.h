/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_REBOOT_H
#define KERNEL_CORE_REBOOT_H

/* Obeys reboot=, noefi, efi=noruntime and numa=off. Boot list, after cmdline_init(), before hal_late_init(). */
void reboot_setup(void);

#endif
