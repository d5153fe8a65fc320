/*
 * signal.c - signal(7): dispositions, masks, queues, waiting, restart,
 * alternate stacks, who may send.  The frame itself is sigframe.c's subject,
 * stop and continue jobctl.c's.
 */
#include "tap.h"

#include <poll.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile int count, last_sig, depth, max_depth;
static volatile siginfo_t last_info;
static sigset_t mask_in_handler;

static void plain(int sig)
{
	count++;
	last_sig = sig;
	sigprocmask(SIG_SETMASK, NULL, &mask_in_handler);
}

static void detailed(int sig, siginfo_t *info, void *uc)
{
	plain(sig);
	last_info = *info;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = detailed, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
	count = 0;
}

static void check_actions(void)
{
	struct sigaction sa = { .sa_handler = plain }, old;

	fails(sigaction(SIGKILL, &sa, NULL), EINVAL, "no handler for SIGKILL");
	fails(sigaction(SIGSTOP, &sa, NULL), EINVAL, "nor for SIGSTOP");
	works(sigaction(SIGKILL, NULL, &old), "but both can be asked");
	fails(syscall(SYS_rt_sigaction, 65, &sa, NULL, 8), EINVAL, "sigaction: signal 65");
	fails(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL, "sigaction: signal 0");
	fails(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 4), EINVAL,
	      "sigaction: a wrong set size");
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR2);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR1, NULL, &old);
	ok(old.sa_handler == plain, "the handler is read back");
	ok(sigismember(&old.sa_mask, SIGUSR2), "and the mask");
	ok(old.sa_flags & SA_RESTART, "and the flags");
	raise(SIGUSR1);
	is(count, 1, "raise runs the handler before it returns");
	ok(sigismember(&mask_in_handler, SIGUSR1), "the signal itself is blocked in its handler");
	ok(sigismember(&mask_in_handler, SIGUSR2), "and what sa_mask says");
	sigprocmask(SIG_SETMASK, NULL, &mask_in_handler);
	ok(!sigismember(&mask_in_handler, SIGUSR1), "afterwards neither");
	handle(SIGUSR1, SA_NODEFER | SA_SIGINFO);
	raise(SIGUSR1);
	ok(!sigismember(&mask_in_handler, SIGUSR1), "SA_NODEFER leaves it open");
	handle(SIGUSR1, SA_RESETHAND | SA_SIGINFO);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &old);
	ok(count == 1 && old.sa_handler == SIG_DFL, "SA_RESETHAND resets it");
	signal(SIGUSR1, SIG_IGN);
	is(raise(SIGUSR1), 0, "an ignored signal does nothing");
}

static void check_defaults(void)
{
	static const int terminate[] = {
		SIGHUP, SIGINT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGPROF,
		SIGVTALRM, SIGIO, SIGPWR, SIGSTKFLT, 34, 64, SIGKILL,
	}, core[] = {
		SIGQUIT, SIGILL, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGTRAP,
		SIGXCPU, SIGXFSZ,
	}, ignore[] = { SIGCHLD, SIGCONT, SIGURG, SIGWINCH };
	struct rlimit none = { 0, 0 };
	unsigned int i;
	int status;

	setrlimit(RLIMIT_CORE, &none);
	for (i = 0; i < sizeof(terminate) / sizeof(int); i++) {
		status = in_child(signal(terminate[i], SIG_DFL); raise(terminate[i]));
		ok(killed(status, terminate[i]), "default of signal %d: terminate", terminate[i]);
	}
	for (i = 0; i < sizeof(core) / sizeof(int); i++) {
		status = in_child(raise(core[i]));
		ok(killed(status, core[i]), "default of signal %d: terminate (core)", core[i]);
	}
	for (i = 0; i < sizeof(ignore) / sizeof(int); i++)
		is(in_child(raise(ignore[i])), 0, "default of signal %d: nothing", ignore[i]);
}

