/*
 * exec.c - execve(2): what is refused, what is kept, what is reset, "#!"
 * scripts and their limits, set-id programs, vfork(2).
 *
 * The program executes itself in many roles: "exec ROLE ...".
 */
#include "tap.h"

#include <elf.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>

static const char *self;
static char answer[300000];

/* Run argv in a child with stdout in a pipe; its status, output in answer. */
static int run(char *const argv[], char *const envp[], const char *path)
{
	int fds[2], status;
	size_t have = 0;
	ssize_t got;
	pid_t pid;

	if (pipe(fds) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execve(path, argv, envp);
		_exit(200 + (errno == ENOEXEC) + 2 * (errno == ENOENT));
	}
	close(fds[1]);
	while ((got = read(fds[0], answer + have, sizeof(answer) - 1 - have)) > 0)
		have += got;
	answer[have] = 0;
	close(fds[0]);
	status = tap_wait(pid);
	return status;
}

static int role_args(int argc, char **argv, char **envp)
{
	int i;

	dprintf(1, "%d", argc);
	for (i = 0; i < argc; i++)
		dprintf(1, "[%s]", argv[i]);
	for (i = 0; envp[i]; i++)
		dprintf(1, "{%s}", envp[i]);
	return 0;
}

static int role_state(void)
{
	struct sigaction sa;
	sigset_t mask, pend;
	stack_t ss;

	sigaction(SIGUSR1, NULL, &sa);
	dprintf(1, "usr1 %s ", sa.sa_handler == SIG_DFL ? "dfl" : "other");
	sigaction(SIGUSR2, NULL, &sa);
	dprintf(1, "usr2 %s ", sa.sa_handler == SIG_IGN ? "ign" : "other");
	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigpending(&pend);
	sigaltstack(NULL, &ss);
	dprintf(1, "mask %d pending %d alt %d fd10 %d fd11 %d", sigismember(&mask, SIGHUP),
		sigismember(&pend, SIGHUP), ss.ss_flags == SS_DISABLE,
		fcntl(10, F_GETFD) >= 0, fcntl(11, F_GETFD) >= 0);
	return 0;
}

static int role_secure(void)
{
	uid_t r, e, s;

	getresuid(&r, &e, &s);
	dprintf(1, "%d %d %d secure %lu", r, e, s, getauxval(AT_SECURE));
	return 0;
}

/* Which way mmap(2) goes: bit 0 set: up; bit 1: in a child, too. */
static int role_layout(void)
{
	char *a = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *b = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status = in_child({
		char *c = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		_exit(c > b ? 2 : 0);
	});

	return (b > a) | status >> 8;
}

static void check_layout(void)
{
	struct rlimit rl = { RLIM_INFINITY, RLIM_INFINITY };
	char *argv[] = { (char *)self, "layout", NULL };

	is(run(argv, NULL, self), 0, "mmap goes down");
	is(in_child({
		setrlimit(RLIMIT_STACK, &rl);
		execv(self, argv);
		_exit(1);
	}), 0, "with an infinite stack, too");
	is(in_child({
		personality(ADDR_COMPAT_LAYOUT);
		execv(self, argv);
		_exit(1);
	}), 3 << 8, "but up with ADDR_COMPAT_LAYOUT, also in the program's children");
}

static void check_args(void)
{
	char *env[] = { "A=1", "EMPTY=", NULL };
	char *none[] = { NULL };

	run((char *[]){ (char *)self, "args", "x y", "", NULL }, env, self);
	ok(strstr(answer, "[args][x y][]{A=1}{EMPTY=}") && answer[0] == '4',
	   "arguments and environment arrive");
	run(none, env, self);
	is_str(answer, "1[]{A=1}{EMPTY=}", "an empty argv becomes one empty string");
	is(run(NULL, none, self), 0, "a null argv is taken as empty");
	is_str(answer, "1[]", "and becomes one empty string");
}

static void refuse(const char *path, int error, const char *what)
{
	char *argv[] = { "x", NULL };

	fails(execve(path, argv, argv + 1), error, "execve: %s", what);
}

