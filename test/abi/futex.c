/*
 * futex.c - futex(2): wait and wake, private and shared, bitsets, requeue,
 * wake-op, time-outs and errors; robust lists; set_tid_address.
 */
#include "tap.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

static long futex(volatile void *addr, int op, int val, const void *timeout, void *addr2, int val3)
{
	return syscall(SYS_futex, addr, op, val, timeout, addr2, val3);
}

static volatile int word, word2, woken, ready;

static void check_errors(void)
{
	struct timespec zero = { 0, 0 }, bad = { 0, 1000000000 }, ten = { 0, 10000000 };
	struct timespec now;
	long start = tap_now_ms();
	char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fails(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN, "WAIT: another value");
	fails(futex(&word, FUTEX_WAIT, 0, &zero, NULL, 0), ETIMEDOUT, "WAIT: zero time-out");
	fails(futex(&word, FUTEX_WAIT, 0, &ten, NULL, 0), ETIMEDOUT, "WAIT: 10 ms");
	ok(tap_now_ms() - start >= 9, "took them");
	fails(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL, "WAIT: a bad time-out");
	fails(futex(&word, FUTEX_WAIT, 0, (void *)8, NULL, 0), EFAULT, "WAIT: a bad time-out pointer");
	fails(futex((char *)&word + 1, FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL, "WAIT: not aligned");
	fails(futex((char *)&word + 1, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL, "WAKE: not aligned");
	fails(futex((void *)8, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EFAULT, "WAIT: a bad address");
	fails(futex((void *)8, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT, "WAIT, shared: a bad address");
	fails(futex(none, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT, "WAIT: PROT_NONE");
	fails(futex((void *)0xffffffff80000000ul, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT,
	      "WAIT: a kernel address");
	is(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0, "WAKE: nobody waits");
	is(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 0, "WAKE: nobody waits, private");
	fails(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL, "WAIT_BITSET: no bits");
	fails(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL, "WAKE_BITSET: no bits");
	fails(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS, "an unknown operation");
	fails(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, (void *)&word2, 1), EAGAIN,
	      "CMP_REQUEUE: another value");
	fails(futex(&word, FUTEX_REQUEUE, -1, (void *)1, (void *)&word2, 0), EINVAL,
	      "REQUEUE: a negative count");
	start = tap_now_ms();
	clock_gettime(CLOCK_MONOTONIC, &now);
	now.tv_nsec += 10000000;
	if (now.tv_nsec >= 1000000000) {
		now.tv_nsec -= 1000000000;
		now.tv_sec++;
	}
	fails(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &now, NULL, -1), ETIMEDOUT,
	      "WAIT_BITSET: an absolute time-out");
	ok(tap_now_ms() - start >= 9 && tap_now_ms() - start < 100000, "in time");
	clock_gettime(CLOCK_REALTIME, &now);
	fails(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &now, NULL, -1),
	      ETIMEDOUT, "WAIT_BITSET: on the real-time clock");
	munmap(none, 4096);
}

struct waiter {
	pthread_t thread;
	volatile int *addr;
	pid_t tid;
	int op, bits;
	long result;
};

static void *wait_body(void *arg)
{
	struct waiter *w = arg;

	w->tid = syscall(SYS_gettid);
	__sync_fetch_and_add(&ready, 1);
	w->result = futex(w->addr, w->op, 0, NULL, NULL, w->bits);
	if (w->result < 0)
		w->result = -errno;
	__sync_fetch_and_add(&woken, 1);
	return NULL;
}

/* Starts waiters and lets each reach its wait. */
static void start_waiters(struct waiter *w, int n, volatile int *addr, int op)
{
	int i;

	ready = woken = 0;
	for (i = 0; i < n; i++) {
		w[i].addr = addr;
		w[i].op = op;
		w[i].bits = op == FUTEX_WAIT_BITSET_PRIVATE ? 1 << i : 0;
		pthread_create(&w[i].thread, NULL, wait_body, &w[i]);
		within(10000, ready == i + 1);
		when_it_sleeps(w[i].tid);
	}
}

static void join(struct waiter *w, int n)
{
	int i;

	for (i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
}

static void check_wake(void)
{
	struct waiter w[4];

	start_waiters(w, 4, &word, FUTEX_WAIT_PRIVATE);
	is(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1, "WAKE one");
	ok(within(10000, woken == 1), "wakes one");
	is(futex(&word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0), 3, "WAKE all");
	join(w, 4);
	is(w[0].result | w[1].result | w[2].result | w[3].result, 0, "a woken wait returns 0");
	start_waiters(w, 3, &word, FUTEX_WAIT_BITSET_PRIVATE);
	is(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 2), 1, "WAKE_BITSET: one bit");
	is(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 8), 0, "a bit of nobody");
	is(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 2, "WAKE matches every bit");
	join(w, 3);
}

static void check_requeue(void)
{
	struct waiter w[4];
	long n;

	start_waiters(w, 4, &word, FUTEX_WAIT_PRIVATE);
	n = futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2ul, (void *)&word2, 0);
	is(n, 3, "CMP_REQUEUE counts woken and moved");
	is(futex(&word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 2, "two wait on the other word");
	is(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1, "one stayed");
	join(w, 4);
	start_waiters(w, 3, &word, FUTEX_WAIT_PRIVATE);
	is(futex(&word, FUTEX_REQUEUE_PRIVATE, 0, (void *)100ul, (void *)&word2, 0), 3, "REQUEUE moves all");
	is(futex(&word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 3, "and all are found there");
	join(w, 3);
	/* The waiters stay where they are: a walk that met them again would never end. */
	start_waiters(w, 3, &word, FUTEX_WAIT_PRIVATE);
	is(futex(&word, FUTEX_REQUEUE_PRIVATE, 0, (void *)INT32_MAX, (void *)&word, 0), 3,
	   "REQUEUE onto itself");
	is(futex(&word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0), 3, "they still wait there");
	join(w, 3);
}

/* A word of private memory that nobody can write will never change: a shared futex cannot be there. */
static void check_read_only(void)
{
	void *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fails(futex(ro, FUTEX_WAIT, 1, NULL, NULL, 0), EFAULT, "WAIT: private memory, read-only");
	fails(futex(ro, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT, "WAKE there");
	is(futex(ro, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0, "WAKE_PRIVATE does not look");
	munmap(ro, 4096);
}

static void check_wake_op(void)
{
	struct waiter w[2];

	word = word2 = 0;
	start_waiters(w, 2, &word2, FUTEX_WAIT_PRIVATE);
	/* *word2 += 5, wake one on word, and one on word2 as its old value was 0. */
	is(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1ul, (void *)&word2,
		 FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)), 1, "WAKE_OP: condition true");
	is(word2, 5, "and the operation is done");
	is(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1ul, (void *)&word2,
		 FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 0)), 0, "WAKE_OP: condition false");
	is(word2, 7, "the operation is done all the same");
	fails(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1ul, (void *)&word2, FUTEX_OP(FUTEX_OP_SET, 9, 15, 0)), ENOSYS,
	      "WAKE_OP: an unknown condition");
	is(word2, 9, "is noticed when the operation is done");
	fails(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1ul, (void *)&word2, FUTEX_OP(7, 3, FUTEX_OP_CMP_EQ, 0)), ENOSYS,
	      "WAKE_OP: an unknown operation");
	is(word2, 9, "does nothing");
	futex(&word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0);
	join(w, 2);
	word = word2 = 0;
}

