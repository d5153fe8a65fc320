/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_EXEC_ELF_H
#define KERNEL_PROC_EXEC_ELF_H

/*
 * The half of execve that builds the new memory: the initial stack and the ELF
 * image. The other half (exec.h) opens the file, follows `#!`, computes credentials and, when
 * everything here has succeeded, makes the result the process's.
 *
 * Everything is built in a new address space while the old one still stands, so each failure returns an
 * errno to the caller of execve, and the half that changes the process cannot fail.
 *
 * Order of calls:
 *	exec_stack_create(img)
 *	exec_stack_push_kernel(img, filename)           -> img->execfn
 *	exec_stack_push_args(img, envp ...); exec_stack_push_args(img, argv ...)
 *	  for each `#!`: exec_stack_drop_arg0, exec_stack_push_kernel(path of the script),
 *	                 exec_stack_push_kernel(optional argument), exec_stack_push_kernel(interpreter);
 *	                 argc is the caller's to count
 *	exec_elf_load(img)
 *	... commit: process->space = img->space, vm_space_activate, registers from entry and sp
 *	or exec_image_abort(img) after any failure
 */
#include <kernel/vm/space.h>
#include <lib/compiler.h>

struct file;
struct cred;

#define EXEC_HEAD_BYTES		256		/* BINPRM_BUF_SIZE */
#define EXEC_MAX_ARG_STRLEN	131072ULL	/* MAX_ARG_STRLEN: one string with its NUL */
#define EXEC_MAX_ARG_STRINGS	0x7fffffffULL

struct exec_image {
	/* in, by the generic half */
	struct file *file;		/* the ELF file: the last interpreter of a `#!` chain */
	u8 head[EXEC_HEAD_BYTES];	/* its first bytes, zero-padded */
	const struct cred *cred;	/* the credentials that it will run with */
	bool secure;			/* AT_SECURE */
	u32 personality;		/* that it will run with */
	int argc, envc;
	/* out */
	struct vm_space *space;		/* one user reference; NULL before create and after abort */
	vaddr_t execfn;			/* address of the file name's copy */
	vaddr_t entry;			/* first instruction: the interpreter's if there is one */
	vaddr_t sp;			/* initial stack pointer */
	/* private */
	vaddr_t p;			/* lowest byte of the strings */
	vaddr_t strings_min;		/* p may not go below: the limit of E2BIG */
	vaddr_t stack_top;
	vaddr_t env_end, arg_end;	/* ends of the string blocks */
};

/* A new space with a stack at its top. 0 or -ENOMEM. */
int __must_check exec_stack_create(struct exec_image *img);
/*
 * How many strings an argv-like array in user memory has (a null array has none). -EFAULT, -E2BIG; -EINTR
 * on a fatal signal.
 */
int __must_check exec_stack_count(uptr_t array);
/*
 * Bytes that the pointers will need count against the limit: call once, after
 * counting, before pushing. 0 or -E2BIG. (A quarter of RLIMIT_STACK, at most 6 MiB, at least 128 KiB.)
 */
int __must_check exec_stack_limit(struct exec_image *img);
/* One string from the kernel, goes below what is there. 0, -E2BIG, -ENOMEM. */
int __must_check exec_stack_push_kernel(struct exec_image *img, const char *s);
/* The strings of a user array of n pointers, last first. 0, -E2BIG, -EFAULT, -ENOMEM, -EINTR. */
int __must_check exec_stack_push_user_array(struct exec_image *img, uptr_t array, int n);
/* The strings of a kernel array of n pointers, last first: PID 1. */
int __must_check exec_stack_push_kernel_array(struct exec_image *img, const char *const *array, int n);
/* Removes the lowest string, argv[0], for a script. 0 or -EFAULT. */
int __must_check exec_stack_drop_arg0(struct exec_image *img);
/*
 * Maps file and interpreter, puts argc, argv, envp and auxv on the stack, sets entry and sp.
 * -ENOEXEC: not an ELF file for us. -EINVAL, -ELIBBAD, -EIO, -ENOMEM, -EACCES, -ENOENT ... as Linux.
 */
int __must_check exec_elf_load(struct exec_image *img);
/* Gives back the space; the file and the credentials are the caller's. */
void exec_image_abort(struct exec_image *img);

#endif
