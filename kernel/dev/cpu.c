/* SPDX-License-Identifier: MIT */
/*
 * /sys/devices/system/cpu: which CPUs there are, which run, where each sits and what it shares (Linux's
 * Documentation/ABI/testing/sysfs-devices-system-cpu). Writing "0" or "1" to cpuN/online takes a CPU away or brings it back;
 * the boot CPU has no such file.
 *
 * What says where a CPU sits (topology, cache) is there while the CPU is online, as on Linux, and comes and goes as a step of
 * cpuhp. Reading such a file takes no lock: whoever takes it away waits for its readers with cpuhp's lock held.
 *
 * A file's argument is a number: which attribute, and of which CPU (and cache).
 */
#define LOG_TAG "cpu"
#include <hal/cpu.h>
#include <hal/topology.h>
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/cpumask_text.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/dev/cpu.h>
#include <kernel/mm/slab.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/printf.h>

#define CPU_DIR "devices/system/cpu/"

static void *attr_arg(u32 attr, u32 cpu, u32 index)
{
	return (void *)((uintptr_t)attr << 32 | index << 16 | cpu);
}

static u32 arg_cpu(void *arg)
{
	return (u32)(uintptr_t)arg & 0xffff;
}

static u32 arg_index(void *arg)
{
	return ((u32)(uintptr_t)arg >> 16) & 0xffff;
}

static u32 arg_attr(void *arg)
{
	return (u32)((uintptr_t)arg >> 32);
}

/* Thread context; without memory the text is missing, and the reader sees the error. */
static int show_list(struct seq *s, const struct cpumask *m)
{
	char *text = kmalloc(CPULIST_TEXT_BYTES, 0);

	if (!text)
		return -ENOMEM;
	cpumask_format_list(text, CPULIST_TEXT_BYTES, m, MAX(cpuhp_possible(), hal_cpu_count()));
	seq_printf(s, "%s\n", text);
	kfree(text);
	return 0;
}

static int show_mask(struct seq *s, const struct cpumask *m)
{
	char text[CPUMASK_TEXT_BYTES];

	cpumask_format(text, sizeof(text), m, hal_cpu_count());
	seq_printf(s, "%s\n", text);
	return 0;
}

/* ---- the machine's ----------------------------------------------------------------------------- */

enum { SET_POSSIBLE, SET_PRESENT, SET_ONLINE, SET_OFFLINE, SET_NONE };

/* An empty place of the machine counts as possible, and as offline. */
static bool in_set(u32 cpu, u32 set)
{
	switch (set) {
	case SET_POSSIBLE:
		return true;
	case SET_PRESENT:
		return cpu < hal_cpu_count();
	case SET_ONLINE:
		return hal_cpu_online(cpu);
	case SET_OFFLINE:
		return !hal_cpu_online(cpu);
	default:
		return false;
	}
}

static int show_set(struct seq *s, void *arg)
{
	struct cpumask m;

	cpumask_clear(&m);
	for (u32 cpu = 0; cpu < MAX(cpuhp_possible(), hal_cpu_count()); cpu++)
		if (in_set(cpu, arg_attr(arg)))
			cpumask_set(&m, cpu);
	return show_list(s, &m);
}

static int show_kernel_max(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%u\n", MAX_CPUS - 1);
	return 0;
}

static bool same_core(const struct hal_topology *a, const struct hal_topology *b)
{
	return a->package == b->package && a->die == b->die && a->core == b->core;
}

static bool has_sibling(u32 cpu)
{
	struct hal_topology mine, other;
	u32 i;

	hal_cpu_topology(cpu, &mine);
	for_each_online_cpu(i) {
		hal_cpu_topology(i, &other);
		if (i != cpu && same_core(&mine, &other))
			return true;
	}
	return false;
}

static bool smt_active(void)
{
	u32 cpu;

	for_each_online_cpu(cpu)
		if (has_sibling(cpu))
			return true;
	return false;
}

static int show_smt_active(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%u\n", (u32)smt_active());
	return 0;
}

/* Whether threads of a core may all run is decided by mitigations=; switching it here is not offered, and 0444 says so. */
static int show_smt_control(struct seq *s, void *arg)
{
	(void)arg;
	seq_puts(s, smt_active() ? "on\n" : "notsupported\n");
	return 0;
}

/* ---- online ------------------------------------------------------------------------------------ */

static int show_online(struct seq *s, void *arg)
{
	seq_printf(s, "%u\n", (u32)hal_cpu_online(arg_cpu(arg)));
	return 0;
}

/* The answers that Linux's kstrtobool() knows. */
static int parse_bool(const char *text, bool *out)
{
	switch (text[0]) {
	case 'y': case 'Y': case '1':
		*out = true;
		return 0;
	case 'n': case 'N': case '0':
		*out = false;
		return 0;
	case 'o': case 'O':
		if (text[1] == 'n' || text[1] == 'N') {
			*out = true;
			return 0;
		}
		if (text[1] == 'f' || text[1] == 'F') {
			*out = false;
			return 0;
		}
		return -EINVAL;
	default:
		return -EINVAL;
	}
}

