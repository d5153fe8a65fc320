/* SPDX-License-Identifier: MIT */
/*
 * Numbers by their names, for the trace.
 *
 * Each set is a list of (value, name) and a mask. Bits under the mask are one number, which has one name (the access
 * mode in open's flags); each other name stands for bits. A name of several bits comes before the names of
 * its parts, because bits that have been named are taken away. What is left is printed in hex.
 *
 * Names lie in the entries themselves: a pointer would cost a relocation each.
 */
#include <abi/linux/fcntl.h>
#include <abi/linux/futex.h>
#include <abi/linux/ioctl.h>
#include <abi/linux/mman.h>
#include <abi/linux/mount.h>
#include <abi/linux/prctl.h>
#include <abi/linux/random.h>
#include <abi/linux/reboot.h>
#include <abi/linux/resource.h>
#include <abi/linux/rseq.h>
#include <abi/linux/sched.h>
#include <abi/linux/signal.h>
#include <abi/linux/stat.h>
#include <abi/linux/syslog.h>
#include <abi/linux/time.h>
#include <abi/linux/wait.h>
#include <abi/linux/xattr.h>
#include <abi/linux/errno.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include "trace.h"

#define TRACE_NAME_BYTES 28

struct trace_name {
	u32 value;
	char name[TRACE_NAME_BYTES];
};

#define N(x) { (u32)(x), #x }

