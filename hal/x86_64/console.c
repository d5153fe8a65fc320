/* SPDX-License-Identifier: MIT */
/*
 * COM1: the early console, and the half of the serial terminal that knows registers.
 *
 * One chip, found once, by hal_early_init() on the boot CPU. The early console only ever polls and
 * writes the data register; the driver's functions change IER and MCR and have one caller at a time (the
 * driver's lock), so no lock is needed here. Both may send at once: then their characters mix, which is
 * what one wants of a panic message.
 *
 * The FIFO's interrupt level is 8 of 16: at 115,200 baud that leaves 700 us to come.
 */
#include <hal/console.h>
#include <hal/irq.h>
#include <lib/errno.h>
#include "uart.h"
#include "x86.h"

#define COM1_PORT	0x3f8
#define COM1_ISA_LINE	4
#define CONSOLE_BAUD	115200u
#define DEBUG_PORT	0xe9	/* Bochs and QEMU: reads as its own number when it is there */

static u8 com1_in(void *ctx, unsigned int reg)
{
	return x86_inb((u16)(COM1_PORT + reg));
}

static void com1_out(void *ctx, unsigned int reg, u8 v)
{
	x86_outb((u16)(COM1_PORT + reg), v);
}

static struct uart com1 = { .io = { com1_in, com1_out, NULL } };
static bool debug_port;
static void (*uart_event)(void *arg, u32 events);	/* [I] after hal_uart_start */
static void *uart_event_arg;

void x86_console_init(void)
{
	if (uart_probe(&com1))
		uart_setup(&com1, CONSOLE_BAUD);
	debug_port = HALCYON_DEBUG && x86_inb(DEBUG_PORT) == DEBUG_PORT;
}

bool hal_console_present(void)
{
	return com1.present;
}

static void early_put(u8 c, unsigned int *room)
{
	if (!*room)
		*room = uart_wait_room(&com1);
	if (!*room)
		return;
	com1_out(NULL, UART_DATA, c);
	--*room;
}

void hal_console_early_write(const char *s, size_t n)
{
	unsigned int room = 0;

	for (size_t i = 0; i < n; i++) {
		if (debug_port)
			x86_outb(DEBUG_PORT, (u8)s[i]);
		if (!com1.present)
			continue;
		if (s[i] == '\n')
			early_put('\r', &room);
		early_put((u8)s[i], &room);
	}
}

/* ---- the terminal driver's half ---- */

/*
 * The interrupt line is edge-triggered: go on until the chip says that nothing is pending, or an edge
 * is lost for ever. After many rounds (a long burst, or a chip that never says so) the line is let fall and
 * rise again instead, so that what is still pending makes an edge and others get their turn first.
 */
static enum hal_irq_result uart_interrupt(void *arg, u32 irq)
{
	enum hal_irq_result result = HAL_IRQ_NONE;

	for (int rounds = 0; rounds < 64; rounds++) {
		u8 iir = com1_in(NULL, UART_IIR);
		u32 events = 0;

		if (iir & UART_IIR_NONE)
			return result;
		result = HAL_IRQ_HANDLED;
		switch (iir & UART_IIR_ID) {
		case 0x0:
			com1_in(NULL, UART_MSR);
			events = HAL_UART_MODEM;
			break;
		case 0x2:
			events = HAL_UART_TX;
			break;
		default:
			events = HAL_UART_RX;	/* data, time-out, line status */
			break;
		}
		uart_event(uart_event_arg, events);
	}
	com1_out(NULL, UART_IER, 0);
	com1_out(NULL, UART_IER, com1.ier);
	return result;
}

int hal_uart_start(void (*event)(void *arg, u32 events), void *arg)
{
	int err;

	if (!com1.present)
		return -ENODEV;
	uart_event = event;
	uart_event_arg = arg;
	err = hal_irq_request(hal_irq_isa(COM1_ISA_LINE), uart_interrupt, NULL, 0, "ttyS0");
	if (err)
		return err;
	uart_set_mcr(&com1, UART_MCR_OUT2, 0);
	uart_set_ier(&com1, UART_IER_RX | UART_IER_LINE, 0);
	return 0;
}

