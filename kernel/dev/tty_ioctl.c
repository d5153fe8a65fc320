/* SPDX-License-Identifier: MIT */
/*
 * The terminal's ioctls: settings, window size, flow, modem lines (ioctl_tty(2)).
 */
#include "tty.h"

#include <abi/linux/ioctl.h>
#include <abi/linux/signal.h>
#include <kernel/sched/clock.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/vm/uaccess.h>
#include <lib/string.h>

/* ---- speeds ------------------------------------------------------------------------------------ */

static const u32 speeds_low[] = { 0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400 };
static const u32 speeds_high[] = { 57600,  115200,  230400,	 460800,  500000,  576000,  921600, 1000000,
				   1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000 };

/* The speed that c_cflag names; `other` for BOTHER. */
static u32 speed_of_cflag(u32 cflag, u32 other)
{
	u32 code = cflag & CBAUD;

	if (code == BOTHER)
		return other;
	if (!(code & CBAUDEX))
		return speeds_low[code & 15];
	code = (code & 15) - 1;
	return code < ARRAY_SIZE(speeds_high) ? speeds_high[code] : other;
}

static u32 cflag_with_speed(u32 cflag, u32 speed)
{
	cflag &= ~(u32)(CBAUD | CIBAUD);
	for (u32 i = 0; i < ARRAY_SIZE(speeds_low); i++)
		if (speeds_low[i] == speed)
			return cflag | i;
	for (u32 i = 0; i < ARRAY_SIZE(speeds_high); i++)
		if (speeds_high[i] == speed)
			return cflag | CBAUDEX | (i + 1);
	return cflag | BOTHER;
}

/* ---- settings ---------------------------------------------------------------------------------- */

static void termios_get(struct tty *tty, struct termios2 *out)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);

	memset(out, 0, sizeof(*out));
	memcpy(out, &tty->ldisc->t, sizeof(tty->ldisc->t));
	out->c_ispeed = out->c_ospeed = tty->speed;
	spin_unlock_irqrestore(&tty->lock, flags);
}

/* config_mutex held. */
static void termios_apply(struct tty *tty, const struct termios2 *in)
{
	struct termios t;
	irqflags_t flags;
	u32 speed = speed_of_cflag(in->c_cflag, in->c_ospeed);

	memcpy(&t, in, sizeof(t));
	t.c_line = N_TTY;
	if (tty->driver->set_line)
		tty->driver->set_line(tty, &t, &speed);
	if (speed || (t.c_cflag & CBAUD))
		t.c_cflag = cflag_with_speed(t.c_cflag, speed);
	flags = spin_lock_irqsave(&tty->lock);
	tty->speed = speed;
	ldisc_set_termios(tty->ldisc, &t);
	spin_unlock_irqrestore(&tty->lock, flags);
	waitq_wake_key(&tty->read_wait, ~0u, 0); /* readers look at the new rules */
	tty_process_input(tty);
}

void tty_set_initial_speed(struct tty *tty, u32 speed)
{
	struct termios2 t;

	termios_get(tty, &t);
	t.c_cflag = (cflag_with_speed(t.c_cflag, speed)) | CLOCAL;
	t.c_ospeed = speed;
	mutex_lock(&tty->config_mutex);
	termios_apply(tty, &t);
	mutex_unlock(&tty->config_mutex);
}

#define SET_WAIT 1u /* after output has drained */
#define SET_FLUSH 2u /* and with the input thrown away */

static long termios_set(struct tty *tty, const struct termios2 *in, u32 how)
{
	long err;

	err = tty_check_background(tty, SIGTTOU);
	if (err)
		return err;
	if (how & SET_WAIT) {
		err = tty_drain(tty);
		if (err)
			return err;
	}
	mutex_lock(&tty->config_mutex);
	if (how & SET_FLUSH) {
		irqflags_t flags = spin_lock_irqsave(&tty->lock);

		ldisc_flush_input(tty->ldisc);
		tty->rx_tail = tty->rx_head;
		spin_unlock_irqrestore(&tty->lock, flags);
	}
	termios_apply(tty, in);
	mutex_unlock(&tty->config_mutex);
	return 0;
}

