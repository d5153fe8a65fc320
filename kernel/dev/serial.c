/* SPDX-License-Identifier: MIT */
/*
 * The serial terminal, over the HAL's UART: ttyS0, or the one of ttyS1 to ttyS3 that is there or wanted.
 *
 * All calls of the HAL's UART happen under the terminal's lock with interrupts off, which is the
 * "one caller at a time" that it asks for. The transmitter is fed from its interrupt, a FIFO at a time;
 * start_tx only turns that interrupt on.
 */
#define LOG_TAG "serial"
#include "tty.h"

#include <hal/console.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/lockrank.h>
#include <kernel/sched/clock.h>
#include <lib/printf.h>
#include <lib/string.h>

#define SERIAL_FIFO 16u
#define SERIAL_MAJOR 4u
#define SERIAL_MINOR 64u

static struct tty serial_tty;
static u32 serial_mcr = TIOCM_DTR | TIOCM_RTS; /* [serial_tty.lock] what we drive */

static bool peer_ready(struct tty *tty)
{
	return !(tty->ldisc->t.c_cflag & CRTSCTS) || (hal_uart_modem_status() & TIOCM_CTS);
}

/* tty.lock held: gives the FIFO what it takes. */
static void send_locked(struct tty *tty)
{
	u8 buf[SERIAL_FIFO];
	u32 n = peer_ready(tty) ? tty_take_tx_locked(tty, buf, sizeof(buf)) : 0;

	if (n) /* the log may have been faster: what does not fit now goes back */
		tty->tx_tail -= n - (u32)hal_uart_write(buf, n);
	else
		hal_uart_set_tx_irq(false);
}

/*
 * Magic SysRq (kernel/debug/sysrq.c): a break, and the next character within five seconds is a key for the kernel. The
 * second break of two is an ordinary one, as on Linux.
 */
#define SYSRQ_PATIENCE_NS (5ull * NSEC_PER_SEC)
void (*serial_sysrq_hook)(u8 key);
static u64 sysrq_until_ns; /* [serial_tty.lock] 0: no break came */
static u8 sysrq_key; /* [serial_tty.lock] to be served; 0: none */

/* tty.lock held. Is this one not for the terminal? */
static bool sysrq_takes(u8 c, u8 what)
{
	u64 until = sysrq_until_ns;

	sysrq_until_ns = 0;
	if (likely(!until && what != TTY_RX_BREAK) || !READ_ONCE(serial_sysrq_hook))
		return false;
	if (what == TTY_RX_BREAK) {
		if (!until)
			sysrq_until_ns = clock_mono_ns() + SYSRQ_PATIENCE_NS;
		return !until;
	}
	if (clock_mono_ns() > until)
		return false;
	if (c)
		sysrq_key = c;
	else
		sysrq_until_ns = until; /* the break's own character, behind one that was in the FIFO before it */
	return true;
}

/* tty.lock held. */
static void receive_locked(struct tty *tty)
{
	u8 buf[SERIAL_FIFO], flags[SERIAL_FIFO];
	bool room = true;
	size_t n;

	while (room && TTY_RX_RING - (tty->rx_head - tty->rx_tail) > SERIAL_FIFO &&
	       (n = hal_uart_read(buf, flags, sizeof(buf)))) {
		for (size_t i = 0; i < n; i++) {
			u8 what = flags[i] & HAL_UART_F_BREAK ? TTY_RX_BREAK :
				  flags[i] & (HAL_UART_F_PARITY | HAL_UART_F_FRAME) ? TTY_RX_ERROR : 0;

			if (!sysrq_takes(buf[i], what))
				room = tty_receive_locked(tty, buf[i], what);
		}
	}
	if (TTY_RX_RING - (tty->rx_head - tty->rx_tail) <= SERIAL_FIFO && !tty->throttled) {
		tty->throttled = true;
		hal_uart_set_throttle(true);
	}
	tty_receive_done_locked(tty);
}

static void serial_event(void *arg, u32 events)
{
	struct tty *tty = arg;
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	void (*sysrq)(u8 key) = READ_ONCE(serial_sysrq_hook);
	u8 key;

	if (events & HAL_UART_RX)
		receive_locked(tty);
	if (events & HAL_UART_TX)
		send_locked(tty);
	if (events & HAL_UART_MODEM)
		hal_uart_set_tx_irq(tty->tx_head != tty->tx_tail);
	key = sysrq_key;
	sysrq_key = 0;
	spin_unlock_irqrestore(&tty->lock, flags);
	if (unlikely(key && sysrq))
		sysrq(key);
}

