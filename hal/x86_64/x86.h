/* SPDX-License-Identifier: MIT */
#ifndef X86_H
#define X86_H

/*
 * Inside hal/x86_64 only: registers of the architecture, the instructions that the compiler must see
 * inline, the per-CPU block and what the files of this folder call in each other. Numbers are from the
 * SDM (vol. 3A 2.5 control registers, vol. 4 MSRs) and the APM (SYSCALL, EFER).
 */
#include <boot/bootinfo.h>
#include <hal/cpu.h>
#include <hal/mem.h>
#include <hal/percpu.h>
#include <hal/pt.h>
#include <hal/thread.h>
#include <hal/upcall.h>
#include <arch/insn.h>

/* Selectors: Linux's, because programs and sigcontext see them. SYSRET wants user data below user code. */
#define X86_KERNEL_CS	0x10
#define X86_KERNEL_SS	0x18
#define X86_USER_SS	0x2b
#define X86_USER_CS	0x33
#define X86_TSS_SEL	0x40
#define X86_CPU_SEL	0x7b	/* its limit is the CPU's number, for LSL */
#define X86_GDT_ENTRIES	16

#define X86_CR0_MP	(1ull << 1)
#define X86_CR0_EM	(1ull << 2)
#define X86_CR0_TS	(1ull << 3)
#define X86_CR0_NE	(1ull << 5)
#define X86_CR0_WP	(1ull << 16)
#define X86_CR0_AM	(1ull << 18)

#define X86_CR4_DE		(1ull << 3)
#define X86_CR4_PAE		(1ull << 5)
#define X86_CR4_MCE		(1ull << 6)
#define X86_CR4_PGE		(1ull << 7)
#define X86_CR4_OSFXSR		(1ull << 9)
#define X86_CR4_OSXMMEXCPT	(1ull << 10)
#define X86_CR4_UMIP		(1ull << 11)
#define X86_CR4_FSGSBASE	(1ull << 16)
#define X86_CR4_OSXSAVE		(1ull << 18)
#define X86_CR4_SMEP		(1ull << 20)
#define X86_CR4_SMAP		(1ull << 21)

#define X86_MSR_APIC_BASE	0x0000001b
#define X86_MSR_SYSENTER_CS	0x00000174
#define X86_MSR_SYSENTER_ESP	0x00000175
#define X86_MSR_SYSENTER_EIP	0x00000176
#define X86_MSR_PAT		0x00000277
#define X86_MSR_TSC_DEADLINE	0x000006e0
#define X86_MSR_X2APIC		0x00000800
#define X86_MSR_EFER		0xc0000080
#define X86_MSR_STAR		0xc0000081
#define X86_MSR_LSTAR		0xc0000082
#define X86_MSR_CSTAR		0xc0000083
#define X86_MSR_FMASK		0xc0000084
#define X86_MSR_FS_BASE		0xc0000100
#define X86_MSR_GS_BASE		0xc0000101
#define X86_MSR_KERNEL_GS_BASE	0xc0000102

#define X86_EFER_SCE	(1ull << 0)
#define X86_EFER_LME	(1ull << 8)
#define X86_EFER_NXE	(1ull << 11)

#define X86_RFLAGS_CF	(1ull << 0)
#define X86_RFLAGS_FIX	(1ull << 1)
#define X86_RFLAGS_TF	(1ull << 8)
#define X86_RFLAGS_IF	(1ull << 9)
#define X86_RFLAGS_DF	(1ull << 10)
#define X86_RFLAGS_IOPL	(3ull << 12)
#define X86_RFLAGS_NT	(1ull << 14)
#define X86_RFLAGS_RF	(1ull << 16)
#define X86_RFLAGS_AC	(1ull << 18)
#define X86_RFLAGS_ID	(1ull << 21)
/* What SYSCALL clears: all that a user could set to surprise the kernel, arithmetic flags with it. */
#define X86_SYSCALL_MASK (0x8d5ull | X86_RFLAGS_TF | X86_RFLAGS_IF | X86_RFLAGS_DF | X86_RFLAGS_IOPL | \
			  X86_RFLAGS_NT | X86_RFLAGS_RF | X86_RFLAGS_AC | X86_RFLAGS_ID)
