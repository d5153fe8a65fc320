/*
 * fork.c - fork(2): what is copied, what is shared, what is fresh; copy on
 * write in both directions; exit_group; a thousand forks.
 */
#include "tap.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/times.h>

static volatile int word = 1;

static void check_cow(void)
{
	size_t size = 3 << 20, i;
	volatile char *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile char *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, bad = 0, p[2];
	pid_t pid;
	char c;

	for (i = 0; i < size; i += 4096)
		area[i] = i >> 12;
	status = in_child({
		for (i = 0; i < size; i += 4096)
			bad += area[i] != (char)(i >> 12);
		for (i = 0; i < size; i += 8192)
			area[i] = 99;
		for (i = 0; i < size; i += 8192)
			bad += area[i] != 99;
		for (i = 4096; i < size; i += 8192)
			bad += area[i] != (char)(i >> 12);
		word = 2;
		shared[0] = 5;
		shared[4096] = 6;
		_exit(bad ? 1 : 0);
	});
	is(status, 0, "the child sees the parent's memory and its own writes");
	for (i = 0; i < size; i += 4096)
		bad += area[i] != (char)(i >> 12);
	is(bad, 0, "the child's writes do not reach the parent");
	is(word, 1, "nor its data segment");
	is(shared[0] * 10 + shared[4096], 56, "shared memory is shared");
	/* The other direction: the parent writes while the child looks. */
	pipe(p);
	pid = fork();
	if (pid == 0) {
		close(p[1]);
		read(p[0], &c, 1);
		for (i = 0; i < size; i += 4096)
			bad += area[i] != (char)(i >> 12);
		_exit(bad ? 1 : 0);
	}
	for (i = 0; i < size; i += 4096)
		area[i] = 77;
	write(p[1], "x", 1);
	is(tap_wait(pid), 0, "the parent's writes do not reach the child");
	close(p[0]);
	close(p[1]);
	/* A grandchild after the middle one is gone. */
	status = in_child({
		if (fork() == 0) {
			tap_sleep_ms(10);
			for (i = 0; i < size; i += 4096)
				bad += area[i] != 77;
			shared[0] = bad ? 1 : 9;
			_exit(0);
		}
		area[0] = 1;
		_exit(0);
	});
	ok(within(10000, shared[0] == 9), "a grandchild keeps pages after its parent's exit");
	munmap((void *)area, size);
	munmap((void *)shared, 8192);
}

static void check_kernel_write_cow(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int p[2];

	strcpy(page, "parent");
	pipe(p);
	write(p[1], "child!", 7);
	is(in_child({ read(p[0], page, 7); _exit(strcmp(page, "child!") != 0); }), 0,
	   "read() into a copy-on-write page");
	is_str(page, "parent", "leaves the parent's page alone");
	close(p[0]);
	close(p[1]);
	munmap(page, 4096);
}

static void check_identity(void)
{
	pid_t me = getpid(), pid, pgid = getpgrp(), sid = getsid(0);
	struct rlimit rl;
	int status;

	status = in_child({
		int bad = 0;

		bad |= getppid() != me;
		bad |= (getpid() == me) << 1;
		bad |= (getpgrp() != pgid) << 2;
		bad |= (getsid(0) != sid) << 3;
		bad |= (syscall(SYS_gettid) != getpid()) << 4;
		_exit(bad);
	});
	is(status, 0, "ids of the child");
	pid = fork();
	if (pid == 0)
		_exit(getpid() & 0x7f);
	is(tap_wait(pid), (pid & 0x7f) << 8, "fork returns the child's id");
	rl.rlim_cur = 100;
	rl.rlim_max = 200;
	setrlimit(RLIMIT_CORE, &rl);
	is(in_child({
		struct rlimit r;

		getrlimit(RLIMIT_CORE, &r);
		_exit(!(r.rlim_cur == 100 && r.rlim_max == 200));
	}), 0, "limits are inherited");
	umask(037);
	is(in_child(_exit(umask(0))), 037 << 8, "the umask is inherited");
	umask(022);
	chdir("/");
	is(in_child({
		char cwd[10];

		_exit(strcmp(getcwd(cwd, sizeof(cwd)), "/") != 0);
	}), 0, "the working directory is inherited");
	chdir("/tmp/fork");
	is(in_child(chdir("/dev")), 0, "a child changes its own");
	ok(access("/tmp/fork/.", F_OK) == 0 && access("null", F_OK) < 0,
	   "working directory only");
}

