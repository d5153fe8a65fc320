// SPDX-License-Identifier: MIT
/* User and group ids, supplementary groups, capabilities. */
#include <abi/linux/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/task.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <gen/syscall_protos.h>

long sys_getuid(void)
{
	return current_task()->cred->uid;
}

long sys_geteuid(void)
{
	return current_task()->cred->euid;
}

long sys_getgid(void)
{
	return current_task()->cred->gid;
}

long sys_getegid(void)
{
	return current_task()->cred->egid;
}

long sys_setuid(u32 uid)
{
	return cred_setuid(uid);
}

long sys_setgid(u32 gid)
{
	return cred_setgid(gid);
}

long sys_setreuid(u32 ruid, u32 euid)
{
	return cred_setreuid(ruid, euid);
}

long sys_setregid(u32 rgid, u32 egid)
{
	return cred_setregid(rgid, egid);
}

long sys_setresuid(u32 ruid, u32 euid, u32 suid)
{
	return cred_setresuid(ruid, euid, suid);
}

long sys_setresgid(u32 rgid, u32 egid, u32 sgid)
{
	return cred_setresgid(rgid, egid, sgid);
}

long sys_setfsuid(u32 uid)
{
	return cred_setfsuid(uid);
}

long sys_setfsgid(u32 gid)
{
	return cred_setfsgid(gid);
}

static long put_three(u32 a, u32 b, u32 c, uptr_t ua, uptr_t ub, uptr_t uc)
{
	if (put_user_u32(a, ua) || put_user_u32(b, ub) || put_user_u32(c, uc))
		return -EFAULT;
	return 0;
}

long sys_getresuid(uptr_t ruid, uptr_t euid, uptr_t suid)
{
	const struct cred *c = current_cred();

	return put_three(c->uid, c->euid, c->suid, ruid, euid, suid);
}

long sys_getresgid(uptr_t rgid, uptr_t egid, uptr_t sgid)
{
	const struct cred *c = current_cred();

	return put_three(c->gid, c->egid, c->sgid, rgid, egid, sgid);
}

long sys_getgroups(int size, uptr_t list)
{
	const struct cred_groups *g = current_cred()->groups;

	if (size < 0)
		return -EINVAL;
	if (size) {
		if (g->count > (u32)size)
			return -EINVAL;
		if (copy_to_user(list, g->gid, g->count * sizeof(g->gid[0])))
			return -EFAULT;
	}
	return g->count;
}

long sys_setgroups(int size, uptr_t list)
{
	struct cred_groups *g;

	if (!capable(CAP_SETGID))
		return -EPERM;
	if (size < 0 || size > NGROUPS_MAX)
		return -EINVAL;
	g = groups_alloc((u32)size);
	if (!g)
		return -ENOMEM;
	if (copy_from_user(g->gid, list, (size_t)size * sizeof(g->gid[0]))) {
		groups_put(g);
		return -EFAULT;
	}
	groups_sort(g);
	return cred_setgroups(g);
}

/* How many 32-bit words a set has in this version; an unknown one is answered with ours. */
static int cap_words(uptr_t header, size_t *words)
{
	u32 version;

	if (get_user_u32(&version, header))
		return -EFAULT;
	switch (version) {
	case _LINUX_CAPABILITY_VERSION_1:
		*words = 1;
		return 0;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		*words = 2;
		return 0;
	default:
		return put_user_u32(_LINUX_CAPABILITY_VERSION_3, header) ? -EFAULT : -EINVAL;
	}
}

static int cap_header_pid(uptr_t header, int *pid)
{
	return get_user_s32(pid, uptr_add(header, offsetof(struct __user_cap_header_struct, pid))) ? -EFAULT : 0;
}

long sys_capget(uptr_t header, uptr_t data)
{
	struct __user_cap_data_struct d[2];
	const struct cred *c;
	struct task *t;
	size_t words;
	int pid, err = cap_words(header, &words);

	if (uptr_is_null(data) || err)
		return uptr_is_null(data) && err == -EINVAL ? 0 : err;
	if (cap_header_pid(header, &pid))
		return -EFAULT;
	if (pid < 0)
		return -EINVAL;
	t = pid ? task_by_tid(pid) : task_get(current_task());
	if (!t)
		return -ESRCH;
	c = task_cred_get(t);
	for (size_t i = 0; i < 2; i++) {
		d[i].effective = (u32)(c->cap_effective >> 32 * i);
		d[i].permitted = (u32)(c->cap_permitted >> 32 * i);
		d[i].inheritable = (u32)(c->cap_inheritable >> 32 * i);
	}
	cred_put(c);
	task_put(t);
	return copy_to_user(data, d, words * sizeof(d[0]));
}

static capset_t cap_join(u32 low, u32 high)
{
	return ((u64)high << 32 | low) & CAP_FULL_SET;
}

long sys_capset(uptr_t header, uptr_t data)
{
	struct __user_cap_data_struct d[2] = { { 0 } };
	size_t words;
	int pid, err = cap_words(header, &words);

	if (err)
		return err;
	if (cap_header_pid(header, &pid))
		return -EFAULT;
	if (pid != 0 && pid != current_task()->pid->nr)
		return -EPERM;
	if (copy_from_user(d, data, words * sizeof(d[0])))
		return -EFAULT;
	return cred_capset(cap_join(d[0].effective, d[1].effective), cap_join(d[0].permitted, d[1].permitted),
			   cap_join(d[0].inheritable, d[1].inheritable));
}