static void serial_start_tx(struct tty *tty)
{
	(void)tty;
	hal_uart_set_tx_irq(true);
}

static void serial_throttle(struct tty *tty, bool on)
{
	(void)tty;
	hal_uart_set_throttle(on);
}

static bool serial_tx_idle(struct tty *tty)
{
	(void)tty;
	return hal_uart_tx_idle();
}

static void serial_set_line(struct tty *tty, struct termios *t, u32 *speed)
{
	static const u8 bits[] = { 5, 6, 7, 8 };
	enum hal_uart_parity parity = !(t->c_cflag & PARENB) ? HAL_UART_NONE :
				      t->c_cflag & PARODD ? HAL_UART_ODD : HAL_UART_EVEN;
	irqflags_t flags = spin_lock_irqsave(&tty->lock);

	t->c_cflag &= ~(u32)CMSPAR; /* the line has no mark and space parity */
	if (!*speed) {
		hal_uart_set_dtr(false); /* B0 hangs up, termios(3) */
		serial_mcr &= ~(u32)TIOCM_DTR;
	} else {
		if (hal_uart_set_line(*speed, bits[(t->c_cflag & CSIZE) >> 4], parity, t->c_cflag & CSTOPB ? 2 : 1))
			*speed = tty->speed;
		hal_uart_set_dtr(true);
		serial_mcr |= TIOCM_DTR;
	}
	spin_unlock_irqrestore(&tty->lock, flags);
}

static u32 serial_modem_get(struct tty *tty)
{
	(void)tty;
	return serial_mcr | hal_uart_modem_status();
}

static void serial_modem_set(struct tty *tty, u32 bits)
{
	(void)tty;
	serial_mcr = bits;
	hal_uart_set_dtr(bits & TIOCM_DTR);
	hal_uart_set_rts(bits & TIOCM_RTS);
}

static void serial_set_break(struct tty *tty, bool on)
{
	(void)tty;
	hal_uart_set_break(on);
}

static const struct tty_driver serial_driver = {
	.name = "ttyS",
	.start_tx = serial_start_tx,
	.throttle = serial_throttle,
	.tx_idle = serial_tx_idle,
	.set_line = serial_set_line,
	.modem_get = serial_modem_get,
	.modem_set = serial_modem_set,
	.set_break = serial_set_break,
};

/* The last word like "console=ttyS0,115200n8", and what follows its "ttyS". */
static const char *console_word(char *word, size_t size)
{
	static const char prefix[] = "console=ttyS";
	char next[48];
	size_t pos = 0;

	word[0] = '\0';
	while (cmdline_next_word(&pos, next, sizeof(next)))
		if (str_has_prefix(next, prefix))
			strscpy(word, next + sizeof(prefix) - 1, size);
	return word[0] >= '0' && word[0] <= '9' && (!word[1] || word[1] == ',') ? word : NULL;
}

/* The speed that the command line has for this line, or 9600 as Linux has it. */
static u32 configured_speed(void)
{
	char buf[32];
	const char *p = console_word(buf, sizeof(buf));
	u32 speed = 0;

	if (!p || (u32)(*p - '0') != hal_console_number() || !p[1])
		return 9600;
	for (p += 2; *p >= '0' && *p <= '9' && speed < 10000000; p++)
		speed = speed * 10 + (u32)(*p - '0');
	return speed ? speed : 9600;
}

void serial_choose_line(void)
{
	char buf[32];
	const char *p = console_word(buf, sizeof(buf));

	if (p)
		hal_console_choose((u32)(*p - '0'));
}

void serial_init(void)
{
	struct tty *tty = &serial_tty;
	u32 speed = configured_speed();
	int err;

	if (!hal_console_present()) {
		log_info("no serial line");
		return;
	}
	tty->driver = &serial_driver;
	tty->dev = MKDEV(SERIAL_MAJOR, SERIAL_MINOR + hal_console_number());
	snprintf(tty->name, sizeof(tty->name), "ttyS%u", hal_console_number());
	err = tty_register(tty, speed);
	if (!err)
		err = hal_uart_start(serial_event, tty);
	if (err) {
		log_err("%s does not work: error %d", tty->name, -err);
		return;
	}
	tty_set_initial_speed(tty, speed);
	log_info("%s: 16550, %u baud", tty->name, speed);
}
