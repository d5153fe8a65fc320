/* SPDX-License-Identifier: MIT */
/*
 * /sys/devices/system/node: near and far memory as numactl(8), lscpu(1) and numastat(8) read it (Linux's
 * Documentation/ABI/stable/sysfs-devices-node). Nodes are fixed at boot; CPUs of a node are listed while they are
 * online. Of meminfo only what is counted by node is shown.
 */
#define LOG_TAG "node"
#include <hal/cpu.h>
#include <kernel/core/cpumask_text.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/dev/node.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/printf.h>

#define NODE_DIR "devices/system/node/"
#define KIB_SHIFT (PAGE_SHIFT - 10)

/* ---- sets of nodes ---- */

enum { WITH_MEMORY, WITH_CPU, ALL };

static bool in_set(u32 node, uintptr_t set)
{
	u32 cpu;

	if (set == WITH_MEMORY)
		return mm_nodes_with_memory() & (1ull << node);
	if (set == ALL)
		return true;
	for_each_online_cpu(cpu)
		if (mm_node_of_cpu(cpu) == node)
			return true;
	return false;
}

/* As "0-1,3": the text that a set of CPUs would have. */
static int show_nodes(struct seq *s, void *arg)
{
	const char *comma = "";

	for (u32 node = 0; node < mm_node_count(); node++) {
		u32 last = node;

		if (!in_set(node, (uintptr_t)arg))
			continue;
		while (last + 1 < mm_node_count() && in_set(last + 1, (uintptr_t)arg))
			last++;
		seq_printf(s, last > node ? "%s%u-%u" : "%s%u", comma, node, last);
		comma = ",";
		node = last;
	}
	seq_putc(s, '\n');
	return 0;
}

static int show_nothing(struct seq *s, void *arg)
{
	(void)arg;
	seq_putc(s, '\n');
	return 0;
}

/* ---- one node: arg is its number ---- */

static int show_cpus(struct seq *s, u32 node, bool list)
{
	char *text = kmalloc(CPULIST_TEXT_BYTES, 0);
	struct cpumask m;
	u32 cpu;

	if (!text)
		return -ENOMEM;
	cpumask_clear(&m);
	for_each_online_cpu(cpu)
		if (mm_node_of_cpu(cpu) == node)
			cpumask_set(&m, cpu);
	if (list)
		cpumask_format_list(text, CPULIST_TEXT_BYTES, &m, hal_cpu_count());
	else
		cpumask_format(text, CPULIST_TEXT_BYTES, &m, hal_cpu_count());
	seq_printf(s, "%s\n", text);
	kfree(text);
	return 0;
}

static int show_cpulist(struct seq *s, void *arg)
{
	return show_cpus(s, (u32)(uintptr_t)arg, true);
}

static int show_cpumap(struct seq *s, void *arg)
{
	return show_cpus(s, (u32)(uintptr_t)arg, false);
}

static int show_distance(struct seq *s, void *arg)
{
	for (u32 to = 0; to < mm_node_count(); to++)
		seq_printf(s, "%s%u", to ? " " : "", mm_node_distance((u32)(uintptr_t)arg, to));
	seq_putc(s, '\n');
	return 0;
}

static int show_meminfo(struct seq *s, void *arg)
{
	u32 node = (u32)(uintptr_t)arg;
	struct mm_node_stats st;

	mm_node_stats(node, &st);
	seq_printf(s, "Node %u MemTotal:       %8llu kB\n", node, (unsigned long long)st.total << KIB_SHIFT);
	seq_printf(s, "Node %u MemFree:        %8llu kB\n", node, (unsigned long long)st.free << KIB_SHIFT);
	seq_printf(s, "Node %u MemUsed:        %8llu kB\n", node, (unsigned long long)(st.total - st.free) << KIB_SHIFT);
	return 0;
}

static int show_numastat(struct seq *s, void *arg)
{
	struct mm_numa_stats st;

	mm_numa_stats((u32)(uintptr_t)arg, &st);
	seq_printf(s, "numa_hit %llu\nnuma_miss %llu\nnuma_foreign %llu\ninterleave_hit %llu\nlocal_node %llu\nother_node %llu\n",
		   (unsigned long long)st.hit, (unsigned long long)st.miss, (unsigned long long)st.foreign,
		   (unsigned long long)st.interleaved, (unsigned long long)st.local, (unsigned long long)st.other);
	return 0;
}

static int register_node(u32 node)
{
	static const struct {
		const char *name;
		int (*show)(struct seq *s, void *arg);
	} files[] = {
		{ "cpulist", show_cpulist }, { "cpumap", show_cpumap }, { "distance", show_distance },
		{ "meminfo", show_meminfo }, { "numastat", show_numastat },
	};
	char name[64], target[64];
	int err = 0;
	u32 cpu;

	for (u32 i = 0; i < ARRAY_SIZE(files) && !err; i++) {
		snprintf(name, sizeof(name), NODE_DIR "node%u/%s", node, files[i].name);
		err = sys_register(name, 0444, files[i].show, NULL, (void *)(uintptr_t)node);
	}
	for_each_possible_cpu(cpu) {
		if (err || mm_node_of_cpu(cpu) != node)
			continue;
		snprintf(name, sizeof(name), NODE_DIR "node%u/cpu%u", node, cpu);
		snprintf(target, sizeof(target), "../../cpu/cpu%u", cpu);
		err = sys_register_link(name, target);
		if (err)
			break;
		snprintf(name, sizeof(name), "devices/system/cpu/cpu%u/node%u", cpu, node);
		snprintf(target, sizeof(target), "../../node/node%u", node);
		err = sys_register_link(name, target);
	}
	return err;
}

void node_init(void)
{
	static const struct {
		const char *name;
		uintptr_t set;
	} sets[] = {
		{ NODE_DIR "online", ALL }, { NODE_DIR "possible", ALL }, { NODE_DIR "has_cpu", WITH_CPU },
		{ NODE_DIR "has_memory", WITH_MEMORY }, { NODE_DIR "has_normal_memory", WITH_MEMORY },
	};
	int err = sys_register(NODE_DIR "has_generic_initiator", 0444, show_nothing, NULL, NULL);

	for (u32 i = 0; i < ARRAY_SIZE(sets) && !err; i++)
		err = sys_register(sets[i].name, 0444, show_nodes, NULL, (void *)sets[i].set);
	for (u32 node = 0; node < mm_node_count() && !err; node++)
		err = register_node(node);
	if (err)
		log_warn("/sys/" NODE_DIR " is not complete: %d", err);
}