static void check_refusals(void)
{
	Elf64_Ehdr eh;
	char name[5000];
	int fd;

	refuse("missing", ENOENT, "a missing file");
	refuse("", ENOENT, "an empty path");
	refuse("/tmp", EACCES, "a directory");
	refuse("/tmp/", EACCES, "a directory with a slash");
	refuse("/dev/null", EACCES, "a device");
	tap_file("plain", "hello\n", 6, 0644);
	refuse("plain", EACCES, "no execute bit, even as root");
	refuse("plain/x", ENOTDIR, "a file as a directory");
	chmod("plain", 0755);
	refuse("plain", ENOEXEC, "a text file without #!");
	tap_file("empty", "", 0, 0755);
	refuse("empty", ENOEXEC, "an empty file");
	symlink("loop", "loop");
	refuse("loop", ELOOP, "a symlink to itself");
	memset(name, 'a', sizeof(name));
	name[300] = 0;
	refuse(name, ENAMETOOLONG, "a component of 300");
	memset(name, '/', sizeof(name));
	name[4999] = 0;
	refuse(name, ENAMETOOLONG, "a path of 4999");
	refuse((void *)8, EFAULT, "a bad path pointer");
	fails(execve(self, (void *)8, NULL), EFAULT, "execve: a bad argv pointer");
	fails(execve(self, (char *[]){ (char *)8, NULL }, NULL), EFAULT,
	      "execve: a bad argument pointer");
	fails(execve(self, NULL, (void *)8), EFAULT, "execve: a bad envp pointer");
	/* ELF headers that are wrong in one field. */
	fd = open(self, O_RDONLY);
	read(fd, &eh, sizeof(eh));
	close(fd);
	tap_file("short", &eh, 40, 0755);
	refuse("short", ENOEXEC, "half an ELF header");
	eh.e_machine = EM_AARCH64;
	tap_file("arm", &eh, sizeof(eh), 0755);
	refuse("arm", ENOEXEC, "another machine's ELF");
	eh.e_machine = EM_X86_64;
	eh.e_type = ET_REL;
	tap_file("rel", &eh, sizeof(eh), 0755);
	refuse("rel", ENOEXEC, "a relocatable ELF");
	eh.e_type = ET_EXEC;
	eh.e_phentsize = 3;
	tap_file("ent", &eh, sizeof(eh), 0755);
	refuse("ent", ENOEXEC, "a wrong e_phentsize");
	eh.e_phentsize = sizeof(Elf64_Phdr);
	eh.e_phnum = 0;
	tap_file("num", &eh, sizeof(eh), 0755);
	refuse("num", ENOEXEC, "no program headers");
}

static char *script(const char *name, const char *format, ...)
{
	static char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tap_file(name, text, strlen(text), 0755);
	return text;
}

/* What a script run as "./NAME one two" makes our interpreter role print. */
static void expect_script(const char *name, const char *want, const char *what)
{
	char path[64], *argv[] = { "zero", "one", "two", NULL };

	snprintf(path, sizeof(path), "./%s", name);
	run(argv, argv + 3, path);
	if (!ok(!strcmp(answer, want), "#!: %s", what))
		tap_line("# got  %.200s\n# want %.200s", answer, want);
}

static void check_scripts(void)
{
	char want[2048], long_arg[400], name[8], before[8];
	int i;

	script("s1", "#!%s\nrest\n", self);
	snprintf(want, sizeof(want), "4[%s][./s1][one][two]", self);
	expect_script("s1", want, "without an argument");
	script("s2", "#! \t %s  args  and more \t \nrest\n", self);
	snprintf(want, sizeof(want), "5[%s][args  and more][./s2][one][two]", self);
	expect_script("s2", want, "one argument, inner blanks kept, outer ones not");
	script("s3", "#!%s args", self);
	snprintf(want, sizeof(want), "5[%s][args][./s3][one][two]", self);
	expect_script("s3", want, "no newline at the end");
	script("s4", "#!\n");
	refuse("s4", ENOEXEC, "#! with nothing");
	script("s5", "#!   \n");
	refuse("s5", ENOEXEC, "#! with blanks only");
	script("s6", "#!/nowhere/at/all\n");
	refuse("s6", ENOENT, "#! with a missing interpreter");
	script("s7", "#!/tmp\n");
	refuse("s7", EACCES, "#! with a directory as interpreter");
	memset(long_arg, 'x', sizeof(long_arg));
	long_arg[399] = 0;
	script("s8", "#!/%s\n", long_arg);
	refuse("s8", ENOEXEC, "#! with a path beyond 256 bytes");
	script("s9", "#!%s %s\n", self, long_arg);
	long_arg[255 - 2 - strlen(self) - 1] = 0;
	snprintf(want, sizeof(want), "5[%s][%s][./s9][one][two]", self, long_arg);
	expect_script("s9", want, "an argument beyond 256 bytes is cut");
	script("n1", "#!%s\n", self);
	for (i = 2; i <= 6; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(before, sizeof(before), "./n%d", i - 1);
		script(name, "#!%s\n", before);
	}
	snprintf(want, sizeof(want), "8[%s][./n1][./n2][./n3][./n4][./n5][one][two]", self);
	expect_script("n5", want, "five levels of scripts");
	refuse("./n6", ELOOP, "#!: six levels of scripts");
}

