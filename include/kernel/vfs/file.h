/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_FILE_H
#define KERNEL_VFS_FILE_H

/*
 * Open files: what a descriptor refers to.
 *
 * Data moves between a request (struct kiocb: file, position, flags) and an iterator
 * (vm/iter.h), so one operation serves read, readv, pread, the kernel itself and splice.
 *
 * struct file lives in a type-safe RCU cache: a reader that found a pointer in a
 * descriptor table takes a reference only if the count is not zero and then looks
 * whether the table still says so.
 *
 * Keys: [I] immutable after open, [a] atomic, [p] pos_lock (or the only user), [l] lock.
 */
#include <abi/linux/fcntl.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/mutex.h>
#include <kernel/vfs/inode.h>
#include <kernel/vfs/path.h>
#include <kernel/vfs/poll.h>
#include <kernel/vm/area.h>
#include <kernel/vm/iter.h>
#include <lib/refcount.h>

struct vm_map_request;

/* file.mode */
#define FMODE_READ	0x0001U
#define FMODE_WRITE	0x0002U
#define FMODE_EXEC	0x0004U	/* opened by exec: writing is denied meanwhile */
#define FMODE_PATH	0x0008U	/* O_PATH: no operations */
#define FMODE_LSEEK	0x0010U	/* has a position that can be set: else ESPIPE */
#define FMODE_PREAD	0x0020U
#define FMODE_PWRITE	0x0040U
#define FMODE_ATOMIC_POS 0x0080U /* regular file or directory: reads and writes are atomic to each other */
#define FMODE_WRITER	0x0100U	/* counts in inode.writers and mount.writers */
#define FMODE_NOWAIT	0x0200U	/* honours IOCB_NOWAIT: else RWF_NOWAIT is EOPNOTSUPP */
#define FMODE_CAN_READ	0x0400U	/* has read_iter */
#define FMODE_CAN_WRITE	0x0800U
#define FMODE_STREAM	0x1000U	/* no position at all: operations ignore it */
#define FMODE_OPENED	0x2000U	/* ops->open succeeded: release is due */

/* kiocb.flags */
#define IOCB_NOWAIT	0x0001U	/* -EAGAIN instead of sleeping */
#define IOCB_APPEND	0x0002U	/* at the end of file, atomically */
#define IOCB_DSYNC	0x0004U
#define IOCB_SYNC	0x0008U
#define IOCB_HIPRI	0x0010U
#define IOCB_DIRECT	0x0020U

/* O_NONBLOCK is not a kiocb flag: who may sleep looks at file->flags too. */
struct kiocb {
	struct file *file;
	s64 pos;			/* in and out */
	u32 flags;
};

/*
 * readdir: `emit` is called per entry; false stops, and that entry does not count. next: the
 * position behind the entry, which lseek(2) and the d_off of getdents(2) use. type: DT_*.
 */
struct dir_context {
	bool (*emit)(struct dir_context *ctx, const char *name, size_t len, s64 next, u64 ino, u32 type);
	s64 pos;
};

/* Emits one entry and moves on; false when the caller has had enough. */
bool dir_emit(struct dir_context *ctx, const char *name, size_t len, s64 next, u64 ino, u32 type);
/* "." and "..", positions 0 and 1. */
bool dir_emit_dots(struct file *file, struct dir_context *ctx);
/* iterate operation of file systems whose directories are the dentry cache. */
int dir_iterate_pinned(struct file *file, struct dir_context *ctx);
s64 dir_llseek(struct file *file, s64 offset, int whence);
/* readdir for getdents: locks and calls iterate. */
int vfs_iterate(struct file *file, struct dir_context *ctx);
static inline u32 dtype_of_mode(u32 mode)
{
	return (mode & S_IFMT) >> 12;
}

/*
 * Operations on open files. None holds a lock of the vfs at entry except where said; all may sleep
 * unless IOCB_NOWAIT. NULL: not supported (the errno is in brackets).
 */
