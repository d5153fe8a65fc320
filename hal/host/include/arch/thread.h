/* SPDX-License-Identifier: MIT */
#ifndef ARCH_THREAD_H
#define ARCH_THREAD_H

struct thread;

/* Threads are not switched on the host yet: CPUs are (host.c). */
struct arch_thread {
	void *unused;
};

#endif