static int store_online(void *arg, const char *text, size_t len)
{
	bool on;
	int err = parse_bool(text, &on);

	(void)len;
	if (err)
		return err;
	return on ? cpuhp_up(arg_cpu(arg)) : cpuhp_down(arg_cpu(arg));
}

/* ---- topology ---------------------------------------------------------------------------------- */

enum { T_PACKAGE_ID, T_DIE_ID, T_CLUSTER_ID, T_CORE_ID };
enum { SHARE_CORE, SHARE_CLUSTER, SHARE_DIE, SHARE_PACKAGE };

/* What Linux shows for the cluster where CPUID says nothing about second-level caches. */
#define NO_CLUSTER 65535u

static u32 cluster_of(u32 cpu)
{
	struct hal_cache c;

	for (u32 i = 0; hal_cpu_cache(cpu, i, &c); i++)
		if (c.level == 2)
			return c.id;
	return NO_CLUSTER;
}

static int show_id(struct seq *s, void *arg)
{
	struct hal_topology t;
	u32 v = 0;

	hal_cpu_topology(arg_cpu(arg), &t);
	switch (arg_attr(arg)) {
	case T_PACKAGE_ID:
		v = t.package;
		break;
	case T_DIE_ID:
		v = t.die;
		break;
	case T_CLUSTER_ID:
		v = cluster_of(arg_cpu(arg));
		break;
	case T_CORE_ID:
		v = t.core;
		break;
	default:
		return -EINVAL;
	}
	seq_printf(s, "%u\n", v);
	return 0;
}

static bool shares(u32 a, u32 b, u32 level)
{
	struct hal_topology x, y;

	if (a == b)
		return true;
	hal_cpu_topology(a, &x);
	hal_cpu_topology(b, &y);
	switch (level) {
	case SHARE_CORE:
		return same_core(&x, &y);
	case SHARE_CLUSTER:
		return cluster_of(a) != NO_CLUSTER ? cluster_of(a) == cluster_of(b) : same_core(&x, &y);
	case SHARE_DIE:
		return x.package == y.package && x.die == y.die;
	default:
		return x.package == y.package;
	}
}

static void sharers(u32 cpu, u32 level, struct cpumask *out)
{
	u32 other;

	cpumask_clear(out);
	for_each_online_cpu(other)
		if (shares(cpu, other, level))
			cpumask_set(out, other);
}

static int show_sharers(struct seq *s, void *arg)
{
	struct cpumask m;

	sharers(arg_cpu(arg), arg_attr(arg), &m);
	return show_mask(s, &m);
}

static int show_sharers_list(struct seq *s, void *arg)
{
	struct cpumask m;

	sharers(arg_cpu(arg), arg_attr(arg), &m);
	return show_list(s, &m);
}

/* ---- caches ------------------------------------------------------------------------------------ */

enum { C_LEVEL, C_ID, C_LINE, C_SETS, C_WAYS, C_PARTITION };

static int show_cache_number(struct seq *s, void *arg)
{
	struct hal_cache c;
	u32 v = 0;

	if (!hal_cpu_cache(arg_cpu(arg), arg_index(arg), &c))
		return -ENODEV;
	switch (arg_attr(arg)) {
	case C_LEVEL:
		v = c.level;
		break;
	case C_ID:
		v = c.id;
		break;
	case C_LINE:
		v = c.line_bytes;
		break;
	case C_SETS:
		v = c.sets;
		break;
	case C_WAYS:
		v = c.ways;
		break;
	default:
		v = c.partitions;
		break;
	}
	seq_printf(s, "%u\n", v);
	return 0;
}

static int show_cache_size(struct seq *s, void *arg)
{
	struct hal_cache c;

	if (!hal_cpu_cache(arg_cpu(arg), arg_index(arg), &c))
		return -ENODEV;
	seq_printf(s, "%lluK\n", (unsigned long long)(c.bytes / KIB));
	return 0;
}

static int show_cache_type(struct seq *s, void *arg)
{
	struct hal_cache c;

	if (!hal_cpu_cache(arg_cpu(arg), arg_index(arg), &c))
		return -ENODEV;
	seq_puts(s, c.type == 'D' ? "Data\n" : c.type == 'I' ? "Instruction\n" : "Unified\n");
	return 0;
}

/* Equal in all that names a cache, and in its id. */
static int cache_sharers(void *arg, struct cpumask *out)
{
	struct hal_cache mine, other;
	u32 cpu, index = arg_index(arg);

	if (!hal_cpu_cache(arg_cpu(arg), index, &mine))
		return -ENODEV;
	cpumask_clear(out);
	for_each_online_cpu(cpu)
		if (hal_cpu_cache(cpu, index, &other) && other.level == mine.level && other.type == mine.type && other.id == mine.id)
			cpumask_set(out, cpu);
	return 0;
}

static int show_cache_map(struct seq *s, void *arg)
{
	struct cpumask m;
	int err = cache_sharers(arg, &m);

	return err ? err : show_mask(s, &m);
}

static int show_cache_list(struct seq *s, void *arg)
{
	struct cpumask m;
	int err = cache_sharers(arg, &m);

	return err ? err : show_list(s, &m);
}

