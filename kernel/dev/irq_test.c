/* SPDX-License-Identifier: MIT */
/*
 * Self tests of interrupts with a device that has no other purpose: QEMU's `edu` (its docs/specs/edu.rst; 1234:11e8). A write
 * raises its interrupt, by INTx or, when that is on, by MSI; a write takes it back. The tests are skipped where there is none.
 *
 * What is shown: each way arrives; nothing is lost while the irq goes round the CPUs, while CPUs go and come, while it is
 * masked; a line that stays up with nobody to answer is masked and said so. Each run ends with the device free again.
 */
#define LOG_TAG "irqtest"
#include <hal/clock.h>
#include <hal/irq.h>
#include <hal/pci.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/selftest.h>
#include <kernel/dev/pci.h>
#include <kernel/mm/kmap.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/thread.h>
#include <kernel/sched/wait.h>
#include <lib/atomic.h>
#include <lib/errno.h>
#include <lib/string.h>

#if HALCYON_DEBUG

#define EDU_VENDOR	0x1234u
#define EDU_DEVICE	0x11e8u
#define EDU_BAR_BYTES	0x1000u	/* what is used of it */
#define EDU_ID		0x00u
#define EDU_ID_MASK	0xffffu
#define EDU_ID_VALUE	0x00edu
#define EDU_LIVENESS	0x04u	/* reads as the complement of what was written */
#define EDU_STATUS	0x24u	/* why it interrupts */
#define EDU_RAISE	0x60u
#define EDU_ACK		0x64u
#define ROUNDS		200u
#define ANSWER_NS	(10ull * NSEC_PER_SEC)	/* an emulated CPU may be off its host CPU for long */

/* [t] the test thread's, [a] atomic. One test at a time. */
static struct edu {
	struct pci_dev *dev;		/* [t] */
	volatile u8 *regs;		/* [t] */
	u32 irq;			/* [t] */
	u32 calls;			/* [a] of the handler */
	u32 seen;			/* [a] with a reason */
	u32 last_cpu;			/* [a] */
	bool deaf;			/* [a] the handler says that it is not its device's */
	bool stop;			/* [a] */
} edu;

static enum hal_irq_result edu_interrupt(void *arg, u32 irq)
{
	struct edu *e = arg;
	u32 status = hal_mmio_read32(e->regs + EDU_STATUS);

	__atomic_fetch_add(&e->calls, 1, __ATOMIC_RELAXED);
	if (!status || READ_ONCE(e->deaf))
		return HAL_IRQ_NONE;
	hal_mmio_write32(e->regs + EDU_ACK, status);
	WRITE_ONCE(e->last_cpu, hal_cpu_id());
	__atomic_fetch_add(&e->seen, 1, __ATOMIC_RELEASE);
	return HAL_IRQ_HANDLED;
}

static bool edu_setup(u32 allow)
{
	memset(&edu, 0, sizeof(edu));
	edu.dev = pci_find(EDU_VENDOR, EDU_DEVICE, NULL);
	if (!edu.dev) {
		selftest_skip("no edu device");
		return false;
	}
	if (!EXPECT_EQ(pci_enable(edu.dev, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER), 0))
		goto put;
	edu.regs = pci_map_bar(edu.dev, 0, 0, EDU_BAR_BYTES);
	if (!EXPECT(edu.regs))
		goto disable;
	EXPECT_EQ(hal_mmio_read32(edu.regs + EDU_ID) & EDU_ID_MASK, EDU_ID_VALUE);
	hal_mmio_write32(edu.regs + EDU_LIVENESS, 0x12345678);
	EXPECT_EQ(hal_mmio_read32(edu.regs + EDU_LIVENESS), ~0x12345678u);
	if (!EXPECT_EQ(pci_irq_alloc(edu.dev, 1, 1, allow), 1))
		goto unmap;
	edu.irq = pci_irq(edu.dev, 0);
	if (EXPECT_EQ(pci_irq_request(edu.dev, 0, edu_interrupt, &edu, "edu"), 0))
		return true;
	pci_irq_free(edu.dev);
unmap:
	kmap_unmap((void *)edu.regs);
disable:
	pci_disable(edu.dev);
put:
	pci_put(edu.dev);
	return false;
}

