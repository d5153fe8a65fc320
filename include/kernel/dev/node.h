/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_NODE_H
#define KERNEL_DEV_NODE_H

/* /sys/devices/system/node. Boot list, when all CPUs are known. */
void node_init(void);

#endif
