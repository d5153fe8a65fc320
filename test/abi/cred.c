/*
 * cred.c - credentials(7), capabilities(7): the set*id families, groups,
 * capability sets and what changing ids does to them, prctl(2).
 */
#include "tap.h"

#include <sys/resource.h>

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

#define CAP_BIT(c) (1ull << (c))

static bool uids(uid_t r, uid_t e, uid_t s)
{
	uid_t a, b, c;

	getresuid(&a, &b, &c);
	return a == r && b == e && c == s;
}

static bool gids(gid_t r, gid_t e, gid_t s)
{
	gid_t a, b, c;

	getresgid(&a, &b, &c);
	return a == r && b == e && c == s;
}

struct caps {
	uint64_t effective, permitted, inheritable;
};

static long get_caps(pid_t pid, struct caps *caps)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, pid };
	struct __user_cap_data_struct d[2] = { 0 };
	long r = syscall(SYS_capget, &h, d);

	caps->effective = d[0].effective | (uint64_t)d[1].effective << 32;
	caps->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	caps->inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	return r;
}

static long set_caps(const struct caps *caps)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = {
		{ caps->effective, caps->permitted, caps->inheritable },
		{ caps->effective >> 32, caps->permitted >> 32, caps->inheritable >> 32 },
	};

	return syscall(SYS_capset, &h, d);
}

/* Each child checks a list of conditions and exits with the first that fails. */
#define need(n, cond) do { if (!(cond)) _exit(n); } while (0)

static void check_uids(void)
{
	ok(uids(0, 0, 0), "everything starts as root");
	is(in_child({
		need(1, syscall(SYS_setuid, 1000) == 0 && uids(1000, 1000, 1000));
		need(2, syscall(SYS_setuid, 0) == -1 && errno == EPERM);
		need(3, syscall(SYS_setuid, 1000) == 0);
		need(4, syscall(SYS_setreuid, -1, 0) == -1 && errno == EPERM);
		need(5, syscall(SYS_setresuid, -1, -1, 5) == -1 && errno == EPERM);
	}), 0, "setuid as root sets all three, and there is no way back");
	is(in_child({
		need(1, syscall(SYS_setresuid, 1000, 2000, 3000) == 0 && uids(1000, 2000, 3000));
		need(2, syscall(SYS_setuid, 1000) == 0 && uids(1000, 1000, 3000));
		need(3, syscall(SYS_setuid, 3000) == 0 && uids(1000, 3000, 3000));
		need(4, syscall(SYS_setuid, 2000) == -1 && errno == EPERM);
		need(5, syscall(SYS_setresuid, 3000, 1000, -1) == 0 && uids(3000, 1000, 3000));
		need(6, syscall(SYS_setresuid, -1, -1, -1) == 0 && uids(3000, 1000, 3000));
	}), 0, "setuid as a user chooses among real and saved");
	is(in_child({
		need(1, syscall(SYS_setreuid, 1000, 2000) == 0 && uids(1000, 2000, 2000));
		need(2, syscall(SYS_setreuid, 2000, 1000) == 0 && uids(2000, 1000, 1000));
		need(3, syscall(SYS_setreuid, -1, 2000) == 0 && uids(2000, 2000, 1000));
		need(4, syscall(SYS_setreuid, 9, -1) == -1 && errno == EPERM);
	}), 0, "setreuid swaps, and sets the saved id");
	is(in_child({
		need(1, seteuid(1000) == 0 && uids(0, 1000, 0));
		need(2, open("/dev/kmsg", O_RDONLY) == -1 && errno == EPERM);
		need(3, seteuid(0) == 0 && uids(0, 0, 0));
		need(4, open("/dev/console", O_RDWR) >= 0);
	}), 0, "seteuid puts root aside and takes it back");
}