/* ---- registration ------------------------------------------------------------------------------ */

struct cpu_file {
	const char *name;
	int (*show)(struct seq *s, void *arg);
	u32 attr;
};

static const struct cpu_file topology_files[] = {
	{ "physical_package_id", show_id, T_PACKAGE_ID },
	{ "die_id", show_id, T_DIE_ID },
	{ "cluster_id", show_id, T_CLUSTER_ID },
	{ "core_id", show_id, T_CORE_ID },
	{ "thread_siblings", show_sharers, SHARE_CORE },
	{ "thread_siblings_list", show_sharers_list, SHARE_CORE },
	{ "core_cpus", show_sharers, SHARE_CORE },
	{ "core_cpus_list", show_sharers_list, SHARE_CORE },
	{ "cluster_cpus", show_sharers, SHARE_CLUSTER },
	{ "cluster_cpus_list", show_sharers_list, SHARE_CLUSTER },
	{ "die_cpus", show_sharers, SHARE_DIE },
	{ "die_cpus_list", show_sharers_list, SHARE_DIE },
	{ "core_siblings", show_sharers, SHARE_PACKAGE },
	{ "core_siblings_list", show_sharers_list, SHARE_PACKAGE },
	{ "package_cpus", show_sharers, SHARE_PACKAGE },
	{ "package_cpus_list", show_sharers_list, SHARE_PACKAGE },
};

static const struct cpu_file cache_files[] = {
	{ "level", show_cache_number, C_LEVEL },
	{ "type", show_cache_type, 0 },
	{ "id", show_cache_number, C_ID },
	{ "size", show_cache_size, 0 },
	{ "coherency_line_size", show_cache_number, C_LINE },
	{ "number_of_sets", show_cache_number, C_SETS },
	{ "ways_of_associativity", show_cache_number, C_WAYS },
	{ "physical_line_partition", show_cache_number, C_PARTITION },
	{ "shared_cpu_map", show_cache_map, 0 },
	{ "shared_cpu_list", show_cache_list, 0 },
};

static int register_all(const char *dir, const struct cpu_file *files, u32 n, u32 cpu, u32 index)
{
	char name[96];
	int err = 0;

	for (u32 i = 0; i < n && !err; i++) {
		snprintf(name, sizeof(name), "%s%s", dir, files[i].name);
		err = sys_register(name, 0444, files[i].show, NULL, attr_arg(files[i].attr, cpu, index));
	}
	return err;
}

static int files_offline(u32 cpu)
{
	char dir[64];

	snprintf(dir, sizeof(dir), CPU_DIR "cpu%u/topology", cpu);
	(void)sys_unregister(dir);
	snprintf(dir, sizeof(dir), CPU_DIR "cpu%u/cache", cpu);
	(void)sys_unregister(dir);
	return 0;
}

static int files_online(u32 cpu)
{
	struct hal_cache c;
	char dir[64];
	int err;

	snprintf(dir, sizeof(dir), CPU_DIR "cpu%u/topology/", cpu);
	err = register_all(dir, topology_files, ARRAY_SIZE(topology_files), cpu, 0);
	for (u32 i = 0; !err && hal_cpu_cache(cpu, i, &c); i++) {
		snprintf(dir, sizeof(dir), CPU_DIR "cpu%u/cache/index%u/", cpu, i);
		err = register_all(dir, cache_files, ARRAY_SIZE(cache_files), cpu, i);
	}
	if (err) /* half of them would be in the way of the next try */
		(void)files_offline(cpu);
	return err;
}

const struct cpuhp_step cpu_files_cpuhp = { .name = "cpu files", .online = files_online, .offline = files_offline };

void cpu_files_init(void)
{
	static const struct {
		const char *name;
		u32 set;
	} sets[] = {
		{ CPU_DIR "possible", SET_POSSIBLE }, { CPU_DIR "present", SET_PRESENT }, { CPU_DIR "online", SET_ONLINE },
		{ CPU_DIR "offline", SET_OFFLINE }, { CPU_DIR "isolated", SET_NONE },
	};
	char name[64];
	u32 cpu;
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(sets); i++)
		err |= sys_register(sets[i].name, 0444, show_set, NULL, attr_arg(sets[i].set, 0, 0));
	err |= sys_register(CPU_DIR "kernel_max", 0444, show_kernel_max, NULL, NULL);
	err |= sys_register(CPU_DIR "smt/active", 0444, show_smt_active, NULL, NULL);
	err |= sys_register(CPU_DIR "smt/control", 0444, show_smt_control, NULL, NULL);
	for_each_possible_cpu(cpu) {
		snprintf(name, sizeof(name), CPU_DIR "cpu%u", cpu);
		err |= sys_register_dir(name);
		snprintf(name, sizeof(name), CPU_DIR "cpu%u/online", cpu);
		if (cpu)
			err |= sys_register(name, 0644, show_online, store_online, attr_arg(0, cpu, 0));
	}
	err |= files_online(0);
	if (err)
		log_err("/sys/devices/system/cpu is not complete (%d)", err);
}
