/*
 * speculation.c - what programs see of the CPU's known bugs: prctl(2) PR_GET_SPECULATION_CTRL and PR_SET_SPECULATION_CTRL, two
 * lines of /proc/PID/status, the bugs of /proc/cpuinfo and the files of /sys/devices/system/cpu/vulnerabilities.
 *
 * What is asked for depends on the CPU; the points are the relations that hold on each, and where the harness's
 * ordinary CPU decides (QEMU's max: an AMD without the bug, without controls), what it says.
 */
#include "tap.h"

#include <sys/mount.h>
#include <sys/prctl.h>

#define GET 52
#define SET 53
#define STORE_BYPASS 0
#define INDIRECT_BRANCH 1
#define L1D_FLUSH 2
#define ENABLE 2
#define DISABLE 4
#define FORCE_DISABLE 8
#define DIRECTORY "/sys/devices/system/cpu/vulnerabilities/"

static size_t slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t have = 0;
	ssize_t n = 0;

	while (fd >= 0 && have < size - 1 && (n = read(fd, buf + have, size - 1 - have)) > 0)
		have += n;
	if (fd >= 0)
		close(fd);
	buf[have] = '\0';
	return have;
}

/* The rest of the line of `path` that begins with `key`, without the tab. */
static bool line_of(const char *path, const char *key, char *out, size_t size)
{
	static char text[65536];
	char *at, *end;

	slurp(path, text, sizeof(text));
	at = strstr(text, key);
	if (!at)
		return false;
	at += strlen(key);
	at += strspn(at, "\t: ");
	end = strchr(at, '\n');
	snprintf(out, size, "%.*s", (int)(end - at), at);
	return true;
}

static void check_arguments(void)
{
	fails(prctl(GET, 3, 0, 0, 0), ENODEV, "a question about something unknown: ENODEV");
	fails(prctl(SET, 3, ENABLE, 0, 0), ENODEV, "a wish about something unknown: ENODEV");
	fails(prctl(GET, STORE_BYPASS, 1, 0, 0), EINVAL, "the question's third argument must be 0");
	fails(prctl(GET, STORE_BYPASS, 0, 1, 0), EINVAL, "its fourth too");
	fails(prctl(GET, STORE_BYPASS, 0, 0, 1), EINVAL, "its fifth too");
	fails(prctl(SET, STORE_BYPASS, ENABLE, 1, 0), EINVAL, "the wish's fourth argument must be 0");
	fails(prctl(SET, STORE_BYPASS, ENABLE, 0, 1), EINVAL, "its fifth too");
}

static void check_store_bypass(void)
{
	int state = prctl(GET, STORE_BYPASS, 0, 0, 0);

	ok(state >= 0, "store bypass has a state");
	if (state & 1) {
		fails(prctl(SET, STORE_BYPASS, 99, 0, 0), ERANGE, "store bypass: an unknown wish");
		works(prctl(SET, STORE_BYPASS, DISABLE, 0, 0), "store bypass: off");
		is(prctl(GET, STORE_BYPASS, 0, 0, 0), 1 | DISABLE, "store bypass: is off");
	} else {
		fails(prctl(SET, STORE_BYPASS, 99, 0, 0), ENXIO, "store bypass: an unknown wish");
		fails(prctl(SET, STORE_BYPASS, DISABLE, 0, 0), ENXIO, "store bypass: off");
		is(prctl(GET, STORE_BYPASS, 0, 0, 0), state, "store bypass: is off");
	}
}

static void check_indirect_branches(void)
{
	int state = prctl(GET, INDIRECT_BRANCH, 0, 0, 0);

	ok(state >= 0, "indirect branches have a state");
	fails(prctl(SET, INDIRECT_BRANCH, 99, 0, 0), ERANGE, "indirect branches: an unknown wish");
	works(prctl(SET, INDIRECT_BRANCH, ENABLE, 0, 0), "indirect branches: on");
	if (!(state & 1)) {
		fails(prctl(SET, INDIRECT_BRANCH, DISABLE, 0, 0), EPERM, "indirect branches: off");
		fails(prctl(SET, INDIRECT_BRANCH, FORCE_DISABLE, 0, 0), EPERM, "indirect branches: off for good");
		is(prctl(GET, INDIRECT_BRANCH, 0, 0, 0), state, "indirect branches: the state");
		return;
	}
	works(prctl(SET, INDIRECT_BRANCH, DISABLE, 0, 0), "indirect branches: off");
	works(prctl(SET, INDIRECT_BRANCH, FORCE_DISABLE, 0, 0), "indirect branches: off for good");
	is(prctl(GET, INDIRECT_BRANCH, 0, 0, 0), 1 | FORCE_DISABLE, "indirect branches: the state");
}

