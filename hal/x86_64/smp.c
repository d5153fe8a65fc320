/* SPDX-License-Identifier: MIT */
/*
 * Starting and stopping of CPUs.
 *
 * Numbers. The boot CPU is 0; the others are numbered in the order of the MADT, each APIC id once. Ids above 254 need
 * x2APIC, and more CPUs than HAL_MAX_CPUS have no place: both are said and left out.
 *
 * Start. All CPUs of a set at once: INIT to each, a wait where old CPUs want one, the start-up interrupt to each, and a second one
 * only to those that have not come after a while (SDM vol. 3A 9.4.4.1; some CPUs and emulators lose the first). They run
 * through one trampoline page side by side, each finds its number by its APIC id, and its stack, block and tables are
 * ready. `state` says how far one is, and settles the race between a CPU that comes late and a caller that gives up:
 *
 *	OFF -> STARTING			the caller, before the interrupts are sent
 *	STARTING -> ALIVE		the new CPU, its first act in C
 *	STARTING -> LOST		the caller, who has waited long enough
 *	LOST -> STOPPED			the CPU that comes after all: it halts
 *	LOST -> STARTING		the caller tries again. He sends no second INIT: one that has heard the first may be
 *					under way, and an INIT that arrives late would reset it in the midst of its work
 *	ALIVE -> REFUSED		the new CPU: it lacks what the boot CPU has. It halts.
 *	ALIVE -> ONLINE			the new CPU takes part: hal_cpu_online()
 *	ONLINE -> LEAVING -> STOPPED	it leaves, then touches no memory any more
 *
 * Nobody waits for a fixed time: the caller polls `state`, and compares time stamp counters meanwhile (tsc_sync.c).
 *
 * The trampoline's page tables map its page one to one, and the kernel. They lie below 4 GiB because that is as far as
 * CR3 reaches in protected mode, and stay for CPUs that come back.
 *
 * Rejected: one CPU after the other (Linux before 6.5): 64 of them wait 64 times; a stack handed over in the
 * trampoline page: then only one may run through it.
 *
 *	[I] immutable, [a] atomic, [o] the one caller of hal_smp_start() and hal_smp_init()
 */
#include <hal/clock.h>
#include <hal/smp.h>
#include <hal/thread.h>
#include <hal/tlb.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "apic.h"
#include "cpu_state.h"
#include "mitigate.h"
#include "pti.h"
#include "x86.h"

#define INIT_WAIT_NS		(10 * (u64)NSEC_PER_MSEC)	/* SDM vol. 3A 9.4.4.1, before family 6 */
#define SECOND_SIPI_AFTER_NS	(10 * (u64)NSEC_PER_MSEC)
#define ALIVE_WAIT_NS		(10 * (u64)NSEC_PER_SEC)
#define ICR_INIT		0x4500u	/* level, assert (11.6.1) */
#define ICR_STARTUP		0x4600u
#define XAPIC_ID_MAX		254u

/* At x86_trampoline_data in ap_start.asm. */
struct trampoline_data {
	u64 entry;
	u64 gdt[4];
	u32 root;
	u32 efer;
	u32 far32_offset;
	u16 far32_selector, far32_pad;
	u32 far64_offset;
	u16 far64_selector, far64_pad;
	u16 gdtr_limit;
	u32 gdtr_base;
	u16 gdtr_pad;
} __packed;
_Static_assert(sizeof(struct trampoline_data) == 72, "ap_start.asm");

extern const u8 x86_trampoline[], x86_trampoline_end[], x86_trampoline_data[];
void x86_ap_entry(void);
__noreturn void x86_ap_main(struct x86_cpu *cpu);

/* Read by ap_start.asm. */
u32 x86_ap_ids[HAL_MAX_CPUS];	/* [I] after hal_smp_init(): APIC id of each number */
u32 x86_ap_count;		/* [I] how many of them */
u64 x86_ap_root;		/* [I] the kernel's page tables */

static struct hal_cpu_set starting;	/* [o] */