static void check_sizes(void)
{
	size_t limit = 131072;
	char *big = malloc(limit + 1), *argv[40];
	int i;

	memset(big, 'b', limit + 1);
	big[limit] = 0;
	fails(execve(self, (char *[]){ "x", big, NULL }, NULL), E2BIG,
	      "one string of 128 KiB and its NUL");
	big[limit - 1] = 0;
	run((char *[]){ "x", big, NULL }, NULL, self);
	is(strlen(answer), limit - 1 + strlen("2[x][]"), "one byte less passes whole");
	for (i = 0; i < 30; i++)
		argv[i] = big;
	argv[30] = NULL;
	fails(execve(self, argv, NULL), E2BIG, "more than a quarter of the stack limit");
	argv[2] = NULL;
	run(argv, NULL, self);
	is(strlen(answer), 2 * (limit + 1) + 1, "a quarter of a megabyte passes");
	free(big);
}

static void check_busy(void)
{
	char *text = malloc(4 << 20);
	int fd = open(self, O_RDONLY), n = read(fd, text, 4 << 20), p[2];
	pid_t pid;

	close(fd);
	tap_file("copy", text, n, 0755);
	free(text);
	fd = open("copy", O_WRONLY);
	refuse("./copy", ETXTBSY, "a file that is open for writing");
	close(fd);
	pipe(p);
	pid = vfork();
	if (pid == 0) {
		dup2(p[0], 0);
		close(p[1]);
		execl("./copy", "./copy", "stdin", NULL);
		_exit(1);
	}
	ok(pid > 0, "a copy of the program runs");
	fails(open("copy", O_WRONLY), ETXTBSY, "a running program cannot be opened for writing");
	fails(open("copy", O_RDONLY | O_TRUNC), ETXTBSY, "nor truncated by open");
	fails(truncate("copy", 3), ETXTBSY, "nor by truncate");
	works(unlink("copy"), "but removed");
	close(p[0]);
	close(p[1]);
	is(tap_wait(pid), 0, "the removed program ends well");
}

static void on_signal(int sig)
{
}

static void check_kept(void)
{
	int status = in_child({
		sigset_t hup;
		char stack[20000];
		stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };

		signal(SIGUSR1, on_signal);
		signal(SIGUSR2, SIG_IGN);
		sigemptyset(&hup);
		sigaddset(&hup, SIGHUP);
		sigprocmask(SIG_BLOCK, &hup, NULL);
		raise(SIGHUP);
		sigaltstack(&ss, NULL);
		dup2(0, 10);
		fcntl(dup2(0, 11), F_SETFD, FD_CLOEXEC);
		/* The last exec is this child's own, its output in a file. */
		dup2(open("state", O_CREAT | O_TRUNC | O_WRONLY, 0600), 1);
		execl(self, self, "state", NULL);
	});
	int fd = open("state", O_RDONLY), n = read(fd, answer, sizeof(answer) - 1);

	close(fd);
	answer[n < 0 ? 0 : n] = 0;
	is(status, 0, "exec with signal state");
	ok(strstr(answer, "usr1 dfl"), "a handler becomes the default");
	ok(strstr(answer, "usr2 ign"), "ignored stays ignored");
	ok(strstr(answer, "mask 1"), "the mask is kept");
	ok(strstr(answer, "pending 1"), "pending signals are kept");
	ok(strstr(answer, "alt 1"), "the alternate stack is gone");
	ok(strstr(answer, "fd10 1"), "an ordinary descriptor is kept");
	ok(strstr(answer, "fd11 0"), "a close-on-exec one is closed");
}

