/* SPDX-License-Identifier: MIT */
#ifndef LIB_ERRNO_H
#define LIB_ERRNO_H

/*
 * Error numbers: Linux's, plus those that never leave the kernel, plus
 * pointers that carry an error.
 */
#include <abi/linux/errno.h>
#include <lib/compiler.h>

/*
 * A syscall that a signal interrupted returns one of these; the signal code
 * turns it into a restart or into EINTR (signal(7), "Interruption of system
 * calls"). Seen by ptrace, never by the program.
 */
#define ERESTARTSYS		512	/* restart if SA_RESTART */
#define ERESTARTNOINTR		513	/* always restart */
#define ERESTARTNOHAND		514	/* restart if there was no handler */
#define ENOIOCTLCMD		515	/* this driver has no such ioctl: ask the next, else ENOTTY */
#define ERESTART_RESTARTBLOCK	516	/* restart through restart_syscall */

#define MAX_ERRNO 4095

static inline bool IS_ERR_VALUE(u64 v)
{
	return unlikely(v >= (u64)-MAX_ERRNO);
}

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline long PTR_ERR(const void *p)
{
	return (long)p;
}

static inline bool IS_ERR(const void *p)
{
	return IS_ERR_VALUE((u64)(uintptr_t)p);
}

static inline bool IS_ERR_OR_NULL(const void *p)
{
	return !p || IS_ERR(p);
}

static inline long PTR_ERR_OR_ZERO(const void *p)
{
	return IS_ERR(p) ? PTR_ERR(p) : 0;
}

#endif
