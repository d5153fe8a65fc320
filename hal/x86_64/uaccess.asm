; SPDX-License-Identifier: MIT
;
; Access to user memory: include/hal/uaccess.h. The functions with an x86_ name get ranges that C has
; checked; the hal_ ones check here.
;
; Every instruction that may fault has an entry in .ex_table: two 32-bit distances, from the field to the
; instruction and from the field to where it goes on. The page-fault handler looks there after
; upcall_fault() could not help, and #GP always (a non-canonical address). AC is set (STAC) only between
; the check and the last access; a trap in between clears it for its own time and IRET brings it back.
; LFENCE keeps a CPU that guesses the range check wrong from reading kernel memory (CVE-2017-5753).
;
; Bulk copies use REP MOVSQ: one step per 8 bytes on every CPU since 2006. Faults in them and in the
; 8-byte loop go on byte by byte, so that the count of what was copied is exact up to the bad byte.

%include "offsets.inc"

bits 64
default rel
extern x86_smap

%macro EX 2
[section .ex_table progbits alloc noexec nowrite align=4]
	dd	%1 - $
	dd	%2 - $
__?SECT?__
%endmacro

%macro OPEN_USER 0
	cmp	byte [x86_smap], 0
	je	%%none
	stac
%%none:
	lfence
%endmacro

%macro CLOSE_USER 0
	cmp	byte [x86_smap], 0
	je	%%none
	clac
%%none:
%endmacro

section .text exec

; size_t x86_copy_user(void *dst, const void *src, size_t n): bytes not copied. Either side may be user's.
align 16
global x86_copy_user
x86_copy_user:
	mov	rcx, rdx
	OPEN_USER
	cmp	rcx, 128
	jb	.short
	shr	rcx, 3
	and	edx, 7
.rep:	rep	movsq
.bytes:					; RDX of them
	test	rdx, rdx
	jz	.done
.load1:	mov	al, [rsi]
.store1: mov	[rdi], al
	inc	rsi
	inc	rdi
	dec	rdx
	jnz	.load1
.done:
	CLOSE_USER
	mov	rax, rdx
	ret
.short:
	and	ecx, ~7
	jz	.bytes
	and	edx, 7
	add	rsi, rcx
	add	rdi, rcx
	neg	rcx			; up to 0
.load8:	mov	rax, [rsi + rcx]
.store8: mov	[rdi + rcx], rax
	add	rcx, 8
	jnz	.load8
	jmp	.bytes
.rep_fault:
	lea	rdx, [rdx + rcx * 8]
	jmp	.bytes
.short_fault:
	add	rsi, rcx
	add	rdi, rcx
	sub	rdx, rcx
	jmp	.bytes
	EX	.rep, .rep_fault
	EX	.load8, .short_fault
	EX	.store8, .short_fault
	EX	.load1, .done
	EX	.store1, .done

; size_t x86_clear_user(void *dst, size_t n): bytes not cleared.
align 16
global x86_clear_user
x86_clear_user:
	mov	rcx, rsi
	and	esi, 7
	shr	rcx, 3
	xor	eax, eax
	OPEN_USER
.rep:	rep	stosq
	mov	ecx, esi
	jmp	.bytes
.rep_fault:
	lea	rcx, [rsi + rcx * 8]
.bytes:
	test	rcx, rcx
	jz	.done
.store1: mov	[rdi], al
	inc	rdi
	dec	rcx
	jmp	.bytes
.done:
	CLOSE_USER
	mov	rax, rcx
	ret
	EX	.rep, .rep_fault
	EX	.store1, .done

; long x86_strncpy_user(char *dst, const char *src, size_t max): length without NUL; max: no NUL; -EFAULT.
; Eight bytes at a time. A word that reaches into a page that is not there is retried byte by byte.
align 16
global x86_strncpy_user
x86_strncpy_user:
	xor	eax, eax
	mov	r8, 0x0101010101010101
	mov	r9, 0x8080808080808080
	OPEN_USER
.words:
	lea	rcx, [rax + 8]
	cmp	rcx, rdx
	ja	.bytes
.load8:	mov	r10, [rsi + rax]
	mov	[rdi + rax], r10
	mov	r11, r10
	sub	r11, r8
	not	r10
	and	r11, r10
	and	r11, r9
	jnz	.found
	mov	rax, rcx
	jmp	.words
.found:
	bsf	r11, r11
	shr	r11, 3
	add	rax, r11
	jmp	.done
.bytes:
	cmp	rax, rdx
	jae	.done