static void check_secure(void)
{
	char *text = malloc(4 << 20);
	int fd = open(self, O_RDONLY), n = read(fd, text, 4 << 20), status;

	close(fd);
	tap_file("setuid", text, n, 04755);
	tap_file("setgid", text, n, 02755);
	tap_file("private", text, n, 0700);
	free(text);
	chmod(".", 0755);
	status = in_child({
		dup2(open("secure", O_CREAT | O_TRUNC | O_WRONLY, 0666), 1);
		setresgid(1000, 1000, 1000);
		setresuid(1000, 1000, 1000);
		execl("./private", "x", "secure", NULL);
		if (errno != EACCES)
			_exit(3);
		execl("./setuid", "x", "secure", NULL);
		_exit(4);
	});
	fd = open("secure", O_RDONLY);
	n = read(fd, answer, sizeof(answer) - 1);
	close(fd);
	answer[n < 0 ? 0 : n] = 0;
	is(status, 0, "a user cannot execute a private program, but a set-user-id one");
	is_str(answer, "1000 0 0 secure 1", "set-user-id gives euid and suid 0 and AT_SECURE");
	unlink("setuid");
	unlink("setgid");
}

static volatile int shared_word;

static void check_vfork(void)
{
	pid_t pid;
	int local = 1, status;

	pid = vfork();
	if (pid == 0) {
		shared_word = 7;
		tap_sleep_ms(20);
		shared_word = 8;
		_exit(5);
	}
	is(shared_word, 8, "vfork: the parent waits, the memory is shared");
	is(tap_wait(pid), 5 << 8, "vfork: the child's status");
	pid = vfork();
	if (pid == 0) {
		execl(self, self, "exit", NULL);
		_exit(1);
	}
	status = tap_wait(pid);
	ok(local && exited(status, 42), "vfork and exec");
	pid = vfork();
	if (pid == 0)
		kill(getpid(), SIGKILL);
	status = tap_wait(pid);
	ok(killed(status, SIGKILL), "vfork: a killed child lets the parent go on");
}

static void check_at(void)
{
	int fd = open(self, O_RDONLY | O_CLOEXEC), dir = open("/tests", O_RDONLY | O_DIRECTORY);
	char *argv[] = { "x", "exit", NULL };

	ok(exited(in_child(syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH)), 42),
	   "execveat: AT_EMPTY_PATH");
	ok(exited(in_child(syscall(SYS_execveat, dir, "exec", argv, NULL, 0)), 42),
	   "execveat: relative to a folder");
	fails(syscall(SYS_execveat, fd, "", argv, NULL, 0), ENOENT,
	      "execveat: an empty path without the flag");
	fails(syscall(SYS_execveat, 77, "exec", argv, NULL, 0), EBADF, "execveat: a bad folder");
	fails(syscall(SYS_execveat, dir, "exec", argv, NULL, 1), EINVAL, "execveat: a bad flag");
	symlink(self, "link");
	fails(syscall(SYS_execveat, AT_FDCWD, "link", argv, NULL, AT_SYMLINK_NOFOLLOW), ELOOP,
	      "execveat: AT_SYMLINK_NOFOLLOW");
	close(fd);
	close(dir);
}

static void *exec_from_thread(void *arg)
{
	execl(self, self, "pid", arg, NULL);
	return NULL;
}

static void check_threads(void)
{
	int status = in_child({
		pthread_t t;
		char pid[20];

		snprintf(pid, sizeof(pid), "%d", getpid());
		pthread_create(&t, NULL, exec_from_thread, pid);
		for (;;)
			pause();
	});

	ok(exited(status, 0), "exec from a second thread: one thread is left, with the leader's id");
}

int main(int argc, char **argv, char **envp)
{
	const char *role = argc > 1 ? argv[1] : "";

	if (argc == 2 && !strcmp(role, "state"))
		return role_state();
	if (argc == 2 && !strcmp(role, "layout"))
		return role_layout();
	if (argc == 2 && !strcmp(role, "secure"))
		return role_secure();
	if (argc == 2 && !strcmp(role, "exit"))
		return 42;
	if (argc == 2 && !strcmp(role, "stdin"))
		return read(0, answer, 1) != 0;
	if (argc == 3 && !strcmp(role, "pid"))
		return !(atoi(argv[2]) == getpid() && getpid() == syscall(SYS_gettid));
	if (argc > 1 || !argv[0][0])
		return role_args(argc, argv, envp);
	self = strdup(argv[0]);
	check_args();
	check_layout();
	check_refusals();
	check_scripts();
	check_sizes();
	check_busy();
	check_kept();
	check_secure();
	check_vfork();
	check_at();
	check_threads();
	return tap_done();
}
