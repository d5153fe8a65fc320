/*
 * fail.c - runs every scene (fail.h) with each of its allocations failing.
 *
 *	fail [NAME ...]		all scenes, or those whose name begins so
 *	fail -a PERCENT PROGRAM [ARGUMENT ...]
 *				the program with that many of its allocations,
 *				and its children's, failing
 *	fail -p			a leak on purpose
 *
 * A scene is first run undisturbed (whatever the kernel makes once and keeps
 * is made then), then counted: /proc/halcyon/leaks says what grew between.
 * When something did, the scene is run again and looked at after each
 * failing allocation, to name the one that leaks, and where it was made to
 * fail.  Nothing here allocates memory between arming and the call's return.
 */
#include "fail.h"

#define MAX_RUNS 600

char big[1 << 20], small[4096];
int keep_fd;
void *keep_ptr;
long keep_long;

extern const struct scene __start_scenes[], __stop_scenes[];

static int nth_fd, leaks_fd, total_failed;

/* What a run came to, where a child can put it. */
static struct outcome {
	long result;
	int error, left, ran;
} *outcome;

int make_file(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	size_t done;

	for (done = 0; done < size && fd >= 0; done += 4096)
		if (write(fd, big, size - done < 4096 ? size - done : 4096) < 0)
			break;
	return fd;
}

void fill_dir(const char *path, int files)
{
	char name[100];

	mkdir(path, 0700);
	while (files-- > 0) {
		snprintf(name, sizeof(name), "%s/%s-%d", path, files % 3 ? "f" : "a-rather-long-name-of-a-file", files);
		close(open(name, O_CREAT | O_RDWR, 0600));
	}
}

void empty_dir(const char *path, int files)
{
	char name[100];

	while (files-- > 0) {
		snprintf(name, sizeof(name), "%s/%s-%d", path, files % 3 ? "f" : "a-rather-long-name-of-a-file", files);
		unlink(name);
	}
	rmdir(path);
}

void drop(long fd)
{
	if (fd >= 0)
		close((int)fd);
}

/* ---- arming ------------------------------------------------------------- */

static void arm(int fd, int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	if (pwrite(fd, text, len, 0) != len) {
		tap_line("# fail-nth cannot be written: errno %d", errno);
		_exit(98);
	}
}

/* How many allocations were left to go; disarms. */
static int disarm(int fd)
{
	char text[16] = "";
	int left;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		_exit(97);
	left = atoi(text);
	arm(fd, 0);
	return left;
}

static int open_nth(void)
{
	return open("/proc/thread-self/fail-nth", O_RDWR);
}

static void run_here(const struct scene *s, int fd, int nth)
{
	long r;
	int error;

	if (nth)
		arm(fd, nth);
	errno = 0;
	r = s->op();
	error = errno;
	outcome->left = nth ? disarm(fd) : 1;
	outcome->result = r;
	outcome->error = r < 0 ? error : 0;
	outcome->ran = 1;
}

/* In a child, whose descriptor number tells a program that it becomes where to look. */
static void run_child(const struct scene *s, int nth)
{
	pid_t pid = fork();
	int status, fd;

	if (pid == 0) {
		fd = nth ? open_nth() : -1;
		if (s->flags & EXEC) {
			fd = nth ? dup2(fd, 100) : -1;
			fcntl(fd, F_SETFD, 0);
		}
		run_here(s, fd, nth);
		_exit(0);
	}
	status = tap_wait(pid);
	if (pid > 0 && exited(status, 0) && outcome->ran)
		return;
	if (s->flags & EXEC && pid > 0 && (exited(status, 120) || exited(status, 121))) {
		*outcome = (struct outcome){ .left = status == 120 << 8, .ran = 1 };
		return;
	}
	if (s->flags & MAY_DIE && (killed(status, SIGKILL) || killed(status, SIGSEGV))) {
		*outcome = (struct outcome){ .result = -1, .error = ENOMEM, .ran = 1 };
		return;
	}
	tap_line("# %s: run %d: child status 0x%x", s->name, nth, status);
	*outcome = (struct outcome){ .result = -1, .error = 999, .left = 1, .ran = 1 };
}

/* False: the result is not one that may be. */
static bool run_once(const struct scene *s, int nth)
{
	int i;

	*outcome = (struct outcome){ 0 };
	if (s->prep)
		s->prep();
	if (s->flags & (CHILD | EXEC))
		run_child(s, nth);
	else
		run_here(s, nth_fd, nth);
	if (s->undo)
		s->undo(outcome->error ? -1 : outcome->result);
	total_failed += !outcome->left;
	if (outcome->error == s->wants)
		return true;
	if (!outcome->left && (!outcome->error || outcome->error == ENOMEM))
		return true;
	for (i = 0; i < 4 && !outcome->left; i++)
		if (s->also[i] && s->also[i] == outcome->error)
			return true;
	return false;
}

