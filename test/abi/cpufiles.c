/*
 * cpufiles.c - what /sys/devices/system/cpu and /proc/cpuinfo say about the CPUs agrees with each other and with the system
 * calls: counts, numbers, who sits where and shares what.
 */
#include "tap.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#define CPU_DIR "/sys/devices/system/cpu/"

static char text[4096];

static const char *get(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const char *of_cpu(unsigned int cpu, const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), CPU_DIR "cpu%u/%s", cpu, name);
	return get(path);
}

/* "0-2,5" as a set; how many. */
static unsigned int list_of(const char *at, cpu_set_t *set)
{
	CPU_ZERO(set);
	while (*at >= '0' && *at <= '9') {
		unsigned long first = strtoul(at, (char **)&at, 10), last = first;

		if (*at == '-')
			last = strtoul(at + 1, (char **)&at, 10);
		for (; first <= last && first < CPU_SETSIZE; first++)
			CPU_SET(first, set);
		at += *at == ',';
	}
	return (unsigned int)CPU_COUNT(set);
}

/* "f" or "1,00000003" as a set: groups of eight digits, the last one lowest. */
static void mask_of(const char *at, cpu_set_t *set)
{
	size_t digits = 0, n = strcspn(at, "\n");

	CPU_ZERO(set);
	for (size_t i = n; i-- > 0;) {
		char digit[2] = { at[i], '\0' };
		unsigned long v;

		if (at[i] == ',')
			continue;
		v = strtoul(digit, NULL, 16);
		for (unsigned int b = 0; b < 4; b++)
			if (v >> b & 1)
				CPU_SET(digits * 4 + b, set);
		digits++;
	}
}

/* The number behind "key : " in the part of /proc/cpuinfo about that CPU; -1: there is none. */
static long info(unsigned int cpu, const char *key)
{
	static char line[8192];
	FILE *f = fopen("/proc/cpuinfo", "r");
	long at = -1, found = -1;

	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');
		size_t n = strcspn(line, "\t:");

		if (!colon)
			continue;
		if (!strncmp(line, "processor\t", 10))
			at = strtol(colon + 1, NULL, 10);
		else if (at == (long)cpu && n == strlen(key) && !strncmp(line, key, n))
			found = strtol(colon + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return found;
}

static void check_counts(void)
{
	cpu_set_t possible, present, online, mine;
	unsigned int n = list_of(get(CPU_DIR "online"), &online), here, node = 99;

	list_of(get(CPU_DIR "possible"), &possible);
	list_of(get(CPU_DIR "present"), &present);
	works(sched_getaffinity(0, sizeof(mine), &mine), "sched_getaffinity");
	ok(CPU_EQUAL(&mine, &online), "a program may run on all that are online");
	ok(CPU_EQUAL(&possible, &present), "possible and present are the same");
	is(sysconf(_SC_NPROCESSORS_ONLN), n, "_SC_NPROCESSORS_ONLN");
	ok(sysconf(_SC_NPROCESSORS_CONF) >= (long)n, "_SC_NPROCESSORS_CONF");
	works(syscall(SYS_getcpu, &here, &node, NULL), "getcpu");
	ok(CPU_ISSET(here, &online) && node == 0, "getcpu gives one of them, of node 0");
	for (unsigned int cpu = 0; cpu < n; cpu++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) < 0 || syscall(SYS_getcpu, &here, NULL, NULL) < 0)
			here = 9999;
		is(here, cpu, "bound to CPU %u, getcpu says so", cpu);
	}
	sched_setaffinity(0, sizeof(mine), &mine);
}

/* The mask, the list, and a member's own view. */
static void check_set(unsigned int cpu, const char *name, cpu_set_t *out)
{
	char list[64];
	cpu_set_t mask;

	snprintf(list, sizeof(list), "topology/%s_list", name);
	list_of(of_cpu(cpu, list), out);
	snprintf(list, sizeof(list), "topology/%s", name);
	mask_of(of_cpu(cpu, list), &mask);
	ok(CPU_ISSET(cpu, out) && CPU_EQUAL(&mask, out), "cpu%u: %s, mask and list agree", cpu, name);
}

static void check_topology(unsigned int cpu)
{
	cpu_set_t threads, core, die, package, siblings;
	long cores = 0;

	check_set(cpu, "thread_siblings", &threads);
	check_set(cpu, "core_cpus", &core);
	check_set(cpu, "die_cpus", &die);
	check_set(cpu, "package_cpus", &package);
	check_set(cpu, "core_siblings", &siblings);
	ok(CPU_EQUAL(&threads, &core) && CPU_EQUAL(&siblings, &package), "cpu%u: old and new names say the same", cpu);
	is(strtol(of_cpu(cpu, "topology/physical_package_id"), NULL, 10), info(cpu, "physical id"), "cpu%u: physical id", cpu);
	is(strtol(of_cpu(cpu, "topology/core_id"), NULL, 10), info(cpu, "core id"), "cpu%u: core id", cpu);
	is(info(cpu, "siblings"), CPU_COUNT(&package), "cpu%u: siblings", cpu);
	for (unsigned int i = 0; i < CPU_SETSIZE; i++)
		cores += CPU_ISSET(i, &package) && list_of(of_cpu(i, "topology/core_cpus_list"), &core) && !CPU_ISSET(i - 1, &core);
	is(info(cpu, "cpu cores"), cores, "cpu%u: cpu cores", cpu);
	is(info(cpu, "apicid"), info(cpu, "initial apicid"), "cpu%u: apicid", cpu);
}

static void check_caches(unsigned int cpu)
{
	char name[64];
	unsigned int i;

	for (i = 0; i < 8; i++) {
		long level, line, sets, ways, size;
		cpu_set_t list, mask;

		snprintf(name, sizeof(name), "cache/index%u/level", i);
		level = strtol(of_cpu(cpu, name), NULL, 10);
		if (!level)
			break;
		snprintf(name, sizeof(name), "cache/index%u/coherency_line_size", i);
		line = strtol(of_cpu(cpu, name), NULL, 10);
		snprintf(name, sizeof(name), "cache/index%u/number_of_sets", i);
		sets = strtol(of_cpu(cpu, name), NULL, 10);
		snprintf(name, sizeof(name), "cache/index%u/ways_of_associativity", i);
		ways = strtol(of_cpu(cpu, name), NULL, 10);
		snprintf(name, sizeof(name), "cache/index%u/size", i);
		size = strtol(of_cpu(cpu, name), NULL, 10);
		snprintf(name, sizeof(name), "cache/index%u/shared_cpu_list", i);
		list_of(of_cpu(cpu, name), &list);
		snprintf(name, sizeof(name), "cache/index%u/shared_cpu_map", i);
		mask_of(of_cpu(cpu, name), &mask);
		ok(level <= 4 && line * sets * ways / 1024 == size, "cpu%u: cache %u, %ld KiB of level %ld", cpu, i, size, level);
		ok(CPU_ISSET(cpu, &list) && CPU_EQUAL(&list, &mask), "cpu%u: it shares it with itself", cpu);
	}
	ok(i >= 3, "cpu%u: three caches at least", cpu);
}

int main(void)
{
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mkdir("/sys", 0755);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	check_counts();
	for (unsigned int cpu = 0; cpu < 2; cpu++) {
		check_topology(cpu);
		check_caches(cpu);
	}
	return tap_done();
}