/* What a signal frame may set: CF PF AF ZF SF TF DF OF RF AC, as on Linux. */
#define X86_SIGRETURN_FLAGS 0x50dd5ull

/* Vectors. */
#define X86_VEC_DE	0
#define X86_VEC_DB	1
#define X86_VEC_NMI	2
#define X86_VEC_BP	3
#define X86_VEC_OF	4
#define X86_VEC_BR	5
#define X86_VEC_UD	6
#define X86_VEC_NM	7
#define X86_VEC_DF	8
#define X86_VEC_TS	10
#define X86_VEC_NP	11
#define X86_VEC_SS	12
#define X86_VEC_GP	13
#define X86_VEC_PF	14
#define X86_VEC_MF	16
#define X86_VEC_AC	17
#define X86_VEC_MC	18
#define X86_VEC_XM	19
#define X86_VEC_IRQ_FIRST	32
#define X86_VEC_PIC		32	/* 32..47: the masked 8259s' spurious interrupts end here */
#define X86_VEC_IRQ_CLEANUP	33	/* below all devices': comes after what is pending of theirs (irq_move.c) */
#define X86_VEC_DEVICE_FIRST	48
#define X86_VEC_DEVICE_LAST	239
#define X86_VEC_TIMER		240
#define X86_VEC_KICK		241	/* hal_cpu_kick() */
#define X86_VEC_CALL		242	/* hal_ipi_call() */
#define X86_VEC_TLB		243	/* hal_ipi_tlb() */
#define X86_VEC_STOP		244	/* hal_ipi_stop() */
#define X86_VEC_ERROR		254
#define X86_VEC_SPURIOUS	255	/* low four bits all ones: old APICs force them */

enum x86_ist { X86_IST_NMI = 1, X86_IST_DF = 2, X86_IST_MC = 3, X86_IST_DB = 4, X86_IST_COUNT = 4 };
/* KASAN's red zones make frames larger. */
#define X86_IST_BYTES	(8192 << HALCYON_KASAN)
#define X86_BOOT_STACK_BYTES (16384 << HALCYON_KASAN)
#define X86_PANIC_STACK_BYTES 32768
#define X86_GUARD_BYTES	4096	/* below each stack; unmapped by x86_guards_init() */

struct x86_ist_stack {
	u8 guard[X86_GUARD_BYTES];
	u8 bytes[X86_IST_BYTES];
};

/* The boot CPU's, in the image: first the stack that becomes its idle thread's. */
struct x86_boot_stacks {
	u8 guard[X86_GUARD_BYTES];
	u8 boot[X86_BOOT_STACK_BYTES];
	struct x86_ist_stack ist[X86_IST_COUNT];
	u8 panic_guard[X86_GUARD_BYTES];
	u8 panic[X86_PANIC_STACK_BYTES];	/* hal_panic_stack_run() */
};

/* Marks a trap frame for the unwinder: it lies below the saved frame pointer, see entry.asm. */
#define X86_FRAME_MARK	0x54524150	/* "TRAP" */

struct x86_tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 iomap;
} __packed;
_Static_assert(sizeof(struct x86_tss) == 104, "SDM vol. 3A 8.7");

