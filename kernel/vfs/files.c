/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables.
 *
 * A task that is alone with its table (ref 1) reads a slot and uses the file
 * without counting: only itself could close it. Otherwise: read the slot under RCU, take a
 * reference unless the count is 0, look whether the slot still holds that file.
 *
 * A table that is too small is replaced by a copy twice as large; the old one is
 * freed after a grace period.
 */
#include "internal.h"

#include <abi/linux/resource.h>
#include <kernel/vfs/locks.h>
#include <lib/fls.h>

static struct kmem_cache *files_cache;

#define FILES_MAX (1U << 20)	/* sysctl fs.nr_open of Linux */

struct files *files_create(void)
{
	struct files *f = kmem_cache_zalloc(files_cache, 0);

	if (!f)
		return NULL;
	atomic_store(&f->ref, 1);
	spin_init(&f->lock, "files", LOCK_RANK_FILES);
	f->first = (struct fdtable){ .max = FILES_INLINE, .fd = f->first_fd,
				     .open = f->first_open, .cloexec = f->first_cloexec };
	f->table = &f->first;
	return f;
}

/* ---- tables ---- */

static struct fdtable *table_alloc(u32 max)
{
	size_t words = max / 64;
	struct fdtable *t = kmalloc(sizeof(*t), 0);

	if (!t)
		return NULL;
	t->max = max;
	t->fd = kvmalloc(max * sizeof(*t->fd) + words * 2 * sizeof(u64), MM_ZERO);
	if (!t->fd) {
		kfree(t);
		return NULL;
	}
	t->open = (u64 *)(t->fd + max);
	t->cloexec = t->open + words;
	return t;
}

static void table_free(struct fdtable *t)
{
	kvfree(t->fd);
	kfree(t);
}

static void table_free_rcu(struct rcu_head *rcu)
{
	table_free(container_of(rcu, struct fdtable, rcu));
}

static void table_copy(struct fdtable *to, const struct fdtable *from)
{
	u32 n = MIN(to->max, from->max);

	memcpy(to->fd, from->fd, n * sizeof(*to->fd));
	memcpy(to->open, from->open, n / 8);
	memcpy(to->cloexec, from->cloexec, n / 8);
}

/* Makes room for descriptor nr. Called and returns with f->lock held, which it may drop. */
static int grow_locked(struct files *f, u32 nr)
{
	while (nr >= f->table->max) {
		u32 max = (u32)MIN(roundup_pow2((u64)nr + 1), (u64)FILES_MAX);
		struct fdtable *old, *new;

		if (nr >= FILES_MAX)
			return -EMFILE;
		spin_unlock(&f->lock);
		new = table_alloc(MAX(max, 256U));
		spin_lock(&f->lock);
		if (!new)
			return -ENOMEM;
		old = f->table;
		if (nr < old->max) {
			table_free(new);	/* somebody else was faster */
			return 0;
		}
		table_copy(new, old);
		rcu_assign_pointer(f->table, new);
		if (old != &f->first)
			call_rcu(&old->rcu, table_free_rcu);
	}
	return 0;
}

static inline u32 find_free(const struct fdtable *t, u32 from)
{
	for (u32 w = from / 64; w < t->max / 64; w++) {
		u64 free = ~t->open[w];

		if (w == from / 64)
			free &= ~0ULL << (from % 64);
		if (free)
			return w * 64 + ctz64(free);
	}
	return MAX(t->max, from);
}

static u32 last_open_word(const struct fdtable *t)
{
	u32 words = t->max / 64;

	while (words > 1 && !t->open[words - 1])
		words--;
	return words;
}

struct files *files_copy(struct files *from)
{
	struct files *f = files_create();
	struct fdtable *t, *bigger = NULL;
	u32 need;

	if (!f)
		return ERR_PTR(-ENOMEM);
	spin_lock(&from->lock);
	while ((need = last_open_word(from->table) * 64) > (bigger ? bigger->max : FILES_INLINE)) {
		spin_unlock(&from->lock);
		if (bigger)
			table_free(bigger);
		bigger = table_alloc(need);
		if (!bigger) {
			kmem_cache_free(files_cache, f);
			return ERR_PTR(-ENOMEM);
		}
		spin_lock(&from->lock);
	}
	if (bigger)
		f->table = bigger;
	t = f->table;
	table_copy(t, from->table);
	for (u32 w = 0; w < need / 64; w++) {
		for (u64 bits = t->open[w]; bits; bits &= bits - 1) {
			u32 fd = w * 64 + ctz64(bits);

			if (t->fd[fd]) {
				file_get(t->fd[fd]);
			} else {
				/* Reserved by another thread that is still opening. */
				t->open[w] &= ~BIT(fd % 64);
				t->cloexec[w] &= ~BIT(fd % 64);
			}
		}
	}
	f->next_fd = from->next_fd;
	if (bigger)
		f->next_fd = 0;
	else
		f->next_fd = MIN(find_free(t, 0), f->next_fd);
	spin_unlock(&from->lock);
	return f;
}

