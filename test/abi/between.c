/*
 * between.c - what another CPU does between two steps of a call: names,
 * signals, parameters, and pages that change hands.
 *
 * As races.c: each point runs two things against each other and then looks.
 */
#include "race.h"

#include <dirent.h>
#include <sys/resource.h>

#define NS_EACH	600000000ll	/* a point */
#define OLD_OWNER	1001
#define NEW_OWNER	1002

/* ---- a thread's parameters ------------------------------------------------------------------- */

static pid_t target;

/* A little later each time, so that in some round the two meet. */
static void make_batch(void)
{
	struct sched_param p = { 0 };
	static unsigned int n;

	for (volatile unsigned int i = n++ % 1024 * 16; i; i--)
		;
	syscall(SYS_sched_setscheduler, target, SCHED_BATCH, &p);
}

static void make_nice(void)
{
	setpriority(PRIO_PROCESS, target, 3);
}

/* Of the nice value Linux may lose one that is set meanwhile; neither loses the policy. */
static bool is_batch(void)
{
	struct sched_param p = { 0 };
	bool good = syscall(SYS_sched_getscheduler, target) == SCHED_BATCH;

	syscall(SYS_sched_setscheduler, target, SCHED_OTHER, &p);
	setpriority(PRIO_PROCESS, target, 0);
	return good;
}

static void test_parameters(void)
{
	target = fork();
	if (!target) {
		for (;;)
			pause();
	}
	ok(rounds(NS_EACH, make_batch, make_nice, is_batch), "a policy is not undone by a nice value that is set meanwhile");
	kill(target, SIGKILL);
	tap_wait(target);
}

/* ---- set-user-ID and a new owner --------------------------------------------------------------- */

static char program[64];
static bool cred_good;

static void run_program(void)
{
	pid_t pid = vfork();
	int status;

	if (!pid) {
		execl(program, program, "euid", NULL);
		_exit(90);
	}
	status = tap_wait(pid);
	cred_good = exited(status, 0);
}

static void give_away(void)
{
	cred_good &= !chown(program, NEW_OWNER, 0);
}

static bool look_cred(void)
{
	bool good = cred_good;

	cred_good = true;
	if (chown(program, OLD_OWNER, 0) || chmod(program, 04755))
		_exit(91);
	return good;
}

/* The bits belong to the owner that set them: who executes the file is root or the first owner, and never the next one. */
static void test_set_user_id(void)
{
	char self[4096];
	int in = open("/proc/self/exe", O_RDONLY), out;
	ssize_t n;

	snprintf(program, sizeof(program), "%s/between.suid", getcwd(self, sizeof(self)) ? "." : "/tmp");
	out = open(program, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	while ((n = read(in, self, sizeof(self))) > 0)
		if (write(out, self, (size_t)n) != n)
			_exit(92);
	close(in);
	close(out);
	cred_good = true;
	(void)look_cred();
	ok(rounds(NS_EACH, run_program, give_away, look_cred),
	   "a file that is given away while it is executed gives nobody the new owner's id");
	unlink(program);
}

/* ---- signals ------------------------------------------------------------------------------------- */

static bool chld_good;

/* The signal's action is the default one, which is to do nothing: only that it is blocked keeps it for who waits. */
static void test_sigtimedwait(void)
{
	struct timespec patience = { 5, 0 };
	long long end = now() + NS_EACH;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	pin(0);
	chld_good = true;
	for (int i = 0; chld_good && now() < end; i++) {
		pid_t pid = fork();

		if (!pid) {
			pin(1);
			for (volatile int spin = i % 97 * 20; spin; spin--)
				;
			_exit(0);
		}
		chld_good = sigtimedwait(&chld, NULL, &patience) == SIGCHLD;
		tap_wait(pid);
	}
	sigprocmask(SIG_UNBLOCK, &chld, NULL);
	ok(chld_good, "a child that ends while sigtimedwait begins is told of");
}

/* ---- directories ----------------------------------------------------------------------------------- */

static bool dots_good;
static ino_t first_ino;

static void move_away(void)
{
	struct stat st;

	mkdir("b.two", 0700);
	rename("b.one/d", "b.two/d");
	rmdir("b.one");
	mkdir("b.one", 0700);
	rename("b.two/d", "b.one/d");
	rmdir("b.two");
	stat("b.one", &st);
	first_ino = st.st_ino;
}

static void read_dots(void)
{
	DIR *d = opendir("b.one/d");
	struct dirent *e;
	int dots = 0;

	if (!d)		/* it is away */
		return;
	for (int i = 0; i < 20; i++) {
		rewinddir(d);
		for (dots = 0; (e = readdir(d));)
			dots += !strcmp(e->d_name, "..") && e->d_ino;
		dots_good &= dots == 1;
	}
	closedir(d);
}

static bool look_dots(void)
{
	DIR *d = opendir("b.one/d");
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!strcmp(e->d_name, ".."))
			dots_good &= e->d_ino == first_ino;
	if (!d)
		return false;
	closedir(d);
	return dots_good;
}

