/* SPDX-License-Identifier: MIT */
/*
 * UEFI runtime services.
 *
 * Address space. Firmware was linked for physical addresses and stays there: a root of its own whose lower half maps the
 * runtime regions one to one, supervisor only, and whose upper half is the kernel's. So a service sees the kernel's buffers
 * and an interrupt that comes meanwhile finds the kernel as always. The tables are made at boot and never changed: a
 * panic can reset the machine through them.
 *
 * A call. One at a time (UEFI 2.10 §8.1), preemption off, interrupts as they are. The user's vector registers are put aside,
 * because firmware may use them; control words are what UEFI asks for. Firmware's stack is our own, with a guard page,
 * large enough for firmware and the interrupts on top.
 *
 * Faults. A trap in kernel mode with an instruction pointer in the lower half on the CPU that is in a call can only be
 * firmware's: x86_efi_trap() reports it, goes on at x86_efi_abort, and no service is called any more, because nobody knows
 * which of its locks it holds. Traps of the kernel's own code in an interrupt on top of it stay what they are.
 *
 * Reset is called at the end of the machine, also by a CPU whose firmware call was interrupted by the panic, or while
 * another CPU was stopped inside (UEFI 2.10 §8.1 allows it after a machine check). It waits a little for the lock and then
 * goes without; on the CPU that is in firmware already it stays on the stack where it is.
 *
 * The system table is read at once (x86_efi_early), because some of what it leads to lies in memory that is about to be
 * reused; mapping needs memory, hence x86_efi_init.
 */
#include <hal/backtrace.h>
#include <hal/clock.h>
#include <hal/efi_tables.h>
#include <hal/tlb.h>
#include <hal/uaccess.h>
#include <lib/atomic.h>
#include <lib/errno.h>
#include "acpi_glue.h"
#include "efi_glue.h"
#include "x86.h"

#define EFI_STACK_BYTES	(32768 << HALCYON_KASAN)
#define FPU_BYTES	4096	/* as fpu.c's area: the largest standard XSAVE area of the components that we enable */
#define FCW_EFI		0x037f
#define MXCSR_EFI	0x1f80u
#define ROOT_TRIES	8
#define PCID_SPLIT	BIT(12)	/* page-table isolation tells its two roots apart by this bit */
#define RESET_PATIENCE_NS (100 * NSEC_PER_MSEC)
#define RESET_GRACE_NS	(200 * NSEC_PER_MSEC)
#define EFI_ABORTED	(HAL_EFI_ERROR | 21)
#define NO_CPU		(~0u)

/* entry.asm's neighbour efi_call.asm */
u64 x86_efi_thunk(u64 entry, const u64 *args, void *stack, u64 *saved_sp);
void x86_efi_abort(void);

static struct {
	u8 guard[X86_GUARD_BYTES];
	u8 bytes[EFI_STACK_BYTES];
} stack __aligned(4096);

static u8 fpu_area[FPU_BYTES] __aligned(64);	/* [b] */

/* Keys: [b] whoever has set busy; [I] after hal_late_init(). */
static struct {
	struct efi_info info;	/* [I] */
	paddr_t root;		/* [I] 0: nothing can be called */
	u32 busy;		/* [a] 1: somebody is in firmware */
	u32 disabled;		/* [a] no more calls */
	u32 cpu;		/* [a] which one is in firmware, NO_CPU: none */
	bool faulted;		/* [b] */
	u64 saved_sp;		/* [b] */
#if HALCYON_DEBUG
	u64 broken_entry;	/* [b] hal_efi_test_break() */
#endif
} efi = { .cpu = NO_CPU };

/* ---- boot ---- */

static void efi_report(void *ctx, const char *what, const char *table, paddr_t paddr)
{
	upcall_log(4, "efi: %s at %llx: %s", table, (unsigned long long)paddr, what);
}

void x86_efi_early(const struct bootinfo *bi)
{
	static const struct acpi_access access = { .map = x86_firmware_map, .report = efi_report };
	struct efi_source src = {
		.system_table = bi->efi_system_table, .regions = hal_phys_to_virt(bi->regions),
		.region_count = bi->region_size == sizeof(struct bootinfo_region) ? bi->region_count : 0,
	};

	efi_parse(&src, &access, &efi.info);
}

