/*
 * threads.c - a threaded program as people write them: POSIX threads, TLS
 * (static and per-thread), condition variables, cancellation, signals to
 * threads, CPU affinity and vector state across switches.
 */
#include "tap.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

static __thread int tls_zero;
static __thread int tls_value = 42;
static __thread char tls_block[3000] __attribute__((aligned(64)));

static void *tls_body(void *arg)
{
	long id = (long)arg;
	int i;

	if (tls_zero != 0 || tls_value != 42 || ((uintptr_t)tls_block & 63))
		return (void *)1;
	for (i = 0; i < 50; i++) {
		tls_zero = tls_value = id;
		memset(tls_block, id, sizeof(tls_block));
		sched_yield();
		if (tls_zero != id || tls_value != id || tls_block[2999] != (char)id)
			return (void *)2;
	}
	return NULL;
}

static void check_tls(void)
{
	pthread_t t[8];
	void *result;
	unsigned long base = 0;
	long i, bad = 0;

	for (i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, tls_body, (void *)(i + 100));
	for (i = 0; i < 8; i++) {
		pthread_join(t[i], &result);
		bad += result != NULL;
	}
	is(bad, 0, "thread-local variables of eight threads");
	is(tls_value, 42, "the main thread's is untouched");
	works(syscall(SYS_arch_prctl, ARCH_GET_FS, &base), "ARCH_GET_FS");
	ok(base == *(unsigned long *)base, "is the TLS block, whose first word is its address");
	fails(syscall(SYS_arch_prctl, ARCH_SET_FS, 0x800000000000ul), EPERM,
	      "ARCH_SET_FS: beyond user space");
	fails(syscall(SYS_arch_prctl, 0x1234, 0), EINVAL, "arch_prctl: an unknown code");
	works(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123456), "ARCH_SET_GS");
	works(syscall(SYS_arch_prctl, ARCH_GET_GS, &base), "ARCH_GET_GS");
	is(base, 0x123456, "gives it back");
	tap_sleep_ms(2);
	works(syscall(SYS_arch_prctl, ARCH_GET_GS, &base), "after a switch");
	is(base, 0x123456, "it is still there");
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
}

static void *float_body(void *arg)
{
	double seed = (long)arg, x = seed;
	int i;

	for (i = 0; i < 20000; i++) {
		x = x * 1.0000001 + 1.0 / 3.0;
		if (i % 500 == 0)
			sched_yield();
	}
	double *out = malloc(sizeof(double));

	*out = x;
	return out;
}

static void check_float(void)
{
	pthread_t t[4];
	double want[4];
	void *result;
	int i, bad = 0;

	for (i = 0; i < 4; i++) {
		double *p = float_body((void *)(long)i);

		want[i] = *p;
		free(p);
	}
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, float_body, (void *)(long)i);
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &result);
		bad += *(double *)result != want[i];
	}
	is(bad, 0, "floating point state is each thread's own");
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int queue_len, produced, consumed;

