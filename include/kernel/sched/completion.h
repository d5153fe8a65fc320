/* Completions: a one-way event that threads wait for. complete() may be called from any context. */
#pragma once

#include <kernel/sched/wait.h>

struct completion {
	u32 done; /* [a] completions not yet consumed; ~0: all, for ever */
	struct waitq q;
};

void completion_init(struct completion *c);
void complete(struct completion *c); /* lets one waiter through */
void complete_all(struct completion *c);
void wait_for_completion(struct completion *c, const char *why);
/* 0 or -EINTR when a fatal signal came first. */
int __must_check wait_for_completion_killable(struct completion *c, const char *why);
