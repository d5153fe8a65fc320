/* RCU's sleeping half: waits for a grace period. Thread context, no lock that a callback needs. */
#pragma once

void synchronize_rcu(void);
/* Waits until all callbacks queued before have run (teardown of caches). */
void rcu_barrier(void);
