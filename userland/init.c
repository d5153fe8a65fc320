/*
 * init.c - PID 1 of the embedded default system.
 *
 * What it does, in this order:
 *   mounts proc, sysfs, devtmpfs and tmpfs (what is mounted already is left alone)
 *   and makes the links that programs expect in /dev; sets the host name and
 *   the environment; starts a login shell on the console and starts it anew
 *   whenever it ends; reaps every orphan; and on a power-off signal ends all
 *   processes, syncs and calls reboot(2).
 *
 * The shell is a session leader with a controlling terminal, so that job
 * control and ^C work.  That terminal is not /dev/console itself, on which a
 * background read is never stopped (Linux, n_tty.c: "don't stop on
 * /dev/console"), but the terminal behind it, which TIOCGDEV tells.  The
 * kernel passes words of its command line that it does not know as arguments,
 * as Linux does; they mean nothing here.
 *
 * Signals are what busybox's poweroff, reboot and halt send to PID 1:
 * SIGUSR2, SIGTERM and SIGUSR1.  They are blocked and taken by sigwaitinfo
 * together with SIGCHLD, so there are no handlers and no races: one loop
 * decides everything.  SIGINT comes from the keyboard's three keys.
 *
 * A shell that ends at once again and again must not spin the machine: after
 * a run shorter than a second the next start waits a second.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef TIOCGDEV
#define TIOCGDEV 0x80045432u	/* <asm/termbits.h>; musl has no name for it */
#endif

#define CONSOLE		"/dev/console"
#define SHELL		"/bin/sh"
#define TTY_MAJOR	4
#define FIRST_SERIAL	64	/* minor of ttyS0 below TTY_MAJOR */
#define TERM_GRACE_MS	2000	/* from SIGTERM to SIGKILL at shutdown */
#define RESPAWN_MS	1000	/* least time between two starts of the shell */

struct mount_point {
	const char *type, *where, *options;
	unsigned long flags;
	mode_t mode;
};

static const struct mount_point mount_points[] = {
	{ "devtmpfs", "/dev",  NULL,        MS_NOSUID,                         0755 },
	{ "proc",     "/proc", NULL,        MS_NOSUID | MS_NODEV | MS_NOEXEC,  0555 },
	{ "sysfs",    "/sys",  NULL,        MS_NOSUID | MS_NODEV | MS_NOEXEC,  0555 },
	{ "tmpfs",    "/tmp",  "mode=1777", MS_NOSUID | MS_NODEV,              01777 },
	{ "tmpfs",    "/run",  "mode=0755", MS_NOSUID | MS_NODEV,              0755 },
};

