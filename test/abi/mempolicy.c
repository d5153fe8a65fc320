/*
 * mempolicy.c - memory policies: set_mempolicy, get_mempolicy, mbind, set_mempolicy_home_node, migrate_pages, move_pages, and
 * getcpu's node. On a machine with one node, as every ring's is; with the argument "nodes" (the machine matrix) on one
 * with two, where pages must really lie where the policy says.
 */
#include "tap.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define PAGES 16ul
#define BITS 1024ul

static uint64_t mask[BITS / 64 + 2];

static uint64_t *nodes(uint64_t first)
{
	memset(mask, 0, sizeof(mask));
	mask[0] = first;
	return mask;
}

static long set(int mode, const uint64_t *m, unsigned long max)
{
	return syscall(SYS_set_mempolicy, mode, m, max);
}

static long get(int *mode, uint64_t *m, unsigned long max, const void *addr, unsigned long flags)
{
	return syscall(SYS_get_mempolicy, mode, m, max, addr, flags);
}

static long bind_range(const void *at, size_t len, int mode, const uint64_t *m, unsigned long max, unsigned flags)
{
	return syscall(SYS_mbind, at, len, mode, m, max, flags);
}

static char *map(void)
{
	return mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The lines of /proc/self/maps in [at, at + len). */
static int areas(const char *at, size_t len)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long a, b;
	char line[512];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &a, &b) == 2 && a < (unsigned long)at + len && b > (unsigned long)at)
			n++;
	if (f)
		fclose(f);
	return n;
}

static bool is_policy(int want, uint64_t want_nodes)
{
	uint64_t got[BITS / 64] = { ~0ull };
	int mode = -1;

	return !get(&mode, got, BITS, NULL, 0) && mode == want && got[0] == want_nodes;
}

static bool is_policy_at(const void *at, int want, uint64_t want_nodes)
{
	uint64_t got[BITS / 64] = { ~0ull };
	int mode = -1;

	return !get(&mode, got, BITS, at, MPOL_F_ADDR) && mode == want && got[0] == want_nodes;
}

static void thread_policy(void)
{
	int mode = -1;

	ok(is_policy(MPOL_DEFAULT, 0), "a process begins without a policy");
	ok(!set(MPOL_BIND, nodes(1), BITS) && is_policy(MPOL_BIND, 1), "bind to node 0");
	ok(!set(MPOL_PREFERRED, nodes(1), BITS) && is_policy(MPOL_PREFERRED, 1), "prefer node 0");
	ok(!set(MPOL_PREFERRED, NULL, 0) && is_policy(MPOL_LOCAL, 0), "prefer no node: local");
	ok(!set(MPOL_LOCAL, NULL, 0) && is_policy(MPOL_LOCAL, 0), "local");
	ok(!set(MPOL_PREFERRED_MANY, nodes(1), BITS) && is_policy(MPOL_PREFERRED_MANY, 1), "prefer many");
	ok(!set(MPOL_INTERLEAVE, nodes(1), BITS) && is_policy(MPOL_INTERLEAVE, 1), "interleave");
	ok(!get(&mode, NULL, 0, NULL, MPOL_F_NODE) && mode == 0, "the next node of an interleaved thread");
	ok(!set(MPOL_BIND | MPOL_F_STATIC_NODES, nodes(1 | 1 << 5), BITS) &&
	   is_policy(MPOL_BIND | MPOL_F_STATIC_NODES, 1 | 1 << 5), "static nodes are shown as they were named");
	ok(!set(MPOL_BIND | MPOL_F_RELATIVE_NODES, nodes(1 << 9), BITS) &&
	   is_policy(MPOL_BIND | MPOL_F_RELATIVE_NODES, 1 << 9), "relative nodes are folded, and shown as they were named");
	ok(!set(MPOL_BIND | MPOL_F_NUMA_BALANCING, nodes(1), BITS) &&
	   is_policy(MPOL_BIND | MPOL_F_NUMA_BALANCING, 1), "bind with balancing");
	ok(!set(MPOL_BIND, nodes(1), BITS) && exited(in_child(_exit(is_policy(MPOL_BIND, 1))), 1), "a child has its parent's policy");
	ok(!set(MPOL_BIND, nodes(1), 2) && is_policy(MPOL_BIND, 1), "maxnode is one more than the bits");
	fails(set(MPOL_BIND, nodes(1), 1), EINVAL, "no bits at all");
	ok(!set(MPOL_DEFAULT, NULL, 0) && is_policy(MPOL_DEFAULT, 0), "back to no policy");
	ok(!set(MPOL_DEFAULT, nodes(0), BITS), "no policy with an empty set");
}

