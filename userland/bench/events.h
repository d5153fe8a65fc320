/* events.h - see events.c. */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdint.h>

enum { EVENT_RESCHED, EVENT_CALL, EVENT_TLB, EVENT_SWITCH, EVENTS };

struct events {
	uint64_t count[EVENTS];	/* of all CPUs, since boot */
};

void events_read(struct events *e);
void events_print(const char *name, const struct events *before, const struct events *after, unsigned long steps);
/* Lock statistics begin anew; 0: the kernel keeps none. */
int locks_reset(void);
/* What they say since. */
void locks_print(const char *name, unsigned long steps);

#endif
