/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_FILES_H
#define KERNEL_VFS_FILES_H

/*
 * Descriptor tables. Readers find a file under RCU; a task whose table nobody else uses
 * does not even take a reference (fd_get). Changes are made under files.lock.
 *
 * Keys: [a] atomic, [r] RCU for readers, written under [l] lock.
 */
#include <kernel/core/rcu.h>
#include <kernel/core/spinlock.h>
#include <kernel/task/task.h>
#include <kernel/vfs/file.h>

#define FILES_INLINE 64

struct fdtable {
	u32 max;			/* [I] slots, a multiple of 64 */
	struct file **fd;		/* [r] */
	u64 *open;			/* [l] reserved or installed */
	u64 *cloexec;			/* [l] */
	struct rcu_head rcu;
};

struct files {
	atomic_t ref;			/* [a] tasks that share it */
	u32 next_fd;			/* [l] nothing free below */
	struct fdtable *table;		/* [r] */
	struct spinlock lock;
	struct fdtable first;
	u64 first_open[FILES_INLINE / 64];
	u64 first_cloexec[FILES_INLINE / 64];
	struct file *first_fd[FILES_INLINE];
};

/* An empty table; NULL without memory. */
struct files *files_create(void);
static inline struct files *files_get(struct files *f)
{
	atomic_inc(&f->ref);
	return f;
}

/* The last one closes everything. May sleep. */
void files_put(struct files *f);
/* fork: a copy with references on all files. ERR_PTR(-ENOMEM, -EMFILE). */
struct files *files_copy(struct files *f);
/* exec: the caller gets a table of its own. */
int __must_check files_unshare_current(void);
/* exec: close-on-exec descriptors go. */
void files_close_on_exec(struct files *f);

/* A file found by number: put it back with fd_put. file NULL: EBADF. */
struct fdref {
	struct file *file;
	bool counted;
};

struct file *files_lookup_get(struct files *f, u32 fd);	/* counted, from any task; NULL */
struct fdref fd_get_slow(struct files *f, u32 fd);

static inline struct file *files_lookup_raw(const struct files *f, u32 fd)
{
	const struct fdtable *t = rcu_dereference(f->table);

	if (unlikely(fd >= t->max))
		return NULL;
	return rcu_dereference(t->fd[index_nospec_u32(fd, t->max)]);
}

/* Of a table that only the caller uses: it changes under nobody, so no read section is needed. */
static inline struct file *files_lookup_own(const struct files *f, u32 fd)
{
	const struct fdtable *t = rcu_dereference_raw(f->table);

	if (unlikely(fd >= t->max))
		return NULL;
	return rcu_dereference_raw(t->fd[index_nospec_u32(fd, t->max)]);
}

/* O_PATH files included. */
static inline struct fdref fd_get_raw(int fd)
{
	struct files *f = current_task()->files;

	if (likely(atomic_load_acquire(&f->ref) == 1))
		return (struct fdref){ files_lookup_own(f, (u32)fd), false };
	return fd_get_slow(f, (u32)fd);
}

static inline void fd_put(struct fdref r)
{
	if (r.counted)
		file_put(r.file);
}

/* For data and control: an O_PATH descriptor does not count. */
static inline struct fdref fd_get(int fd)
{
	struct fdref r = fd_get_raw(fd);

	if (likely(r.file) && unlikely(r.file->mode & FMODE_PATH)) {
		fd_put(r);
		return (struct fdref){ NULL, false };
	}
	return r;
}

/* Counted in any case: for what outlives the call (mmap, epoll). NULL: EBADF. O_PATH ones too with raw. */
struct file *fd_get_counted(int fd);

/* Reserve the lowest free descriptor >= min (below RLIMIT_NOFILE): number, -EMFILE, -ENOMEM. */
int __must_check fd_reserve(u32 min, u32 o_flags);
/* Put a file into a reserved slot: consumes the reference. */
void fd_install(int fd, struct file *file);
void fd_unreserve(int fd);
/* Both; consumes the reference also on failure. */
int __must_check fd_install_new(struct file *file, u32 o_flags);
/* close(2). -EBADF, or what flush says. */
int fd_close(int fd);
int fd_dup2(int oldfd, int newfd, u32 o_flags);
int fd_close_range(u32 first, u32 last, u32 flags);
int fd_get_flags(int fd);
int fd_set_cloexec(int fd, bool on);
/* For /proc/PID/fd: the first open descriptor >= fd, with a reference; NULL at the end. */
struct file *files_next(struct files *f, u32 *fd);
bool files_is_cloexec(struct files *f, u32 fd);
u32 files_table_size(struct files *f);
/* A task's table with a reference, or NULL. */
struct files *task_files_get(struct task *t);

void files_cache_init(void);

#endif
