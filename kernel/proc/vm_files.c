/* SPDX-License-Identifier: MIT */
/*
 * What /proc shows of memory: /proc/PID/{maps,statm,mem,auxv,cmdline,environ}, /proc/meminfo and the
 * knobs of /proc/sys/vm. Formats are Linux's to the blank (proc(5)); programs parse them with scanf.
 */
#include <abi/linux/fcntl.h>
#include <kernel/core/assert.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/access.h>
#include <kernel/proc/vm_files.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/object.h>
#include <kernel/vm/space.h>
#include <kernel/vm/vdso.h>
#include <lib/errno.h>
#include <lib/string.h>

#define MAPS_NAME_COLUMN	73	/* where a line's name begins: seq_setwidth() of Linux */
#define ZERO_DEV		1	/* 00:01: anonymous shared memory */
#define MEM_CHUNK		4096	/* bytes of /proc/PID/mem done at a time */
#define TEXT_MAX		(256 * KIB)	/* of cmdline and environ that is shown */

/* The space of a task, referenced, or NULL. For what everybody may know. */
static struct vm_space *task_space(struct task *t)
{
	return process_space_get(t->process);
}

/* ---- maps ---- */

static const char *maps_special_name(const struct vm_space *s, const struct vm_area *a)
{
	if (a->object && a->object->flags & OBJECT_ANON)
		return "/dev/zero (deleted)";
	if (a->object)
		return vdso_area_name(a);
	if (a->start <= s->brk && a->end >= s->start_brk)
		return "[heap]";
	if (a->start <= s->start_stack && a->end >= s->start_stack)
		return "[stack]";
	return NULL;
}

static void maps_pad(struct seq *s, size_t from)
{
	do {
		seq_putc(s, ' ');
	} while (!seq_overflowed(s) && s->count - from < MAPS_NAME_COLUMN);
}

static void maps_line(struct seq *s, struct vm_space *space, struct vm_area *a)
{
	struct vm_backing_info info = { 0, 0 };
	const char *name = a->file ? NULL : maps_special_name(space, a);
	size_t from = s->count;

	if (a->file)
		a->file->ops->describe(a->file, &info);
	else if (a->object && a->object->flags & OBJECT_ANON)
		info = (struct vm_backing_info){ ZERO_DEV, vm_object_anon_id(a->object) };
	seq_printf(s, "%08llx-%08llx %c%c%c%c %08llx %02llx:%02llx %llu ",
		   (unsigned long long)a->start, (unsigned long long)a->end,
		   a->flags & AREA_READ ? 'r' : '-', a->flags & AREA_WRITE ? 'w' : '-',
		   a->flags & AREA_EXEC ? 'x' : '-', a->flags & AREA_MAP_SHARED ? 's' : 'p',
		   (unsigned long long)(a->object || a->file ? a->pgoff << 12 : 0),
		   (unsigned long long)info.dev >> 20, (unsigned long long)info.dev & 0xfffff,
		   (unsigned long long)info.ino);
	if (a->file || name)
		maps_pad(s, from);
	if (a->file)
		seq_path(s, &file_of_backing(a->file)->path, NULL, "\n");
	else if (name)
		seq_puts(s, name);
	seq_putc(s, '\n');
}

static int maps_show(struct seq *s, struct task *task)
{
	int err;
	struct vm_space *space = proc_space_to_show(task, &err);
	struct vm_area *a;

	if (!space)
		return err;
	rwsem_read_lock(&space->lock);
	for (a = vm_area_find_locked(space, 0); a && !seq_overflowed(s); a = vm_area_next_locked(a))
		maps_line(s, space, a);
	rwsem_read_unlock(&space->lock);
	vm_space_put(space);
	return 0;
}

static int statm_show(struct seq *s, struct task *task)
{
	struct vm_space *space = task_space(task);
	u64 shared, text;

	if (!space) {
		seq_puts(s, "0 0 0 0 0 0 0\n");
		return 0;
	}
	shared = (u64)(atomic64_load_relaxed(&space->rss_file) +
		       atomic64_load_relaxed(&space->rss_shmem));
	text = (ALIGN_UP(space->end_code, VM_PAGE_SIZE) - ALIGN_DOWN(space->start_code, VM_PAGE_SIZE)) /
	       VM_PAGE_SIZE;
	seq_printf(s, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)space->total_pages,
		   (unsigned long long)vm_space_rss(space), (unsigned long long)shared,
		   (unsigned long long)text,
		   (unsigned long long)(space->data_pages + space->stack_pages));
	vm_space_put(space);
	return 0;
}

