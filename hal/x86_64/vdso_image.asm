; SPDX-License-Identifier: MIT
; The vDSO's file image, built from vdso/, for hal_vdso_image().
bits 64
default rel

section .rodata align=4096
global x86_vdso_start:data hidden
global x86_vdso_end:data hidden
align 16
x86_vdso_start:
	incbin "vdso.so"
x86_vdso_end:

section .note.GNU-stack noalloc noexec nowrite progbits