/* ---- leaks -------------------------------------------------------------- */

static void mark(void)
{
	if (write(leaks_fd, "mark", 4) != 4)
		tap_line("# no account of leaks: errno %d", errno);
}

/* True when there is none. */
static bool no_leak(const char *what, int nth, bool speak)
{
	static char text[8192];
	ssize_t n = pread(leaks_fd, text, sizeof(text) - 1, 0);
	char *line, *save;

	if (n == 0)
		return true;
	if (!speak)
		return false;
	if (n < 0) {
		tap_line("# leaks cannot be read: errno %d", errno);
		return false;
	}
	text[n] = 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		tap_line("# %s: run %d: %s", what, nth, line);
	return false;
}

/* Where the kernel was made to fail last. */
static void say_where(const char *what, int nth)
{
	static char text[4096];
	int fd = open("/proc/halcyon/failslab", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *line, *save;

	close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	line = strstr(text, "last:");
	for (line = line ? strtok_r(line, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		tap_line("# %s: run %d: %s", what, nth, line);
}

/* Again, looking after each run. */
static void find_leak(const struct scene *s, int runs)
{
	int nth, named = 0;

	for (nth = 1; nth <= runs && named < 3; nth++) {
		mark();
		run_once(s, nth);
		if (no_leak(s->name, nth, true))
			continue;
		named++;
		say_where(s->name, nth);
	}
	if (!named)
		tap_line("# %s: no single run leaks", s->name);
}

static void play(const struct scene *s)
{
	long began = tap_now_ms();
	int nth, bad = 0;
	bool clean;

	run_once(s, 0);
	run_once(s, 0);
	mark();
	for (nth = 1; nth < MAX_RUNS && bad < 5; nth++) {
		if (!run_once(s, nth)) {
			tap_line("# %s: run %d: result %ld, errno %d%s", s->name, nth, outcome->result,
				 outcome->error, outcome->left ? ", nothing failed" : "");
			if (!outcome->left)
				say_where(s->name, nth);
			bad++;
		}
		if (outcome->left)
			break;
	}
	clean = no_leak(s->name, 0, true);
	if (!clean)
		find_leak(s, nth);
	if (nth == MAX_RUNS)
		tap_line("# %s: no end after %d runs", s->name, nth);
	tap_ok(!bad && clean && nth < MAX_RUNS, __FILE__, __LINE__, "%s", s->name);
	if (tap_now_ms() - began > 1000)
		tap_line("# %s: %d runs in %ld ms", s->name, nth, tap_now_ms() - began);
}

/* ---- programs under a shower of failures -------------------------------- */

static int shower(int argc, char **argv)
{
	char text[100];
	int fd, len;

	(void)argc;
	fd = open("/proc/halcyon/failslab", O_WRONLY);
	len = snprintf(text, sizeof(text), "probability=%d times=-1 task-filter=Y seed=1", atoi(argv[2]));
	if (fd < 0 || write(fd, text, len) != len)
		return 96;
	close(fd);
	/* The exec itself may fail, which would be the end of it. */
	switch (fork()) {
	case 0:
		fd = open("/proc/self/make-it-fail", O_WRONLY);
		if (write(fd, "1", 1) != 1)
			_exit(95);
		while (execv(argv[3], argv + 3) < 0 && errno == ENOMEM)
			;
		_exit(94);
	default:
		while (wait(NULL) > 0)
			;
	}
	return 0;
}

static void silent(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	const struct scene *s;
	int i;

	if (argc > 1 && !strcmp(argv[1], "-x"))		/* what the scenes of exec become */
		_exit(fcntl(100, F_GETFD) < 0 || disarm(100) ? 120 : 121);
	if (argc > 1 && !strcmp(argv[1], "-p"))
		return write(open("/proc/halcyon/leaks", O_WRONLY), "plant", 5) != 5;
	if (argc > 3 && !strcmp(argv[1], "-a"))
		return shower(argc, argv);
	memset(big, 1, sizeof(big));
	memset(small, 1, sizeof(small));
	signal(SIGALRM, silent);
	signal(SIGUSR1, silent);
	signal(SIGPIPE, SIG_IGN);
	outcome = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	nth_fd = open_nth();
	leaks_fd = open("/proc/halcyon/leaks", O_RDWR);
	if (nth_fd < 0 || leaks_fd < 0) {
		tap_line("# this kernel cannot fail on purpose: errno %d", errno);
		return 1;
	}
	if (argc == 1)
		tap_points += test_interface(&tap_failures);
	mark();
	no_leak("start", 0, false);
	for (s = __start_scenes; s < __stop_scenes; s++) {
		bool wanted = argc == 1;

		for (i = 1; i < argc; i++)
			wanted |= !strncmp(s->name, argv[i], strlen(argv[i]));
		if (wanted)
			play(s);
	}
	tap_line("# %d allocations failed", total_failed);
	return tap_done();
}