static void test_dot_dot(void)
{
	mkdir("b.one", 0700);
	mkdir("b.one/d", 0700);
	dots_good = true;
	ok(rounds(NS_EACH, move_away, read_dots, look_dots), "'..' has a number while the directory moves and the old parent goes");
	rmdir("b.one/d");
	rmdir("b.one");
}

/* ---- pages that change hands ----------------------------------------------------------------------- */

static int file;
static bool read_good;

/* The file's pages go, and are page tables and other memory of the kernel's at once. */
static void pages_go(void)
{
	char *room = mmap(NULL, 64ul << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int pipes[2];

	if (room == MAP_FAILED || ftruncate(file, 0) || pipe(pipes))
		_exit(94);
	for (unsigned long at = 0; at < 64ul << 20; at += 2ul << 20)
		room[at] = 1;
	fcntl(pipes[0], F_SETPIPE_SZ, 16 * PAGE);
	if (write(pipes[1], room, 8 * PAGE) != (ssize_t)(8 * PAGE) || ftruncate(file, 32 * PAGE))
		_exit(95);
	for (unsigned long i = 0; i < 32; i++)
		if (pwrite(file, "x", 1, (off_t)(i * PAGE)) != 1)
			_exit(96);
	close(pipes[0]);
	close(pipes[1]);
	munmap(room, 64ul << 20);
}

static void read_pages(void)
{
	char page[PAGE];

	for (int n = 0; n < 200; n++) {
		ssize_t got = pread(file, page, PAGE, (off_t)(n % 32 * PAGE));

		read_good &= got == 0 || (got == (ssize_t)PAGE && (page[0] == 'x' || !page[0]) && !page[1] && !page[PAGE - 1]);
	}
}

static bool look_read(void)
{
	return read_good;
}

static void test_pages(void)
{
	file = memfd_create("between", 0);
	read_good = true;
	if (ftruncate(file, 32 * PAGE))
		_exit(97);
	ok(rounds(NS_EACH, pages_go, read_pages, look_read), "a read beside truncation finds the file's bytes, and nobody else's");
	close(file);
}

/* ---- actions that change hands --------------------------------------------------------------- */

struct kernel_action {
	unsigned long handler, flags, restorer, mask;
};

static unsigned long handed_on[2];

static unsigned long exchange(unsigned long handler)
{
	struct kernel_action new = { handler, 0, 0, 0 }, old = { 0 };

	if (syscall(SYS_rt_sigaction, SIGUSR2, handler ? &new : NULL, &old, 8))
		_exit(98);
	return old.handler;
}

/* All that this side puts in and gets back; what both together have left is what the signal began and ends with. */
static void exchange_often(int side)
{
	static unsigned long last[2] = { 1000, 1001 };

	for (int n = 0; n < 64; n++) {
		last[side] += 2;
		handed_on[side] ^= last[side] * 0x9e3779b97f4a7c15ul >> 8;
		handed_on[side] ^= exchange(last[side] * 0x9e3779b97f4a7c15ul >> 8);
	}
}

static void exchange_here(void)
{
	exchange_often(0);
}

static void exchange_there(void)
{
	exchange_often(1);
}

static bool each_handed_on_once(void)
{
	static unsigned long first;
	unsigned long left = exchange(0);
	bool good = (handed_on[0] ^ handed_on[1]) == (first ^ left);

	first = left;
	handed_on[0] = handed_on[1] = 0;
	return good;
}

static void test_exchange(void)
{
	ok(rounds(NS_EACH, exchange_here, exchange_there, each_handed_on_once), "sigaction hands on each action once");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "euid"))
		return geteuid() == NEW_OWNER;
	race_init();
	test_parameters();
	test_set_user_id();
	test_sigtimedwait();
	test_dot_dot();
	test_pages();
	test_exchange();
	return tap_done();
}
