/*
 * nosys.c - numbers that are no system call: ENOSYS, registers kept, and
 * nothing else happens.
 */
#include "tap.h"

static long raw(unsigned long nr, unsigned long *rcx, unsigned long *r11)
{
	long ret;
	register unsigned long r10 __asm__("r10") = 4;
	register unsigned long r8 __asm__("r8") = 5;
	register unsigned long r9 __asm__("r9") = 6;
	unsigned long c, e;

	__asm__ volatile("syscall; mov %%rcx, %1; mov %%r11, %2"
			 : "=a"(ret), "=&b"(c), "=&d"(e), "+r"(r10), "+r"(r8), "+r"(r9)
			 : "0"(nr), "D"(1ul), "S"(2ul), "2"(3ul) : "rcx", "r11", "memory");
	*rcx = c;
	*r11 = e;
	return r10 == 4 && r8 == 5 && r9 == 6 ? ret : -9999;
}

int main(void)
{
	static const unsigned long numbers[] = {
		335, 400, 423, 500, 511, 512, 547, 1000, 4096, 0x7fffffff,
		0x80000000ul, 0xfffffffful, ~0ul, 0x40000000ul | 39,
	};
	unsigned long rcx, r11;
	unsigned int i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		is(raw(numbers[i], &rcx, &r11), -ENOSYS, "number %lx", numbers[i]);
	is(raw(SYS_getpid, &rcx, &r11), getpid(), "a good number: other registers are kept");
	ok(rcx > 0x1000 && rcx < 0x7fffffffe000ul, "rcx is the return address");
	ok(r11 & 0x202, "r11 is the flags");
	is(raw(0x100000000ul | SYS_getpid, &rcx, &r11), getpid(), "only 32 bits of the number count");
	for (i = 0; i < 2000; i++)
		raw(1000 + i % 50, &rcx, &r11);
	ok(true, "two thousand unknown calls flood nothing");
	return tap_done();
}
