/* process.c - scenes of processes, signals, identity, time and the rest. */
#include "fail.h"

#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <linux/capability.h>
#include <linux/futex.h>

/* ---- birth and death ---- */
static void reap(long pid)
{
	if (pid > 0)
		tap_wait((pid_t)pid);
}

/* The child's half of a raw clone must not return into the scene. */
#define BORN(call) ({ long p_ = (call); if (p_ == 0) _exit(0); p_; })

SCENE(fork_, "fork", ALSO(EAGAIN), , BORN(syscall(SYS_fork)), reap(r));
SCENE(vfork_, "vfork", ALSO(EAGAIN), , BORN(syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0)), reap(r));
/* vfork(2) itself, which shares the stack: musl knows how. */
static long real_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	return pid;
}
SCENE(vfork_real, "vfork.real", ALSO(EAGAIN), , real_vfork(), reap(r));
static char stack[16384] __attribute__((aligned(16)));
static int thread_main(void *arg)
{
	(void)arg;
	return 0;
}
static int tid_word;
static long make_thread(void)
{
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
		    CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	int tid;

	tid_word = -1;
	tid = clone(thread_main, stack + sizeof(stack), flags, NULL, &tid_word, NULL, &tid_word);
	while (tid > 0 && __atomic_load_n(&tid_word, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &tid_word, FUTEX_WAIT, tid, NULL, NULL, 0);
	return tid;
}
SCENE(clone_thread, "clone", ALSO(EAGAIN), , make_thread(), );
static int pidfd;
SCENE(clone_pidfd, "clone.pidfd", ALSO(EAGAIN), pidfd = -1, BORN(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0)),
      reap(r); if (r > 0) close(pidfd));
SCENE(clone_files, "clone.files", ALSO(EAGAIN), , BORN(syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, 0, 0, 0, 0)), reap(r));
static uint64_t clone_args[11];
SCENE(clone3_, "clone3", ALSO(EAGAIN), memset(clone_args, 0, 88); clone_args[4] = SIGCHLD, BORN(syscall(SYS_clone3, clone_args, 64)),
      reap(r));
/* A process that is large: many areas, a file among them, half of it touched; and one with many descriptors. */
static char *land;
static void settle(void)
{
	int i;

	keep_fd = make_file("f", 300000);
	land = mmap(NULL, 64UL << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (i = 0; i < 60; i++) {
		mprotect(land + (i << 20), 4096, i & 1 ? PROT_READ : PROT_NONE);
		land[(i << 20) + 8192] = 1;
	}
	mmap(land, 300000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, keep_fd, 0);
	memset(land, 1, 20000);
}
#define LEAVE munmap(land, 64UL << 20); close(keep_fd); unlink("f")
SCENE(fork_large, "fork.large", ALSO(EAGAIN), settle(), BORN(syscall(SYS_fork)), reap(r); LEAVE);
SCENE(fork_fds, "fork.descriptors", ALSO(EAGAIN), dup2(1, 900), BORN(syscall(SYS_fork)), reap(r); close(900));
static int sleeper(void *arg)
{
	while (!arg)
		pause();
	return 0;
}
SCENE_(execve_threads, "execve.threads", EXEC | MAY_DIE, 0, ALSO(0), ,
	({ clone(sleeper, stack + sizeof(stack), CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, NULL);
	   execve("/tests/fail", (char *[]){ "fail", "-x", NULL }, NULL); }), );
SCENE_CHILD(exit_threads, "exit_group.threads", ALSO(EAGAIN), ,
	clone(sleeper, stack + sizeof(stack), CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, NULL));
SCENE_CHILD(unshare_, "unshare", ALSO(0), , syscall(SYS_unshare, CLONE_FILES | CLONE_FS));
SCENE_FAILS(setns_, "setns", EINVAL, syscall(SYS_setns, 1, 0));
SCENE_CHILD(exit_, "exit", ALSO(0), ,
	({ if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) syscall(SYS_exit, 0); wait(NULL); 0; }));
SCENE_CHILD(exit_group_, "exit_group", ALSO(0), ,
	({ if (fork() == 0) { memset(stack, 1, 9000); syscall(SYS_exit_group, 0); } wait(NULL); 0; }));
