/* SPDX-License-Identifier: MIT */
/*
 * N_TTY. See ldisc.h for the contract, termios(3) for the meaning of each flag; where that page is
 * silent this does what Linux 6.1 does (order of signal and echo, what KILL prints, tabs on erase).
 *
 * Canonical input is one ring. [tail, canon_head) are finished lines, each end marked in line_end;
 * [canon_head, head) is the line being edited. An end-of-file character is stored as a marked NUL, which
 * reading swallows. In raw mode everything up to head is readable.
 *
 * Nothing is lost while somebody can make room: receive() refuses a character when the buffer holds
 * something to read. Only an unfinished line that fills the buffer drops what does not fit, as on Linux.
 */
#include "ldisc.h"

#include <abi/linux/signal.h>
#include <lib/compiler.h>
#include <lib/string.h>

#define MASK(pos) ((pos) & (LDISC_BUF - 1))
#define ECHO_ROOM 16u /* the most that one ordinary character can print */
#define EDIT_ROOM (3u * LDISC_BUF + 64u) /* ... and a kill or reprint of a whole line */

#define VDISABLE 0 /* _POSIX_VDISABLE on Linux */

static const struct termios ldisc_default = {
	.c_iflag = ICRNL | IXON,
	.c_oflag = OPOST | ONLCR,
	.c_cflag = B9600 | CS8 | CREAD | HUPCL,
	.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.c_cc = { [VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VMIN] = 1, [VSTART] = 17,
		  [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22 },
};

static bool is_control(u8 c)
{
	return c < 32 || c == 127;
}

/* Letters are those of Latin-1, as in Linux's ctype table: 0xd7 and 0xf7 are signs between them. */
static bool is_upper(u8 c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7);
}

static bool is_lower(u8 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 0xdf && c != 0xf7);
}

static bool is_word(u8 c)
{
	return (c >= '0' && c <= '9') || is_upper(c) || is_lower(c) || c == '_';
}

static bool is_continuation(const struct ldisc *l, u8 c)
{
	return (l->t.c_iflag & IUTF8) && (c & 0xc0) == 0x80;
}

static bool is_cc(const struct ldisc *l, u8 c, u32 which)
{
	return c == l->t.c_cc[which] && c != VDISABLE;
}

/* ---- output ------------------------------------------------------------------------------------ */

/* One character through c_oflag. Prints at most 8. */
static void output(struct ldisc *l, u8 c)
{
	u32 o = l->t.c_oflag, spaces;

	if (!(o & OPOST)) {
		l->ops->put(l, c);
		return;
	}
	switch (c) {
	case '\n':
		if (o & ONLRET)
			l->column = 0;
		if (o & ONLCR) {
			l->column = l->canon_column = 0;
			l->ops->put(l, '\r');
		} else {
			l->canon_column = l->column;
		}
		break;
	case '\r':
		if ((o & ONOCR) && l->column == 0)
			return;
		if (o & OCRNL) {
			c = '\n';
			if (!(o & ONLRET))
				break;
		}
		l->column = l->canon_column = 0;
		break;
	case '\t':
		spaces = 8 - (l->column & 7);
		l->column += spaces;
		if ((o & TABDLY) == XTABS) {
			while (spaces--)
				l->ops->put(l, ' ');
			return;
		}
		break;
	case '\b':
		if (l->column > 0)
			l->column--;
		break;
	default:
		if (is_control(c))
			break;
		if ((o & OLCUC) && is_lower(c))
			c = (u8)(c - 32);
		if (!is_continuation(l, c))
			l->column++;
	}
	l->ops->put(l, c);
}

u32 ldisc_write(struct ldisc *l, const u8 *from, u32 n)
{
	u32 i;

	for (i = 0; i < n && l->ops->room(l) >= 8; i++)
		output(l, from[i]);
	return i;
}

/* ---- echo -------------------------------------------------------------------------------------- */

/*
 * With ECHOCTL a control character shows as ^X. The column counts it although c_oflag does not see it; nor
 * does it see an echoed 0xff, which is the escape in Linux's echo buffer.
 */
static void echo(struct ldisc *l, u8 c)
{
	if (c == 0xff) {
		l->ops->put(l, c);
		l->column++;
	} else if ((l->t.c_lflag & ECHOCTL) && is_control(c) && c != '\t') {
		l->ops->put(l, '^');
		l->ops->put(l, c ^ 0100);
		l->column += 2;
	} else {
		output(l, c);
	}
}

static void echo_raw(struct ldisc *l, const char *s)
{
	while (*s)
		output(l, (u8)*s++);
}

static void finish_erasing(struct ldisc *l)
{
	if (l->erasing) {
		echo_raw(l, "/");
		l->erasing = false;
	}
}

