/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_REBOOT_H
#define KERNEL_CORE_REBOOT_H

/* Obeys reboot=, noefi and efi=noruntime. Boot list, after cmdline_init(). */
void reboot_setup(void);

#endif
