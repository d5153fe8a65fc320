/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_CRED_H
#define KERNEL_TASK_CRED_H

/*
 * Credentials. A struct cred never changes once it is published: whoever
 * wants other ids prepares a copy, changes that and commits it. A task's own
 * credentials are read by itself without anything, by others under RCU.
 *
 * task.real_cred says who the task is when it is acted upon (kill, ptrace,
 * /proc), task.cred who it acts as. They differ only between cred_override()
 * and cred_revert() (access(2), files opened on behalf of somebody).
 */
#include <kernel/core/rcu.h>
#include <kernel/task/capability.h>
#include <kernel/task/user.h>
#include <lib/refcount.h>

#define NGROUPS_MAX 65536

/* Sorted, immutable, shared. */
struct cred_groups {
	refcount_t ref;
	u32 count;
	u32 gid[];
};

struct cred {
	refcount_t ref;			/* [a]; everything else is [I] once published */
	u32 uid, gid;
	u32 suid, sgid;
	u32 euid, egid;
	u32 fsuid, fsgid;
	u32 securebits;
	capset_t cap_inheritable;
	capset_t cap_permitted;
	capset_t cap_effective;
	capset_t cap_bounding;
	capset_t cap_ambient;
	struct user *user;		/* counters of uid; holds a reference */
	struct cred_groups *groups;	/* holds a reference */
	struct rcu_head rcu;
};

/* Root with all capabilities: kernel threads and, first, PID 1. */
extern struct cred cred_root;

void cred_init(void);

static inline const struct cred *cred_get(const struct cred *c)
{
	refcount_get(&((struct cred *)c)->ref);
	return c;
}

void cred_put(const struct cred *c);

/* The acting credentials of who runs: cred_root for kernel threads. No reference. */
const struct cred *current_cred(void);

/* A private copy of the caller's, one reference. NULL without memory. May sleep. */
struct cred *cred_prepare(void);
/* Throws away what was prepared. */
static inline void cred_abort(struct cred *c)
{
	cred_put(c);
}
/*
 * Makes the prepared set the caller's (both pointers), consuming the
 * reference; moves the process count to the new user; lowers dumpability and
 * clears pdeath_signal when effective ids changed or capabilities grew.
 */
void cred_commit(struct cred *c);
/* Acts with c until cred_revert(); returns what to hand to that. Takes no reference. */
const struct cred *cred_override(const struct cred *c);
void cred_revert(const struct cred *old);

/* The set's user follows its uid. -EAGAIN without memory. */
int __must_check cred_set_user(struct cred *c);

struct cred_groups *groups_alloc(u32 count);
void groups_sort(struct cred_groups *g);
void groups_put(struct cred_groups *g);
static inline struct cred_groups *groups_get(struct cred_groups *g)
{
	refcount_get(&g->ref);
	return g;
}

/* Does the caller have the capability effective? */
bool capable(int cap);
static inline bool cred_capable(const struct cred *c, int cap)
{
	return c->cap_effective & CAP_BIT(cap);
}

/* gid is the fsgid (egid for the _e form) or among the supplementary groups. */
bool cred_in_group(const struct cred *c, u32 gid);
bool cred_in_egroup(const struct cred *c, u32 gid);
bool in_group(u32 gid);

/*
 * The set*id(2) family, its rules and errors; -1 (as u32) leaves an id alone where
 * the call of that name says so. 0 or -errno; setfs* return the old id.
 */
int cred_setuid(u32 uid);
int cred_setgid(u32 gid);
int cred_setreuid(u32 ruid, u32 euid);
int cred_setregid(u32 rgid, u32 egid);
int cred_setresuid(u32 ruid, u32 euid, u32 suid);
int cred_setresgid(u32 rgid, u32 egid, u32 sgid);
long cred_setfsuid(u32 uid);
long cred_setfsgid(u32 gid);
/* Consumes the (sorted) list. -EPERM without CAP_SETGID. */
int cred_setgroups(struct cred_groups *g);
/* capset(2). */
int cred_capset(capset_t effective, capset_t permitted, capset_t inheritable);
/* prctl(2): bounding set, securebits, keepcaps, ambient set. */
int cred_drop_bounding(unsigned long cap);
int cred_set_securebits(unsigned long bits);
int cred_set_keepcaps(unsigned long on);
int cred_ambient(unsigned long what, unsigned long cap, unsigned long a4, unsigned long a5);

/* The caller's ids, the ones that file systems need all the time. */
static inline u32 current_fsuid(void)
{
	return current_cred()->fsuid;
}

static inline u32 current_fsgid(void)
{
	return current_cred()->fsgid;
}

#endif
