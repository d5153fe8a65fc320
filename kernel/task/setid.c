// SPDX-License-Identifier: MIT
/*
 * Changing one's ids and capabilities: the rules of setuid(2) and relatives and
 * of capabilities(7), "Effect of user ID changes on capabilities".
 */
#include <abi/linux/prctl.h>
#include <kernel/task/cred.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/task.h>
#include <lib/errno.h>

#define KEEP ((u32)-1)

/*
 * When the last of the three user ids leaves 0 capabilities go, unless kept;
 * effective ones come and go with the effective id.
 */
static void cred_fix_capabilities(struct cred *new, const struct cred *old)
{
	bool was_root = !old->uid || !old->euid || !old->suid;

	if (new->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (was_root && new->uid && new->euid && new->suid) {
		if (!(new->securebits & SECBIT_KEEP_CAPS)) {
			new->cap_permitted = 0;
			new->cap_effective = 0;
		}
		new->cap_ambient = 0;
	}
	if (!old->euid && new->euid)
		new->cap_effective = 0;
	if (old->euid && !new->euid)
		new->cap_effective = new->cap_permitted;
}

/* Too many processes of the new user: the program may go on, but not execve(2). */
static void cred_flag_nproc(const struct cred *new, const struct cred *old)
{
	struct task *t = current_task();

	if (new->user == old->user)
		return;
	if ((u64)atomic64_load(&new->user->processes) > rlimit_current(RLIMIT_NPROC) &&
	    new->user != &user_root)
		t->flags |= TASK_NPROC_EXCEEDED;
	else
		t->flags &= ~TASK_NPROC_EXCEEDED;
}

/* Publishes new user ids, or throws them away with err. */
static int cred_finish_uid(struct cred *new, const struct cred *old, int err)
{
	if (!err && new->uid != old->uid)
		err = cred_set_user(new);
	if (err) {
		cred_abort(new);
		return err;
	}
	cred_fix_capabilities(new, old);
	cred_flag_nproc(new, old);
	cred_commit(new);
	return 0;
}

static int cred_finish(struct cred *new, int err)
{
	if (err)
		cred_abort(new);
	else
		cred_commit(new);
	return err;
}

int cred_setuid(u32 uid)
{
	const struct cred *old = current_cred();
	struct cred *new;
	int err = 0;

	if (uid == KEEP)
		return -EINVAL;
	new = cred_prepare();
	if (!new)
		return -ENOMEM;
	if (capable(CAP_SETUID))
		new->suid = new->uid = uid;
	else if (uid != old->uid && uid != old->suid)
		err = -EPERM;
	new->fsuid = new->euid = uid;
	return cred_finish_uid(new, old, err);
}

int cred_setreuid(u32 ruid, u32 euid)
{
	const struct cred *old = current_cred();
	struct cred *new = cred_prepare();
	int err = 0;

	if (!new)
		return -ENOMEM;
	if (ruid != KEEP) {
		new->uid = ruid;
		if (ruid != old->uid && ruid != old->euid && !capable(CAP_SETUID))
			err = -EPERM;
	}
	if (euid != KEEP) {
		new->euid = euid;
		if (euid != old->uid && euid != old->euid && euid != old->suid && !capable(CAP_SETUID))
			err = -EPERM;
	}
	if (ruid != KEEP || (euid != KEEP && euid != old->uid))
		new->suid = new->euid;
	new->fsuid = new->euid;
	return cred_finish_uid(new, old, err);
}

static bool is_one_of_uids(const struct cred *c, u32 id)
{
	return id == KEEP || id == c->uid || id == c->euid || id == c->suid;
}

int cred_setresuid(u32 ruid, u32 euid, u32 suid)
{
	const struct cred *old = current_cred();
	struct cred *new = cred_prepare();
	int err = 0;

	if (!new)
		return -ENOMEM;
	if (!(is_one_of_uids(old, ruid) && is_one_of_uids(old, euid) && is_one_of_uids(old, suid)) &&
	    !capable(CAP_SETUID))
		err = -EPERM;
	if (ruid != KEEP)
		new->uid = ruid;
	if (euid != KEEP)
		new->euid = euid;
	if (suid != KEEP)
		new->suid = suid;
	new->fsuid = new->euid;
	return cred_finish_uid(new, old, err);
}

long cred_setfsuid(u32 uid)
{
	const struct cred *old = current_cred();
	u32 was = old->fsuid;
	struct cred *new;

	if (uid == KEEP || uid == was ||
	    !(uid == old->uid || uid == old->euid || uid == old->suid || capable(CAP_SETUID)))
		return was;
	new = cred_prepare();
	if (!new)
		return was;
	new->fsuid = uid;
	if (!(new->securebits & SECBIT_NO_SETUID_FIXUP)) {
		if (!was && uid)
			new->cap_effective &= ~CAP_FS_SET;
		if (was && !uid)
			new->cap_effective |= new->cap_permitted & CAP_FS_SET;
	}
	cred_commit(new);
	return was;
}

int cred_setgid(u32 gid)
{
	const struct cred *old = current_cred();
	struct cred *new;
	int err = 0;

	if (gid == KEEP)
		return -EINVAL;
	new = cred_prepare();
	if (!new)
		return -ENOMEM;
	if (capable(CAP_SETGID))
		new->gid = new->sgid = gid;
	else if (gid != old->gid && gid != old->sgid)
		err = -EPERM;
	new->egid = new->fsgid = gid;
	return cred_finish(new, err);
}

int cred_setregid(u32 rgid, u32 egid)
{
	const struct cred *old = current_cred();
	struct cred *new = cred_prepare();
	int err = 0;

	if (!new)
		return -ENOMEM;
	if (rgid != KEEP) {
		if (rgid != old->gid && rgid != old->egid && !capable(CAP_SETGID))
			err = -EPERM;
		new->gid = rgid;
	}
	if (egid != KEEP) {
		if (egid != old->gid && egid != old->egid && egid != old->sgid && !capable(CAP_SETGID))
			err = -EPERM;
		new->egid = egid;
	}
	if (rgid != KEEP || (egid != KEEP && egid != old->gid))
		new->sgid = new->egid;
	new->fsgid = new->egid;
	return cred_finish(new, err);
}

static bool is_one_of_gids(const struct cred *c, u32 id)
{
	return id == KEEP || id == c->gid || id == c->egid || id == c->sgid;
}

int cred_setresgid(u32 rgid, u32 egid, u32 sgid)
{
	const struct cred *old = current_cred();
	struct cred *new = cred_prepare();
	int err = 0;

	if (!new)
		return -ENOMEM;
	if (!(is_one_of_gids(old, rgid) && is_one_of_gids(old, egid) && is_one_of_gids(old, sgid)) &&
	    !capable(CAP_SETGID))
		err = -EPERM;
	if (rgid != KEEP)
		new->gid = rgid;
	if (egid != KEEP)
		new->egid = egid;
	if (sgid != KEEP)
		new->sgid = sgid;
	new->fsgid = new->egid;
	return cred_finish(new, err);
}

long cred_setfsgid(u32 gid)
{
	const struct cred *old = current_cred();
	u32 was = old->fsgid;
	struct cred *new;

	if (gid == KEEP || gid == was ||
	    !(gid == old->gid || gid == old->egid || gid == old->sgid || capable(CAP_SETGID)))
		return was;
	new = cred_prepare();
	if (!new)
		return was;
	new->fsgid = gid;
	cred_commit(new);
	return was;
}

int cred_setgroups(struct cred_groups *g)
{
	struct cred *new = cred_prepare();

	if (!new) {
		groups_put(g);
		return -ENOMEM;
	}
	groups_put(new->groups);
	new->groups = g;
	return cred_finish(new, capable(CAP_SETGID) ? 0 : -EPERM);
}

static bool is_subset(capset_t a, capset_t of)
{
	return !(a & ~of);
}

int cred_capset(capset_t effective, capset_t permitted, capset_t inheritable)
{
	const struct cred *old = current_cred();
	struct cred *new;

	if (!capable(CAP_SETPCAP) && !is_subset(inheritable, old->cap_inheritable | old->cap_permitted))
		return -EPERM;
	if (!is_subset(inheritable, old->cap_inheritable | old->cap_bounding) ||
	    !is_subset(permitted, old->cap_permitted) || !is_subset(effective, permitted))
		return -EPERM;
	new = cred_prepare();
	if (!new)
		return -ENOMEM;
	new->cap_effective = effective;
	new->cap_permitted = permitted;
	new->cap_inheritable = inheritable;
	new->cap_ambient &= permitted & inheritable;
	cred_commit(new);
	return 0;
}

int cred_drop_bounding(unsigned long cap)
{
	struct cred *new;

	if (!capable(CAP_SETPCAP))
		return -EPERM;
	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	new = cred_prepare();
	if (!new)
		return -ENOMEM;
	new->cap_bounding &= ~CAP_BIT(cap);
	cred_commit(new);
	return 0;
}

int cred_set_securebits(unsigned long bits)
{
	const struct cred *old = current_cred();
	unsigned long locks = old->securebits & SECURE_ALL_LOCKS;
	struct cred *new;

	/* Locked bits stay, locks stay, nothing unknown, and only with the capability. */
	if ((locks >> 1 & (old->securebits ^ bits)) || (locks & ~bits) ||
	    (bits & ~(unsigned long)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)) || !capable(CAP_SETPCAP))
		return -EPERM;
	new = cred_prepare();
	if (!new)
		return -ENOMEM;
	new->securebits = (u32)bits;
	cred_commit(new);
	return 0;
}

