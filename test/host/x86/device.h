/* SPDX-License-Identifier: MIT */
#ifndef TEST_X86_DEVICE_H
#define TEST_X86_DEVICE_H

/*
 * Devices of the made-up machine that owe an answer: device_fire() makes one signal, by its line or its message, and its
 * handler takes that back. What the tests of moves ask is that in the end nobody owes anything.
 */
#include "fake.h"

struct device {
	u32 irq, calls, cpu;
	bool owed;		/* it has signalled and no handler has run since */
	bool fires;		/* chaos makes it fire */
	bool level;
	enum hal_irq_result answer;
	struct hal_msi_msg msg;	/* what it is programmed with */
	u32 writes;
	bool masked, pending;
};
extern struct device dev[8];

/* With a mask bit, and without. */
extern const struct hal_msi_ops msi_ops, msi_plain;

u64 mask_of(u64 *mask, u64 low);
enum hal_irq_result handler(void *arg, u32 irq);
void fire(struct device *d);
void msi_setup(u32 n, const struct hal_msi_ops *ops);
void line_setup(struct device *d, u32 irq, u32 flags);
u32 effective(u32 irq);
struct hal_irq_info info_of(u32 irq);
u32 used_vectors(void);
/* Everybody takes what is pending; then no device owes anything, and no vector was nobody's. */
void nothing_owed(void);

#endif
