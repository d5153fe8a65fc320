/* SPDX-License-Identifier: MIT */
#ifndef TEST_X86_ARCH_PERCPU_H
#define TEST_X86_ARCH_PERCPU_H

/* The real structure, with the fake machine's CPU behind the two accessors that the tested files use. */
#define hal_percpu(x) real_hal_percpu(x)
#define hal_cpu_id(x) real_hal_cpu_id(x)
#include "../../../../hal/x86_64/include/arch/percpu.h"
#undef hal_percpu
#undef hal_cpu_id

struct hal_percpu *hal_percpu(void);
u32 hal_cpu_id(void);

#endif
