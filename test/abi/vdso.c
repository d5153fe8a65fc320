/*
 * vdso.c - the vDSO (vdso(7)): where it is, what it exports, that it says what the kernel says, and that the C library
 * uses it. The same program is built with musl and, as vdsoglibc.c, with glibc.
 */
#include "tap.h"

#include <elf.h>
#include <setjmp.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>

#define SECOND 1000000000ll

typedef int (*gettime_t)(clockid_t, struct timespec *);
typedef int (*gettimeofday_t)(struct timeval *, struct timezone *);
typedef time_t (*time_fn_t)(time_t *);
typedef long (*getcpu_t)(unsigned int *, unsigned int *, void *);

struct range {
	uintptr_t start, end;
	char prot[8];
};

static uintptr_t base;
static const Elf64_Sym *symtab;
static const char *strtab;
static const uint16_t *versym;
static const Elf64_Verdef *verdef;
static uint32_t nr_symbols;

static bool find_range(const char *name, struct range *out)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, name) && sscanf(line, "%lx-%lx %7s", &out->start, &out->end, out->prot) == 3;
	fclose(f);
	return found;
}

/* The symbol's version, by name. */
static const char *version_of(uint32_t i)
{
	const Elf64_Verdef *d = verdef;

	for (;;) {
		if ((d->vd_ndx & 0x7fff) == (versym[i] & 0x7fff))
			return strtab + ((const Elf64_Verdaux *)((const char *)d + d->vd_aux))->vda_name;
		if (!d->vd_next)
			return "";
		d = (const Elf64_Verdef *)((const char *)d + d->vd_next);
	}
}

static void *find(const char *name)
{
	for (uint32_t i = 1; i < nr_symbols; i++)
		if (!strcmp(strtab + symtab[i].st_name, name) && symtab[i].st_shndx != SHN_UNDEF &&
		    ELF64_ST_TYPE(symtab[i].st_info) == STT_FUNC && !strcmp(version_of(i), "LINUX_2.6"))
			return (void *)(base + symtab[i].st_value);
	return NULL;
}

static void open_image(void)
{
	const Elf64_Ehdr *eh = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + eh->e_phoff);
	const Elf64_Dyn *d = NULL;
	const uint32_t *hash = NULL;

	for (int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_DYNAMIC)
			d = (const void *)(base + ph[i].p_vaddr);
	for (; d && d->d_tag != DT_NULL; d++) {
		const void *at = (const void *)(base + d->d_un.d_ptr);

		switch (d->d_tag) {
		case DT_SYMTAB: symtab = at; break;
		case DT_STRTAB: strtab = at; break;
		case DT_HASH: hash = at; break;
		case DT_VERSYM: versym = at; break;
		case DT_VERDEF: verdef = at; break;
		}
	}
	nr_symbols = hash ? hash[1] : 0;
}

static void check_image(void)
{
	const Elf64_Ehdr *eh;
	struct range vdso, vvar;

	base = getauxval(AT_SYSINFO_EHDR);
	ok(base != 0, "AT_SYSINFO_EHDR");
	eh = (const void *)base;
	ok(!memcmp(eh->e_ident, ELFMAG, SELFMAG) && eh->e_type == ET_DYN && eh->e_machine == EM_X86_64, "is a shared object");
	ok(find_range("[vdso]", &vdso) && vdso.start == base, "[vdso] in maps");
	is_str(vdso.prot, "r-xp", "may be read and executed");
	ok(find_range("[vvar]", &vvar) && vvar.end == vdso.start, "[vvar] is below it");
	is_str(vvar.prot, "r--p", "and can only be read");
	fails(mprotect((void *)vvar.start, vvar.end - vvar.start, PROT_READ | PROT_WRITE), EACCES, "nor made writable");
	open_image();
	ok(symtab && strtab && versym && verdef && nr_symbols > 4, "has what a C library looks for");
}

static const char *const names[] = { "clock_gettime", "gettimeofday", "time", "getcpu", "clock_getres" };

static void check_symbols(void)
{
	char name[64];

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "__vdso_%s", names[i]);
		ok(find(name), "%s@LINUX_2.6", name);
		ok(find(names[i]) == find(name), "%s is the same", names[i]);
	}
	ok(!find("__vdso_nothing"), "and nothing else");
}

static int64_t ns(struct timespec ts)
{
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

/* The vDSO's time lies between two of the kernel's. */
static void check_clocks(void)
{
	static const int clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME, CLOCK_TAI,
				      CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_PROCESS_CPUTIME_ID,
				      CLOCK_THREAD_CPUTIME_ID };
	gettime_t gettime = (gettime_t)find("__vdso_clock_gettime");
	gettime_t getres = (gettime_t)find("__vdso_clock_getres");
	struct timespec before, mine, after;

	for (unsigned int i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		int bad = 0;

		for (int n = 0; n < 2000; n++) {
			syscall(SYS_clock_gettime, clocks[i], &before);
			bad += gettime(clocks[i], &mine) != 0;
			syscall(SYS_clock_gettime, clocks[i], &after);
			bad += ns(mine) < ns(before) || ns(mine) > ns(after) || (uint64_t)mine.tv_nsec >= SECOND;
		}
		is(bad, 0, "clock %d is the kernel's", clocks[i]);
		syscall(SYS_clock_getres, clocks[i], &before);
		ok(!getres(clocks[i], &mine) && ns(mine) == ns(before), "its resolution, too");
	}
	is(gettime(77, &mine), -EINVAL, "a clock that is not there");
	is(getres(77, &mine), -EINVAL, "has no resolution");
	is(getres(CLOCK_MONOTONIC, NULL), 0, "nobody need be told");
}