/* Pairs up to AT_NULL, in binary. */
static int auxv_show(struct seq *s, struct task *task)
{
	int err;
	struct vm_space *space = proc_space_to_show(task, &err);
	unsigned int n = 0;

	if (!space)
		return err;
	while (n + 2 < VM_AUXV_WORDS && space->auxv[n])
		n += 2;
	seq_write(s, space->auxv, (n + 2) * sizeof(u64));
	vm_space_put(space);
	return 0;
}

/* ---- strings of the program ---- */

static void space_bytes_show(struct seq *s, struct vm_space *space, vaddr_t start, vaddr_t end)
{
	u8 chunk[256];

	end = MIN(end, start + TEXT_MAX);
	while (start < end && !seq_overflowed(s)) {
		size_t want = MIN(sizeof(chunk), end - start);
		size_t n = vm_access_remote(space, start, chunk, want, false, true);

		seq_write(s, chunk, n);
		if (n < want)
			return;
		start += n;
	}
}

/*
 * A program that has overwritten the NUL at the end of its arguments (setproctitle(3)) has
 * written on into the environment: then one string is shown, as Linux does.
 */
static void cmdline_title_show(struct seq *s, struct vm_space *space)
{
	vaddr_t at;
	char c;

	for (at = space->arg_start; at < space->env_end && at - space->arg_start < TEXT_MAX; at++) {
		if (vm_access_remote(space, at, &c, 1, false, true) != 1 || !c)
			break;
		seq_putc(s, c);
	}
	seq_putc(s, '\0');
}

static int cmdline_show(struct seq *s, struct task *task)
{
	struct vm_space *space = task_space(task);
	char last = 0;

	if (!space)
		return 0;
	if (space->arg_end > space->arg_start &&
	    vm_access_remote(space, space->arg_end - 1, &last, 1, false, true) == 1 && last)
		cmdline_title_show(s, space);
	else
		space_bytes_show(s, space, space->arg_start, space->arg_end);
	vm_space_put(space);
	return 0;
}

static int environ_show(struct seq *s, struct task *task)
{
	int err;
	struct vm_space *space = proc_space_to_show(task, &err);

	if (!space)
		return err;
	space_bytes_show(s, space, space->env_start, space->env_end);
	vm_space_put(space);
	return 0;
}

/* ---- mem: the debugger's window ---- */

/*
 * The window is onto the memory that was there when it was opened: who may write into a process shall not
 * write into the set-user-ID program that it executes next.
 */
struct mem_window {
	struct task *task;	/* [I] counted by the inode */
	u32 seq;		/* [I] of the space; odd: there was none */
};

/* file->private is the task, from procfs. */
static int mem_open(struct inode *inode, struct file *file)
{
	struct mem_window *w = kmalloc(sizeof(*w), MM_KERNEL);
	struct vm_space *space;
	int err;

	(void)inode;
	if (!w)
		return -ENOMEM;
	w->task = file->private;
	err = proc_space_access(w->task, &space, &w->seq);
	if (err && err != -ESRCH) {
		kfree(w);
		return err == -EPERM ? -EACCES : err;
	}
	if (err)
		w->seq = 1;
	else
		vm_space_put(space);
	file->private = w;
	return 0;
}

static void mem_release(struct inode *inode, struct file *file)
{
	(void)inode;
	kfree(file->private);
}

static ssize_t mem_rw(struct kiocb *iocb, struct iter *it, bool write)
{
	const struct mem_window *w = iocb->file->private;
	struct vm_space *space = proc_space_again(w->task, w->seq);
	u8 *buf = kmalloc(MEM_CHUNK, MM_KERNEL);
	ssize_t total = 0;

	if (!space || !buf) {
		if (space)
			vm_space_put(space);
		kfree(buf);
		return space ? -ENOMEM : 0;
	}
	while (iter_count(it)) {
		size_t n = MIN(iter_count(it), (size_t)MEM_CHUNK), got = 0;

		if (write) {
			got = iter_copy_from(it, buf, n);
			n = vm_access_remote(space, (vaddr_t)iocb->pos, buf, got, true, true);
			iter_revert(it, got - n);
			got = n;
		} else {
			n = vm_access_remote(space, (vaddr_t)iocb->pos, buf, n, false, true);
			got = iter_copy_to(it, buf, n);
		}
		if (!got) {
			if (!total)
				total = n ? -EFAULT : -EIO;
			break;
		}
		total += (ssize_t)got;
		iocb->pos += (s64)got;
	}
	vm_space_put(space);
	kfree(buf);
	return total;
}

static ssize_t mem_read(struct kiocb *iocb, struct iter *to)
{
	return mem_rw(iocb, to, false);
}

static ssize_t mem_write(struct kiocb *iocb, struct iter *from)
{
	return mem_rw(iocb, from, true);
}