#if HALCYON_DEBUG
struct hal_smp_test hal_smp_test;	/* [o] */
#define TEST_OF(field) (hal_smp_test.field)
#else
#define TEST_OF(field) 0
#endif

/* ---- which CPUs there are ---------------------------------------------------------------------- */

static bool is_known(u32 apic_id)
{
	for (u32 i = 0; i < x86_ap_count; i++)
		if (x86_ap_ids[i] == apic_id)
			return true;
	return false;
}

static void number_cpus(u32 limit)
{
	u32 far = 0, many = x86_acpi.cpus_dropped, siblings = 0;

	x86_ap_ids[0] = hal_percpu()->apic_id;
	x86_ap_count = 1;
	for (u32 i = 0; i < x86_acpi.nr_cpus; i++) {
		const struct acpi_cpu *c = &x86_acpi.cpus[i];

		if (!c->enabled || is_known(c->apic_id))
			continue;
		if (c->apic_id > XAPIC_ID_MAX && !x86_apic_is_x2()) {
			far++;
			continue;
		}
		if (x86_mitigate_leaves_out(c->apic_id)) {
			siblings++;
			continue;
		}
		if (x86_ap_count >= MIN(limit, (u32)HAL_MAX_CPUS)) {
			many++;
			continue;
		}
		x86_ap_ids[x86_ap_count++] = c->apic_id;
	}
	if (siblings)
		upcall_log(5, "smp: %u CPUs left out: mitigations=auto,nosmt wants one thread of a core", siblings);
	if (far)
		upcall_log(4, "smp: %u CPUs left out: APIC ids from %u up need x2APIC", far, XAPIC_ID_MAX + 1);
	if (many)
		upcall_log(4, "smp: %u CPUs left out: %u are %s", many, MIN(limit, (u32)HAL_MAX_CPUS),
			   limit < HAL_MAX_CPUS ? "asked for" : "as many as can be handled");
}

/* ---- the trampoline ---------------------------------------------------------------------------- */

/* A table below 4 GiB, zeroed; NULL without memory. */
static hal_pte_t *low_table(paddr_t *pa)
{
	hal_pte_t *table;

	if (upcall_page_frame_alloc_low(pa))
		return NULL;
	table = hal_phys_to_virt(*pa);
	memset(table, 0, HAL_PAGE_SIZE);
	return table;
}

/*
 * Page tables with the kernel's half and the page itself; all levels below the root have one entry. The root is no space's:
 * with page-table isolation those are pairs, and hal_pt_root_init() would write both.
 */
static bool trampoline_tables(paddr_t page, u32 *root)
{
	paddr_t pa, below = page;

	for (unsigned int level = 0; level < HAL_PT_LEVELS; level++) {
		hal_pte_t *table = low_table(&pa);

		if (!table)
			return false;	/* what was made stays: boot without 16 KiB is not worth an unwinding */
		if (level == HAL_PT_LEVELS - 1)
			memcpy(table + HAL_PT_KERNEL_FIRST, (hal_pte_t *)hal_phys_to_virt(x86_ap_root) + HAL_PT_KERNEL_FIRST,
			       (HAL_PT_ENTRIES - HAL_PT_KERNEL_FIRST) * sizeof(hal_pte_t));
		((u64 *)table)[hal_pt_index(page, level)] = below | X86_PTE_P | X86_PTE_W;
		below = pa;
	}
	*root = (u32)pa;
	return true;
}

static u64 segment(u64 flags, paddr_t base)
{
	return flags | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
}

