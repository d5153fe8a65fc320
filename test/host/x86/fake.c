/* SPDX-License-Identifier: MIT */
/* The made-up machine: fake.h says what it is for. */
#include <hal/clock.h>
#include <lib/printf.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "apic.h"
#include "fake.h"
#include "framework.h"

#define MMIO_BASE	0x500000000000ull	/* device memory's "virtual" address is this + physical */
#define BASE_X2		(1ull << 10)
#define BASE_ENABLE	(1ull << 11)
#define BASE_BSP	(1ull << 8)
#define IO_VECTOR(e)	((u32)((e) & 0xff))
#define IO_MODE(e)	((u32)((e) >> 8) & 7)
#define IO_REMOTE	(1ull << 14)
#define IO_LEVEL	(1ull << 15)
#define IO_MASKED	(1ull << 16)
#define IO_TARGET(e)	((u32)((e) >> 56))

struct fake_machine fake;
struct acpi_info x86_acpi;
struct x86_clock x86_clock; /* mult 0: time is x86_clock_slow_ns() */
struct x86_cpu *x86_cpus[HAL_MAX_CPUS];

#define BROKEN(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

static struct fake_cpu *me(void)
{
	return &fake.cpus[fake.cur];
}

static void stir(void)
{
	if (!fake.chaos || fake.in_chaos)
		return;
	fake.in_chaos = true;
	fake.chaos();
	fake.in_chaos = false;
}

/* ---- local APICs ------------------------------------------------------------------------------- */

static struct fake_cpu *by_id(u32 id)
{
	for (u32 i = 0; i < FAKE_CPUS; i++)
		if (fake.cpus[i].apic.id == id)
			return &fake.cpus[i];
	return NULL;
}

static void accept(u32 id, u32 vector, bool level)
{
	struct fake_cpu *c = by_id(id);

	if (!c) {
		BROKEN("an interrupt for APIC id %u, which nobody has", id);
		return;
	}
	if (vector < 16) {
		BROKEN("vector %u is illegal", vector);
		return;
	}
	c->apic.irr[vector] = 1;
	c->apic.tmr[vector] = level;
}

static int highest(const u8 *bits)
{
	for (int v = 255; v >= 0; v--)
		if (bits[v])
			return v;
	return -1;
}

static void io_ack(u32 vector);

static void eoi(struct fake_apic *a)
{
	int v = highest(a->isr);

	if (v < 0) {
		BROKEN("EOI of nothing");
		return;
	}
	a->isr[v] = 0;
	a->eois++;
	if (a->tmr[v])
		io_ack((u32)v);
}

static void command(struct fake_apic *a, u32 target, u32 low)
{
	struct fake_cpu *c = by_id(target);

	if (low & ~0x4fffu)
		BROKEN("ICR %x has bits that no command of ours has", low);
	if (!c)
		BROKEN("ICR: nobody has id %u", target);
	else if ((low & 0x700) == APIC_ICR_NMI)
		c->apic.nmis++;
	else
		accept(target, low & 0xff, false);
}

static bool apic_reg_known(u32 reg)
{
	switch (reg) {
	case APIC_ID: case APIC_VERSION: case APIC_TPR: case APIC_EOI: case APIC_SVR: case APIC_ESR: case APIC_ICR:
	case APIC_LVT_TIMER: case APIC_LVT_LINT0: case APIC_LVT_LINT1: case APIC_LVT_ERROR: case APIC_LVT_PERF:
	case APIC_LVT_THERMAL: case APIC_LVT_CMCI: case APIC_TIMER_INIT: case APIC_TIMER_NOW: case APIC_TIMER_DIV:
		return true;
	default:
		return reg % 16 == 0 && reg >= APIC_ISR && reg < APIC_ESR;
	}
}

static u32 bits_of(const u8 *bits, u32 first)
{
	u32 v = 0;

	for (u32 i = 0; i < 32; i++)
		v |= (u32)bits[first + i] << i;
	return v;
}

