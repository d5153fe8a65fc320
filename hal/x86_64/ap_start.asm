; SPDX-License-Identifier: MIT
;
; The first instructions of every CPU after the first.
;
; A start-up interrupt lets a CPU begin in real mode at the first byte of a page below 1 MiB (SDM vol. 3A 9.4.4). That
; page holds a copy of x86_trampoline, with x86_trampoline_data filled in (smp.c). Any number of CPUs run through it at the
; same time: it uses no stack and writes nothing. Real mode, protected mode, long mode on page tables of smp.c's that
; map this page one to one besides the kernel, then x86_ap_entry at its place in the kernel, which finds out by the APIC id
; which CPU this is and so gets the stack that smp.c has prepared for it.

%include "offsets.inc"

extern x86_cpus, x86_ap_ids, x86_ap_count, x86_ap_root, x86_ap_main
extern x86_load_segments, x86_protect

%define T(label) ((label) - x86_trampoline)

section .trampoline progbits alloc noexec nowrite align=16
global x86_trampoline, x86_trampoline_end, x86_trampoline_data
bits 16
x86_trampoline:
	cli
	cld
	mov	ax, cs
	mov	ds, ax
	o32 lgdt [T(x86_trampoline_data.gdtr)]
	mov	eax, 0x11		; PE, ET; paging, CD and NW off
	mov	cr0, eax
	jmp	far dword [T(x86_trampoline_data.far32)]

bits 32
trampoline32:				; segments are based at the page
	mov	ax, 0x10
	mov	ds, ax
	mov	eax, 1 << 5		; PAE
	mov	cr4, eax
	mov	eax, [T(x86_trampoline_data.root)]
	mov	cr3, eax
	mov	ecx, MSR_EFER
	mov	eax, [T(x86_trampoline_data.efer)]
	xor	edx, edx
	wrmsr
	mov	eax, 0x80010011		; PG, WP, ET, PE
	mov	cr0, eax
	jmp	far dword [T(x86_trampoline_data.far64)]

bits 64
trampoline64:
	mov	rax, [rel x86_trampoline_data.entry]
	jmp	rax

align 8
x86_trampoline_data:			; struct trampoline_data in smp.c
.entry:	dq 0				; x86_ap_entry
.gdt:	dq 0
	dq 0				; 08h: code, 32 bits, based at the page
	dq 0				; 10h: data, based at the page
	dq 0x00af9b000000ffff		; 18h: code, 64 bits
.root:	dd 0
.efer:	dd 0
.far32:	dd T(trampoline32)
	dw 0x08
	dw 0
.far64:	dd T(trampoline64)		; + the page's address
	dw 0x18
	dw 0
.gdtr:	dw 31
	dd T(x86_trampoline_data.gdt)	; + the page's address
	dw 0
x86_trampoline_end:

; In long mode, in the kernel's image, with the trampoline's page tables; no stack, interrupts off, paging bits of CR4
; as above. The id comes from CPUID (leaf 0Bh, else leaf 1) because the APIC may be in either of its modes.
section .text.boot exec
bits 64
default rel
global x86_ap_entry
x86_ap_entry:
	mov	rax, [x86_ap_root]
	mov	cr3, rax
	xor	eax, eax
	cpuid
	mov	edi, eax
	mov	eax, 1
	cpuid
	mov	esi, ebx
	shr	esi, 24
	cmp	edi, 0x0b
	jb	.have_id
	mov	eax, 0x0b
	xor	ecx, ecx
	cpuid
	test	ebx, ebx		; no such leaf after all
	jz	.have_id
	mov	esi, edx
.have_id:
	lea	rdi, [x86_ap_ids]
	mov	ecx, [x86_ap_count]
	mov	eax, 1
.next:
	cmp	eax, ecx
	jae	.unknown
	cmp	[rdi + rax * 4], esi
	je	.found
	inc	eax
	jmp	.next
.found:
	lea	rdx, [x86_cpus]
	mov	rbx, [rdx + rax * 8]
	test	rbx, rbx
	jz	.unknown
	lock bts dword [rbx + CPU_CLAIMED], 0
	jc	.unknown		; two say that they have this id: one stack, one CPU
	mov	rsp, [rbx + PC_KERNEL_SP]
	xor	ebp, ebp
	mov	rdi, rbx
	call	x86_load_segments
	call	x86_protect
	push	rbp			; a frame that ends backtraces
	push	rbp
	mov	rdi, rbx
	call	x86_ap_main
	ud2
.unknown:				; nobody sent for this one
	cli
	hlt
	jmp	.unknown
section .note.GNU-stack noalloc noexec nowrite progbits
