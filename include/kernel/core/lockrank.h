/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_LOCKRANK_H
#define KERNEL_CORE_LOCKRANK_H

/*
 * The order of all locks of the kernel, outermost first.
 *
 * Rule: a CPU or thread that holds a lock may take only locks of a larger rank. Two locks of one rank
 * may be held together only where the code names the order among them (parent before child, lower
 * address first) and says so with spin_lock_nested() or lock_dep_acquire_nested(). The debug kernel checks every
 * acquisition and panics with both places (docs/locking.md).
 *
 * Sleeping locks come first: none may be taken under a spinlock. Every spinlock from
 * LOCK_RANK_IRQ_FIRST on is taken with interrupts off, because interrupt handlers take some of them,
 * and an interrupt extends the critical section that it interrupts.
 */
enum lock_rank {
	LOCK_RANK_NONE = 0,

	/* Sleeping locks. */
	LOCK_RANK_FILE_POS,		/* file position */
	LOCK_RANK_SEQ_FILE,		/* the text of an open /proc file */
	LOCK_RANK_DEVICE_TREE,		/* devices that come and go; drivers probe under it */
	LOCK_RANK_MOUNT_NS,		/* mount namespace mutex */
	LOCK_RANK_FS_SINGLE,		/* finding or making the one superblock of a file system such as proc */
	LOCK_RANK_SUPER_LIST,		/* list of superblocks, for reading while they are worked on */
	LOCK_RANK_RENAME,		/* one rename between directories at a time */
	LOCK_RANK_INODE_DIR,		/* entries of directories; parent before child, else lower address first */
	LOCK_RANK_INODE_RWSEM,		/* other inodes' contents and attributes; lower address first */
	LOCK_RANK_EXEC,			/* a process's exec and credentials */
	LOCK_RANK_TTY_CONFIG,		/* terminal mutexes: settings, then output. User memory is touched under them */
	LOCK_RANK_TTY_WRITE,
	LOCK_RANK_PIPE,			/* a pipe's buffer; user memory is touched under it. Two: lower address first */
	LOCK_RANK_SPACE,		/* address space rwsem */
	LOCK_RANK_CPUHP,		/* CPUs come and go: held while the steps of a subsystem run */
	LOCK_RANK_KTHREAD_LIST,
	LOCK_RANK_MODULE,		/* registries: drivers, file systems, character devices */
	LOCK_RANK_KMAP_MUTEX,
	LOCK_RANK_SLEEP_LEAF,		/* a sleeping lock under which no other one is taken */

	/* Spinlocks. */
	LOCK_RANK_SPIN_FIRST,
	LOCK_RANK_TASK = LOCK_RANK_SPIN_FIRST,	/* one task: its files, fs context, vfork parent */
	LOCK_RANK_FILES,		/* descriptor table */
	LOCK_RANK_FS_CONTEXTS,		/* the list of the next ones */
	LOCK_RANK_FS_CONTEXT,		/* root, cwd, umask */
	LOCK_RANK_RENAME_SPIN,		/* writers of rename_seq */
	LOCK_RANK_DENTRY,		/* never two */
	LOCK_RANK_DENTRY_HASH,		/* one chain */
	LOCK_RANK_DENTRY_LRU,
	LOCK_RANK_INODE,
	LOCK_RANK_INODE_HASH,
	LOCK_RANK_MOUNT,
	LOCK_RANK_SUPER,
	LOCK_RANK_OBJECT,		/* vm object */
	LOCK_RANK_PT_PAGE,		/* page-table page; two of them: see vm/fork */
	LOCK_RANK_FILE,			/* one open file's flags and owner */
	LOCK_RANK_REGISTRY,		/* short lists that drivers and file systems register in */
	LOCK_RANK_VM_LEAF,		/* vm counters and lists taken under the two above */

	/* From here on with interrupts off. */
	LOCK_RANK_IRQ_FIRST,
	LOCK_RANK_FUTEX = LOCK_RANK_IRQ_FIRST,	/* futex bucket; two: lower address first */
	LOCK_RANK_TASK_TREE,		/* parents, children, groups, sessions */
	LOCK_RANK_SIGHAND,		/* process.siglock: pending sets, thread list, job-control state */
	LOCK_RANK_SIGACTION,		/* signal actions, which processes may share */
	LOCK_RANK_PID,
	LOCK_RANK_CRED,			/* limits and credentials of a process */
	LOCK_RANK_USER,			/* user table */
	LOCK_RANK_TTY_BUFFER,		/* serial driver and its buffers */
	LOCK_RANK_IRQ_DESC,		/* interrupt lines */
	LOCK_RANK_CLOCK_SET,		/* who is told when the wall clock is set */
	LOCK_RANK_TIMERFD,		/* one timer descriptor */
	LOCK_RANK_COMPLETION,
	LOCK_RANK_WAITQ,
	LOCK_RANK_WORK,
	LOCK_RANK_RUNQUEUE,		/* two: lower CPU number first */
	LOCK_RANK_TIMER,		/* one CPU's timers; armed under the run queue's lock */
	LOCK_RANK_SLAB,			/* one cache */
	LOCK_RANK_SLAB_LIST,		/* list of caches */
	LOCK_RANK_RECLAIM,		/* list of shrinkers */
	LOCK_RANK_KMAP,			/* kernel address ranges, kernel page tables */
	LOCK_RANK_FRAME_GROW,		/* building a section of the frame table */
	LOCK_RANK_ZONE,			/* buddy lists */
	LOCK_RANK_RANDOM,
	LOCK_RANK_RCU,
	LOCK_RANK_RCU_CPU,		/* one CPU's callback list */
	LOCK_RANK_LEAF,			/* any short lock under which nothing but the log is taken */
	LOCK_RANK_LOG,
	LOCK_RANK_CONSOLE,
	LOCK_RANK_LAST,
};
_Static_assert(LOCK_RANK_LAST <= 255, "a rank is kept in a byte");

#endif
