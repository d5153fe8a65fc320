/*
 * nocompat.c - Halcyon only: there is no 32-bit mode.  int 80h, the compat
 * segment, 32-bit syscall and sysenter end in SIGSEGV or SIGILL (design 1).
 * Debian's kernel has IA32 emulation, so the oracle has no say here.
 */
#include "tap.h"

#include <sys/mman.h>

static uint8_t *code_with(const char *bytes, size_t size)
{
	uint8_t *code = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	memcpy(code, bytes, size);
	return code;
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
	ok(refused(in_child({
		/* mov $20,%eax; syscall; ud2 */
		uint8_t *code = code_with("\xb8\x14\0\0\0\x0f\x05\x0f\x0b", 9);

		__asm__ volatile("pushq $0x23; pushq %0; lretq" :: "r"((uintptr_t)code) : "memory");
	})), "a far return to the compat segment");
	ok(refused(in_child({
		uint8_t *code = code_with("\xb8\x14\0\0\0\x0f\x05\x0f\x0b", 9);

		__asm__ volatile("pushq $0x2b; pushq $0; pushq $0x202; pushq $0x23; pushq %0; iretq"
				 :: "r"((uintptr_t)code) : "memory");
	})), "an iret to the compat segment");
	ok(refused(in_child({
		/* mov $20,%eax; sysenter; ud2 */
		uint8_t *code = code_with("\xb8\x14\0\0\0\x0f\x34\x0f\x0b", 9);

		__asm__ volatile("call *%0" :: "r"(code) : "memory");
	})), "sysenter");
	ok(refused(in_child({
		__asm__ volatile("pushq $0x10; pushq $0x1000; lretq" ::: "memory");
	})), "a far return to the kernel's segment");
	ok(refused(in_child({
		char idt[10];

		__asm__ volatile("sidt %0" : "=m"(idt));
	})) || true, "sidt harms nobody");
	return tap_done();
}
