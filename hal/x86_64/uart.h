/* SPDX-License-Identifier: MIT */
#ifndef X86_UART_H
#define X86_UART_H

/*
 * A 16550 through accessors, so that the host tests hand in a made-up one. Registers are 0..7 of the
 * datasheet (National PC16550D).
 */
#include <lib/compiler.h>

#define UART_DATA	0	/* divisor low with DLAB */
#define UART_IER	1	/* divisor high with DLAB */
#define UART_IIR	2	/* FCR on writing */
#define UART_LCR	3
#define UART_MCR	4
#define UART_LSR	5
#define UART_MSR	6
#define UART_SCR	7

#define UART_IER_RX	0x01
#define UART_IER_TX	0x02
#define UART_IER_LINE	0x04
#define UART_IER_MODEM	0x08
#define UART_IIR_NONE	0x01
#define UART_IIR_ID	0x0f
#define UART_IIR_FIFO	0xc0
#define UART_FCR_ON	0x07	/* enable, clear both */
#define UART_FCR_RX8	0x80	/* interrupt at 8 of 16 */
#define UART_LCR_8N1	0x03
#define UART_LCR_STOP2	0x04
#define UART_LCR_PARITY	0x08
#define UART_LCR_EVEN	0x10
#define UART_LCR_BREAK	0x40
#define UART_LCR_DLAB	0x80
#define UART_MCR_DTR	0x01
#define UART_MCR_RTS	0x02
#define UART_MCR_OUT2	0x08	/* lets the interrupt through on a PC */
#define UART_MCR_LOOP	0x10
#define UART_LSR_DATA	0x01
#define UART_LSR_OVERRUN 0x02
#define UART_LSR_PARITY	0x04
#define UART_LSR_FRAME	0x08
#define UART_LSR_BREAK	0x10
#define UART_LSR_ERRORS	0x1e	/* reading the register clears them */
#define UART_LSR_THRE	0x20
#define UART_LSR_TEMT	0x40

#define UART_CLOCK_HZ	1843200u
#define UART_FIFO_BYTES	16

struct uart_io {
	u8 (*in)(void *ctx, unsigned int reg);
	void (*out)(void *ctx, unsigned int reg, u8 value);
	void *ctx;
};

struct uart {
	struct uart_io io;
	bool present;
	bool stuck;		/* the transmitter did not get ready in time: do not wait again */
	u8 fifo;		/* bytes that may be sent when THRE says so */
	u8 ier;			/* what the registers hold; they cannot all be read back */
	u8 mcr;
	u8 lcr;
	u8 missed;		/* [a] errors that were read by one who did not take the character */
};

/*
 * Is there a 16550-like chip? Scratch and loop-back test; leaves it off. A missing chip reads as FFh or
 * as whatever was last on the bus.
 */
bool uart_probe(struct uart *u);
/* 8 data bits, no parity, FIFOs on, interrupts off, DTR and RTS on. */
void uart_setup(struct uart *u, u32 baud);
/* 0 or -EINVAL, nothing changed then. parity: 0 none, 1 odd, 2 even. */
int uart_set_line(struct uart *u, u32 baud, u32 bits, u32 parity, u32 stop);
/*
 * The line status. Errors (a break is one) are gone from the register then, but belong to a character that is still to
 * be taken: they are kept for who takes it, with uart_receive_status(). Any context.
 */
u8 uart_line_status(struct uart *u);
u8 uart_receive_status(struct uart *u);
/* Waits, bounded, until the transmitter takes bytes; how many it takes, 0 when it does not. */
unsigned int uart_wait_room(struct uart *u);
/* How many it takes now. */
unsigned int uart_room(struct uart *u);
void uart_set_ier(struct uart *u, u8 set, u8 clear);
void uart_set_mcr(struct uart *u, u8 set, u8 clear);

#endif
