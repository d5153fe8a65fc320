; SPDX-License-Identifier: MIT
;
; From the kernel's calling convention to firmware's (UEFI 2.10 2.3.4: Microsoft's x64), on another stack, with a way
; back out of the middle of it. See efi.c.

bits 64
default rel
section .text exec

extern __x86_indirect_thunk_rax

; u64 x86_efi_thunk(u64 entry, const u64 args[5], void *stack, u64 *saved_sp)
;   stack: its top, or 0 to stay on this one. *saved_sp is where x86_efi_abort finds the way back.
; RBX, RBP and R12 to R15 are the callee's to keep in both conventions; RDI and RSI, which only firmware keeps, are lost.
global x86_efi_thunk
align 16
x86_efi_thunk:
	push	rbp
	mov	rbp, rsp
	push	rbx
	push	r12
	push	r13
	push	r14
	push	r15
	mov	[rcx], rsp
	mov	rbx, rcx
	test	rdx, rdx
	cmovnz	rsp, rdx
	and	rsp, -16
	sub	rsp, 48			; room for four register arguments, the fifth, and alignment
	mov	rax, [rsi + 32]
	mov	[rsp + 32], rax
	mov	rax, rdi
	mov	rcx, [rsi]
	mov	rdx, [rsi + 8]
	mov	r8, [rsi + 16]
	mov	r9, [rsi + 24]
	cld
	call	__x86_indirect_thunk_rax
	mov	rsp, [rbx]

; Where a fault in firmware goes on: RSP is *saved_sp, RAX the result.
global x86_efi_abort
x86_efi_abort:
	cld
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbx
	pop	rbp
	ret