/* Everything that one CPU has. GS points at its beginning while the CPU is in the kernel. */
struct x86_cpu {
	struct hal_percpu pc;
	u64 gdt[X86_GDT_ENTRIES];
	struct x86_tss tss;
	u8 *ist_base[X86_IST_COUNT];		/* [I] lowest byte of each IST stack, X86_IST_BYTES long */
	u32 state;				/* [a] enum x86_cpu_state, see smp.c; the boot CPU's is not used */
	u32 claimed;				/* [a] a CPU has come for its stack: ap_start.asm */
	const char *refusal;			/* [I] with X86_CPU_REFUSED: why */
	bool init_sent;				/* the one that starts CPUs: since it was OFF, STOPPED or REFUSED */
} __aligned(64);
enum x86_cpu_state {
	X86_CPU_OFF, X86_CPU_STARTING, X86_CPU_ALIVE, X86_CPU_LOST, X86_CPU_REFUSED, X86_CPU_ONLINE, X86_CPU_LEAVING,
	X86_CPU_STOPPED,
};
extern struct x86_cpu x86_cpu0;
extern struct x86_cpu *x86_cpus[HAL_MAX_CPUS];	/* [I] once that CPU is online */
extern struct x86_boot_stacks x86_boot_stacks;
extern u32 x86_cpu_total;

/* ---- features (features.c) ---- */
enum x86_feature {
	X86_F_FPU, X86_F_VME, X86_F_DE, X86_F_PSE, X86_F_TSC, X86_F_MSR, X86_F_PAE, X86_F_MCE, X86_F_CX8,
	X86_F_APIC, X86_F_SEP, X86_F_MTRR, X86_F_PGE, X86_F_MCA, X86_F_CMOV, X86_F_PAT, X86_F_PSE36, X86_F_CLFLUSH,
	X86_F_MMX, X86_F_FXSR, X86_F_SSE, X86_F_SSE2, X86_F_HT, X86_F_SYSCALL, X86_F_NX, X86_F_PDPE1GB,
	X86_F_RDTSCP, X86_F_LM, X86_F_CONSTANT_TSC, X86_F_NONSTOP_TSC, X86_F_SSE3, X86_F_PCLMULQDQ, X86_F_MONITOR, X86_F_SSSE3,
	X86_F_FMA, X86_F_CX16, X86_F_PCID, X86_F_SSE41, X86_F_SSE42, X86_F_X2APIC, X86_F_MOVBE, X86_F_POPCNT,
	X86_F_TSC_DEADLINE, X86_F_AES, X86_F_XSAVE, X86_F_AVX, X86_F_F16C, X86_F_RDRAND, X86_F_HYPERVISOR,
	X86_F_LAHF_LM, X86_F_SVM, X86_F_ABM, X86_F_SSE4A, X86_F_3DNOWPREFETCH, X86_F_FSGSBASE, X86_F_BMI1,
	X86_F_AVX2, X86_F_SMEP, X86_F_BMI2, X86_F_ERMS, X86_F_INVPCID, X86_F_MPX, X86_F_AVX512F, X86_F_RDSEED,
	X86_F_ADX, X86_F_SMAP, X86_F_CLFLUSHOPT, X86_F_CLWB, X86_F_SHA_NI, X86_F_UMIP, X86_F_PKU, X86_F_VAES,
	X86_F_VPCLMULQDQ, X86_F_LA57, X86_F_RDPID, X86_F_FSRM, X86_F_XSAVEOPT, X86_F_XSAVEC, X86_F_XGETBV1,
	X86_F_XSAVES, X86_F_ARAT, X86_F_COUNT
};
bool x86_has(enum x86_feature f);
/* Does CPUID have that leaf, basic or extended? */
bool x86_has_leaf(u32 leaf);
bool x86_vendor_is(const char *vendor);
/* On a further CPU: NULL, or that it lacks something that the boot CPU has. */
const char *x86_features_missing(void);
void x86_features_detect(void);
void x86_features_report(void);
extern u8 x86_smap;		/* [I] SMAP is on: entry and uaccess code must STAC and CLAC */
extern u8 x86_erms;		/* [I] REP MOVSB is the fast way */
extern u8 x86_fsgsbase;		/* [I] CR4.FSGSBASE is on */

