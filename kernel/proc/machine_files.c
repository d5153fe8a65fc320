/* SPDX-License-Identifier: MIT */
/*
 * /proc files about the machine as a whole that layers below the vfs cannot register themselves: load, CPU
 * time and CPUs. Formats are Linux's, proc(5). (/proc/interrupts is in dev/irq.c.)
 */
#include <hal/cpu.h>
#include <hal/irq.h>
#include <hal/topology.h>
#include <hal/mitigate.h>
#include <kernel/core/percpu.h>
#include <kernel/proc/exec.h>
#include <kernel/proc/machine_files.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/task/pid.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>

#define USER_HZ_NS 10000000ull /* a clock tick of userland, 1/100 s */

static u64 runnable_total(void)
{
	struct sched_stats st;
	u64 n = 0;
	u32 cpu;

	for_each_online_cpu(cpu) {
		sched_stats_cpu(cpu, &st);
		n += st.runnable;
	}
	return n;
}

static int show_loadavg(struct seq *s, void *arg)
{
	u64 load[3];

	(void)arg;
	sched_loadavg(load);
	for (u32 i = 0; i < 3; i++) {
		u64 hundredths = (load[i] * 100 + 1024) / 2048;

		seq_printf(s, "%llu.%02llu ", (unsigned long long)(hundredths / 100), (unsigned long long)(hundredths % 100));
	}
	seq_printf(s, "%llu/%d %d\n", (unsigned long long)runnable_total(), task_count(), pid_last());
	return 0;
}

/* "cpuN user nice system idle iowait irq softirq steal guest guest_nice" in clock ticks. */
static void show_cpu_times(struct seq *s, const struct sched_stats *st)
{
	seq_printf(s, " %llu %llu %llu %llu 0 %llu 0 0 0 0\n", (unsigned long long)(st->user_ns / USER_HZ_NS),
		   (unsigned long long)(st->nice_ns / USER_HZ_NS), (unsigned long long)(st->system_ns / USER_HZ_NS),
		   (unsigned long long)(st->idle_ns / USER_HZ_NS), (unsigned long long)(st->irq_ns / USER_HZ_NS));
}

/* All that were taken, devices' and the machine's own. */
static u64 interrupts_total(void)
{
	struct hal_irq_info info;
	struct hal_irq_row row;
	u64 n = 0;
	u32 cpu;

	for (u32 irq = 0; hal_irq_next(&irq, &info); irq++)
		n += info.count;
	for (u32 i = 0; hal_irq_row(i, &row); i++) {
		if (!row.per_cpu)
			n += hal_irq_row_count(i, 0);
		else
			for_each_possible_cpu(cpu)
				n += hal_irq_row_count(i, cpu);
	}
	return n;
}

/* "intr": the total, then one number for each irq up to the last one that exists, as on Linux. */
static void show_intr(struct seq *s)
{
	struct hal_irq_info info;
	u32 shown = 0;

	seq_printf(s, "intr %llu", (unsigned long long)interrupts_total());
	for (u32 irq = 0; hal_irq_next(&irq, &info); irq++) {
		for (; shown < irq; shown++)
			seq_puts(s, " 0");
		seq_printf(s, " %llu", (unsigned long long)info.count);
		shown++;
	}
	seq_putc(s, '\n');
}

static int show_stat(struct seq *s, void *arg)
{
	struct sched_stats st, sum = { 0 };
	u32 cpu;

	(void)arg;
	for_each_online_cpu(cpu) {
		sched_stats_cpu(cpu, &st);
		sum.user_ns += st.user_ns;
		sum.nice_ns += st.nice_ns;
		sum.system_ns += st.system_ns;
		sum.idle_ns += st.idle_ns;
		sum.irq_ns += st.irq_ns;
		sum.switches += st.switches;
		sum.runnable += st.runnable;
	}
	seq_puts(s, "cpu ");
	show_cpu_times(s, &sum);
	for_each_online_cpu(cpu) {
		sched_stats_cpu(cpu, &st);
		seq_printf(s, "cpu%u", cpu);
		show_cpu_times(s, &st);
	}
	show_intr(s);
	seq_printf(s, "ctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %u\nprocs_blocked 0\n",
		   (unsigned long long)sum.switches,
		   (unsigned long long)clock_boot_real_seconds(), (unsigned long long)task_forks_total(), sum.runnable);
	seq_puts(s, "softirq 0 0 0 0 0 0 0 0 0 0 0\n");
	return 0;
}

