/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_PCI_REGS_H
#define KERNEL_DEV_PCI_REGS_H

/* Configuration space: PCI Local Bus 3.0 §6, PCI-to-PCI Bridge 1.2 §3.2, PCI Express Base 5.0 §7. Offsets in bytes. */

#define PCI_VENDOR		0x00
#define PCI_DEVICE		0x02
#define PCI_COMMAND		0x04
#define  PCI_COMMAND_IO		0x0001u
#define  PCI_COMMAND_MEMORY	0x0002u
#define  PCI_COMMAND_MASTER	0x0004u
#define  PCI_COMMAND_NO_INTX	0x0400u
#define PCI_STATUS		0x06
#define  PCI_STATUS_CAPS	0x0010u
#define PCI_REVISION		0x08
#define PCI_CLASS		0x09	/* 24 bits */
#define PCI_HEADER		0x0e
#define  PCI_HEADER_KIND	0x7fu
#define  PCI_HEADER_DEVICE	0
#define  PCI_HEADER_BRIDGE	1
#define  PCI_HEADER_CARDBUS	2
#define  PCI_HEADER_MULTI	0x80u
#define PCI_BAR(n)		(0x10 + 4 * (n))
#define  PCI_BAR_IO		0x1u
#define  PCI_BAR_IO_MASK	0xfffffffcu
#define  PCI_BAR_TYPE		0x6u
#define  PCI_BAR_64		0x4u
#define  PCI_BAR_PREFETCH	0x8u
#define  PCI_BAR_MEMORY_MASK	0xfffffff0u
#define PCI_SUBSYSTEM_VENDOR	0x2c
#define PCI_SUBSYSTEM_DEVICE	0x2e
#define PCI_ROM			0x30
#define PCI_BRIDGE_ROM		0x38
#define  PCI_ROM_ENABLE		0x1u
#define  PCI_ROM_MASK		0xfffff800u
#define PCI_CAPABILITIES	0x34
#define PCI_INTERRUPT_LINE	0x3c
#define PCI_INTERRUPT_PIN	0x3d

/* bridges */
#define PCI_PRIMARY_BUS		0x18
#define PCI_SECONDARY_BUS	0x19
#define PCI_SUBORDINATE_BUS	0x1a
#define PCI_IO_BASE		0x1c
#define PCI_IO_LIMIT		0x1d
#define PCI_MEMORY_BASE		0x20
#define PCI_MEMORY_LIMIT	0x22
#define PCI_PREFETCH_BASE	0x24
#define PCI_PREFETCH_LIMIT	0x26
#define PCI_PREFETCH_BASE_HIGH	0x28
#define PCI_PREFETCH_LIMIT_HIGH	0x2c
#define PCI_IO_BASE_HIGH	0x30
#define PCI_IO_LIMIT_HIGH	0x32
#define PCI_BRIDGE_CONTROL	0x3e
#define  PCI_BRIDGE_VGA		0x0008u

/* capabilities */
#define PCI_CAP_POWER		0x01
#define PCI_CAP_MSI		0x05
#define PCI_CAP_PCIX		0x07
#define PCI_CAP_VENDOR		0x09
#define PCI_CAP_SUBSYSTEM	0x0d
#define PCI_CAP_EXPRESS		0x10
#define PCI_CAP_MSIX		0x11

#define PCI_MSI_CONTROL		2
#define  PCI_MSI_ENABLE		0x0001u
#define  PCI_MSI_COUNT		0x0070u	/* enabled: log2, at bit 4 */
#define  PCI_MSI_64		0x0080u
#define  PCI_MSI_MASKING	0x0100u
#define PCI_MSI_ADDRESS		4
#define PCI_MSI_ADDRESS_HIGH	8	/* with PCI_MSI_64 */
#define PCI_MSI_DATA		8	/* 12 with PCI_MSI_64 */
#define PCI_MSI_MASK		12	/* 16 with PCI_MSI_64 */

#define PCI_MSIX_CONTROL	2
#define  PCI_MSIX_COUNT		0x07ffu	/* entries - 1 */
#define  PCI_MSIX_MASK_ALL	0x4000u
#define  PCI_MSIX_ENABLE	0x8000u
#define PCI_MSIX_TABLE		4
#define PCI_MSIX_PBA		8
#define  PCI_MSIX_BAR		0x7u
#define PCI_MSIX_ENTRY_BYTES	16u
#define PCI_MSIX_ADDRESS	0
#define PCI_MSIX_ADDRESS_HIGH	4
#define PCI_MSIX_DATA		8
#define PCI_MSIX_VECTOR		12
#define  PCI_MSIX_MASKED	0x1u

#define PCI_EXPRESS_LINK_CAP	0x0c
#define PCI_EXPRESS_LINK_STATUS	0x12

#define PCI_EXTENDED		0x100	/* the first extended capability */

#define PCI_CLASS_VGA		0x030000u
#define PCI_CLASS_HOST_BRIDGE	0x060000u
#define PCI_CLASS_IDE		0x0101u	/* the upper two bytes */

#endif