.load1:	mov	cl, [rsi + rax]
	mov	[rdi + rax], cl
	test	cl, cl
	jz	.done
	inc	rax
	jmp	.bytes
.fault:
	mov	rax, NEG_EFAULT
.done:
	CLOSE_USER
	ret
	EX	.load8, .bytes
	EX	.load1, .fault

; long x86_strnlen_user(const char *src, size_t max): length without NUL; max: no NUL; -EFAULT.
align 16
global x86_strnlen_user
x86_strnlen_user:
	xor	eax, eax
	OPEN_USER
.bytes:
	cmp	rax, rsi
	jae	.done
.load1:	cmp	byte [rdi + rax], 0
	je	.done
	inc	rax
	jmp	.bytes
.fault:
	mov	rax, NEG_EFAULT
.done:
	CLOSE_USER
	ret
	EX	.load1, .fault

; int hal_user_load_uN(uptr_t p, uN *v), int hal_user_store_uN(uptr_t p, uN v)
%macro SINGLE 4				; bits, bytes, register of RAX, register of RSI
align 16
global hal_user_load_u%1
hal_user_load_u%1:
	mov	rax, USER_END - %2
	cmp	rdi, rax
	ja	.fault
	OPEN_USER
.load:	mov	%3, [rdi]
	CLOSE_USER
	mov	[rsi], %3
	xor	eax, eax
	ret
.fixup:
	CLOSE_USER
.fault:
	mov	eax, NEG_EFAULT
	ret
	EX	.load, .fixup

align 16
global hal_user_store_u%1
hal_user_store_u%1:
	mov	rax, USER_END - %2
	cmp	rdi, rax
	ja	.fault
	OPEN_USER
.store:	mov	[rdi], %4
	CLOSE_USER
	xor	eax, eax
	ret
.fixup:
	CLOSE_USER
.fault:
	mov	eax, NEG_EFAULT
	ret
	EX	.store, .fixup
%endmacro

SINGLE	8, 1, al, sil
SINGLE	16, 2, ax, si
SINGLE	32, 4, eax, esi
SINGLE	64, 8, rax, rsi

; int hal_user_cmpxchg_u32(uptr_t p, u32 old, u32 new, u32 *prev)
align 16
global hal_user_cmpxchg_u32
hal_user_cmpxchg_u32:
	mov	rax, USER_END - 4
	cmp	rdi, rax
	ja	.fault
	mov	eax, esi
	OPEN_USER
.op:	lock cmpxchg [rdi], edx
	CLOSE_USER
	mov	[rcx], eax
	xor	eax, eax
	ret
.fixup:
	CLOSE_USER
.fault:
	mov	eax, NEG_EFAULT
	ret
	EX	.op, .fixup

; int x86_user_xchg_u32(uptr_t p, u32 v, u32 *prev), x86_user_xadd_u32
%macro EXCHANGE 2
align 16
global x86_user_%1_u32
x86_user_%1_u32:
	mov	rax, USER_END - 4
	cmp	rdi, rax
	ja	.fault
	OPEN_USER
.op:	%2	[rdi], esi
	CLOSE_USER
	mov	[rdx], esi
	xor	eax, eax
	ret
.fixup:
	CLOSE_USER
.fault:
	mov	eax, NEG_EFAULT
	ret
	EX	.op, .fixup
%endmacro

EXCHANGE xchg, xchg
EXCHANGE xadd, lock xadd

; bool hal_kernel_load_u64(vaddr_t va, u64 *v). A user address never faults a page in: nobody asks for
; one here, and SMAP would stop it.
align 16
global hal_kernel_load_u64
hal_kernel_load_u64:
	bt	rdi, 63
	jnc	.fault
.load:	mov	rax, [rdi]
	mov	[rsi], rax
	mov	eax, 1
	ret
.fault:
	xor	eax, eax
	ret
	EX	.load, .fault

; bool x86_fpu_try_restore(void *area): XRSTOR or FXRSTOR of kernel memory. #GP (a reserved bit in the
; header or in MXCSR) makes it false.
extern x86_xcr0
align 16
global x86_fpu_try_restore
x86_fpu_try_restore:
	mov	rax, [x86_xcr0]
	test	rax, rax
	jz	.fx
	mov	rdx, rax
	shr	rdx, 32
.xrstor: xrstor64 [rdi]
	mov	eax, 1
	ret
.fx:
.fxrstor: fxrstor64 [rdi]
	mov	eax, 1
	ret
.fault:
	xor	eax, eax
	ret
	EX	.xrstor, .fault
	EX	.fxrstor, .fault
section .note.GNU-stack noalloc noexec nowrite progbits
