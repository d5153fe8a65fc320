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

/*
 * How the trace prints an argument, where its kind does not tell. First those that are numbers with names
 * (kernel/syscall/trace_names.c), then those that are structures behind a pointer (trace_args.c).
 */
enum syscall_show {
	SYSCALL_SHOW_PLAIN,
	SYSCALL_SHOW_ACCESS, SYSCALL_SHOW_ARCHPRCTL, SYSCALL_SHOW_AT, SYSCALL_SHOW_CLOCK, SYSCALL_SHOW_CLONE,
	SYSCALL_SHOW_CLOSERANGE, SYSCALL_SHOW_FADVISE, SYSCALL_SHOW_FALLOC, SYSCALL_SHOW_FCNTL, SYSCALL_SHOW_FLOCK,
	SYSCALL_SHOW_FUTEX, SYSCALL_SHOW_GETRANDOM, SYSCALL_SHOW_IDTYPE, SYSCALL_SHOW_IOCTL, SYSCALL_SHOW_ITIMER,
	SYSCALL_SHOW_MADVISE, SYSCALL_SHOW_MAP, SYSCALL_SHOW_MEMBARRIER, SYSCALL_SHOW_MEMFD, SYSCALL_SHOW_MLOCK2,
	SYSCALL_SHOW_MLOCKALL, SYSCALL_SHOW_MOUNT, SYSCALL_SHOW_MREMAP, SYSCALL_SHOW_MSYNC, SYSCALL_SHOW_OFLAGS,
	SYSCALL_SHOW_OPEN,
	SYSCALL_SHOW_POLICY, SYSCALL_SHOW_PRCTL, SYSCALL_SHOW_PRIO, SYSCALL_SHOW_PROT, SYSCALL_SHOW_REBOOT,
	SYSCALL_SHOW_RENAME, SYSCALL_SHOW_RLIMIT, SYSCALL_SHOW_RUSAGE, SYSCALL_SHOW_SIGHOW, SYSCALL_SHOW_STATX,
	SYSCALL_SHOW_SYSLOG, SYSCALL_SHOW_TIMER, SYSCALL_SHOW_UMOUNT, SYSCALL_SHOW_WAIT, SYSCALL_SHOW_WHENCE,
	SYSCALL_SHOW_XATTR,
	SYSCALL_SHOW_NAMES,		/* end of the names */
	SYSCALL_SHOW_CLONE3 = SYSCALL_SHOW_NAMES,
	SYSCALL_SHOW_COUNT,		/* how many pointers before the NULL */
	SYSCALL_SHOW_FDPAIR, SYSCALL_SHOW_FDSET, SYSCALL_SHOW_IOVEC, SYSCALL_SHOW_OPENHOW,
	SYSCALL_SHOW_PAIR,		/* two u64 */
	SYSCALL_SHOW_POLLFD, SYSCALL_SHOW_SIGACTION, SYSCALL_SHOW_SIGINFO, SYSCALL_SHOW_SIGSET, SYSCALL_SHOW_STACK,
	SYSCALL_SHOW_STAT, SYSCALL_SHOW_STATUS, SYSCALL_SHOW_STATXBUF, SYSCALL_SHOW_STRINGS, SYSCALL_SHOW_TIMESPEC,
	SYSCALL_SHOW_TIMESPEC2, SYSCALL_SHOW_TIMEVAL, SYSCALL_SHOW_TIMEVAL2, SYSCALL_SHOW_U32, SYSCALL_SHOW_U64,
	SYSCALL_SHOW_UTSNAME,
};

/* A size that is the value of argument n. */
#define SYSCALL_SIZE_ARG(n) (-1 - (n))

struct syscall_arg {
	const char *name;
	u8 kind; /* enum syscall_arg_kind */
	u8 null_allowed;
	u8 show; /* enum syscall_show */
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
