/* SPDX-License-Identifier: MIT */
/* Boot of the vfs. */
#include "internal.h"

#include <kernel/mm/reclaim.h>
#include <kernel/sched/work.h>
#include <kernel/vfs/locks.h>
#include <kernel/vfs/vfs.h>

/* Names that are not used cost memory only: first to go. A page holds about 16 of them. */
#define DENTRIES_PER_PAGE (PAGE_SIZE / sizeof(struct dentry))

static u64 shrinker_count(struct mm_shrinker *s)
{
	(void)s;
	return dentry_count() / DENTRIES_PER_PAGE;
}

static atomic64_t shrink_wanted;
static struct work shrink_work;

static void shrink_run(struct work *w)
{
	(void)w;
	(void)dentry_shrink(NULL, (u64)atomic64_xchg(&shrink_wanted, 0));
}

void dentry_trim_later(u64 nr)
{
	atomic64_store(&shrink_wanted, (s64)nr);
	work_queue(&system_work, &shrink_work);
}

/*
 * Dropping a dentry may drop an inode, and that may sleep on locks that the allocating
 * thread holds. So the work queue does it; this only asks.
 */
static u64 shrinker_scan(struct mm_shrinker *s, u64 nr)
{
	(void)s;
	dentry_trim_later(nr * DENTRIES_PER_PAGE);
	return 0;
}

static struct mm_shrinker dentry_shrinker = {
	.name = "dentries",
	.count = shrinker_count,
	.scan = shrinker_scan,
	.cost = 20,
};

void vfs_init(void)
{
	super_init();
	dentry_cache_init();
	inode_cache_init();
	file_cache_init();
	files_cache_init();
	mount_init();
	locks_init();
	chrdev_init();
	proc_registry_init();
	pipefs_init();
	work_init(&shrink_work, shrink_run);
	mm_shrinker_register(&dentry_shrinker);
}
