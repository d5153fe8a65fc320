/*
 * clone.c - clone(2) and clone3(2): what each flag shares, which combinations
 * are refused, the ids that are written and cleared.
 */
#include "tap.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>

#define STACK_SIZE 65536

static volatile int word;
static int fd_for_child;

static long raw_clone(unsigned long flags, void *stack, int *ptid, int *ctid, unsigned long tls)
{
	return syscall(SYS_clone, flags, stack, ptid, ctid, tls);
}

/* musl's clone() with a stack of our own; the child runs fn. */
static int start(int (*fn)(void *), int flags, void *arg)
{
	static char *stack;

	if (!stack)
		stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return clone(fn, stack + STACK_SIZE, flags, arg);
}

static int set_word(void *arg)
{
	word = 5;
	return 3;
}

static int change_files(void *arg)
{
	close(fd_for_child);
	return 0;
}

static int change_cwd(void *arg)
{
	umask(077);
	return chdir("/");
}

static void ignore(int sig)
{
}

static int change_handlers(void *arg)
{
	signal(SIGUSR1, SIG_IGN);
	return 0;
}

static void check_sharing(void)
{
	struct sigaction sa;
	char cwd[100];
	pid_t pid;

	pid = start(set_word, SIGCHLD, NULL);
	is(tap_wait(pid), 3 << 8, "clone without flags is a fork");
	is(word, 0, "with memory of its own");
	pid = start(set_word, CLONE_VM | SIGCHLD, NULL);
	is(tap_wait(pid), 3 << 8, "CLONE_VM");
	is(word, 5, "shares memory");
	fd_for_child = open("/dev/null", O_RDONLY);
	tap_wait(start(change_files, SIGCHLD, NULL));
	ok(fcntl(fd_for_child, F_GETFD) >= 0, "descriptors are copied");
	tap_wait(start(change_files, CLONE_FILES | SIGCHLD, NULL));
	fails(fcntl(fd_for_child, F_GETFD), EBADF, "CLONE_FILES shares them");
	tap_wait(start(change_cwd, SIGCHLD, NULL));
	is_str(getcwd(cwd, sizeof(cwd)), "/tmp/clone", "the working directory is copied");
	tap_wait(start(change_cwd, CLONE_FS | SIGCHLD, NULL));
	is_str(getcwd(cwd, sizeof(cwd)), "/", "CLONE_FS shares it");
	is(umask(022), 077, "and the umask");
	chdir("/tmp/clone");
	signal(SIGUSR1, ignore);
	tap_wait(start(change_handlers, CLONE_VM | SIGCHLD, NULL));
	sigaction(SIGUSR1, NULL, &sa);
	ok(sa.sa_handler == ignore, "handlers are copied");
	tap_wait(start(change_handlers, CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL));
	sigaction(SIGUSR1, NULL, &sa);
	ok(sa.sa_handler == SIG_IGN, "CLONE_SIGHAND shares them");
	signal(SIGUSR1, SIG_DFL);
}

static int wait_for_it(void *arg)
{
	for (;;)
		pause();
	return 0;
}

static void check_errors(void)
{
	fails(raw_clone(CLONE_SIGHAND | SIGCHLD, NULL, NULL, NULL, 0), EINVAL,
	      "CLONE_SIGHAND without CLONE_VM");
	fails(raw_clone(CLONE_THREAD | CLONE_VM | SIGCHLD, NULL, NULL, NULL, 0), EINVAL,
	      "CLONE_THREAD without CLONE_SIGHAND");
	fails(raw_clone(CLONE_FS | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, 0), EINVAL,
	      "CLONE_FS with CLONE_NEWNS");
	fails(raw_clone(CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, NULL, NULL, NULL, 0), EINVAL,
	      "CLONE_PIDFD with CLONE_DETACHED");
	fails(raw_clone(CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, (int *)&word, NULL, 0),
	      EINVAL, "CLONE_PIDFD with CLONE_PARENT_SETTID");
	is(in_child({
		static char stack[16384];
		int bad = unshare(CLONE_SIGHAND) != 0;
		pid_t pid = clone(wait_for_it, stack + sizeof(stack), CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL);

		bad += unshare(CLONE_SIGHAND) != -1 || errno != EINVAL;
		kill(pid, SIGKILL);
		tap_wait(pid);
		_exit(bad);
	}), 0, "unshare(CLONE_SIGHAND): not while another process shares them");
}

static volatile int parent_tid, child_tid;

