/*
 * wait.c - wait4(2) and waitid(2): selectors, options, statuses, errors,
 * rusage, and what SIGCHLD's disposition changes.
 */
#include "tap.h"

#include <linux/sched.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef P_PIDFD			/* newer than musl */
#define P_PIDFD 3
#endif

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static void check_errors(void)
{
	int status;
	siginfo_t info;

	fails(wait(&status), ECHILD, "wait without children");
	fails(waitpid(1, &status, 0), ECHILD, "waitpid for somebody else's child");
	fails(waitpid(-1, &status, 0x40), EINVAL, "wait4: an unknown option");
	fails(waitid(P_ALL, 0, &info, 0), EINVAL, "waitid without WEXITED and friends");
	fails(waitid(P_ALL, 0, &info, WEXITED | 0x100), EINVAL, "waitid: an unknown option");
	fails(waitid(9, 0, &info, WEXITED), EINVAL, "waitid: an unknown kind");
	fails(waitid(P_PID, 0, &info, WEXITED), EINVAL, "waitid: P_PID 0");
	fails(waitid(P_ALL, 0, &info, WEXITED), ECHILD, "waitid without children");
	fails(syscall(SYS_wait4, INT32_MIN, &status, 0, 0), ESRCH, "wait4 for INT_MIN");
}

static void check_exit(void)
{
	siginfo_t info;
	int status = 0x5555;
	pid_t pid = sleeper();

	is(waitpid(pid, &status, WNOHANG), 0, "WNOHANG: a child that still runs");
	is(status, 0x5555, "leaves the status alone");
	memset(&info, 0x55, sizeof(info));
	is(waitid(P_PID, pid, &info, WEXITED | WNOHANG), 0, "waitid with WNOHANG");
	is(info.si_pid, 0, "clears si_pid");
	is(info.si_signo, 0, "and si_signo");
	kill(pid, SIGKILL);
	is(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0, "WNOWAIT");
	is(info.si_code, CLD_KILLED, "si_code CLD_KILLED");
	is(info.si_status, SIGKILL, "si_status is the signal");
	is(info.si_signo, SIGCHLD, "si_signo SIGCHLD");
	is(info.si_pid, pid, "si_pid");
	is(waitpid(pid, &status, 0), pid, "leaves the zombie to be waited for");
	is(status, SIGKILL, "its status is the signal");
	fails(waitpid(pid, &status, 0), ECHILD, "but only once");
	pid = fork();
	if (pid == 0)
		_exit(7);
	is(waitid(P_ALL, 0, &info, WEXITED), 0, "waitid for any child");
	ok(info.si_code == CLD_EXITED && info.si_status == 7 && info.si_pid == pid &&
	   info.si_uid == getuid(), "tells who exited and how");
	pid = fork();
	if (pid == 0)
		_exit(8);
	is(waitpid(-1, NULL, 0), pid, "a null status pointer is fine");
	pid = fork();
	if (pid == 0)
		_exit(8);
	works(waitid(P_PID, pid, NULL, WEXITED), "so is a null siginfo");
	pid = fork();
	if (pid == 0)
		abort();
	waitpid(pid, &status, 0);
	is(status & 0x7f, SIGABRT, "abort()");
}

static void check_groups(void)
{
	pid_t a, b;
	int status;

	a = fork();
	if (a == 0) {
		setpgid(0, 0);
		tap_sleep_ms(30);
		_exit(1);
	}
	setpgid(a, a);
	b = fork();
	if (b == 0)
		_exit(2);
	is(waitpid(0, &status, 0), b, "pid 0: children in the caller's group");
	is(waitpid(-a, &status, 0), a, "a negative pid: children in that group");
	fails(waitpid(-a, &status, 0), ECHILD, "which is empty then");
	a = fork();
	if (a == 0)
		_exit(3);
	is(waitid(P_PGID, 0, &(siginfo_t){ 0 }, WEXITED), 0, "P_PGID 0 is the own group");
	a = fork();
	if (a == 0)
		_exit(3);
	fails(waitid(P_PGID, 99999, &(siginfo_t){ 0 }, WEXITED), ECHILD, "P_PGID of nobody");
	waitpid(a, &status, 0);
}

