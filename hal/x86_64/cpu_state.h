/* SPDX-License-Identifier: MIT */
#ifndef X86_CPU_STATE_H
#define X86_CPU_STATE_H

/* What every CPU shall have like the boot CPU: cpu_state.c, tsc_sync.c, topology.c. */
#include <lib/compiler.h>

/* Boot CPU: notes its own. Before the first other CPU starts. */
void x86_cpu_state_record(void);
/* A new CPU, interrupts off: takes over what can be set, compares the rest. NULL, or why it cannot take part. */
const char *x86_cpu_state_apply(void);
/* Says once per start what had to be repaired. */
void x86_cpu_state_report(void);

/* tsc_sync.c: the CPU that starts others begins, does rounds while it waits, and ends; each new CPU does its own. */
void x86_tsc_sync_begin(void);
void x86_tsc_sync_round(void);
void x86_tsc_sync_rounds(void);
void x86_tsc_sync_end(void);

/* topology.c: this CPU reads its place out of CPUID. */
int __must_check x86_topology_prepare(u32 cpu);	/* memory for it; nonzero without */
void x86_topology_record(u32 cpu);
u32 x86_topology_microcode(u32 cpu);

#endif
