/* SPDX-License-Identifier: MIT */
/* For hal/x86_64/fpu.c: what it asks of the machine is not executed in test/host/hal_fpu_test.c; its vector instructions are real. */
#include "../../x86cpu/arch/insn.h"