static bool trampoline_init(void)
{
	paddr_t page = x86_trampoline_page;
	size_t bytes = (size_t)(x86_trampoline_end - x86_trampoline), at = (size_t)(x86_trampoline_data - x86_trampoline);
	u8 *virt = hal_phys_to_virt(page);
	struct trampoline_data d;
	u32 root;

	if (!page || page >= MIB) {
		upcall_log(4, "smp: the loader found no page below 1 MiB: no CPU can be started");
		return false;
	}
	memcpy(&d, x86_trampoline_data, sizeof(d));
	if (!trampoline_tables(page, &root)) {
		upcall_log(4, "smp: no memory below 4 GiB for starting CPUs");
		return false;
	}
	d.root = root;
	d.entry = (u64)x86_ap_entry;
	d.gdt[1] = segment(0x00cf9b000000ffffull, page);
	d.gdt[2] = segment(0x00cf93000000ffffull, page);
	d.efer = (u32)(X86_EFER_LME | (x86_rdmsr(X86_MSR_EFER) & X86_EFER_NXE));
	d.far64_offset += (u32)page;
	d.gdtr_base += (u32)page;
	memcpy(virt, x86_trampoline, bytes);
	memcpy(virt + at, &d, sizeof(d));
	return true;
}

u32 hal_smp_absent(void)
{
	return x86_acpi.cpus_absent;
}

u32 hal_smp_init(u32 limit)
{
	x86_ap_root = hal_pt_root_current();
	x86_cpu_state_record();
	if (x86_topology_prepare(0) == 0)
		x86_topology_record(0);
	number_cpus(limit);
	if (x86_ap_count > 1 && !trampoline_init())
		x86_ap_count = 1;
	return x86_ap_count;
}

/* ---- what a CPU needs -------------------------------------------------------------------------- */

/* The block counts from hal_percpu_set_offset() on (tables.c). */
int hal_smp_prepare(u32 cpu)
{
	struct x86_cpu *c;
	paddr_t pa;

	_Static_assert(sizeof(struct x86_cpu) <= HAL_PAGE_SIZE, "one page");
	if (x86_cpus[cpu])
		return x86_pti_prepare(cpu);
	if (upcall_page_frame_alloc(&pa))
		return -ENOMEM;
	c = hal_phys_to_virt(pa);
	memset(c, 0, sizeof(*c));
	for (unsigned int i = 0; i < X86_IST_COUNT; i++) {
		vaddr_t base;

		if (upcall_stack_alloc(&base, X86_IST_BYTES))
			goto free_stacks;
		c->ist_base[i] = (u8 *)base;
	}
	c->pc.apic_id = x86_ap_ids[cpu];
	if (x86_topology_prepare(cpu))
		goto free_stacks;
	x86_cpu_tables_init(c, cpu);
	return x86_pti_prepare(cpu);	/* what is there stays for the next try */
free_stacks:
	for (unsigned int i = 0; i < X86_IST_COUNT && c->ist_base[i]; i++)
		upcall_stack_free((vaddr_t)c->ist_base[i]);
	upcall_page_frame_free(pa);
	return -ENOMEM;
}

void hal_smp_set_idle(u32 cpu, struct thread *idle)
{
	struct x86_cpu *c = x86_cpus[cpu];
	struct hal_thread *h = (struct hal_thread *)idle;

	c->pc.current = idle;
	c->pc.kernel_sp = h->stack_base + h->stack_size;
	c->pc.stack_canary = h->canary;
}

/* Back to what a CPU begins with: it may have run before. */
static void block_reset(struct x86_cpu *c)
{
	c->pc.preempt_count = PREEMPT_NO_RESCHED | 1;
	c->pc.fpu_owner = NULL;
	c->pc.active_space = NULL;
	c->pc.active_root = x86_ap_root;
	c->claimed = 0;
	x86_cpu_tables_init(c, c->pc.cpu);	/* LTR marks a TSS as busy, and would refuse it */
	x86_cpu_set_node(c, x86_numa_node_of_apic(c->pc.apic_id));
}

/* ---- starting ---------------------------------------------------------------------------------- */

static bool set_has(const struct hal_cpu_set *s, u32 cpu)
{
	return s->bits[cpu / 64] >> (cpu % 64) & 1;
}

#define for_each_in(cpu, s) \
	for ((cpu) = 0; (cpu) < x86_ap_count; (cpu)++) \
		if (!set_has((s), (cpu))) {} else

static u32 state_of(u32 cpu)
{
	return __atomic_load_n(&x86_cpus[cpu]->state, __ATOMIC_ACQUIRE);
}

