/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_IOCTL_H
#define ABI_LINUX_IOCTL_H

/* How ioctl numbers are made, and the terminal's (ioctl_tty(2)). */

#define _IOC(dir, type, nr, size) \
	((unsigned int)(dir) << 30 | (unsigned int)(size) << 16 | (type) << 8 | (nr))
#define _IO(type, nr)		_IOC(0U, type, nr, 0)
#define _IOW(type, nr, t)	_IOC(1U, type, nr, sizeof(t))
#define _IOR(type, nr, t)	_IOC(2U, type, nr, sizeof(t))
#define _IOWR(type, nr, t)	_IOC(3U, type, nr, sizeof(t))
#define _IOC_DIR(nr)		((nr) >> 30 & 3)
#define _IOC_TYPE(nr)		((nr) >> 8 & 0xff)
#define _IOC_NR(nr)		((nr) & 0xff)
#define _IOC_SIZE(nr)		((nr) >> 16 & 0x3fff)

#define TCGETS			0x5401
#define TCSETS			0x5402
#define TCSETSW			0x5403
#define TCSETSF			0x5404
#define TCGETA			0x5405
#define TCSETA			0x5406
#define TCSETAW			0x5407
#define TCSETAF			0x5408
#define TCSBRK			0x5409
#define TCXONC			0x540A
#define TCFLSH			0x540B
#define TIOCEXCL		0x540C
#define TIOCNXCL		0x540D
#define TIOCSCTTY		0x540E
#define TIOCGPGRP		0x540F
#define TIOCSPGRP		0x5410
#define TIOCOUTQ		0x5411
#define TIOCSTI			0x5412
#define TIOCGWINSZ		0x5413
#define TIOCSWINSZ		0x5414
#define TIOCMGET		0x5415
#define TIOCMBIS		0x5416
#define TIOCMBIC		0x5417
#define TIOCMSET		0x5418
#define TIOCGSOFTCAR		0x5419
#define TIOCSSOFTCAR		0x541A
#define FIONREAD		0x541B
#define TIOCINQ			FIONREAD
#define TIOCLINUX		0x541C
#define TIOCCONS		0x541D
#define TIOCGSERIAL		0x541E
#define TIOCSSERIAL		0x541F
#define TIOCPKT			0x5420
#define FIONBIO			0x5421
#define TIOCNOTTY		0x5422
#define TIOCSETD		0x5423
#define TIOCGETD		0x5424
#define TCSBRKP			0x5425
#define TIOCSBRK		0x5427
#define TIOCCBRK		0x5428
#define TIOCGSID		0x5429
#define TCGETS2			0x802c542a
#define TCSETS2			0x402c542b
#define TCSETSW2		0x402c542c
#define TCSETSF2		0x402c542d
#define TIOCGRS485		0x542E
#define TIOCSRS485		0x542F
#define TIOCGPTN		0x80045430
#define TIOCSPTLCK		0x40045431
#define TIOCGDEV		0x80045432
#define TCGETX			0x5432
#define TCSETX			0x5433
#define TCSETXF			0x5434
#define TCSETXW			0x5435
#define TIOCSIG			0x40045436
#define TIOCVHANGUP		0x5437
#define TIOCGPKT		0x80045438
#define TIOCGPTLCK		0x80045439
#define TIOCGEXCL		0x80045440
#define TIOCGPTPEER		0x5441
#define FIONCLEX		0x5450
#define FIOCLEX			0x5451
#define FIOASYNC		0x5452
#define TIOCMIWAIT		0x545C
#define TIOCGICOUNT		0x545D
#define FIOQSIZE		0x5460
#define TIOCPKT_DATA		0
#define TIOCPKT_FLUSHREAD	1
#define TIOCPKT_FLUSHWRITE	2
#define TIOCPKT_STOP		4
#define TIOCPKT_START		8
#define TIOCPKT_NOSTOP		16
#define TIOCPKT_DOSTOP		32
#define TIOCPKT_IOCTL		64

#endif
