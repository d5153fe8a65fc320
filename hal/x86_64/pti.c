/* SPDX-License-Identifier: MIT */
/*
 * Page-table isolation (CVE-2017-5754, Meltdown).
 *
 * Some CPUs let a program read, by a side channel, whatever its page tables map, whoever may access it. On those each
 * address space has two roots, in one pair of frames: the kernel's, with everything, and the user's right behind it, with
 * the user half and the CPUs' entry areas, in which an entry finds what it needs to load the kernel's root. entry_hard.asm
 * tells how; this file makes the tables. Without isolation none of it exists and nothing is slower.
 *
 * Invariants
 *	- The user half of the two roots names the same tables. mm changes the kernel's entry and calls
 *	  hal_pt_root_changed(), which copies it. The kernel's own entry becomes NX: if a way out ever forgets to load the
 *	  user's root, the program stops at once instead of running unprotected.
 *	- Nothing is GLOBAL: x86_global_bit is 0 before mm maps anything, and CR4.PGE is off, because the loader's mappings
 *	  have the bit.
 *	- Entry areas are mapped in the user's tables below one top-level entry, which never changes: it is made before
 *	  the first user root.
 *	- In the tables of the kernel the areas have one page more, `private`: pointers into the image stand nowhere else.
 *	- The CPU never uses the TSS in struct x86_cpu then. x86_switch() goes on writing its RSP0 there, for nothing.
 *
 * TLB. Without PCIDs each load of CR3 flushes, so the user's translations never outlive an entry, and flushes are those of
 * one root. With them the kernel's root has PCID 0 and the user's PCID 1, of whatever address space, and both loads keep
 * what is there. A new address space, and a flush that INVPCID cannot do, takes NOFLUSH out of what the next way
 * out loads (user_next): nobody uses the user's PCID before that.
 *
 * What user_next and the like hold is written by the CPU itself with interrupts off, or with preemption off by one
 * instruction; the areas of others are never touched after x86_pti_prepare().
 */
#include <lib/errno.h>
#include <lib/string.h>
#include "mitigate.h"
#include "pti.h"

#define TABLE_BITS	(X86_PTE_P | X86_PTE_W | X86_PTE_A)
#define RX_BITS		(X86_PTE_P | X86_PTE_A)
#define RO_BITS		(X86_PTE_P | X86_PTE_A | X86_PTE_NX)
#define RW_BITS		(X86_PTE_P | X86_PTE_A | X86_PTE_D | X86_PTE_W | X86_PTE_NX)
#define TSS_BUSY	(1ull << 41)	/* in the descriptor's first word */

struct table_pointer {
	u16 limit;
	u64 base;
} __packed;

u8 x86_pti;
u8 x86_pti_pcid;
u8 x86_invpcid;
static paddr_t bare_root;	/* [I] a user root without a user half: what stands for "no address space" */
static u64 *gdts[HAL_MAX_CPUS];	/* [I] once set: the GDT in the area, which stays when its CPU goes */

static vaddr_t area_of(u32 cpu)
{
	return HAL_ENTRY_BASE + (u64)cpu * X86_EA_STRIDE;
}

/* ---- tables ------------------------------------------------------------------------------------ */

static int new_frame(paddr_t *pa)
{
	int err = upcall_page_frame_alloc(pa);

	if (!err)
		hal_zero_page(hal_phys_to_virt(*pa));
	return err;
}

/* One page below the root at `root`; missing tables are made. 0 or -ENOMEM. */
static int map_page(paddr_t root, vaddr_t va, paddr_t pa, u64 bits)
{
	u64 *table = hal_phys_to_virt(root);

	for (unsigned int level = HAL_PT_LEVELS - 1; level > 0; level--) {
		u64 *e = &table[hal_pt_index(va, level)];
		paddr_t lower;

		if (!(*e & X86_PTE_P)) {
			int err = new_frame(&lower);

			if (err)
				return err;
			__atomic_store_n(e, lower | TABLE_BITS, __ATOMIC_RELEASE);
		}
		table = hal_phys_to_virt(*e & X86_PTE_ADDR);
	}
	__atomic_store_n(&table[hal_pt_index(va, 0)], pa | bits, __ATOMIC_RELEASE);
	return 0;
}

/* In both page tables. The kernel's lower tables are shared by all roots, so any root leads to them. */
static int map_both(vaddr_t va, paddr_t pa, u64 bits)
{
	int err = map_page(hal_pt_root_current(), va, pa, bits);

	return err ? err : map_page(bare_root, va, pa, bits);
}