static u32 apic_get(struct fake_apic *a, u32 reg, bool x2)
{
	if (!apic_reg_known(reg) && !(reg == APIC_ICR_HIGH && !x2))
		BROKEN("read of APIC register %x", reg);
	if (reg == APIC_ID)
		return x2 ? a->id : a->id << 24;
	if (reg == APIC_VERSION)
		return 6u << 16 | 0x15;
	if (reg >= APIC_ISR && reg < APIC_ISR + 0x80)
		return bits_of(a->isr, (reg - APIC_ISR) * 2);
	if (reg >= APIC_IRR && reg < APIC_IRR + 0x80)
		return bits_of(a->irr, (reg - APIC_IRR) * 2);
	if (reg == APIC_ESR)
		return a->esr;
	return a->regs[reg / 16];
}

static void apic_put(struct fake_apic *a, u32 reg, u32 v, bool x2)
{
	if (reg == APIC_EOI) {
		if (v)
			BROKEN("EOI with %x", v);
		eoi(a);
		return;
	}
	if (reg == APIC_ESR) {
		if (v && x2)
			BROKEN("ESR written with %x: a #GP", v);
		a->esr = a->esr_latch;
		a->esr_latch = 0;
		return;
	}
	if (!apic_reg_known(reg) && !(reg == APIC_ICR_HIGH && !x2))
		BROKEN("write of APIC register %x", reg);
	if (reg == APIC_ID || reg == APIC_VERSION || (reg >= APIC_ISR && reg < APIC_ESR))
		BROKEN("write of read-only APIC register %x", reg);
	a->regs[reg / 16] = v;
	if (reg == APIC_ICR)
		command(a, a->regs[APIC_ICR_HIGH / 16] >> 24, v);
}

static bool is_x2(const struct fake_apic *a)
{
	return (a->base & (BASE_X2 | BASE_ENABLE)) == (BASE_X2 | BASE_ENABLE);
}

u64 x86_rdmsr(u32 msr)
{
	struct fake_apic *a = &me()->apic;

	if (msr == X86_MSR_APIC_BASE)
		return a->base;
	if (msr < X86_MSR_X2APIC || msr > X86_MSR_X2APIC + 0x3f || !is_x2(a) || msr == X86_MSR_X2APIC + 0x31) {
		BROKEN("RDMSR %x: a #GP", msr);
		return 0;
	}
	return apic_get(a, (msr - X86_MSR_X2APIC) * 16, true);
}

/* SDM vol. 3A figure 11-27: the ways between the modes. */
static void set_base(struct fake_apic *a, u64 v)
{
	u64 was = a->base & (BASE_X2 | BASE_ENABLE), to = v & (BASE_X2 | BASE_ENABLE);
	bool wrong = to == BASE_X2 || (was == 0 && to == (BASE_X2 | BASE_ENABLE)) ||
		     (was == (BASE_X2 | BASE_ENABLE) && to == BASE_ENABLE);

	if (to & BASE_X2 && !fake.x2_possible)
		wrong = true;
	if (wrong)
		BROKEN("APIC mode from %llx to %llx: a #GP", (unsigned long long)was, (unsigned long long)to);
	if (!fake.x2_sticks)
		v &= ~BASE_X2;
	a->base = v;
}

void x86_wrmsr(u32 msr, u64 v)
{
	struct fake_apic *a = &me()->apic;

	if (msr == X86_MSR_APIC_BASE) {
		set_base(a, v);
		return;
	}
	if (msr < X86_MSR_X2APIC || msr > X86_MSR_X2APIC + 0x3f || !is_x2(a) || msr == X86_MSR_X2APIC + 0x31) {
		BROKEN("WRMSR %x: a #GP", msr);
		return;
	}
	if (msr == X86_MSR_X2APIC + APIC_ICR / 16)
		command(a, (u32)(v >> 32), (u32)v);
	else if (v >> 32)
		BROKEN("WRMSR %x with %llx: a #GP", msr, (unsigned long long)v);
	else
		apic_put(a, (msr - X86_MSR_X2APIC) * 16, (u32)v, true);
}

/* ---- the I/O APIC ------------------------------------------------------------------------------ */

