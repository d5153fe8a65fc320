; SPDX-License-Identifier: MIT
;
; Retpolines (CVE-2017-5715): an indirect call or jump whose target the CPU cannot be taught to guess.
; The CALL puts a return address on the stack and into the return predictor; the guess goes into the
; PAUSE loop, while the true return goes to the register's value. gcc calls these by name
; (-mindirect-branch=thunk-extern).

bits 64
default rel
section .text exec

%macro THUNK 1
align 16
global __x86_indirect_thunk_%1
__x86_indirect_thunk_%1:
	call	%%target
%%speculation:
	pause
	lfence
	jmp	%%speculation
%%target:
	mov	[rsp], %1
	ret
%endmacro

THUNK rax
THUNK rbx
THUNK rcx
THUNK rdx
THUNK rsi
THUNK rdi
THUNK rbp
THUNK r8
THUNK r9
THUNK r10
THUNK r11
THUNK r12
THUNK r13
THUNK r14
THUNK r15

; void x86_rsb_fill(void): 32 calls that never return, which is as deep as predictors are (Intel: Retpoline, 5.4).
align 16
global x86_rsb_fill
x86_rsb_fill:
%assign i 0
%rep 32
	call	.next%[i]
	int3			; where a guess would go
.next%[i]:
%assign i i+1
%endrep
	add	rsp, 32 * 8
	lfence
	ret
section .note.GNU-stack noalloc noexec nowrite progbits