static void check_masks(void)
{
	sigset_t set, old, pend;

	handle(SIGUSR1, SA_SIGINFO);
	handle(SIGUSR2, SA_SIGINFO);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	fails(syscall(SYS_rt_sigprocmask, 7, &set, NULL, 8), EINVAL, "sigprocmask: a bad how");
	fails(syscall(SYS_rt_sigprocmask, 0, &set, NULL, 16), EINVAL,
	      "sigprocmask: a wrong size");
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR2);
	is(count, 0, "blocked signals wait");
	sigpending(&pend);
	ok(sigismember(&pend, SIGUSR1) && sigismember(&pend, SIGUSR2), "sigpending shows them");
	sigdelset(&set, SIGUSR2);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	is(count, 1, "unblocking delivers once what was sent twice");
	is(last_sig, SIGUSR1, "only what was unblocked");
	signal(SIGUSR2, SIG_IGN);
	sigpending(&pend);
	ok(!sigismember(&pend, SIGUSR2), "ignoring a pending signal discards it");
	sigprocmask(SIG_SETMASK, &old, NULL);
	is(count, 1, "and it never comes");
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigprocmask(SIG_SETMASK, NULL, &set);
	ok(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP),
	   "KILL and STOP cannot be blocked");
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static int order[16], n_order;
static void note_order(int sig, siginfo_t *info, void *uc)
{
	if (n_order < 16)
		order[n_order++] = sig * 100 + info->si_value.sival_int;
}

static void check_queue(void)
{
	struct sigaction sa = { .sa_sigaction = note_order, .sa_flags = SA_SIGINFO };
	union sigval v;
	sigset_t one, set, old;
	siginfo_t info;
	struct timespec ts = { 0, 20000000 };
	long start;
	int i;

	sigemptyset(&set);
	for (i = 36; i < 40; i++) {
		sigaction(i, &sa, NULL);
		sigaddset(&set, i);
	}
	sigaddset(&sa.sa_mask, 36);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (i = 1; i <= 3; i++) {
		v.sival_int = i;
		sigqueue(getpid(), 38, v);
		sigqueue(getpid(), 37, v);
	}
	is(sigtimedwait(&set, &info, &ts), 37, "sigtimedwait takes the lowest number first");
	ok(info.si_code == SI_QUEUE && info.si_value.sival_int == 1 && info.si_pid == getpid() &&
	   info.si_uid == getuid(), "with sender and value, in order of sending");
	sigprocmask(SIG_SETMASK, &old, NULL);
	is(n_order, 5, "real-time signals are queued, not merged");
	/* Frames are built lowest number first, so the highest runs first. */
	ok(order[0] % 100 && order[4] % 100, "each with its value");
	sigprocmask(SIG_BLOCK, &set, NULL);
	start = tap_now_ms();
	fails(sigtimedwait(&set, &info, &ts), EAGAIN, "sigtimedwait times out");
	ok(tap_now_ms() - start >= 19, "not early");
	ts.tv_nsec = 0;
	fails(sigtimedwait(&set, &info, &ts), EAGAIN, "a zero time-out polls");
	ts.tv_nsec = 1000000000;
	fails(sigtimedwait(&set, &info, &ts), EINVAL, "a bad time-out");
	in_child({
		tap_sleep_ms(20);
		kill(getppid(), 39);
	});
	is(sigwaitinfo(&set, &info), 39, "sigwaitinfo");
	is(info.si_code, SI_USER, "si_code of kill is SI_USER");
	sigprocmask(SIG_SETMASK, &old, NULL);
	v.sival_int = 0;
	fails(sigqueue(getpid(), 65, v), EINVAL, "sigqueue: signal 65");
	fails(sigqueue(999999, 36, v), ESRCH, "sigqueue: nobody");
	works(sigqueue(getpid(), 0, v), "sigqueue: signal 0 only asks");
	memset(&info, 0, sizeof(info));
	info.si_code = SI_USER;
	fails(syscall(SYS_rt_sigqueueinfo, 1, SIGUSR1, &info), EPERM,
	      "a forged si_code is refused for others");
	/* 128 bytes come in, of which layouts use 48: the rest must be zeros unless the layout is known not to care. */
	memset(&info, 0, sizeof(info));
	((unsigned char *)&info)[100] = 1;
	info.si_code = -50;
	fails(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info), E2BIG, "bytes behind an unknown siginfo");
	info.si_code = SI_QUEUE;
	info.si_value.sival_int = 77;
	sigemptyset(&one);
	sigaddset(&one, SIGUSR2);
	sigprocmask(SIG_BLOCK, &one, NULL);
	works(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR2, &info), "bytes behind a known one are dropped");
	memset(&info, 0xff, sizeof(info));
	is(sigwaitinfo(&one, &info), SIGUSR2, "it arrives");
	ok(info.si_value.sival_int == 77 && !((unsigned char *)&info)[100], "with its value, and zeros behind it");
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	works(in_child({
		struct rlimit rl = { 4, 4 };

		setrlimit(RLIMIT_SIGPENDING, &rl);
		setresuid(12345, 12345, 12345);
		sigprocmask(SIG_BLOCK, &set, NULL);
		for (i = 0; i < 20; i++)
			if (sigqueue(getpid(), 36, v) < 0)
				_exit(errno == EAGAIN && i == 4 ? 0 : 1);
		_exit(2);
	}) == 0 ? 0 : -1, "RLIMIT_SIGPENDING limits the queue");
}