static void io_try(u32 n, bool edge)
{
	struct fake_line *l = &fake.io.lines[n];
	bool level = (l->entry & IO_LEVEL) != 0;

	if (l->entry & IO_MASKED || (level && (!l->high || l->entry & IO_REMOTE)) || (!level && !edge))
		return;
	if (IO_MODE(l->entry) == 4) {
		struct fake_cpu *c = by_id(IO_TARGET(l->entry));

		EXPECT(!level && c);
		if (c)
			c->apic.nmis++;
		return;
	}
	if (IO_MODE(l->entry) != 0)
		return;
	if (level)
		l->entry |= IO_REMOTE;
	accept(IO_TARGET(l->entry), IO_VECTOR(l->entry), level);
}

/* An acknowledgement names a vector, not a line: all that have it hear it. */
static void io_ack(u32 vector)
{
	for (u32 n = 0; n < FAKE_LINES; n++) {
		struct fake_line *l = &fake.io.lines[n];

		if (!(l->entry & IO_LEVEL) || IO_VECTOR(l->entry) != vector)
			continue;
		l->entry &= ~IO_REMOTE;
		io_try(n, false);
	}
}

void fake_line_set(u32 line, bool high)
{
	bool edge = high && !fake.io.lines[line].high;

	fake.io.lines[line].high = high;
	io_try(line, edge);
}

/* What was posted has arrived. */
static void io_settle(void)
{
	struct fake_line *l = &fake.io.lines[fake.io.posted_line];

	if (!fake.io.is_posted)
		return;
	fake.io.is_posted = false;
	l->entry = (l->entry & 0xffffffffull) | (u64)fake.io.posted_target << 32;
	io_try(fake.io.posted_line, false);
}

static u32 io_read(void)
{
	u32 i = fake.io.index;

	if (i == 1)
		return (FAKE_LINES - 1) << 16 | 0x20;
	if (i < 0x10 || i >= 0x10 + 2 * FAKE_LINES) {
		BROKEN("read of I/O APIC register %x", i);
		return 0;
	}
	return (u32)(fake.io.lines[(i - 0x10) / 2].entry >> (i % 2 * 32));
}

static void io_write(u32 v)
{
	u32 i = fake.io.index, n = (i - 0x10) / 2;
	struct fake_line *l = &fake.io.lines[n];

	if (i < 0x10 || i >= 0x10 + 2 * FAKE_LINES) {
		BROKEN("write of I/O APIC register %x", i);
		return;
	}
	fake.io.writes++;
	if (i % 2) {
		fake.io.is_posted = true;
		fake.io.posted_line = n;
		fake.io.posted_target = v;
	} else {
		/* Remote IRR and the delivery status are the chip's; an edge has no Remote IRR. */
		l->entry = (l->entry & (0xffffffff00000000ull | IO_REMOTE)) | (v & ~0x5000u);
		if (!(v & IO_LEVEL))
			l->entry &= ~IO_REMOTE;
		if (!(v & IO_MASKED) && IO_MODE(v) == 0 && IO_VECTOR(v) < 16)
			BROKEN("line %u goes to vector %u", n, IO_VECTOR(v));
	}
	io_try(n, false);
	stir();
}

u32 fake_line_target(u32 line)
{
	return IO_TARGET(fake.io.lines[line].entry);
}

u32 fake_line_vector(u32 line)
{
	return IO_VECTOR(fake.io.lines[line].entry);
}

bool fake_line_masked(u32 line)
{
	return (fake.io.lines[line].entry & IO_MASKED) != 0;
}

u32 x86_mmio_read32(const volatile void *p)
{
	u64 paddr = (u64)(uintptr_t)p - MMIO_BASE;

	if (paddr == FAKE_IOAPIC + 0x10) {
		io_settle();
		return io_read();
	}
	if (paddr >= FAKE_LAPIC && paddr < FAKE_LAPIC + 0x400 && paddr % 16 == 0) {
		if (is_x2(&me()->apic))
			BROKEN("memory-mapped APIC in x2APIC mode");
		return apic_get(&me()->apic, (u32)(paddr - FAKE_LAPIC), false);
	}
	BROKEN("read of device memory %llx", (unsigned long long)paddr);
	return 0;
}