static void check_others(void)
{
	gettimeofday_t tod = (gettimeofday_t)find("__vdso_gettimeofday");
	time_fn_t seconds = (time_fn_t)find("__vdso_time");
	getcpu_t cpu = (getcpu_t)find("__vdso_getcpu");
	unsigned int a = 77, b = 77, node = 77, knode = 77, bad = 0;
	struct timespec before, after;
	struct timeval tv;
	struct timezone tz = { 5, 5 };
	cpu_set_t one, all;
	time_t t = 5;

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &before);
	is(tod(&tv, &tz), 0, "gettimeofday");
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &after);
	ok(tv.tv_sec * 1000000 + tv.tv_usec >= ns(before) / 1000 && tv.tv_sec * 1000000 + tv.tv_usec <= ns(after) / 1000,
	   "is the kernel's time");
	is(tz.tz_minuteswest, 0, "and its zone");
	is(tod(NULL, NULL), 0, "of which one need not be told");
	ok(seconds(&t) == t && llabs(t - before.tv_sec) <= 60, "time");
	ok(llabs(seconds(NULL) - t) <= 60, "without a place");
	sched_getaffinity(0, sizeof(all), &all);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
		cpu(&a, &node, NULL);
		syscall(SYS_getcpu, &b, &knode, NULL);
		bad += a != (unsigned int)i || b != a || node != knode;
	}
	sched_setaffinity(0, sizeof(all), &all);
	is(bad, 0, "getcpu on each CPU");
	is(cpu(NULL, NULL, NULL), 0, "getcpu of nothing");
}

static sigjmp_buf back;
static volatile uintptr_t fault_at;

static void faulted(int sig, siginfo_t *info, void *context)
{
	fault_at = (uintptr_t)info->si_addr;
	siglongjmp(back, 1);
}

/* With the data out of reach the library's clock faults there: it came through the vDSO. */
static int library_uses_it(int what)
{
	struct sigaction sa = { .sa_sigaction = faulted, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct range vvar;
	struct timespec ts;
	struct timeval tv;

	find_range("[vvar]", &vvar);
	sigaction(SIGSEGV, &sa, NULL);
	if (mprotect((void *)vvar.start, vvar.end - vvar.start, PROT_NONE))
		return 2;
	if (!sigsetjmp(back, 1)) {
		if (what == 0)
			clock_gettime(CLOCK_MONOTONIC, &ts);
		else if (what == 1)
			gettimeofday(&tv, NULL);
		else
			clock_gettime(CLOCK_REALTIME, &ts);
	}
	return fault_at >= vvar.start && fault_at < vvar.end ? 0 : 1;
}

static void check_library(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);	/* musl looks for it at the first call */
	is(in_child(_exit(library_uses_it(0))), 0, "clock_gettime of the C library uses it");
	is(in_child(_exit(library_uses_it(1))), 0, "gettimeofday, too");
	is(in_child(_exit(library_uses_it(2))), 0, "and for the wall clock");
}

/* It stays where it is over fork, goes and comes with exec, and a program may move it away. */
static void check_life(void)
{
	struct range vdso, vvar;
	gettime_t gettime = (gettime_t)find("__vdso_clock_gettime");
	struct timespec ts;
	char *copy;

	find_range("[vdso]", &vdso);
	find_range("[vvar]", &vvar);
	is(in_child({
		struct timespec k;

		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &k);
		_exit(gettime(CLOCK_MONOTONIC, &ts) || ns(ts) < ns(k));
	}), 0, "a child has it");
	is(in_child({
		struct range r;

		munmap((void *)vvar.start, vdso.end - vvar.start);
		_exit(find_range("[v", &r) || syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts));
	}), 0, "a program may do without");
	copy = malloc(vdso.end - vdso.start);
	memcpy(copy, (void *)vdso.start, vdso.end - vdso.start);
	ok(!memcmp(copy, ELFMAG, SELFMAG), "and may read all of it");
	is(in_child(*(volatile char *)vdso.start = 0) & 0x7f, SIGSEGV, "but not write it");
	is(in_child({
		volatile char *p = (void *)vdso.start;

		if (mprotect((void *)vdso.start, vdso.end - vdso.start, PROT_READ | PROT_WRITE))
			_exit(1);
		p[200] ^= 1;
		_exit(p[200] == copy[200]);
	}), 0, "unless it asks: a copy of its own");
	ok(!memcmp(copy, (void *)vdso.start, vdso.end - vdso.start), "which nobody else sees");
	free(copy);
}

/* Never back, on whatever CPU. */
static void check_order(void)
{
	cpu_set_t all, one;
	struct timespec ts;
	int64_t last = 0, t;
	int bad = 0, nr = 0;

	sched_getaffinity(0, sizeof(all), &all);
	for (int round = 0; round < 50; round++)
		for (int i = 0; i < CPU_SETSIZE; i++) {
			if (!CPU_ISSET(i, &all))
				continue;
			CPU_ZERO(&one);
			CPU_SET(i, &one);
			sched_setaffinity(0, sizeof(one), &one);
			for (int n = 0; n < 20; n++, nr++) {
				if (n & 1)
					clock_gettime(CLOCK_MONOTONIC, &ts);
				else
					syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
				t = ns(ts);
				bad += t < last;
				last = t;
			}
		}
	sched_setaffinity(0, sizeof(all), &all);
	is(bad, 0, "time never goes back, from CPU to CPU");
	ok(nr >= 1000, "in many looks");
}

int main(void)
{
	check_image();
	check_symbols();
	check_clocks();
	check_others();
	check_library();
	check_life();
	check_order();
	return tap_done();
}
