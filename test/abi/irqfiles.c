/*
 * irqfiles.c - /proc/interrupts, /proc/irq and the interrupt line of /proc/stat: what irqbalance, lspci and scripts read and write.
 *
 * The subject is the serial line's interrupt, which both kernels have as number 4 on a PC; the program's own output makes it
 * count. What it changes it puts back.
 */
#include "tap.h"

#include <sched.h>
#include <sys/mount.h>

#define IRQ	"/proc/irq/4/"

static char text[65536];

static ssize_t get(const char *path)
{
	ssize_t n, total = 0;
	int fd = open(path, O_RDONLY);

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	while ((n = read(fd, text + total, sizeof(text) - 1 - total)) > 0)
		total += n;
	close(fd);
	text[total] = '\0';
	return total;
}

/* 0, or the errno of the write. */
static int put(const char *path, const char *what)
{
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, what, strlen(what)) != (ssize_t)strlen(what))
		err = errno;
	close(fd);
	return err;
}

static bool says(const char *path, const char *what)
{
	return get(path) >= 0 && strcmp(text, what) == 0;
}

static int cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

/* The row that begins with that name (blanks before it do not count); NULL. */
static char *row(const char *name)
{
	char *line = text;

	while (line && *line) {
		char *at = line + strspn(line, " ");

		if (!strncmp(at, name, strlen(name)) && at[strlen(name)] == ':')
			return at + strlen(name) + 1;
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return NULL;
}

/* Numbers at the row's beginning. */
static int numbers(const char *at, unsigned long long *sum)
{
	int n = 0;

	*sum = 0;
	for (;;) {
		char *end;
		unsigned long long v;

		at += strspn(at, " ");
		if (*at < '0' || *at > '9')
			return n;
		v = strtoull(at, &end, 10);
		if (*end != ' ' && *end != '\n')
			return n;
		*sum += v;
		at = end;
		n++;
	}
}

/* 0, or the errno: while the CPU that had the line before does not answer, being stopped, the line stays there. */
static int put_in_time(const char *path, const char *what)
{
	int err;

	within(20000, (err = put(path, what)) != EBUSY);
	return err;
}

/* Linux moves a line of an I/O APIC when it interrupts the next time: it is made to, until the file says what it should. */
static bool comes_to_say(const char *path, const char *what)
{
	for (int i = 0; i < 50; i++) {
		tap_line("output, so that the line interrupts");
		if (within(i * 10, says(path, what)))
			return true;
	}
	return false;
}

/* The mask takes effect, and reads back, whichever of the two files it went to. */
static bool takes(const char *file, const char *what, const char *mask)
{
	char path[64];

	snprintf(path, sizeof(path), IRQ "%s", file);
	if (put_in_time(path, what))
		return false;
	return comes_to_say(IRQ "smp_affinity", mask);
}

static void interrupts(void)
{
	static const char *const names[] = { "NMI", "LOC", "SPU", "PMI", "IWI", "RTR", "RES", "CAL", "TLB", "TRM", "PIN", "NPI", "PIW" };
	unsigned long long sum, before, again;
	char head[4096] = "           ";
	size_t at = strlen(head);
	bool all = true;
	char *r;

	for (int i = 0; i < cpus(); i++)
		at += snprintf(head + at, sizeof(head) - at, "CPU%-8d", i);
	snprintf(head + at, sizeof(head) - at, "\n");
	get("/proc/interrupts");
	ok(!strncmp(text, head, strlen(head)), "interrupts: the first line names the CPUs");
	r = row("4");
	ok(r && numbers(r, &before) == cpus() && before > 0, "interrupts: the serial line has a count for each CPU");
	ok(r && strstr(r, "   IO-APIC   4-edge      ttyS0\n") != NULL, "interrupts: and its controller, line, kind and name");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		r = row(names[i]);
		all &= r && numbers(r, &sum) == cpus();
	}
	ok(all, "interrupts: the machine's own rows have a count for each CPU");
	r = row("LOC");
	ok(r && numbers(r, &sum) && sum > 0 && strstr(r, "  Local timer interrupts\n"), "interrupts: the timer counts");
	r = row("ERR");
	ok(r && numbers(r, &sum) == 1 && sum == 0, "interrupts: no errors");
	tap_line("# output, so that the line interrupts");
	ok(within(20000, (get("/proc/interrupts"), (r = row("4")) && numbers(r, &again) && again > before)),
	   "interrupts: the serial line counts");
}

static void stat_line(void)
{
	unsigned long long sum, total, fourth = 0;
	char *at, *end;

	get("/proc/interrupts");
	at = row("4");
	ok(at && numbers(at, &sum), "stat: a count to compare with");
	get("/proc/stat");
	at = strstr(text, "\nintr ");
	total = at ? strtoull(at + 6, &end, 10) : 0;
	for (int i = 0; at && i <= 4; i++)
		fourth = strtoull(end, &end, 10);
	ok(total >= sum && fourth >= sum, "stat: the fifth number behind the total is irq 4's");
}