static volatile int handled;
static void on_usr1(int sig)
{
	handled++;
}

static void check_signals(void)
{
	sigset_t set, old;
	int status;

	signal(SIGUSR1, on_usr1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	status = in_child({
		sigset_t pend;
		int bad = 0;

		sigpending(&pend);
		bad |= sigismember(&pend, SIGUSR1);
		sigprocmask(SIG_SETMASK, NULL, &pend);
		bad |= !sigismember(&pend, SIGUSR1) << 1;
		raise(SIGUSR1);
		sigprocmask(SIG_SETMASK, &old, NULL);
		bad |= (handled != 1) << 2;
		_exit(bad);
	});
	is(status, 0, "mask and handlers are inherited, pending signals are not");
	sigprocmask(SIG_SETMASK, &old, NULL);
	is(handled, 1, "the parent's stays pending");
	signal(SIGUSR1, SIG_DFL);
}

static void check_files(void)
{
	int fd = open("shared", O_RDWR | O_CREAT | O_TRUNC, 0600);

	write(fd, "abcdef", 6);
	lseek(fd, 1, SEEK_SET);
	is(in_child({
		char c;

		read(fd, &c, 1);
		close(fd);
		_exit(c != 'b');
	}), 0, "the child reads at the shared offset");
	is(lseek(fd, 0, SEEK_CUR), 2, "and moves the parent's");
	is(in_child(fcntl(fd, F_SETFL, O_APPEND)), 0, "status flags");
	ok(fcntl(fd, F_GETFL) & O_APPEND, "are shared too");
	is(in_child(fcntl(fd, F_SETFD, FD_CLOEXEC)), 0, "descriptor flags");
	is(fcntl(fd, F_GETFD), 0, "are not");
	close(fd);
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *group_ender(void *arg)
{
	syscall(SYS_exit_group, 33);
	return arg;
}

static void check_exit(void)
{
	struct tms t;
	pthread_t thread;

	is(in_child(_exit(0x1ff)), 0xff00, "only eight bits of the status survive");
	is(in_child(_exit(-1)), 0xff00, "and of a negative one");
	is(in_child({
		pthread_create(&thread, NULL, sleeper, NULL);
		pthread_create(&thread, NULL, group_ender, NULL);
		for (;;)
			pause();
	}), 33 << 8, "exit_group from a thread ends the process");
	is(in_child({
		pthread_create(&thread, NULL, sleeper, NULL);
		tap_sleep_ms(5);
		_exit(12);
	}), 12 << 8, "_exit in the leader takes the threads along");
	ok(killed(in_child({
		pthread_create(&thread, NULL, sleeper, NULL);
		tap_sleep_ms(5);
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}), SIGKILL), "SIGKILL kills a process with threads");
	/* The leader leaves by exit(2), another thread ends the process later. */
	is(in_child({
		pthread_create(&thread, NULL, group_ender, NULL);
		syscall(SYS_exit, 1);
	}), 33 << 8, "a leader that exited alone does not end its process");
	ok(times(&t) != (clock_t)-1, "times");
}

static void check_orphans(void)
{
	int p[2];
	pid_t parent = 0;

	pipe(p);
	in_child({
		pid_t middle = getpid();

		if (fork() == 0) {
			pid_t pp;

			while ((pp = getppid()) == middle)
				tap_sleep_ms(1);
			write(p[1], &pp, sizeof(pp));
			_exit(0);
		}
	});
	read(p[0], &parent, sizeof(parent));
	is(parent, 1, "an orphan's parent is init");
	close(p[0]);
	close(p[1]);
}

static void check_many(void)
{
	int i, bad = 0;
	pid_t pids[100];

	for (i = 0; i < 1000; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(i & 0x7f);
		if (pid < 0 || tap_wait(pid) != (i & 0x7f) << 8)
			bad++;
	}
	is(bad, 0, "a thousand children, one after the other");
	for (i = 0; i < 100; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			pause();
			_exit(1);
		}
	}
	for (i = 0; i < 100; i++)
		kill(pids[i], SIGTERM);
	for (i = 0; i < 100; i++)
		if (!killed(tap_wait(pids[i]), SIGTERM))
			bad++;
	is(bad, 0, "a hundred at a time");
}

int main(void)
{
	check_cow();
	check_kernel_write_cow();
	check_identity();
	check_signals();
	check_files();
	check_exit();
	check_orphans();
	check_many();
	return tap_done();
}
