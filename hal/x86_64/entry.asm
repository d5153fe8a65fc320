; SPDX-License-Identifier: MIT
;
; Every way into the kernel and out of it: the first instruction, traps and interrupts, system calls.
;
; Frames. Each entry builds a struct hal_regs (arch/regs.h) on the stack. From user mode that is always
; at the top of the thread's kernel stack, because TSS.rsp0 and gs:kernel_sp both hold that top. Below
; it lies a marked frame for the unwinder, which also looks like an ordinary C frame to gdb:
;
;	[rbp + 16]	struct hal_regs
;	[rbp + 8]	the interrupted RIP, in the place of a return address
;	[rbp]		the interrupted RBP
;	[rbp - 8]	FRAME_MARK
;
; GS. In user mode GS base is the user's and KERNEL_GS_BASE the kernel's, in the kernel the other way
; round. Ordinary entries swap when CS says that they came from user mode. NMI, #DF, #MC and #DB can hit
; the few instructions around a swap, where CS says kernel and GS is still the user's; with FSGSBASE a
; user may even load a GS base that looks like a kernel address, so the base itself proves nothing. Those
; entries run on IST stacks, save the GS base, and load their own CPU's from a table, by the CPU number
; that LSL reads from the GDT. From user mode they move to the thread's stack and go the ordinary way.
;
; This is the way of a CPU that needs no shield between programs and the kernel. One that does (page-table isolation,
; buffers to clear, branch predictors to restrict) enters and leaves by entry_hard.asm, which is chosen once, at boot, by
; what its IDT and LSTAR name: so the shields cost nothing here. x86_hard says which of the two it is.
;
; Interrupts are off at every entry (interrupt gates, FMASK). AC is cleared by FMASK, or here by CLAC, so
; that SMAP is in force in all kernel code. LFENCE after a conditional SWAPGS stops a CPU that guesses
; the branch wrong from using the wrong GS (CVE-2019-1125).

%include "offsets.inc"
%include "entry.inc"

bits 64
default rel

extern x86_cpu0, x86_boot_stacks, x86_cpus, x86_smap
extern x86_boot_cpu_init, kernel_main, upcall_thread_start
extern x86_hard, x86_hard_return_user
%if HALCYON_KASAN
extern x86_shadow_init
%endif
extern x86_trap, x86_trap_ist, x86_exit_to_user, x86_syscall_exit
%if HALCYON_DEBUG
extern upcall_leave_kernel
%endif
extern syscall_table, syscall_table_size, upcall_syscall_slow
extern __x86_indirect_thunk_rax, __x86_indirect_thunk_rbx

; ---- the first instruction ---------------------------------------------------------------------
; State: include/boot/bootinfo.h. RDI = struct bootinfo in the direct map. Interrupts are off.
section .text.boot exec
global kernel_entry
kernel_entry:
	mov	rbx, rdi
	lea	rsp, [x86_boot_stacks + BOOT_STACK_TOP]
	xor	ebp, ebp

	; Segments before GS base: loading GS clears it.
	lea	r12, [x86_cpu0]
	mov	rdi, r12
	call	x86_load_segments

	; The canary: from the loader's seed, with a zero byte so that string functions stop at it.
	mov	rax, [rbx + BOOTINFO_SEED]
	xor	al, al
	mov	[r12 + PC_CANARY], rax
	mov	[r12 + PC_SELF], r12
	lea	rax, [x86_boot_stacks + BOOT_STACK_TOP]
	mov	[r12 + PC_KERNEL_SP], rax

	call	x86_protect
%if HALCYON_KASAN
	mov	rdi, rbx
	call	x86_shadow_init		; no other C before this: it would look at shadow that is not there
%endif
	push	rbp			; a frame that ends backtraces
	push	rbp
	call	x86_boot_cpu_init
	mov	rdi, rbx
	call	kernel_main
	ud2

; RDI = struct x86_cpu. Loads its GDT, the kernel's segments, and GS base. Clobbers RAX, RCX, RDX.
global x86_load_segments
x86_load_segments:
	sub	rsp, 16
	mov	word [rsp], GDT_LIMIT
	lea	rax, [rdi + CPU_GDT]
	mov	[rsp + 2], rax
	lgdt	[rsp]
	add	rsp, 16
	mov	eax, KERNEL_SS
	mov	ss, eax
	xor	eax, eax
	mov	ds, eax
	mov	es, eax
	mov	fs, eax
	mov	gs, eax
	lldt	ax
	mov	ecx, MSR_FS_BASE
	xor	edx, edx
	wrmsr
	mov	ecx, MSR_KERNEL_GS_BASE
	wrmsr
	mov	ecx, MSR_GS_BASE
	mov	rax, rdi
	mov	rdx, rdi
	shr	rdx, 32
	wrmsr
	pop	rdx
	push	KERNEL_CS
	push	rdx
	o64 retf