static void edu_end(void)
{
	hal_mmio_write32(edu.regs + EDU_ACK, ~0u);
	pci_irq_release(edu.dev, 0, &edu);
	pci_irq_free(edu.dev);
	kmap_unmap((void *)edu.regs);
	pci_disable(edu.dev);
	pci_put(edu.dev);
}

static void nap(u64 ns)
{
	thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
	(void)thread_sleep_until(clock_mono_ns() + ns, THREAD_UNINTERRUPTIBLE, "irq test");
}

/* Raises it and waits until the handler has had the reason. */
static bool answered(void)
{
	u32 before = __atomic_load_n(&edu.seen, __ATOMIC_ACQUIRE);
	u64 end = hal_clock_ns() + ANSWER_NS;

	hal_mmio_write32(edu.regs + EDU_RAISE, 1);
	while (__atomic_load_n(&edu.seen, __ATOMIC_ACQUIRE) == before && hal_clock_ns() < end)
		(void)sched_yield_self();
	return __atomic_load_n(&edu.seen, __ATOMIC_ACQUIRE) != before;
}

static void answers(u32 n)
{
	u32 got = 0;

	while (got < n && answered())
		got++;
	EXPECT_EQ(got, n);
}

static bool steer(u32 cpu)
{
	struct cpumask one;

	cpumask_clear(&one);
	cpumask_set(&one, cpu);
	return hal_irq_set_affinity(edu.irq, one.bits) == 0;
}

static u32 effective(void)
{
	struct cpumask m;
	u32 cpu = ~0u;

	EXPECT(hal_irq_affinity(edu.irq, m.bits, &cpu));
	return cpu;
}

SELFTEST(irq, line_of_a_device)
{
	struct hal_irq_info info;
	u32 irq;

	if (!edu_setup(PCI_ALLOW(PCI_IRQ_LINE)))
		return;
	answers(ROUNDS);
	irq = edu.irq;
	EXPECT(hal_irq_next(&irq, &info) && irq == edu.irq && info.count >= ROUNDS && !strcmp(info.flow, "fasteoi"));
	edu_end();
}

SELFTEST(irq, message_of_a_device)
{
	struct hal_irq_info info;
	u32 irq;

	if (!edu_setup(PCI_ALLOW(PCI_IRQ_MSI)))
		return;
	answers(ROUNDS);
	EXPECT_EQ(edu.calls, edu.seen); /* a message is nobody else's */
	irq = edu.irq;
	EXPECT(hal_irq_next(&irq, &info) && irq == edu.irq && info.count == ROUNDS && !strcmp(info.chip, "PCI-MSI"));
	edu_end();
	irq = edu.irq;
	EXPECT(!hal_irq_next(&irq, &info) || irq != edu.irq); /* the number is gone */
}

static void masked(u32 allow)
{
	u32 before;

	if (!edu_setup(allow))
		return;
	answers(1);
	for (u32 i = 0; i < 10; i++) {
		hal_irq_mask(edu.irq);
		before = __atomic_load_n(&edu.seen, __ATOMIC_ACQUIRE);
		hal_mmio_write32(edu.regs + EDU_RAISE, 1);
		nap(2 * NSEC_PER_MSEC);
		EXPECT_EQ(__atomic_load_n(&edu.seen, __ATOMIC_ACQUIRE), before);
		hal_irq_unmask(edu.irq);
		for (u32 n = 0; n < 1000 && __atomic_load_n(&edu.seen, __ATOMIC_ACQUIRE) == before; n++)
			nap(NSEC_PER_MSEC);
		EXPECT_EQ(__atomic_load_n(&edu.seen, __ATOMIC_ACQUIRE), before + 1);
	}
	answers(1);
	edu_end();
}

SELFTEST(irq, line_masked_is_late_not_lost)
{
	masked(PCI_ALLOW(PCI_IRQ_LINE));
}

SELFTEST(irq, message_masked_is_late_not_lost)
{
	masked(PCI_ALLOW(PCI_IRQ_MSI));
}

