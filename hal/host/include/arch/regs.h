/* SPDX-License-Identifier: MIT */
#ifndef ARCH_REGS_H
#define ARCH_REGS_H

/* There is no user mode on the host and there are no traps: what reports need, and nothing more. */
#include <lib/compiler.h>

struct hal_regs {
	u64 ip;
	u64 sp;
};

#define HAL_VECTOR_PAGE_FAULT 14u

static inline u64 hal_regs_ip(const struct hal_regs *r)
{
	return r->ip;
}

static inline u64 hal_regs_sp(const struct hal_regs *r)
{
	return r->sp;
}

static inline u64 hal_regs_fp(const struct hal_regs *r)
{
	return r->sp;
}

static inline long hal_regs_syscall_nr(const struct hal_regs *r)
{
	(void)r;
	return -1;
}

static inline bool hal_regs_user_mode(const struct hal_regs *r)
{
	(void)r;
	return false;
}

static __always_inline void hal_regs_capture(struct hal_regs *r)
{
	r->ip = (u64)(uintptr_t)__builtin_return_address(0);
	r->sp = (u64)(uintptr_t)__builtin_frame_address(0);
}

#endif