/* Addresses are positions: also those with the top bit set. No SEEK_END. */
static s64 mem_llseek(struct file *file, s64 offset, int whence)
{
	if (whence != SEEK_SET && whence != SEEK_CUR)
		return -EINVAL;
	file->pos = whence == SEEK_SET ? offset : file->pos + offset;
	return file->pos;
}

static const struct file_ops mem_ops = {
	.open = mem_open,
	.release = mem_release,
	.read_iter = mem_read,
	.write_iter = mem_write,
	.llseek = mem_llseek,
	.fmode = FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE,
};

/* ---- meminfo ---- */

static void meminfo_line(struct seq *s, const char *name, u64 pages)
{
	seq_printf(s, "%-16s%8llu kB\n", name, (unsigned long long)(pages * (VM_PAGE_SIZE / KIB)));
}

/* File pages that are mapped, over all processes (a page mapped twice counts twice). */
static u64 mapped_pages(void)
{
	u64 pages = 0;
	struct process *p;
	int nr = 1;

	while ((p = process_next_get(nr))) {
		struct vm_space *s = process_space_get(p);

		nr = p->pid->nr + 1;
		if (s) {
			pages += (u64)(atomic64_load_relaxed(&s->rss_file) +
				       atomic64_load_relaxed(&s->rss_shmem));
			vm_space_put(s);
		}
		process_put(p);
	}
	return pages;
}

static int meminfo_show(struct seq *s, void *arg)
{
	u64 cached = vm_object_total_pages(), shmem = vm_object_shmem_pages(), anon, file;
	struct mm_stats st;

	(void)arg;
	mm_stats(&st);
	anon = st.user > cached ? st.user - cached : 0;
	file = cached - MIN(cached, shmem);
	meminfo_line(s, "MemTotal:", st.total);
	meminfo_line(s, "MemFree:", st.free);
	meminfo_line(s, "MemAvailable:", st.free + file + st.slab_reclaimable / 2);
	meminfo_line(s, "Buffers:", 0);
	meminfo_line(s, "Cached:", cached);
	meminfo_line(s, "SwapCached:", 0);
	meminfo_line(s, "Active:", file);
	meminfo_line(s, "Inactive:", anon + shmem);
	meminfo_line(s, "Active(anon):", 0);
	meminfo_line(s, "Inactive(anon):", anon + shmem);
	meminfo_line(s, "Active(file):", file);
	meminfo_line(s, "Inactive(file):", 0);
	meminfo_line(s, "Unevictable:", 0);
	meminfo_line(s, "Mlocked:", 0);
	meminfo_line(s, "SwapTotal:", 0);
	meminfo_line(s, "SwapFree:", 0);
	meminfo_line(s, "Dirty:", 0);
	meminfo_line(s, "Writeback:", 0);
	meminfo_line(s, "AnonPages:", anon);
	meminfo_line(s, "Mapped:", mapped_pages());
	meminfo_line(s, "Shmem:", shmem);
	meminfo_line(s, "KReclaimable:", st.slab_reclaimable);
	meminfo_line(s, "Slab:", st.slab);
	meminfo_line(s, "SReclaimable:", st.slab_reclaimable);
	meminfo_line(s, "SUnreclaim:", st.slab - MIN(st.slab, st.slab_reclaimable));
	meminfo_line(s, "KernelStack:", st.stacks);
	meminfo_line(s, "PageTables:", st.tables);
	meminfo_line(s, "SecPageTables:", 0);
	meminfo_line(s, "NFS_Unstable:", 0);
	meminfo_line(s, "Bounce:", 0);
	meminfo_line(s, "WritebackTmp:", 0);
	meminfo_line(s, "CommitLimit:", vm_commit_limit_pages());
	meminfo_line(s, "Committed_AS:", vm_committed_pages());
	meminfo_line(s, "VmallocTotal:", 0x1fffffff800 / 4);
	meminfo_line(s, "VmallocUsed:", st.vmalloc + st.stacks);
	meminfo_line(s, "VmallocChunk:", 0);
	meminfo_line(s, "Percpu:", 0);
	meminfo_line(s, "HardwareCorrupted: ", 0);
	meminfo_line(s, "AnonHugePages:", 0);
	meminfo_line(s, "ShmemHugePages:", 0);
	meminfo_line(s, "ShmemPmdMapped:", 0);
	meminfo_line(s, "FileHugePages:", 0);
	meminfo_line(s, "FilePmdMapped:", 0);
	seq_puts(s, "HugePages_Total:       0\nHugePages_Free:        0\n"
		    "HugePages_Rsvd:        0\nHugePages_Surp:        0\n");
	meminfo_line(s, "Hugepagesize:", 512);
	meminfo_line(s, "Hugetlb:", 0);
	return 0;
}