void x86_pti_root_init(void *root_page)
{
	hal_copy_page((u8 *)root_page + HAL_PAGE_SIZE, hal_phys_to_virt(bare_root));
}

/* ---- one CPU's area ---------------------------------------------------------------------------- */

static void fill_idt(void *page, u32 cpu)
{
	x86_idt_fill(page, area_of(cpu) + (u64)(x86_pti_vectors - x86_pti_text));
}

static void tss_descriptor(u64 *gdt, vaddr_t tss)
{
	gdt[X86_TSS_SEL / 8] = (sizeof(struct x86_tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
			       ((tss >> 24) & 0xff) << 56;
	gdt[X86_TSS_SEL / 8 + 1] = tss >> 32;
}

static void fill_data(struct x86_entry_data *d, u32 cpu)
{
	vaddr_t stacks = area_of(cpu) + X86_EA_DATA + offsetof(struct x86_entry_data, stacks);

	d->cr3.noflush = x86_pti_pcid ? X86_CR3_NOFLUSH : 0;
	x86_pti_cr3_set(&d->cr3, hal_pt_root_current(), bare_root);
	d->tss.iomap = sizeof(d->tss);
	d->tss.rsp[0] = stacks + (X86_EA_STACK_TRAP + 1) * X86_EA_STACK_BYTES;
	for (u64 i = 0; i < X86_IST_COUNT; i++)
		d->tss.ist[i] = stacks + (X86_EA_STACK_IST + i + 1) * X86_EA_STACK_BYTES;
}

static void fill_private(struct x86_entry_private *p, const struct x86_cpu *c)
{
	static const u8 vector_of[X86_IST_COUNT] = {
		[X86_IST_NMI - 1] = X86_VEC_NMI, [X86_IST_DF - 1] = X86_VEC_DF,
		[X86_IST_MC - 1] = X86_VEC_MC, [X86_IST_DB - 1] = X86_VEC_DB,
	};

	p->gs_base = (u64)c;
	p->trap_user = (u64)x86_hard_trap_user;
	p->trap_kernel = (u64)x86_trap_common;
	p->ist_kernel = (u64)x86_hard_ist_kernel;
	p->syscall = (u64)x86_hard_syscall;
	for (unsigned int i = 0; i < X86_IST_COUNT; i++)
		p->ist_top[vector_of[i]] = (u64)c->ist_base[i] + X86_IST_BYTES;
}

static int map_area(u32 cpu, const paddr_t *frames)
{
	vaddr_t at = area_of(cpu);
	int err = 0;

	for (u64 i = 0; i < X86_EA_TEXT_BYTES && !err; i += HAL_PAGE_SIZE)
		err = map_both(at + X86_EA_TEXT + i, hal_image_to_phys(x86_pti_text + i), RX_BITS);
	if (!err)
		err = map_both(at + X86_EA_IDT, frames[0], RO_BITS);
	if (!err)
		err = map_both(at + X86_EA_GDT, frames[1], RO_BITS);
	if (!err)
		err = map_both(at + X86_EA_DATA, frames[2], RW_BITS);
	return err ? err : map_page(hal_pt_root_current(), at + X86_EA_PRIVATE, frames[3], RO_BITS);
}

/*
 * What was made when it fails half-way stays, below tables that are kept: the next try for that CPU maps over it. Only the
 * area's own four frames go back.
 */
int x86_pti_prepare(u32 cpu)
{
	const struct x86_cpu *c = x86_cpus[cpu];
	paddr_t frames[4];
	unsigned int n;
	int err;

	if (!x86_pti || gdts[cpu])
		return 0;
	for (n = 0; n < ARRAY_SIZE(frames); n++) {
		err = new_frame(&frames[n]);
		if (err)
			goto free;
	}
	err = map_area(cpu, frames);
	if (err)
		goto free;
	fill_idt(hal_phys_to_virt(frames[0]), cpu);
	memcpy(hal_phys_to_virt(frames[1]), c->gdt, sizeof(c->gdt));
	tss_descriptor(hal_phys_to_virt(frames[1]), area_of(cpu) + X86_EA_DATA + offsetof(struct x86_entry_data, tss));
	/* It is read-only where the CPU sees it, and LTR, which would mark it busy, reads another one: x86_pti_load(). */
	((u64 *)hal_phys_to_virt(frames[1]))[X86_TSS_SEL / 8] |= TSS_BUSY;
	fill_data(hal_phys_to_virt(frames[2]), cpu);
	fill_private(hal_phys_to_virt(frames[3]), c);
	gdts[cpu] = hal_phys_to_virt(frames[1]);
	return 0;
free:
	while (n > 0)
		upcall_page_frame_free(frames[--n]);
	return err;
}

void x86_pti_gdt_changed(const struct x86_cpu *cpu)
{
	u64 *gdt = gdts[cpu->pc.cpu];

	if (gdt)
		WRITE_ONCE(gdt[X86_CPU_SEL / 8], cpu->gdt[X86_CPU_SEL / 8]);
}

/* ---- this CPU ---------------------------------------------------------------------------------- */

static void load_tables(struct x86_cpu *c, vaddr_t area)
{
	struct table_pointer idt = { X86_IDT_BYTES - 1, area + X86_EA_IDT };
	struct table_pointer gdt = { sizeof(c->gdt) - 1, area + X86_EA_GDT };
	u16 tss = X86_TSS_SEL;

	tss_descriptor(c->gdt, area + X86_EA_DATA + offsetof(struct x86_entry_data, tss));
	__asm__ volatile("ltr %0" : : "r"(tss) : "memory");
	__asm__ volatile("lgdt %0" : : "m"(gdt) : "memory");
	__asm__ volatile("lidt %0" : : "m"(idt) : "memory");
}

void x86_pti_load(void)
{
	u32 cpu = hal_cpu_id();
	struct hal_percpu *pc = hal_percpu();
	vaddr_t area = area_of(cpu);

	if (!x86_pti)
		return;
	if (!gdts[cpu])
		upcall_panic("cpu %u has no entry area", cpu);
	x86_write_cr4((x86_read_cr4() & ~X86_CR4_PGE) | (x86_pti_pcid ? X86_CR4_PCIDE : 0));
	load_tables(x86_cpus[cpu], area);
	pc->entry_sp = ((struct x86_entry_data *)(area + X86_EA_DATA))->tss.rsp[0];
	pc->entry_sysret = area + (u64)(x86_pti_sysret - x86_pti_text);
	pc->entry_iret = area + (u64)(x86_pti_iret - x86_pti_text);
	pc->entry_data = area + X86_EA_DATA;
	x86_pti_root_set(hal_pt_root_current(), false);
	x86_wrmsr(X86_MSR_LSTAR, area + (u64)(x86_pti_syscall - x86_pti_text));
	x86_wrmsr(X86_MSR_CSTAR, area + (u64)(x86_pti_syscall32 - x86_pti_text));
}

/* Before mm makes tables. What the loader mapped as GLOBAL leaves the TLB as PGE goes off. */
void x86_pti_enable(void)
{
	x86_pti = 1;
	x86_global_bit = 0;
	x86_pti_pcid = x86_has(X86_F_PCID);
	x86_invpcid = x86_pti_pcid && x86_has(X86_F_INVPCID);
	x86_write_cr4(x86_read_cr4() & ~X86_CR4_PGE);
}

/* As soon as there are frames: the boot CPU's area, and the root that all user roots are made from. */
void x86_pti_init(void)
{
	if (!x86_pti)
		return;
	if (new_frame(&bare_root) || x86_pti_prepare(0))
		upcall_panic("no memory for page-table isolation");
	x86_pti_load();
	upcall_log(6, "cpu: page-table isolation is on%s", x86_invpcid ? ", with PCID and INVPCID" :
							   x86_pti_pcid ? ", with PCID" : "");
}

/* ---- roots and flushes ------------------------------------------------------------------------- */

void x86_pti_root_set(paddr_t root, bool user)
{
	struct x86_entry_data *d = (struct x86_entry_data *)hal_percpu()->entry_data;

	if (d)
		x86_pti_cr3_set(&d->cr3, root, user ? root | X86_PTI_USER_ROOT : bare_root);
}

void x86_pti_flush_user_all(void)
{
	struct x86_entry_data *d = (struct x86_entry_data *)hal_percpu()->entry_data;

	if (d)
		x86_pti_cr3_flush(&d->cr3);
}

static void invpcid_page(u64 pcid, vaddr_t va)
{
	struct {
		u64 pcid, va;
	} what = { pcid, va };

	__asm__ volatile("invpcid %0, %1" : : "m"(what), "r"(0ull) : "memory");
}

void x86_pti_flush_user_range(vaddr_t start, vaddr_t end)
{
	if (!x86_invpcid) {
		x86_pti_flush_user_all();
		return;
	}
	for (vaddr_t va = start & HAL_PAGE_MASK; va < end; va += HAL_PAGE_SIZE)
		invpcid_page(X86_PTI_USER_PCID, va);
}