/* False: a test does not want it sent. */
static bool send_one(u32 cpu, u32 command)
{
	irqflags_t f;

	if (cpu == TEST_OF(deaf))
		return false;
	f = hal_irq_save();
	x86_apic_send(x86_ap_ids[cpu], command);
	hal_irq_restore(f);
	return true;
}

/* How many of the set have not yet come as far as they will. */
static u32 still_coming(void)
{
	u32 cpu, n = 0;

	for_each_in(cpu, &starting) {
		u32 s = state_of(cpu);

		n += s == X86_CPU_STARTING || s == X86_CPU_ALIVE;
	}
	return n;
}

/* Until all have come or the time is over. The clock stands between two looks at the counters, see tsc_sync.c. */
static bool wait_for_all(u64 ns)
{
	u64 start = hal_clock_ns();

	while (still_coming()) {
		x86_tsc_sync_round();
		if (hal_clock_ns() - start >= ns)
			return false;
		hal_cpu_relax();
	}
	return true;
}

static bool wants_init_wait(void)
{
	struct hal_cpu_info info;

	hal_cpu_info(0, &info);
	return info.family < 6;
}

static void send_all(u64 *began)
{
	u64 patience = TEST_OF(patience_ns) ? TEST_OF(patience_ns) : ALIVE_WAIT_NS;
	u32 cpu, startup = ICR_STARTUP | (u32)(x86_trampoline_page >> HAL_PAGE_SHIFT);

	for_each_in(cpu, &starting)
		if (!x86_cpus[cpu]->init_sent)
			x86_cpus[cpu]->init_sent = send_one(cpu, ICR_INIT);
	if (wants_init_wait())
		hal_delay_ns(INIT_WAIT_NS);
	*began = hal_clock_ns();
	for_each_in(cpu, &starting)
		(void)send_one(cpu, startup);
	if (wait_for_all(MIN(SECOND_SIPI_AFTER_NS, patience)))
		return;
	for_each_in(cpu, &starting)
		if (state_of(cpu) == X86_CPU_STARTING)
			(void)send_one(cpu, startup);
	(void)wait_for_all(patience);
}

/*
 * Who is alive but not yet online is on its way, however long its host leaves it waiting, and cannot be given up: it uses the
 * kernel's memory. One that is stuck there has a name at least.
 */
static u32 wait_for_alive(u32 cpu, u64 began)
{
	bool said = false;
	u32 s;

	while ((s = state_of(cpu)) == X86_CPU_ALIVE) {
		if (!said && hal_clock_ns() - began > 2 * ALIVE_WAIT_NS) {
			upcall_log(3, "smp: cpu %u (APIC id %u) has started and does not come online", cpu, x86_cpus[cpu]->pc.apic_id);
			said = true;
		}
		hal_cpu_relax();
	}
	return s;
}