static const struct trace_name access_names[] = {
	N(R_OK), N(W_OK), N(X_OK), N(F_OK),
};
static const struct trace_name archprctl_names[] = {
	N(ARCH_SET_GS), N(ARCH_SET_FS), N(ARCH_GET_FS), N(ARCH_GET_GS), N(ARCH_GET_CPUID), N(ARCH_SET_CPUID),
	N(ARCH_GET_XCOMP_SUPP), N(ARCH_GET_XCOMP_PERM), N(ARCH_REQ_XCOMP_PERM), N(ARCH_GET_XCOMP_GUEST_PERM),
	N(ARCH_REQ_XCOMP_GUEST_PERM), N(ARCH_MAP_VDSO_X32), N(ARCH_MAP_VDSO_32), N(ARCH_MAP_VDSO_64),
};
static const struct trace_name at_names[] = {
	N(AT_SYMLINK_NOFOLLOW), N(AT_REMOVEDIR), N(AT_SYMLINK_FOLLOW), N(AT_NO_AUTOMOUNT), N(AT_EMPTY_PATH),
	N(AT_STATX_FORCE_SYNC), N(AT_STATX_DONT_SYNC), N(AT_RECURSIVE),
};
static const struct trace_name clock_names[] = {
	N(CLOCK_REALTIME), N(CLOCK_MONOTONIC), N(CLOCK_PROCESS_CPUTIME_ID), N(CLOCK_THREAD_CPUTIME_ID),
	N(CLOCK_MONOTONIC_RAW), N(CLOCK_REALTIME_COARSE), N(CLOCK_MONOTONIC_COARSE), N(CLOCK_BOOTTIME),
	N(CLOCK_REALTIME_ALARM), N(CLOCK_BOOTTIME_ALARM), N(CLOCK_TAI),
};
static const struct trace_name clone_names[] = {
	N(CLONE_VM), N(CLONE_FS), N(CLONE_FILES), N(CLONE_SIGHAND), N(CLONE_PIDFD), N(CLONE_PTRACE), N(CLONE_VFORK),
	N(CLONE_PARENT), N(CLONE_THREAD), N(CLONE_NEWNS), N(CLONE_SYSVSEM), N(CLONE_SETTLS), N(CLONE_PARENT_SETTID),
	N(CLONE_CHILD_CLEARTID), N(CLONE_DETACHED), N(CLONE_UNTRACED), N(CLONE_CHILD_SETTID), N(CLONE_NEWCGROUP),
	N(CLONE_NEWUTS), N(CLONE_NEWIPC), N(CLONE_NEWUSER), N(CLONE_NEWPID), N(CLONE_NEWNET), N(CLONE_IO),
};
static const struct trace_name closerange_names[] = {
	N(CLOSE_RANGE_UNSHARE), N(CLOSE_RANGE_CLOEXEC),
};
static const struct trace_name fadvise_names[] = {
	N(POSIX_FADV_NORMAL), N(POSIX_FADV_RANDOM), N(POSIX_FADV_SEQUENTIAL), N(POSIX_FADV_WILLNEED),
	N(POSIX_FADV_DONTNEED), N(POSIX_FADV_NOREUSE),
};
static const struct trace_name falloc_names[] = {
	N(FALLOC_FL_KEEP_SIZE), N(FALLOC_FL_PUNCH_HOLE), N(FALLOC_FL_NO_HIDE_STALE), N(FALLOC_FL_COLLAPSE_RANGE),
	N(FALLOC_FL_ZERO_RANGE), N(FALLOC_FL_INSERT_RANGE), N(FALLOC_FL_UNSHARE_RANGE),
};
static const struct trace_name fcntl_names[] = {
	N(F_DUPFD), N(F_GETFD), N(F_SETFD), N(F_GETFL), N(F_SETFL), N(F_GETLK), N(F_SETLK), N(F_SETLKW), N(F_SETOWN),
	N(F_GETOWN), N(F_SETSIG), N(F_GETSIG), N(F_SETOWN_EX), N(F_GETOWN_EX), N(F_OFD_GETLK), N(F_OFD_SETLK),
	N(F_OFD_SETLKW), N(F_SETLEASE), N(F_GETLEASE), N(F_NOTIFY), N(F_DUPFD_CLOEXEC), N(F_SETPIPE_SZ), N(F_GETPIPE_SZ),
	N(F_ADD_SEALS), N(F_GET_SEALS),
};
static const struct trace_name flock_names[] = {
	N(LOCK_SH), N(LOCK_EX), N(LOCK_NB), N(LOCK_UN),
};
static const struct trace_name futex_names[] = {
	N(FUTEX_WAIT), N(FUTEX_WAKE), N(FUTEX_FD), N(FUTEX_REQUEUE), N(FUTEX_CMP_REQUEUE), N(FUTEX_WAKE_OP),
	N(FUTEX_LOCK_PI), N(FUTEX_UNLOCK_PI), N(FUTEX_TRYLOCK_PI), N(FUTEX_WAIT_BITSET), N(FUTEX_WAKE_BITSET),
	N(FUTEX_WAIT_REQUEUE_PI), N(FUTEX_CMP_REQUEUE_PI), N(FUTEX_LOCK_PI2), N(FUTEX_PRIVATE_FLAG),
	N(FUTEX_CLOCK_REALTIME),
};
static const struct trace_name getrandom_names[] = {
	N(GRND_NONBLOCK), N(GRND_RANDOM), N(GRND_INSECURE),
};
static const struct trace_name idtype_names[] = {
	N(P_ALL), N(P_PID), N(P_PGID), N(P_PIDFD),
};
static const struct trace_name ioctl_names[] = {
	N(TCGETS), N(TCSETS), N(TCSETSW), N(TCSETSF), N(TCGETA), N(TCSETA), N(TCSETAW), N(TCSETAF), N(TCSBRK), N(TCXONC),
	N(TCFLSH), N(TIOCEXCL), N(TIOCNXCL), N(TIOCSCTTY), N(TIOCGPGRP), N(TIOCSPGRP), N(TIOCSTI), N(TIOCGWINSZ),
	N(TIOCSWINSZ), N(TIOCGSOFTCAR), N(TIOCSSOFTCAR), N(FIONREAD), N(TIOCLINUX), N(TIOCCONS), N(TIOCGSERIAL),
	N(TIOCSSERIAL), N(FIONBIO), N(TIOCNOTTY), N(TIOCSETD), N(TIOCGETD), N(TCSBRKP), N(TIOCSBRK), N(TIOCCBRK),
	N(TIOCGSID), N(TCGETS2), N(TCSETS2), N(TCSETSW2), N(TCSETSF2), N(TIOCGRS485), N(TIOCSRS485), N(TIOCGPTN),
	N(TIOCSPTLCK), N(TIOCGDEV), N(TCGETX), N(TCSETX), N(TCSETXF), N(TCSETXW), N(TIOCSIG), N(TIOCGPKT), N(TIOCGPTLCK),
	N(TIOCGEXCL), N(TIOCGPTPEER), N(FIONCLEX), N(FIOCLEX), N(FIOASYNC), N(TIOCGICOUNT), N(FIOQSIZE),
};
static const struct trace_name itimer_names[] = {
	N(ITIMER_REAL), N(ITIMER_VIRTUAL), N(ITIMER_PROF),
};
static const struct trace_name madvise_names[] = {
	N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL), N(MADV_WILLNEED), N(MADV_DONTNEED), N(MADV_FREE),
	N(MADV_REMOVE), N(MADV_DONTFORK), N(MADV_DOFORK), N(MADV_HWPOISON), N(MADV_SOFT_OFFLINE), N(MADV_MERGEABLE),
	N(MADV_UNMERGEABLE), N(MADV_HUGEPAGE), N(MADV_NOHUGEPAGE), N(MADV_DONTDUMP), N(MADV_DODUMP), N(MADV_WIPEONFORK),
	N(MADV_KEEPONFORK), N(MADV_COLD), N(MADV_PAGEOUT), N(MADV_POPULATE_READ), N(MADV_POPULATE_WRITE),
	N(MADV_DONTNEED_LOCKED), N(MADV_COLLAPSE),
};
static const struct trace_name map_names[] = {
	N(MAP_SHARED), N(MAP_PRIVATE), N(MAP_SHARED_VALIDATE), N(MAP_FIXED), N(MAP_ANONYMOUS), N(MAP_32BIT),
	N(MAP_GROWSDOWN), N(MAP_DENYWRITE), N(MAP_EXECUTABLE), N(MAP_LOCKED), N(MAP_NORESERVE), N(MAP_POPULATE),
	N(MAP_NONBLOCK), N(MAP_STACK), N(MAP_HUGETLB), N(MAP_SYNC), N(MAP_FIXED_NOREPLACE),
};
static const struct trace_name membarrier_names[] = {
	{ MEMBARRIER_CMD_QUERY, "QUERY" },
	{ MEMBARRIER_CMD_GLOBAL, "GLOBAL" },
	{ MEMBARRIER_CMD_GLOBAL_EXPEDITED, "GLOBAL_EXPEDITED" },
	{ MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, "REGISTER_GLOBAL_EXPEDITED" },
	{ MEMBARRIER_CMD_PRIVATE_EXPEDITED, "PRIVATE_EXPEDITED" },
	{ MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, "REGISTER_PRIVATE_EXPEDITED" },
	{ MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, "PRIVATE_SYNC_CORE" },
	{ MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, "REGISTER_PRIVATE_SYNC_CORE" },
	{ MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, "PRIVATE_RSEQ" },
	{ MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, "REGISTER_PRIVATE_RSEQ" },
};
static const struct trace_name memfd_names[] = {
	N(MFD_CLOEXEC), N(MFD_ALLOW_SEALING), N(MFD_HUGETLB),
};
static const struct trace_name mlock2_names[] = {
	N(MLOCK_ONFAULT),
};
static const struct trace_name mlockall_names[] = {
	N(MCL_CURRENT), N(MCL_FUTURE), N(MCL_ONFAULT),
};
static const struct trace_name mount_names[] = {
	N(MS_RDONLY), N(MS_NOSUID), N(MS_NODEV), N(MS_NOEXEC), N(MS_SYNCHRONOUS), N(MS_REMOUNT), N(MS_MANDLOCK),
	N(MS_DIRSYNC), N(MS_NOSYMFOLLOW), N(MS_NOATIME), N(MS_NODIRATIME), N(MS_BIND), N(MS_MOVE), N(MS_REC),
	N(MS_SILENT), N(MS_UNBINDABLE), N(MS_PRIVATE), N(MS_SLAVE), N(MS_SHARED), N(MS_RELATIME), N(MS_STRICTATIME),
	N(MS_LAZYTIME),
};
static const struct trace_name mremap_names[] = {
	N(MREMAP_MAYMOVE), N(MREMAP_FIXED), N(MREMAP_DONTUNMAP),
};
static const struct trace_name msync_names[] = {
	N(MS_ASYNC), N(MS_INVALIDATE), N(MS_SYNC),
};
static const struct trace_name open_names[] = {
	N(O_RDONLY), N(O_WRONLY), N(O_RDWR), N(O_SYNC), N(O_TMPFILE), N(O_CREAT), N(O_EXCL), N(O_NOCTTY), N(O_TRUNC),
	N(O_APPEND), N(O_NONBLOCK), N(O_DSYNC), N(FASYNC), N(O_DIRECT), N(O_LARGEFILE), N(O_DIRECTORY), N(O_NOFOLLOW),
	N(O_NOATIME), N(O_CLOEXEC), N(O_PATH),
};
static const struct trace_name policy_names[] = {
	N(SCHED_NORMAL), N(SCHED_FIFO), N(SCHED_RR), N(SCHED_BATCH), N(SCHED_IDLE), N(SCHED_DEADLINE),
};
static const struct trace_name prctl_names[] = {
	N(PR_SET_PDEATHSIG), N(PR_GET_PDEATHSIG), N(PR_GET_DUMPABLE), N(PR_SET_DUMPABLE), N(PR_GET_UNALIGN),
	N(PR_SET_UNALIGN), N(PR_GET_KEEPCAPS), N(PR_SET_KEEPCAPS), N(PR_GET_FPEMU), N(PR_SET_FPEMU), N(PR_GET_FPEXC),
	N(PR_SET_FPEXC), N(PR_GET_TIMING), N(PR_SET_TIMING), N(PR_SET_NAME), N(PR_GET_NAME), N(PR_GET_ENDIAN),
	N(PR_SET_ENDIAN), N(PR_GET_SECCOMP), N(PR_SET_SECCOMP), N(PR_CAPBSET_READ), N(PR_CAPBSET_DROP), N(PR_GET_TSC),
	N(PR_SET_TSC), N(PR_GET_SECUREBITS), N(PR_SET_SECUREBITS), N(PR_SET_TIMERSLACK), N(PR_GET_TIMERSLACK),
	N(PR_MCE_KILL), N(PR_MCE_KILL_CLEAR), N(PR_MCE_KILL_SET), N(PR_MCE_KILL_LATE), N(PR_MCE_KILL_EARLY),
	N(PR_MCE_KILL_DEFAULT), N(PR_MCE_KILL_GET), N(PR_SET_MM), N(PR_SET_PTRACER), N(PR_SET_CHILD_SUBREAPER),
	N(PR_GET_CHILD_SUBREAPER), N(PR_SET_NO_NEW_PRIVS), N(PR_GET_NO_NEW_PRIVS), N(PR_GET_TID_ADDRESS),
	N(PR_SET_THP_DISABLE), N(PR_GET_THP_DISABLE), N(PR_SET_FP_MODE), N(PR_GET_FP_MODE), N(PR_CAP_AMBIENT),
	N(PR_CAP_AMBIENT_IS_SET), N(PR_CAP_AMBIENT_RAISE), N(PR_CAP_AMBIENT_LOWER), N(PR_GET_SPECULATION_CTRL),
	N(PR_SET_SPECULATION_CTRL), N(PR_SET_TAGGED_ADDR_CTRL), N(PR_GET_TAGGED_ADDR_CTRL), N(PR_SET_IO_FLUSHER),
	N(PR_GET_IO_FLUSHER), N(PR_SET_VMA),
};
static const struct trace_name prio_names[] = {
	N(PRIO_PROCESS), N(PRIO_PGRP), N(PRIO_USER),
};
static const struct trace_name prot_names[] = {
	N(PROT_NONE), N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC), N(PROT_SEM), N(PROT_GROWSDOWN), N(PROT_GROWSUP),
};
static const struct trace_name reboot_names[] = {
	N(LINUX_REBOOT_CMD_RESTART), N(LINUX_REBOOT_CMD_HALT), N(LINUX_REBOOT_CMD_CAD_ON), N(LINUX_REBOOT_CMD_CAD_OFF),
	N(LINUX_REBOOT_CMD_POWER_OFF), N(LINUX_REBOOT_CMD_RESTART2), N(LINUX_REBOOT_CMD_KEXEC),
};
static const struct trace_name rename_names[] = {
	N(RENAME_NOREPLACE), N(RENAME_EXCHANGE), N(RENAME_WHITEOUT),
};
static const struct trace_name rlimit_names[] = {
	N(RLIMIT_CPU), N(RLIMIT_FSIZE), N(RLIMIT_DATA), N(RLIMIT_STACK), N(RLIMIT_CORE), N(RLIMIT_RSS), N(RLIMIT_NPROC),
	N(RLIMIT_NOFILE), N(RLIMIT_MEMLOCK), N(RLIMIT_AS), N(RLIMIT_LOCKS), N(RLIMIT_SIGPENDING), N(RLIMIT_MSGQUEUE),
	N(RLIMIT_NICE), N(RLIMIT_RTPRIO), N(RLIMIT_RTTIME),
};
static const struct trace_name rusage_names[] = {
	N(RUSAGE_SELF), N(RUSAGE_CHILDREN), N(RUSAGE_THREAD),
};
static const struct trace_name sighow_names[] = {
	N(SIG_BLOCK), N(SIG_UNBLOCK), N(SIG_SETMASK),
};
static const struct trace_name statx_names[] = {
	N(STATX_ALL), N(STATX_BASIC_STATS), N(STATX_TYPE), N(STATX_MODE), N(STATX_NLINK), N(STATX_UID), N(STATX_GID),
	N(STATX_ATIME), N(STATX_MTIME), N(STATX_CTIME), N(STATX_INO), N(STATX_SIZE), N(STATX_BLOCKS), N(STATX_BTIME),
	N(STATX_MNT_ID), N(STATX_DIOALIGN),
};
static const struct trace_name syslog_names[] = {
	N(SYSLOG_ACTION_CLOSE), N(SYSLOG_ACTION_OPEN), N(SYSLOG_ACTION_READ), N(SYSLOG_ACTION_READ_ALL),
	N(SYSLOG_ACTION_READ_CLEAR), N(SYSLOG_ACTION_CLEAR), N(SYSLOG_ACTION_CONSOLE_OFF), N(SYSLOG_ACTION_CONSOLE_ON),
	N(SYSLOG_ACTION_CONSOLE_LEVEL), N(SYSLOG_ACTION_SIZE_UNREAD), N(SYSLOG_ACTION_SIZE_BUFFER),
};
static const struct trace_name timer_names[] = {
	N(TIMER_ABSTIME),
};
static const struct trace_name umount_names[] = {
	N(MNT_FORCE), N(MNT_DETACH), N(MNT_EXPIRE), N(UMOUNT_NOFOLLOW),
};
static const struct trace_name wait_names[] = {
	N(WNOHANG), N(WUNTRACED), N(WEXITED), N(WCONTINUED), N(WNOWAIT), N(__WALL), N(__WCLONE), N(__WNOTHREAD),
};
static const struct trace_name whence_names[] = {
	N(SEEK_SET), N(SEEK_CUR), N(SEEK_END), N(SEEK_DATA), N(SEEK_HOLE),
};
static const struct trace_name xattr_names[] = {
	N(XATTR_CREATE), N(XATTR_REPLACE),
};