/* Back over a tab: to where the text before it ends. */
static void erase_tab(struct ldisc *l)
{
	u32 columns = 0, pos = l->head;
	bool after_tab = false;

	while (pos != l->canon_head) {
		u8 c = l->buf[MASK(--pos)];

		if (c == '\t') {
			after_tab = true;
			break;
		}
		if (is_control(c))
			columns += l->t.c_lflag & ECHOCTL ? 2 : 0;
		else if (!is_continuation(l, c))
			columns++;
	}
	if (!after_tab)
		columns += l->canon_column;
	for (u32 n = 8 - (columns & 7); n; n--) {
		l->ops->put(l, '\b');
		if (l->column > 0)
			l->column--;
	}
}

static void erase_shown(struct ldisc *l, u8 c)
{
	if (c == '\t') {
		erase_tab(l);
		return;
	}
	if (is_control(c) && (l->t.c_lflag & ECHOCTL))
		echo_raw(l, "\b \b");
	if (!is_control(c) || (l->t.c_lflag & ECHOCTL))
		echo_raw(l, "\b \b");
}

/* ---- editing ----------------------------------------------------------------------------------- */

enum erase_kind { ERASE_CHAR, ERASE_WORD, ERASE_LINE };

/* Shows that the `n` bytes from l->head on were taken back. */
static void erase_echo(struct ldisc *l, enum erase_kind kind, u32 n)
{
	u8 c = l->buf[MASK(l->head)];

	if (!(l->t.c_lflag & ECHO))
		return;
	if (l->t.c_lflag & ECHOPRT) {
		if (!l->erasing) {
			echo_raw(l, "\\");
			l->erasing = true;
		}
		echo(l, c);
		for (u32 i = 1; i < n; i++) {
			output(l, l->buf[MASK(l->head + i)]);
			if (l->column > 0)
				l->column--;
		}
	} else if (kind == ERASE_CHAR && !(l->t.c_lflag & ECHOE)) {
		echo(l, l->t.c_cc[VERASE]);
	} else {
		erase_shown(l, c);
	}
}

/* Takes back the last character (with its UTF-8 continuation bytes). False: it is not to be taken. */
static bool erase_one(struct ldisc *l, enum erase_kind kind, bool *seen_word)
{
	u32 at = l->head;
	u8 c;

	do {
		c = l->buf[MASK(--at)];
	} while (is_continuation(l, c) && at != l->canon_head);
	if (is_continuation(l, c))
		return false; /* the start of it is not in this line */
	if (kind == ERASE_WORD) {
		if (is_word(c))
			*seen_word = true;
		else if (*seen_word)
			return false;
	}
	{
		u32 n = l->head - at;

		l->head = at;
		erase_echo(l, kind, n);
	}
	return true;
}

static void erase(struct ldisc *l, u8 c)
{
	u32 flags = l->t.c_lflag;
	enum erase_kind kind = ERASE_LINE;
	bool seen_word = false;

	if (l->head == l->canon_head)
		return;
	if (is_cc(l, c, VERASE)) {
		kind = ERASE_CHAR;
	} else if (is_cc(l, c, VWERASE)) {
		kind = ERASE_WORD;
	} else if (!(flags & ECHO)) {
		l->head = l->canon_head;
		return;
	} else if (!(flags & ECHOK) || !(flags & ECHOKE) || !(flags & ECHOE)) {
		l->head = l->canon_head;
		finish_erasing(l);
		echo(l, c);
		if (flags & ECHOK)
			echo_raw(l, "\n");
		return;
	}
	while (l->head != l->canon_head && erase_one(l, kind, &seen_word) && kind != ERASE_CHAR)
		;
	if (l->head == l->canon_head && (flags & ECHO))
		finish_erasing(l);
}

static void reprint(struct ldisc *l, u8 c)
{
	finish_erasing(l);
	echo(l, c);
	echo_raw(l, "\n");
	for (u32 pos = l->canon_head; pos != l->head; pos++)
		echo(l, l->buf[MASK(pos)]);
}

/* ---- input ------------------------------------------------------------------------------------- */

static void mark_line_end(struct ldisc *l, u32 pos, bool on)
{
	u64 bit = BIT(MASK(pos) % 64);

	if (on)
		l->line_end[MASK(pos) / 64] |= bit;
	else
		l->line_end[MASK(pos) / 64] &= ~bit;
}

static bool is_line_end(const struct ldisc *l, u32 pos)
{
	return l->line_end[MASK(pos) / 64] & BIT(MASK(pos) % 64);
}

/*
 * Stores a character. The last place of the buffer is kept for a line's end. What does not fit is dropped;
 * receive() has made sure that this happens only to an unfinished line.
 */
static void store(struct ldisc *l, u8 c)
{
	if (ldisc_input_room(l) <= 1 && (l->t.c_lflag & ICANON))
		return;
	if (!ldisc_input_room(l))
		return;
	mark_line_end(l, l->head, false);
	l->buf[MASK(l->head++)] = c;
}