/* ---- slabinfo, buddyinfo ---- */

static int slabinfo_show(struct seq *s, void *arg)
{
	struct kmem_cache_stats st;
	u32 i;

	(void)arg;
	seq_puts(s, "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> "
		    "<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> "
		    "<num_slabs> <sharedavail>\n");
	for (i = 0; kmem_cache_stats_nth(i, &st); i++) {
		u64 slabs = st.slab_pages ? st.pages / st.slab_pages : 0;

		seq_printf(s, "%-17s %6llu %6llu %6u %4llu %4u : tunables    0    0    0 : slabdata %6llu %6llu      0\n",
			   st.name, (unsigned long long)(st.objects - MIN(st.objects, st.in_magazines)),
			   (unsigned long long)st.total, st.object_size,
			   (unsigned long long)(slabs ? st.total / slabs : 0), st.slab_pages,
			   (unsigned long long)slabs, (unsigned long long)slabs);
	}
	return 0;
}

static int buddyinfo_show(struct seq *s, void *arg)
{
	static const char *const zones[] = { "DMA32", "Normal" };
	u64 counts[PAGE_MAX_ORDER + 1];
	u32 order;

	(void)arg;
	for (u32 i = 0; i < mm_node_count() * ARRAY_SIZE(zones); i++) {
		u32 node = i / ARRAY_SIZE(zones), zone = i % ARRAY_SIZE(zones);

		mm_buddy_counts(node, zone, counts);
		seq_printf(s, "Node %u, zone %8s ", node, zones[zone]);
		for (order = 0; order <= PAGE_MAX_ORDER; order++)
			seq_printf(s, "%6llu ", (unsigned long long)counts[order]);
		seq_putc(s, '\n');
	}
	return 0;
}

/* ---- knobs ---- */

struct knob {
	const char *name;
	u64 *wide;			/* one of the two */
	u32 *narrow;
	u64 min, max;
};

static struct knob knobs[] = {
	{ "sys/vm/overcommit_memory", NULL, &vm_overcommit_memory, 0, 2 },
	{ "sys/vm/overcommit_ratio", NULL, &vm_overcommit_ratio, 0, INT32_MAX },
	{ "sys/vm/max_map_count", NULL, &vm_max_map_count, 0, INT32_MAX },
	{ "sys/vm/mmap_min_addr", &vm_mmap_min_addr, NULL, 0, INT64_MAX },
	{ "sys/kernel/randomize_va_space", NULL, &vm_randomize_va_space, 0, INT32_MAX },
};

static int knob_show(struct seq *s, void *arg)
{
	const struct knob *k = arg;

	seq_printf(s, "%llu\n", (unsigned long long)(k->wide ? READ_ONCE(*k->wide) : READ_ONCE(*k->narrow)));
	return 0;
}

static bool knob_parse(const char *text, u64 *out)
{
	u64 v = 0;
	bool digits = false;

	while (*text == ' ' || *text == '\t')
		text++;
	for (; *text >= '0' && *text <= '9'; text++, digits = true) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (u64)(*text - '0');
	}
	while (*text == '\n' || *text == ' ')
		text++;
	*out = v;
	return digits && !*text;
}

static int knob_store(void *arg, const char *text, size_t len)
{
	const struct knob *k = arg;
	u64 v;

	(void)len;
	if (!knob_parse(text, &v) || v < k->min || v > k->max)
		return -EINVAL;
	if (k->wide)
		WRITE_ONCE(*k->wide, v);
	else
		WRITE_ONCE(*k->narrow, (u32)v);
	return 0;
}

void proc_vm_files_init(void)
{
	u32 tgid = PROC_PID_READ | PROC_PID_TGID_ONLY;
	unsigned int i;
	int err = 0;

	err |= proc_pid_register("maps", 0444, PROC_PID_READ, maps_show);
	err |= proc_pid_register("statm", 0444, PROC_PID_ANY, statm_show);
	err |= proc_pid_register("auxv", 0400, tgid, auxv_show);
	err |= proc_pid_register("cmdline", 0444, PROC_PID_ANY, cmdline_show);
	err |= proc_pid_register("environ", 0400, PROC_PID_READ, environ_show);
	err |= proc_pid_register_file("mem", 0600, PROC_PID_READ, &mem_ops);
	err |= proc_register("meminfo", 0444, meminfo_show, NULL);
	err |= proc_register("slabinfo", 0400, slabinfo_show, NULL);
	err |= proc_register("buddyinfo", 0444, buddyinfo_show, NULL);
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		err |= proc_register_rw(knobs[i].name, 0644, knob_show, knob_store, &knobs[i]);
	VERIFY(!err);
}
