/* SPDX-License-Identifier: MIT */
/*
 * I/O APICs: which global interrupt comes in where, and the redirection entries (82093AA data sheet).
 *
 * Registers are reached through an index and a data window, so a pair of accesses is under ioapic_lock
 * (a spinning word, interrupts off). Entries that firmware set up as SMI, NMI or ExtINT are left alone and nobody may
 * have them; the others start masked. Lines that the MADT calls NMI sources are delivered as NMI to the boot CPU. Without a
 * MADT one I/O APIC at the usual address is tried; one that overlaps another's lines is left out.
 *
 * An entry has two registers. The lower one has vector, shape and mask, the upper one the CPU. Nothing here needs both to
 * change at once: who moves a line has a vector that is good on both CPUs (irq_move.c).
 *
 * Remote IRR is set when a level's interrupt was delivered and cleared by the acknowledgement of a CPU, which names the vector:
 * a line whose vector changes meanwhile would keep it for ever, and deliver nothing any more.
 */
#include <hal/irq.h>
#include <lib/atomic.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include "acpi_glue.h"
#include "irq.h"
#include "x86.h"

#define IOAPIC_USUAL_PADDR	0xfec00000ull
#define IOAPIC_BYTES		4096
#define IOAPIC_INDEX		0x00
#define IOAPIC_DATA		0x10
#define IOAPIC_REG_VERSION	1
#define IOAPIC_REG_ENTRY(n)	(0x10 + 2 * (n))
#define ENTRY_VECTOR		0xffu
#define ENTRY_ACTIVE_LOW	(1u << 13)
#define ENTRY_REMOTE_IRR	(1u << 14)
#define ENTRY_LEVEL		(1u << 15)
#define ENTRY_MASKED		(1u << 16)
#define ENTRY_NMI		(4u << 8)
#define ENTRY_MODE(e)		(((e) >> 8) & 7)
#define MODE_FIXED		0
#define MODE_LOWEST		1
#define ISA_LINES		16
#define IOAPIC_MAX_LINES	240

struct ioapic {
	volatile u8 *regs;	/* [I] */
	u32 gsi_base;		/* [I] */
	u32 lines;		/* [I] */
	DECLARE_BITMAP(reserved, 256);	/* [I] lines that are firmware's or NMIs */
};

static struct ioapic ioapics[ACPI_MAX_IOAPICS];
static u32 nr_ioapics;
static u32 ioapic_lock;

static irqflags_t lock(void)
{
	irqflags_t f = hal_irq_save();

	while (xchg(&ioapic_lock, 1u))
		hal_cpu_relax();
	return f;
}

static void unlock(irqflags_t f)
{
	smp_store_release(&ioapic_lock, 0u);
	hal_irq_restore(f);
}

static u32 ioapic_read(const struct ioapic *io, u32 reg)
{
	x86_mmio_write32(io->regs + IOAPIC_INDEX, reg);
	return x86_mmio_read32(io->regs + IOAPIC_DATA);
}

static void ioapic_write(const struct ioapic *io, u32 reg, u32 v)
{
	x86_mmio_write32(io->regs + IOAPIC_INDEX, reg);
	x86_mmio_write32(io->regs + IOAPIC_DATA, v);
}

static struct ioapic *ioapic_of(u32 irq)
{
	for (u32 i = 0; i < nr_ioapics; i++)
		if (irq - ioapics[i].gsi_base < ioapics[i].lines)
			return &ioapics[i];
	return NULL;
}

static bool overlaps(const struct ioapic *io)
{
	for (u32 i = 0; i < nr_ioapics; i++)
		if (io->gsi_base < ioapics[i].gsi_base + ioapics[i].lines && ioapics[i].gsi_base < io->gsi_base + io->lines)
			return true;
	return false;
}

static void mask_lines(struct ioapic *io)
{
	for (u32 n = 0; n < io->lines; n++) {
		u32 entry = ioapic_read(io, IOAPIC_REG_ENTRY(n));

		if (ENTRY_MODE(entry) == MODE_FIXED || ENTRY_MODE(entry) == MODE_LOWEST)
			ioapic_write(io, IOAPIC_REG_ENTRY(n), entry | ENTRY_MASKED);
		else if (!(entry & ENTRY_MASKED))
			bitmap_set_bit(io->reserved, n);
	}
}