/* TCSETS*: the speeds stay what they are unless c_cflag names others. */
static long set_termios(struct tty *tty, uptr_t from, u32 how)
{
	struct termios2 t;

	termios_get(tty, &t);
	if (copy_from_user(&t, from, sizeof(struct termios)))
		return -EFAULT;
	return termios_set(tty, &t, how);
}

static long set_termios2(struct tty *tty, uptr_t from, u32 how)
{
	struct termios2 t;

	if (copy_from_user(&t, from, sizeof(t)))
		return -EFAULT;
	return termios_set(tty, &t, how);
}

static long set_termio(struct tty *tty, uptr_t from, u32 how)
{
	struct termios2 t;
	struct termio old;

	if (copy_from_user(&old, from, sizeof(old)))
		return -EFAULT;
	termios_get(tty, &t);
	t.c_iflag = (t.c_iflag & 0xffff0000) | old.c_iflag;
	t.c_oflag = (t.c_oflag & 0xffff0000) | old.c_oflag;
	t.c_cflag = (t.c_cflag & 0xffff0000) | old.c_cflag;
	t.c_lflag = (t.c_lflag & 0xffff0000) | old.c_lflag;
	t.c_line = old.c_line;
	memcpy(t.c_cc, old.c_cc, NCC);
	return termios_set(tty, &t, how);
}

static long get_termio(struct tty *tty, uptr_t to)
{
	struct termio old;
	struct termios2 t;

	termios_get(tty, &t);
	memset(&old, 0, sizeof(old));
	old.c_iflag = (u16)t.c_iflag;
	old.c_oflag = (u16)t.c_oflag;
	old.c_cflag = (u16)t.c_cflag;
	old.c_lflag = (u16)t.c_lflag;
	old.c_line = t.c_line;
	memcpy(old.c_cc, t.c_cc, NCC);
	return copy_to_user(to, &old, sizeof(old));
}

static long settings_ioctl(struct tty *tty, u32 cmd, u64 arg)
{
	struct termios2 t;

	switch (cmd) {
	case TCGETS:
		termios_get(tty, &t);
		return copy_to_user(uptr(arg), &t, sizeof(struct termios));
	case TCGETS2:
		termios_get(tty, &t);
		return copy_to_user(uptr(arg), &t, sizeof(t));
	case TCGETA:
		return get_termio(tty, uptr(arg));
	case TCSETS:
		return set_termios(tty, uptr(arg), 0);
	case TCSETSW:
		return set_termios(tty, uptr(arg), SET_WAIT);
	case TCSETSF:
		return set_termios(tty, uptr(arg), SET_WAIT | SET_FLUSH);
	case TCSETS2:
		return set_termios2(tty, uptr(arg), 0);
	case TCSETSW2:
		return set_termios2(tty, uptr(arg), SET_WAIT);
	case TCSETSF2:
		return set_termios2(tty, uptr(arg), SET_WAIT | SET_FLUSH);
	case TCSETA:
		return set_termio(tty, uptr(arg), 0);
	case TCSETAW:
		return set_termio(tty, uptr(arg), SET_WAIT);
	case TCSETAF:
		return set_termio(tty, uptr(arg), SET_WAIT | SET_FLUSH);
	default:
		return -ENOIOCTLCMD;
	}
}

/* ---- flow, breaks, queues ---------------------------------------------------------------------- */

static long flow_control(struct tty *tty, u64 action)
{
	irqflags_t flags;
	long err = tty_check_background(tty, SIGTTOU);
	u8 c;

	if (err)
		return err;
	flags = spin_lock_irqsave(&tty->lock);
	switch (action) {
	case TCOOFF:
		tty->ldisc->stopped = true;
		break;
	case TCOON:
		tty->ldisc->stopped = false;
		tty_start_locked(tty);
		break;
	case TCIOFF:
	case TCION: /* tell the other end */
		c = tty->ldisc->t.c_cc[action == TCIOFF ? VSTOP : VSTART];
		if (c) {
			tty->ldisc->ops->put(tty->ldisc, c);
			tty_start_locked(tty);
		}
		break;
	default:
		err = -EINVAL;
	}
	spin_unlock_irqrestore(&tty->lock, flags);
	return err;
}

