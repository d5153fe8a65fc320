/* SPDX-License-Identifier: MIT */
#ifndef HAL_CONSOLE_H
#define HAL_CONSOLE_H

/*
 * One serial line: an early console from the first instruction on, and the few operations that
 * the serial terminal driver is made of. The line may be missing; then writes go nowhere and reads
 * give nothing.
 */
#include <lib/compiler.h>

/* A UART was found (scratch and loop-back test). After hal_early_init. */
bool hal_console_present(void);

/*
 * Which of a PC's four it is: the first that is there, or the one asked for, when that is there. Choosing is for the boot
 * CPU, before hal_uart_start().
 */
#define HAL_CONSOLES	4
u32 hal_console_number(void);
void hal_console_choose(u32 number);

/*
 * Writes by polling, with bounded waits; adds a carriage return before each line feed. Any context,
 * panic included; several CPUs may mix their characters.
 */
void hal_console_early_write(const char *s, size_t n);

/*
 * The terminal driver's half. All of these want one caller at a time (the driver's lock, interrupts
 * off), except that hal_uart_write may be called from a panic.
 */
#define HAL_UART_RX	0x1u	/* characters, a break or an error wait */
#define HAL_UART_TX	0x2u	/* the transmit FIFO ran empty */
#define HAL_UART_MODEM	0x4u

#define HAL_UART_F_BREAK	0x1u
#define HAL_UART_F_PARITY	0x2u
#define HAL_UART_F_FRAME	0x4u
#define HAL_UART_F_OVERRUN	0x8u	/* characters before this one were lost */

/*
 * Calls event(arg, HAL_UART_*) in interrupt context from now on; receiving is on, sending off.
 * Process context, after hal_late_init. 0, -ENODEV, or what hal_irq_request says (poll then).
 */
int __must_check hal_uart_start(void (*event)(void *arg, u32 events), void *arg);

/* Takes up to n characters; flags (may be NULL) gets HAL_UART_F_* of each. Never waits. */
size_t hal_uart_read(u8 *buf, u8 *flags, size_t n);
/* Gives up to n characters, as many as the FIFO takes now. Never waits. */
size_t hal_uart_write(const u8 *buf, size_t n);
/* Waits (bounded) for room and sends one. */
void hal_uart_putc_poll(u8 c);
/* True: everything that was written has left the line. */
bool hal_uart_tx_idle(void);

/* The HAL_UART_TX event on or off. On with an empty FIFO brings the event at once. */
void hal_uart_set_tx_irq(bool on);
/* Stops and resumes taking characters: RTS to the peer, and no RX events meanwhile. */
void hal_uart_set_throttle(bool on);
void hal_uart_set_rts(bool on);
void hal_uart_set_dtr(bool on);
void hal_uart_set_break(bool on);
/* TIOCM_* as Linux has them: CTS, CD, RI, DSR of the line. */
u32 hal_uart_modem_status(void);

enum hal_uart_parity { HAL_UART_NONE, HAL_UART_ODD, HAL_UART_EVEN };
/* -EINVAL: the line cannot do that. bits 5..8, stop 1 or 2. */
int __must_check hal_uart_set_line(u32 baud, u32 bits, enum hal_uart_parity parity, u32 stop);

#endif
