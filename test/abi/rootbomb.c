/*
 * rootbomb.c - the fork bomb as root: nothing holds it but the number of
 * threads that the kernel derives from the size of memory, and that ends it
 * with EAGAIN while the machine stays usable.
 */
#include "tap.h"

#include <sys/mman.h>

int main(void)
{
	volatile int *made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				  -1, 0);
	int status, error = 0, n = 0;
	long start;
	pid_t group;

	group = fork();
	if (group == 0) {
		setpgid(0, 0);
		for (n = 0; n < 100000; n++) {
			pid_t pid = fork();

			if (pid == 0)
				for (;;)
					pause();
			if (pid < 0) {
				made[1] = errno;
				break;
			}
			made[0] = n + 1;
		}
		made[2] = 1;
		for (;;)
			pause();
	}
	ok(within(240000, made[2]), "root's fork bomb comes to an end");
	error = made[1];
	n = made[0];
	ok(error == EAGAIN, "with EAGAIN");
	ok(n > 500 && n < 33000, "at a limit that fits the memory");
	tap_line("# %d children, errno %d", n, error);
	start = tap_now_ms();
	tap_sleep_ms(50);
	ok(tap_now_ms() - start < 60000, "the machine still runs");
	kill(-group, SIGKILL);
	is(tap_wait(group), SIGKILL, "the bomb is killed");
	ok(within(200000, kill(-group, 0) < 0), "and all its children");
	status = in_child(_exit(3));
	is(status, 3 << 8, "fork works again");
	return tap_done();
}
