/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space from the ports up: hal/x86_64/pci_config.c and kernel/dev/pci_config.c on a made-up machine. Its
 * functions are 4 KiB of registers with a mask of what can be written; memory and ports lead to them, or to nobody. An access to
 * an address or a port that is neither fails the test.
 */
#include <hal/cpu.h>
#include <lib/string.h>
#include "framework.h"
#include "../../hal/x86_64/pci_config.h"
#include "../../kernel/dev/pci_internal.h"

#define ECAM_PADDR	0xb0000000ull
#define ECAM_VIRT	0x700000000000ull
#define FUNCTIONS	6u

struct function {
	u16 segment;
	u8 bus, devfn;
	bool there;
	u8 regs[4096], can[4096];
	u32 decode_on_while_sizing;
};

static struct function functions[FUNCTIONS];
static struct {
	bool ports, ecam;	/* which of the two ways lead anywhere */
	bool lies;		/* memory shows another identity */
	u16 ecam_segment;
	u32 address;		/* the index register */
	u32 port_accesses, reports, maps;
	bool no_memory, irqs_off;
} machine;

/* ---- the machine ---- */

static struct function *function_at(u32 segment, u32 bus, u32 devfn)
{
	for (u32 i = 0; i < FUNCTIONS; i++)
		if (functions[i].there && functions[i].segment == segment && functions[i].bus == bus && functions[i].devfn == devfn)
			return &functions[i];
	return NULL;
}

static u32 register_read(const struct function *f, u32 offset, u32 bytes)
{
	u32 v = 0xffffffff;

	if (f) {
		v = 0;
		memcpy(&v, f->regs + offset, bytes);
	}
	return bytes == 4 ? v : v & ((1u << bytes * 8) - 1);
}

static void register_write(struct function *f, u32 offset, u32 bytes, u32 v)
{
	if (!f)
		return;
	if (offset >= 0x10 && offset < 0x28 && v == 0xffffffff && (f->regs[PCI_COMMAND] & 3))
		f->decode_on_while_sizing++;
	for (u32 i = 0; i < bytes; i++, v >>= 8)
		f->regs[offset + i] = (u8)((f->regs[offset + i] & ~f->can[offset + i]) | (v & f->can[offset + i]));
}

static u32 port_in(u32 port, u32 bytes)
{
	machine.port_accesses++;
	if (!machine.ports)
		return 0xffffffff;
	if (port == PCI_CONFIG_ADDRESS && bytes == 4)
		return machine.address;
	if (port < PCI_CONFIG_DATA || port + bytes > PCI_CONFIG_DATA + 4 || port % bytes)
		test_fail(__FILE__, __LINE__, "port %x read by %u", port, bytes);
	return register_read(function_at(0, machine.address >> 16 & 0xff, machine.address >> 8 & 0xff),
			     (machine.address & 0xfc) + (port & 3), bytes);
}

static void port_out(u32 port, u32 bytes, u32 v)
{
	machine.port_accesses++;
	EXPECT(machine.irqs_off);
	if (!machine.ports)
		return;
	if (port == PCI_CONFIG_ADDRESS && bytes == 4) {
		EXPECT(!(v & 0x7f000003));
		machine.address = v;
		return;
	}
	if (port < PCI_CONFIG_DATA || port + bytes > PCI_CONFIG_DATA + 4 || port % bytes)
		test_fail(__FILE__, __LINE__, "port %x written by %u", port, bytes);
	register_write(function_at(0, machine.address >> 16 & 0xff, machine.address >> 8 & 0xff),
		       (machine.address & 0xfc) + (port & 3), bytes, v);
}

static void *map(paddr_t base, size_t bytes)
{
	EXPECT(base >= ECAM_PADDR && base + bytes <= ECAM_PADDR + (256u << 20));
	machine.maps++;
	return machine.no_memory ? NULL : (void *)(uintptr_t)(ECAM_VIRT + (base - ECAM_PADDR));
}

static void report(const char *what, u64 address)
{
	(void)what, (void)address;
	machine.reports++;
}

static const struct x86_pci_access access_made_up = { port_in, port_out, map, report };