static void thread_errors(void)
{
	uint64_t *outside = nodes(1);

	fails(set(MPOL_MAX, nodes(1), BITS), EINVAL, "no such mode");
	fails(set(-1, nodes(1), BITS), EINVAL, "a negative mode");
	fails(set(MPOL_DEFAULT, nodes(1), BITS), EINVAL, "no policy with nodes");
	fails(set(MPOL_BIND, NULL, 0), EINVAL, "bind without nodes");
	fails(set(MPOL_BIND, nodes(0), BITS), EINVAL, "bind with an empty set");
	fails(set(MPOL_INTERLEAVE, nodes(0), BITS), EINVAL, "interleave with an empty set");
	fails(set(MPOL_BIND, nodes(1 << 5), BITS), EINVAL, "nodes that are not there");
	fails(set(MPOL_PREFERRED, nodes(1 << 5), BITS), EINVAL, "prefer a node that is not there");
	fails(set(MPOL_LOCAL, nodes(1), BITS), EINVAL, "local with nodes");
	fails(set(MPOL_LOCAL | MPOL_F_STATIC_NODES, NULL, 0), EINVAL, "local with static nodes");
	fails(set(MPOL_PREFERRED | MPOL_F_STATIC_NODES, NULL, 0), EINVAL, "prefer no static nodes");
	fails(set(MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, nodes(1), BITS), EINVAL, "static and relative");
	fails(set(MPOL_INTERLEAVE | MPOL_F_NUMA_BALANCING, nodes(1), BITS), EINVAL, "balancing without bind");
	fails(set(MPOL_BIND, nodes(1), 4096 * 8 + 2), EINVAL, "a mask larger than a page");
	outside[BITS / 64] = 1;
	fails(set(MPOL_BIND, outside, BITS + 65), EINVAL, "a node beyond all that could be");
	outside[BITS / 64] = 0;
	ok(!set(MPOL_BIND, outside, BITS + 65), "a mask that is longer, and empty there");
	fails(set(MPOL_BIND, (void *)8, BITS), EFAULT, "a mask that cannot be read");
	fails(set(MPOL_MAX, (void *)8, BITS), EINVAL, "the mode is looked at before the mask");
	ok(!set(MPOL_DEFAULT, NULL, 0), "back to no policy again");
}

