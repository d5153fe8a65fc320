/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_SIGNAL_H
#define ABI_LINUX_SIGNAL_H

/*
 * Signals: numbers, actions, siginfo_t, alternate stacks. sigset_t and struct
 * sigaction are the kernel's (rt_sigaction(2)), not libc's. The frame on the
 * user's stack is in sigcontext.h.
 */

#include <lib/compiler.h>

#define SIGHUP			1
#define SIGINT			2
#define SIGQUIT			3
#define SIGILL			4
#define SIGTRAP			5
#define SIGABRT			6
#define SIGIOT			6
#define SIGBUS			7
#define SIGFPE			8
#define SIGKILL			9
#define SIGUSR1			10
#define SIGSEGV			11
#define SIGUSR2			12
#define SIGPIPE			13
#define SIGALRM			14
#define SIGTERM			15
#define SIGSTKFLT		16
#define SIGCHLD			17
#define SIGCONT			18
#define SIGSTOP			19
#define SIGTSTP			20
#define SIGTTIN			21
#define SIGTTOU			22
#define SIGURG			23
#define SIGXCPU			24
#define SIGXFSZ			25
#define SIGVTALRM		26
#define SIGPROF			27
#define SIGWINCH		28
#define SIGIO			29
#define SIGPOLL			SIGIO
#define SIGPWR			30
#define SIGSYS			31
#define SIGUNUSED		31
/* The kernel's view: 64 signals. libc keeps 32 and 33 for itself. */
#define SIGRTMIN		32
#define SIGRTMAX		64
#define _NSIG			64

#define SA_NOCLDSTOP		0x00000001
#define SA_NOCLDWAIT		0x00000002
#define SA_SIGINFO		0x00000004
#define SA_UNSUPPORTED		0x00000400
#define SA_EXPOSE_TAGBITS	0x00000800
#define SA_ONSTACK		0x08000000
#define SA_RESTART		0x10000000
#define SA_NODEFER		0x40000000
#define SA_RESETHAND		0x80000000
#define SA_NOMASK		SA_NODEFER
#define SA_ONESHOT		SA_RESETHAND
#define SA_RESTORER		0x04000000
#define SIG_BLOCK		0
#define SIG_UNBLOCK		1
#define SIG_SETMASK		2
/* As addresses of handlers. */
#define SIG_DFL			0
#define SIG_IGN			1
#define SIG_ERR			(-1)
#define MINSIGSTKSZ		2048
#define SIGSTKSZ		8192
#define SS_ONSTACK		1
#define SS_DISABLE		2
#define SS_AUTODISARM		(1U<<31)
#define SS_FLAG_BITS		SS_AUTODISARM
#define SI_MAX_SIZE		128

/* Where a signal came from: si_code. */
#define SI_USER			0
#define SI_KERNEL		0x80
#define SI_QUEUE		(-1)
#define SI_TIMER		(-2)
#define SI_MESGQ		(-3)
#define SI_ASYNCIO		(-4)
#define SI_SIGIO		(-5)
#define SI_TKILL		(-6)
#define SI_DETHREAD		(-7)
#define SI_ASYNCNL		(-60)
#define ILL_ILLOPC		1
#define ILL_ILLOPN		2
#define ILL_ILLADR		3
#define ILL_ILLTRP		4
#define ILL_PRVOPC		5
#define ILL_PRVREG		6
#define ILL_COPROC		7
#define ILL_BADSTK		8
#define ILL_BADIADDR		9
#define FPE_INTDIV		1
#define FPE_INTOVF		2
#define FPE_FLTDIV		3
#define FPE_FLTOVF		4
#define FPE_FLTUND		5
#define FPE_FLTRES		6
#define FPE_FLTINV		7
#define FPE_FLTSUB		8
#define FPE_FLTUNK		14
#define FPE_CONDTRAP		15
#define SEGV_MAPERR		1
#define SEGV_ACCERR		2
#define SEGV_BNDERR		3
#define SEGV_PKUERR		4
#define SEGV_ACCADI		5
#define SEGV_ADIDERR		6
#define SEGV_ADIPERR		7
#define SEGV_MTEAERR		8
#define SEGV_MTESERR		9
#define BUS_ADRALN		1
#define BUS_ADRERR		2
#define BUS_OBJERR		3
#define BUS_MCEERR_AR		4
#define BUS_MCEERR_AO		5
#define TRAP_BRKPT		1
#define TRAP_TRACE		2
#define TRAP_BRANCH		3
#define TRAP_HWBKPT		4
#define TRAP_UNK		5
#define TRAP_PERF		6
#define TRAP_PERF_FLAG_ASYNC	(1u << 0)
#define CLD_EXITED		1
#define CLD_KILLED		2
#define CLD_DUMPED		3
#define CLD_TRAPPED		4
#define CLD_STOPPED		5
#define CLD_CONTINUED		6
#define POLL_IN			1
#define POLL_OUT		2
#define POLL_MSG		3
#define POLL_ERR		4
#define POLL_PRI		5
#define POLL_HUP		6
#define SYS_SECCOMP		1
#define SYS_USER_DISPATCH	2
#define NSIGILL			11
#define NSIGFPE			15
#define NSIGSEGV		9
#define NSIGBUS			5
#define NSIGTRAP		6
#define NSIGCHLD		6
#define NSIGPOLL		6
#define NSIGSYS			2
#define SIGEV_SIGNAL		0
#define SIGEV_NONE		1
#define SIGEV_THREAD		2
#define SIGEV_THREAD_ID		4
#define SIGEV_MAX_SIZE		64