; The protections of design §4, before any C runs. CR4 is built from nothing: a bit that CPUID does not
; name must stay clear, and one that the firmware left set is not ours. Clobbers all but RBX, RBP, R12+.
global x86_protect
x86_protect:
	push	rbx
	push	r12
	mov	ecx, MSR_EFER
	rdmsr
	mov	esi, eax
	mov	r8d, edx
	mov	eax, 0x80000001
	cpuid
	bt	edx, 20			; NX
	jnc	.no_nx
	mov	ecx, MSR_EFER
	mov	eax, esi
	or	eax, EFER_NXE
	mov	edx, r8d
	wrmsr
.no_nx:
	mov	r12d, CR4_BASE
	mov	eax, 1
	cpuid
	bt	edx, 2
	jnc	.no_de
	or	r12d, CR4_DE
.no_de:
	bt	edx, 7
	jnc	.no_mce
	or	r12d, CR4_MCE
.no_mce:
	bt	edx, 13
	jnc	.no_pge
	or	r12d, CR4_PGE
.no_pge:
	bt	ecx, 26
	jnc	.no_xsave
	or	r12d, CR4_OSXSAVE
.no_xsave:
	xor	eax, eax
	cpuid
	cmp	eax, 0dh		; XSAVE cannot be used without the leaf that describes it
	jae	.leaves
	and	r12d, ~CR4_OSXSAVE
.leaves:
	cmp	eax, 7
	jb	.set
	mov	eax, 7
	xor	ecx, ecx
	cpuid
	bt	ebx, 0
	jnc	.no_fsgsbase
	or	r12d, CR4_FSGSBASE
.no_fsgsbase:
	bt	ebx, 7
	jnc	.no_smep
	or	r12d, CR4_SMEP
.no_smep:
	bt	ebx, 20
	jnc	.no_smap
	or	r12d, CR4_SMAP
	mov	byte [x86_smap], 1
.no_smap:
	bt	ecx, 2
	jnc	.set
	or	r12d, CR4_UMIP
.set:
	mov	cr4, r12
	test	r12d, CR4_SMAP
	jz	.no_clac
	clac
.no_clac:
	mov	rax, cr0
	or	rax, CR0_SET
	and	rax, ~CR0_CLEAR
	mov	cr0, rax
	pop	r12
	pop	rbx
	ret

; ---- traps and interrupts ----------------------------------------------------------------------
section .entry.text exec

align 16
global x86_vectors
x86_vectors:
	VECTOR_STUBS x86_trap_common, x86_ist_common

align 16
global x86_trap_common, x86_trap_common.kernel
x86_trap_common:
	PUSH_REST
	cld
	CLAC_IF_SMAP
	test	byte [rsp + REGS_CS], 3
	jz	.kernel
	swapgs
.kernel:
	lfence
	mov	edx, edi		; vector
	mov	rdi, rsp		; regs
	mov	rsi, [rsp + REGS_ORIG_RAX]	; error code
	or	qword [rsp + REGS_ORIG_RAX], -1	; no system call
	push	qword [rdi + REGS_RIP]
	call_trap:
	push	rbp
	mov	rbp, rsp
	push	FRAME_MARK
	call	x86_trap		; from user mode it comes back after the exit work, interrupts off
	lea	rsp, [rbp + 16]
	test	byte [rsp + REGS_CS], 3
	jz	x86_return_kernel

; RSP = a user frame, interrupts off, exit work done.
x86_return_user:
	POP_ALL
	swapgs
	add	rsp, 8
	iretq

global x86_return_kernel
x86_return_kernel:
	POP_ALL
	add	rsp, 8
	iretq

align 16
x86_ist_common:
	PUSH_REST
	cld
	CLAC_IF_SMAP
	test	byte [rsp + REGS_CS], 3
	jz	.kernel

	; From user mode: move the frame to the thread's stack, then as any other trap.
	swapgs
	lfence
	mov	edx, edi
	mov	rsi, rsp
	mov	rdi, [gs:PC_KERNEL_SP]
	sub	rdi, REGS_BYTES
	mov	rsp, rdi
	mov	ecx, REGS_BYTES / 8
	rep	movsq
	mov	rdi, rsp
	mov	rsi, [rsp + REGS_ORIG_RAX]
	or	qword [rsp + REGS_ORIG_RAX], -1
	push	qword [rdi + REGS_RIP]
	jmp	call_trap

.kernel:
	IST_KERNEL_GS
	mov	rdi, rsp
	mov	rsi, [rsp + REGS_ORIG_RAX]
	or	qword [rsp + REGS_ORIG_RAX], -1
	mov	edx, r12d
	push	qword [rdi + REGS_RIP]
call_trap_ist:
	push	rbp
	mov	rbp, rsp
	push	FRAME_MARK
	call	x86_trap_ist
	lea	rsp, [rbp + 16]
	mov	ecx, MSR_GS_BASE
	mov	eax, r13d
	mov	edx, r14d
	wrmsr
	jmp	x86_return_kernel