static char *child_argv[] = { "fail", "-x", NULL };
#define ME "/tests/fail"
static char *long_argv[202];
static void make_argv(void)
{
	int i;

	long_argv[0] = "fail";
	long_argv[1] = "-x";
	for (i = 2; i < 200; i++)
		long_argv[i] = LONG_NAME LONG_NAME;
}
SCENE_(execve_, "execve", EXEC | MAY_DIE, 0, ALSO(0), , execve(ME, child_argv, NULL), );
SCENE_(execve_long, "execve.long", EXEC | MAY_DIE, 0, ALSO(E2BIG), make_argv(), execve(ME, long_argv, long_argv), );
SCENE_(execveat_, "execveat", EXEC | MAY_DIE, 0, ALSO(0), keep_fd = open(ME, O_RDONLY),
	syscall(SYS_execveat, keep_fd, "", child_argv, NULL, AT_EMPTY_PATH),
       close(keep_fd));
static char script[] = "#!/tests/fail -x\n";
SCENE_(execve_script, "execve.script", EXEC | MAY_DIE, 0, ALSO(0), tap_file("s", script, sizeof(script) - 1, 0755),
	execve("./s", child_argv, NULL),
       unlink("s"));
SCENE(wait4_, "wait4", ALSO(0), keep_long = fork(); if (!keep_long) _exit(0), syscall(SYS_wait4, keep_long, &keep_fd, 0, big), );
SCENE(waitid_, "waitid", ALSO(0), keep_long = fork(); if (!keep_long) _exit(0), syscall(SYS_waitid, 1, keep_long, small, 4, big), );

/* ---- signals ---- */
static siginfo_t info;
static sigset_t signals;
#define INFO memset(&info, 0, sizeof(info)); info.si_code = SI_QUEUE; sigemptyset(&signals); sigaddset(&signals, SIGRTMIN); \
	sigprocmask(SIG_BLOCK, &signals, NULL)
static const struct timespec at_once;
#define DRAIN while (sigtimedwait(&signals, NULL, &at_once) > 0); sigprocmask(SIG_UNBLOCK, &signals, NULL)
SCENE(kill_, "kill", ALSO(EAGAIN), INFO, kill(getpid(), SIGRTMIN), DRAIN);
SCENE(tkill_, "tkill", ALSO(EAGAIN), INFO, syscall(SYS_tkill, syscall(SYS_gettid), SIGRTMIN), DRAIN);
SCENE(tgkill_, "tgkill", ALSO(EAGAIN), INFO, syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGRTMIN), DRAIN);
SCENE(rt_sigqueueinfo_, "rt_sigqueueinfo", ALSO(EAGAIN), INFO, syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &info), DRAIN);
SCENE(rt_tgsigqueueinfo_, "rt_tgsigqueueinfo", ALSO(EAGAIN), INFO,
      syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGRTMIN, &info), DRAIN);
SCENE(rt_sigtimedwait_, "rt_sigtimedwait", ALSO(0), INFO; raise(SIGRTMIN),
	syscall(SYS_rt_sigtimedwait, &signals, &info, &at_once, 8), DRAIN);
SCENE(rt_sigreturn, "rt_sigreturn", ALSO(0), , raise(SIGUSR1), );
SCENE(rt_sigaction_, "rt_sigaction", ALSO(0), , signal(SIGUSR2, SIG_IGN) == SIG_ERR ? -1 : 0, );
SCENE(rt_sigprocmask_, "rt_sigprocmask", ALSO(0), , sigprocmask(SIG_BLOCK, NULL, &signals), );
SCENE(rt_sigpending_, "rt_sigpending", ALSO(0), , syscall(SYS_rt_sigpending, small, 8), );
static long suspend_once(void)
{
	sigset_t usr, none;

	sigemptyset(&usr);
	sigemptyset(&none);
	sigaddset(&usr, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr, NULL);
	raise(SIGUSR1);
	sigsuspend(&none);
	sigprocmask(SIG_UNBLOCK, &usr, NULL);
	return 0;
}
SCENE(rt_sigsuspend_, "rt_sigsuspend", ALSO(0), , suspend_once(), );
static stack_t altstack;
SCENE(sigaltstack_, "sigaltstack", ALSO(0), , sigaltstack(NULL, &altstack), );
static const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
static const struct itimerval timer_off;
SCENE_(pause_, "pause", 0, EINTR, ALSO(0), setitimer(ITIMER_REAL, &often, NULL), pause(), setitimer(ITIMER_REAL, &timer_off, NULL));