static void check_shared(void)
{
	volatile int *area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				  -1, 0), *file;
	int fd = open("futex", O_RDWR | O_CREAT, 0600);
	pid_t pid;

	ftruncate(fd, 4096);
	pid = fork();
	if (pid == 0) {
		area[1] = 1;
		_exit(futex(&area[0], FUTEX_WAIT, 0, NULL, NULL, 0) != 0);
	}
	within(10000, area[1] && tap_state(pid) == 'S');
	is(futex(&area[0], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0,
	   "a private wake does not reach another process");
	is(futex(&area[0], FUTEX_WAKE, 1, NULL, NULL, 0), 1, "a shared one does");
	is(tap_wait(pid), 0, "and it returns 0");
	pid = fork();
	if (pid == 0) {
		file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		area[1] = 2;
		_exit(futex(&file[3], FUTEX_WAIT, 0, NULL, NULL, 0) != 0);
	}
	within(10000, area[1] == 2 && tap_state(pid) == 'S');
	file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	is(futex(&file[3], FUTEX_WAKE, 1, NULL, NULL, 0), 1,
	   "two mappings of a file are one futex");
	is(tap_wait(pid), 0, "across processes");
	close(fd);
}

static volatile int *shared_page(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/*
 * Somebody moves a waiter to memory of his own and goes, and the memory with him. Memory that comes later, and may lie
 * where that was, has nobody who waits on it: a wake-up there that hit the waiter would be missing elsewhere.
 */
static void check_requeue_gone(void)
{
	volatile int *area = shared_page(), *theirs;
	int strangers = 0;
	pid_t waiter, mover;

	waiter = fork();
	if (waiter == 0) {
		area[1] = 1;
		_exit(futex(&area[0], FUTEX_WAIT, 0, NULL, NULL, 0) != 0);
	}
	within(10000, area[1] && tap_state(waiter) == 'S');
	mover = fork();
	if (mover == 0) {
		theirs = shared_page();
		_exit(futex(&area[0], FUTEX_REQUEUE, 0, (void *)1, (void *)theirs, 0) != 1);
	}
	is(tap_wait(mover), 0, "a waiter is moved by one who ends");
	for (int i = 0; i < 64; i++)
		strangers += futex(shared_page(), FUTEX_WAKE, 1, NULL, NULL, 0) != 0;
	is(strangers, 0, "new memory has no waiters");
	is(futex(&area[0], FUTEX_WAKE, 1, NULL, NULL, 0), 0, "nor has the word that it came from");
	kill(waiter, SIGKILL);
	ok(killed(tap_wait(waiter), SIGKILL), "it waits until it is killed");
}

static void noop(int sig)
{
}

static void check_signal(void)
{
	struct sigaction sa = { .sa_handler = noop };
	pid_t pid;

	sigaction(SIGUSR1, &sa, NULL);
	pid = fork();
	if (pid == 0) {
		when_it_sleeps(getppid());
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	fails(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EINTR, "a handler interrupts WAIT");
	tap_wait(pid);
}

struct robust {
	struct robust_list list;
	volatile uint32_t lock;
};

static void check_robust(void)
{
	struct robust_list_head *head;
	struct robust *r = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				-1, 0);
	size_t len = 0;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		static struct robust_list_head mine;

		mine.list.next = &r[0].list;
		r[0].list.next = &r[1].list;
		r[1].list.next = &mine.list;
		mine.futex_offset = offsetof(struct robust, lock);
		syscall(SYS_set_robust_list, &mine, sizeof(mine));
		r[0].lock = getpid();
		r[1].lock = 12345;		/* somebody else's */
		r[2].lock = getpid() | FUTEX_WAITERS;
		mine.list_op_pending = &r[2].list;
		_exit(0);
	}
	tap_wait(pid);
	is(r[0].lock, FUTEX_OWNER_DIED, "a dead owner's lock says FUTEX_OWNER_DIED");
	is(r[1].lock, 12345, "a lock of another owner is left alone");
	is(r[2].lock, FUTEX_OWNER_DIED | FUTEX_WAITERS, "the pending one is handled");
	fails(syscall(SYS_set_robust_list, r, 7), EINVAL, "set_robust_list: a wrong size");
	works(syscall(SYS_get_robust_list, 0, &head, &len), "get_robust_list");
	is(len, sizeof(*head), "tells the size");
	fails(syscall(SYS_get_robust_list, 99999, &head, &len), ESRCH, "get_robust_list: nobody");
	pid = fork();
	if (pid == 0) {
		/* A list that bites its own tail must not hang the exit. */
		static struct robust_list_head mine;
		static struct robust loop;

		mine.list.next = &loop.list;
		loop.list.next = &loop.list;
		mine.futex_offset = offsetof(struct robust, lock);
		syscall(SYS_set_robust_list, &mine, sizeof(mine));
		_exit(3);
	}
	is(tap_wait(pid), 3 << 8, "a circular list ends");
	pid = fork();
	if (pid == 0) {
		syscall(SYS_set_robust_list, (void *)0xffff800000000000ul, 24);
		_exit(4);
	}
	is(tap_wait(pid), 4 << 8, "a kernel pointer as list ends well");
}

