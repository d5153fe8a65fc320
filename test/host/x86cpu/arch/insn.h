/* SPDX-License-Identifier: MIT */
#ifndef ARCH_INSN_H
#define ARCH_INSN_H

/* hal/x86_64's instructions on the made-up CPUs of test/host/hal_cpu_test.c. What they do not have ends the test. */
#include <lib/compiler.h>

struct x86_cpuid {
	u32 a, b, c, d;
};

struct x86_cpuid x86_cpuid(u32 leaf, u32 sub);
u64 x86_rdmsr(u32 msr);
void x86_wrmsr(u32 msr, u64 v);
u64 x86_read_cr0(void);
void x86_write_cr0(u64 v);
u64 x86_read_cr3(void);
void x86_write_cr3(u64 v);
u64 x86_read_cr4(void);
void x86_write_cr4(u64 v);
void x86_wbinvd(void);
u64 x86_rdtsc(void);

#endif