static int close_file(struct file *file, struct files *files)
{
	int err = 0;

	if (file->ops->flush)
		err = file->ops->flush(file);
	if (READ_ONCE(file->inode->locks) && !(file->mode & FMODE_PATH))
		locks_remove_posix(file, files);
	file_put(file);
	return err;
}

void files_put(struct files *f)
{
	struct fdtable *t;

	might_sleep();
	if (!atomic_dec_and_test(&f->ref))
		return;
	t = f->table;	/* not earlier: until the last one went, anybody could replace it */
	for (u32 w = 0; w < t->max / 64; w++) {
		for (u64 bits = t->open[w]; bits; bits &= bits - 1) {
			struct file *file = t->fd[w * 64 + ctz64(bits)];

			if (file)
				close_file(file, f);
		}
	}
	if (t != &f->first)
		table_free(t);
	kmem_cache_free(files_cache, f);
}

int files_unshare_current(void)
{
	struct task *task = current_task();
	struct files *old = task->files, *new;

	if (atomic_load(&old->ref) == 1)
		return 0;
	new = files_copy(old);
	if (IS_ERR(new))
		return (int)PTR_ERR(new);
	spin_lock(&task->lock);
	task->files = new;
	spin_unlock(&task->lock);
	files_put(old);
	return 0;
}

struct files *task_files_get(struct task *t)
{
	struct files *f;

	spin_lock(&t->lock);
	f = t->files;
	if (f)
		files_get(f);
	spin_unlock(&t->lock);
	return f;
}

/* ---- look-up ---- */

struct file *files_lookup_get(struct files *f, u32 fd)
{
	struct file *file;

	rcu_read_lock();
	for (;;) {
		file = files_lookup_raw(f, fd);
		if (!file)
			break;
		if (!refcount_get_not_zero(&file->ref))
			continue;	/* being closed: the slot changes soon */
		if (likely(files_lookup_raw(f, fd) == file))
			break;
		rcu_read_unlock();
		file_put(file);
		rcu_read_lock();
	}
	rcu_read_unlock();
	return file;
}

struct fdref fd_get_slow(struct files *f, u32 fd)
{
	struct file *file = files_lookup_get(f, fd);

	return (struct fdref){ file, file != NULL };
}

struct file *fd_get_counted(int fd)
{
	struct file *file = files_lookup_get(current_task()->files, (u32)fd);

	if (file && (file->mode & FMODE_PATH)) {
		file_put(file);
		return NULL;
	}
	return file;
}

/* ---- reserving and filling ---- */

static inline void mark_locked(struct fdtable *t, u32 fd, bool cloexec)
{
	t->open[fd / 64] |= BIT(fd % 64);
	if (cloexec)
		t->cloexec[fd / 64] |= BIT(fd % 64);
	else
		t->cloexec[fd / 64] &= ~BIT(fd % 64);
}

int fd_reserve(u32 min, u32 o_flags)
{
	const struct task *task = current_task();
	struct files *f = task->files;
	u64 limit = rlimit_get(task->process, RLIMIT_NOFILE);
	u32 fd;
	int err = 0;

	spin_lock(&f->lock);
	for (;;) {
		fd = find_free(f->table, MAX(min, f->next_fd));
		err = -EMFILE;
		if (fd >= limit)
			break;
		if (likely(fd < f->table->max)) {
			err = 0;
			break;
		}
		err = grow_locked(f, fd);
		if (err)
			break;
	}
	if (!err) {
		mark_locked(f->table, fd, o_flags & O_CLOEXEC);
		if (min <= f->next_fd)
			f->next_fd = fd + 1;
	}
	spin_unlock(&f->lock);
	return err ? err : (int)fd;
}

void fd_install(int fd, struct file *file)
{
	struct files *f = current_task()->files;

	if (atomic_load(&f->ref) == 1) {
		rcu_assign_pointer(f->table->fd[fd], file);
		return;
	}
	/* Against another thread that replaces the table. */
	spin_lock(&f->lock);
	rcu_assign_pointer(f->table->fd[fd], file);
	spin_unlock(&f->lock);
}

static inline void release_locked(struct files *f, u32 fd)
{
	struct fdtable *t = f->table;

	t->open[fd / 64] &= ~BIT(fd % 64);
	t->cloexec[fd / 64] &= ~BIT(fd % 64);
	if (fd < f->next_fd)
		f->next_fd = fd;
}

void fd_unreserve(int fd)
{
	struct files *f = current_task()->files;

	spin_lock(&f->lock);
	release_locked(f, (u32)fd);
	spin_unlock(&f->lock);
}

int fd_install_new(struct file *file, u32 o_flags)
{
	int fd = fd_reserve(0, o_flags);

	if (fd < 0)
		file_put(file);
	else
		fd_install(fd, file);
	return fd;
}

/* ---- closing and duplicating ---- */

