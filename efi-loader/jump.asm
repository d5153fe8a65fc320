; SPDX-License-Identifier: MIT
;
; The jump: from the firmware's world to the kernel's.
;
; This code is copied to the jump page, a page of its own below 4 GiB that the firmware's tables and
; ours both map to itself, and called there after ExitBootServices as jump(struct jump_arguments *).
; It uses no stack and writes no memory, so the page may be read-only. Steps: own GDT, no IDT; EFER.NXE;
; our tables; WP; the kernel's stack; go.
;
; If the firmware runs with 5-level paging, CR4.LA57 can only change with paging off, and paging can
; only be off outside 64-bit mode (SDM vol. 3A §4.1.1, §9.8.5.4): hence the bounce through 32-bit
; compatibility mode, for which code, arguments and the top table lie below 4 GiB. The upper halves
; of registers do not survive that, so everything is loaded from the arguments afterwards.

%define ARG_CR3		0
%define ARG_ENTRY	8
%define ARG_STACK	16
%define ARG_BOOTINFO	24
%define ARG_GDTR_PHYS	32
%define ARG_GDTR_VIRT	42
%define ARG_IDTR	52
%define ARG_FAR_LEAVE	62
%define ARG_FAR_RETURN	68

%define CR0_PG		31
%define CR0_WP		16
%define CR4_PGE		7
%define CR4_LA57	12
%define CR4_CET		23
%define MSR_EFER	0xc0000080
%define EFER_NXE	11

%define DATA_SELECTOR	0x18

section .text
global jump_code_start:function hidden, jump_code_end:data hidden, jump_gdt:data hidden
global jump_leave_la57:data hidden, jump_back_to_64:data hidden

align 16
bits 64
jump_code_start:
	cli
	cld
	mov rbx, rdi			; the arguments, below 4 GiB
	lgdt [rbx + ARG_GDTR_PHYS]
	lidt [rbx + ARG_IDTR]
	mov ecx, MSR_EFER
	rdmsr
	bts eax, EFER_NXE
	wrmsr
	mov rax, cr4
	btr rax, CR4_PGE		; flushes global entries of the firmware
	btr rax, CR4_CET
	mov cr4, rax
	bt rax, CR4_LA57
	jc .bounce
	mov rax, [rbx + ARG_CR3]
	mov cr3, rax
	jmp far dword [rbx + ARG_FAR_RETURN]
.bounce:
	jmp far dword [rbx + ARG_FAR_LEAVE]

bits 32
jump_leave_la57:
	mov eax, DATA_SELECTOR
	mov ds, eax
	mov eax, cr0
	btr eax, CR0_PG
	mov cr0, eax
	mov eax, cr4
	btr eax, CR4_LA57
	mov cr4, eax
	mov eax, [ebx + ARG_CR3]
	mov cr3, eax
	mov eax, cr0
	bts eax, CR0_PG			; EFER.LME is still set: long mode is active again
	mov cr0, eax
	jmp far [ebx + ARG_FAR_RETURN]

bits 64
jump_back_to_64:
	mov ebx, ebx
	mov eax, DATA_SELECTOR
	mov ss, eax
	mov ds, eax
	mov es, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	lldt ax
	mov rax, cr0
	bts rax, CR0_WP
	mov cr0, rax
	lgdt [rbx + ARG_GDTR_VIRT]
	mov rdi, [rbx + ARG_BOOTINFO]
	mov rsp, [rbx + ARG_STACK]
	xor ebp, ebp
	push rbp			; the return address that a backtrace ends at
	jmp [rbx + ARG_ENTRY]

align 16
jump_gdt:				; accessed bits set: the CPU has nothing to write
	dq 0
	dq 0x00cf9b000000ffff		; 08h: 32-bit code
	dq 0x00af9b000000ffff		; 10h: 64-bit code
	dq 0x00cf93000000ffff		; 18h: data
jump_code_end:

section .note.GNU-stack noalloc noexec nowrite progbits