static void check_tids(void)
{
	pid_t pid;
	int status;

	parent_tid = child_tid = 0;
	pid = raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, NULL,
			(int *)&parent_tid, (int *)&child_tid, 0);
	if (pid == 0)
		_exit(child_tid == getpid() && parent_tid == 0 ? 0 : 1);
	is(tap_wait(pid), 0, "CLONE_CHILD_SETTID writes the id in the child's memory");
	is(parent_tid, pid, "CLONE_PARENT_SETTID in the parent's");
	is(child_tid, 0, "and only there");
	pid = raw_clone(CLONE_PARENT_SETTID | SIGCHLD, NULL, (int *)8, NULL, 0);
	if (pid == 0)
		_exit(0);
	ok(pid > 0, "a bad pointer for the parent's id is ignored");
	tap_wait(pid);
	/* CLONE_PARENT: a sibling, waited for by our parent. */
	status = in_child({
		pid_t sibling = raw_clone(CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);

		if (sibling == 0)
			_exit(getppid() == 1 ? 1 : 0);
		if (waitpid(sibling, NULL, 0) != -1 || errno != ECHILD)
			_exit(9);
		_exit(0);
	});
	is(status, 0, "CLONE_PARENT: the new process is no child of the caller");
	while (wait(&status) > 0)
		is(status, 0, "but of its parent");
	signal(SIGUSR1, SIG_IGN);	/* before the child is there: it may end at once */
	pid = raw_clone(SIGUSR1, NULL, NULL, NULL, 0);
	if (pid == 0)
		_exit(0);
	fails(waitpid(pid, &status, 0), ECHILD, "another exit signal: not seen by plain wait");
	is(waitpid(pid, &status, __WALL), pid, "but with __WALL");
	signal(SIGUSR1, SIG_DFL);
	pid = raw_clone(0, NULL, NULL, NULL, 0);
	if (pid == 0)
		_exit(4);
	is(waitpid(pid, &status, __WCLONE), pid, "no exit signal: __WCLONE finds it");
	is(status, 4 << 8, "with its status");
}

static volatile int thread_ran, clear_me = 1;
static volatile pid_t thread_pid, thread_tid;

static int thread_body(void *arg)
{
	thread_pid = getpid();
	thread_tid = syscall(SYS_gettid);
	thread_ran = 1;
	syscall(SYS_exit, 0);
	return 0;
}

static void check_thread(void)
{
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		    CLONE_SYSVSEM | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID;
	int tid;

	clear_me = 1;
	tid = clone(thread_body, stack + STACK_SIZE, flags, NULL, &parent_tid, NULL, &clear_me);
	ok(tid > 0, "CLONE_THREAD");
	while (clear_me)
		syscall(SYS_futex, &clear_me, FUTEX_WAIT, 1, NULL);
	is(clear_me, 0, "CLONE_CHILD_CLEARTID clears the word and wakes its futex");
	is(thread_pid, getpid(), "getpid in a thread is the process's");
	is(thread_tid, tid, "gettid is its own");
	is(parent_tid, tid, "the parent's word has it");
	fails(waitpid(tid, NULL, __WALL), ECHILD, "a thread is not waited for");
	ok(within(10000, syscall(SYS_tgkill, getpid(), tid, 0) < 0), "and leaves no zombie");
	munmap(stack, STACK_SIZE);
}

static long clone3_call(struct clone_args *args, size_t size)
{
	return syscall(SYS_clone3, args, size);
}

static void check_clone3(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	uint8_t big[200] = { 0 };
	long pid;

	pid = clone3_call(&args, sizeof(args));
	if (pid == 0)
		_exit(11);
	is(tap_wait(pid), 11 << 8, "clone3");
	pid = clone3_call(&args, CLONE_ARGS_SIZE_VER0);
	if (pid == 0)
		_exit(12);
	is(tap_wait(pid), 12 << 8, "clone3 with the first version's size");
	fails(clone3_call(&args, CLONE_ARGS_SIZE_VER0 - 8), EINVAL, "clone3: too small");
	fails(clone3_call(&args, 5000), E2BIG, "clone3: larger than a page");
	memcpy(big, &args, sizeof(args));
	big[150] = 1;
	fails(clone3_call((void *)big, 200), E2BIG, "clone3: unknown fields that are not zero");
	big[150] = 0;
	pid = clone3_call((void *)big, 200);
	if (pid == 0)
		_exit(13);
	is(tap_wait(pid), 13 << 8, "clone3: unknown fields that are zero");
	args.exit_signal = 65;
	fails(clone3_call(&args, sizeof(args)), EINVAL, "clone3: a bad exit signal");
	args.exit_signal = SIGCHLD;
	args.flags = SIGCHLD;
	fails(clone3_call(&args, sizeof(args)), EINVAL, "clone3: a signal in the flags");
	args.flags = 1ull << 40;
	fails(clone3_call(&args, sizeof(args)), EINVAL, "clone3: an unknown flag");
	args.flags = CLONE_DETACHED;
	fails(clone3_call(&args, sizeof(args)), EINVAL, "clone3: CLONE_DETACHED");
	args.flags = 0;
	args.stack_size = 4096;
	fails(clone3_call(&args, sizeof(args)), EINVAL, "clone3: a size without a stack");
	args.stack_size = 0;
	args.stack = 0x1000;
	fails(clone3_call(&args, sizeof(args)), EINVAL, "clone3: a stack without a size");
	args.stack = 0;
	fails(clone3_call((void *)8, sizeof(args)), EFAULT, "clone3: a bad pointer");
	args.flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM;
	fails(clone3_call(&args, sizeof(args)), EINVAL, "clone3: CLEAR_SIGHAND with SIGHAND");
	signal(SIGUSR1, ignore);
	args.flags = CLONE_CLEAR_SIGHAND;
	pid = clone3_call(&args, sizeof(args));
	if (pid == 0) {
		struct sigaction sa;

		sigaction(SIGUSR1, NULL, &sa);
		_exit(sa.sa_handler != SIG_DFL);
	}
	is(tap_wait(pid), 0, "CLONE_CLEAR_SIGHAND resets handlers");
}

int main(void)
{
	check_sharing();
	check_errors();
	check_tids();
	check_thread();
	check_clone3();
	return tap_done();
}