/* Takes those that did not come out of the set, and says why. */
static void settle(struct hal_cpu_set *set, u64 began)
{
	u32 cpu;

	for_each_in(cpu, &starting) {
		struct x86_cpu *c = x86_cpus[cpu];
		u32 s = X86_CPU_STARTING;

		if (!__atomic_compare_exchange_n(&c->state, &s, X86_CPU_LOST, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			s = wait_for_alive(cpu, began);
		if (s == X86_CPU_ONLINE)
			continue;
		set->bits[cpu / 64] &= ~(1ull << (cpu % 64));
		if (s == X86_CPU_REFUSED)
			upcall_log(3, "smp: cpu %u (APIC id %u) is left out: %s", cpu, c->pc.apic_id, c->refusal);
		else
			upcall_log(3, "smp: cpu %u (APIC id %u) is left out: it did not come within %llu ms", cpu, c->pc.apic_id,
				   (unsigned long long)((hal_clock_ns() - began) / (u64)NSEC_PER_MSEC));
	}
}

void hal_smp_start(struct hal_cpu_set *set)
{
	u64 began;
	u32 cpu;

	starting = *set;
	for_each_in(cpu, &starting) {
		struct x86_cpu *c = x86_cpus[cpu];
		u32 lost = X86_CPU_LOST;

		c->refusal = NULL;
		/* Whoever was lost has used nothing of its block yet. */
		if (__atomic_compare_exchange_n(&c->state, &lost, X86_CPU_STARTING, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
			continue;
		block_reset(c);
		c->init_sent = false;
		__atomic_store_n(&c->state, X86_CPU_STARTING, __ATOMIC_SEQ_CST);
	}
	x86_tsc_sync_begin();
	send_all(&began);
	settle(set, began);
	x86_tsc_sync_end();
	x86_cpu_state_report();
}

/* ---- on the new CPU ---------------------------------------------------------------------------- */

__noreturn static void refuse(struct x86_cpu *cpu, const char *why)
{
	cpu->refusal = why;
	__atomic_store_n(&cpu->state, X86_CPU_REFUSED, __ATOMIC_RELEASE);
	hal_cpu_halt_forever();
}

static bool change_state(struct x86_cpu *cpu, u32 from, u32 to)
{
	return __atomic_compare_exchange_n(&cpu->state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* The first C function of another CPU; see ap_start.asm. Its thread is its idle thread. */
void x86_ap_main(struct x86_cpu *cpu)
{
	const char *why;

	while (!change_state(cpu, X86_CPU_STARTING, X86_CPU_ALIVE)) {
		if (change_state(cpu, X86_CPU_LOST, X86_CPU_STOPPED))
			hal_cpu_halt_forever();
		hal_cpu_relax();	/* given up, and by now wanted again */
	}
	x86_tables_load();
	why = cpu->pc.cpu == TEST_OF(poor) ? "a test says so" : x86_cpu_state_apply();
	if (why)
		refuse(cpu, why);
	x86_syscall_init();
	x86_mitigate_cpu();
	x86_pti_load();
	x86_fpu_init_cpu();
	x86_apic_init_cpu();
	if (x86_apic_id() != x86_ap_ids[cpu->pc.cpu]) /* who is sent for by that id is another one */
		refuse(cpu, "its APIC has another id than its CPUID");
	x86_topology_record(cpu->pc.cpu);
	x86_tsc_sync_rounds();
	kernel_secondary_main(cpu->pc.cpu);
}

/* The barrier: what the others do from now on, they do with this CPU in mind; see gp_start() in kernel/core/rcu.c. */
void hal_smp_online(void)
{
	struct x86_cpu *cpu = x86_cpus[hal_cpu_id()];

	__atomic_store_n(&cpu->pc.online, 1, __ATOMIC_SEQ_CST);
	/* A kick that came too early was not sent (ipi.c), and no later one would be while it counts as under way. */
	__atomic_store_n(&cpu->pc.kick_pending, 0, __ATOMIC_SEQ_CST);
	/* It ran on the kernel's tables before anybody would tell it of a change: core/tlb.c. */
	hal_tlb_flush_local_kernel(0, ~0ull);
	__atomic_store_n(&cpu->state, X86_CPU_ONLINE, __ATOMIC_SEQ_CST);
}

void hal_smp_leave(void)
{
	struct x86_cpu *cpu = x86_cpus[hal_cpu_id()];

	__atomic_store_n(&cpu->pc.online, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&cpu->state, X86_CPU_LEAVING, __ATOMIC_SEQ_CST);
	x86_apic_stop_cpu();
}

/*
 * The other CPUs believe that this one touches nothing when they read STOPPED. What follows is in registers and in the
 * image's text; an NMI would still write to this CPU's IST stack, which is never freed.
 */
void hal_smp_stop_self(void)
{
	__atomic_store_n(&x86_cpus[hal_cpu_id()]->state, X86_CPU_STOPPED, __ATOMIC_SEQ_CST);
	hal_cpu_halt_forever();
}

bool hal_smp_is_stopped(u32 cpu)
{
	return state_of(cpu) == X86_CPU_STOPPED;
}
