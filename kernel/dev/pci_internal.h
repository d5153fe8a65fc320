/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_PCI_INTERNAL_H
#define KERNEL_DEV_PCI_INTERNAL_H

/* What the pci_*.c files share. */
#include <kernel/dev/pci.h>
#include <lib/errno.h>

extern struct bus_type pci_bus_type;

/* pci_config.c: from registers to fields; need dev->bus, devfn and config_bytes. */
void pci_read_identity(struct pci_dev *dev);
void pci_read_resources(struct pci_dev *dev);
void pci_read_windows(struct pci_dev *dev);

/* pci_scan.c; [tree] */
u32 pci_rescan_bus(struct pci_bus *bus);	/* functions that are new */
void pci_remove_function(struct pci_dev *dev);
void pci_rescan_all(void);
/* Host bridges' buses: the i-th, NULL past the last one. */
struct pci_bus *pci_root(u32 i);

/* pci_sysfs.c */
extern const struct device_attr pci_device_attrs[];
extern const struct device_attr pci_bus_attrs[];
int pci_show_function(struct pci_dev *dev);	/* what attributes alone cannot: config, remove, /proc/bus/pci */
void pci_hide_function(struct pci_dev *dev);
void pci_uevent(struct device *dev, struct seq *s);
void pci_files_init(void);

/* pci_driver.c */
bool pci_match(struct device *dev, struct driver *drv);
int pci_probe(struct device *dev, struct driver *drv);
void pci_remove(struct device *dev);

#endif