/* Where it sits. "siblings" and "cpu cores" count the package's CPUs and cores that are online. */
static void show_place(struct seq *s, u32 cpu)
{
	struct hal_topology mine, other, earlier;
	u32 siblings = 0, cores = 0, i, j;

	hal_cpu_topology(cpu, &mine);
	for_each_online_cpu(i) {
		bool first = true;

		hal_cpu_topology(i, &other);
		if (other.package != mine.package)
			continue;
		siblings++;
		for (j = 0; j < i && first; j++) {
			hal_cpu_topology(j, &earlier);
			first = !hal_cpu_online(j) || earlier.package != other.package || earlier.die != other.die ||
				earlier.core != other.core;
		}
		cores += first;
	}
	seq_printf(s, "physical id\t: %u\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n", mine.package, siblings, mine.core,
		   cores);
	seq_printf(s, "apicid\t\t: %u\ninitial apicid\t: %u\n", mine.apic_id, mine.apic_id);
}

static void show_one_cpu(struct seq *s, u32 cpu)
{
	struct hal_cpu_info c;
	const char *flag;

	hal_cpu_info(cpu, &c);
	seq_printf(s, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\n", cpu, c.vendor,
		   c.family, c.model, c.model_name);
	seq_printf(s, "stepping\t: %u\n", c.stepping);
	if (c.microcode)
		seq_printf(s, "microcode\t: 0x%x\n", c.microcode);
	seq_printf(s, "cpu MHz\t\t: %llu.%03llu\n", (unsigned long long)(c.khz / 1000),
		   (unsigned long long)(c.khz % 1000));
	if (c.cache_kib)
		seq_printf(s, "cache size\t: %u KB\n", c.cache_kib);
	show_place(s, cpu);
	seq_printf(s, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t:", c.cpuid_level);
	for (u32 i = 0; (flag = hal_cpu_flag_name(i)); i++)
		seq_printf(s, " %s", flag);
	seq_puts(s, "\nbugs\t\t:");
	for (u32 i = 0; (flag = hal_cpu_bug_name(i)); i++)
		seq_printf(s, " %s", flag);
	/* Twice the counter's rate in MHz: what Linux calls bogomips where it does not measure a delay loop. */
	seq_printf(s, "\nbogomips\t: %llu.%02llu\nclflush size\t: %u\n", (unsigned long long)(c.khz / 500),
		   (unsigned long long)(c.khz / 5 % 100), c.clflush_bytes);
	seq_printf(s, "cache_alignment\t: %u\naddress sizes\t: %u bits physical, %u bits virtual\npower management:\n\n",
		   c.clflush_bytes, c.phys_bits, c.virt_bits);
}

static int show_cpuinfo(struct seq *s, void *arg)
{
	u32 cpu;

	(void)arg;
	for_each_online_cpu(cpu)
		show_one_cpu(s, cpu);
	return 0;
}

/*
 * Linux's table of soft interrupts. There are none here (work queues are the one bottom half): the rows are there for the programs
 * that look for them, as are the zeros of /proc/stat.
 */
static int show_softirqs(struct seq *s, void *arg)
{
	static const char *const names[] = {
		"HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
	};
	u32 cpu;

	(void)arg;
	seq_puts(s, "                    ");
	for_each_possible_cpu(cpu)
		seq_printf(s, "CPU%-8u", cpu);
	seq_putc(s, '\n');
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		seq_printf(s, "%12s:", names[i]);
		for_each_possible_cpu(cpu)
			seq_printf(s, " %10u", 0U);
		seq_putc(s, '\n');
	}
	return 0;
}

void machine_files_init(void)
{
	(void)proc_register("loadavg", 0444, show_loadavg, NULL);
	(void)proc_register("stat", 0444, show_stat, NULL);
	(void)proc_register("cpuinfo", 0444, show_cpuinfo, NULL);
	(void)proc_register("softirqs", 0444, show_softirqs, NULL);
}