void x86_pci_setup_machine(void)
{
	test_fail(__FILE__, __LINE__, "asked before it was set up");
}

irqflags_t hal_irq_save(void)
{
	irqflags_t was = machine.irqs_off;

	machine.irqs_off = true;
	return was;
}

void hal_irq_restore(irqflags_t f)
{
	machine.irqs_off = f;
}

void hal_cpu_relax(void)
{
	test_fail(__FILE__, __LINE__, "a lock was left behind");
}

/* The function and offset behind an address of the window. */
static struct function *window(const volatile void *p, u32 *offset)
{
	u64 at = (u64)(uintptr_t)p - ECAM_VIRT;

	if (at >= 256u << 20)
		test_fail(__FILE__, __LINE__, "device memory at %llx", (unsigned long long)(uintptr_t)p);
	*offset = at & 0xfff;
	return machine.ecam ? function_at(machine.ecam_segment, at >> 20 & 0xff, at >> 12 & 0xff) : NULL;
}

static u32 window_read(const volatile void *p, u32 bytes)
{
	u32 offset, v = register_read(window(p, &offset), 0, 4);
	struct function *f = window(p, &offset);

	v = register_read(f, offset, bytes);
	return machine.lies && offset == 0 && f ? v ^ 0x10000 : v;
}

static void window_write(volatile void *p, u32 bytes, u32 v)
{
	u32 offset;
	struct function *f = window(p, &offset);

	register_write(f, offset, bytes, v);
}

u8 hal_mmio_read8(const volatile void *p)
{
	return (u8)window_read(p, 1);
}

u16 hal_mmio_read16(const volatile void *p)
{
	return (u16)window_read(p, 2);
}

u32 hal_mmio_read32(const volatile void *p)
{
	return window_read(p, 4);
}

void hal_mmio_write8(volatile void *p, u8 v)
{
	window_write(p, 1, v);
}

void hal_mmio_write16(volatile void *p, u16 v)
{
	window_write(p, 2, v);
}

void hal_mmio_write32(volatile void *p, u32 v)
{
	window_write(p, 4, v);
}

/* ---- set up ---- */

static void put(struct function *f, u32 offset, u32 bytes, u32 v)
{
	memcpy(f->regs + offset, &v, bytes);
}

static void writable(struct function *f, u32 offset, u32 bytes, u32 mask)
{
	memcpy(f->can + offset, &mask, bytes);
}

/* A host bridge and a device at 00:02.0. */
static struct function *power_on(void)
{
	struct function *f = &functions[1];

	memset(functions, 0, sizeof(functions));
	memset(&machine, 0, sizeof(machine));
	machine.ports = machine.ecam = true;
	functions[0].there = f->there = true;
	put(&functions[0], PCI_VENDOR, 4, 0x12348086);
	put(f, PCI_VENDOR, 4, 0x10411af4);
	f->devfn = 2 << 3;
	writable(f, PCI_COMMAND, 2, 0x0507);
	return f;
}

static void setup(const struct acpi_segment *segments, u32 n)
{
	x86_pci_setup(&access_made_up, segments, n);
	EXPECT(!machine.irqs_off);
}

static const struct acpi_segment all = { .paddr = ECAM_PADDR, .first_bus = 0, .last_bus = 255 };

/* The kernel's view of a function. */
static struct pci_bus bus_zero;
static struct pci_dev dev_at(const struct function *f)
{
	struct pci_dev dev = { .bus = &bus_zero, .devfn = f->devfn };

	setup(&all, 1);
	EXPECT_EQ(hal_pci_open_bus(0, 0), 0);
	dev.config_bytes = hal_pci_config_bytes(0, 0);
	return dev;
}

/* ---- the way in ---- */

