/* SPDX-License-Identifier: MIT */
/*
 * The two 8259s, which nobody here uses (8259A data sheet): their vectors are moved away from the exceptions, and all
 * their lines are masked.
 *
 * A masked 8259 can still interrupt: a line that falls before it is acknowledged comes out as the chip's line 7. Such an
 * interrupt has no in-service bit and gets no EOI; the slave's has one in the master, at line 2. One with the bit set is
 * real: somebody (firmware in SMM) has unmasked it, and gets its EOI, or the chip blocks for ever.
 */
#include "x86.h"

#define PIC_MASTER	0x20
#define PIC_SLAVE	0xa0
#define PIC_DATA	1
#define PIC_READ_ISR	0x0b	/* OCW3 */
#define PIC_EOI(line)	(0x60 | (line))	/* OCW2, specific */
#define PIC_CASCADE	2
#define PIC_LINES	8

u64 x86_pic_count;		/* [a] all that came, for ERR in /proc/interrupts */

void x86_pic_disable(void)
{
	static const u8 init[][2] = {
		{ PIC_MASTER, 0x11 }, { PIC_SLAVE, 0x11 },
		{ PIC_MASTER + PIC_DATA, X86_VEC_PIC }, { PIC_SLAVE + PIC_DATA, X86_VEC_PIC + PIC_LINES },
		{ PIC_MASTER + PIC_DATA, 1 << PIC_CASCADE }, { PIC_SLAVE + PIC_DATA, PIC_CASCADE },
		{ PIC_MASTER + PIC_DATA, 0x01 }, { PIC_SLAVE + PIC_DATA, 0x01 },
		{ PIC_MASTER + PIC_DATA, 0xff }, { PIC_SLAVE + PIC_DATA, 0xff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(init); i++) {
		x86_outb(init[i][0], init[i][1]);
		(void)x86_inb(0x61);	/* a bus cycle of delay for old chips */
	}
}

static bool in_service(u16 port, u32 line)
{
	x86_outb(port, PIC_READ_ISR);
	return x86_inb(port) >> line & 1;
}

void x86_pic_spurious(u32 vector)
{
	u32 line = vector - X86_VEC_PIC;
	bool slave = line >= PIC_LINES;

	__atomic_fetch_add(&x86_pic_count, 1, __ATOMIC_RELAXED);
	if (in_service(slave ? PIC_SLAVE : PIC_MASTER, line % PIC_LINES))
		x86_outb(slave ? PIC_SLAVE : PIC_MASTER, (u8)PIC_EOI(line % PIC_LINES));
	if (slave && in_service(PIC_MASTER, PIC_CASCADE))
		x86_outb(PIC_MASTER, PIC_EOI(PIC_CASCADE));
	if (x86_irq_may_report())
		upcall_log(5, "spurious 8259A interrupt: IRQ%u", line);
}