static void check_tid_address(void)
{
	volatile int *area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				  -1, 0);
	pid_t pid;

	area[0] = 5;
	pid = fork();
	if (pid == 0) {
		if (syscall(SYS_set_tid_address, &area[0]) != getpid())
			_exit(1);
		_exit(0);
	}
	is(tap_wait(pid), 0, "set_tid_address returns the thread's id");
	is(area[0], 5, "the word is not cleared when nobody shares the memory");
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int counter;

static void *add(void *arg)
{
	int i;

	for (i = 0; i < 2000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		if (i % 100 == 0)
			sched_yield();
	}
	return NULL;
}

static void check_contention(void)
{
	pthread_t t[4];
	int i;

	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, add, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	is(counter, 8000, "a contended mutex");
}

/*
 * An account of wake-ups. Some threads wait, each for one of three words, with and without a time-out; others wake, move and
 * signal them at the same time. When those are done the words change and all are woken, once: whoever sleeps on has been lost.
 * What the wakers were told they woke is what returned 0. A wait that nobody ended may return 0 as well, after it was moved.
 */
#define ACCOUNT_WAITERS	6
#define ACCOUNT_MS	400
#define ACCOUNT_WORDS	3

static struct {
	pthread_t thread[ACCOUNT_WAITERS];
	pid_t tid[ACCOUNT_WAITERS];
	volatile int *waited, *woken;	/* the words; where the wakers see the same memory */
	int private;			/* FUTEX_PRIVATE_FLAG */
	volatile unsigned int round;	/* that has begun */
	volatile unsigned int left, stirred;
	volatile long zeros, told, strange;
	volatile bool end;
} account;

