/* SPDX-License-Identifier: MIT */
/*
 * Arguments of a traced system call as text, by what syscall.tbl says of them.
 *
 * What a pointer leads to is copied from the traced thread's own memory, before the call for what the call reads,
 * after it for what it writes. Another thread may have changed it in between: the trace is for people, never for
 * decisions. What cannot be read is printed as the address.
 */
#include <abi/linux/fcntl.h>
#include <abi/linux/poll.h>
#include <abi/linux/resource.h>
#include <abi/linux/sched.h>
#include <abi/linux/signal.h>
#include <abi/linux/stat.h>
#include <abi/linux/time.h>
#include <abi/linux/uio.h>
#include <abi/linux/utsname.h>
#include <kernel/vm/uaccess.h>
#include <lib/fls.h>
#include <lib/string.h>
#include "trace.h"

#define SHOW_STRING 80u		/* bytes of a path */
#define SHOW_BUFFER 32u		/* bytes of what is read or written */
#define SHOW_ITEMS 4u		/* elements of a list */

typedef unsigned long long ull;

static void show_address(struct trace_text *t, u64 addr)
{
	if (addr)
		trace_printf(t, "0x%llx", (ull)addr);
	else
		trace_printf(t, "NULL");
}

static void show_bytes(struct trace_text *t, const char *s, u32 n, bool more)
{
	trace_printf(t, "\"");
	for (u32 i = 0; i < n; i++) {
		u8 c = (u8)s[i];

		if (c == '\n' || c == '\t' || c == '\r')
			trace_printf(t, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
		else if (c == '"' || c == '\\')
			trace_printf(t, "\\%c", c);
		else
			trace_printf(t, c < 32 || c > 126 ? "\\x%02x" : "%c", c);
	}
	trace_printf(t, more ? "\"..." : "\"");
}

static void show_string(struct trace_text *t, u64 addr)
{
	char s[SHOW_STRING + 1];
	ssize_t n = addr ? strncpy_from_user(s, uptr(addr), sizeof(s)) : -EFAULT;

	if (n < 0)
		show_address(t, addr);
	else
		show_bytes(t, s, MIN((u32)n, SHOW_STRING), (u32)n > SHOW_STRING);
}

static void show_buffer(struct trace_text *t, u64 addr, u64 n)
{
	char s[SHOW_BUFFER];

	if (!addr || copy_from_user(s, uptr(addr), MIN(n, (u64)SHOW_BUFFER)))
		show_address(t, addr);
	else
		show_bytes(t, s, (u32)MIN(n, (u64)SHOW_BUFFER), n > SHOW_BUFFER);
}

/* ---- structures -------------------------------------------------------------------------------- */

/* n seconds-and-parts. */
static void show_times(struct trace_text *t, const s64 *v, u32 n, const char *part)
{
	trace_printf(t, n > 1 ? "[" : "");
	for (u32 i = 0; i < n; i++, v += 2)
		trace_printf(t, "%s{%lld, %lld%s}", i ? ", " : "", (long long)v[0], (long long)v[1], part);
	trace_printf(t, n > 1 ? "]" : "");
}

/* More than half of them: those that are missing. */
static void show_sigset(struct trace_text *t, u64 set)
{
	const char *blank = "";
	bool most = popcount64(set) > 32;

	set = most ? ~set : set;
	trace_printf(t, most ? "~[" : "[");
	for (u32 sig = 1; sig <= 64; sig++)
		if (set >> (sig - 1) & 1) {
			trace_printf(t, "%s", blank);
			trace_signal(t, sig);
			blank = " ";
		}
	trace_printf(t, "]");
}

static void show_mode(struct trace_text *t, u32 mode)
{
	static const char types[16][8] = { [1] = "S_IFIFO", [2] = "S_IFCHR", [4] = "S_IFDIR", [6] = "S_IFBLK",
					   [8] = "S_IFREG", [10] = "S_IFLNK" };
	const char *type = types[mode >> 12 & 15];

	trace_printf(t, "%.7s%s0%o", type, *type ? "|" : "", *type ? mode & 07777 : mode);
}

static void show_status(struct trace_text *t, u32 status)
{
	if ((status & 0xff) == 0x7f) {
		trace_printf(t, "[stopped by ");
		trace_signal(t, status >> 8 & 0xff);
		trace_printf(t, "]");
	} else if (status & 0x7f) {
		trace_printf(t, "[killed by ");
		trace_signal(t, status & 0x7f);
		trace_printf(t, "]");
	} else {
		trace_printf(t, "[exited with %u]", status >> 8 & 0xff);
	}
}

static void show_sigaction(struct trace_text *t, const struct sigaction *a)
{
	if (a->sa_handler.addr <= 1)
		trace_printf(t, a->sa_handler.addr ? "{SIG_IGN" : "{SIG_DFL");
	else
		trace_printf(t, "{0x%llx", (ull)a->sa_handler.addr);
	trace_printf(t, ", flags 0x%llx, ", (ull)a->sa_flags);
	show_sigset(t, a->sa_mask);
	trace_printf(t, "}");
}

static void show_siginfo(struct trace_text *t, const siginfo_t *info)
{
	trace_printf(t, "{");
	trace_signal(t, (u32)info->si_signo);
	trace_printf(t, ", code %d, pid %d}", info->si_code, info->si_pid);
}

static void show_rlimit(struct trace_text *t, const u64 *v)
{
	for (u32 i = 0; i < 2; i++) {
		trace_printf(t, i ? ", " : "{");
		trace_printf(t, v[i] == RLIM_INFINITY ? "infinity" : "%llu", (ull)v[i]);
	}
	trace_printf(t, "}");
}

static void show_clone3(struct trace_text *t, const struct clone_args *a)
{
	trace_printf(t, "{");
	trace_named(t, SYSCALL_SHOW_CLONE, a->flags);
	trace_printf(t, ", ");
	trace_signal(t, a->exit_signal);
	trace_printf(t, ", stack 0x%llx+0x%llx}", (ull)a->stack, (ull)a->stack_size);
}

static void show_openhow(struct trace_text *t, const struct open_how *how)
{
	trace_printf(t, "{");
	trace_named(t, SYSCALL_SHOW_OPEN, how->flags);
	trace_printf(t, ", 0%llo, resolve 0x%llx}", (ull)how->mode, (ull)how->resolve);
}

union fixed_value {
	u64 words[8];
	siginfo_t info;
	struct stat stat;
	struct statx statx;
	struct clone_args clone;
	struct sigaction action;
	struct open_how how;
};

/* What has one fixed size and is not a list: how many bytes; 0: none of these. */
static u32 fixed_size(enum syscall_show show)
{
	switch (show) {
	case SYSCALL_SHOW_U32:
	case SYSCALL_SHOW_STATUS:
		return 4;
	case SYSCALL_SHOW_FDPAIR:
	case SYSCALL_SHOW_U64:
	case SYSCALL_SHOW_SIGSET:
		return 8;
	case SYSCALL_SHOW_PAIR:
	case SYSCALL_SHOW_TIMESPEC:
	case SYSCALL_SHOW_TIMEVAL:
		return 16;
	case SYSCALL_SHOW_OPENHOW:
	case SYSCALL_SHOW_STACK:
		return 24;
	case SYSCALL_SHOW_TIMESPEC2:
	case SYSCALL_SHOW_TIMEVAL2:
	case SYSCALL_SHOW_SIGACTION:
		return 32;
	case SYSCALL_SHOW_SIGINFO:
		return 32; /* of 128 */
	case SYSCALL_SHOW_STATXBUF:
		return 56; /* to stx_blocks */
	case SYSCALL_SHOW_STAT:
		return 64; /* to st_blksize */
	case SYSCALL_SHOW_CLONE3:
		return 64; /* the oldest version's */
	default:
		return 0;
	}
}

/* One of them; `v` holds the bytes that fixed_size() says. */
static void show_fixed(struct trace_text *t, enum syscall_show show, const union fixed_value *v)
{
	const u64 *q = v->words;
	const u32 *d = (const u32 *)v->words;

	switch (show) {
	case SYSCALL_SHOW_U32:
		trace_printf(t, "[%u]", *d);
		break;
	case SYSCALL_SHOW_STATUS:
		show_status(t, *d);
		break;
	case SYSCALL_SHOW_FDPAIR:
		trace_printf(t, "[%d, %d]", (int)d[0], (int)d[1]);
		break;
	case SYSCALL_SHOW_U64:
		trace_printf(t, "[%lld]", (long long)*q);
		break;
	case SYSCALL_SHOW_SIGSET:
		show_sigset(t, *q);
		break;
	case SYSCALL_SHOW_PAIR:
		show_rlimit(t, q);
		break;
	case SYSCALL_SHOW_TIMESPEC:
		show_times(t, (const s64 *)q, 1, "ns");
		break;
	case SYSCALL_SHOW_TIMESPEC2:
		show_times(t, (const s64 *)q, 2, "ns");
		break;
	case SYSCALL_SHOW_TIMEVAL:
		show_times(t, (const s64 *)q, 1, "us");
		break;
	case SYSCALL_SHOW_TIMEVAL2:
		show_times(t, (const s64 *)q, 2, "us");
		break;
	case SYSCALL_SHOW_OPENHOW:
		show_openhow(t, &v->how);
		break;
	case SYSCALL_SHOW_STACK:
		trace_printf(t, "{0x%llx, flags %u, %llu}", (ull)q[0], d[2], (ull)q[2]);
		break;
	case SYSCALL_SHOW_SIGACTION:
		show_sigaction(t, &v->action);
		break;
	case SYSCALL_SHOW_SIGINFO:
		show_siginfo(t, &v->info);
		break;
	case SYSCALL_SHOW_STATXBUF:
		trace_printf(t, "{");
		show_mode(t, v->statx.stx_mode);
		trace_printf(t, ", size %llu}", (ull)v->statx.stx_size);
		break;
	case SYSCALL_SHOW_STAT:
		trace_printf(t, "{");
		show_mode(t, v->stat.st_mode);
		trace_printf(t, ", size %llu}", (ull)v->stat.st_size);
		break;
	case SYSCALL_SHOW_CLONE3:
		show_clone3(t, &v->clone);
		break;
	default:
		break;
	}
}

/* ---- lists ------------------------------------------------------------------------------------- */

static void show_pollfds(struct trace_text *t, u64 addr, u64 n)
{
	struct pollfd p;

	trace_printf(t, "[");
	for (u64 i = 0; i < MIN(n, (u64)SHOW_ITEMS); i++) {
		if (copy_from_user(&p, uptr(addr + i * sizeof(p)), sizeof(p)))
			break;
		trace_printf(t, "%s{%d, 0x%x, 0x%x}", i ? ", " : "", p.fd, (u16)p.events, (u16)p.revents);
	}
	trace_printf(t, n > SHOW_ITEMS ? ", ...]" : "]");
}

static void show_iovecs(struct trace_text *t, u64 addr, u64 n, bool contents)
{
	struct iovec v;

	trace_printf(t, "[");
	for (u64 i = 0; i < MIN(n, (u64)SHOW_ITEMS); i++) {
		if (copy_from_user(&v, uptr(addr + i * sizeof(v)), sizeof(v)))
			break;
		trace_printf(t, i ? ", {" : "{");
		if (contents)
			show_buffer(t, v.iov_base.addr, v.iov_len);
		else
			show_address(t, v.iov_base.addr);
		trace_printf(t, ", %llu}", (ull)v.iov_len);
	}
	trace_printf(t, n > SHOW_ITEMS ? ", ...]" : "]");
}

#define STRINGS_SHOWN 8u
#define STRINGS_COUNTED 4096u

/* argv: the strings; or how many there are. */
static void show_strings(struct trace_text *t, u64 addr, bool count)
{
	u64 p;
	u32 i;

	trace_printf(t, "[");
	for (i = 0; i < (count ? STRINGS_COUNTED : STRINGS_SHOWN); i++) {
		if (get_user_u64(&p, uptr(addr + i * 8)) || !p)
			break;
		if (count)
			continue;
		trace_printf(t, i ? ", " : "");
		show_string(t, p);
	}
	if (count)
		trace_printf(t, "%u strings]", i);
	else
		trace_printf(t, i == STRINGS_SHOWN ? ", ...]" : "]");
}

static void show_fdset(struct trace_text *t, u64 addr, u64 n)
{
	const char *blank = "";
	u64 word;

	trace_printf(t, "[");
	for (u64 fd = 0; fd < MIN(n, (u64)FD_SETSIZE); fd++) {
		if (fd % 64 == 0 && get_user_u64(&word, uptr(addr + fd / 8)))
			break;
		if (!(word >> fd % 64 & 1))
			continue;
		trace_printf(t, "%s%llu", blank, (ull)fd);
		blank = " ";
	}
	trace_printf(t, "]");
}

static void show_utsname(struct trace_text *t, u64 addr)
{
	trace_printf(t, "{");
	show_string(t, addr + offsetof(struct new_utsname, sysname));
	trace_printf(t, ", ");
	show_string(t, addr + offsetof(struct new_utsname, release));
	trace_printf(t, "}");
}

/* ---- one argument ------------------------------------------------------------------------------ */

static void show_pointer(struct trace_text *t, const struct syscall_info *call, u32 i, const u64 *args, bool done,
			 s64 result)
{
	const struct syscall_arg *a = &call->arg[i];
	union fixed_value value;
	u64 addr = args[i];
	u32 bytes = fixed_size(a->show);

	if (!addr) {
		trace_printf(t, "NULL");
	} else if (bytes) {
		if (copy_from_user(&value, uptr(addr), bytes))
			show_address(t, addr);
		else
			show_fixed(t, a->show, &value);
	} else if (a->show == SYSCALL_SHOW_POLLFD) {
		show_pollfds(t, addr, args[i + 1]);
	} else if (a->show == SYSCALL_SHOW_IOVEC) {
		show_iovecs(t, addr, args[i + 1], strstr(call->name, "write") != NULL);
	} else if (a->show == SYSCALL_SHOW_FDSET) {
		show_fdset(t, addr, args[0]);
	} else if (a->show == SYSCALL_SHOW_STRINGS || a->show == SYSCALL_SHOW_COUNT) {
		show_strings(t, addr, a->show == SYSCALL_SHOW_COUNT);
	} else if (a->show == SYSCALL_SHOW_UTSNAME) {
		show_utsname(t, addr);
	} else if (a->size < 0 && (a->kind == SYSCALL_ARG_IN || (a->kind == SYSCALL_ARG_OUT && done && result >= 0))) {
		u64 n = args[-1 - a->size];

		show_buffer(t, addr, a->kind == SYSCALL_ARG_IN ? n : MIN(n, (u64)result));
	} else {
		show_address(t, addr);
	}
}

bool trace_is_output(const struct syscall_arg *a)
{
	if (a->kind == SYSCALL_ARG_INOUT)
		return a->show != SYSCALL_SHOW_PLAIN;
	return a->kind == SYSCALL_ARG_OUT && (a->show != SYSCALL_SHOW_PLAIN || a->size < 0);
}

static void show_fd(struct trace_text *t, int fd)
{
	if (fd == AT_FDCWD)
		trace_printf(t, "AT_FDCWD");
	else
		trace_printf(t, "%d", fd);
}

/* fcntl's third argument where it is flags of open. */
static bool is_setfl(const struct syscall_info *call, u32 i, const u64 *args)
{
	return i == 2 && call->arg[1].show == SYSCALL_SHOW_FCNTL && args[1] == F_SETFL;
}

void trace_argument(struct trace_text *t, const struct syscall_info *call, u32 i, const u64 *args, bool done, s64 result)
{
	const struct syscall_arg *a = &call->arg[i];
	u64 v = args[i];

	if (a->show != SYSCALL_SHOW_PLAIN && a->show < SYSCALL_SHOW_NAMES) {
		trace_named(t, a->show, v);
		return;
	}
	switch ((enum syscall_arg_kind)a->kind) {
	case SYSCALL_ARG_INT:
	case SYSCALL_ARG_PID:
		trace_printf(t, "%d", (int)v);
		break;
	case SYSCALL_ARG_FD:
		show_fd(t, (int)v);
		break;
	case SYSCALL_ARG_LONG:
	case SYSCALL_ARG_OFF:
		trace_printf(t, "%lld", (long long)v);
		break;
	case SYSCALL_ARG_UINT:
	case SYSCALL_ARG_UID:
	case SYSCALL_ARG_GID:
		trace_printf(t, (u32)v == ~0u ? "-1" : "%u", (u32)v);
		break;
	case SYSCALL_ARG_SIZE:
		trace_printf(t, "%llu", (ull)v);
		break;
	case SYSCALL_ARG_SIG:
		trace_signal(t, (u32)v);
		break;
	case SYSCALL_ARG_MODE:
		trace_printf(t, v ? "0%o" : "%o", (u32)v);
		break;
	case SYSCALL_ARG_ULONG:
		if (is_setfl(call, i, args))
			trace_named(t, SYSCALL_SHOW_OPEN, v);
		else
			trace_printf(t, v < 4096 ? "%llu" : "0x%llx", (ull)v);
		break;
	case SYSCALL_ARG_DEV:
	case SYSCALL_ARG_LFLAGS:
		trace_printf(t, v < 10 ? "%llu" : "0x%llx", (ull)v);
		break;
	case SYSCALL_ARG_FLAGS:
	case SYSCALL_ARG_UFLAGS:
		trace_printf(t, (u32)v < 10 ? "%u" : "0x%x", (u32)v);
		break;
	case SYSCALL_ARG_ADDR:
		show_address(t, v);
		break;
	case SYSCALL_ARG_STR:
		show_string(t, v);
		break;
	case SYSCALL_ARG_IN:
		show_pointer(t, call, i, args, done, result);
		break;
	case SYSCALL_ARG_OUT:
	case SYSCALL_ARG_INOUT:
		if (done && result < 0)
			show_address(t, v);
		else
			show_pointer(t, call, i, args, done, result);
		break;
	}
}