static void asking(void)
{
	uint64_t got[4] = { ~0ull, ~0ull, ~0ull, ~0ull };
	int mode = -1;
	char *p = map();

	ok(!get(&mode, got, 129, NULL, MPOL_F_MEMS_ALLOWED) && mode == 0 && (got[0] & 1), "which nodes are allowed");
	ok(got[1] == 0 && got[2] == ~0ull, "as much of the mask is written as there is room for");
	ok(!get(NULL, NULL, 0, NULL, 0), "nothing asked");
	fails(get(&mode, got, 0, NULL, 0), EINVAL, "a mask without room");
	fails(get(&mode, NULL, 0, p, 0), EINVAL, "an address without MPOL_F_ADDR");
	fails(get(&mode, NULL, 0, NULL, 8), EINVAL, "no such flag");
	fails(get(&mode, NULL, 0, NULL, MPOL_F_NODE), EINVAL, "the next node of one who does not interleave");
	fails(get(&mode, NULL, 0, NULL, MPOL_F_NODE | MPOL_F_MEMS_ALLOWED), EINVAL, "two questions");
	fails(get(&mode, NULL, 0, (void *)8, MPOL_F_ADDR), EFAULT, "an address where nothing is");
	fails(get((void *)8, NULL, 0, NULL, 0), EFAULT, "a mode that cannot be written");
	fails(get(NULL, (void *)8, 64, NULL, 0), EFAULT, "a mask that cannot be written");
	p[0] = 1;
	ok(!get(&mode, NULL, 0, p, MPOL_F_ADDR | MPOL_F_NODE) && mode >= 0, "the node of a page");
	ok(!get(&mode, NULL, 0, p + PAGE, MPOL_F_ADDR | MPOL_F_NODE) && mode >= 0, "the node of a page that was not touched");
	munmap(p, PAGES * PAGE);
}

static void ranges(void)
{
	char *p = map();

	ok(!bind_range(p + 4 * PAGE, 4 * PAGE, MPOL_BIND, nodes(1), BITS, 0), "a range is bound");
	ok(is_policy_at(p + 4 * PAGE, MPOL_BIND, 1) && is_policy_at(p + 8 * PAGE - 1, MPOL_BIND, 1), "it is bound");
	ok(is_policy_at(p, MPOL_DEFAULT, 0) && is_policy_at(p + 8 * PAGE, MPOL_DEFAULT, 0), "its neighbours are not");
	ok(areas(p, PAGES * PAGE) >= 3, "it is an area of its own");
	ok(!bind_range(p, 4 * PAGE, MPOL_BIND, nodes(1), BITS, 0) && is_policy_at(p, MPOL_BIND, 1), "the part below, too");
	ok(!bind_range(p + 8 * PAGE, 8 * PAGE, MPOL_BIND, nodes(1), BITS, 0), "and the part above");
	ok(exited(in_child(_exit(is_policy_at(p, MPOL_BIND, 1))), 1), "a child's areas have their policies");
	ok(!bind_range(p, PAGES * PAGE, MPOL_DEFAULT, NULL, 0, 0) && is_policy_at(p + PAGE, MPOL_DEFAULT, 0), "none again");
	ok(!bind_range(p, PAGES * PAGE, MPOL_INTERLEAVE, nodes(1), BITS, MPOL_MF_MOVE | MPOL_MF_STRICT), "interleave, and move");
	ok(!bind_range(p, PAGE / 2, MPOL_BIND, nodes(1), BITS, 0) && is_policy_at(p + PAGE - 1, MPOL_BIND, 1), "the length is rounded up");
	p[0] = 1;
	ok(!bind_range(p, PAGE, MPOL_BIND, nodes(1), BITS, MPOL_MF_STRICT), "a page that lies right");
	ok(!bind_range(p, 0, MPOL_BIND, nodes(1), BITS, 0), "no length");
	fails(bind_range(p + 1, PAGE, MPOL_BIND, nodes(1), BITS, 0), EINVAL, "an address that is not aligned");
	fails(bind_range(p, PAGE, MPOL_BIND, nodes(1), BITS, 1 << 10), EINVAL, "no such flag of mbind");
	fails(bind_range(p, PAGE, MPOL_BIND, nodes(0), BITS, 0), EINVAL, "mbind with an empty set");
	fails(bind_range(p, PAGE, MPOL_MAX, nodes(1), BITS, 0), EINVAL, "mbind with no such mode");
	fails(bind_range((void *)-PAGE, 2 * PAGE, MPOL_BIND, nodes(1), BITS, 0), EINVAL, "a range that wraps");
	munmap(p + 4 * PAGE, PAGE);
	fails(bind_range(p, 8 * PAGE, MPOL_BIND, nodes(1), BITS, 0), EFAULT, "a range with a hole");
	ok(!bind_range(p, 8 * PAGE, MPOL_DEFAULT, NULL, 0, 0), "a hole does not matter for no policy");
	fails(bind_range(p + 4 * PAGE, PAGE, MPOL_DEFAULT, NULL, 0, 0), EFAULT, "nothing but a hole does");
	munmap(p, PAGES * PAGE);
}