static long flush_queues(struct tty *tty, u64 which)
{
	irqflags_t flags;
	long err = tty_check_background(tty, SIGTTOU);

	if (err)
		return err;
	if (which != TCIFLUSH && which != TCOFLUSH && which != TCIOFLUSH)
		return -EINVAL;
	if (which != TCOFLUSH) {
		flags = spin_lock_irqsave(&tty->lock);
		ldisc_flush_input(tty->ldisc);
		tty->rx_tail = tty->rx_head;
		spin_unlock_irqrestore(&tty->lock, flags);
		tty_process_input(tty); /* unthrottles */
	}
	if (which != TCIFLUSH)
		tty_flush_output(tty);
	return 0;
}

static void set_break(struct tty *tty, bool on)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);

	if (tty->driver->set_break)
		tty->driver->set_break(tty, on);
	spin_unlock_irqrestore(&tty->lock, flags);
}

static long send_break(struct tty *tty, u64 milliseconds)
{
	long err = tty_check_background(tty, SIGTTOU);

	if (!err)
		err = tty_drain(tty);
	if (err || !milliseconds)
		return err;
	set_break(tty, true);
	thread_set_state(current_thread(), THREAD_INTERRUPTIBLE);
	err = thread_sleep_until(clock_mono_ns() + milliseconds * NSEC_PER_MSEC, THREAD_INTERRUPTIBLE, "tty_break");
	set_break(tty, false);
	return err == -ERESTARTSYS ? -EINTR : 0;
}

static long put_count(struct tty *tty, bool input, uptr_t out)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	u32 n = input ? ldisc_input_count(tty->ldisc) : tty->tx_head - tty->tx_tail;

	spin_unlock_irqrestore(&tty->lock, flags);
	return put_user_u32(n, out);
}

/* TIOCSTI: as if it had been typed. */
static long fake_input(struct tty_file *tf, uptr_t from)
{
	struct tty *tty = tf->tty;
	irqflags_t flags;
	u8 c;

	if (READ_ONCE(current_process()->tty) != tty && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (get_user_u8(&c, from))
		return -EFAULT;
	flags = spin_lock_irqsave(&tty->lock);
	(void)tty_receive_locked(tty, c, 0);
	spin_unlock_irqrestore(&tty->lock, flags);
	tty_process_input(tty);
	return 0;
}

static long queue_ioctl(struct tty_file *tf, u32 cmd, u64 arg)
{
	struct tty *tty = tf->tty;

	switch (cmd) {
	case TCXONC:
		return flow_control(tty, arg);
	case TCFLSH:
		return flush_queues(tty, arg);
	case TCSBRK: /* an argument: only drain, tcdrain(3) */
		return send_break(tty, arg ? 0 : 250);
	case TCSBRKP:
		return send_break(tty, arg ? MIN(arg, (u64)1000) * 100 : 250);
	case TIOCSBRK:
	case TIOCCBRK:
		set_break(tty, cmd == TIOCSBRK);
		return 0;
	case TIOCINQ:
		return put_count(tty, true, uptr(arg));
	case TIOCOUTQ:
		return put_count(tty, false, uptr(arg));
	case TIOCSTI:
		return fake_input(tf, uptr(arg));
	default:
		return -ENOIOCTLCMD;
	}
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static long get_winsize(struct tty *tty, uptr_t out)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	struct winsize ws = tty->winsize;

	spin_unlock_irqrestore(&tty->lock, flags);
	return copy_to_user(out, &ws, sizeof(ws));
}

static long set_winsize(struct tty *tty, uptr_t in)
{
	struct winsize ws;
	irqflags_t flags;
	bool changed;

	if (copy_from_user(&ws, in, sizeof(ws)))
		return -EFAULT;
	flags = spin_lock_irqsave(&tty->lock);
	changed = memcmp(&ws, &tty->winsize, sizeof(ws));
	tty->winsize = ws;
	spin_unlock_irqrestore(&tty->lock, flags);
	if (changed)
		tty_signal_foreground(tty, SIGWINCH);
	return 0;
}

static long modem_ioctl(struct tty *tty, u32 cmd, uptr_t arg)
{
	irqflags_t flags;
	u32 bits = 0, lines;

	if (!tty->driver->modem_get)
		return -EINVAL;
	if (cmd != TIOCMGET && get_user_u32(&bits, arg))
		return -EFAULT;
	flags = spin_lock_irqsave(&tty->lock);
	lines = tty->driver->modem_get(tty);
	if (cmd != TIOCMGET) {
		u32 ours = TIOCM_DTR | TIOCM_RTS;

		bits &= ours;
		if (cmd == TIOCMBIS)
			bits |= lines & ours;
		else if (cmd == TIOCMBIC)
			bits = lines & ours & ~bits;
		tty->driver->modem_set(tty, bits);
	}
	spin_unlock_irqrestore(&tty->lock, flags);
	return cmd == TIOCMGET ? put_user_u32(lines, arg) : 0;
}

static long set_exclusive(struct tty *tty, bool on)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);

	tty->exclusive = on;
	spin_unlock_irqrestore(&tty->lock, flags);
	return 0;
}

