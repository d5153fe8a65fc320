/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_RSEQ_H
#define KERNEL_PROC_RSEQ_H

/*
 * Restartable sequences, rseq(2): a thread registers a structure in which the kernel keeps the number of
 * the CPU, and in which the thread says that it is inside a short sequence of instructions. When the thread
 * was switched away or gets a signal inside of one, it goes on at the sequence's abort handler.
 */
#include <lib/types.h>

struct hal_regs;
struct task;

/* A work bit of the thread (hal/thread.h), set whenever a registered thread is put on a CPU. */
#define RSEQ_WORK 0x20u

/* Exit work: keeps the structure current and aborts a sequence. A bad structure is SIGSEGV. May fault. */
void rseq_resume(struct hal_regs *regs);

/* fork: a copy of the address space keeps the registration. exec: none is left. */
void rseq_inherit(struct task *child, const struct task *parent, bool shares_space);
void rseq_forget(struct task *t);

/* rseq(2). 0 or -errno. */
long rseq_register(uptr_t addr, u32 len, u32 flags, u32 sig);

#endif
