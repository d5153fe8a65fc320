/* SPDX-License-Identifier: MIT */
#ifndef X86_ACPI_GLUE_H
#define X86_ACPI_GLUE_H

#include <hal/acpi.h>

/* What the tables said; whole, if empty, when there are none. [I] after x86_acpi_init(). */
extern struct acpi_info x86_acpi;

/* len bytes of firmware's at paddr through the direct map; NULL when it does not have them. ctx is not used. */
const void *x86_firmware_map(void *ctx, paddr_t paddr, u64 len);

/* The node of a CPU by its APIC's number, known before the CPU runs. */
u32 x86_numa_node_of_apic(u32 apic_id);
int x86_numa_node_of_domain(u32 domain); /* -1: none */

#endif