static void check_gids(void)
{
	is(in_child({
		need(1, syscall(SYS_setgid, 50) == 0 && gids(50, 50, 50));
		need(2, syscall(SYS_setresgid, 1, 2, 3) == 0 && gids(1, 2, 3));
		need(3, syscall(SYS_setregid, 4, 5) == 0 && gids(4, 5, 5));
		setresuid(1000, 1000, 1000);
		need(4, syscall(SYS_setgid, 4) == 0 && gids(4, 4, 5));
		need(5, syscall(SYS_setgid, 77) == -1 && errno == EPERM);
		need(6, syscall(SYS_setresgid, 5, 5, 5) == 0);
		need(7, syscall(SYS_setregid, 9, -1) == -1 && errno == EPERM);
	}), 0, "the group family");
	is(in_child({
		gid_t list[3] = { 30, 10, 20 };
		gid_t got[5];

		need(1, setgroups(3, list) == 0);
		need(2, getgroups(0, NULL) == 3);
		need(3, getgroups(5, got) == 3);
		need(4, got[0] + got[1] + got[2] == 60);
		need(5, getgroups(2, got) == -1 && errno == EINVAL);
		need(6, setgroups(65537, list) == -1 && errno == EINVAL);
		need(7, setgroups(0, NULL) == 0 && getgroups(5, got) == 0);
		setresuid(1000, 1000, 1000);
		need(8, setgroups(1, list) == -1 && errno == EPERM);
	}), 0, "setgroups and getgroups");
	is(in_child({
		need(1, setfsuid(1000) == 0);
		need(2, setfsuid(-1) == 1000);
		need(3, open("/dev/kmsg", O_WRONLY) >= 0 || errno == EACCES);
		need(4, access("/dev/kmsg", R_OK) == 0 || errno == EACCES);
		need(5, setfsuid(0) == 1000 && setfsgid(5) == 0 && setfsgid(-1) == 5);
		seteuid(7);
		need(6, setfsuid(-1) == 7);
	}), 0, "setfsuid returns the old one, and follows euid");
}

static void check_caps(void)
{
	struct caps caps;
	struct __user_cap_header_struct h = { 0x12345678, 0 };
	uint64_t all;

	works(get_caps(0, &caps), "capget");
	all = caps.permitted;
	ok(caps.effective == all && (all & CAP_BIT(CAP_CHECKPOINT_RESTORE)) && caps.inheritable == 0,
	   "root has every capability, effective");
	fails(syscall(SYS_capget, &h, (char[24]){ 0 }), EINVAL, "capget: an unknown version");
	is(h.version, _LINUX_CAPABILITY_VERSION_3, "tells the version it knows");
	works(syscall(SYS_capget, &h, NULL), "asking just that");
	fails(get_caps(99999, &caps), ESRCH, "capget: nobody");
	fails(get_caps(-1, &caps), EINVAL, "capget: a negative pid");
	works(get_caps(1, &caps), "capget of init");
	is(in_child({
		setresuid(1000, 1000, 1000);
		get_caps(0, &caps);
		need(1, caps.effective == 0 && caps.permitted == 0);
	}), 0, "leaving root drops all capabilities");
	is(in_child({
		seteuid(1000);
		get_caps(0, &caps);
		need(1, caps.effective == 0 && caps.permitted == all);
		seteuid(0);
		get_caps(0, &caps);
		need(2, caps.effective == all);
	}), 0, "seteuid clears and restores the effective set");
	is(in_child({
		need(1, prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
		setresuid(1000, 1000, 1000);
		get_caps(0, &caps);
		need(2, caps.effective == 0 && caps.permitted == all);
		caps.effective = caps.permitted = CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_CHOWN);
		need(3, set_caps(&caps) == 0);
		need(4, setresuid(5, 5, 5) == 0);
		caps.permitted = CAP_BIT(CAP_SYS_ADMIN);
		caps.effective = 0;
		need(5, set_caps(&caps) == -1 && errno == EPERM);
	}), 0, "PR_SET_KEEPCAPS keeps the permitted set; nothing is added to it");
	is(in_child({
		caps.effective = CAP_BIT(CAP_KILL);
		caps.permitted = 0;
		caps.inheritable = 0;
		need(1, set_caps(&caps) == -1 && errno == EPERM);
	}), 0, "effective must be within permitted");
	is(in_child({
		get_caps(0, &caps);
		caps.effective &= ~CAP_BIT(CAP_DAC_OVERRIDE) & ~CAP_BIT(CAP_DAC_READ_SEARCH);
		set_caps(&caps);
		close(open("secret", O_CREAT | O_WRONLY, 0));
		chmod("secret", 0);
		need(1, open("secret", O_RDONLY) == -1 && errno == EACCES);
		caps.effective |= CAP_BIT(CAP_DAC_READ_SEARCH);
		set_caps(&caps);
		need(2, open("secret", O_RDONLY) >= 0);
		need(3, open("secret", O_RDWR) == -1 && errno == EACCES);
	}), 0, "it is the capability that counts, not uid 0");
	is(in_child({
		need(1, prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
		need(2, prctl(PR_CAPBSET_DROP, CAP_CHOWN) == 0);
		need(3, prctl(PR_CAPBSET_READ, CAP_CHOWN) == 0);
		need(4, prctl(PR_CAPBSET_READ, 63) == -1 && errno == EINVAL);
		get_caps(0, &caps);
		need(5, caps.effective & CAP_BIT(CAP_CHOWN));
	}), 0, "the bounding set");
	is(in_child({
		need(1, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 0);
		need(2, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) == -1 &&
		     errno == EPERM);
		get_caps(0, &caps);
		caps.inheritable = CAP_BIT(CAP_CHOWN);
		set_caps(&caps);
		need(3, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) == 0);
		need(4, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 1);
		need(5, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
		need(6, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 0);
	}), 0, "the ambient set");
	is(in_child({
		need(1, prctl(PR_GET_SECUREBITS) == 0);
		need(2, prctl(PR_SET_SECUREBITS, SECBIT_NOROOT) == 0);
		need(3, prctl(PR_GET_SECUREBITS) == SECBIT_NOROOT);
	}), 0, "securebits");
}