static void add(paddr_t paddr, u32 gsi_base)
{
	struct ioapic io = { .gsi_base = gsi_base };
	u32 version;

	io.regs = upcall_mmio_map(paddr, IOAPIC_BYTES);
	if (!io.regs)
		return;
	version = ioapic_read(&io, IOAPIC_REG_VERSION);
	if (version == 0xffffffffu || (version & 0xff) == 0) {
		upcall_log(4, "ioapic: nothing answers at %llx", (unsigned long long)paddr);
		return;
	}
	io.lines = MIN(((version >> 16) & 0xff) + 1, (u32)IOAPIC_MAX_LINES);
	mask_lines(&io);
	if (gsi_base > IRQ_LINES_END - io.lines || overlaps(&io)) {
		upcall_log(4, "ioapic: at %llx, lines from %u: another has them, or there are no such numbers",
			   (unsigned long long)paddr, gsi_base);
		return;
	}
	ioapics[nr_ioapics++] = io;
	upcall_log(6, "ioapic: at %llx, lines %u to %u", (unsigned long long)paddr, gsi_base, gsi_base + io.lines - 1);
}

/* As NMI, edge, not masked: level is not allowed there; there is no vector and no acknowledgement. */
static int route_nmi(u32 irq, u32 apic_id, u32 polarity, bool for_ever)
{
	struct ioapic *io = ioapic_of(irq);
	irqflags_t f;
	u32 n;

	if (!io || !x86_apic_id_reachable(apic_id))
		return -EINVAL;
	n = irq - io->gsi_base;
	if (bitmap_test(io->reserved, n))
		return -EBUSY;
	if (for_ever)
		bitmap_set_bit(io->reserved, n);
	f = lock();
	ioapic_write(io, IOAPIC_REG_ENTRY(n), ENTRY_MASKED);
	ioapic_write(io, IOAPIC_REG_ENTRY(n) + 1, apic_id << 24);
	ioapic_write(io, IOAPIC_REG_ENTRY(n), ENTRY_NMI | polarity);
	unlock(f);
	return 0;
}

int x86_ioapic_route_nmi(u32 irq, u32 apic_id)
{
	return route_nmi(irq, apic_id, 0, false);
}

/* ACPI 6.5 5.2.12.6. */
static void nmi_sources(void)
{
	for (u32 i = 0; i < x86_acpi.nr_nmi_sources; i++) {
		const struct acpi_nmi_source *n = &x86_acpi.nmi_sources[i];
		u32 low = n->polarity == ACPI_ACTIVE_LOW ? ENTRY_ACTIVE_LOW : 0;

		if (route_nmi(n->gsi, hal_percpu()->apic_id, low, true))
			upcall_log(4, "ioapic: NMI source %u: no such line", n->gsi);
	}
}

void x86_ioapic_init(void)
{
	for (u32 i = 0; i < x86_acpi.nr_ioapics; i++)
		add(x86_acpi.ioapics[i].paddr, x86_acpi.ioapics[i].gsi_base);
	if (!nr_ioapics && !x86_acpi.has_madt)
		add(IOAPIC_USUAL_PADDR, 0);
	if (!nr_ioapics)
		upcall_log(4, "ioapic: none: devices will be polled");
	nmi_sources();
}

u32 hal_irq_isa(u32 line)
{
	return line < ISA_LINES ? acpi_isa_irq(&x86_acpi, (u8)line).gsi : line;
}

/* Trigger and polarity bits: what the caller says, else what firmware says, else the bus's custom. */
static u32 entry_shape(u32 irq, u32 flags)
{
	bool level = true, low = true;

	for (u8 line = 0; line < ISA_LINES; line++) {
		struct acpi_override o = acpi_isa_irq(&x86_acpi, line);

		if (o.gsi == irq) {
			level = o.trigger == ACPI_LEVEL;
			low = o.polarity == ACPI_ACTIVE_LOW;
		}
	}
	if (flags & (HAL_IRQ_LEVEL | HAL_IRQ_EDGE))
		level = (flags & HAL_IRQ_LEVEL) != 0;
	if (flags & (HAL_IRQ_ACTIVE_LOW | HAL_IRQ_ACTIVE_HIGH))
		low = (flags & HAL_IRQ_ACTIVE_LOW) != 0;
	return (level ? ENTRY_LEVEL : 0) | (low ? ENTRY_ACTIVE_LOW : 0);
}