void x86_mmio_write32(volatile void *p, u32 v)
{
	u64 paddr = (u64)(uintptr_t)p - MMIO_BASE;

	if (paddr == FAKE_IOAPIC || paddr == FAKE_IOAPIC + 0x10)
		io_settle();
	if (paddr == FAKE_IOAPIC) {
		fake.io.index = v;
	} else if (paddr == FAKE_IOAPIC + 0x10) {
		io_write(v);
	} else if (paddr >= FAKE_LAPIC && paddr < FAKE_LAPIC + 0x400 && paddr % 16 == 0) {
		if (is_x2(&me()->apic))
			BROKEN("memory-mapped APIC in x2APIC mode");
		apic_put(&me()->apic, (u32)(paddr - FAKE_LAPIC), v, false);
	} else {
		BROKEN("write of device memory %llx", (unsigned long long)paddr);
	}
}

void *upcall_mmio_map(paddr_t base, size_t bytes)
{
	return (void *)(uintptr_t)(MMIO_BASE + base);
}

void fake_message(const struct hal_msi_msg *msg)
{
	if ((msg->address & 0xfff00fffull) != 0xfee00000ull || msg->address >> 32)
		BROKEN("a message to %llx", (unsigned long long)msg->address);
	if (msg->data & ~0xffu)
		BROKEN("a message of %x", msg->data);
	accept((u32)(msg->address >> 12) & 0xff, msg->data & 0xff, false);
}

/* ---- the 8259s --------------------------------------------------------------------------------- */

void x86_outb(u16 port, u8 v)
{
	u32 chip = port >= 0xa0;

	switch (port) {
	case 0x20:
	case 0xa0:
		if (v == 0x11)
			fake.pic_step[chip] = 1;
		else if (v == 0x0b)
			fake.pic_read_isr[chip] = true;
		else if ((v & 0xf8) == 0x60)
			fake.pic_isr[chip] &= (u8)~(1u << (v & 7)), fake.pic_eoi[chip]++;
		else
			BROKEN("8259 command %x", v);
		return;
	case 0x21:
	case 0xa1:
		if (fake.pic_step[chip] == 1 && v % 8)
			BROKEN("8259 vector base %x", v);
		if (fake.pic_step[chip] && fake.pic_step[chip] < 4)
			fake.pic_step[chip]++;
		else
			fake.pic_mask[chip] = v;
		return;
	default:
		BROKEN("OUT to port %x", port);
	}
}

u8 x86_inb(u16 port)
{
	if (port == 0x61)
		return 0;
	if ((port == 0x20 || port == 0xa0) && fake.pic_read_isr[port >= 0xa0])
		return fake.pic_isr[port >= 0xa0];
	BROKEN("IN from port %x", port);
	return 0xff;
}

/* ---- CPUs -------------------------------------------------------------------------------------- */

struct hal_percpu *hal_percpu(void)
{
	return &me()->hal.pc;
}

u32 hal_cpu_id(void)
{
	return fake.cur;
}

struct hal_percpu *hal_percpu_of(u32 cpu)
{
	return cpu < FAKE_CPUS ? &fake.cpus[cpu].hal.pc : NULL;
}

u32 hal_cpu_count(void)
{
	return FAKE_CPUS;
}

bool hal_cpu_online(u32 cpu)
{
	return cpu < FAKE_CPUS && fake.cpus[cpu].online;
}

irqflags_t hal_irq_save(void)
{
	irqflags_t f = me()->irqs_on;

	me()->irqs_on = false;
	return f;
}

void hal_irq_restore(irqflags_t f)
{
	if (f)
		hal_irq_enable();
}

void hal_irq_enable(void)
{
	me()->irqs_on = true;
	fake_run(fake.cur, true);
}

void hal_irq_disable(void)
{
	me()->irqs_on = false;
}

bool hal_irq_enabled(void)
{
	return me()->irqs_on;
}

void hal_cpu_relax(void)
{
	fake.relaxes++;
	fake.now_ns += 1000000;
	if (me()->irqs_on)
		fake_run_all();
	else
		BROKEN("waits with interrupts off");
}

bool fake_pending(u32 cpu, u32 vector)
{
	return fake.cpus[cpu].apic.irr[vector];
}