static inline struct file *take_locked(struct files *f, u32 fd)
{
	struct fdtable *t = f->table;
	struct file *file;

	if (fd >= t->max)
		return NULL;
	file = t->fd[index_nospec_u32(fd, t->max)];
	if (!file)
		return NULL;
	rcu_assign_pointer(t->fd[fd], NULL);
	release_locked(f, fd);
	return file;
}

int fd_close(int fd)
{
	struct files *f = current_task()->files;
	struct file *file;

	spin_lock(&f->lock);
	file = take_locked(f, (u32)fd);
	spin_unlock(&f->lock);
	return file ? close_file(file, f) : -EBADF;
}

int fd_dup2(int oldfd, int newfd, u32 o_flags)
{
	struct files *f = current_task()->files;
	struct file *file, *victim = NULL;
	int err;

	if ((u64)(u32)newfd >= rlimit_current(RLIMIT_NOFILE))
		return -EBADF;
	file = files_lookup_get(f, (u32)oldfd);
	if (!file)
		return -EBADF;
	spin_lock(&f->lock);
	err = grow_locked(f, (u32)newfd);
	if (err) {
		err = err == -EMFILE ? -EBADF : err;
	} else {
		struct fdtable *t = f->table;

		victim = t->fd[newfd];
		/* A slot that another thread has reserved and not yet filled. */
		if (!victim && (t->open[newfd / 64] & BIT(newfd % 64)))
			err = -EBUSY;
	}
	if (!err) {
		rcu_assign_pointer(f->table->fd[newfd], file);
		mark_locked(f->table, (u32)newfd, o_flags & O_CLOEXEC);
	}
	spin_unlock(&f->lock);
	if (err) {
		file_put(file);
		return err;
	}
	if (victim)
		close_file(victim, f);
	return newfd;
}

int fd_close_range(u32 first, u32 last, u32 flags)
{
	struct files *f;
	int err;

	if (flags & ~(u32)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		err = files_unshare_current();
		if (err)
			return err;
	}
	f = current_task()->files;
	spin_lock(&f->lock);
	for (u64 fd = first; fd <= last && fd < f->table->max; fd++) {
		struct fdtable *t = f->table;
		struct file *file;

		if (!t->open[fd / 64]) {
			fd |= 63;
			continue;
		}
		if (!(t->open[fd / 64] & BIT(fd % 64)))
			continue;
		if (flags & CLOSE_RANGE_CLOEXEC) {
			t->cloexec[fd / 64] |= BIT(fd % 64);
			continue;
		}
		file = take_locked(f, (u32)fd);
		if (!file)
			continue;
		spin_unlock(&f->lock);
		close_file(file, f);
		spin_lock(&f->lock);
	}
	spin_unlock(&f->lock);
	return 0;
}

void files_close_on_exec(struct files *f)
{
	spin_lock(&f->lock);
	for (u32 w = 0; w < f->table->max / 64; w++) {
		u64 bits;

		while ((bits = f->table->cloexec[w] & f->table->open[w])) {
			struct file *file = take_locked(f, w * 64 + ctz64(bits));

			if (!file) {
				f->table->cloexec[w] &= ~(bits & -bits);
				continue;
			}
			spin_unlock(&f->lock);
			close_file(file, f);
			spin_lock(&f->lock);
		}
	}
	spin_unlock(&f->lock);
}

int fd_get_flags(int fd)
{
	struct files *f = current_task()->files;
	int ret = -EBADF;

	spin_lock(&f->lock);
	if ((u32)fd < f->table->max && f->table->fd[fd])
		ret = f->table->cloexec[fd / 64] & BIT(fd % 64) ? FD_CLOEXEC : 0;
	spin_unlock(&f->lock);
	return ret;
}

int fd_set_cloexec(int fd, bool on)
{
	struct files *f = current_task()->files;
	int ret = -EBADF;

	spin_lock(&f->lock);
	if ((u32)fd < f->table->max && f->table->fd[fd]) {
		mark_locked(f->table, (u32)fd, on);
		ret = 0;
	}
	spin_unlock(&f->lock);
	return ret;
}

/* ---- for /proc ---- */

struct file *files_next(struct files *f, u32 *fd)
{
	for (;; (*fd)++) {
		struct file *file;
		u32 max;

		rcu_read_lock();
		max = rcu_dereference(f->table)->max;
		rcu_read_unlock();
		if (*fd >= max)
			return NULL;
		file = files_lookup_get(f, *fd);
		if (file)
			return file;
	}
}

bool files_is_cloexec(struct files *f, u32 fd)
{
	bool on;

	spin_lock(&f->lock);
	on = fd < f->table->max && (f->table->cloexec[fd / 64] & BIT(fd % 64));
	spin_unlock(&f->lock);
	return on;
}

u32 files_table_size(struct files *f)
{
	u32 max;

	rcu_read_lock();
	max = rcu_dereference(f->table)->max;
	rcu_read_unlock();
	return max;
}

void files_cache_init(void)
{
	files_cache = kmem_cache_create("files", sizeof(struct files), 64, NULL, 0);
	if (!files_cache)
		panic("no memory for the cache of descriptor tables");
}
