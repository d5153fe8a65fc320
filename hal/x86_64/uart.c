/* SPDX-License-Identifier: MIT */
/*
 * The 16550: presence, line settings, room. No port numbers and no waiting for ever in here; console.c
 * has the one chip of the machine and the contract.
 */
#include <lib/errno.h>
#include "uart.h"

/*
 * One register read takes about 1 us on ISA, so this is a second: a character at 300 baud takes 33 ms, and who reads the
 * line of an emulator may be busy for longer. Nobody waits so long twice (`stuck`).
 */
#define UART_WAIT_READS 1000000u

static u8 in(struct uart *u, unsigned int reg)
{
	return u->io.in(u->io.ctx, reg);
}

static void out(struct uart *u, unsigned int reg, u8 v)
{
	u->io.out(u->io.ctx, reg, v);
}

static bool scratch_holds(struct uart *u, u8 pattern)
{
	out(u, UART_SCR, pattern);
	(void)in(u, UART_LCR);	/* something else on the bus */
	return in(u, UART_SCR) == pattern;
}

/* In loop-back the four modem outputs come back as the four inputs: DTR, RTS as DSR, CTS here. */
static bool loops_back(struct uart *u)
{
	u8 both, none;

	out(u, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_DTR);
	both = in(u, UART_MSR) & 0x30;
	out(u, UART_MCR, UART_MCR_LOOP);
	none = in(u, UART_MSR) & 0x30;
	out(u, UART_MCR, 0);
	return both == 0x30 && none == 0;
}

bool uart_probe(struct uart *u)
{
	out(u, UART_IER, 0);
	u->present = in(u, UART_IER) == 0 && scratch_holds(u, 0x5a) && scratch_holds(u, 0xa5) && loops_back(u);
	return u->present;
}

void uart_setup(struct uart *u, u32 baud)
{
	u->ier = 0;
	u->mcr = UART_MCR_DTR | UART_MCR_RTS;
	u->stuck = false;
	out(u, UART_IER, 0);
	if (uart_set_line(u, baud, 8, 0, 1) != 0)
		out(u, UART_LCR, u->lcr = UART_LCR_8N1);
	out(u, UART_IIR, UART_FCR_ON | UART_FCR_RX8);
	u->fifo = (in(u, UART_IIR) & UART_IIR_FIFO) == UART_IIR_FIFO ? UART_FIFO_BYTES : 1;
	out(u, UART_MCR, u->mcr);
}

int uart_set_line(struct uart *u, u32 baud, u32 bits, u32 parity, u32 stop)
{
	u32 divisor;
	u8 lcr;

	if (baud == 0 || baud > UART_CLOCK_HZ / 16 || bits < 5 || bits > 8 || parity > 2 || stop < 1 || stop > 2)
		return -EINVAL;
	divisor = (UART_CLOCK_HZ / 16 + baud / 2) / baud;
	if (divisor == 0 || divisor > 0xffff)
		return -EINVAL;
	lcr = (u8)(bits - 5);
	if (stop == 2)
		lcr |= UART_LCR_STOP2;
	if (parity)
		lcr |= UART_LCR_PARITY | (parity == 2 ? UART_LCR_EVEN : 0);
	out(u, UART_LCR, lcr | UART_LCR_DLAB);
	out(u, UART_DATA, (u8)divisor);
	out(u, UART_IER, (u8)(divisor >> 8));
	out(u, UART_LCR, lcr);
	u->lcr = lcr;
	return 0;
}

u8 uart_line_status(struct uart *u)
{
	u8 lsr = in(u, UART_LSR);

	if ((lsr & UART_LSR_ERRORS) && lsr != 0xff)
		__atomic_fetch_or(&u->missed, lsr & UART_LSR_ERRORS, __ATOMIC_RELAXED);
	return lsr;
}

u8 uart_receive_status(struct uart *u)
{
	u8 lsr = in(u, UART_LSR);

	if (!(lsr & UART_LSR_DATA) || lsr == 0xff)
		return lsr;
	return lsr | __atomic_exchange_n(&u->missed, 0, __ATOMIC_RELAXED);
}

unsigned int uart_room(struct uart *u)
{
	u8 lsr = uart_line_status(u);

	/* FFh: the chip went away (a card that was pulled). */
	if (lsr == 0xff || !(lsr & UART_LSR_THRE))
		return 0;
	u->stuck = false;
	return u->fifo;
}

unsigned int uart_wait_room(struct uart *u)
{
	u32 tries = u->stuck ? 1 : UART_WAIT_READS;
	unsigned int room = 0;

	while (tries-- && !(room = uart_room(u)))
		;
	if (!room)
		u->stuck = true;
	return room;
}

void uart_set_ier(struct uart *u, u8 set, u8 clear)
{
	u->ier = (u8)((u->ier & ~clear) | set);
	out(u, UART_IER, u->ier);
}

void uart_set_mcr(struct uart *u, u8 set, u8 clear)
{
	u->mcr = (u8)((u->mcr & ~clear) | set);
	out(u, UART_MCR, u->mcr);
}