static u8 char_flags(u8 lsr)
{
	return (u8)(((lsr & UART_LSR_BREAK) ? HAL_UART_F_BREAK : 0) |
		    ((lsr & UART_LSR_PARITY) ? HAL_UART_F_PARITY : 0) |
		    ((lsr & UART_LSR_FRAME) ? HAL_UART_F_FRAME : 0) |
		    ((lsr & UART_LSR_OVERRUN) ? HAL_UART_F_OVERRUN : 0));
}

size_t hal_uart_read(u8 *buf, u8 *flags, size_t n)
{
	size_t got = 0;

	while (com1.present && got < n) {
		u8 lsr = uart_receive_status(&com1);

		if (!(lsr & UART_LSR_DATA) || lsr == 0xff)
			break;
		buf[got] = com1_in(NULL, UART_DATA);
		if (flags)
			flags[got] = char_flags(lsr);
		got++;
	}
	return got;
}

size_t hal_uart_write(const u8 *buf, size_t n)
{
	size_t room = com1.present ? uart_room(&com1) : 0, i;

	for (i = 0; i < n && i < room; i++)
		com1_out(NULL, UART_DATA, buf[i]);
	return i;
}

void hal_uart_putc_poll(u8 c)
{
	unsigned int room = 0;

	if (com1.present)
		early_put(c, &room);
}

bool hal_uart_tx_idle(void)
{
	return !com1.present || (uart_line_status(&com1) & UART_LSR_TEMT);
}

void hal_uart_set_tx_irq(bool on)
{
	if (com1.present)
		uart_set_ier(&com1, on ? UART_IER_TX : 0, on ? 0 : UART_IER_TX);
}

/* With the RX interrupt off the FIFO fills, RTS being down tells the peer; what comes in time is kept. */
void hal_uart_set_throttle(bool on)
{
	if (!com1.present)
		return;
	hal_uart_set_rts(!on);
	uart_set_ier(&com1, on ? 0 : UART_IER_RX | UART_IER_LINE, on ? UART_IER_RX | UART_IER_LINE : 0);
}

void hal_uart_set_rts(bool on)
{
	if (com1.present)
		uart_set_mcr(&com1, on ? UART_MCR_RTS : 0, on ? 0 : UART_MCR_RTS);
}

void hal_uart_set_dtr(bool on)
{
	if (com1.present)
		uart_set_mcr(&com1, on ? UART_MCR_DTR : 0, on ? 0 : UART_MCR_DTR);
}

void hal_uart_set_break(bool on)
{
	if (!com1.present)
		return;
	com1.lcr = (u8)(on ? com1.lcr | UART_LCR_BREAK : com1.lcr & ~UART_LCR_BREAK);
	com1_out(NULL, UART_LCR, com1.lcr);
}

/* TIOCM_DTR 002h, RTS 004h, CTS 020h, CAR 040h, RNG 080h, DSR 100h (ioctl_tty(2)). */
u32 hal_uart_modem_status(void)
{
	u8 msr = com1.present ? com1_in(NULL, UART_MSR) : 0;

	return ((com1.mcr & UART_MCR_DTR) ? 0x002u : 0) | ((com1.mcr & UART_MCR_RTS) ? 0x004u : 0) |
	       ((msr & 0x10) ? 0x020u : 0) | ((msr & 0x80) ? 0x040u : 0) | ((msr & 0x40) ? 0x080u : 0) |
	       ((msr & 0x20) ? 0x100u : 0);
}

int hal_uart_set_line(u32 baud, u32 bits, enum hal_uart_parity parity, u32 stop)
{
	return com1.present ? uart_set_line(&com1, baud, bits, (u32)parity, stop) : -ENODEV;
}