/* ---- identity ---- */
SCENE_CHILD(setuid_, "setuid", ALSO(EAGAIN), , syscall(SYS_setuid, 1234));
SCENE_CHILD(setgid_, "setgid", ALSO(0), , syscall(SYS_setgid, 1234));
SCENE_CHILD(setreuid_, "setreuid", ALSO(EAGAIN), , syscall(SYS_setreuid, 1234, 1235));
SCENE_CHILD(setregid_, "setregid", ALSO(0), , syscall(SYS_setregid, 1234, 1235));
SCENE_CHILD(setresuid_, "setresuid", ALSO(EAGAIN), , syscall(SYS_setresuid, 1234, 1235, 1236));
SCENE_CHILD(setresgid_, "setresgid", ALSO(0), , syscall(SYS_setresgid, 1234, 1235, 1236));
SCENE_CHILD(setfsuid_, "setfsuid", ALSO(0), , syscall(SYS_setfsuid, 1234));
SCENE_CHILD(setfsgid_, "setfsgid", ALSO(0), , syscall(SYS_setfsgid, 1234));
static gid_t many_groups[5000];
SCENE_CHILD(setgroups_, "setgroups", ALSO(0), , syscall(SYS_setgroups, 5000, many_groups));
SCENE(getgroups_, "getgroups", ALSO(0), , syscall(SYS_getgroups, 5000, many_groups), );
static uint32_t cap_header[2] = { _LINUX_CAPABILITY_VERSION_3, 0 };
static uint32_t cap_data[6];
SCENE(capget_, "capget", ALSO(0), , syscall(SYS_capget, cap_header, cap_data), );
SCENE_CHILD(capset_, "capset", ALSO(0), , syscall(SYS_capset, cap_header, (uint32_t[6]){ 0 }));
SCENE_CHILD(setsid_, "setsid", ALSO(0), , setsid());
SCENE_CHILD(setpgid_, "setpgid", ALSO(0), , setpgid(0, 0));
SCENE_CHILD(prctl_, "prctl", ALSO(0), , prctl(PR_SET_KEEPCAPS, 1));
SCENE_CHILD(prctl_capbset, "prctl.capbset", ALSO(0), , prctl(PR_CAPBSET_DROP, 5));
SCENE_CHILD(prctl_nnp, "prctl.nonewprivs", ALSO(0), , prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
SCENE_CHILD(prctl_secure, "prctl.securebits", ALSO(0), , prctl(PR_SET_SECUREBITS, 1));
SIMPLE(getpid); SIMPLE(getppid); SIMPLE(gettid); SIMPLE(getuid); SIMPLE(geteuid); SIMPLE(getgid); SIMPLE(getegid);
SIMPLE(getpgrp); SIMPLE(getpgid, 0); SIMPLE(getsid, 0);
SIMPLE(getresuid, small, small + 8, small + 16); SIMPLE(getresgid, small, small + 8, small + 16);
SIMPLE(umask, 022); SIMPLE(personality, -1);

/* ---- time and scheduling ---- */
static struct timespec tick = { 0, 1000 };
SIMPLE(nanosleep, &tick, NULL); SIMPLE(clock_nanosleep, 1, 0, &tick, NULL);
SIMPLE(clock_gettime, 0, small); SIMPLE(clock_getres, 0, small); SIMPLE(gettimeofday, small, NULL); SIMPLE(time, NULL);
SIMPLE(times, small); SIMPLE(getrusage, 0, small); SIMPLE(getitimer, 0, small); SIMPLE(sysinfo, small); SIMPLE(uname, small);
static long set_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return syscall(SYS_clock_settime, CLOCK_REALTIME, &now);
}
SCENE(clock_settime_, "clock_settime", ALSO(0), , set_clock(), );
static long set_day(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return syscall(SYS_settimeofday, &now, NULL);
}
SCENE(settimeofday_, "settimeofday", ALSO(0), , set_day(), );
SCENE(alarm_, "alarm", ALSO(0), , syscall(SYS_alarm, 100), alarm(0));
SCENE(setitimer_, "setitimer", ALSO(0), , syscall(SYS_setitimer, ITIMER_REAL, &(struct itimerval){ { 100, 0 }, { 100, 0 } }, NULL),
      setitimer(ITIMER_REAL, &timer_off, NULL));
SCENE_CHILD(setitimer_left, "setitimer.left", ALSO(0), ,
	syscall(SYS_setitimer, ITIMER_REAL, &(struct itimerval){ { 100, 0 }, { 100, 0 } }, NULL));
SIMPLE(adjtimex, memset(small, 0, 208)); SIMPLE(clock_adjtime, 0, memset(small, 0, 208));
SCENE(timerfd_create_, "timerfd_create", ALSO(0), , syscall(SYS_timerfd_create, 1, 0), drop(r));
static struct itimerspec soon = { { 100, 0 }, { 100, 0 } };
SCENE(timerfd_settime_, "timerfd_settime", ALSO(0), keep_fd = syscall(SYS_timerfd_create, 0, 0),
      syscall(SYS_timerfd_settime, keep_fd, 3, &soon, small), close(keep_fd));
