/* SPDX-License-Identifier: MIT */
#ifndef ARCH_INSN_H
#define ARCH_INSN_H

/*
 * The instructions that reach the machine: ports, MSRs, CPUID, control registers, device memory. For hal/x86_64 alone.
 * They stand in a header of their own because the host tests give the same names another body (test/host/x86/arch):
 * a made-up machine that fails the test on an access nobody expected.
 */
#include <lib/compiler.h>

static __always_inline void x86_outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static __always_inline void x86_outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static __always_inline void x86_outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static __always_inline u8 x86_inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static __always_inline u16 x86_inw(u16 port)
{
	u16 v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static __always_inline u32 x86_inl(u16 port)
{
	u32 v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static __always_inline u64 x86_rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

static __always_inline void x86_wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" : : "a"((u32)v), "d"((u32)(v >> 32)), "c"(msr) : "memory");
}

struct x86_cpuid {
	u32 a, b, c, d;
};

static __always_inline struct x86_cpuid x86_cpuid(u32 leaf, u32 sub)
{
	struct x86_cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
	return r;
}

#define X86_READ_CR(n)								\
static __always_inline u64 x86_read_cr##n(void)					\
{										\
	u64 v;									\
										\
	__asm__ volatile("movq %%cr" #n ", %0" : "=r"(v) : : "memory");	\
	return v;								\
}										\
static __always_inline void x86_write_cr##n(u64 v)				\
{										\
	__asm__ volatile("movq %0, %%cr" #n : : "r"(v) : "memory");		\
}
X86_READ_CR(0)
X86_READ_CR(2)
X86_READ_CR(3)
X86_READ_CR(4)

/* Writes all caches back and empties them. */
static __always_inline void x86_wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

static __always_inline u64 x86_rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

static inline u32 x86_mmio_read32(const volatile void *p)
{
	return *(const volatile u32 *)p;
}

static inline void x86_mmio_write32(volatile void *p, u32 v)
{
	*(volatile u32 *)p = v;
}

#endif