static void check_stop(void)
{
	pid_t pid = sleeper();
	siginfo_t info;
	int status = 0;

	kill(pid, SIGSTOP);
	is(waitpid(pid, &status, WUNTRACED), pid, "WUNTRACED sees a stop");
	is(status, SIGSTOP << 8 | 0x7f, "with the signal");
	is(waitpid(pid, &status, WUNTRACED | WNOHANG), 0, "once");
	is(tap_state(pid), 'T', "/proc says T");
	kill(pid, SIGCONT);
	is(waitpid(pid, &status, WCONTINUED), pid, "WCONTINUED sees it go on");
	is(status, 0xffff, "with status ffffh");
	is(waitpid(pid, &status, WCONTINUED | WNOHANG), 0, "once");
	kill(pid, SIGSTOP);
	is(waitid(P_PID, pid, &info, WSTOPPED), 0, "waitid: WSTOPPED");
	ok(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP, "CLD_STOPPED and signal");
	kill(pid, SIGCONT);
	is(waitid(P_PID, pid, &info, WCONTINUED | WNOWAIT), 0, "waitid: WCONTINUED");
	ok(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT, "CLD_CONTINUED");
	is(waitid(P_PID, pid, &info, WCONTINUED), 0, "again after WNOWAIT");
	kill(pid, SIGSTOP);
	ok(within(10000, tap_state(pid) == 'T'), "stopped again");
	is(waitpid(pid, &status, WNOHANG), 0, "without WUNTRACED a stop is not reported");
	kill(pid, SIGTERM);
	tap_sleep_ms(20);
	is(tap_state(pid), 'T', "SIGTERM does not wake a stopped process");
	kill(pid, SIGKILL);
	is(waitpid(pid, &status, 0), pid, "SIGKILL does");
	is(status, SIGKILL, "and kills it");
}

static void check_rusage(void)
{
	struct rusage ru;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct timespec used = { 0, 0 };

		while (used.tv_sec == 0 && used.tv_nsec < 60000000)
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
		_exit(0);
	}
	memset(&ru, 0xff, sizeof(ru));
	is(wait4(pid, &status, 0, &ru), pid, "wait4 with rusage");
	ok(ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec +
	   ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec > 5000, "tells the time used");
	ok(ru.ru_minflt > 0 && ru.ru_minflt < 100000, "and page faults");
	works(getrusage(RUSAGE_CHILDREN, &ru), "getrusage: children");
	ok(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec > 5000 || ru.ru_utime.tv_sec,
	   "which sums waited-for children");
	works(getrusage(RUSAGE_SELF, &ru), "getrusage: self");
	ok(ru.ru_maxrss > 0, "tells the peak memory");
	fails(getrusage(7, &ru), EINVAL, "getrusage: an unknown who");
}

static volatile int chld_seen;
static siginfo_t chld_info;
static void on_chld(int sig, siginfo_t *info, void *uc)
{
	chld_seen++;
	chld_info = *info;
}

static void check_sigchld(void)
{
	struct sigaction sa = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO }, ign;
	pid_t pid;
	int status;

	sigaction(SIGCHLD, &sa, NULL);
	pid = fork();
	if (pid == 0)
		_exit(9);
	tap_wait(pid);
	ok(within(10000, chld_seen == 1), "SIGCHLD at exit");
	ok(chld_info.si_pid == pid && chld_info.si_code == CLD_EXITED &&
	   chld_info.si_status == 9, "with pid, code and status");
	pid = sleeper();
	kill(pid, SIGSTOP);
	ok(within(10000, chld_seen == 2), "SIGCHLD at stop");
	ok(chld_info.si_code == CLD_STOPPED && chld_info.si_status == SIGSTOP, "with its code");
	kill(pid, SIGCONT);
	ok(within(10000, chld_seen == 3), "SIGCHLD at continue");
	is(chld_info.si_code, CLD_CONTINUED, "with its code too");
	sa.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &sa, NULL);
	kill(pid, SIGSTOP);
	within(10000, tap_state(pid) == 'T');
	kill(pid, SIGCONT);
	tap_sleep_ms(10);
	is(chld_seen, 3, "SA_NOCLDSTOP: neither");
	kill(pid, SIGKILL);
	tap_wait(pid);
	sa.sa_flags = SA_NOCLDWAIT | SA_SIGINFO;
	sigaction(SIGCHLD, &sa, NULL);
	chld_seen = 0;
	pid = fork();
	if (pid == 0)
		_exit(1);
	ok(within(10000, kill(pid, 0) < 0), "SA_NOCLDWAIT: no zombie");
	is(chld_seen, 1, "but a signal");
	ign.sa_handler = SIG_IGN;
	sigemptyset(&ign.sa_mask);
	ign.sa_flags = 0;
	sigaction(SIGCHLD, &ign, NULL);
	pid = fork();
	if (pid == 0)
		_exit(1);
	fails(waitpid(pid, &status, 0), ECHILD, "SIGCHLD ignored: wait waits, then ECHILD");
	signal(SIGCHLD, SIG_DFL);
}