static void store_line_end(struct ldisc *l, u8 c)
{
	if (!ldisc_input_room(l))
		return;
	mark_line_end(l, l->head, true);
	l->buf[MASK(l->head++)] = c;
	l->canon_head = l->head;
}

static void echo_input(struct ldisc *l, u8 c)
{
	if (!(l->t.c_lflag & ECHO))
		return;
	if (l->canon_head == l->head)
		l->canon_column = l->column;
	echo(l, c);
}

static void receive_plain(struct ldisc *l, u8 c)
{
	if (l->t.c_lflag & ECHO)
		finish_erasing(l);
	echo_input(l, c);
	if ((l->t.c_iflag & PARMRK) && c == 0xff)
		store(l, c);
	store(l, c);
}

/* A newline that ICRNL made, outside canonical mode: echoed as itself, where one that was typed shows as ^J. */
static void receive_made_newline(struct ldisc *l)
{
	if (l->t.c_lflag & ECHO) {
		finish_erasing(l);
		echo_raw(l, "\n");
	}
	store(l, '\n');
}

static void set_flow(struct ldisc *l, bool stop)
{
	if (l->stopped != stop) {
		l->stopped = stop;
		l->ops->flow(l, stop);
	}
}

/* ISIG. True when c was one of them. */
static bool receive_signal(struct ldisc *l, u8 c)
{
	int sig = is_cc(l, c, VINTR) ? SIGINT : is_cc(l, c, VQUIT) ? SIGQUIT : is_cc(l, c, VSUSP) ? SIGTSTP : 0;

	if (!sig)
		return false;
	if (!(l->t.c_lflag & NOFLSH))
		ldisc_flush_input(l);
	l->ops->signal(l, sig, !(l->t.c_lflag & NOFLSH));
	if (l->t.c_iflag & IXON)
		set_flow(l, false);
	if (l->t.c_lflag & ECHO)
		echo(l, c);
	return true;
}

/* ICANON. True when c was used up. */
static bool receive_canonical(struct ldisc *l, u8 c)
{
	u32 flags = l->t.c_lflag;
	bool extended = flags & IEXTEN;

	if (is_cc(l, c, VERASE) || is_cc(l, c, VKILL) || (is_cc(l, c, VWERASE) && extended)) {
		erase(l, c);
		return true;
	}
	if (is_cc(l, c, VLNEXT) && extended) {
		l->lnext = true;
		if (flags & ECHO) {
			finish_erasing(l);
			if (flags & ECHOCTL) {
				l->ops->put(l, '^');
				l->ops->put(l, '\b');
			}
		}
		return true;
	}
	if (is_cc(l, c, VREPRINT) && (flags & ECHO) && extended) {
		reprint(l, c);
		return true;
	}
	if (c == '\n') {
		if (flags & (ECHO | ECHONL))
			echo_raw(l, "\n");
		store_line_end(l, c);
		return true;
	}
	if (is_cc(l, c, VEOF)) {
		store_line_end(l, VDISABLE);
		return true;
	}
	if (is_cc(l, c, VEOL) || (is_cc(l, c, VEOL2) && extended)) {
		echo_input(l, c); /* without ending ECHOPRT's erasing first, as Linux */
		if ((l->t.c_iflag & PARMRK) && c == 0xff)
			store(l, c);
		store_line_end(l, c);
		return true;
	}
	return false;
}

/* Something is there that a reader can take, so waiting for room makes sense. */
static bool reader_can_make_room(const struct ldisc *l)
{
	return l->t.c_lflag & ICANON ? l->canon_head != l->tail : l->head != l->tail;
}

static bool edits_line(const struct ldisc *l, u8 c)
{
	return (l->t.c_lflag & ICANON) && (is_cc(l, c, VKILL) || is_cc(l, c, VWERASE) || is_cc(l, c, VREPRINT));
}

/* True when c can be taken now with all that it prints. */
static bool has_room_for(struct ldisc *l, u8 c)
{
	u32 need = edits_line(l, c) ? EDIT_ROOM : ECHO_ROOM;

	if (ldisc_input_room(l) <= 2 && reader_can_make_room(l))
		return false;
	return !(l->t.c_lflag & (ECHO | ECHONL)) || l->ops->room(l) >= need;
}