static u64 *table_at(u64 *entry)
{
	paddr_t frame;

	if (!(*entry & X86_PTE_P)) {
		if (upcall_page_frame_alloc(&frame))
			return NULL;
		hal_zero_page(hal_phys_to_virt(frame));
		*entry = hal_pte_table(frame, false).v;
	}
	return hal_phys_to_virt(*entry & X86_PTE_ADDR);
}

/* Maps one page, or replaces what is there; a large one is taken for whole 2 MiB of registers. Bytes done, 0: no memory. */
static u64 map_some(u64 *root, paddr_t pa, u64 bytes, u32 prot)
{
	u64 *table = root;

	for (unsigned int level = HAL_PT_LEVELS - 1; level > 0; level--) {
		u64 *entry = &table[hal_pt_index(pa, level)];

		if (level == 1 && (prot & HAL_PT_DEVICE) && !(pa & (2 * MIB - 1)) && bytes >= 2 * MIB && !*entry) {
			*entry = hal_pte_leaf(pa, prot, 1).v;
			return 2 * MIB;
		}
		if (*entry & X86_PTE_PS)
			return 2 * MIB - (pa & (2 * MIB - 1));	/* registers listed twice */
		table = table_at(entry);
		if (!table)
			return 0;
	}
	table[hal_pt_index(pa, 0)] = hal_pte_leaf(pa, prot, 0).v;
	return HAL_PAGE_SIZE;
}

static bool map_region(u64 *root, const struct efi_region *r)
{
	u32 prot = HAL_PT_READ;

	if (r->rights & EFI_RIGHT_WRITE)
		prot |= HAL_PT_WRITE;
	if (r->rights & EFI_RIGHT_EXEC)
		prot |= HAL_PT_EXEC;
	if (r->rights & EFI_RIGHT_DEVICE)
		prot |= HAL_PT_DEVICE;
	for (u64 done = 0; done < r->bytes;) {
		u64 n = map_some(root, r->base + done, r->bytes - done, prot);

		if (!n)
			return false;
		done += n;
	}
	return true;
}

/* A frame for the root that is the first of a pair, as the entry code tells a kernel root from a user's by that bit. */
static paddr_t take_root_frame(void)
{
	paddr_t wrong[ROOT_TRIES], frame = 0;
	u32 n = 0;

	while (!frame && n < ROOT_TRIES && !upcall_page_frame_alloc(&wrong[n])) {
		if (wrong[n] & PCID_SPLIT)
			n++;
		else
			frame = wrong[n];
	}
	while (n > 0)
		upcall_page_frame_free(wrong[--n]);
	return frame;
}

void x86_efi_init(void)
{
	const u64 *kernel = hal_phys_to_virt(hal_pt_root_current());
	struct efi_info *info = &efi.info;
	paddr_t frame;
	u64 *root;

	if (!info->usable || !(frame = take_root_frame()))
		return;
	root = hal_phys_to_virt(frame);
	hal_zero_page(root);
	for (u32 i = HAL_PT_KERNEL_FIRST; i < HAL_PT_ENTRIES; i++)
		root[i] = kernel[i];
	for (u32 i = 0; i < info->nr_regions; i++) {
		if (!map_region(root, &info->regions[i])) {
			upcall_log(4, "efi: no memory to map the runtime services");
			return;
		}
	}
	x86_unmap_guard(stack.guard);
	efi.root = frame;
	upcall_log(6, "efi: runtime services, %u regions%s", info->nr_regions,
		   info->tables.attributes ? " with attributes" : "");
}

/* ---- calls ---- */

const struct hal_efi_tables *hal_efi_tables(void)
{
	return &efi.info.tables;
}

bool hal_efi_has(enum hal_efi_service service)
{
	return efi.root && !READ_ONCE(efi.disabled) && service < HAL_EFI_SERVICES && efi.info.services[service];
}

void hal_efi_disable(void)
{
	WRITE_ONCE(efi.disabled, 1);
}

/* The registers are whoever's; they come back as they were. */
static void fpu_put_aside(void)
{
	u16 fcw = FCW_EFI;
	u32 mxcsr = MXCSR_EFI;

	if (x86_xcr0)
		__asm__ volatile("xsave64 (%0)" : : "r"(fpu_area), "a"((u32)x86_xcr0), "d"((u32)(x86_xcr0 >> 32)) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(fpu_area) : "memory");
	__asm__ volatile("fninit; fldcw %0; ldmxcsr %1" : : "m"(fcw), "m"(mxcsr));
}

