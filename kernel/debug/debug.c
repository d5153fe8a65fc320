/* SPDX-License-Identifier: MIT */
/* The list of what is in this folder: see kernel/debug/debug.h. */
#include <kernel/debug/debug.h>

void debug_init(void)
{
	debug_failslab_init();
	debug_leaks_init();
	debug_locks_init();
	debug_hung_task_init();
	debug_knobs_init();
	debug_recorder_init();
	debug_smp_init();
	debug_sysrq_init();
}