static void home_node(void)
{
	char *p = map();

	fails(syscall(SYS_set_mempolicy_home_node, p, PAGE, 0, 0), ENOENT, "a home without a policy");
	ok(!bind_range(p, PAGE, MPOL_BIND, nodes(1), BITS, 0), "a bound page");
	ok(!syscall(SYS_set_mempolicy_home_node, p, PAGE, 0, 0), "gets a home");
	ok(!bind_range(p, PAGE, MPOL_INTERLEAVE, nodes(1), BITS, 0), "an interleaved page");
	fails(syscall(SYS_set_mempolicy_home_node, p, PAGE, 0, 0), EOPNOTSUPP, "has no home");
	fails(syscall(SYS_set_mempolicy_home_node, p, PAGE, 0, 1), EINVAL, "no such flag of a home");
	fails(syscall(SYS_set_mempolicy_home_node, p, PAGE, 99, 0), EINVAL, "a home that is not there");
	fails(syscall(SYS_set_mempolicy_home_node, p + 1, PAGE, 0, 0), EINVAL, "a home that is not aligned");
	munmap(p, PAGES * PAGE);
}

static long move(int pid, unsigned long n, void **pages, const int *to, int *status, int flags)
{
	return syscall(SYS_move_pages, pid, n, pages, to, status, flags);
}

static void moving(void)
{
	char *p = map();
	void *pages[3] = { p, p + PAGE, (void *)8 };
	int status[3] = { -99, -99, -99 }, to[3] = { 0, 0, 0 };

	p[0] = 1;
	works(move(0, 3, pages, NULL, status, 0), "where pages are");
	is(status[0], 0, "one on node 0");
	is(status[1], -EFAULT, "none in anonymous memory");
	is(status[2], -EFAULT, "no area");
	ok(!move(getpid(), 1, pages, NULL, status, MPOL_MF_MOVE) && status[0] >= 0, "by pid");
	ok(move(0, 1, pages, to, status, MPOL_MF_MOVE) == 0 && status[0] == 0, "moved to where it is");
	ok(!move(0, 0, NULL, NULL, NULL, 0), "no pages");
	fails(move(0, 1, pages, NULL, status, MPOL_MF_STRICT), EINVAL, "no such flag of move_pages");
	fails(move(999999, 1, pages, NULL, status, 0), ESRCH, "no such process");
	fails(move(0, 1, (void *)8, NULL, status, 0), EFAULT, "pages that cannot be read");
	fails(move(0, 1, pages, NULL, (void *)8, 0), EFAULT, "a status that cannot be written");
	to[0] = 99;
	fails(move(0, 1, pages, to, status, MPOL_MF_MOVE), ENODEV, "a node that is not there, for a page");
	to[0] = -1;
	fails(move(0, 1, pages, to, status, MPOL_MF_MOVE), ENODEV, "a negative node");
	ok(syscall(SYS_migrate_pages, 0, BITS, nodes(1), nodes(1)) == 0, "migrate from node 0 to node 0");
	fails(syscall(SYS_migrate_pages, 999999, BITS, nodes(1), nodes(1)), ESRCH, "migrate no such process");
	fails(syscall(SYS_migrate_pages, 0, BITS, nodes(1), NULL), EINVAL, "migrate to nowhere");
	fails(syscall(SYS_migrate_pages, 0, BITS, (void *)8, nodes(1)), EFAULT, "migrate from a mask that cannot be read");
	munmap(p, PAGES * PAGE);
}