static long set_soft_carrier(struct tty *tty, uptr_t in)
{
	struct termios2 t;
	s32 on;

	if (get_user_s32(&on, in))
		return -EFAULT;
	termios_get(tty, &t);
	t.c_cflag = on ? t.c_cflag | CLOCAL : t.c_cflag & ~(u32)CLOCAL;
	mutex_lock(&tty->config_mutex);
	termios_apply(tty, &t);
	mutex_unlock(&tty->config_mutex);
	return 0;
}

static long set_discipline(struct tty *tty, uptr_t in)
{
	long err;
	s32 n;

	if (get_user_s32(&n, in))
		return -EFAULT;
	err = tty_check_background(tty, SIGTTOU);
	if (err)
		return err;
	return n == N_TTY ? 0 : -EINVAL; /* there is no other one */
}

static long misc_ioctl(struct tty *tty, u32 cmd, u64 arg)
{
	switch (cmd) {
	case TIOCGWINSZ:
		return get_winsize(tty, uptr(arg));
	case TIOCSWINSZ:
		return set_winsize(tty, uptr(arg));
	case TIOCMGET:
	case TIOCMSET:
	case TIOCMBIS:
	case TIOCMBIC:
		return modem_ioctl(tty, cmd, uptr(arg));
	case TIOCEXCL:
	case TIOCNXCL:
		return set_exclusive(tty, cmd == TIOCEXCL);
	case TIOCGEXCL:
		return put_user_s32(READ_ONCE(tty->exclusive), uptr(arg));
	case TIOCGETD:
		return put_user_s32(N_TTY, uptr(arg));
	case TIOCSETD:
		return set_discipline(tty, uptr(arg));
	case TIOCGDEV:
		return put_user_u32(devnum_encode(tty->dev), uptr(arg));
	case TIOCGSOFTCAR:
		return put_user_s32(!!(tty->ldisc->t.c_cflag & CLOCAL), uptr(arg));
	case TIOCSSOFTCAR:
		return set_soft_carrier(tty, uptr(arg));
	default:
		return -ENOTTY;
	}
}

long tty_ioctl(struct file *file, u32 cmd, u64 arg)
{
	struct tty_file *tf = tty_file_of(file);
	long result;

	if (READ_ONCE(tf->hung))
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	result = settings_ioctl(tf->tty, cmd, arg);
	if (result == -ENOIOCTLCMD)
		result = queue_ioctl(tf, cmd, arg);
	if (result == -ENOIOCTLCMD)
		result = tty_job_ioctl(tf, cmd, arg);
	if (result == -ENOIOCTLCMD)
		result = misc_ioctl(tf->tty, cmd, arg);
	return result;
}
