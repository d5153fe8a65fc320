/* SPDX-License-Identifier: MIT */
#ifndef TEST_X86_FAKE_H
#define TEST_X86_FAKE_H

/*
 * A made-up x86 machine for hal/x86_64's interrupt files: CPUs with local APICs (memory-mapped or x2APIC), one I/O APIC, two
 * 8259s, a device that sends messages. It follows the manuals' rules (SDM vol. 3A chapter 11, 82093AA, 8259A) and is a
 * strict referee: a register that nobody should touch, a reserved MSR, an impossible change of the APIC's mode, an
 * acknowledgement of nothing fail the test with a line.
 *
 * The I/O APIC learns of a new target when it is accessed the next time, as a write may be posted on its way.
 *
 * One thing at a time runs. "Another CPU" runs at fake_run_all() and at hal_cpu_relax(), and, when chaos is on, devices fire and
 * other CPUs take device interrupts after every single register write: what could happen between two writes does.
 *
 * A test that needs a machine calls fake_scenario(fn): fn runs in a process of its own, as the tested files keep state.
 */
#include "irq.h"

#define FAKE_CPUS	4
#define FAKE_LINES	24
#define FAKE_IOAPIC	0xfec00000ull
#define FAKE_LAPIC	0xfee00000ull

struct fake_apic {
	u64 base;		/* IA32_APIC_BASE */
	u32 id;
	u32 regs[0x400 / 16];
	u8 irr[256], isr[256], tmr[256];
	u32 esr_latch, esr;	/* errors so far; what a read gives */
	u32 eois, nmis;
};

struct fake_cpu {
	struct x86_cpu hal;
	struct fake_apic apic;
	bool irqs_on, online;
	u32 depth;		/* of x86_irq_dispatch() */
};

struct fake_line {
	u64 entry;
	bool high;		/* the device drives it */
};

struct fake_ioapic {
	u32 index;
	struct fake_line lines[FAKE_LINES];
	u32 writes;
	/* a target that is on its way to the chip until the next access to it */
	bool is_posted;
	u32 posted_line, posted_target;
};

struct fake_machine {
	struct fake_cpu cpus[FAKE_CPUS];
	struct fake_ioapic io;
	u32 cur;		/* the CPU that runs */
	u64 now_ns;
	bool x2_possible, x2_sticks, hypervisor;
	u8 pic_isr[2];
	u32 pic_step[2];
	u8 pic_eoi[2];
	u8 pic_mask[2];
	bool pic_read_isr[2];
	u32 logs;
	char last_log[256];
	u32 allocations, fail_allocation;	/* the n-th fails; 0: none */
	s64 live;
	u32 relaxes;
	/* after each register write; NULL: nothing happens there */
	void (*chaos)(void);
	bool in_chaos;
	u32 added, removed, named;		/* the upcalls */
};
extern struct fake_machine fake;

/* In a process of its own; the test fails when it does. */
void fake_scenario(void (*fn)(void));
/* The machine in the state that firmware leaves; no file of the HAL has run. */
void fake_power_on(void);
/* The HAL's boot steps, with all CPUs prepared and online. */
void fake_boot(void);

/* That CPU takes all that it may. `any`: also what is not a device's. */
void fake_run(u32 cpu, bool any);
void fake_run_all(void);
void fake_line_set(u32 line, bool high);
/* A device writes this message. */
void fake_message(const struct hal_msi_msg *msg);
bool fake_pending(u32 cpu, u32 vector);
/* The CPU and vector of a line's entry. */
u32 fake_line_target(u32 line);
u32 fake_line_vector(u32 line);
bool fake_line_masked(u32 line);

#endif
