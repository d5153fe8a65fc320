/* SPDX-License-Identifier: MIT */
/*
 * The UART code against made-up chips: a good 16550, an 8250 without FIFO, an empty bus, a bus that
 * remembers the last value, a card that is pulled, a transmitter that never gets ready.
 */
#include <lib/errno.h>
#include "framework.h"
#include "uart.h"

struct chip {
	u8 regs[8];
	u8 divisor[2];
	u8 fcr;
	bool fifo;		/* has one */
	bool absent;		/* reads FFh */
	bool floating;		/* reads what was last written, anywhere */
	bool never_ready;
	u8 last;
	u32 lsr_reads;
	u8 errors;		/* line status: there until it is read */
	bool data;
};

static u8 chip_in(void *ctx, unsigned int reg)
{
	struct chip *c = ctx;
	bool dlab = c->regs[UART_LCR] & UART_LCR_DLAB;

	if (c->absent)
		return 0xff;
	if (c->floating)
		return c->last;
	switch (reg) {
	case UART_DATA:
	case UART_IER:
		return dlab ? c->divisor[reg] : reg ? c->regs[UART_IER] & 0x0f : 0;
	case UART_IIR:
		return (u8)(UART_IIR_NONE | ((c->fcr & 1) && c->fifo ? UART_IIR_FIFO : 0));
	case UART_LSR:
		c->lsr_reads++;
		if (c->errors || c->data) {
			u8 lsr = (u8)(UART_LSR_THRE | c->errors | (c->data ? UART_LSR_DATA : 0));

			c->errors = 0;
			return lsr;
		}
		return c->never_ready ? 0 : UART_LSR_THRE | UART_LSR_TEMT;
	case UART_MSR: {
		u8 mcr = c->regs[UART_MCR];

		if (!(mcr & UART_MCR_LOOP))
			return 0xb0;
		return (u8)(((mcr & UART_MCR_RTS) ? 0x10 : 0) | ((mcr & UART_MCR_DTR) ? 0x20 : 0));
	}
	default:
		return c->regs[reg];
	}
}

static void chip_out(void *ctx, unsigned int reg, u8 v)
{
	struct chip *c = ctx;

	c->last = v;
	if (reg == UART_IIR)
		c->fcr = v;
	else if (reg < 2 && (c->regs[UART_LCR] & UART_LCR_DLAB))
		c->divisor[reg] = v;
	else
		c->regs[reg] = v;
}

static struct uart uart_on(struct chip *c)
{
	return (struct uart){ .io = { chip_in, chip_out, c } };
}

TEST(hal_uart_found)
{
	struct chip c = { .fifo = true };
	struct uart u = uart_on(&c);

	EXPECT(uart_probe(&u));
	EXPECT_EQ(c.regs[UART_MCR] & UART_MCR_LOOP, 0);
	uart_setup(&u, 115200);
	EXPECT_EQ(u.fifo, UART_FIFO_BYTES);
	EXPECT_EQ(c.divisor[0], 1);
	EXPECT_EQ(c.divisor[1], 0);
	EXPECT_EQ(c.regs[UART_LCR], UART_LCR_8N1);
	EXPECT_EQ(c.regs[UART_IER], 0);
	EXPECT_EQ(c.regs[UART_MCR], UART_MCR_DTR | UART_MCR_RTS);
	EXPECT_EQ(uart_wait_room(&u), UART_FIFO_BYTES);
}

TEST(hal_uart_without_fifo)
{
	struct chip c = { .fifo = false };
	struct uart u = uart_on(&c);

	EXPECT(uart_probe(&u));
	uart_setup(&u, 9600);
	EXPECT_EQ(u.fifo, 1);
	EXPECT_EQ(c.divisor[0], 12);
}

TEST(hal_uart_absent)
{
	struct chip none = { .absent = true }, floating = { .floating = true };
	struct uart u = uart_on(&none), v = uart_on(&floating);

	EXPECT(!uart_probe(&u));
	EXPECT(!uart_probe(&v));
}

/* A wait has an end, and only the first one is long. */
TEST(hal_uart_stuck)
{
	struct chip c = { .fifo = true };
	struct uart u = uart_on(&c);
	u32 first;

	EXPECT(uart_probe(&u));
	uart_setup(&u, 115200);
	c.never_ready = true;
	EXPECT_EQ(uart_wait_room(&u), 0);
	first = c.lsr_reads;
	EXPECT_EQ(uart_wait_room(&u), 0);
	EXPECT_EQ(c.lsr_reads, first + 1);
	c.never_ready = false;
	EXPECT_EQ(uart_wait_room(&u), UART_FIFO_BYTES);
	c.never_ready = true;
	c.lsr_reads = 0;
	EXPECT_EQ(uart_wait_room(&u), 0);
	EXPECT(c.lsr_reads > 1000);
}

TEST(hal_uart_pulled)
{
	struct chip c = { .fifo = true };
	struct uart u = uart_on(&c);

	EXPECT(uart_probe(&u));
	uart_setup(&u, 115200);
	c.absent = true;
	EXPECT_EQ(uart_room(&u), 0);
}

TEST(hal_uart_line)
{
	struct chip c = { .fifo = true };
	struct uart u = uart_on(&c);

	uart_setup(&u, 115200);
	EXPECT_EQ(uart_set_line(&u, 0, 8, 0, 1), -EINVAL);
	EXPECT_EQ(uart_set_line(&u, 230400, 8, 0, 1), -EINVAL);
	EXPECT_EQ(uart_set_line(&u, 1, 8, 0, 1), -EINVAL);
	EXPECT_EQ(uart_set_line(&u, 9600, 9, 0, 1), -EINVAL);
	EXPECT_EQ(uart_set_line(&u, 9600, 8, 3, 1), -EINVAL);
	EXPECT_EQ(uart_set_line(&u, 9600, 8, 0, 3), -EINVAL);
	EXPECT_EQ(c.regs[UART_LCR], UART_LCR_8N1);
	EXPECT_EQ(uart_set_line(&u, 300, 7, 2, 2), 0);
	EXPECT_EQ(c.regs[UART_LCR], 2 | UART_LCR_STOP2 | UART_LCR_PARITY | UART_LCR_EVEN);
	EXPECT_EQ(c.divisor[0] | c.divisor[1] << 8, 384);
}

/* Who only looks whether there is room must not lose a break: the register forgets it when it is read. */
TEST(hal_uart_break_is_kept)
{
	struct chip c = { .fifo = true };
	struct uart u = uart_on(&c);

	uart_setup(&u, 115200);
	c.errors = UART_LSR_BREAK;
	c.data = true;
	EXPECT_EQ(uart_room(&u), UART_FIFO_BYTES);
	EXPECT(uart_receive_status(&u) & UART_LSR_BREAK);
	EXPECT(!(uart_receive_status(&u) & UART_LSR_BREAK));
	c.errors = UART_LSR_FRAME;
	c.data = false;
	uart_line_status(&u);
	EXPECT(!(uart_receive_status(&u) & UART_LSR_FRAME));	/* there is no character yet */
	c.data = true;
	EXPECT(uart_receive_status(&u) & UART_LSR_FRAME);
	EXPECT(!(uart_receive_status(&u) & UART_LSR_ERRORS));
	c.absent = true;
	uart_line_status(&u);
	c.absent = false;
	EXPECT(!(uart_receive_status(&u) & UART_LSR_ERRORS));
}