static void check_prctl(void)
{
	char name[17] = "";
	int sig = -1;

	works(prctl(PR_SET_NAME, "a-name-that-is-too-long"), "PR_SET_NAME");
	works(prctl(PR_GET_NAME, name), "PR_GET_NAME");
	is_str(name, "a-name-that-is-", "names have 15 characters");
	is(prctl(PR_GET_DUMPABLE), 1, "PR_GET_DUMPABLE");
	is(in_child({
		setresuid(1000, 1000, 1000);
		need(1, prctl(PR_GET_DUMPABLE) != 1);
	}), 0, "changing ids makes a process undumpable");
	fails(prctl(PR_SET_DUMPABLE, 2), EINVAL, "PR_SET_DUMPABLE 2");
	works(prctl(PR_SET_PDEATHSIG, SIGUSR1), "PR_SET_PDEATHSIG");
	works(prctl(PR_GET_PDEATHSIG, &sig), "PR_GET_PDEATHSIG");
	is(sig, SIGUSR1, "gives it back");
	fails(prctl(PR_SET_PDEATHSIG, 99), EINVAL, "PR_SET_PDEATHSIG: a bad signal");
	prctl(PR_SET_PDEATHSIG, 0);
	fails(prctl(99999), EINVAL, "prctl: an unknown code");
	is(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0, "PR_GET_NO_NEW_PRIVS");
	is(in_child({
		need(1, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		need(2, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
		need(3, prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == -1 && errno == EINVAL);
	}), 0, "no_new_privs is one way");
	is(in_child({
		pid_t parent = fork();

		if (parent == 0) {
			pid_t me = getpid();

			if (fork() == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				if (getppid() != me)
					_exit(0);
				for (;;)
					pause();
			}
			tap_sleep_ms(20);
			_exit(0);
		}
		tap_wait(parent);
	}), 0, "a death signal is sent to children");
}

static void check_lists(void)
{
	struct caps caps;

	is(in_child({
		/* ruid 1000, euid 0: as a set-user-ID program that user 1000 started. */
		int end[2], batch = 0;
		char c;
		pid_t it;

		need(1, pipe(end) == 0);
		it = fork();
		if (it == 0) {
			setresuid(1000, 0, 0);
			need(2, write(end[1], "", 1) == 1);
			for (;;)
				pause();
		}
		need(3, read(end[0], &c, 1) == 1);
		setresuid(1000, 1000, 1000);
		need(4, setpriority(PRIO_PROCESS, it, 5) == -1 && errno == EPERM);
		need(5, syscall(SYS_sched_setscheduler, it, 3, &batch) == -1 && errno == EPERM);
		need(6, kill(it, SIGKILL) == 0);
	}), 0, "who has more capabilities may be killed, but not slowed down");

	is(in_child({
		/* A user's exec gains nothing; the bits of root come from the euid. */
		setresuid(0, 1000, 0);
		get_caps(0, &caps);
		need(1, caps.permitted != 0);
		execl("/bin/busybox", "true", NULL);
	}), 0, "exec with a mixed set of ids");
	fails(syscall(SYS_sethostname, "x", -1), EINVAL, "sethostname: a negative length");
	is(in_child({
		setresuid(1000, 1000, 1000);
		need(1, sethostname("x", 1) == -1 && errno == EPERM);
		need(2, syscall(SYS_reboot, 0xfee1dead, 0x28121969, 0, 0) == -1 && errno == EPERM);
		need(3, nice(-5) == -1 && errno == EPERM);
	}), 0, "what only root may");
}

int main(void)
{
	check_uids();
	check_gids();
	check_caps();
	check_prctl();
	check_lists();
	return tap_done();
}