struct file_ops {
	/* Bytes, 0 at the end of file, or -errno. Advance iocb->pos and the iterator by what was done. [EINVAL] */
	ssize_t (*read_iter)(struct kiocb *iocb, struct iter *to);
	ssize_t (*write_iter)(struct kiocb *iocb, struct iter *from);
	/*
	 * New position or -errno. With pos_lock if that is needed. NULL: a stream, where lseek, pread
	 * and pwrite give ESPIPE.
	 */
	s64 (*llseek)(struct file *file, s64 offset, int whence);
	/* Directories: emit from ctx->pos on. inode.lock held shared. [ENOTDIR] */
	int (*iterate)(struct file *file, struct dir_context *ctx);
	/* Which POLL* are true now; poll_wait() for every queue that will tell of a change. NULL: always in and out. */
	u32 (*poll)(struct file *file, struct poll_table *pt);
	/* -ENOTTY (or -ENOIOCTLCMD) for what it does not know. [ENOTTY] */
	long (*ioctl)(struct file *file, u32 cmd, u64 arg);
	/* Fill req->object (a borrowed reference: vm_map takes its own) or leave NULL for anonymous memory. [ENODEV] */
	int (*mmap)(struct file *file, struct vm_map_request *req);
	int (*open)(struct inode *inode, struct file *file);
	/* Each close(2) of a descriptor. */
	int (*flush)(struct file *file);
	/* The last reference went. */
	void (*release)(struct inode *inode, struct file *file);
	int (*fsync)(struct file *file, bool datasync);	/* [EINVAL] */
	int (*fallocate)(struct file *file, u32 mode, u64 offset, u64 len); /* [EOPNOTSUPP] */
	/* F_SETFL: flags have the new O_* value. */
	int (*set_flags)(struct file *file, u32 flags);
	/* F_GETPIPE_SZ and F_SETPIPE_SZ, F_ADD_SEALS: fcntl(2) commands of this kind of file. [EINVAL or EBADF] */
	long (*fcntl)(struct file *file, u32 cmd, u64 arg);
	/* Lines for /proc/PID/fdinfo behind pos, flags, mnt_id, ino. */
	void (*show_fdinfo)(struct seq *s, struct file *file);
	/* Zero: depends on nothing. FMODE_* that files of this kind have. */
	u32 fmode;
};

/* F_SETOWN */
struct file_owner {
	int type;			/* F_OWNER_* */
	int pid;
	int signum;
	u32 uid, euid;
};

struct file {
	refcount_t ref;			/* [a] */
	u32 flags;			/* [l] O_* as F_GETFL shows */
	u32 mode;			/* [I] FMODE_* */
	const struct file_ops *ops;	/* [I] set by open */
	struct inode *inode;		/* [I] path.dentry's */
	s64 pos;			/* [p] */
	struct path path;		/* [I] with references */
	void *private;			/* [I] of whoever implements it */
	const struct cred *cred;	/* [I] who opened it, counted */
	struct vm_backing backing;	/* [I] for areas that map the file */
	struct mutex pos_lock;
	struct spinlock lock;
	struct file_owner owner;	/* [l] */
	u64 version;			/* [p] directory position validation and such */
	bool has_locks;			/* [a] ever took a flock or OFD lock */
};

static inline struct file *file_get(struct file *f)
{
	refcount_get(&f->ref);
	return f;
}

void file_release_last(struct file *f);

/* May sleep. */
static inline void file_put(struct file *f)
{
	might_sleep();
	if (refcount_put_and_test(&f->ref))
		file_release_last(f);
}

/* The file that an area maps. */
static inline struct file *file_of_backing(struct vm_backing *b)
{
	return container_of(b, struct file, backing);
}

/*
 * Opens. `flags` are O_*, mode the permissions for O_CREAT (umask not yet applied: the call does
 * that). Returns a file with one reference or ERR_PTR.
 */
