/* SPDX-License-Identifier: MIT */
/*
 * What /proc shows of nodes and of memory's counters: /proc/PID/numa_maps (numa(7)), which numastat -p and migratepages' users read,
 * and /proc/vmstat, of which those of Linux's lines are there that are counted here. How many spaces map a page (mapmax) is
 * not known: pages do not count their mappings.
 */
#include <abi/linux/mempolicy.h>
#include <kernel/core/assert.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/access.h>
#include <kernel/proc/vm_files.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/object.h>
#include <kernel/vm/policy.h>
#include <kernel/vm/space.h>
#include <lib/errno.h>

#define KIB_OF_PAGE (VM_PAGE_SIZE / KIB)

/* ---- numa_maps ---- */

static void show_nodes(struct seq *s, u64 nodes)
{
	char before = ':';

	for (u32 first = 0; first < HAL_MAX_NODES; first++) {
		u32 last = first;

		if (!(nodes >> first & 1))
			continue;
		while (last + 1 < HAL_MAX_NODES && (nodes >> (last + 1) & 1))
			last++;
		seq_printf(s, last > first ? "%c%u-%u" : "%c%u", before, first, last);
		before = ',';
		first = last;
	}
}

static void show_policy(struct seq *s, const struct mempolicy *p)
{
	static const char *const names[MPOL_MAX] = {
		[MPOL_DEFAULT] = "default", [MPOL_PREFERRED] = "prefer", [MPOL_BIND] = "bind",
		[MPOL_INTERLEAVE] = "interleave", [MPOL_LOCAL] = "local", [MPOL_PREFERRED_MANY] = "prefer (many)",
	};

	seq_puts(s, names[p ? p->mode : MPOL_DEFAULT]);
	if (!p)
		return;
	if (p->flags & MPOL_F_STATIC_NODES)
		seq_puts(s, "=static");
	else if (p->flags & MPOL_F_RELATIVE_NODES)
		seq_puts(s, "=relative");
	if (p->mode != MPOL_LOCAL)
		show_nodes(s, p->nodes);
}

static void show_pages(struct seq *s, const struct vm_area_pages *n)
{
	if (!n->mapped)
		return;
	if (n->anon)
		seq_printf(s, " anon=%llu", (unsigned long long)n->anon);
	if (n->dirty)
		seq_printf(s, " dirty=%llu", (unsigned long long)n->dirty);
	if (n->mapped != n->anon && n->mapped != n->dirty)
		seq_printf(s, " mapped=%llu", (unsigned long long)n->mapped);
	for (u32 node = 0; node < mm_node_count(); node++)
		if (n->on_node[node])
			seq_printf(s, " N%u=%llu", node, (unsigned long long)n->on_node[node]);
	seq_printf(s, " kernelpagesize_kB=%llu", (unsigned long long)KIB_OF_PAGE);
}

/* `p`: of the thread, for areas without a policy of their own. */
static void numa_line(struct seq *s, const struct vm_space *space, struct vm_area *a, const struct mempolicy *p)
{
	struct vm_area_pages n;

	seq_printf(s, "%08llx ", (unsigned long long)a->start);
	show_policy(s, a->policy ? a->policy : p);
	if (a->file) {
		seq_puts(s, " file=");
		seq_path(s, &file_of_backing(a->file)->path, NULL, "\n\t= ");
	} else if (a->start <= space->brk && a->end >= space->start_brk) {
		seq_puts(s, " heap");
	} else if (a->start <= space->start_stack && a->end >= space->start_stack) {
		seq_puts(s, " stack");
	}
	vm_area_pages_locked(a, &n);
	show_pages(s, &n);
	seq_putc(s, '\n');
}

/* Another thread may give up its policy at any moment, and does not wait for readers: only one's own is shown. */
static int numa_maps_show(struct seq *s, struct task *task)
{
	const struct mempolicy *p = task == task_current_or_null() ? task->mempolicy : NULL;
	int err;
	struct vm_space *space = proc_space_to_show(task, &err);
	struct vm_area *a;

	if (!space)
		return err;
	rwsem_read_lock(&space->lock);
	for (a = vm_area_find_locked(space, 0); a && !seq_overflowed(s); a = vm_area_next_locked(a))
		numa_line(s, space, a, p);
	rwsem_read_unlock(&space->lock);
	vm_space_put(space);
	return 0;
}

/* ---- vmstat ---- */

static void line(struct seq *s, const char *name, u64 n)
{
	seq_printf(s, "%s %llu\n", name, (unsigned long long)n);
}

static void show_numa_sums(struct seq *s)
{
	struct mm_numa_stats sum = { 0 }, st;

	for (u32 node = 0; node < mm_node_count(); node++) {
		mm_numa_stats(node, &st);
		sum.hit += st.hit;
		sum.miss += st.miss;
		sum.foreign += st.foreign;
		sum.interleaved += st.interleaved;
		sum.local += st.local;
		sum.other += st.other;
	}
	line(s, "numa_hit", sum.hit);
	line(s, "numa_miss", sum.miss);
	line(s, "numa_foreign", sum.foreign);
	line(s, "numa_interleave", sum.interleaved);
	line(s, "numa_local", sum.local);
	line(s, "numa_other", sum.other);
}

/* The zeros are what cannot happen without disks: there is nothing to swap to, to read from or to write back to. */
static int vmstat_show(struct seq *s, void *arg)
{
	static const char *const never[] = {
		"nr_dirty", "nr_writeback", "nr_mlock", "nr_bounce", "pgpgin", "pgpgout", "pswpin", "pswpout",
	};
	u64 cached = vm_object_total_pages(), shmem = vm_object_shmem_pages();
	struct mm_stats st;

	(void)arg;
	mm_stats(&st);
	line(s, "nr_free_pages", st.free);
	show_numa_sums(s);
	line(s, "nr_slab_reclaimable", st.slab_reclaimable);
	line(s, "nr_slab_unreclaimable", st.slab - MIN(st.slab, st.slab_reclaimable));
	line(s, "nr_anon_pages", st.user > cached ? st.user - cached : 0);
	line(s, "nr_file_pages", cached);
	line(s, "nr_shmem", shmem);
	line(s, "nr_kernel_stack", st.stacks * KIB_OF_PAGE);
	line(s, "nr_page_table_pages", st.tables);
	for (u32 i = 0; i < ARRAY_SIZE(never); i++)
		line(s, never[i], 0);
	return 0;
}

void proc_numa_files_init(void)
{
	int err = proc_pid_register("numa_maps", 0444, PROC_PID_READ, numa_maps_show);

	if (!err)
		err = proc_register("vmstat", 0444, vmstat_show, NULL);
	VERIFY(!err);
}