/* [b] Preemption off. */
static u64 enter_firmware(u64 entry, const u64 *args, void *stack_top)
{
	struct hal_percpu *pc = hal_percpu();
	bool lazy = hal_space_is_lazy();
	struct hal_space *space;
	irqflags_t f;
	paddr_t root;
	u64 status;

	if (lazy)
		hal_space_drop();	/* it may go meanwhile: nobody would tell a CPU that has left its set */
	root = pc->active_root;
	space = pc->active_space;
	fpu_put_aside();
	hal_space_activate(efi.root, NULL);
	WRITE_ONCE(efi.cpu, pc->cpu);
	f = hal_irq_save();
	hal_irq_restore(f);
	status = x86_efi_thunk(entry, args, stack_top, &efi.saved_sp);
	hal_irq_restore(f);	/* firmware may have left them otherwise */
	WRITE_ONCE(efi.cpu, NO_CPU);
	hal_space_activate(root, space);
	if (lazy)
		hal_space_set_lazy();
	(void)x86_fpu_try_restore(fpu_area);
	return status;
}

static u64 entry_of(enum hal_efi_service service)
{
#if HALCYON_DEBUG
	if (efi.broken_entry)
		return efi.broken_entry;
#endif
	return efi.info.services[service];
}

int hal_efi_call(enum hal_efi_service service, const u64 *args, u32 n, u64 *status)
{
	u64 all[HAL_EFI_ARGS_MAX] = { 0 };
	int err = 0;

	if (!hal_efi_has(service) || n > HAL_EFI_ARGS_MAX)
		return -ENODEV;
	if (xchg(&efi.busy, 1u))
		return -EBUSY;
	for (u32 i = 0; i < n; i++)
		all[i] = args[i];
	efi.faulted = false;
	*status = enter_firmware(entry_of(service), all, stack.bytes + EFI_STACK_BYTES);
	if (efi.faulted)
		err = -EIO;
	smp_store_release(&efi.busy, 0u);
	return err;
}

bool x86_efi_trap(struct hal_regs *regs, u32 vector, u64 addr)
{
	if (likely(READ_ONCE(efi.cpu) == NO_CPU) || efi.cpu != hal_cpu_id() || regs->rip >= HAL_USER_END)
		return false;
	hal_efi_disable();
	efi.faulted = true;
	upcall_log(3, "efi: firmware's code at %llx: %s, address %llx; runtime services are given up",
		   (unsigned long long)regs->rip, hal_trap_name(vector), (unsigned long long)addr);
	regs->rip = (u64)x86_efi_abort;
	regs->rsp = efi.saved_sp;
	regs->rax = EFI_ABORTED;
	regs->rflags &= ~(X86_RFLAGS_DF | X86_RFLAGS_TF | X86_RFLAGS_AC | X86_RFLAGS_NT);
	return true;
}

/* At the end of the machine: returns when firmware does, or has none. Interrupts off. */
void x86_efi_reset(enum x86_efi_reset kind)
{
	u64 args[HAL_EFI_ARGS_MAX] = { (u64)kind, 0, 0, 0, 0 }, start = hal_clock_ns();
	bool inside = READ_ONCE(efi.cpu) == hal_cpu_id();

	if (!hal_efi_has(HAL_EFI_RESET))
		return;
	while (!inside && xchg(&efi.busy, 1u) && hal_clock_ns() - start < RESET_PATIENCE_NS)
		hal_cpu_relax();
	(void)enter_firmware(efi.info.services[HAL_EFI_RESET], args, inside ? NULL : stack.bytes + EFI_STACK_BYTES);
	hal_delay_ns(RESET_GRACE_NS);
	smp_store_release(&efi.busy, 0u);
}

/* Firmware's clock, for a machine whose loader and CMOS told nothing; 0: it does not know either. */
u64 x86_efi_wallclock(void)
{
	struct hal_efi_time now = { 0 };
	u64 args[2] = { (u64)&now, 0 }, status;

	if (hal_efi_call(HAL_EFI_GET_TIME, args, 2, &status) || status)
		return 0;
	return hal_efi_time_seconds(&now);
}

#if HALCYON_DEBUG
void hal_efi_test_break(u64 entry)
{
	WRITE_ONCE(efi.broken_entry, entry);
}

void hal_efi_test_repair(void)
{
	WRITE_ONCE(efi.broken_entry, 0);
	WRITE_ONCE(efi.disabled, 0);
}
#endif