#define SET(id, list, mask_) [SYSCALL_SHOW_##id] = { list##_names, ARRAY_SIZE(list##_names), (mask_) }

static const struct {
	const struct trace_name *names;
	u32 count;
	u32 mask;	/* bits that are one number */
} trace_sets[SYSCALL_SHOW_NAMES] = {
	SET(ACCESS, access, 0),
	SET(ARCHPRCTL, archprctl, ~0u),
	SET(AT, at, 0),
	SET(CLOCK, clock, ~0u),
	SET(CLONE, clone, 0xffu),
	SET(CLOSERANGE, closerange, 0),
	SET(FADVISE, fadvise, ~0u),
	SET(FALLOC, falloc, 0),
	SET(FCNTL, fcntl, ~0u),
	SET(FLOCK, flock, 0),
	SET(FUTEX, futex, FUTEX_CMD_MASK),
	SET(GETRANDOM, getrandom, 0),
	SET(IDTYPE, idtype, ~0u),
	SET(IOCTL, ioctl, ~0u),
	SET(ITIMER, itimer, ~0u),
	SET(MADVISE, madvise, ~0u),
	SET(MAP, map, MAP_TYPE),
	SET(MEMBARRIER, membarrier, ~0u),
	SET(MEMFD, memfd, 0),
	SET(MLOCK2, mlock2, 0),
	SET(MLOCKALL, mlockall, 0),
	SET(MOUNT, mount, 0),
	SET(MREMAP, mremap, 0),
	SET(MSYNC, msync, 0),
	SET(OPEN, open, O_ACCMODE),
	[SYSCALL_SHOW_OFLAGS] = { open_names + 3, ARRAY_SIZE(open_names) - 3, 0 },	/* without the access mode */
	SET(POLICY, policy, ~0u),
	SET(PRCTL, prctl, ~0u),
	SET(PRIO, prio, ~0u),
	SET(PROT, prot, 0),
	SET(REBOOT, reboot, ~0u),
	SET(RENAME, rename, 0),
	SET(RLIMIT, rlimit, ~0u),
	SET(RUSAGE, rusage, ~0u),
	SET(SIGHOW, sighow, ~0u),
	SET(STATX, statx, 0),
	SET(SYSLOG, syslog, ~0u),
	SET(TIMER, timer, 0),
	SET(UMOUNT, umount, 0),
	SET(WAIT, wait, 0),
	SET(WHENCE, whence, ~0u),
	SET(XATTR, xattr, 0),
};