/* ---- entry.asm ---- */
extern const u8 x86_vectors[];		/* 256 stubs, X86_VECTOR_STUB_BYTES apart */
#define X86_VECTOR_STUB_BYTES 16
void x86_syscall_entry(void);
void x86_syscall32_entry(void);
void x86_thread_kernel_start(void);
void x86_thread_user_start(void);
__noreturn void x86_enter_user(struct hal_regs *regs);
struct thread *x86_switch(struct thread *prev, struct thread *next);
void x86_protect(void);

/* ---- tables.c ---- */
void x86_boot_cpu_init(void);
void x86_cpu_tables_init(struct x86_cpu *cpu, u32 number);
void x86_tables_load(void);
void x86_syscall_init(void);
void x86_guards_init(void);
void x86_unmap_guard(const void *page);
void x86_cpu_set_node(struct x86_cpu *cpu, u32 node);

/* ---- trap.c ---- */
void x86_trap(struct hal_regs *regs, u64 error, u32 vector);
void x86_trap_ist(struct hal_regs *regs, u64 error, u32 vector);
void x86_exit_to_user(struct hal_regs *regs);
bool x86_syscall_exit(struct hal_regs *regs);
u64 x86_extable_find(u64 ip);

/* ---- fpu.c ---- */
void x86_fpu_init(void);
/* The same on a further CPU. */
void x86_fpu_init_cpu(void);
void x86_fpu_switch(struct hal_thread *prev, struct hal_thread *next);
void x86_fpu_load(struct hal_thread *t);
void x86_fpu_unload(struct hal_thread *t);
void x86_fpu_reset(struct hal_thread *t);
void x86_fpu_reset_area(struct hal_thread *t);
int x86_fpu_save_user(struct hal_thread *t, u64 fp);
int x86_fpu_load_area(struct hal_thread *t);
int x86_fpu_load_user(struct hal_thread *t, u64 fp, u64 features);
int x86_fpu_alloc(struct hal_thread *t);
void x86_fpu_free(struct hal_thread *t);
extern u32 x86_fpu_bytes;	/* [I] of the standard XSAVE (or FXSAVE) area */
extern u64 x86_xcr0;		/* [I] 0: no XSAVE */
extern u32 x86_mxcsr_mask;	/* [I] */
extern u8 x86_xsaveopt;		/* [I] 1: the CPU has it */
extern u8 x86_switch_fast;	/* [I] hal_switch() may go the short way: FSGSBASE and XSAVEOPT are there */
/* Loads vector state from kernel memory; false: it was damaged, the registers are undefined. */
bool x86_fpu_try_restore(void *area);	/* fpu.asm */
u64 x86_xgetbv0(void);

/* ---- apic.c, irq.c, ioapic.c, clock.c ---- */
void x86_apic_init(void);
void x86_apic_init_cpu(void);
void x86_apic_stop_cpu(void);
bool x86_apic_is_x2(void);
void x86_apic_eoi(void);
/* One register of this CPU's APIC, by its offset in the memory-mapped form. Interrupts or preemption off. */
u32 x86_apic_read(u32 reg);
void x86_apic_write(u32 reg, u32 value);
u32 x86_apic_id(void);
void x86_apic_send(u32 apic_id, u32 command);
void x86_apic_send_nested(u32 apic_id, u32 command);
void x86_irq_init(void);
void x86_irq_dispatch(struct hal_regs *regs, u32 vector);
void x86_pic_disable(void);
void x86_ioapic_init(void);
/* An interrupt on a vector of the masked 8259s. */
void x86_pic_spurious(u32 vector);
extern u64 x86_pic_count;
/* What the error vector means; counts and reports it. */
void x86_apic_error(void);
/* Is the vector waiting to be taken by this CPU? */
bool x86_apic_is_pending(u32 vector);
/* Devices' interrupts reach this id: physical destinations have eight bits, 255 is everybody. */
static inline bool x86_apic_id_reachable(u32 apic_id)
{
	return apic_id < 255;
}
/* Rate limit of reports about interrupts: true at most once in five seconds. Any context. */
bool x86_irq_may_report(void);

