/* SPDX-License-Identifier: MIT */
#ifndef X86_PCI_CONFIG_H
#define X86_PCI_CONFIG_H

/* How pci_config.c reaches the machine; the host tests hand in a machine of their own. */
#include <hal/acpi.h>
#include <hal/pci.h>

#define PCI_CONFIG_ADDRESS	0xcf8u
#define PCI_CONFIG_DATA		0xcfcu
#define PCI_CONFIG_ENABLE	0x80000000u
#define PCI_ECAM_BUS_BYTES	(1u << 20)

struct x86_pci_access {
	u32 (*in)(u32 port, u32 bytes);
	void (*out)(u32 port, u32 bytes, u32 value);
	/* Maps device registers for ever; NULL without memory. */
	void *(*map)(paddr_t base, size_t bytes);
	/* A line for the log. */
	void (*report)(const char *what, u64 address);
};

/* Forgets all and starts anew with what the tables said. Boot, once. */
/* pci_glue.c: the same with the machine. */
void x86_pci_setup_machine(void);
void x86_pci_setup(const struct x86_pci_access *access, const struct acpi_segment *segments, u32 n);

#endif
