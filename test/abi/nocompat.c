/*
 * nocompat.c - Halcyon only: there is no 32-bit mode.  int 80h, the compat
 * segment, 32-bit syscall and sysenter end in SIGSEGV or SIGILL (design 1).
 * Debian's kernel has IA32 emulation, so the oracle has no say here.
 */
#include "tap.h"

#include <cpuid.h>
#include <sys/mman.h>

static uint8_t *code_with(const char *bytes, size_t size)
{
	uint8_t *code = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	memcpy(code, bytes, size);
	return code;
}

static void far_jump(unsigned short selector)
{
	struct { uint32_t offset; uint16_t selector; } __attribute__((packed)) where = {
		0x10000000, selector,
	};

	__asm__ volatile("ljmpl *%0" :: "m"(where) : "memory");
}

static bool umip(void)
{
	unsigned int a, b, c, d;

	__cpuid_count(7, 0, a, b, c, d);
	return c >> 2 & 1;
}

static bool refused(int status)
{
	return killed(status, SIGSEGV) || killed(status, SIGILL);
}

int main(void)
{
	ok(refused(in_child({
		__asm__ volatile("mov $20, %%eax; int $0x80" ::: "rax", "memory");
	})), "int 80h");
	/*
	 * Far jumps and not far returns: QEMU's TCG pops a far return's operands
	 * as the kernel, which SMAP forbids, and faults for ever.
	 */
	ok(refused(in_child({
		/* mov $20,%eax; syscall; ud2 */
		code_with("\xb8\x14\0\0\0\x0f\x05\x0f\x0b", 9);
		far_jump(0x23);
	})), "a far jump to the compat segment");
	ok(refused(in_child(far_jump(0x1b))), "to its neighbour");
	ok(refused(in_child(far_jump(0x10))), "to the kernel's segment");
	ok(refused(in_child(far_jump(0x08))), "to its other one");
	ok(refused(in_child(far_jump(0x43))), "to a task state segment");
	ok(refused(in_child(far_jump(0xfffb))), "beyond the table");
	ok(refused(in_child({
		/* mov $20,%eax; sysenter; ud2 */
		uint8_t *code = code_with("\xb8\x14\0\0\0\x0f\x34\x0f\x0b", 9);

		__asm__ volatile("call *%0" :: "r"(code) : "memory");
	})), "sysenter");
	ok(refused(in_child({
		char table[10];

		__asm__ volatile("sgdt %0" : "=m"(table));
	})) || !umip(), "sgdt, where the CPU has UMIP");
	return tap_done();
}