TEST(pci_by_memory)
{
	struct function *f = power_on();
	struct hal_pci_segment s;
	u32 before;

	setup(&all, 1);
	EXPECT(hal_pci_segment(0, &s));
	EXPECT(s.extended && s.first_bus == 0 && s.last_bus == 255);
	EXPECT(!hal_pci_segment(1, &s));
	EXPECT_EQ(machine.reports, 0);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 0, 4), 0xffffffff);	/* not open */
	EXPECT_EQ(hal_pci_config_bytes(0, 0), 0);
	EXPECT_EQ(hal_pci_open_bus(0, 0), 0);
	EXPECT_EQ(hal_pci_config_bytes(0, 0), 4096);
	before = machine.port_accesses;
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 0, 4), 0x10411af4);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 2, 2), 0x1041);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 3, 1), 0x10);
	EXPECT_EQ(hal_pci_read(0, 0, 0xf8, 0, 2), 0xffff);		/* nobody */
	put(f, 0xffc, 4, 0xabcd);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 0xffc, 4), 0xabcd);
	hal_pci_write(0, 0, f->devfn, PCI_COMMAND, 2, 0xffff);
	EXPECT_EQ(f->regs[PCI_COMMAND], 7);
	EXPECT_EQ(machine.port_accesses, before);
	EXPECT_EQ(hal_pci_open_bus(1, 0), -ENODEV);
}

TEST(pci_wrong_accesses)
{
	struct function *f = power_on();

	setup(&all, 1);
	EXPECT_EQ(hal_pci_open_bus(0, 0), 0);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 1, 2), 0xffff);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 2, 4), 0xffffffff);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 0, 3), 0xffffff);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 4096, 1), 0xff);
	EXPECT_EQ(hal_pci_read(0, 0, 256, 0, 4), 0xffffffff);
	EXPECT_EQ(hal_pci_read(5, 0, 0, 0, 4), 0xffffffff);
	EXPECT_EQ(hal_pci_read(0, 300, 0, 0, 4), 0xffffffff);
	hal_pci_write(0, 0, f->devfn, PCI_COMMAND + 1, 2, 0xffff);
	hal_pci_write(0, 0, f->devfn, 5000, 4, 0xffff);
	EXPECT_EQ(f->regs[PCI_COMMAND], 0);
}

TEST(pci_by_ports)
{
	struct function *f = power_on();
	struct hal_pci_segment s;

	setup(NULL, 0);
	EXPECT(hal_pci_segment(0, &s));
	EXPECT(!s.extended && s.last_bus == 255);
	EXPECT_EQ(hal_pci_open_bus(0, 0), 0);
	EXPECT_EQ(hal_pci_config_bytes(0, 0), 256);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 0, 4), 0x10411af4);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 3, 1), 0x10);
	EXPECT_EQ(hal_pci_read(0, 0, f->devfn, 256, 4), 0xffffffff);
	hal_pci_write(0, 0, f->devfn, PCI_COMMAND + 1, 1, 0xff);
	EXPECT_EQ(f->regs[PCI_COMMAND + 1], 5);
	EXPECT_EQ(machine.maps, 0);
}

/* Firmware's word is not enough. */
TEST(pci_memory_that_is_not_there)
{
	struct acpi_segment twice[2] = { all, all }, other = all;
	struct hal_pci_segment s;

	(void)power_on();
	machine.lies = true;
	setup(&all, 1);
	EXPECT(hal_pci_segment(0, &s) && !s.extended);
	EXPECT_EQ(machine.reports, 1);

	(void)power_on();
	machine.ecam = false;
	setup(&all, 1);
	EXPECT(hal_pci_segment(0, &s) && !s.extended);

	(void)power_on();
	machine.no_memory = true;
	setup(&all, 1);
	EXPECT(hal_pci_segment(0, &s) && !s.extended);

	(void)power_on();
	machine.ports = machine.ecam = false;
	setup(&all, 1);
	EXPECT(!hal_pci_segment(0, &s));

	(void)power_on();
	setup(twice, 2);
	EXPECT(hal_pci_segment(0, &s) && !hal_pci_segment(1, &s));
	EXPECT_EQ(machine.reports, 1);

	/* a segment that the ports do not reach, beside theirs */
	(void)power_on();
	functions[2] = (struct function){ .there = true, .segment = 1 };
	put(&functions[2], PCI_VENDOR, 4, 0x11118086);
	machine.ecam_segment = other.segment = 1;
	setup(&other, 1);
	EXPECT(hal_pci_segment(0, &s) && s.segment == 1 && s.extended);
	EXPECT(hal_pci_segment(1, &s) && s.segment == 0 && !s.extended);
	EXPECT_EQ(hal_pci_open_bus(1, 0), 0);
	EXPECT_EQ(hal_pci_read(1, 0, 0, 0, 4), 0x11118086);
}

