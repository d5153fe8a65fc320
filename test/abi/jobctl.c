/*
 * jobctl.c - process groups, sessions, stop and continue: setpgid(2),
 * setsid(2), and the rules for orphaned groups (credentials(7), signal(7)).
 */
#include "tap.h"

#include <sys/mman.h>

static volatile int *shared;

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static void check_groups(void)
{
	pid_t a = sleeper(), b = sleeper(), c;

	is(getpgid(a), getpgrp(), "a child starts in its parent's group");
	works(setpgid(a, a), "setpgid makes a group");
	is(getpgid(a), a, "and getpgid sees it");
	works(setpgid(b, a), "another child joins");
	is(getpgid(b), a, "and is seen there");
	fails(setpgid(b, 99999), EPERM, "setpgid: a group that does not exist");
	fails(setpgid(a, -1), EINVAL, "setpgid: a negative group");
	fails(setpgid(99999, 0), ESRCH, "setpgid: nobody");
	fails(setpgid(1, 1), ESRCH, "setpgid: not a child");
	fails(setpgid(0, 0), EPERM, "setpgid: a session leader");
	fails(getpgid(99999), ESRCH, "getpgid: nobody");
	fails(getsid(99999), ESRCH, "getsid: nobody");
	fails(setsid(), EPERM, "setsid: a group leader");
	is(getsid(a), getsid(0), "same session");
	is(getsid(1), getsid(1), "another session's id may be asked");
	is(kill(-a, SIGTERM), 0, "kill to a group");
	ok(killed(tap_wait(a), SIGTERM) && killed(tap_wait(b), SIGTERM), "reaches all of it");
	is(in_child({
		int bad = setsid() != getpid();

		bad |= (getpgrp() != getpid()) << 1;
		bad |= (getsid(0) != getpid()) << 2;
		_exit(bad);
	}), 0, "setsid makes session and group");
	c = fork();
	if (c == 0) {
		setsid();
		*shared = 1;
		for (;;)
			pause();
	}
	within(10000, *shared == 1);
	fails(setpgid(c, c), EPERM, "setpgid: a child that leads a session");
	fails(setpgid(c, getpgrp()), EPERM, "setpgid: a child in another session");
	kill(c, SIGKILL);
	tap_wait(c);
	c = fork();
	if (c == 0) {
		execl("/bin/busybox", "sleep", "100", NULL);
		_exit(1);
	}
	ok(within(10000, setpgid(c, c) < 0 && errno == EACCES),
	   "setpgid: a child that has executed a program");
	kill(c, SIGKILL);
	tap_wait(c);
}

static void on_cont(int sig)
{
	*shared += 1;
}

/* A member of an own, non-orphaned group. */
static pid_t member(void (*handler)(int), int sig)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		if (handler)
			signal(sig, handler);
		*shared = 0;
		for (;;)
			pause();
	}
	setpgid(pid, pid);
	when_it_sleeps(pid);
	return pid;
}

static void check_stops(void)
{
	static const int sigs[] = { SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };
	unsigned int i;
	int status;
	pid_t pid;

	for (i = 0; i < 4; i++) {
		pid = member(NULL, 0);
		kill(pid, sigs[i]);
		is(waitpid(pid, &status, WUNTRACED), pid, "signal %d stops", sigs[i]);
		is(status, sigs[i] << 8 | 0x7f, "and is the stop's reason");
		kill(pid, SIGCONT);
		is(waitpid(pid, &status, WCONTINUED), pid, "SIGCONT continues");
		kill(pid, SIGKILL);
		tap_wait(pid);
	}
	pid = member(on_cont, SIGCONT);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGCONT);
	ok(within(10000, *shared == 1), "a handler for SIGCONT runs after continuing");
	kill(pid, SIGKILL);
	tap_wait(pid);
	pid = member(SIG_IGN, SIGTSTP);
	kill(pid, SIGTSTP);
	tap_sleep_ms(20);
	is(waitpid(pid, &status, WUNTRACED | WNOHANG), 0, "an ignored SIGTSTP does not stop");
	kill(pid, SIGKILL);
	tap_wait(pid);
	pid = member(SIG_IGN, SIGCONT);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGCONT);
	is(waitpid(pid, &status, WCONTINUED), pid, "an ignored SIGCONT continues all the same");
	kill(pid, SIGKILL);
	tap_wait(pid);
}

static void check_discards(void)
{
	sigset_t set;
	int status = in_child({
		sigset_t pend;

		setpgid(0, 0);
		sigemptyset(&set);
		sigaddset(&set, SIGTSTP);
		sigaddset(&set, SIGCONT);
		sigprocmask(SIG_BLOCK, &set, NULL);
		raise(SIGTSTP);
		raise(SIGCONT);
		sigpending(&pend);
		int bad = sigismember(&pend, SIGTSTP) || !sigismember(&pend, SIGCONT);

		raise(SIGTSTP);
		sigpending(&pend);
		bad |= (!sigismember(&pend, SIGTSTP) || sigismember(&pend, SIGCONT)) << 1;
		_exit(bad);
	});

	is(status, 0, "stop and continue signals discard one another");
}

/*
 * A group becomes orphaned when the last parent outside of it (but in the
 * session) goes: stopped members get SIGHUP and SIGCONT.
 */
static void on_hup(int sig)
{
	shared[1] = 1;
}

static void check_orphans(void)
{
	pid_t middle;
	int status;

	memset((void *)shared, 0, 64);
	middle = fork();
	if (middle == 0) {
		pid_t pid;

		setsid();
		pid = fork();
		if (pid == 0) {
			setpgid(0, 0);
			signal(SIGHUP, on_hup);
			signal(SIGCONT, on_cont);
			shared[2] = getpid();
			kill(getpid(), SIGSTOP);
			shared[3] = 1;
			for (;;)
				pause();
		}
		waitpid(pid, &status, WUNTRACED);
		_exit(0);
	}
	tap_wait(middle);
	ok(within(10000, shared[3] == 1), "a stopped orphaned group is continued");
	ok(shared[1] == 1, "after SIGHUP");
	kill(shared[2], SIGKILL);
	/* Terminal stop signals are discarded in an orphaned group. */
	is(in_child({
		setsid();
		raise(SIGTSTP);
		raise(SIGTTIN);
		raise(SIGTTOU);
		_exit(3);
	}), 3 << 8, "terminal stop signals do not stop an orphaned group");
}

int main(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check_groups();
	check_stops();
	check_discards();
	check_orphans();
	return tap_done();
}
