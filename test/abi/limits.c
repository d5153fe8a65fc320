/*
 * limits.c - getrlimit(2), setrlimit(2), prlimit(2), and the fork bomb: as a
 * user it ends at RLIMIT_NPROC, as root at the system's number of threads,
 * both with EAGAIN, and the machine goes on.
 */
#include "tap.h"

#include <sys/mman.h>
#include <sys/resource.h>

static volatile int *made;

static void check_calls(void)
{
	struct rlimit rl, old;

	works(getrlimit(RLIMIT_STACK, &rl), "getrlimit");
	ok(rl.rlim_cur == 8 << 20 && rl.rlim_max == RLIM_INFINITY, "the stack has 8 MiB");
	getrlimit(RLIMIT_NOFILE, &rl);
	ok(rl.rlim_cur == 1024 && rl.rlim_max == 4096, "files: 1024, at most 4096");
	getrlimit(RLIMIT_CORE, &rl);
	ok(rl.rlim_cur == 0 && rl.rlim_max == RLIM_INFINITY, "no core files");
	getrlimit(RLIMIT_AS, &rl);
	is(rl.rlim_cur, RLIM_INFINITY, "no limit on addresses");
	getrlimit(RLIMIT_NPROC, &rl);
	ok(rl.rlim_cur > 100 && rl.rlim_cur < 100000 && rl.rlim_max == rl.rlim_cur,
	   "processes: from the size of memory");
	getrlimit(RLIMIT_NICE, &rl);
	is(rl.rlim_cur, 0, "RLIMIT_NICE is 0");
	fails(getrlimit(16, &rl), EINVAL, "getrlimit: an unknown one");
	rl.rlim_cur = 10;
	rl.rlim_max = 5;
	fails(setrlimit(RLIMIT_NOFILE, &rl), EINVAL, "current above maximum");
	is(in_child({
		rl.rlim_cur = rl.rlim_max = 100;
		if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
			_exit(1);
		setresuid(1000, 1000, 1000);
		rl.rlim_max = 200;
		if (setrlimit(RLIMIT_NOFILE, &rl) != -1 || errno != EPERM)
			_exit(2);
		rl.rlim_cur = rl.rlim_max = 50;
		if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
			_exit(3);
		getrlimit(RLIMIT_NOFILE, &rl);
		if (rl.rlim_cur != 50)
			_exit(4);
	}), 0, "only root raises a maximum");
	rl.rlim_cur = rl.rlim_max = 1 << 30;
	fails(setrlimit(RLIMIT_NOFILE, &rl), EPERM, "files: nobody above nr_open");
	rl.rlim_cur = 77;
	rl.rlim_max = 88;
	works(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &rl, &old), "prlimit sets and gets");
	ok(old.rlim_cur == 0, "the old value");
	works(syscall(SYS_prlimit64, getpid(), RLIMIT_CORE, NULL, &old), "by pid");
	ok(old.rlim_cur == 77 && old.rlim_max == 88, "the new value");
	fails(syscall(SYS_prlimit64, 99999, RLIMIT_CORE, NULL, &old), ESRCH, "prlimit: nobody");
	is(in_child({
		setresuid(1000, 1000, 1000);
		_exit(syscall(SYS_prlimit64, 1, RLIMIT_CORE, NULL, &old) != -1 || errno != EPERM);
	}), 0, "prlimit of somebody else");
}

/* Forks sleeping children until fork fails; its errno. */
static int bomb(int most)
{
	int n;

	for (n = 0; n < most; n++) {
		pid_t pid = fork();

		/* They count nothing: one that first runs late would count in the next check. */
		if (pid == 0)
			for (;;)
				pause();
		if (pid < 0)
			return errno;
	}
	return 0;
}

static void check_user_limit(void)
{
	struct rlimit rl = { 20, 20 };

	is(in_child({
		setsid();
		setrlimit(RLIMIT_NPROC, &rl);
		setresuid(4242, 4242, 4242);
		int e = bomb(100);

		signal(SIGTERM, SIG_IGN);
		kill(0, SIGTERM);
		_exit(e);
	}), EAGAIN << 8, "a user's fork bomb ends with EAGAIN");
	is(in_child({
		setrlimit(RLIMIT_NPROC, &rl);
		_exit(bomb(40) ? 1 : (signal(SIGTERM, SIG_IGN), setpgid(0, 0), 0));
	}), 0, "RLIMIT_NPROC does not hold root");
}

/* Every process forks as long as it can: the classical bomb. */
static void explode(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid > 0)
			__sync_fetch_and_add(made, 1);
		if (pid < 0) {
			if (errno == EAGAIN)
				__sync_fetch_and_add(&made[1], 1);
			else if (errno != ENOMEM)
				__sync_fetch_and_add(&made[2], 1);
			tap_sleep_ms(20);
		}
	}
}

static void check_root_bomb(void)
{
	struct rlimit rl = { 400, 400 };
	pid_t pid;
	int status;

	made[0] = made[1] = made[2] = 0;
	pid = fork();
	if (pid == 0) {
		setsid();
		setrlimit(RLIMIT_NPROC, &rl);
		setresuid(4243, 4243, 4243);
		explode();
	}
	ok(within(60000, made[1] > 0), "a bomb of a user with 400 processes meets EAGAIN");
	ok(made[0] <= 400, "at the limit");
	is(made[2], 0, "and no other error");
	is(in_child(_exit(5)), 5 << 8, "others can still fork");
	/* kill(-1) as that user kills them all, like a person would. */
	status = in_child({
		setsid();
		setresuid(4243, 4243, 4243);
		kill(-1, SIGKILL);
	});
	kill(pid, SIGKILL);
	tap_wait(pid);
	ok(within(10000, in_child({
		setresuid(4243, 4243, 4243);
		_exit(kill(-1, SIGKILL) == -1 && errno == ESRCH ? 0 : 1);
	}) >= 0), "the user's processes are killed");
	(void)status;
}

int main(void)
{
	made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check_calls();
	check_user_limit();
	check_root_bomb();
	return tap_done();
}