static void on_alarm(int sig)
{
}

static void check_interrupt(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	pid_t pid = sleeper(), helper;
	int status;

	sigaction(SIGUSR1, &sa, NULL);
	helper = fork();
	if (helper == 0) {
		when_it_sleeps(getppid());
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	fails(waitpid(pid, &status, 0), EINTR, "a handler interrupts wait");
	tap_wait(helper);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	helper = fork();
	if (helper == 0) {
		when_it_sleeps(getppid());
		kill(getppid(), SIGUSR1);
		tap_sleep_ms(20);
		kill(pid, SIGKILL);
		_exit(0);
	}
	is(waitpid(pid, &status, 0), pid, "SA_RESTART restarts it");
	tap_wait(helper);
}

static void check_subreaper(void)
{
	int status = in_child({
		pid_t pid;
		int st;

		prctl(PR_SET_CHILD_SUBREAPER, 1);
		pid = fork();
		if (pid == 0) {
			if (fork() == 0) {
				tap_sleep_ms(20);
				_exit(getppid() == 1);
			}
			_exit(0);
		}
		waitpid(pid, &st, 0);
		if (wait(&st) <= 0 || st != 0)
			_exit(1);
	});

	is(status, 0, "a subreaper gets orphans");
}

static void *second_thread(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* A process whose first thread has ended is as alive as before. */
static void check_dead_leader(void)
{
	int status, bad = 0;
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t t;

		pthread_create(&t, NULL, second_thread, NULL);
		syscall(SYS_exit, 3);
	}
	for (int i = 0; i < 50; i++, tap_sleep_ms(1))
		bad += waitid(P_PID, pid, &info, WSTOPPED | WNOHANG) != 0 || info.si_pid != 0;
	is(bad, 0, "the leader of a child ends: a stop can be waited for");
	kill(pid, SIGSTOP);
	is(waitid(P_PID, pid, &info, WSTOPPED), 0, "and comes");
	is(info.si_status, SIGSTOP, "si_status");
	kill(pid, SIGCONT);
	is(waitid(P_PID, pid, &info, WCONTINUED), 0, "and goes on");
	kill(pid, SIGKILL);
	is(waitpid(pid, &status, 0), pid, "and it is reaped");
	is(status, SIGKILL, "when all have ended");
}

/* A child of that number (0: any) with a descriptor of it (NULL: none). It sleeps, or ends with `code`. */
static pid_t child_with(int *pidfd, pid_t number, int code)
{
	struct clone_args args = {
		.flags = pidfd ? CLONE_PIDFD : 0, .pidfd = (uintptr_t)pidfd, .exit_signal = SIGCHLD,
		.set_tid = number ? (uintptr_t)&number : 0, .set_tid_size = number != 0,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0) {
		if (code)
			_exit(code);
		for (;;)
			pause();
	}
	return pid;
}

static void check_pidfd(void)
{
	siginfo_t info = { 0 };
	int fd = -1, status;
	pid_t pid = child_with(&fd, 0, 0), stranger;

	works(fcntl(fd, F_SETFL, O_NONBLOCK), "a pidfd that does not wait");
	fails(waitid(P_PIDFD, fd, &info, WEXITED), EAGAIN, "waitid: not yet");
	is(waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG), 0, "with WNOHANG: nobody");
	is(info.si_pid, 0, "is no error");
	kill(pid, SIGKILL);
	ok(within(20000, waitid(P_PIDFD, fd, &info, WEXITED) == 0), "and then");
	is(info.si_pid, pid, "the child");
	stranger = child_with(NULL, pid, 9);
	is(stranger, pid, "another child with the same number");
	is(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0, "has ended");
	fails(waitid(P_PIDFD, fd, &info, WEXITED), ECHILD, "the old pidfd does not mean it");
	is(waitpid(stranger, &status, 0), stranger, "it is there to be waited for");
	is(status, 9 << 8, "with its own status");
	fails(waitid(P_PIDFD, 77, &info, WEXITED), EBADF, "waitid: no descriptor");
	fails(waitid(P_PIDFD, 1, &info, WEXITED), EBADF, "waitid: of something else");
	close(fd);
}

int main(void)
{
	check_errors();
	check_exit();
	check_groups();
	check_stop();
	check_rusage();
	check_sigchld();
	check_interrupt();
	check_subreaper();
	check_dead_leader();
	check_pidfd();
	return tap_done();
}