static void *producer(void *arg)
{
	int i;

	for (i = 0; i < 500; i++) {
		pthread_mutex_lock(&lock);
		while (queue_len >= 4)
			pthread_cond_wait(&cond, &lock);
		queue_len++;
		produced++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void *consumer(void *arg)
{
	for (;;) {
		pthread_mutex_lock(&lock);
		while (queue_len == 0 && consumed < 1000)
			pthread_cond_wait(&cond, &lock);
		if (consumed >= 1000) {
			pthread_mutex_unlock(&lock);
			return NULL;
		}
		queue_len--;
		consumed++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
}

static void check_sync(void)
{
	pthread_t t[5];
	struct timespec ts;
	sem_t sem;
	int i;

	for (i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, producer, NULL);
	for (; i < 5; i++)
		pthread_create(&t[i], NULL, consumer, NULL);
	for (i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	ok(produced == 1000 && consumed == 1000 && queue_len == 0, "condition variables");
	sem_init(&sem, 0, 1);
	sem_wait(&sem);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	fails(sem_timedwait(&sem, &ts), ETIMEDOUT, "sem_timedwait times out");
	pthread_mutex_lock(&lock);
	clock_gettime(CLOCK_REALTIME, &ts);
	is(pthread_mutex_timedlock(&lock, &ts), ETIMEDOUT, "pthread_mutex_timedlock times out");
	pthread_mutex_unlock(&lock);
}

static volatile pid_t signalled_tid;
static volatile int stop_threads;

static void note_tid(int sig)
{
	signalled_tid = syscall(SYS_gettid);
}

static volatile pid_t body_tid;

static void *wait_body(void *arg)
{
	body_tid = syscall(SYS_gettid);
	while (!stop_threads)
		tap_sleep_ms(1);
	return NULL;
}

static void *cancelled_body(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

static void check_signals(void)
{
	pthread_t t;
	sigset_t set;
	void *result;

	signal(SIGUSR1, note_tid);
	pthread_create(&t, NULL, wait_body, NULL);
	within(10000, body_tid);
	pthread_kill(t, SIGUSR1);
	ok(within(10000, signalled_tid == body_tid), "pthread_kill reaches its thread");
	signalled_tid = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	ok(within(10000, signalled_tid == body_tid),
	   "a process signal goes to a thread that does not block it");
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	stop_threads = 1;
	pthread_join(t, NULL);
	pthread_create(&t, NULL, cancelled_body, NULL);
	tap_sleep_ms(5);
	pthread_cancel(t);
	pthread_join(t, &result);
	ok(result == PTHREAD_CANCELED, "cancellation");
}

static void *exit_body(void *arg)
{
	return arg;
}

static void check_many(void)
{
	pthread_t t[100];
	pthread_attr_t attr;
	void *result;
	long i, bad = 0, n;

	for (n = 0; n < 3; n++) {
		for (i = 0; i < 100; i++)
			bad += pthread_create(&t[i], NULL, exit_body, (void *)i) != 0;
		for (i = 0; i < 100; i++) {
			pthread_join(t[i], &result);
			bad += result != (void *)i;
		}
	}
	is(bad, 0, "three hundred threads");
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (i = 0; i < 50; i++)
		bad += pthread_create(&t[0], &attr, exit_body, NULL) != 0;
	is(bad, 0, "fifty detached ones");
	tap_sleep_ms(20);
}

static void *fork_body(void *arg)
{
	int status = in_child(_exit(getpid() == syscall(SYS_gettid) ? 17 : 1));

	return (void *)(long)status;
}

static void check_fork(void)
{
	pthread_t t;
	void *result;

	pthread_create(&t, NULL, fork_body, NULL);
	pthread_join(t, &result);
	is((long)result, 17 << 8, "fork in a thread: the child has one thread");
}

/*
 * SIGCHLD is blocked in this thread alone, which waits for it: it is the one that forked. It must wait by then: before, the
 * other thread would take the signal, and ignore it.
 */
static void *reaper_body(void *arg)
{
	struct timespec patience = { 30, 0 };
	siginfo_t info;
	sigset_t set;
	pid_t pid, waiter = syscall(SYS_gettid);
	long got;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pid = fork();
	if (pid == 0) {
		when_it_sleeps(waiter);
		_exit(21);
	}
	got = sigtimedwait(&set, &info, &patience) == SIGCHLD && info.si_pid == pid && info.si_status == 21;
	tap_wait(pid);
	return (void *)got;
}

static void check_child_signal(void)
{
	pthread_t t;
	void *got;

	pthread_create(&t, NULL, reaper_body, NULL);
	pthread_join(t, &got);
	ok(got, "SIGCHLD reaches the thread that forked and waits for it");
}

static void check_affinity(void)
{
	cpu_set_t set;
	unsigned int cpu = 99, node = 99;
	long n;

	n = syscall(SYS_sched_getaffinity, 0, sizeof(set), &set);
	ok(n > 0 && n % 8 == 0, "sched_getaffinity tells its size in bytes");
	ok(CPU_COUNT(&set) >= 1, "at least one CPU");
	fails(syscall(SYS_sched_getaffinity, 0, 3, &set), EINVAL, "a size that is no multiple of 8");
	fails(syscall(SYS_sched_getaffinity, 99999, sizeof(set), &set), ESRCH, "nobody");
	works(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity to the same");
	CPU_ZERO(&set);
	fails(sched_setaffinity(0, sizeof(set), &set), EINVAL, "to no CPU");
	works(syscall(SYS_getcpu, &cpu, &node, NULL), "getcpu");
	ok(cpu < 64 && node == 0, "says where");
	is(sched_yield(), 0, "sched_yield");
}

int main(void)
{
	check_tls();
	check_float();
	check_sync();
	check_signals();
	check_many();
	check_fork();
	check_child_signal();
	check_affinity();
	return tap_done();
}