static void check_waiting(void)
{
	sigset_t set, old, empty;
	struct timespec ts = { 1000, 0 };
	struct pollfd pfd = { 0 };
	pid_t pid;

	handle(SIGUSR1, SA_SIGINFO);
	sigemptyset(&empty);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	fails(sigsuspend(&old), EINTR, "sigsuspend returns after the handler");
	is(count, 1, "which ran");
	sigprocmask(SIG_SETMASK, NULL, &set);
	ok(sigismember(&set, SIGUSR1), "and the mask is back");
	raise(SIGUSR1);
	fails(ppoll(&pfd, 0, &ts, &empty), EINTR, "ppoll with a mask that opens a pending signal");
	is(count, 2, "runs its handler");
	sigprocmask(SIG_SETMASK, &old, NULL);
	pid = fork();
	if (pid == 0) {
		when_it_sleeps(getppid());
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	fails(pause(), EINTR, "pause");
	tap_wait(pid);
	pid = fork();
	if (pid == 0) {
		when_it_sleeps(getppid());
		tap_sleep_ms(20);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	fails(nanosleep(&ts, &ts), EINTR, "nanosleep is interrupted");
	ok(ts.tv_sec > 900 && ts.tv_sec < 1000, "and tells what is left");
	tap_wait(pid);
}

/* Children see that the handler has run, by then nobody who was interrupted looks at the pipe for the first time. */
static volatile int *handled;

static void note_handled(int sig)
{
	count++;
	++*handled;
}

static void check_restart(void)
{
	struct sigaction sa = { .sa_handler = note_handled };
	int p[2], i;
	char c = 0;
	pid_t pid;

	handled = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pipe(p);
	for (i = 0; i < 2; i++) {
		sa.sa_flags = i ? SA_RESTART : 0;
		sigaction(SIGUSR1, &sa, NULL);
		count = *handled = 0;
		pid = fork();
		if (pid == 0) {
			when_it_sleeps(getppid());
			kill(getppid(), SIGUSR1);
			within(30000, *handled);
			if (i)
				when_it_sleeps(getppid());
			write(p[1], "z", 1);
			_exit(0);
		}
		if (i) {
			is(read(p[0], &c, 1), 1, "SA_RESTART: read goes on after the handler");
			is(c, 'z', "and gets its byte");
		} else {
			fails(read(p[0], &c, 1), EINTR, "without SA_RESTART read fails with EINTR");
			read(p[0], &c, 1);
		}
		is(count, 1, "the handler ran once");
		tap_wait(pid);
	}
	/* A stop and continue without a handler is invisible to read. */
	pid = fork();
	if (pid == 0) {
		read(p[0], &c, 1);
		_exit(c != 'q');
	}
	within(10000, tap_state(pid) == 'S');
	kill(pid, SIGSTOP);
	within(10000, tap_state(pid) == 'T');
	kill(pid, SIGCONT);
	within(10000, tap_state(pid) == 'S');
	write(p[1], "q", 1);
	is(tap_wait(pid), 0, "stop and continue restart a read without a handler");
	close(p[0]);
	close(p[1]);
}

static volatile uintptr_t handler_sp;
static volatile int on_stack_flags;
static void where(int sig)
{
	stack_t ss;
	char here;

	handler_sp = (uintptr_t)&here;
	sigaltstack(NULL, &ss);
	on_stack_flags = ss.ss_flags;
}

static sigjmp_buf jump;
static void leave(int sig)
{
	siglongjmp(jump, 1);
}

static int overflow(int n)
{
	volatile char block[4096];

	block[0] = n;
	return n ? overflow(n + 1) + block[0] : 0;
}

static volatile int in_alt;
static void change_inside(int sig)
{
	stack_t ss = { .ss_flags = SS_DISABLE };

	in_alt = sigaltstack(&ss, NULL) < 0 ? errno : 0;
}

static void check_altstack(void)
{
	size_t size = 64 << 10;
	char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t ss = { .ss_sp = area, .ss_size = size }, old;
	struct sigaction sa = { .sa_handler = where, .sa_flags = SA_ONSTACK };

	works(sigaltstack(&ss, NULL), "sigaltstack");
	sigaltstack(NULL, &old);
	ok(old.ss_sp == area && old.ss_size == size && old.ss_flags == 0, "is read back");
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	ok(handler_sp > (uintptr_t)area && handler_sp < (uintptr_t)area + size,
	   "SA_ONSTACK runs on it");
	is(on_stack_flags, SS_ONSTACK, "and says so");
	sa.sa_flags = 0;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	ok(handler_sp < (uintptr_t)area || handler_sp > (uintptr_t)area + size,
	   "without the flag it does not");
	sa.sa_handler = change_inside;
	sa.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	is(in_alt, EPERM, "the stack in use cannot be changed");
	ss.ss_size = 100;
	fails(sigaltstack(&ss, NULL), ENOMEM, "a stack too small");
	ss.ss_size = size;
	ss.ss_flags = 0x100;
	fails(sigaltstack(&ss, NULL), EINVAL, "a bad flag");
	ss.ss_flags = 0;
	sa.sa_handler = leave;
	sigaction(SIGSEGV, &sa, NULL);
	if (sigsetjmp(jump, 1) == 0) {
		struct rlimit rl = { 1 << 20, RLIM_INFINITY };

		setrlimit(RLIMIT_STACK, &rl);
		overflow(1);
		ok(false, "stack overflow is caught on the alternate stack");
	} else {
		ok(true, "stack overflow is caught on the alternate stack");
	}
	signal(SIGSEGV, SIG_DFL);
	ok(killed(in_child({
		ss.ss_flags = SS_DISABLE;
		sigaltstack(&ss, NULL);
		sa.sa_handler = where;
		sigaction(SIGSEGV, &sa, NULL);
		overflow(1);
	}), SIGSEGV), "no room for the frame: the process dies of SIGSEGV");
	ss.ss_flags = SS_DISABLE;
	works(sigaltstack(&ss, NULL), "SS_DISABLE takes it away");
}

static void check_sending(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	fails(kill(pid, 65), EINVAL, "kill: signal 65");
	fails(kill(pid, -1), EINVAL, "kill: signal -1");
	fails(kill(999999, 0), ESRCH, "kill: nobody");
	fails(kill(-999999, 0), ESRCH, "kill: no such group");
	works(kill(pid, 0), "kill: signal 0 asks");
	fails(syscall(SYS_tgkill, pid, 1, SIGUSR1), ESRCH, "tgkill: a thread of another process");
	fails(syscall(SYS_tgkill, 0, 1, SIGUSR1), EINVAL, "tgkill: process 0");
	fails(syscall(SYS_tkill, -1, SIGUSR1), EINVAL, "tkill: thread -1");
	fails(syscall(SYS_tkill, 999999, SIGUSR1), ESRCH, "tkill: nobody");
	is(in_child({
		int bad = 0;

		setresuid(1000, 1000, 1000);
		bad |= kill(pid, SIGTERM) != -1 || errno != EPERM;
		bad |= (kill(pid, 0) != -1 || errno != EPERM) << 1;
		bad |= (kill(1, SIGUSR1) != -1 || errno != EPERM) << 2;
		/* kill(-1) counts those it may not signal, but does not fail. */
		bad |= (kill(-1, SIGTERM) != 0) << 3;
		_exit(bad);
	}), 0, "a user may not signal root's processes");
	is(in_child({
		/* The real user id of the sender against real or saved of the target. */
		pid_t other = fork();

		if (other == 0) {
			setresuid(1000, 2000, 3000);
			for (;;)
				pause();
		}
		when_it_sleeps(other);
		int bad = 0;

		seteuid(2000);
		setresuid(2000, 2000, 2000);
		bad |= kill(other, 0) == 0;
		_exit(bad);
	}), 0, "the target's effective id does not matter");
	is(in_child({
		pid_t other = fork();

		if (other == 0) {
			setresuid(1000, 2000, 3000);
			for (;;)
				pause();
		}
		when_it_sleeps(other);
		setresuid(1000, 1000, 1000);
		_exit(kill(other, SIGKILL) != 0);
	}), 0, "its real id does");
	is(in_child({
		pid_t other = fork();

		if (other == 0) {
			setresuid(7000, 7000, 7000);
			for (;;)
				pause();
		}
		when_it_sleeps(other);
		setresuid(7000, 7000, 7000);
		int bad = kill(-1, SIGKILL) != 0;

		_exit(bad | (!killed(tap_wait(other), SIGKILL) << 1));
	}), 0, "kill(-1) reaches what one may signal");
	works(kill(1, SIGUSR1), "init is immune to signals without a handler");
	kill(pid, SIGKILL);
	works(kill(pid, 0), "a zombie can be signalled");
	tap_wait(pid);
	fails(kill(pid, 0), ESRCH, "until it is waited for");
}

static void check_timers(void)
{
	struct itimerval it = { .it_value = { 0, 30000 } }, old;
	unsigned int left;
	long start;

	handle(SIGALRM, SA_SIGINFO);
	is(alarm(1000), 0, "alarm");
	left = alarm(0);
	ok(left > 900 && left <= 1000, "tells what was left");
	start = tap_now_ms();
	works(setitimer(ITIMER_REAL, &it, NULL), "setitimer");
	while (!count)	/* not pause(): it comes once, and may come before that */
		tap_sleep_ms(1);
	ok(count == 1 && tap_now_ms() - start >= 29, "ITIMER_REAL sends SIGALRM in time");
	is(last_info.si_code, SI_KERNEL, "si_code is SI_KERNEL");
	it.it_interval.tv_usec = 5000;
	it.it_value.tv_usec = 5000;
	setitimer(ITIMER_REAL, &it, NULL);
	while (count < 4)
		pause();
	works(getitimer(ITIMER_REAL, &old), "getitimer");
	is(old.it_interval.tv_usec, 5000, "knows the interval");
	memset(&it, 0, sizeof(it));
	setitimer(ITIMER_REAL, &it, NULL);
	ok(true, "an interval timer repeats");
	it.it_value.tv_usec = 1000000;
	fails(setitimer(ITIMER_REAL, &it, NULL), EINVAL, "a bad time");
	fails(getitimer(9, &it), EINVAL, "a bad timer");
}

int main(void)
{
	check_actions();
	check_defaults();
	check_masks();
	check_queue();
	check_waiting();
	check_restart();
	check_altstack();
	check_sending();
	check_timers();
	return tap_done();
}