SCENE(timerfd_gettime_, "timerfd_gettime", ALSO(0), keep_fd = syscall(SYS_timerfd_create, 1, 0),
      syscall(SYS_timerfd_gettime, keep_fd, small), close(keep_fd));
SCENE_CHILD(setitimer_cpu, "setitimer.cpu", ALSO(0), ,
	syscall(SYS_setitimer, ITIMER_PROF, &(struct itimerval){ { 100, 0 }, { 100, 0 } }, NULL));
SCENE(clock_nanosleep_cpu, "clock_nanosleep.cpu", ALSO(0), memset(small, 0, 16),
      syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, small, NULL), );
SIMPLE(ioprio_get, 1, 0);
SCENE(ioprio_set_, "ioprio_set", ALSO(0), , syscall(SYS_ioprio_set, 1, 0, 0), );
SIMPLE(sched_yield); SIMPLE(sched_getparam, 0, small); SIMPLE(sched_getscheduler, 0); SIMPLE(sched_get_priority_max, 1);
SIMPLE(sched_get_priority_min, 1); SIMPLE(sched_rr_get_interval, 0, small); SIMPLE(getpriority, 0, 0); SIMPLE(setpriority, 0, 0, 0);
SIMPLE(sched_getaffinity, 0, 128, small); SIMPLE(sched_getattr, 0, small, 56, 0); SIMPLE(getcpu, small, NULL, NULL);
SCENE(sched_setparam_, "sched_setparam", ALSO(0), memset(small, 0, 8), syscall(SYS_sched_setparam, 0, small), );
SCENE_CHILD(sched_setscheduler_, "sched_setscheduler", ALSO(0), memset(small, 0, 8), syscall(SYS_sched_setscheduler, 0, 3, small));
SCENE(sched_setaffinity_, "sched_setaffinity", ALSO(0), memset(small, 255, 128), syscall(SYS_sched_setaffinity, 0, 128, small), );
SCENE(sched_setattr_, "sched_setattr", ALSO(0), memset(small, 0, 64); *(uint32_t *)small = 48, syscall(SYS_sched_setattr, 0, small, 0), );

/* ---- the rest ---- */
static int word;
SCENE(futex_, "futex", ALSO(0), , syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0), );
SCENE_(futex_wait, "futex.wait", 0, ETIMEDOUT, ALSO(0), , syscall(SYS_futex, &word, FUTEX_WAIT, 0, &tick, NULL, 0), );
SCENE_(futex_shared, "futex.shared", 0, ETIMEDOUT, ALSO(EFAULT), keep_fd = make_file("f", 4096);
       keep_ptr = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, keep_fd, 0); *(int *)keep_ptr = 0,
       syscall(SYS_futex, keep_ptr, FUTEX_WAIT, 0, &tick, NULL, 0), munmap(keep_ptr, 4096); close(keep_fd); unlink("f"));
SIMPLE(set_robust_list, big, 24); SIMPLE(get_robust_list, 0, small, small + 8); SIMPLE(set_tid_address, &word);
SIMPLE(getrandom, small, 4096, 0); SIMPLE(syslog, 3, big, 65536); SIMPLE(getrlimit, 7, small); SIMPLE(prlimit64, 0, 7, NULL, small);
SCENE(setrlimit_, "setrlimit", ALSO(0), syscall(SYS_getrlimit, 4, small), syscall(SYS_setrlimit, 4, small), );
SCENE(sethostname_, "sethostname", ALSO(0), , syscall(SYS_sethostname, "(none)", 6), );
SCENE(setdomainname_, "setdomainname", ALSO(0), , syscall(SYS_setdomainname, "(none)", 6), );
SCENE(arch_prctl_, "arch_prctl", ALSO(0), , syscall(SYS_arch_prctl, 0x1003, small), );
SCENE_FAILS(restart_syscall, "restart_syscall", EINTR, syscall(SYS_restart_syscall));
SCENE_FAILS(reboot_, "reboot", EINVAL, syscall(SYS_reboot, 1, 2, 3, NULL));
SCENE_FAILS(rseq_, "rseq", EINVAL, syscall(SYS_rseq, small, 1, 0, 0));
SCENE_CHILD(vhangup_, "vhangup", ALSO(0), , ({ setsid(); syscall(SYS_vhangup); }));
SCENE_CHILD(tty_own, "ioctl.ctty", ALSO(0), , ({ int fd_ = open("/dev/ttyS1", O_RDWR); setsid(); fd_ < 0 ? 0 : close(fd_); }));
