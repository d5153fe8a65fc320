; SPDX-License-Identifier: MIT
;
; memcpy, memmove, memset and whole pages, in general registers: the kernel leaves vector registers alone.
; Short ones are two overlapping moves, middle ones 8 bytes at a time, long ones REP MOVSQ/STOSQ, which
; moves whole cache lines on every CPU since 2006 and costs some tens of cycles to start.

bits 64
default rel
%define REP_MIN 256

; With KASAN the names are those of wrappers in C (kernel/mm/kasan.c), which look at the shadow first. The host tests
; assemble this file without the kernel's definitions.
%ifndef HALCYON_KASAN
%define HALCYON_KASAN 0
%endif
%if HALCYON_KASAN
%define NAME(n) raw_ %+ n
%else
%define NAME(n) n
%endif

; The label that C sees, and the one that local labels belong to.
%macro FUNCTION 1
align 16
global NAME(%1)
NAME(%1):
%ifidn NAME(%1), %1
%else
%1:
%endif
%endmacro

section .text exec

; Copies upwards, also when dst lies below src and overlaps: the last 8 bytes are read first.
FUNCTION memcpy
	mov	rax, rdi
.forward:
	cmp	rdx, 8
	jb	.small
	mov	r11, [rsi + rdx - 8]
	lea	r10, [rdi + rdx - 8]
	lea	rcx, [rdx - 1]
	cmp	rdx, REP_MIN
	jae	.rep
	shr	ecx, 3			; words before the last, maybe partial one
	jz	.last
.word:
	mov	r8, [rsi]
	mov	[rdi], r8
	add	rsi, 8
	add	rdi, 8
	dec	ecx
	jnz	.word
.last:
	mov	[r10], r11
	ret
.rep:
	shr	rcx, 3
	rep	movsq
	mov	[r10], r11
	ret
.small:
	cmp	edx, 4
	jb	.tiny
	mov	r8d, [rsi]
	mov	r9d, [rsi + rdx - 4]
	mov	[rdi], r8d
	mov	[rdi + rdx - 4], r9d
	ret
.tiny:
	test	edx, edx
	jz	.none
	movzx	r8d, byte [rsi]
	movzx	r9d, byte [rsi + rdx - 1]
	cmp	edx, 3
	jb	.two
	movzx	ecx, byte [rsi + 1]
	mov	[rdi + 1], cl
.two:
	mov	[rdi], r8b
	mov	[rdi + rdx - 1], r9b
.none:
	ret

FUNCTION memmove
	mov	rax, rdi
	mov	rcx, rdi
	sub	rcx, rsi
	cmp	rcx, rdx
	jae	memcpy.forward		; dst is below src, or beyond its end
	test	rcx, rcx
	jz	.done
	; Downwards; the first 8 bytes are read first.
	cmp	rdx, 8
	jb	.bytes
	mov	r11, [rsi]
.word:
	mov	r8, [rsi + rdx - 8]
	mov	[rdi + rdx - 8], r8
	sub	rdx, 8
	cmp	rdx, 8
	jae	.word
	mov	[rdi], r11
	ret
.bytes:
	test	rdx, rdx
	jz	.done
	mov	r8b, [rsi + rdx - 1]
	mov	[rdi + rdx - 1], r8b
	dec	rdx
	jmp	.bytes
.done:
	ret

FUNCTION memset
	mov	r9, rdi
	movzx	eax, sil
	mov	rcx, 0x0101010101010101
	imul	rax, rcx
	cmp	rdx, 8
	jb	.small
	mov	[rdi + rdx - 8], rax
	lea	rcx, [rdx - 1]
	shr	rcx, 3
	cmp	rdx, REP_MIN
	jae	.rep
	test	ecx, ecx
	jz	.done
.word:
	mov	[rdi], rax
	add	rdi, 8
	dec	ecx
	jnz	.word
.done:
	mov	rax, r9
	ret
.rep:
	rep	stosq
	mov	rax, r9
	ret
.small:
	test	edx, edx
	jz	.done
.byte:
	mov	[rdi], al
	inc	rdi
	dec	edx
	jnz	.byte
	jmp	.done

FUNCTION hal_copy_page
	mov	ecx, 512
	rep	movsq
	ret

FUNCTION hal_zero_page
	mov	ecx, 512
	xor	eax, eax
	rep	stosq
	ret
section .note.GNU-stack noalloc noexec nowrite progbits
