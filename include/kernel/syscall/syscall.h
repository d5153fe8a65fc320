/*
 * The system call layer's own tables. The sys_* prototypes are generated: <syscall_protos.h>.
 *
 * A sys_* function is thin: it copies in, calls the subsystem and copies out. It takes the types of
 * syscall.tbl (user pointers are uptr_t), runs in thread context with interrupts on and no lock, and
 * returns a result or -errno (also the -ERESTART* family, which the signal code turns into a restart
 * or EINTR on the way out).
 */
#pragma once

#include <lib/types.h>

struct hal_regs;

enum syscall_arg_kind {
	SYSCALL_ARG_INT,
	SYSCALL_ARG_UINT,
	SYSCALL_ARG_LONG,
	SYSCALL_ARG_ULONG,
	SYSCALL_ARG_SIZE,
	SYSCALL_ARG_OFF,
	SYSCALL_ARG_FD,
	SYSCALL_ARG_PID,
	SYSCALL_ARG_SIG,
	SYSCALL_ARG_MODE,
	SYSCALL_ARG_UID,
	SYSCALL_ARG_GID,
	SYSCALL_ARG_DEV,
	SYSCALL_ARG_FLAGS,
	SYSCALL_ARG_UFLAGS,
	SYSCALL_ARG_LFLAGS,
	SYSCALL_ARG_ADDR,
	SYSCALL_ARG_STR,
	SYSCALL_ARG_IN,
	SYSCALL_ARG_OUT,
	SYSCALL_ARG_INOUT,
};

/* A size that is the value of argument n. */
#define SYSCALL_SIZE_ARG(n) (-1 - (n))

struct syscall_arg {
	const char *name;
	u8 kind; /* enum syscall_arg_kind */
	u8 null_allowed;
	s16 size; /* bytes behind a pointer; SYSCALL_SIZE_ARG(n); 0: depends */
};

struct syscall_info {
	const char *name; /* NULL: Linux has no such number */
	u8 args;
	u8 there;
	struct syscall_arg arg[6];
};
extern const struct syscall_info syscall_info[];

/* What the table holds for a call that is not there: logs it once in a while, returns -ENOSYS. */
long sys_not_there(void);

/* Boot, thread context, after the vfs: locks, /proc entries. */
void syscall_init(void);
void syscall_time_init(void);
