/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_EXEC_H
#define KERNEL_PROC_EXEC_H

/*
 * execve(2) in two halves. proc/exec.c (generic) finds the file, handles #!,
 * copies the strings, computes credentials and decides; exec_elf.c builds the
 * new address space from an ELF file.
 *
 * Order:
 *   1. open, read the first 256 bytes            (may fail, nothing changed)
 *   2. strings into kernel pages, downwards      (may fail, nothing changed)
 *   3. exec_elf_check(): headers                 (may fail, nothing changed)
 *   4. exec_elf_load(): a complete new space with strings, auxv and entry
 *                                                (may fail, nothing changed)
 *   5. kill the other threads                    (may fail by SIGKILL only)
 *   6. commit: switch spaces, credentials, handlers, descriptors (cannot fail)
 * The new space is whole before the old one goes, so a bad file never kills
 * the caller.
 *
 * Strings lie in the arg pages exactly as they will on the new stack: from
 * high to low: 8 zero bytes, the execfn string, envp strings, argv strings.
 * arg_pages[0] is the highest page. A byte at distance d below the top
 * of the stack (d >= 1) is in page (d - 1) / 4096, offset 4096 - 1 - (d - 1) % 4096.
 */
#include <lib/types.h>

struct cred;
struct file;
struct page;
struct vm_space;

#define EXEC_HEADER_SIZE	256		/* what #! and the ELF header are read from */
#define EXEC_MAX_STRLEN		(128 * 1024)	/* MAX_ARG_STRLEN */
#define EXEC_MAX_STRINGS	0x7fffffff	/* MAX_ARG_STRINGS */
#define EXEC_MAX_INTERP		5		/* #! nesting, then ELOOP */

struct exec_image {
	/* In: set by exec.c before exec_elf_load(). */
	struct file *file;		/* the program itself (after #!) */
	struct file *executable;	/* what /proc/PID/exe names; == file */
	u8 header[EXEC_HEADER_SIZE];	/* zero-padded */
	size_t header_len;
	struct page **arg_pages;	/* string pages, [0] the highest */
	size_t nr_arg_pages;
	size_t max_arg_pages;		/* of the array */
	size_t arg_limit;		/* arg_bytes may not pass it */
	size_t arg_bytes;		/* used below the top, strings and the 8 zero bytes */
	int argc, envc;
	size_t execfn_off;		/* distance below the top of the execfn string's first byte */
	size_t env_off;			/* of envp[0]'s first byte (== execfn_off when envc is 0) */
	size_t argv_off;		/* of argv[0]'s first byte: the lowest byte used */
	const struct cred *cred;	/* what the program will run with: AT_UID … */
	bool secure;			/* AT_SECURE */
	u64 stack_rlimit;		/* RLIMIT_STACK at the time of the call */
	u32 personality;		/* with PER_CLEAR_ON_SETID applied when secure */

	/* Out: set by exec_elf_load(). */
	struct vm_space *space;		/* complete; the caller owns the reference */
	u64 entry;			/* where user mode starts */
	u64 sp;				/* 16-aligned, argc lies there */
	bool executable_stack;
};

/* Is the header an ELF executable for this machine? 0 or -ENOEXEC. */
int __must_check exec_elf_check(const struct exec_image *img);
/* See above; on error img->space is NULL and nothing is left behind. */
int __must_check exec_elf_load(struct exec_image *img);

/*
 * execveat(2): from user memory. On success the caller's user registers hold
 * the new program's start and 0 is returned.
 */
int proc_exec(int dfd, uptr_t path, uptr_t argv, uptr_t envp, int flags);

/*
 * Starts PID 1: a task that opens /dev/console three times (if it is there)
 * and executes the first of paths that works. args and envp are kernel memory that
 * stays, ended by NULL; args[0] becomes the path. Panics when none works.
 */
void proc_start_init(const char *const *paths, const char *const *args, const char *const *envp);

void proc_init(void);

#endif
