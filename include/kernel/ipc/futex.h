/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_IPC_FUTEX_H
#define KERNEL_IPC_FUTEX_H

/* futex(2): waiting on a 32-bit word of user memory. */
#include <lib/types.h>

struct task;

void futex_init(void);

/* One futex call; op with its flags. The deadline is in ns of the operation's clock. */
long futex_do(uptr_t uaddr, int op, u32 val, bool has_timeout, u64 timeout_ns, u32 val2,
	      uptr_t uaddr2, u32 val3);

/* FUTEX_WAKE, and FUTEX_WAIT without a time-out: what locks are made of. */
long futex_wake_plain(uptr_t uaddr, bool shared, u32 n);
long futex_wait_plain(uptr_t uaddr, bool shared, u32 val);
/* Walks the robust list of the running, exiting task; called before its space goes. */
void futex_exit_robust(struct task *t);
/* Wakes up to n waiters on the word: clear_child_tid. */
int futex_wake_user(uptr_t uaddr, int n);

#endif
