; SPDX-License-Identifier: MIT
;
; The ways in and out of a CPU that needs shields: page-table isolation (pti.c) and what mitigate.c decides. They do what
; entry.asm does, with three additions, each switched by a bit of x86_hard or by x86_pti:
;
;	HARD_IBRS	IA32_SPEC_CTRL.IBRS is set while the kernel runs and cleared on the way out (RETBleed on Intel)
;	HARD_IBPB	an indirect branch prediction barrier on the way in (RETBleed on AMD)
;	HARD_VERW	VERW overwrites the CPU's buffers on the way out (MDS, TAA, MMIO stale data, RFDS)
;
; Page-table isolation. User mode runs on the user root of a pair, in which of the kernel only the CPU's entry area is
; mapped. So an interrupt, a trap and SYSCALL begin in the entry area's copy of section .entry.pti, on stacks that lie in the
; area too; each loads the kernel's CR3 before it touches anything else, moves to the thread's stack, and goes on in the
; image. The way out comes back to the copy, which loads the user's CR3 and leaves. Rules for code in .entry.pti:
;
;	- What it addresses relative to RIP is its own copy's CPU: DATA() always, PRIVATE() on the kernel's CR3 only.
;	- No address of the image is written where user mode's page tables show it; PRIVATE() holds them. The frame that the CPU
;	  itself writes when an NMI hits the kernel is wiped at once.
;	- Jumps into the image and back are retpolines: those CPUs mispredict.
;
; IST traps cannot know what is loaded. CR3 says which root it is (X86_PTI_USER_ROOT is set in every user root's address),
; the GS base is saved and loaded from PRIVATE(). They move to the stack in the kernel that they would have without isolation,
; and when they interrupted code that had the user's CR3, they go back by their stack in the area. One that came from user
; mode goes the ordinary way: SWAPGS and the load of CR3 are then due, whatever the vector.
;
; Nothing between the load of the user's CR3 and IRET or SYSRET can fault: the frame's RIP was checked, its selectors are ours.

%include "offsets.inc"
%include "entry.inc"

bits 64
default rel

extern x86_cpus, x86_smap, x86_hard, x86_pti
extern x86_trap, x86_trap_ist, x86_syscall_exit
extern x86_trap_common, x86_trap_common.kernel, x86_return_kernel
%if HALCYON_DEBUG
extern upcall_leave_kernel
%endif
extern syscall_table, syscall_table_size, upcall_syscall_slow
extern __x86_indirect_thunk_rax

; A retpoline to the address in memory at %1: no register is needed. Two words of stack are.
%macro JUMP_TO 1
	call	%%over
%%guess:
	pause
	lfence
	jmp	%%guess
%%over:
	push	qword [%1]
	pop	qword [rsp]		; POP computes the address after it has counted RSP up: the return address
	ret
%endmacro

; On the way in, on the thread's stack, all registers saved. Keeps those of a system call's arguments and RAX.
; Clobbers RBX, RCX, R11.
%macro SHIELD_IN 0
	test	byte [x86_hard], HARD_IBRS | HARD_IBPB
	jz	%%none
	mov	rbx, rax
	mov	r11, rdx
	test	byte [x86_hard], HARD_IBPB
	jz	%%no_ibpb
	mov	ecx, MSR_PRED_CMD
	mov	eax, 1
	xor	edx, edx
	wrmsr
%%no_ibpb:
	test	byte [x86_hard], HARD_IBRS
	jz	%%done
	mov	ecx, MSR_SPEC_CTRL
	mov	rax, [gs:PC_SPEC_CTRL]
	mov	rdx, rax
	shr	rdx, 32
	or	eax, 1
	wrmsr
%%done:
	mov	rdx, r11
	mov	rax, rbx
%%none:
	lfence				; nothing of the kernel's runs ahead of this
%endmacro

; On the way out, interrupts off, all of the user's registers in the frame. Clobbers RAX, RCX, RDX.
%macro SHIELD_OUT 0
	test	byte [x86_hard], HARD_IBRS
	jz	%%no_ibrs
	mov	ecx, MSR_SPEC_CTRL
	mov	rax, [gs:PC_SPEC_CTRL]
	mov	rdx, rax
	shr	rdx, 32
	wrmsr
%%no_ibrs:
	cmp	byte [x86_pti], 0
	je	%%no_pti
	mov	rcx, [gs:PC_ENTRY_DATA]
	mov	rax, [rcx + ED_USER_NEXT]
	mov	[rcx + ED_USER_CR3], rax
	or	rax, [rcx + ED_NOFLUSH]
	mov	[rcx + ED_USER_NEXT], rax
%%no_pti:
	test	byte [x86_hard], HARD_VERW
	jz	%%no_verw
	verw	[verw_selector]		; the operand must be in memory, and a writable data segment's
%%no_verw:
%endmacro

; ---- in the image ------------------------------------------------------------------------------
section .entry.text exec
verw_selector:
	dw	KERNEL_SS

align 16
global x86_hard_vectors
x86_hard_vectors:
	VECTOR_STUBS hard_trap_common, hard_ist_common

align 16
hard_trap_common:
	PUSH_REST
	cld
	CLAC_IF_SMAP
	test	byte [rsp + REGS_CS], 3
	jz	x86_trap_common.kernel
	swapgs
	lfence
	jmp	hard_trap_user

; Section .entry.pti comes here: RSP = the thread's stack, saved down to RAX, the kernel's GS and CR3.
align 16
global x86_hard_trap_user
x86_hard_trap_user:
	PUSH_OTHERS
	cld
	CLAC_IF_SMAP
hard_trap_user:
	SHIELD_IN
	mov	edx, edi		; vector
	mov	rdi, rsp		; regs
	mov	rsi, [rsp + REGS_ORIG_RAX]	; error code
	or	qword [rsp + REGS_ORIG_RAX], -1	; no system call
	push	qword [rdi + REGS_RIP]
	push	rbp
	mov	rbp, rsp
	push	FRAME_MARK
	call	x86_trap
	lea	rsp, [rbp + 16]

; RSP = a user frame, interrupts off, exit work done.
global x86_hard_return_user
x86_hard_return_user:
	SHIELD_OUT
	cmp	byte [x86_pti], 0
	je	.same_root
	mov	rdi, [gs:PC_ENTRY_SP]
%assign i 0
%rep 5
	mov	rax, [rsp + REGS_RIP + i * 8]
	mov	[rdi - 40 + i * 8], rax
%assign i i+1
%endrep
	POP_ALL
	add	rsp, 8
	JUMP_TO	gs:PC_ENTRY_IRET
.same_root:
	POP_ALL
	swapgs
	add	rsp, 8
	iretq

align 16
hard_ist_common:
	PUSH_REST
	cld
	CLAC_IF_SMAP
	test	byte [rsp + REGS_CS], 3
	jz	.kernel
	swapgs
	lfence
	mov	edx, edi
	mov	rsi, rsp
	mov	rdi, [gs:PC_KERNEL_SP]
	sub	rdi, REGS_BYTES
	mov	rsp, rdi
	mov	ecx, REGS_BYTES / 8
	rep	movsq
	mov	edi, edx
	jmp	hard_trap_user

.kernel:
	IST_KERNEL_GS
	xor	r15d, r15d		; there is one root
	jmp	x86_hard_ist_kernel.shield

; An IST trap that hit the kernel, from .entry.pti: RSP = its frame on the stack in the kernel, the kernel's GS and CR3.
; R12 = vector, R13 and R14 = the GS base to go back to, R15 = the CR3, RBX = what lies on the stack in the entry area.
align 16
global x86_hard_ist_kernel
x86_hard_ist_kernel:
	test	r15d, X86_USER_ROOT
	jnz	.goes_back
	xor	eax, eax		; what it interrupted is the kernel's, and that stack is seen by programs
%assign i 0
%rep 9
	mov	[rbx + i * 8], rax
%assign i i+1
%endrep
.goes_back:
	cld
	CLAC_IF_SMAP

; Without isolation, hard_ist_common comes here. What it interrupted may stand before SHIELD_IN or behind SHIELD_OUT.
.shield:
	mov	rdi, rsp
	mov	rsi, [rsp + REGS_ORIG_RAX]
	or	qword [rsp + REGS_ORIG_RAX], -1
	mov	r9d, r12d
	test	byte [x86_hard], HARD_IBPB
	jz	.no_ibpb
	mov	ecx, MSR_PRED_CMD
	mov	eax, 1
	xor	edx, edx
	wrmsr
.no_ibpb:
	test	byte [x86_hard], HARD_IBRS
	jz	.no_ibrs
	mov	ecx, MSR_SPEC_CTRL
	rdmsr
	mov	r12d, eax		; the bits in use are in the low half
	or	eax, 1
	wrmsr
.no_ibrs:
	lfence
	mov	edx, r9d
	push	qword [rdi + REGS_RIP]
	push	rbp
	mov	rbp, rsp
	push	FRAME_MARK
	call	x86_trap_ist
	lea	rsp, [rbp + 16]
	test	byte [x86_hard], HARD_IBRS
	jz	.spec_done
	mov	ecx, MSR_SPEC_CTRL
	mov	eax, r12d
	xor	edx, edx
	wrmsr
.spec_done:
	mov	ecx, MSR_GS_BASE
	mov	eax, r13d
	mov	edx, r14d
	wrmsr
	test	r15d, X86_USER_ROOT
	jz	x86_return_kernel

	; Back by the stack in the area: the frame as the trap's code has left it, then CR3, then the registers it needs.
%assign i 0
%rep 5
	mov	rax, [rsp + REGS_RIP + i * 8]
	mov	[rbx + IST_RIP + i * 8], rax
%assign i i+1
%endrep
	mov	rax, rbx
	and	rax, -4096
	add	rax, (x86_pti_ist_out - x86_pti_text) - EA_DATA
	mov	[rbx - 8], rax		; where RET goes
	lea	rax, [rbx - 8]
	mov	[rsp + REGS_ORIG_RAX], rax
	POP_ALL
	pop	rsp
	ret

; ---- system calls ------------------------------------------------------------------------------
align 16
global x86_hard_syscall_entry
x86_hard_syscall_entry:
	swapgs
	mov	[gs:PC_USER_SP], rsp
	mov	rsp, [gs:PC_KERNEL_SP]
	SYSCALL_FRAME gs:PC_USER_SP

; Section .entry.pti comes here with the same frame.
global x86_hard_syscall
x86_hard_syscall:
	SHIELD_IN
	push	qword [rsp + REGS_RIP]
x86_hard_syscall_call:
	SYSCALL_CALL .slow, .done, .work
	lea	rsp, [rbp + 16]
	SYSRET_CHECK .iret
.sysret:
	SHIELD_OUT
	cmp	byte [x86_pti], 0
	je	.same_root
	mov	rax, [rsp + REGS_RSP]
	mov	rdx, [gs:PC_ENTRY_DATA]
	mov	[rdx + ED_SCRATCH], rax
	SYSRET_REGISTERS
	mov	rcx, [rsp + REGS_RIP]
	mov	rax, [rsp + REGS_RAX]
	JUMP_TO	gs:PC_ENTRY_SYSRET
.same_root:
	SYSRET_REGISTERS
	mov	rcx, [rsp + REGS_RIP]
	mov	rax, [rsp + REGS_RAX]
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
	jz	x86_hard_return_user
	mov	r12, [rsp + REGS_R12]	; more of the frame may have been written: all of it
	mov	r13, [rsp + REGS_R13]
	mov	r14, [rsp + REGS_R14]
	mov	r15, [rsp + REGS_R15]
	mov	r11, [rsp + REGS_RFLAGS]
	jmp	.sysret
.iret:
	jmp	x86_hard_return_user

; ---- in the entry area -------------------------------------------------------------------------
section .entry.pti exec align=4096
global x86_pti_text, x86_pti_vectors, x86_pti_syscall, x86_pti_syscall32, x86_pti_sysret, x86_pti_iret
x86_pti_text:
%define DATA(field)	x86_pti_text + EA_DATA + field
%define PRIVATE(field)	x86_pti_text + EA_PRIVATE + field

x86_pti_vectors:
	VECTOR_STUBS pti_trap, pti_ist

; RSP: RDI, error code, RIP, CS, RFLAGS, RSP, SS.
align 16
pti_trap:
	test	byte [rsp + 3 * 8], 3
	jz	.kernel
.user:
	swapgs
	push	rax
	mov	rax, [DATA(ED_KERNEL_CR3)]
	mov	cr3, rax		; serialises: no guess goes past the SWAPGS
	mov	rax, rsp
	mov	rsp, [gs:PC_KERNEL_SP]
	push	qword [rax + 7 * 8]	; SS
	push	qword [rax + 6 * 8]
	push	qword [rax + 5 * 8]
	push	qword [rax + 4 * 8]
	push	qword [rax + 3 * 8]
	push	qword [rax + 2 * 8]	; error code
	push	qword [rax + 1 * 8]	; RDI
	push	rsi
	push	rdx
	push	rcx
	push	qword [rax]
	JUMP_TO	PRIVATE(EP_TRAP_USER)
.kernel:
	JUMP_TO	PRIVATE(EP_TRAP_KERNEL)

align 16
pti_ist:
	test	byte [rsp + 3 * 8], 3
	jnz	pti_trap.user
	push	rax
	mov	rax, cr3
	push	rax
	test	eax, X86_USER_ROOT
	jz	.kernel_root
	mov	rax, [DATA(ED_KERNEL_CR3)]
	mov	cr3, rax
.kernel_root:
	lea	rax, [PRIVATE(EP_IST_TOP)]
	mov	rax, [rax + rdi * 8]
	xchg	rax, rsp		; RAX: CR3, RAX, RDI, error code, RIP, CS, RFLAGS, RSP, SS
	push	qword [rax + 8 * 8]
	push	qword [rax + 7 * 8]
	push	qword [rax + 6 * 8]
	push	qword [rax + 5 * 8]
	push	qword [rax + 4 * 8]
	push	qword [rax + 3 * 8]
	push	qword [rax + 2 * 8]
	push	rsi
	push	rdx
	push	rcx
	push	qword [rax + 1 * 8]
	PUSH_OTHERS
	mov	rbx, rax
	mov	r15, [rbx]
	mov	r12d, edi
	mov	ecx, MSR_GS_BASE
	rdmsr
	mov	r13d, eax
	mov	r14d, edx
	mov	rax, [PRIVATE(EP_GS_BASE)]
	mov	rdx, rax
	shr	rdx, 32
	wrmsr
	lfence
	JUMP_TO	PRIVATE(EP_IST_KERNEL)

; RSP: CR3, RAX, RDI, error code, the frame.
x86_pti_ist_out:
	pop	rax
	mov	cr3, rax		; with PCIDs it flushes too: rare
	pop	rax
	pop	rdi
	add	rsp, 8
	iretq

align 16
x86_pti_syscall:
	swapgs
	mov	[DATA(ED_SCRATCH)], rsp
	mov	rsp, [DATA(ED_KERNEL_CR3)]
	mov	cr3, rsp
	mov	rsp, [gs:PC_KERNEL_SP]
	SYSCALL_FRAME DATA(ED_SCRATCH)
	JUMP_TO	PRIVATE(EP_SYSCALL)

; On the thread's stack, which goes with the kernel's CR3; the user's RSP is in the scratch word.
x86_pti_sysret:
	mov	rsp, [DATA(ED_USER_CR3)]
	mov	cr3, rsp
	mov	rsp, [DATA(ED_SCRATCH)]
	swapgs
	o64 sysret

; The same; the frame lies at the top of the area's stack, and registers are the user's.
x86_pti_iret:
	lea	rsp, [DATA(ED_TRAP_TOP - 40)]
	push	rax
	mov	rax, [DATA(ED_USER_CR3)]
	mov	cr3, rax
	pop	rax
	swapgs
	iretq

; As x86_syscall32_entry.
x86_pti_syscall32:
	mov	eax, NEG_ENOSYS
	o32 sysret
section .note.GNU-stack noalloc noexec nowrite progbits
