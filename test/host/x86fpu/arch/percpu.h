/* SPDX-License-Identifier: MIT */
#include "../../x86/arch/percpu.h"