/* Moves it round all CPUs, as fast as it goes, until told to stop. */
static void mover(void *arg)
{
	u32 *moves = arg, cpu = 0;

	while (!kthread_should_stop()) {
		cpu = (cpu + 1) % hal_cpu_count();
		if (hal_cpu_online(cpu) && steer(cpu))
			__atomic_fetch_add(moves, 1, __ATOMIC_RELAXED);
		(void)sched_yield_self();
	}
}

static void moved(u32 allow)
{
	u64 end = hal_clock_ns() + selftest_seconds() * NSEC_PER_SEC / 2;
	u32 moves = 0, raised = 0, cpu;
	struct thread *t;

	if (!edu_setup(allow))
		return;
	for_each_online_cpu(cpu) {
		EXPECT(steer(cpu));
		EXPECT_EQ(effective(), cpu);
		answers(1);		/* perhaps one that was under way */
		answers(1);
		EXPECT_EQ(READ_ONCE(edu.last_cpu), cpu);
	}
	t = kthread_run(mover, &moves, "irqmover");
	if (EXPECT(t)) {
		while (raised < 20000 && hal_clock_ns() < end && answered())
			raised++;
		kthread_stop(t);
		answers(1);
		log_info("%s of edu: %u interrupts over %u moves", allow == PCI_ALLOW(PCI_IRQ_LINE) ? "line" : "message", raised,
			 moves);
		EXPECT(raised > 10 && (moves > 10 || hal_cpu_online_count() == 1));
	}
	edu_end();
}

SELFTEST(irq, line_moves_without_loss)
{
	moved(PCI_ALLOW(PCI_IRQ_LINE));
}

SELFTEST(irq, message_moves_without_loss)
{
	moved(PCI_ALLOW(PCI_IRQ_MSI));
}

/* The CPU that has the irq goes, while the device goes on. */
SELFTEST(irq, cpu_with_the_irq_goes)
{
	u32 cpu = hal_cpu_count() - 1;

	if (cpu == 0 || !hal_cpu_online(cpu)) {
		selftest_skip("one CPU");
		return;
	}
	if (!edu_setup(PCI_ALLOW(PCI_IRQ_MSI)))
		return;
	for (u32 i = 0; i < 3; i++) {
		EXPECT(steer(cpu));
		answers(2);
		EXPECT_EQ(READ_ONCE(edu.last_cpu), cpu);
		hal_mmio_write32(edu.regs + EDU_RAISE, 1);
		EXPECT_EQ(cpuhp_down(cpu), 0);
		answers(10);
		EXPECT(effective() != cpu && READ_ONCE(edu.last_cpu) != cpu);
		EXPECT(!steer(cpu));
		EXPECT_EQ(cpuhp_up(cpu), 0);
		answers(1);
	}
	edu_end();
}

/* The line stays up and its handler denies it: masked in time, with a report; a new request opens it. */
SELFTEST(irq, storm_is_masked)
{
	struct hal_irq_info info = { 0 };
	u64 end = hal_clock_ns() + 60 * NSEC_PER_SEC;
	u32 irq, calls;

	if (!edu_setup(PCI_ALLOW(PCI_IRQ_LINE)))
		return;
	answers(1);
	report_capture_begin();
	WRITE_ONCE(edu.deaf, true);
	hal_mmio_write32(edu.regs + EDU_RAISE, 1);
	do {
		nap(10 * NSEC_PER_MSEC);
		irq = edu.irq;
	} while (hal_irq_next(&irq, &info) && !info.storm && hal_clock_ns() < end);
	EXPECT(info.storm);
	EXPECT_REPORT("nobody cared");
	EXPECT_REPORT("Disabling IRQ #");
	report_capture_end();
	calls = __atomic_load_n(&edu.calls, __ATOMIC_RELAXED);
	nap(20 * NSEC_PER_MSEC);
	EXPECT_EQ(__atomic_load_n(&edu.calls, __ATOMIC_RELAXED), calls);
	edu_end();
	if (edu_setup(PCI_ALLOW(PCI_IRQ_LINE))) {
		answers(10);
		edu_end();
	}
}

#endif