#define E(x) { (x), #x }
static const struct {
	u16 value;
	char name[18];
} error_names[] = {
	E(EPERM), E(ENOENT), E(ESRCH), E(EINTR), E(EIO), E(ENXIO), E(E2BIG), E(ENOEXEC), E(EBADF), E(ECHILD), E(EAGAIN),
	E(ENOMEM), E(EACCES), E(EFAULT), E(ENOTBLK), E(EBUSY), E(EEXIST), E(EXDEV), E(ENODEV), E(ENOTDIR), E(EISDIR),
	E(EINVAL), E(ENFILE), E(EMFILE), E(ENOTTY), E(ETXTBSY), E(EFBIG), E(ENOSPC), E(ESPIPE), E(EROFS), E(EMLINK),
	E(EPIPE), E(EDOM), E(ERANGE), E(EDEADLK), E(ENAMETOOLONG), E(ENOLCK), E(ENOSYS), E(ENOTEMPTY), E(ELOOP),
	E(ENOMSG), E(EIDRM), E(ECHRNG), E(EL2NSYNC), E(EL3HLT), E(EL3RST), E(ELNRNG), E(EUNATCH), E(ENOCSI), E(EL2HLT),
	E(EBADE), E(EBADR), E(EXFULL), E(ENOANO), E(EBADRQC), E(EBADSLT), E(EBFONT), E(ENOSTR), E(ENODATA), E(ETIME),
	E(ENOSR), E(ENONET), E(ENOPKG), E(EREMOTE), E(ENOLINK), E(EADV), E(ESRMNT), E(ECOMM), E(EPROTO), E(EMULTIHOP),
	E(EDOTDOT), E(EBADMSG), E(EOVERFLOW), E(ENOTUNIQ), E(EBADFD), E(EREMCHG), E(ELIBACC), E(ELIBBAD), E(ELIBSCN),
	E(ELIBMAX), E(ELIBEXEC), E(EILSEQ), E(ERESTART), E(ESTRPIPE), E(EUSERS), E(ENOTSOCK), E(EDESTADDRREQ),
	E(EMSGSIZE), E(EPROTOTYPE), E(ENOPROTOOPT), E(EPROTONOSUPPORT), E(ESOCKTNOSUPPORT), E(EOPNOTSUPP),
	E(EPFNOSUPPORT), E(EAFNOSUPPORT), E(EADDRINUSE), E(EADDRNOTAVAIL), E(ENETDOWN), E(ENETUNREACH), E(ENETRESET),
	E(ECONNABORTED), E(ECONNRESET), E(ENOBUFS), E(EISCONN), E(ENOTCONN), E(ESHUTDOWN), E(ETOOMANYREFS), E(ETIMEDOUT),
	E(ECONNREFUSED), E(EHOSTDOWN), E(EHOSTUNREACH), E(EALREADY), E(EINPROGRESS), E(ESTALE), E(EUCLEAN), E(ENOTNAM),
	E(ENAVAIL), E(EISNAM), E(EREMOTEIO), E(EDQUOT), E(ENOMEDIUM), E(EMEDIUMTYPE), E(ECANCELED), E(ENOKEY),
	E(EKEYEXPIRED), E(EKEYREVOKED), E(EKEYREJECTED), E(EOWNERDEAD), E(ENOTRECOVERABLE), E(ERFKILL), E(EHWPOISON),
	E(ERESTARTSYS), E(ERESTARTNOINTR), E(ERESTARTNOHAND),
	{ ERESTART_RESTARTBLOCK, "ERESTARTBLOCK" },
};