/* In a handler of that CPU nothing comes; chaos stays off what takes locks that the interrupted code may have. */
void fake_run(u32 cpu, bool any)
{
	struct fake_cpu *c = &fake.cpus[cpu];
	u32 was = fake.cur;

	while (c->irqs_on && c->online && !c->depth) {
		int v = highest(c->apic.irr);

		if (v < 0 || (!any && (v < X86_VEC_DEVICE_FIRST || v > X86_VEC_DEVICE_LAST)))
			break;
		c->apic.irr[v] = 0;
		c->apic.isr[v] = 1;
		c->irqs_on = false;
		c->depth++;
		fake.cur = cpu;
		x86_irq_dispatch(NULL, (u32)v);
		fake.cur = was;
		c->depth--;
		c->irqs_on = true;
		EXPECT(!c->apic.isr[v]);
	}
}

void fake_run_all(void)
{
	for (u32 i = 0; i < FAKE_CPUS; i++)
		fake_run(i, true);
}

u64 x86_clock_slow_ns(void)
{
	return fake.now_ns += 100;
}

/* ---- what the tested files call --------------------------------------------------------------- */

bool x86_has(enum x86_feature f)
{
	return f == X86_F_APIC || (f == X86_F_X2APIC && fake.x2_possible) || (f == X86_F_HYPERVISOR && fake.hypervisor);
}

void upcall_log(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fake.last_log, sizeof(fake.last_log), fmt, ap);
	va_end(ap);
	fake.logs++;
}

void upcall_panic(const char *fmt, ...)
{
	BROKEN("panic: %s", fmt);
	__builtin_trap();
}

void *upcall_alloc(size_t bytes)
{
	if (fake.fail_allocation && ++fake.allocations == fake.fail_allocation)
		return NULL;
	fake.live++;
	return host_alloc(bytes);
}

void upcall_free(void *p)
{
	fake.live -= p != NULL;
	host_free(p);
}

void upcall_irq_enter(struct hal_regs *regs, u32 vector)
{
	EXPECT(!me()->irqs_on);
}

void upcall_irq_exit(struct hal_regs *regs)
{
	EXPECT(!me()->irqs_on);
}

void upcall_timer(void)
{
}

void upcall_irq_added(u32 irq)
{
	EXPECT(me()->irqs_on);
	fake.added++;
}

void upcall_irq_removed(u32 irq)
{
	EXPECT(me()->irqs_on);
	fake.removed++;
}

void upcall_irq_handler(u32 irq, const char *name, bool added)
{
	EXPECT(me()->irqs_on);
	fake.named += added ? 1u : ~0u;
}

bool x86_ipi_bare(u32 vector)
{
	return false;
}

bool x86_ipi_handle(u32 vector)
{
	return false;
}

void x86_timer_init_cpu(void)
{
}

void hal_timer_stop(void)
{
}

/* ---- power ------------------------------------------------------------------------------------- */

void fake_power_on(void)
{
	fake.x2_sticks = true;
	x86_acpi.nr_cpus = FAKE_CPUS;
	x86_acpi.nr_ioapics = 1;
	x86_acpi.has_madt = true;
	x86_acpi.ioapics[0].paddr = FAKE_IOAPIC;
	for (u32 i = 0; i < FAKE_CPUS; i++) {
		struct fake_cpu *c = &fake.cpus[i];

		c->apic.id = 2 * i + 1;
		c->apic.base = FAKE_LAPIC | BASE_ENABLE | (i ? 0 : BASE_BSP);
		c->hal.pc.cpu = i;
		c->online = true;
		x86_cpus[i] = &c->hal;
		x86_acpi.cpus[i].apic_id = c->apic.id;
		x86_acpi.cpus[i].uid = i;
		x86_acpi.cpus[i].enabled = true;
	}
	for (u32 n = 0; n < FAKE_LINES; n++)
		fake.io.lines[n].entry = IO_MASKED;
	fake.cur = 0;
}

void fake_boot(void)
{
	x86_pic_disable();
	x86_apic_init();
	x86_irq_init();
	x86_ioapic_init();
	me()->irqs_on = true;
	for (u32 i = 1; i < FAKE_CPUS; i++) {
		EXPECT_EQ(hal_irq_cpu_prepare(i), 0);
		fake.cur = i;
		x86_apic_init_cpu();
		fake.cpus[i].irqs_on = true;
		fake.cur = 0;
		hal_irq_cpu_online(i);
	}
}

void fake_scenario(void (*fn)(void))
{
	EXPECT(host_in_child(fn));
}