static unsigned int account_random(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16;
}

static void account_round(unsigned int *seen)
{
	while (account.round == *seen && !account.end)
		sched_yield();
	*seen = account.round;
}

static long account_wait(unsigned int r)
{
	volatile int *w = &account.waited[r % ACCOUNT_WORDS];
	struct timespec t;

	switch (r >> 3 & 7) {
	case 0:
		t = (struct timespec){ 0, (r >> 6 & 63) * 5000 };
		return futex(w, FUTEX_WAIT | account.private, 0, &t, NULL, 0);
	case 1:
		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec = (t.tv_nsec + 100000) % 1000000000;	/* a second too early, once in a while: it is over at once */
		return futex(w, FUTEX_WAIT_BITSET | account.private, 0, &t, NULL, 1 << (r >> 6 & 1));
	case 2:
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_sec += 100;
		return futex(w, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME | account.private, 0, &t, NULL, -1);
	case 3:
		return futex(w, FUTEX_WAIT_BITSET | account.private, 0, NULL, NULL, 1 << (r >> 6 & 1));
	default:
		return futex(w, FUTEX_WAIT | account.private, 0, NULL, NULL, 0);
	}
}

static void *account_waiter(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg, seen = 0;

	account.tid[seed] = syscall(SYS_gettid);
	for (account_round(&seen); !account.end; account_round(&seen)) {
		for (int i = 0; i < 3; i++) {
			if (!account_wait(account_random(&seed)))
				__sync_fetch_and_add(&account.zeros, 1);
			else if (errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT)
				__sync_fetch_and_add(&account.strange, 1);
		}
		__sync_fetch_and_add(&account.left, 1);
	}
	return NULL;
}

static void account_told(long woken)
{
	if (woken < 0 && errno != EAGAIN)
		__sync_fetch_and_add(&account.strange, 1);
	if (woken > 0)
		__sync_fetch_and_add(&account.told, woken);
}

