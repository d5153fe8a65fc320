/* interface.c - the files by which a program asks for failures: their rules are Linux's (fault-injection.rst). */
#include "fail.h"

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), error = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	return error;
}

static int read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return -1;
	close(fd);
	return atoi(text);
}

static void fail_nth(void)
{
	int fd = open("/proc/self/fail-nth", O_RDWR), wrote, error;
	char before[16] = "", after[16] = "";
	long first, second;

	/* Each directory takes an inode and a name. Nothing is printed between: that allocates too. */
	wrote = write(fd, "2\n", 2);
	pread(fd, before, 15, 0);
	first = mkdir("nth", 0700);
	error = errno;
	pread(fd, after, 15, 0);
	second = mkdir("nth", 0700);
	rmdir("nth");
	is(wrote, 2, "fail-nth takes a number");
	is_str(before, "2\n", "and gives it back");
	ok(first == -1 && error == ENOMEM, "the second allocation fails, with ENOMEM");
	is_str(after, "0\n", "0 says that it did");
	is(second, 0, "only that one");
	wrote = pwrite(fd, "1000", 4, 0);
	error = in_child(_exit(read_number("/proc/self/fail-nth")));
	pwrite(fd, "0", 1, 0);
	is(wrote, 4, "armed again");
	is(error, 0, "a child does not inherit it");
	fails(write(fd, "x", 1), EINVAL, "no number");
	fails(write(fd, "-1", 2), EINVAL, "no positive number");
	fails(write(fd, "99999999999", 11), EINVAL, "no number of 32 bits");
	close(fd);
}

static void make_it_fail(void)
{
	int status;

	is(read_number("/proc/self/make-it-fail"), 0, "make-it-fail is off");
	is(write_text("/proc/self/make-it-fail", "2"), EINVAL, "it is 0 or 1");
	status = in_child(
		write_text("/proc/self/make-it-fail", "1");
		_exit(exited(in_child(_exit(read_number("/proc/self/make-it-fail"))), 1) ? 7 : 8));
	ok(exited(status, 7), "a child inherits it");
	is(read_number("/proc/self/make-it-fail"), 0, "the parent has its own");
	status = in_child({
		int fd = open("/proc/self/make-it-fail", O_WRONLY);

		_exit(setuid(1234) == 0 && write(fd, "1", 1) < 0 ? errno : 0);
	});
	is(status >> 8, EPERM, "without CAP_SYS_RESOURCE it is not for setting");
}

/* Directories made in a child that is subject to failures, of ten. */
static int made_of_ten(const char *settings)
{
	int status, i;

	if (write_text("/proc/halcyon/failslab", settings))
		return -1;
	status = in_child({
		int n = 0;

		write_text("/proc/self/make-it-fail", "1");
		for (i = 0; i < 10; i++) {
			n += mkdir("site", 0700) == 0;
			rmdir("site");
		}
		_exit(n);
	});
	write_text("/proc/halcyon/failslab", "probability=0 times=1 caller= task-filter=N");
	return status >> 8;
}

static void call_sites(void)
{
	is(made_of_ten("probability=100 times=-1 task-filter=Y caller=tmpfs_mkdir"), 0, "every mkdir fails at its call site");
	is(made_of_ten("probability=100 times=-1 task-filter=Y caller=tmpfs_symlink"), 10, "none at another's");
	is(made_of_ten("probability=100 times=3 task-filter=Y caller=tmpfs_mkdir"), 7, "so often as was said");
	is(write_text("/proc/halcyon/failslab", "caller=no_such_function"), EINVAL, "a function that is not there");
	is(write_text("/proc/halcyon/failslab", "hue=3"), EINVAL, "a setting that is not there");
}

int test_interface(int *failures)
{
	fail_nth();
	make_it_fail();
	call_sites();
	*failures += tap_failures;
	return tap_points;
}