/* Signal n is bit n - 1. */
typedef u64 sigset_t;

typedef union sigval {
	s32 sival_int;
	uptr_t sival_ptr;
} sigval_t;

struct sigaction {
	uptr_t sa_handler;
	u64 sa_flags;
	uptr_t sa_restorer;
	sigset_t sa_mask;
};

typedef struct sigaltstack {
	uptr_t ss_sp;
	s32 ss_flags;
	u64 ss_size;
} stack_t;

typedef struct siginfo {
	union {
		struct {
			s32 si_signo;
			s32 si_errno;
			s32 si_code;
			union {
				struct {
					s32 _pid;
					u32 _uid;
				} _kill;
				struct {
					s32 _tid;
					s32 _overrun;
					sigval_t _sigval;
					s32 _sys_private;
				} _timer;
				struct {
					s32 _pid;
					u32 _uid;
					sigval_t _sigval;
				} _rt;
				struct {
					s32 _pid;
					u32 _uid;
					s32 _status;
					s64 _utime;	/* ticks of 1/100 s */
					s64 _stime;
				} _sigchld;
				struct {
					uptr_t _addr;
					union {
						s32 _trapno;
						s16 _addr_lsb;
						struct {
							char _dummy_bnd[8];
							uptr_t _lower;
							uptr_t _upper;
						} _addr_bnd;
						struct {
							char _dummy_pkey[8];
							u32 _pkey;
						} _addr_pkey;
						struct {
							u64 _data;
							u32 _type;
							u32 _flags;
						} _perf;
					};
				} _sigfault;
				struct {
					s64 _band;
					s32 _fd;
				} _sigpoll;
				struct {
					uptr_t _call_addr;
					s32 _syscall;
					u32 _arch;
				} _sigsys;
			} _sifields;
		};
		s32 _si_pad[128 / 4];
	};
} siginfo_t;

static_assert(sizeof(siginfo_t) == SI_MAX_SIZE, "siginfo_t");

/* No layout of siginfo_t is longer: what the kernel keeps of one. Programs find zeros behind it. */
#define SIGINFO_USED_BYTES 48

#define si_pid		_sifields._kill._pid
#define si_uid		_sifields._kill._uid
#define si_tid		_sifields._timer._tid
#define si_overrun	_sifields._timer._overrun
#define si_sys_private	_sifields._timer._sys_private
#define si_status	_sifields._sigchld._status
#define si_utime	_sifields._sigchld._utime
#define si_stime	_sifields._sigchld._stime
#define si_value	_sifields._rt._sigval
#define si_int		_sifields._rt._sigval.sival_int
#define si_ptr		_sifields._rt._sigval.sival_ptr
#define si_addr		_sifields._sigfault._addr
#define si_trapno	_sifields._sigfault._trapno
#define si_addr_lsb	_sifields._sigfault._addr_lsb
#define si_lower	_sifields._sigfault._addr_bnd._lower
#define si_upper	_sifields._sigfault._addr_bnd._upper
#define si_pkey		_sifields._sigfault._addr_pkey._pkey
#define si_band		_sifields._sigpoll._band
#define si_fd		_sifields._sigpoll._fd
#define si_call_addr	_sifields._sigsys._call_addr
#define si_syscall	_sifields._sigsys._syscall
#define si_arch		_sifields._sigsys._arch

typedef struct sigevent {
	sigval_t sigev_value;
	s32 sigev_signo;
	s32 sigev_notify;
	union {
		s32 _pad[12];
		s32 _tid;
		struct {
			uptr_t _function;
			uptr_t _attribute;
		} _sigev_thread;
	} _sigev_un;
} sigevent_t;

#define sigev_notify_thread_id _sigev_un._tid

#endif
