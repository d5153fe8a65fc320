/* SPDX-License-Identifier: MIT */
/* The shell after a panic: commands over the serial line. */
#include <kernel/debug/debug.h>

void debug_shell_init(void)
{
}