/* ---- capabilities ---- */

TEST(pci_capabilities)
{
	struct function *f = power_on();
	struct pci_dev dev = dev_at(f);

	put(f, PCI_CAPABILITIES, 1, 0x43);		/* the two lowest bits are reserved */
	EXPECT_EQ(pci_find_cap(&dev, 0, PCI_CAP_MSI), 0);	/* the status does not say that there is a list */
	put(f, PCI_STATUS, 2, PCI_STATUS_CAPS);
	put(f, 0x40, 2, 0x6009);
	put(f, 0x60, 2, 0x5005);
	put(f, 0x50, 2, 0x0009);
	EXPECT_EQ(pci_find_cap(&dev, 0, PCI_CAP_VENDOR), 0x40);
	EXPECT_EQ(pci_find_cap(&dev, 0x40, PCI_CAP_VENDOR), 0x50);
	EXPECT_EQ(pci_find_cap(&dev, 0x50, PCI_CAP_VENDOR), 0);
	EXPECT_EQ(pci_find_cap(&dev, 0, PCI_CAP_MSI), 0x60);
	put(f, 0x50, 2, 0x4009);			/* round and round */
	EXPECT_EQ(pci_find_cap(&dev, 0, PCI_CAP_MSIX), 0);
	put(f, 0x50, 2, 0x1009);			/* into the header */
	EXPECT_EQ(pci_find_cap(&dev, 0, 0xf4), 0);
	f->there = false;				/* pulled out */
	EXPECT_EQ(pci_find_cap(&dev, 0, PCI_CAP_VENDOR), 0);
	EXPECT_EQ(pci_find_cap(&dev, 0x40, PCI_CAP_VENDOR), 0);
}

TEST(pci_extended_capabilities)
{
	struct function *f = power_on();
	struct pci_dev dev = dev_at(f);

	EXPECT_EQ(pci_find_ext_cap(&dev, 0, 1), 0);
	put(f, 0x100, 4, 0x14810001);
	put(f, 0x148, 4, 0x2001000d);
	put(f, 0x200, 4, 0x14810001);			/* back: a loop */
	EXPECT_EQ(pci_find_ext_cap(&dev, 0, 1), 0x100);
	EXPECT_EQ(pci_find_ext_cap(&dev, 0, 0xd), 0x148);
	EXPECT_EQ(pci_find_ext_cap(&dev, 0x100, 1), 0x200);
	EXPECT_EQ(pci_find_ext_cap(&dev, 0, 0x77), 0);
	put(f, 0x200, 4, 0xff000001u | 0x00100000);	/* into the old part, which is no place for one */
	EXPECT_EQ(pci_find_ext_cap(&dev, 0, 0x77), 0);
	dev.config_bytes = 256;
	EXPECT_EQ(pci_find_ext_cap(&dev, 0, 1), 0);
}

TEST(pci_identity)
{
	struct function *f = power_on();
	struct pci_dev dev = dev_at(f);

	put(f, PCI_REVISION, 4, 0x01060102);
	put(f, PCI_SUBSYSTEM_VENDOR, 4, 0x00041af4);
	put(f, PCI_INTERRUPT_LINE, 2, 0x090b);		/* there is no pin 9 */
	pci_read_identity(&dev);
	EXPECT(dev.vendor == 0x1af4 && dev.device == 0x1041 && dev.class == 0x010601 && dev.revision == 2);
	EXPECT(dev.subsystem_vendor == 0x1af4 && dev.subsystem_device == 4);
	EXPECT(!dev.pin && !dev.line && !dev.msi && !dev.msix);
	EXPECT_EQ(dev.config_bytes, 256);		/* no PCI Express capability */
	dev = dev_at(f);
	put(f, PCI_STATUS, 2, PCI_STATUS_CAPS);
	put(f, PCI_CAPABILITIES, 1, 0x80);
	put(f, 0x80, 2, 0x9010);
	put(f, 0x90, 4, 0x01800005);
	put(f, PCI_INTERRUPT_LINE, 2, 0x020b);
	pci_read_identity(&dev);
	EXPECT(dev.express == 0x80 && dev.msi == 0x90 && dev.msi_64 && dev.msi_masking);
	EXPECT_EQ(dev.config_bytes, 4096);
	EXPECT(dev.pin == 2 && dev.line == 11);
}