struct file *vfs_open_at(int dfd, const struct pathname *pn, u32 flags, u32 mode, u32 lookup_flags);
struct file *kernel_file_open(const char *path, u32 flags, u32 mode);
/* exec: regular file, executable, mount not noexec; writing is denied until the last put. ERR_PTR(-EACCES) and the like. */
struct file *kernel_file_open_exec(int dfd, const struct pathname *pn, u32 at_flags);
/* Opens what a path stands for (references are taken): tty redirects, /proc/PID/fd. */
struct file *file_open_path(const struct path *path, u32 flags);
/* A file without a name: pipes, eventfd. Takes over the path's references on success. */
struct file *file_alloc_nameless(const struct path *path, u32 flags, const struct file_ops *ops,
				 void *private);
/* anon_inode: "anon_inode:[eventfd]" in /proc/PID/fd. One shared inode. */
struct file *file_alloc_anon(const char *name, const struct file_ops *ops, void *private, u32 flags);
u64 file_count(void);
u64 file_max(void);

/* Reads and writes; *pos moves (the file's own position is the caller's business). */
ssize_t vfs_read_iter(struct file *file, struct iter *to, s64 *pos, u32 rwf);
ssize_t vfs_write_iter(struct file *file, struct iter *from, s64 *pos, u32 rwf);
ssize_t kernel_read(struct file *file, void *buf, size_t n, s64 *pos);
ssize_t kernel_write(struct file *file, const void *buf, size_t n, s64 *pos);
int vfs_fsync(struct file *file, bool datasync);
int vfs_fallocate(struct file *file, u32 mode, s64 offset, s64 len);
s64 vfs_llseek(struct file *file, s64 offset, int whence);
long vfs_ioctl(struct file *file, u32 cmd, u64 arg);

/*
 * The position is used by one operation at a time when the file is shared. With one reference it is not, and cannot become so
 * while the caller is at it: that one reference is either the slot of a table that he is alone with, whose descriptors only
 * he himself can duplicate or hand to a child, or one that fd_get() has counted for him after which another thread
 * closed the last descriptor, so that nobody can find the file any more. A second reference from outside (/proc/PID/fd and
 * fdinfo look into tables of others) reads no position that matters and moves none: opening /proc/PID/fd/N makes a file of its own.
 * Whoever adds a way to take a file out of another process's table (pidfd_getfd(2), SCM_RIGHTS, an asynchronous read) must
 * make this unconditional for it.
 */
static inline bool file_pos_lock(struct file *f)
{
	if ((f->mode & FMODE_ATOMIC_POS) && refcount_read(&f->ref) > 1) {
		mutex_lock(&f->pos_lock);
		return true;
	}
	return false;
}

static inline void file_pos_unlock(struct file *f, bool locked)
{
	if (locked)
		mutex_unlock(&f->pos_lock);
}

/* Ready-made llseek operations. */
s64 file_llseek_generic(struct file *file, s64 offset, int whence); /* by inode size; SEEK_DATA/HOLE by object */
s64 file_llseek_none(struct file *file, s64 offset, int whence);	/* -ESPIPE */
s64 file_llseek_noop(struct file *file, s64 offset, int whence);	/* stays where it is */
s64 file_llseek_zero(struct file *file, s64 offset, int whence);	/* always 0: /dev/null, /dev/zero */
s64 file_llseek_size(struct file *file, s64 offset, int whence, u64 max, u64 end);
/* Page-cache files: read, write, mmap by inode->object. */
ssize_t file_read_object(struct kiocb *iocb, struct iter *to);
ssize_t file_write_object(struct kiocb *iocb, struct iter *from);
int file_mmap_object(struct file *file, struct vm_map_request *req);
int file_fsync_none(struct file *file, bool datasync);	/* nothing to write back: 0 */

/*
 * What a write may do at iocb->pos: applies O_APPEND, RLIMIT_FSIZE (SIGXFSZ, EFBIG), the largest file. Truncates the
 * iterator. inode.lock held for writing. Bytes allowed or -errno.
 */
ssize_t file_write_checks(struct kiocb *iocb, struct iter *from);

/* Sends SIGIO by F_SETOWN, O_ASYNC. */
extern void (*file_sigio_hook)(struct file *file, int band);
/* SIGXFSZ to the caller: set by the signal layer's glue. */
extern void (*file_fsize_signal_hook)(void);

void file_cache_init(void);

#endif