; ---- system calls ------------------------------------------------------------------------------
; SYSCALL: RCX = user RIP, R11 = user RFLAGS, number in EAX, arguments in RDI RSI RDX R10 R8 R9.
; Flags are masked, the stack is still the user's. The C function's callee-saved registers come back as
; they were, so the fast way out reloads only the others. Whoever rewrites more of the frame than its
; result sets HAL_WORK_FRAME, which leads through the slow way.
align 16
global x86_syscall_entry
x86_syscall_entry:
	swapgs
	mov	[gs:PC_USER_SP], rsp
	mov	rsp, [gs:PC_KERNEL_SP]
	SYSCALL_FRAME gs:PC_USER_SP
	push	rcx
x86_syscall_call:
	SYSCALL_CALL .slow, .done, .work
	lea	rsp, [rbp + 16]
	SYSRET_CHECK .iret
	SYSRET_REGISTERS
	mov	rsp, [rsp + REGS_RSP]
	swapgs
	o64 sysret

.slow:
	lea	rdi, [rbp + 16]
	call	upcall_syscall_slow
	jmp	.done
.work:
	lea	rdi, [rbp + 16]
	call	x86_syscall_exit
	lea	rsp, [rbp + 16]
	test	al, al
	jz	x86_return_user
	POP_ALL				; all of the frame, and SYSRET is safe: RCX = RIP, R11 = RFLAGS
	mov	rsp, [rsp + REGS_RSP - REGS_ORIG_RAX]
	swapgs
	o64 sysret
.iret:
	jmp	x86_return_user

; SYSCALL from compatibility mode. There is no 32-bit code segment, so nobody gets here; if somebody did,
; this is what Linux answers without 32-bit emulation.
align 16
global x86_syscall32_entry
x86_syscall32_entry:
	mov	eax, NEG_ENOSYS
	o32 sysret

; %1 = a user frame: the stack goes on below it with a marked frame, as every entry makes one. Who looks at the thread
; while it is in exit work then sees where in user mode it will go on. Leaves the stack aligned.
%macro USER_FRAME 1
	lea	rsp, [%1]
	push	qword [%1 + REGS_RIP]
	push	qword [%1 + REGS_RBP]
	mov	rbp, rsp
	push	FRAME_MARK
%endmacro

; ---- threads -----------------------------------------------------------------------------------
; The first instruction of a new thread, on its own stack as hal_thread_init_* built it; RAX = the thread
; that ran before. Kernel thread: RBX = entry, R12 = argument.
section .text exec
global x86_thread_kernel_start
x86_thread_kernel_start:
	mov	rdi, rax
	call	upcall_thread_start
	mov	rdi, r12
	call	__x86_indirect_thunk_rbx
	ud2

; A copy of a user thread: RSP + 8 = its frame.
global x86_thread_user_start
x86_thread_user_start:
	lea	rbx, [rsp + 8]
	USER_FRAME rbx
	mov	rdi, rax
	call	upcall_thread_start
	cli
	mov	rdi, rbx
	call	x86_exit_to_user
	mov	rsp, rbx
	cmp	byte [x86_hard], 0
	jne	x86_hard_return_user
	jmp	x86_return_user

; void x86_enter_user(struct hal_regs *regs): the kernel stack starts afresh below the frame.
global x86_enter_user
x86_enter_user:
	cli
	mov	rbx, rdi
	USER_FRAME rbx
	call	x86_exit_to_user
	mov	rsp, rbx
	cmp	byte [x86_hard], 0
	jne	x86_hard_return_user
	jmp	x86_return_user

; struct thread *x86_switch(prev, next). Interrupts off. What C keeps over a call goes to prev's stack;
; the rest of prev lies in its frames above. The canary changes with the stack.
global x86_switch
x86_switch:
	push	rbp
	push	rbx
	push	r12
	push	r13
	push	r14
	push	r15
	mov	[rdi + HT_SP], rsp
	mov	rsp, [rsi + HT_SP]
	mov	rax, [rsi + HT_CANARY]
	mov	[gs:PC_CANARY], rax
	mov	[gs:PC_CURRENT], rsi
	mov	rax, [rsi + HT_STACK_BASE]
	add	rax, [rsi + HT_STACK_SIZE]
	mov	[gs:PC_KERNEL_SP], rax
	mov	rcx, [gs:PC_TSS]
	mov	[rcx + TSS_RSP0], rax
	mov	rax, rdi
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbx
	pop	rbp
	ret
; void hal_panic_stack_run(void (*fn)(void)): never comes back; what the panic stack held is forgotten.
global hal_panic_stack_run
hal_panic_stack_run:
	lea	rsp, [x86_boot_stacks + PANIC_STACK_TOP]
	xor	ebp, ebp
	push	rbp			; ends backtraces
	push	rbp
	mov	rax, rdi
	call	__x86_indirect_thunk_rax
	ud2
section .note.GNU-stack noalloc noexec nowrite progbits