/* One call that wakes, moves or interrupts. What is moved does not count as woken. */
static void account_stir(unsigned int r)
{
	volatile int *w = &account.woken[r % ACCOUNT_WORDS], *to = &account.woken[(r >> 2) % ACCOUNT_WORDS];
	long wake = r >> 7 & 1, move = (r >> 8 & 3) + 1, n;

	switch (r >> 4 & 7) {
	case 0:
	case 1:
	case 2:
		n = futex(w, (r & 16 ? FUTEX_REQUEUE : FUTEX_CMP_REQUEUE) | account.private, (int)wake, (void *)move, (void *)to, 0);
		account_told(n > wake ? wake : n);
		break;
	case 3:
		account_told(futex(w, FUTEX_WAKE_OP | account.private, 1, (void *)1ul, (void *)to,
				   (int)FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0)));
		break;
	case 4:
		account_told(futex(w, FUTEX_WAKE_BITSET | account.private, 2, NULL, NULL, 1));
		break;
	case 5:
		syscall(SYS_tgkill, getpid(), account.tid[(r >> 8) % ACCOUNT_WAITERS], SIGUSR1);
		break;
	case 6:
		sched_yield();
		break;
	default:
		account_told(futex(w, FUTEX_WAKE | account.private, 1, NULL, NULL, 0));
	}
}

static void *account_stirrer(void *arg)
{
	unsigned int seed = 77, seen = 0;

	for (account_round(&seen); !account.end; account_round(&seen)) {
		for (int i = 0; i < 8; i++)
			account_stir(account_random(&seed));
		account.stirred = seen;
	}
	return NULL;
}

/* False: somebody is still asleep. */
static bool account_close(unsigned int round)
{
	while (account.stirred != round)
		sched_yield();
	for (int i = 0; i < ACCOUNT_WORDS; i++)
		account.woken[i] = 1;
	for (int i = 0; i < ACCOUNT_WORDS; i++)
		account_told(futex(&account.woken[i], FUTEX_WAKE | account.private, INT32_MAX, NULL, NULL, 0));
	for (long end = tap_now_ms() + 20000; account.left != ACCOUNT_WAITERS;) {
		if (tap_now_ms() > end)
			return false;
		sched_yield();
	}
	return true;
}

static bool account_rounds(long ms)
{
	long end = tap_now_ms() + ms;
	unsigned int seed = 5;
	bool good = true;

	while (good && (account.round < 5 || tap_now_ms() < end)) {
		for (int i = 0; i < ACCOUNT_WORDS; i++)
			account.woken[i] = 0;
		account.left = 0;
		__sync_fetch_and_add(&account.round, 1);
		for (int i = 0; i < 8; i++)
			account_stir(account_random(&seed));
		good = account_close(account.round);
	}
	return good;
}

static void check_account(int private, const char *what)
{
	struct sigaction sa = { .sa_handler = noop };
	int memory = memfd_create("account", 0);
	pthread_t stirrer;
	bool good;

	ftruncate(memory, 4096);
	account.waited = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	account.woken = private ? account.waited : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	account.private = private;
	account.end = false;
	account.round = account.stirred = 0;
	account.zeros = account.told = account.strange = 0;
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < ACCOUNT_WAITERS; i++)
		pthread_create(&account.thread[i], NULL, account_waiter, (void *)(uintptr_t)i);
	pthread_create(&stirrer, NULL, account_stirrer, NULL);
	within(10000, account.tid[ACCOUNT_WAITERS - 1]);
	good = account_rounds(ACCOUNT_MS);
	ok(good, "%s: nobody who waits is lost among wakers, movers, time-outs and signals", what);
	if (!good)
		return;		/* they cannot be joined */
	account.end = true;
	pthread_join(stirrer, NULL);
	for (int i = 0; i < ACCOUNT_WAITERS; i++)
		pthread_join(account.thread[i], NULL);
	ok(account.zeros >= account.told, "%s: who is said to be woken returns 0", what);
	is(account.strange, 0, "%s: no other errors", what);
	tap_line("# %s: %u rounds, %ld woken, %ld returned 0", what, account.round, account.told, account.zeros);
	munmap((void *)account.waited, 4096);
	close(memory);
}

int main(void)
{
	check_errors();
	check_wake();
	check_requeue();
	check_read_only();
	check_wake_op();
	check_shared();
	check_requeue_gone();
	check_signal();
	check_robust();
	check_tid_address();
	check_contention();
	check_account(FUTEX_PRIVATE_FLAG, "private");
	check_account(0, "shared");
	return tap_done();
}