static void where_am_i(void)
{
	unsigned cpu = 99, node = 99;
	cpu_set_t one;

	ok(!syscall(SYS_getcpu, &cpu, &node, NULL) && node < 64, "getcpu names a node");
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ok(!sched_setaffinity(0, sizeof(one), &one) && !syscall(SYS_getcpu, &cpu, &node, NULL) && cpu == 0 && node == 0,
	   "CPU 0 is of node 0");
}

/* ---- two nodes ---- */

static int node_of(const void *page)
{
	void *pages[1] = { (void *)page };
	int status[1] = { -99 };

	return move(0, 1, pages, NULL, status, 0) ? -98 : status[0];
}

/* What the vDSO's getcpu() reads: the limit of a descriptor, cpu | node << 12. */
static unsigned limit_of_cpu(void)
{
	unsigned limit = 0;

	__asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"(15 << 3 | 3) : "cc");
	return limit;
}

/* How many of the pages are on node 1, after each was written. */
static int on_second(char *p)
{
	int n = 0;

	for (unsigned long i = 0; i < PAGES; i++) {
		p[i * PAGE] = (char)i;
		n += node_of(p + i * PAGE) == 1;
	}
	return n;
}

static bool contents_whole(const char *p)
{
	for (unsigned long i = 0; i < PAGES; i++)
		if (p[i * PAGE] != (char)i)
			return false;
	return true;
}

static void on_cpu(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void two_nodes(int second_cpu)
{
	uint64_t first[BITS / 64] = { 1 }, second[BITS / 64] = { 2 };
	unsigned cpu, node = 99;
	char *p;

	on_cpu(second_cpu);
	ok(!syscall(SYS_getcpu, &cpu, &node, NULL) && (int)cpu == second_cpu && node == 1, "getcpu on node 1");
	ok(limit_of_cpu() == (cpu | node << 12), "the vDSO's finds it too");
	p = map();
	ok(on_second(p) == (int)PAGES, "without a policy memory is near: node 1");
	ok(!bind_range(p, PAGES * PAGE, MPOL_BIND, nodes(2), BITS, MPOL_MF_STRICT), "all lie where they are bound to");
	fails(bind_range(p, PAGES * PAGE, MPOL_BIND, nodes(1), BITS, MPOL_MF_STRICT), EIO, "none lies on node 0");
	ok(!bind_range(p, PAGES * PAGE, MPOL_BIND, nodes(1), BITS, MPOL_MF_STRICT | MPOL_MF_MOVE), "mbind moves them");
	ok(contents_whole(p) && on_second(p) == 0, "to node 0, with what is in them");
	ok(syscall(SYS_migrate_pages, 0, BITS, first, second) >= 0 && contents_whole(p) && on_second(p) == (int)PAGES,
	   "migrate_pages moves them back");
	munmap(p, PAGES * PAGE);
	p = map();
	ok(!bind_range(p, PAGES * PAGE, MPOL_INTERLEAVE, nodes(3), BITS, 0) && on_second(p) == (int)PAGES / 2,
	   "an interleaved range takes from both in turn");
	munmap(p, PAGES * PAGE);
	p = map();
	ok(!set(MPOL_PREFERRED, nodes(1), BITS) && on_second(p) == 0, "a thread that prefers node 0");
	munmap(p, PAGES * PAGE);
	p = map();
	ok(!set(MPOL_INTERLEAVE, nodes(3), BITS) && on_second(p) == (int)PAGES / 2, "a thread that interleaves");
	set(MPOL_DEFAULT, NULL, 0);
	munmap(p, PAGES * PAGE);
	on_cpu(0);
	p = map();
	ok(on_second(p) == 0, "on CPU 0 memory is near: node 0");
	munmap(p, PAGES * PAGE);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "nodes")) {
		two_nodes(atoi(argv[2]));
		return tap_done();
	}
	thread_policy();
	thread_errors();
	asking();
	ranges();
	home_node();
	moving();
	where_am_i();
	return tap_done();
}