static void check_flush(void)
{
	is(prctl(GET, L1D_FLUSH, 0, 0, 0), FORCE_DISABLE, "the flush of the L1 cache is off for good without l1d_flush=");
	fails(prctl(SET, L1D_FLUSH, ENABLE, 0, 0), EPERM, "and stays off");
}

static void check_status(void)
{
	char ssb[80] = "", ib[80] = "";
	int state = prctl(GET, STORE_BYPASS, 0, 0, 0);

	ok(line_of("/proc/self/status", "Speculation_Store_Bypass:", ssb, sizeof(ssb)), "status has Speculation_Store_Bypass");
	ok(line_of("/proc/self/status", "SpeculationIndirectBranch:", ib, sizeof(ib)), "status has SpeculationIndirectBranch");
	is_str(ssb, state == 0 ? "not vulnerable" : state == ENABLE ? "vulnerable" : "thread mitigated",
	       "it says what prctl says of store bypass");
	state = prctl(GET, INDIRECT_BRANCH, 0, 0, 0);
	is_str(ib, state == 0 ? "not affected" : state == ENABLE ? "always enabled" : "conditional force disabled",
	       "and of indirect branches");
}

/* A file says "Not affected" exactly when the bug is not in /proc/cpuinfo. */
static void check_file(const char *name, const char *bug, const char *bugs)
{
	static const char *const starts[] = { "Not affected", "Vulnerable", "Mitigation", "Unknown", "KVM: " };
	char path[100], text[400], padded[600], word[40];
	bool known = false, has;
	size_t n;

	snprintf(path, sizeof(path), DIRECTORY "%s", name);
	n = slurp(path, text, sizeof(text));
	for (unsigned int i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		known |= !strncmp(text, starts[i], strlen(starts[i]));
	ok(n && text[n - 1] == '\n' && known, "%s is a line that begins as they do", name);
	snprintf(padded, sizeof(padded), " %s ", bugs);
	snprintf(word, sizeof(word), " %s ", bug);
	has = strstr(padded, word) != NULL;
	ok(has == !!strncmp(text, "Not affected", 12), "%s fits the bugs line", name);
}

static void check_files(void)
{
	static const char *const files[][2] = {
		{ "gather_data_sampling", "gds" }, { "indirect_target_selection", "its" }, { "itlb_multihit", "itlb_multihit" },
		{ "l1tf", "l1tf" }, { "mds", "mds" }, { "meltdown", "cpu_meltdown" }, { "reg_file_data_sampling", "rfds" },
		{ "retbleed", "retbleed" }, { "spec_rstack_overflow", "srso" }, { "spec_store_bypass", "spec_store_bypass" },
		{ "spectre_v1", "spectre_v1" }, { "spectre_v2", "spectre_v2" }, { "srbds", "srbds" }, { "tsa", "tsa" },
		{ "tsx_async_abort", "taa" }, { "vmscape", "vmscape" },
	};
	char bugs[500] = "", vendor[40] = "", family[40] = "";
	struct stat st;

	ok(line_of("/proc/cpuinfo", "bugs", bugs, sizeof(bugs)), "/proc/cpuinfo has a line of bugs");
	line_of("/proc/cpuinfo", "vendor_id", vendor, sizeof(vendor));
	line_of("/proc/cpuinfo", "cpu family", family, sizeof(family));
	ok(strcmp(vendor, "AuthenticAMD") || strcmp(family, "15") ||
	   !strcmp(bugs, "fxsave_leak sysret_ss_attrs null_seg swapgs_fence amd_e400 spectre_v1 spectre_v2"),
	   "QEMU's max has these bugs, in this order");
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		check_file(files[i][0], files[i][1], bugs);
	ok(stat(DIRECTORY "mmio_stale_data", &st) == 0 && (st.st_mode & 0777) == 0444 && st.st_size == 4096,
	   "the files are read-only attributes");
}

/* Threads and children have what the one that made them had. */
static void check_inherited(void)
{
	int ssb = prctl(GET, STORE_BYPASS, 0, 0, 0), ib = prctl(GET, INDIRECT_BRANCH, 0, 0, 0);
	int status = in_child({
		_exit(prctl(GET, STORE_BYPASS, 0, 0, 0) == ssb && prctl(GET, INDIRECT_BRANCH, 0, 0, 0) == ib ? 0 : 1);
	});

	ok(exited(status, 0), "a child has its parent's");
}

int main(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	check_arguments();
	check_store_bypass();
	check_indirect_branches();
	check_flush();
	check_status();
	check_files();
	check_inherited();
	return tap_done();
}