bool x86_ioapic_has(u32 irq);
/* One past the highest line of all. */
u32 x86_ioapic_end(void);
/* Which input of its I/O APIC it is. */
u32 x86_ioapic_pin(u32 irq);
/* Points the line at that CPU and vector, masked. 0; -EINVAL no such line; -EBUSY it is firmware's; -ENODEV too high an id. */
int x86_ioapic_route(u32 irq, u32 vector, u32 apic_id, u32 flags);
/* Only the vector, only the CPU: each one write. */
void x86_ioapic_set_vector(u32 irq, u32 vector);
void x86_ioapic_set_target(u32 irq, u32 apic_id);
/* A level line whose interrupt was delivered and not yet acknowledged. */
bool x86_ioapic_in_service(u32 irq);
/* Forgets that, without an acknowledgement: the CPU that had it is gone. */
void x86_ioapic_forget_service(u32 irq);
/* The same as NMI, edge, not masked; there is no vector and no EOI. */
int x86_ioapic_route_nmi(u32 irq, u32 apic_id);
/* A driver has the line. */
bool x86_irq_line_used(u32 irq);
/* The HPET's registers, mapped and running; NULL: there is none that works. After x86_clock_init(). */
volatile u8 *x86_hpet(void);
void x86_ioapic_set_masked(u32 irq, bool masked);
bool x86_ioapic_is_level(u32 irq);
void x86_clock_init(void);
void x86_wallclock_init(const struct bootinfo *bi);

/*
 * The TSCs of the CPUs do not agree, or the TSC stops: the clock goes on with another counter. Once; thread or
 * interrupt context, any CPU, no lock held. A machine without another counter keeps the TSC, and says so.
 */
void x86_clock_tsc_unstable(const char *why);
/* Is the clock read from the TSC, and may a warp test say otherwise (not with tsc=reliable)? */
bool x86_clock_wants_warp_test(void);

/* ---- timer.c ---- */
u32 x86_apic_timer_count(void);
void x86_apic_timer_start_raw(u32 count);
/* The boot CPU has measured it; sets this CPU's up. */
void x86_apic_timer_calibrated(u64 hz);
/* Another CPU's, once its APIC is set up. Interrupts off, on that CPU. */
void x86_timer_init_cpu(void);

/* ---- ipi.c ---- */
bool x86_ipi_bare(u32 vector);
bool x86_ipi_handle(u32 vector);

/* ---- shadow.c ---- */
#if HALCYON_KASAN
void x86_shadow_init(const struct bootinfo *bi);
bool x86_shadow_trap(const struct hal_regs *r, vaddr_t *addr);
/* A fault on shadow that this CPU's TLB still had as the page of zeros: true when the tables allow the access by now. */
bool x86_shadow_spurious(vaddr_t addr);
#else
static inline bool x86_shadow_trap(const struct hal_regs *r, vaddr_t *addr)
{
	(void)r, (void)addr;
	return false;
}
#endif

/* [I] The page below 1 MiB from which CPUs start; 0: none. init.c */
extern u64 x86_trampoline_page;
/* Of this CPU; 0: it does not say. cpu_state.c */
u32 x86_microcode_revision(void);

void x86_acpi_init(u64 rsdp);
void x86_power_init(void);
#if HALCYON_COVERAGE
/* Writes the coverage counters to QEMU, once. Any context; at the machine's end. */
void x86_coverage_dump(void);
#else
static inline void x86_coverage_dump(void)
{
}
#endif
void x86_console_init(void);

/* ---- arithmetic ---- */
/* a * b / c with a 128-bit product; all ones when the quotient does not fit. c is not 0. */
static inline u64 x86_mul_div(u64 a, u64 b, u64 c)
{
	u64 lo, hi;

	__asm__("mulq %3" : "=a"(lo), "=d"(hi) : "0"(a), "rm"(b) : "cc");
	if (hi >= c)
		return ~0ull;
	__asm__("divq %2" : "+a"(lo), "+d"(hi) : "rm"(c) : "cc");
	return lo;
}

static __always_inline bool x86_canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

#endif
