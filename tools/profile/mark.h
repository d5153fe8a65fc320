/* SPDX-License-Identifier: MIT */
#ifndef PROFILE_MARK_H
#define PROFILE_MARK_H

/*
 * Marks that tools/profile/plugin.c sees: seven-byte NOPs (0F 1F 80 disp32, SDM vol. 2B "NOP") whose displacement, which
 * the CPU never uses, is a magic number. A program that has them runs as ever where nobody looks.
 *
 * make profile counts from PROFILE_RUN_START to PROFILE_RUN_STOP, which its own PID 1 executes around the program. A program
 * that wants only a part of itself counted puts the OWN pair around that, and is run with MARKS=own. The count is of what
 * lies between the two NOPs: neither of them is in it. Pairs may repeat, they add up.
 */
#define PROFILE_NOP(magic)	__asm__ volatile(".byte 0x0f, 0x1f, 0x80; .long " #magic ::: "memory")

#define PROFILE_RUN_START()	PROFILE_NOP(0x50524631)
#define PROFILE_RUN_STOP()	PROFILE_NOP(0x50524632)
#define PROFILE_OWN_START()	PROFILE_NOP(0x50524633)
#define PROFILE_OWN_STOP()	PROFILE_NOP(0x50524634)

#endif