static const char signal_names[][10] = {
	"0",
	"SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
	"SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
	"SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR",
	"SIGSYS",
};

void trace_printf(struct trace_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (u32)vscnprintf(t->text + t->n, TRACE_TEXT_BYTES - t->n, fmt, ap);
	va_end(ap);
}

/* Takes a name's bits out of *value when it is there. seen: the number under the mask has its name. */
static bool take_name(const struct trace_name *n, u32 mask, u64 *value, bool *seen)
{
	if (!(n->value & ~mask) && mask) {
		if (*seen || (*value & mask) != n->value)
			return false;
		*seen = true;
		*value &= ~(u64)mask;
		return true;
	}
	if (!n->value)
		return !*value;
	if ((*value & n->value) != n->value)
		return false;
	*value &= ~(u64)n->value;
	return true;
}

void trace_named(struct trace_text *t, enum syscall_show show, u64 value)
{
	u32 mask = trace_sets[show].mask;
	const char *bar = "";
	bool seen = false;

	value = mask == ~0u ? (u32)value : value;
	for (u32 i = 0; i < trace_sets[show].count; i++) {
		const struct trace_name *n = &trace_sets[show].names[i];

		if (seen && mask == ~0u)
			return;
		if (!value && *bar)
			break;
		if (!take_name(n, mask, &value, &seen))
			continue;
		trace_printf(t, "%s%s", bar, n->name);
		bar = "|";
	}
	if (value && show == SYSCALL_SHOW_CLONE && value < 0x100) {
		trace_printf(t, "%s", bar);
		trace_signal(t, value);
	} else if (value || !*bar) {
		trace_printf(t, value < 10 ? "%s%llu" : "%s0x%llx", bar, (unsigned long long)value);
	}
}

const char *trace_errno_name(int error)
{
	for (u32 i = 0; i < ARRAY_SIZE(error_names); i++)
		if (error_names[i].value == error)
			return error_names[i].name;
	return NULL;
}

void trace_signal(struct trace_text *t, u64 signal)
{
	if (signal < ARRAY_SIZE(signal_names))
		trace_printf(t, "%s", signal_names[signal]);
	else
		trace_printf(t, signal <= 64 ? "SIGRT_%llu" : "%llu", (unsigned long long)(signal <= 64 ? signal - 32 : signal));
}
