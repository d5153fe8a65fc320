/* SPDX-License-Identifier: MIT */
/*
 * What programs see of interrupts, and may change: /proc/interrupts and /proc/irq (Linux's
 * Documentation/core-api/irq/irq-affinity.rst, proc(5)). Formats and errors are Linux's, byte for byte: irqbalance, lspci and
 * scripts read them.
 *
 * /proc/irq/N appears when the irq does (a line's first request, a message's number given out) and goes with a message's
 * number; below it each handler has an empty directory by its name. The HAL says so by upcalls, in thread context. What came
 * before the registry could take it is entered by irq_files_init().
 */
#include <hal/clock.h>
#include <hal/irq.h>
#include <hal/upcall.h>
#include <kernel/core/cpumask_text.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/dev/irq.h>
#include <kernel/mm/slab.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#define IRQ_NAME_BYTES	64u
#define NO_CPU		(~0u)
#define COUNT_ANEW	100000u
#define ISA_LINES	16u

static bool files_ready; /* [I] after irq_files_init() */

static u32 irq_of(void *arg)
{
	return (u32)(uintptr_t)arg;
}

/* ---- /proc/interrupts -------------------------------------------------------------------------- */

/* Width of the first column: as wide as the highest number, three at least. */
static int number_width(void)
{
	struct hal_irq_info info;
	u32 highest = 0, limit = 1000;
	int width = 3;

	for (u32 irq = 0; hal_irq_next(&irq, &info); irq++)
		highest = irq;
	for (; width < 10 && limit <= highest; limit *= 10)
		width++;
	return width;
}

static void show_names(struct seq *s, u32 irq)
{
	char name[IRQ_NAME_BYTES];

	for (u32 i = 0; hal_irq_name(irq, i, name, sizeof(name)); i++)
		seq_printf(s, "%s%s", i ? ", " : "  ", name);
}

static void show_device_row(struct seq *s, const struct hal_irq_info *info, int width)
{
	char name[IRQ_NAME_BYTES];
	u32 cpu;

	if (!info->count && !hal_irq_name(info->irq, 0, name, sizeof(name)))
		return;
	seq_printf(s, "%*u: ", width, info->irq);
	for_each_online_cpu(cpu)
		seq_printf(s, "%10llu ", (unsigned long long)hal_irq_count(info->irq, cpu));
	seq_printf(s, " %8s %*u-%-8s", info->chip, width, info->hwirq, info->flow);
	show_names(s, info->irq);
	seq_putc(s, '\n');
}

static void show_machine_row(struct seq *s, u32 i, const struct hal_irq_row *row, int width)
{
	u32 cpu;

	seq_printf(s, "%*s: ", width, row->name);
	if (!row->per_cpu) {
		seq_printf(s, "%10llu\n", (unsigned long long)hal_irq_row_count(i, 0));
		return;
	}
	for_each_online_cpu(cpu)
		seq_printf(s, "%10llu ", (unsigned long long)hal_irq_row_count(i, cpu));
	seq_printf(s, "  %s\n", row->what);
}

static int show_interrupts(struct seq *s, void *arg)
{
	int width = number_width();
	struct hal_irq_info info;
	struct hal_irq_row row;
	u32 cpu;

	(void)arg;
	seq_printf(s, "%*s", width + 8, "");
	for_each_online_cpu(cpu)
		seq_printf(s, "CPU%-8u", cpu);
	seq_putc(s, '\n');
	for (u32 irq = 0; hal_irq_next(&irq, &info); irq++)
		show_device_row(s, &info, width);
	for (u32 i = 0; hal_irq_row(i, &row); i++)
		show_machine_row(s, i, &row, width);
	return 0;
}

/* ---- /proc/irq/N ------------------------------------------------------------------------------- */

static int show_mask(struct seq *s, const struct cpumask *m, bool list)
{
	char *text = kmalloc(CPULIST_TEXT_BYTES, 0);

	if (!text)
		return -ENOMEM;
	if (list)
		(void)cpumask_format_list(text, CPULIST_TEXT_BYTES, m, hal_cpu_count());
	else
		(void)cpumask_format(text, CPULIST_TEXT_BYTES, m, hal_cpu_count());
	seq_printf(s, "%s\n", text);
	kfree(text);
	return 0;
}

static int show_affinity(struct seq *s, void *arg, bool list)
{
	struct cpumask m;
	u32 effective;

	return hal_irq_affinity(irq_of(arg), m.bits, &effective) ? show_mask(s, &m, list) : -EINVAL;
}

static int show_smp_affinity(struct seq *s, void *arg)
{
	return show_affinity(s, arg, false);
}

static int show_smp_affinity_list(struct seq *s, void *arg)
{
	return show_affinity(s, arg, true);
}

static int show_effective(struct seq *s, void *arg, bool list)
{
	struct cpumask m;
	u32 effective;

	if (!hal_irq_affinity(irq_of(arg), m.bits, &effective))
		return -EINVAL;
	cpumask_clear(&m);
	if (effective != NO_CPU)
		cpumask_set(&m, effective);
	return show_mask(s, &m, list);
}

static int show_effective_affinity(struct seq *s, void *arg)
{
	return show_effective(s, arg, false);
}

static int show_effective_affinity_list(struct seq *s, void *arg)
{
	return show_effective(s, arg, true);
}

/* No driver has hints. */
static int show_affinity_hint(struct seq *s, void *arg)
{
	struct cpumask none;

	(void)arg;
	cpumask_clear(&none);
	return show_mask(s, &none, false);
}

