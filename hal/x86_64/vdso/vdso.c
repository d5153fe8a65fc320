/* SPDX-License-Identifier: MIT */
/*
 * The vDSO: what programs call to read the clock (vdso(7)). This is user code: it is linked to a shared object of its own,
 * which the kernel maps into every program, with the page `vvar` right below it.
 *
 * A read is optimistic: the sequence count before and after, the data and the counter in between; odd or changed, and it
 * is done again. Whoever is in a signal handler or has another thread set the clock sees one or the other state. All
 * clocks that can be read here are the counter, a factor, an offset and a mask, which are looked up by the clock's number.
 * What cannot be read (CPU clocks, a machine whose clock is not the TSC: its factor is 0) is a system call.
 *
 * x86 does not move loads before earlier loads, so the compiler is all that barrier() holds back; LFENCE holds RDTSC
 * (SDM vol. 2B). No data of its own, no relocations: the object is the same at every address.
 */
#include <abi/linux/errno.h>
#include <abi/linux/time.h>
#include <abi/linux/unistd.h>
#include <hal/vdso.h>

/* Not const: the kernel changes it under our eyes. */
extern struct hal_vvar vvar __attribute__((visibility("hidden")));

__extension__ typedef unsigned __int128 vdso_u128;

#define COARSE_NS	4000000	/* what clock_getres(2) says of the coarse clocks: Linux's tick */

static long vdso_syscall(long nr, long a, long b)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "0"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return result;
}

/* RDTSC clears the upper halves: wide variables spare the compiler a move. */
static __always_inline u64 read_cycles(void)
{
	u64 lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return hi << 32 | lo;
}

/*
 * One of the two clocks that everybody reads: clock is CLOCK_REALTIME or CLOCK_MONOTONIC. False: not from here. An odd
 * sequence number is never equal to its even part: that is the test for a write that was going on.
 */
static __always_inline bool read_exact(u32 clock, u64 *ns)
{
	const struct hal_vvar_clock *c = &vvar.clock[clock];
	u64 cycles, mult, t;
	u32 seq;

	do {
		seq = vvar.seq & ~1u;
		barrier();
		mult = c->mult;
		if (unlikely(!mult))
			return false;
		cycles = read_cycles() - vvar.base;
		t = (u64)(((vdso_u128)cycles * mult) >> 32) + c->offset;
		__asm__("" : "+r"(t)); /* computed before the look, while its parts need registers: none is then left to be saved */
		barrier();
	} while (unlikely(vvar.seq != seq)); /* not volatile, so that it is one instruction; barrier() makes it a load */
	*ns = t;
	return true;
}

/* Any of them. */
static noinline bool read_any(u32 clock, u64 *ns)
{
	u64 mask;
	u32 seq;

	do {
		seq = vvar.seq & ~1u;
		barrier();
		if (clock >= HAL_VVAR_CLOCKS || !read_exact(clock, ns))
			return false;
		mask = vvar.clock[clock].mask;
		barrier();
	} while (unlikely(vvar.seq != seq));
	*ns &= mask;
	return true;
}

static __always_inline int store(struct timespec *ts, u64 ns)
{
	ts->tv_sec = (s64)(ns / NSEC_PER_SEC);
	ts->tv_nsec = (s64)(ns % NSEC_PER_SEC);
	return 0;
}

static noinline int gettime_other(int clock, struct timespec *ts)
{
	u64 ns;

	if (!read_any((u32)clock, &ns))
		return (int)vdso_syscall(__NR_clock_gettime, clock, (long)ts);
	return store(ts, ns);
}

int __vdso_clock_gettime(int clock, struct timespec *ts);
int __vdso_clock_gettime(int clock, struct timespec *ts)
{
	u64 ns;

	if (likely((u32)clock <= CLOCK_MONOTONIC) && likely(read_exact((u32)clock, &ns)))
		return store(ts, ns);
	return gettime_other(clock, ts);
}

int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz);
int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz)
{
	u64 ns;

	if (unlikely(!read_exact(CLOCK_REALTIME, &ns)))
		return (int)vdso_syscall(__NR_gettimeofday, (long)tv, (long)tz);
	if (likely(tv)) {
		tv->tv_sec = (s64)(ns / NSEC_PER_SEC);
		tv->tv_usec = (s64)(ns % NSEC_PER_SEC / 1000);
	}
	if (unlikely(tz)) {
		tz->tz_minuteswest = READ_ONCE(vvar.minutes_west);
		tz->tz_dsttime = READ_ONCE(vvar.dst);
	}
	return 0;
}

s64 __vdso_time(s64 *t);
s64 __vdso_time(s64 *t)
{
	u64 ns;

	if (unlikely(!read_exact(CLOCK_REALTIME, &ns)))
		return vdso_syscall(__NR_time, (long)t, 0);
	if (t)
		*t = (s64)(ns / NSEC_PER_SEC);
	return (s64)(ns / NSEC_PER_SEC);
}

/* The resolution does not depend on the counter: 1 ns, as the kernel says. */
int __vdso_clock_getres(int clock, struct timespec *ts);
int __vdso_clock_getres(int clock, struct timespec *ts)
{
	if (unlikely((u32)clock >= HAL_VVAR_CLOCKS || !READ_ONCE(vvar.clock[clock].mult)))
		return (int)vdso_syscall(__NR_clock_getres, clock, (long)ts);
	if (ts) {
		ts->tv_sec = 0;
		ts->tv_nsec = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ? COARSE_NS : 1;
	}
	return 0;
}

/* Each CPU has a segment whose limit is its number, its node from bit 12 on: Linux's selector (hal/x86_64/tables.c). */
#define CPU_SELECTOR	0x7b
#define CPU_BITS	12

long __vdso_getcpu(u32 *cpu, u32 *node, void *unused);
long __vdso_getcpu(u32 *cpu, u32 *node, void *unused)
{
	u32 limit;

	(void)unused;
	__asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"(CPU_SELECTOR) : "cc");
	if (cpu)
		*cpu = limit & ((1u << CPU_BITS) - 1);
	if (node)
		*node = limit >> CPU_BITS;
	return 0;
}

/* The names without the prefix, as Linux has them: weak. */
int clock_gettime(int, struct timespec *) __attribute__((weak, alias("__vdso_clock_gettime")));
int gettimeofday(struct timeval *, struct timezone *) __attribute__((weak, alias("__vdso_gettimeofday")));
s64 time(s64 *) __attribute__((weak, alias("__vdso_time")));
int clock_getres(int, struct timespec *) __attribute__((weak, alias("__vdso_clock_getres")));
long getcpu(u32 *, u32 *, void *) __attribute__((weak, alias("__vdso_getcpu")));