/* ---- resources ---- */

static bool same(const struct pci_resource *r, u64 start, u64 bytes, u32 flags)
{
	return r->start == start && r->bytes == bytes && r->flags == flags;
}

TEST(pci_bars)
{
	struct function *f = power_on();
	struct pci_dev dev = dev_at(f);

	put(f, PCI_COMMAND, 2, 7);
	put(f, PCI_BAR(0), 4, 0xc001);
	writable(f, PCI_BAR(0), 4, 0xffe0);		/* 32 ports; the upper half is wired to 0 */
	put(f, PCI_BAR(1), 4, 0xfe000000);
	writable(f, PCI_BAR(1), 4, 0xfffff000);
	put(f, PCI_BAR(2), 4, 0x4000000c);
	put(f, PCI_BAR(3), 4, 0x000000e0);
	writable(f, PCI_BAR(2), 4, 0xffffc000);
	writable(f, PCI_BAR(3), 4, 0xffffffff);
	put(f, PCI_BAR(5), 4, 0x00000004);		/* 64 bits, and nothing behind it */
	writable(f, PCI_BAR(5), 4, 0xff000000);
	put(f, PCI_ROM, 4, 0xfe800001);
	writable(f, PCI_ROM, 4, 0xffff0001);
	pci_read_resources(&dev);
	EXPECT(same(&dev.res[0], 0xc000, 32, 0x40101));
	EXPECT(same(&dev.res[1], 0xfe000000, 4096, 0x40200));
	EXPECT(same(&dev.res[2], 0xe040000000, 16384, 0x14220c));
	EXPECT(!dev.res[3].bytes && !dev.res[4].bytes);
	EXPECT(same(&dev.res[5], 0, 16 * MIB, 0x40204));
	EXPECT(same(&dev.res[6], 0xfe800000, 65536, 0x46201));
	EXPECT_EQ(f->regs[PCI_COMMAND], 7);		/* as before, and off in between */
	EXPECT_EQ(f->decode_on_while_sizing, 0);
	EXPECT_EQ(f->regs[PCI_BAR(2) + 3], 0x40);
	EXPECT_EQ(f->regs[PCI_BAR(3)], 0xe0);

	/* a host bridge keeps decoding */
	dev = dev_at(f);
	dev.class = PCI_CLASS_HOST_BRIDGE;
	pci_read_resources(&dev);
	EXPECT(f->decode_on_while_sizing > 0);
}

/* Above 4 GiB the size stands in the upper register. */
TEST(pci_bars_of_gigabytes)
{
	struct function *f = power_on();
	struct pci_dev dev = dev_at(f);

	put(f, PCI_BAR(0), 4, 0x0000000c);
	put(f, PCI_BAR(1), 4, 0x00000040);
	writable(f, PCI_BAR(1), 4, 0xfffffffe);		/* 8 GiB */
	put(f, PCI_BAR(2), 4, 0x80000004);
	put(f, PCI_BAR(3), 4, 0x00000001);
	writable(f, PCI_BAR(2), 4, 0x80000000);
	writable(f, PCI_BAR(3), 4, 0xffffffff);		/* 2 GiB */
	pci_read_resources(&dev);
	EXPECT(same(&dev.res[0], 0x4000000000, 8 * GIB, 0x14220c));
	EXPECT(same(&dev.res[2], 0x180000000, 2 * GIB, 0x140204));
	EXPECT(!dev.res[1].bytes && !dev.res[3].bytes);
}