static int show_spurious(struct seq *s, void *arg)
{
	struct hal_irq_info info;
	u32 irq = irq_of(arg);

	if (!hal_irq_next(&irq, &info) || irq != irq_of(arg))
		return -EINVAL;
	/* Linux's first number is that of all, begun anew after each 100,000. */
	seq_printf(s, "count %llu\nunhandled %u\nlast_unhandled %llu ms\n", (unsigned long long)(info.count % COUNT_ANEW),
		   info.unhandled, (unsigned long long)(info.last_unhandled_ns / NSEC_PER_MSEC));
	return 0;
}

/* Firmware does not say where a device is, but legacy ones are on the first node. */
static int show_node(struct seq *s, void *arg)
{
	seq_puts(s, irq_of(arg) < ISA_LINES ? "0\n" : "-1\n");
	return 0;
}

/* A set without an online CPU is refused: Linux leaves it to the architecture, and x86 refuses. */
static int store_affinity(void *arg, const char *text, bool list)
{
	struct cpumask m;
	int err = list ? cpumask_parse_list(text, hal_cpu_count(), &m) : cpumask_parse(text, hal_cpu_count(), &m);

	if (err)
		return err;
	cpuhp_read_lock();
	err = hal_irq_set_affinity(irq_of(arg), m.bits);
	cpuhp_read_unlock();
	return err;
}

static int store_smp_affinity(void *arg, const char *text, size_t len)
{
	(void)len;
	return store_affinity(arg, text, false);
}

static int store_smp_affinity_list(void *arg, const char *text, size_t len)
{
	(void)len;
	return store_affinity(arg, text, true);
}

static int show_default_affinity(struct seq *s, void *arg)
{
	struct cpumask m;

	(void)arg;
	hal_irq_default_affinity(m.bits);
	return show_mask(s, &m, false);
}

static int store_default_affinity(void *arg, const char *text, size_t len)
{
	struct cpumask m;
	int err = cpumask_parse(text, hal_cpu_count(), &m);

	(void)arg, (void)len;
	return err ? err : hal_irq_set_default_affinity(m.bits);
}

static const struct irq_file {
	const char *name;
	u32 mode;
	int (*show)(struct seq *s, void *arg);
	int (*store)(void *arg, const char *text, size_t len);
} files[] = {
	{ "smp_affinity", 0644, show_smp_affinity, store_smp_affinity },
	{ "affinity_hint", 0444, show_affinity_hint, NULL },
	{ "smp_affinity_list", 0644, show_smp_affinity_list, store_smp_affinity_list },
	{ "node", 0444, show_node, NULL },
	{ "effective_affinity", 0444, show_effective_affinity, NULL },
	{ "effective_affinity_list", 0444, show_effective_affinity_list, NULL },
	{ "spurious", 0444, show_spurious, NULL },
};

/* ---- when irqs come and go --------------------------------------------------------------------- */

/* Nothing of it can fail the irq: an irq that memory has no files for works all the same. */
static void add_files(u32 irq)
{
	char path[IRQ_NAME_BYTES];

	for (u32 i = 0; i < ARRAY_SIZE(files); i++) {
		const struct irq_file *f = &files[i];
		void *arg = (void *)(uintptr_t)irq;

		(void)snprintf(path, sizeof(path), "irq/%u/%s", irq, f->name);
		if (f->store)
			(void)proc_register_rw(path, f->mode, f->show, f->store, arg);
		else
			(void)proc_register(path, f->mode, f->show, arg);
	}
}

/* A name with a slash would be two directories. */
static bool handler_path(char *path, size_t size, u32 irq, const char *name)
{
	(void)snprintf(path, size, "irq/%u/%s", irq, name);
	return name[0] && !strchr(name, '/');
}

void upcall_irq_added(u32 irq)
{
	if (READ_ONCE(files_ready))
		add_files(irq);
}

void upcall_irq_removed(u32 irq)
{
	char path[IRQ_NAME_BYTES];

	if (!READ_ONCE(files_ready))
		return;
	(void)snprintf(path, sizeof(path), "irq/%u", irq);
	(void)proc_unregister(path);
}

void upcall_irq_handler(u32 irq, const char *name, bool added)
{
	char path[2 * IRQ_NAME_BYTES];

	if (!READ_ONCE(files_ready) || !handler_path(path, sizeof(path), irq, name))
		return;
	if (added)
		(void)proc_register_dir(path);
	else
		(void)proc_unregister(path);
}

static void add_present(u32 irq)
{
	char name[IRQ_NAME_BYTES], path[2 * IRQ_NAME_BYTES];

	add_files(irq);
	for (u32 i = 0; hal_irq_name(irq, i, name, sizeof(name)); i++)
		if (handler_path(path, sizeof(path), irq, name))
			(void)proc_register_dir(path);
}

void irq_files_init(void)
{
	struct hal_irq_info info;

	(void)proc_register("interrupts", 0444, show_interrupts, NULL);
	(void)proc_register_rw("irq/default_smp_affinity", 0644, show_default_affinity, store_default_affinity, NULL);
	WRITE_ONCE(files_ready, true);
	for (u32 irq = 0; hal_irq_next(&irq, &info); irq++)
		add_present(irq);
}

/* ---- CPUs come and go -------------------------------------------------------------------------- */

static int irq_online(u32 cpu)
{
	hal_irq_cpu_online(cpu);
	return 0;
}

const struct cpuhp_step irq_cpuhp = {
	.name = "irq",
	.prepare = hal_irq_cpu_prepare,
	.online = irq_online,
	.offline = hal_irq_cpu_offline,
	.dying = hal_irq_cpu_dying,
};