bool x86_ioapic_has(u32 irq)
{
	return ioapic_of(irq) != NULL;
}

u32 x86_ioapic_end(void)
{
	u32 end = ISA_LINES;

	for (u32 i = 0; i < nr_ioapics; i++)
		end = MAX(end, ioapics[i].gsi_base + ioapics[i].lines);
	return end;
}

u32 x86_ioapic_pin(u32 irq)
{
	const struct ioapic *io = ioapic_of(irq);

	return io ? irq - io->gsi_base : 0;
}

int x86_ioapic_route(u32 irq, u32 vector, u32 apic_id, u32 flags)
{
	const struct ioapic *io = ioapic_of(irq);
	irqflags_t f;
	u32 n;

	if (!io)
		return -EINVAL;
	n = irq - io->gsi_base;
	if (bitmap_test(io->reserved, n))
		return -EBUSY;
	if (!x86_apic_id_reachable(apic_id))
		return -ENODEV;
	f = lock();
	ioapic_write(io, IOAPIC_REG_ENTRY(n), ENTRY_MASKED);
	ioapic_write(io, IOAPIC_REG_ENTRY(n) + 1, apic_id << 24);
	ioapic_write(io, IOAPIC_REG_ENTRY(n), ENTRY_MASKED | entry_shape(irq, flags) | vector);
	unlock(f);
	return 0;
}

/* The entry's lower register, with these bits changed. False: no such line. */
static bool change(u32 irq, u32 clear, u32 set)
{
	const struct ioapic *io = ioapic_of(irq);
	irqflags_t f;
	u32 reg;

	if (!io)
		return false;
	reg = IOAPIC_REG_ENTRY(irq - io->gsi_base);
	f = lock();
	ioapic_write(io, reg, (ioapic_read(io, reg) & ~clear) | set);
	unlock(f);
	return true;
}

static u32 lower(u32 irq)
{
	const struct ioapic *io = ioapic_of(irq);
	irqflags_t f;
	u32 entry;

	if (!io)
		return 0;
	f = lock();
	entry = ioapic_read(io, IOAPIC_REG_ENTRY(irq - io->gsi_base));
	unlock(f);
	return entry;
}

void x86_ioapic_set_masked(u32 irq, bool masked)
{
	(void)change(irq, ENTRY_MASKED, masked ? ENTRY_MASKED : 0);
}

void x86_ioapic_set_vector(u32 irq, u32 vector)
{
	(void)change(irq, ENTRY_VECTOR, vector);
}

/* Read back, so that what the chip sent before is at its CPU on return. */
void x86_ioapic_set_target(u32 irq, u32 apic_id)
{
	const struct ioapic *io = ioapic_of(irq);
	irqflags_t f;
	u32 reg;

	if (!io)
		return;
	reg = IOAPIC_REG_ENTRY(irq - io->gsi_base) + 1;
	f = lock();
	ioapic_write(io, reg, apic_id << 24);
	(void)ioapic_read(io, reg);
	unlock(f);
}

bool x86_ioapic_is_level(u32 irq)
{
	return (lower(irq) & ENTRY_LEVEL) != 0;
}

bool x86_ioapic_in_service(u32 irq)
{
	return (lower(irq) & (ENTRY_LEVEL | ENTRY_REMOTE_IRR)) == (ENTRY_LEVEL | ENTRY_REMOTE_IRR);
}

/* Being an edge for a moment clears Remote IRR; masked meanwhile, so that the level makes no edge. */
void x86_ioapic_forget_service(u32 irq)
{
	u32 entry = lower(irq);

	if (!change(irq, ENTRY_LEVEL, ENTRY_MASKED))
		return;
	(void)change(irq, 0, entry & ENTRY_LEVEL);
	(void)change(irq, ENTRY_MASKED, entry & ENTRY_MASKED);
}