TEST(pci_bars_that_cannot_be)
{
	struct function *f = power_on();
	struct pci_dev dev = dev_at(f);

	put(f, PCI_BAR(0), 4, 0xfffffff4);		/* 2^63 bytes at the end: wraps round */
	put(f, PCI_BAR(1), 4, 0xffffffff);
	writable(f, PCI_BAR(1), 4, 0x80000000);
	put(f, PCI_BAR(2), 4, 0x12340001);		/* no such port */
	writable(f, PCI_BAR(2), 4, 0xfffffffc);
	put(f, PCI_BAR(3), 4, 0xffffffff);		/* nothing that can be set */
	pci_read_resources(&dev);
	for (u32 i = 0; i < PCI_RES_COUNT; i++)
		EXPECT(!dev.res[i].bytes || dev.res[i].start + dev.res[i].bytes - 1 >= dev.res[i].start);
	EXPECT(!dev.res[2].bytes && !dev.res[3].bytes);
}

TEST(pci_ide_without_bars)
{
	struct function *f = power_on();
	struct pci_dev dev = dev_at(f);

	dev.class = 0x010184;				/* the first channel as of old, the second native */
	pci_read_resources(&dev);
	EXPECT(same(&dev.res[0], 0x1f0, 8, 0x110) && same(&dev.res[1], 0x3f6, 1, 0x110));
	EXPECT(!dev.res[2].bytes && !dev.res[3].bytes);
}

TEST(pci_windows)
{
	struct function *f = power_on();
	struct pci_dev dev = dev_at(f);

	put(f, PCI_IO_BASE, 2, 0x7070);
	put(f, PCI_MEMORY_BASE, 4, 0xc130c120);
	put(f, PCI_PREFETCH_BASE, 4, 0x1ff10001);
	put(f, PCI_PREFETCH_BASE_HIGH, 4, 0xe0);
	put(f, PCI_PREFETCH_LIMIT_HIGH, 4, 0xe0);
	pci_read_windows(&dev);
	EXPECT(same(&dev.res[PCI_RES_BRIDGE_IO], 0x7000, 0x1000, 0x100));
	EXPECT(same(&dev.res[PCI_RES_BRIDGE_MEM], 0xc1200000, 2 * MIB, 0x200));
	EXPECT(same(&dev.res[PCI_RES_BRIDGE_PREFETCH], 0xe000000000, 512 * MIB, 0x102201));
	/* closed: the limit is below the base */
	dev = dev_at(f);
	put(f, PCI_IO_BASE, 2, 0x00f0);
	put(f, PCI_MEMORY_BASE, 4, 0x0000fff0);
	put(f, PCI_PREFETCH_BASE, 4, 0x0000fff0);
	pci_read_windows(&dev);
	EXPECT(!dev.res[PCI_RES_BRIDGE_IO].bytes && !dev.res[PCI_RES_BRIDGE_MEM].bytes && !dev.res[PCI_RES_BRIDGE_PREFETCH].bytes);
}

/* Anything may stand there: it ends, and nothing it says is out of bounds. */
TEST(pci_any_function)
{
	for (u32 round = 0; round < 3000; round++) {
		struct function *f = power_on();
		struct pci_dev dev;

		for (u32 i = 4; i < sizeof(f->regs); i++) {
			f->regs[i] = (u8)random_u64();
			f->can[i] = (u8)random_u64();
		}
		if (round & 1)
			put(f, PCI_STATUS, 2, PCI_STATUS_CAPS);
		dev = dev_at(f);
		pci_read_identity(&dev);
		pci_read_resources(&dev);
		pci_read_windows(&dev);
		(void)pci_find_ext_cap(&dev, 0, 0xffff);
		EXPECT(dev.config_bytes == 256 || dev.config_bytes == 4096);
		EXPECT(dev.pin <= 4);
		for (u32 i = 0; i < PCI_RES_COUNT; i++) {
			const struct pci_resource *r = &dev.res[i];

			EXPECT(!r->bytes || r->start + (r->bytes - 1) >= r->start);
			EXPECT(i > 5 || !(r->bytes & (r->bytes - 1)));
			EXPECT(!(r->flags & PCI_RES_IO) || i > 5 || r->start < 65536);
		}
	}
}
