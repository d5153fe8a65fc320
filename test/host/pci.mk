# PCI and virtio: what reaches the machine through accessors, and the rings.
PCI_HOST := $(HOST_FRAMEWORK) $(HOST_LIB)
PCI_HOST_FLAGS := $(HOST_KERNEL) -I hal/host/include

$(call host_test,virtio_ring,$(PCI_HOST) kernel/dev/virtio_ring.c test/host/virtio_ring_test.c,$(HOST_KERNEL))
$(call host_test,pci,$(PCI_HOST) hal/x86_64/pci_config.c kernel/dev/pci_config.c test/host/pci_test.c,$(PCI_HOST_FLAGS))
$(call host_test,virtio_pci,$(PCI_HOST) kernel/dev/virtio_pci.c kernel/dev/virtio_ring.c test/host/virtio_pci_test.c,$(PCI_HOST_FLAGS))
