/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_TIME_H
#define ABI_LINUX_TIME_H

/* Clocks, timers and their structures. */

#include <lib/types.h>

#define CLOCK_REALTIME		0
#define CLOCK_MONOTONIC		1
#define CLOCK_PROCESS_CPUTIME_ID	2
#define CLOCK_THREAD_CPUTIME_ID	3
#define CLOCK_MONOTONIC_RAW	4
#define CLOCK_REALTIME_COARSE	5
#define CLOCK_MONOTONIC_COARSE	6
#define CLOCK_BOOTTIME		7
#define CLOCK_REALTIME_ALARM	8
#define CLOCK_BOOTTIME_ALARM	9
#define CLOCK_SGI_CYCLE		10
#define CLOCK_TAI		11
#define MAX_CLOCKS		16
#define TIMER_ABSTIME		0x01
#define ITIMER_REAL		0
#define ITIMER_VIRTUAL		1
#define ITIMER_PROF		2
#define TFD_TIMER_ABSTIME	1
#define TFD_TIMER_CANCEL_ON_SET	2
#define TFD_CLOEXEC		02000000
#define TFD_NONBLOCK		00004000
/* times(2) counts in these, whatever the kernel does. */
#define USER_HZ			100

struct timespec {
	s64 tv_sec;
	s64 tv_nsec;
};

struct timeval {
	s64 tv_sec;
	s64 tv_usec;
};

struct itimerspec {
	struct timespec it_interval;
	struct timespec it_value;
};

struct itimerval {
	struct timeval it_interval;
	struct timeval it_value;
};

struct timezone {
	s32 tz_minuteswest;
	s32 tz_dsttime;
};

struct tms {
	s64 tms_utime;
	s64 tms_stime;
	s64 tms_cutime;
	s64 tms_cstime;
};

struct utimbuf {
	s64 actime;
	s64 modtime;
};

/* utimensat(2), in tv_nsec */
#define UTIME_NOW		((1L<<30)-1L)
#define UTIME_OMIT		((1L<<30)-2L)

#endif