int cred_set_keepcaps(unsigned long on)
{
	struct cred *new;

	if (on > 1)
		return -EINVAL;
	if (current_cred()->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	new = cred_prepare();
	if (!new)
		return -ENOMEM;
	if (on)
		new->securebits |= SECBIT_KEEP_CAPS;
	else
		new->securebits &= ~(u32)SECBIT_KEEP_CAPS;
	cred_commit(new);
	return 0;
}

static int cred_change_ambient(capset_t clear, capset_t set)
{
	struct cred *new = cred_prepare();

	if (!new)
		return -ENOMEM;
	new->cap_ambient = (new->cap_ambient & ~clear) | set;
	cred_commit(new);
	return 0;
}

int cred_ambient(unsigned long what, unsigned long cap, unsigned long a4, unsigned long a5)
{
	const struct cred *c = current_cred();

	if (what == PR_CAP_AMBIENT_CLEAR_ALL)
		return cap | a4 | a5 ? -EINVAL : cred_change_ambient(CAP_FULL_SET, 0);
	if (cap > CAP_LAST_CAP || (a4 | a5))
		return -EINVAL;
	switch (what) {
	case PR_CAP_AMBIENT_IS_SET:
		return !!(c->cap_ambient & CAP_BIT(cap));
	case PR_CAP_AMBIENT_RAISE:
		if (!(c->cap_permitted & c->cap_inheritable & CAP_BIT(cap)) ||
		    (c->securebits & SECBIT_NO_CAP_AMBIENT_RAISE))
			return -EPERM;
		return cred_change_ambient(0, CAP_BIT(cap));
	case PR_CAP_AMBIENT_LOWER:
		return cred_change_ambient(CAP_BIT(cap), 0);
	default:
		return -EINVAL;
	}
}
