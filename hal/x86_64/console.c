/* SPDX-License-Identifier: MIT */
/*
 * The serial line: the early console, and the half of the serial terminal that knows registers.
 *
 * One chip of the four that a PC may have at fixed ports: the first that is there, found by hal_early_init() on the boot
 * CPU, or the one that the command line names (hal_console_choose()). The early console only ever polls and
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

#define CONSOLE_BAUD	115200u
#define DEBUG_PORT	0xe9	/* Bochs and QEMU: reads as its own number when it is there */

/* COM1 to COM4; their numbers are those of Linux's ttyS. */
static const struct {
	u16 port;
	u8 isa_line;
	const char *name;
} places[HAL_CONSOLES] = { { 0x3f8, 4, "ttyS0" }, { 0x2f8, 3, "ttyS1" }, { 0x3e8, 4, "ttyS2" }, { 0x2e8, 3, "ttyS3" } };

static u32 place;	/* [I] after hal_console_choose(): which one it is */

static u8 com_in(void *ctx, unsigned int reg)
{
	return x86_inb((u16)(places[place].port + reg));
}

static void com_out(void *ctx, unsigned int reg, u8 v)
{
	x86_outb((u16)(places[place].port + reg), v);
}

static struct uart com = { .io = { com_in, com_out, NULL } };
static bool debug_port;
static void (*uart_event)(void *arg, u32 events);	/* [I] after hal_uart_start */
static void *uart_event_arg;

static bool try_place(u32 i)
{
	place = i;
	if (!uart_probe(&com))
		return false;
	uart_setup(&com, CONSOLE_BAUD);
	return true;
}

void x86_console_init(void)
{
	u32 i = 0;

	while (i < HAL_CONSOLES && !try_place(i))
		i++;
	if (i == HAL_CONSOLES)
		place = 0;
	debug_port = HALCYON_DEBUG && x86_inb(DEBUG_PORT) == DEBUG_PORT;
}

bool hal_console_present(void)
{
	return com.present;
}

u32 hal_console_number(void)
{
	return place;
}

void hal_console_choose(u32 number)
{
	u32 before = place;

	if (number >= HAL_CONSOLES || number == before || try_place(number))
		return;
	place = before;
	com.present = uart_probe(&com);
	if (com.present)
		uart_setup(&com, CONSOLE_BAUD);
}

static void early_put(u8 c, unsigned int *room)
{
	if (!*room)
		*room = uart_wait_room(&com);
	if (!*room)
		return;
	com_out(NULL, UART_DATA, c);
	--*room;
}

void hal_console_early_write(const char *s, size_t n)
{
	unsigned int room = 0;

	for (size_t i = 0; i < n; i++) {
		if (debug_port)
			x86_outb(DEBUG_PORT, (u8)s[i]);
		if (!com.present)
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
		u8 iir = com_in(NULL, UART_IIR);
		u32 events = 0;

		if (iir & UART_IIR_NONE)
			return result;
		result = HAL_IRQ_HANDLED;
		switch (iir & UART_IIR_ID) {
		case 0x0:
			com_in(NULL, UART_MSR);
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
	com_out(NULL, UART_IER, 0);
	com_out(NULL, UART_IER, com.ier);
	return result;
}

int hal_uart_start(void (*event)(void *arg, u32 events), void *arg)
{
	int err;

	if (!com.present)
		return -ENODEV;
	uart_event = event;
	uart_event_arg = arg;
	err = hal_irq_request(hal_irq_isa(places[place].isa_line), uart_interrupt, NULL, 0, places[place].name);
	if (err)
		return err;
	uart_set_mcr(&com, UART_MCR_OUT2, 0);
	uart_set_ier(&com, UART_IER_RX | UART_IER_LINE, 0);
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

	while (com.present && got < n) {
		u8 lsr = uart_receive_status(&com);

		if (!(lsr & UART_LSR_DATA) || lsr == 0xff)
			break;
		buf[got] = com_in(NULL, UART_DATA);
		if (flags)
			flags[got] = char_flags(lsr);
		got++;
	}
	return got;
}

size_t hal_uart_write(const u8 *buf, size_t n)
{
	size_t room = com.present ? uart_room(&com) : 0, i;

	for (i = 0; i < n && i < room; i++)
		com_out(NULL, UART_DATA, buf[i]);
	return i;
}

void hal_uart_putc_poll(u8 c)
{
	unsigned int room = 0;

	if (com.present)
		early_put(c, &room);
}

bool hal_uart_tx_idle(void)
{
	return !com.present || (uart_line_status(&com) & UART_LSR_TEMT);
}

void hal_uart_set_tx_irq(bool on)
{
	if (com.present)
		uart_set_ier(&com, on ? UART_IER_TX : 0, on ? 0 : UART_IER_TX);
}

/* With the RX interrupt off the FIFO fills, RTS being down tells the peer; what comes in time is kept. */
void hal_uart_set_throttle(bool on)
{
	if (!com.present)
		return;
	hal_uart_set_rts(!on);
	uart_set_ier(&com, on ? 0 : UART_IER_RX | UART_IER_LINE, on ? UART_IER_RX | UART_IER_LINE : 0);
}

void hal_uart_set_rts(bool on)
{
	if (com.present)
		uart_set_mcr(&com, on ? UART_MCR_RTS : 0, on ? 0 : UART_MCR_RTS);
}

void hal_uart_set_dtr(bool on)
{
	if (com.present)
		uart_set_mcr(&com, on ? UART_MCR_DTR : 0, on ? 0 : UART_MCR_DTR);
}

void hal_uart_set_break(bool on)
{
	if (!com.present)
		return;
	com.lcr = (u8)(on ? com.lcr | UART_LCR_BREAK : com.lcr & ~UART_LCR_BREAK);
	com_out(NULL, UART_LCR, com.lcr);
}

/* TIOCM_DTR 002h, RTS 004h, CTS 020h, CAR 040h, RNG 080h, DSR 100h (ioctl_tty(2)). */
u32 hal_uart_modem_status(void)
{
	u8 msr = com.present ? com_in(NULL, UART_MSR) : 0;

	return ((com.mcr & UART_MCR_DTR) ? 0x002u : 0) | ((com.mcr & UART_MCR_RTS) ? 0x004u : 0) |
	       ((msr & 0x10) ? 0x020u : 0) | ((msr & 0x80) ? 0x040u : 0) | ((msr & 0x40) ? 0x080u : 0) |
	       ((msr & 0x20) ? 0x100u : 0);
}

int hal_uart_set_line(u32 baud, u32 bits, enum hal_uart_parity parity, u32 stop)
{
	return com.present ? uart_set_line(&com, baud, bits, (u32)parity, stop) : -ENODEV;
}
