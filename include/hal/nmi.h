/* SPDX-License-Identifier: MIT */
#ifndef HAL_NMI_H
#define HAL_NMI_H

/*
 * Non-maskable interrupts as a means: to look at a CPU that has its interrupts off. They arrive in upcall_nmi().
 */
#include <lib/types.h>

/*
 * Interrupts that CPU, which may be the calling one. False: it is not online, or this machine cannot. Any context. The
 * upcall may come at once or later; NMIs that are sent while one is served become one.
 */
bool hal_cpu_nmi(u32 cpu);

/*
 * NMIs on the boot CPU in that period, from a timer that no interrupt flag holds up, until hal_nmi_timer_stop(). Tries
 * the timers that the machine has and believes the first one whose NMIs arrive: that takes some milliseconds. Returns the
 * timer's name, NULL when none works. period_ns: 1 ms to 10 s, a longer one is cut to what the timer can; *period_ns
 * becomes what it is. After hal_late_init, thread context, one caller.
 */
const char *hal_nmi_timer_start(u64 *period_ns);
void hal_nmi_timer_stop(void);

#endif