static const char *const dev_links[][2] = {
	{ "/proc/self/fd",   "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

static void say(const char *format, ...)
{
	char line[200];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	if (write(STDERR_FILENO, line, len) < 0)
		return;		/* no console: nobody to tell */
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* Whether /proc/mounts names a mount at `where`; false as long as there is none. */
static int is_mounted(const char *where)
{
	char line[512], target[256];
	FILE *mounts = fopen("/proc/mounts", "r");
	int found = 0;

	if (!mounts)
		return 0;
	while (!found && fgets(line, sizeof(line), mounts))
		found = sscanf(line, "%*s %255s", target) == 1 && !strcmp(target, where);
	fclose(mounts);
	return found;
}

static void mount_all(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(mount_points) / sizeof(mount_points[0]); i++) {
		const struct mount_point *m = &mount_points[i];

		if (mkdir(m->where, m->mode) == 0)
			chmod(m->where, m->mode);
		if (is_mounted(m->where))
			continue;
		if (mount(m->type, m->where, m->type, m->flags, m->options) < 0 && errno != EBUSY)
			say("init: cannot mount %s on %s: %s\n", m->type, m->where,
			    strerror(errno));
	}
	for (i = 0; i < sizeof(dev_links) / sizeof(dev_links[0]); i++)
		if (symlink(dev_links[i][0], dev_links[i][1]) < 0 && errno != EEXIST)
			say("init: cannot link %s: %s\n", dev_links[i][1], strerror(errno));
}

static void set_host_name(void)
{
	char name[65] = "halcyon";
	int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd >= 0) {
		len = read(fd, name, sizeof(name) - 1);
		name[len > 0 ? len : 0] = 0;
		name[strcspn(name, "\n")] = 0;
		close(fd);
	}
	if (name[0] && sethostname(name, strlen(name)) < 0)
		say("init: cannot set the host name: %s\n", strerror(errno));
}

/* Standard streams on the console, also when the kernel gave us none. */
static int open_console(void)
{
	int fd = open(CONSOLE, O_RDWR | O_NOCTTY);

	if (fd < 0)
		return -1;
	if (dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		return -1;
	if (fd > 2)
		close(fd);
	return 0;
}

/* Moves the standard streams from the console to the terminal behind it. */
static void open_terminal(void)
{
	unsigned int dev, number;
	char path[32];
	int fd;

	if (ioctl(0, TIOCGDEV, &dev) < 0 || major(dev) != TTY_MAJOR)
		return;
	number = minor(dev);
	if (number < FIRST_SERIAL)
		snprintf(path, sizeof(path), "/dev/tty%u", number);
	else
		snprintf(path, sizeof(path), "/dev/ttyS%u", number - FIRST_SERIAL);
	fd = open(path, O_RDWR | O_NOCTTY);
	if (fd < 0)
		return;
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	if (fd > 2)
		close(fd);
}

static void __attribute__((noreturn)) run_shell(void)
{
	sigset_t none;

	setsid();
	if (open_console() < 0)
		_exit(126);
	open_terminal();
	if (ioctl(0, TIOCSCTTY, 1) < 0)
		say("init: no controlling terminal: %s\n", strerror(errno));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir(getenv("HOME")) < 0 && chdir("/") < 0)
		say("init: no working directory\n");
	execl(SHELL, "-sh", NULL);	/* the dash makes it a login shell */
	say("init: cannot run %s: %s\n", SHELL, strerror(errno));
	_exit(127);
}

static pid_t start_shell(void)
{
	pid_t pid = fork();

	if (pid == 0)
		run_shell();
	if (pid < 0)
		say("init: cannot fork: %s\n", strerror(errno));
	return pid;
}

/* Ends every process but ourselves: asks, waits a while, then kills. */
static void end_processes(void)
{
	long deadline = now_ms() + TERM_GRACE_MS;

	kill(-1, SIGTERM);
	kill(-1, SIGHUP);	/* an interactive shell ignores SIGTERM */
	kill(-1, SIGCONT);
	while (now_ms() < deadline) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (pid == 0)
			sleep_ms(20);
	}
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void __attribute__((noreturn)) shut_down(int sig)
{
	int how = sig == SIGUSR1 ? RB_HALT_SYSTEM : sig == SIGUSR2 ? RB_POWER_OFF : RB_AUTOBOOT;

	say("\ninit: %s\n", sig == SIGUSR1 ? "halting" :
	    sig == SIGUSR2 ? "powering off" : "restarting");
	end_processes();
	sync();
	reboot(how);
	say("init: reboot: %s\n", strerror(errno));
	for (;;)
		pause();
}

static void describe_end(int status)
{
	if (WIFSIGNALED(status))
		say("\ninit: the shell was killed by signal %d\n", WTERMSIG(status));
	else
		say("\ninit: the shell ended with status %d\n", WEXITSTATUS(status));
	say("init: starting a new shell; `poweroff` switches off\n");
}

/* Reaps whatever has ended; the status of `wanted` when it is among them. */
static int reap(pid_t wanted, int *status)
{
	int st, found = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid == wanted) {
			*status = st;
			found = 1;
		}
	}
	return found;
}

static void __attribute__((noreturn)) serve(const sigset_t *watched)
{
	long started = now_ms();
	pid_t child = start_shell();
	int status;

	for (;;) {
		struct timespec second = { 1, 0 };
		int sig = sigtimedwait(watched, NULL, child > 0 ? NULL : &second);

		if (sig == SIGTERM || sig == SIGUSR1 || sig == SIGUSR2 || sig == SIGINT)
			shut_down(sig == SIGINT ? SIGTERM : sig);
		if (reap(child, &status)) {
			describe_end(status);
			child = -1;
		}
		if (child < 0) {
			if (now_ms() - started < RESPAWN_MS)
				sleep_ms(RESPAWN_MS);
			started = now_ms();
			child = start_shell();
		}
	}
}

int main(void)
{
	static const int taken[] = { SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2, SIGINT };
	sigset_t watched;
	unsigned int i;

	if (getpid() != 1) {
		say("init: must be process 1\n");
		return 1;
	}
	sigemptyset(&watched);
	for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		sigaddset(&watched, taken[i]);
	sigprocmask(SIG_BLOCK, &watched, NULL);
	umask(0);
	mount_all();
	umask(022);
	if (open_console() < 0)
		say("init: cannot open %s: %s\n", CONSOLE, strerror(errno));
	set_host_name();
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	setenv("HOME", "/root", 0);
	setenv("TERM", "vt100", 0);
	setenv("USER", "root", 1);
	setenv("SHELL", "/bin/sh", 1);
	reboot(RB_DISABLE_CAD);
	serve(&watched);
}
