/* SPDX-License-Identifier: MIT */
#ifndef ARCH_INSN_H
#define ARCH_INSN_H

/* hal/x86_64's instructions on the made-up machine (fake.c). What that machine does not have ends the test. */
#include <lib/compiler.h>

void x86_outb(u16 port, u8 v);
u8 x86_inb(u16 port);
u64 x86_rdmsr(u32 msr);
void x86_wrmsr(u32 msr, u64 v);
u32 x86_mmio_read32(const volatile void *p);
void x86_mmio_write32(volatile void *p, u32 v);

#endif
