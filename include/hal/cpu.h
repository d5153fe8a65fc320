/* SPDX-License-Identifier: MIT */
#ifndef HAL_CPU_H
#define HAL_CPU_H

/*
 * The CPU: interrupt flag, pauses, idle, and the two steps in which the machine comes up.
 *
 * Inline, any context (arch/cpu.h):
 *	irqflags_t hal_irq_save(void)		interrupts off, returns how they were
 *	void hal_irq_restore(irqflags_t f)
 *	void hal_irq_disable(void) / hal_irq_enable(void)
 *	bool hal_irq_enabled(void)
 *	bool hal_irqflags_enabled(irqflags_t f)
 *	void hal_cpu_relax(void)		in a spin loop
 *	void hal_cpu_idle(void)			called with interrupts off: enables them and halts with
 *						no gap between, returns with interrupts off after one
 *						interrupt
 */
#include <lib/compiler.h>
#include <arch/cpu.h>

struct bootinfo;

/*
 * First item of the boot list, on the boot CPU's boot stack, interrupts off. Checks the handoff (a
 * message on the early console and a halt if the kernel does not understand it), finds the early
 * console, reports the CPU's features. The entry code has by then set up what C needs: per-CPU area,
 * stack canary, GDT, TSS, IDT and every protection bit of the CPU. Cannot fail.
 */
void hal_early_init(const struct bootinfo *bi);

/*
 * Once mm can map and allocate: ACPI tables, interrupt controllers, the clock's calibration and the
 * one-shot timer. Interrupts are off on entry and on return. What firmware got wrong is logged and
 * worked round; panics only when no clock or no timer at all works.
 */
void hal_late_init(void);

/* CPUs that have a per-CPU area and may run: 1 until others are started. Any context. */
u32 hal_cpu_count(void);
/* CPUs that run now, and whether this one does. Any context. */
u32 hal_cpu_online_count(void);
bool hal_cpu_online(u32 cpu);

/*
 * Interrupts another online CPU so that it passes upcall_irq_exit() with a reschedule wanted and looks at its
 * thread's work word before user mode. Any context.
 */
void hal_cpu_kick(u32 cpu);

/*
 * Is this a virtual machine, whose CPUs may stand still at any moment because the host needs its own for something else?
 * Any context.
 */
bool hal_cpu_is_virtual(void);

/* This CPU forgets what it has fetched of the program and not executed: the SDM's serializing instruction. Any context. */
void hal_cpu_serialize(void);

/* Interrupts off, halt, for ever. NMIs are ignored. Any context. */
__noreturn void hal_cpu_halt_forever(void);

/*
 * Calls fn on the panic stack, of which there is one, from its top: what it held is lost, so a panic inside of a panic
 * goes on there with a whole stack. fn must not return. Any context, interrupts off, by the CPU that panics.
 */
__noreturn void hal_panic_stack_run(void (*fn)(void));

/* A number from the CPU's generator (RDSEED, else RDRAND). False: it has none, or it failed. Any context. */
bool hal_random_seed(u64 *out);

/* The boot CPU's first stack, which becomes its idle thread's. */
void hal_boot_stack(vaddr_t *base, size_t *size);

/* What userland sees: AT_HWCAP, AT_HWCAP2, AT_PLATFORM. After hal_early_init. Any context. */
u64 hal_hwcap(void);
u64 hal_hwcap2(void);
const char *hal_platform_string(void);

/*
 * For /proc/cpuinfo: fixed after boot, the same on every CPU but for topology.
 * hal_cpu_flag_name(i): the i-th feature that this CPU has, by Linux's name; NULL past the last one.
 */
struct hal_cpu_info {
	char vendor[13];
	char model_name[49];
	u32 family;
	u32 model;
	u32 stepping;
	u32 cpuid_level;
	u32 clflush_bytes;
	u32 cache_kib;
	u32 phys_bits;
	u32 virt_bits;
	u32 microcode;		/* revision; 0: it does not say, or the CPU was never online */
	u64 khz;		/* of the TSC; 0 before calibration */
};
void hal_cpu_info(u32 cpu, struct hal_cpu_info *out);
const char *hal_cpu_flag_name(u32 i);

#endif