bool ldisc_receive(struct ldisc *l, u8 c)
{
	u32 iflag = l->t.c_iflag;

	if (iflag & ISTRIP)
		c &= 0x7f;
	if ((iflag & IUCLC) && (l->t.c_lflag & IEXTEN) && is_upper(c))
		c = (u8)(c + 32);
	if (!l->lnext) {
		if ((iflag & IXON) && (is_cc(l, c, VSTART) || is_cc(l, c, VSTOP))) {
			set_flow(l, is_cc(l, c, VSTOP) && !is_cc(l, c, VSTART));
			return true;
		}
		if (l->stopped && (iflag & IXON) && (iflag & IXANY))
			set_flow(l, false);
		if ((l->t.c_lflag & ISIG) && receive_signal(l, c))
			return true;
	}
	if (!has_room_for(l, c))
		return false;
	if (l->lnext) {
		l->lnext = false;
		receive_plain(l, c);
		return true;
	}
	if (c == '\r') {
		if (iflag & IGNCR)
			return true;
		if ((iflag & ICRNL) && !(l->t.c_lflag & ICANON)) {
			receive_made_newline(l);
			return true;
		}
		if (iflag & ICRNL)
			c = '\n';
	} else if (c == '\n' && (iflag & INLCR)) {
		c = '\r';
	}
	if (!(l->t.c_lflag & ICANON) || !receive_canonical(l, c))
		receive_plain(l, c);
	return true;
}

void ldisc_receive_break(struct ldisc *l)
{
	if (l->t.c_iflag & IGNBRK)
		return;
	if (l->t.c_iflag & BRKINT) {
		if (!(l->t.c_lflag & NOFLSH))
			ldisc_flush_input(l);
		l->ops->signal(l, SIGINT, !(l->t.c_lflag & NOFLSH));
		return;
	}
	if (l->t.c_iflag & PARMRK) {
		store(l, 0xff);
		store(l, 0);
	}
	store(l, 0);
}

void ldisc_receive_error(struct ldisc *l, u8 c)
{
	if (!(l->t.c_iflag & INPCK)) {
		(void)ldisc_receive(l, c);
		return;
	}
	if (l->t.c_iflag & IGNPAR)
		return;
	if (l->t.c_iflag & PARMRK) {
		store(l, 0xff);
		store(l, 0);
		store(l, c);
	} else {
		store(l, 0);
	}
}

/* ---- reading ----------------------------------------------------------------------------------- */

bool ldisc_readable(const struct ldisc *l, u32 min)
{
	if (l->t.c_lflag & ICANON)
		return l->canon_head != l->tail;
	return l->head - l->tail >= MAX(min, 1u);
}

static u32 read_line(struct ldisc *l, u8 *to, u32 n, bool *line_done)
{
	u32 done = 0;

	while (l->tail != l->canon_head) {
		u8 c = l->buf[MASK(l->tail)];
		bool end = is_line_end(l, l->tail);
		bool eof = end && c == VDISABLE && !l->push;

		if (!eof && done == n)
			return done;
		l->tail++;
		if (!eof)
			to[done++] = c;
		if (end) {
			mark_line_end(l, l->tail - 1, false);
			l->push = false;
			*line_done = true;
			return done;
		}
	}
	return done;
}

u32 ldisc_read(struct ldisc *l, u8 *to, u32 n, bool *line_done)
{
	u32 done = 0;

	*line_done = false;
	if (l->t.c_lflag & ICANON)
		return n ? read_line(l, to, n, line_done) : 0;
	while (done < n && l->tail != l->head)
		to[done++] = l->buf[MASK(l->tail++)];
	if ((s32)(l->canon_head - l->tail) < 0)
		l->canon_head = l->tail;
	return done;
}

u32 ldisc_input_count(const struct ldisc *l)
{
	u32 n = 0;

	if (!(l->t.c_lflag & ICANON))
		return l->head - l->tail;
	for (u32 pos = l->tail; pos != l->canon_head; pos++)
		n += !(is_line_end(l, pos) && l->buf[MASK(pos)] == VDISABLE);
	return n;
}

void ldisc_flush_input(struct ldisc *l)
{
	l->tail = l->canon_head = l->head;
	memset(l->line_end, 0, sizeof(l->line_end));
	l->lnext = false;
	l->erasing = false;
	l->push = false;
}

/* ---- settings ---------------------------------------------------------------------------------- */

void ldisc_init(struct ldisc *l, const struct ldisc_ops *ops)
{
	memset(l, 0, sizeof(*l));
	l->ops = ops;
	l->t = ldisc_default;
}

void ldisc_set_termios(struct ldisc *l, const struct termios *t)
{
	bool toggled = (l->t.c_lflag ^ t->c_lflag) & ICANON;

	l->t = *t;
	if (toggled) {
		memset(l->line_end, 0, sizeof(l->line_end));
		l->erasing = l->lnext = false;
		l->push = false;
		l->canon_head = l->tail;
		if ((t->c_lflag & ICANON) && l->head != l->tail) { /* what was typed raw reads as one line */
			mark_line_end(l, l->head - 1, true);
			l->canon_head = l->head;
			l->push = true;
		}
	}
	if (l->stopped && !(t->c_iflag & IXON))
		set_flow(l, false);
}
