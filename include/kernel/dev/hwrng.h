/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_HWRNG_H
#define KERNEL_DEV_HWRNG_H

/*
 * Hardware random number generators: /dev/hwrng, /sys/class/misc/hw_random, and the thread that feeds the kernel's own
 * generator from the one in use (kernel/dev/hwrng.c).
 */
#include <kernel/sched/mutex.h>
#include <lib/list.h>
#include <lib/types.h>

struct device;

struct hwrng {
	const char *name;	/* [I] */
	u16 quality;		/* [I] bits of entropy in 1024 bits that it gives; 0: unknown, nothing is credited */
	/*
	 * Up to n bytes into buf, waiting for them until deadline_ns (monotonic; 0: not at all): how many, or -EAGAIN, -ETIMEDOUT;
	 * -ERESTARTSYS a signal came; -ENODEV it is gone. One call at a time.
	 */
	ssize_t (*read)(struct hwrng *rng, void *buf, size_t n, u64 deadline_ns);
	/* hwrng.c's */
	struct list_head node;
	struct mutex reading;
	u32 users;
};

/* [tree] 0; -EEXIST one of that name is there. */
int __must_check hwrng_register(struct hwrng *rng);
/* [tree] When it returns nobody is in rng->read() nor will be. The caller has made a read() that sleeps return. */
void hwrng_unregister(struct hwrng *rng);

/* Boot, before drivers. */
void hwrng_init(void);

#endif