static void files(void)
{
	static const char *const names[] = { "smp_affinity", "smp_affinity_list", "affinity_hint", "effective_affinity",
					     "effective_affinity_list", "spurious", "node" };
	struct stat st;
	bool right = true;
	unsigned int a, b, c;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), IRQ "%s", names[i]);
		right &= stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == (i < 2 ? 0644 : 0444);
	}
	ok(right, "irq: the files and their modes");
	ok(stat(IRQ "ttyS0", &st) == 0 && S_ISDIR(st.st_mode), "irq: the handler has a directory");
	get(IRQ "spurious");
	ok(sscanf(text, "count %u\nunhandled %u\nlast_unhandled %u ms\n", &a, &b, &c) == 3, "irq: spurious");
	ok(says(IRQ "node", "0\n"), "irq: a legacy line's node");
	ok(put(IRQ "spurious", "1") == EACCES || getuid() == 0, "irq: spurious is not written");
	ok(says(IRQ "affinity_hint", cpus() > 32 ? text : "0\n"), "irq: no hint");
}

static void affinity(void)
{
	char all[64], list[64], was_default[64];
	int n = cpus();

	snprintf(all, sizeof(all), "%x\n", (1u << n) - 1);
	snprintf(list, sizeof(list), n > 1 ? "0-%d\n" : "%d\n", n - 1);
	ok(takes("smp_affinity", all, all), "affinity: all CPUs");
	ok(says(IRQ "smp_affinity_list", list), "affinity: the same as a list");
	ok(takes("smp_affinity", "1", "1\n"), "affinity: CPU 0 alone");
	ok(comes_to_say(IRQ "effective_affinity", "1\n") && says(IRQ "effective_affinity_list", "0\n"), "affinity: which then has it");
	ok(put(IRQ "smp_affinity", "0") == EINVAL, "affinity: of no CPU");
	ok(put(IRQ "smp_affinity", "") == 0 || says(IRQ "smp_affinity", "1\n"), "affinity: an empty write changes nothing");
	ok(put(IRQ "smp_affinity", "x") == EINVAL, "affinity: no number");
	ok(put(IRQ "smp_affinity", "1,00000001") == EOVERFLOW, "affinity: a CPU that cannot be");
	ok(put(IRQ "smp_affinity", "000000001") == EOVERFLOW, "affinity: nine digits");
	ok(put(IRQ "smp_affinity", "00000001,00000001") == EOVERFLOW, "affinity: too many groups");
	ok(put_in_time(IRQ "smp_affinity", " 1 \n") == 0, "affinity: blanks do not matter");
	ok(put(IRQ "smp_affinity_list", "9999") == ERANGE, "affinity list: a CPU that cannot be");
	ok(put(IRQ "smp_affinity_list", "0-") == EINVAL, "affinity list: half a range");
	ok(put(IRQ "smp_affinity_list", "a") == EINVAL, "affinity list: no number");
	ok(takes("smp_affinity_list", "0,0", "1\n"), "affinity list: twice is once");
	ok(takes("smp_affinity_list", "all", all), "affinity list: all");
	ok(takes("smp_affinity_list", "0-0:1/2", "1\n"), "affinity list: one of two");
	get("/proc/irq/default_smp_affinity");
	snprintf(was_default, sizeof(was_default), "%.60s", text);
	ok(!strcmp(text, all), "default affinity: all CPUs");
	ok(put("/proc/irq/default_smp_affinity", "0") == EINVAL, "default affinity: of no CPU");
	ok(put("/proc/irq/default_smp_affinity", "1") == 0 && says("/proc/irq/default_smp_affinity", "1\n"), "default affinity: CPU 0");
	put("/proc/irq/default_smp_affinity", was_default);
	put(IRQ "smp_affinity", all);
}

/* The line goes round the CPUs while it is busy: each takes what comes while it is its. */
static void moves(void)
{
	unsigned long long sum;
	bool went = true;
	int n = cpus();

	for (int round = 0; round < 2 * n; round++) {
		char mask[32], path_text[32];

		snprintf(mask, sizeof(mask), "%x\n", 1u << round % n);
		went &= put_in_time(IRQ "smp_affinity", mask) == 0;
		snprintf(path_text, sizeof(path_text), "%d\n", round % n);
		went &= comes_to_say(IRQ "effective_affinity_list", path_text);
	}
	ok(went, "moves: round all CPUs");
	get("/proc/interrupts");
	ok(row("4") && numbers(row("4"), &sum) == n, "moves: counts for each");
	put(IRQ "smp_affinity_list", "all");
}

int main(void)
{
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	interrupts();
	stat_line();
	files();
	affinity();
	moves();
	return tap_done();
}
