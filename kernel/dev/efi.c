/* SPDX-License-Identifier: MIT */
/*
 * UEFI as programs see it: /sys/firmware/efi with Linux's names, and the way in for threads.
 *
 * Firmware serves one caller at a time, and a call may take milliseconds, in which its CPU does not switch threads. So
 * threads queue at a mutex and not in a spin; only the machine's end goes past it (hal/efi.h).
 */
#define LOG_TAG "efi"
#include <kernel/core/assert.h>
#include <kernel/core/lockrank.h>
#include <kernel/core/log.h>
#include <kernel/core/preempt.h>
#include <kernel/core/selftest.h>
#include <kernel/core/smpcall.h>
#include <kernel/dev/efi.h>
#include <kernel/mm/kmap.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/sched.h>
#include <kernel/vfs/proc.h>
#include <lib/string.h>

static struct mutex efi_mutex;	/* one thread in firmware */

int efi_call(enum hal_efi_service service, const u64 *args, u32 n, u64 *status)
{
	int err;

	mutex_lock(&efi_mutex);
	preempt_disable();
	err = hal_efi_call(service, args, n, status);
	preempt_enable();
	mutex_unlock(&efi_mutex);
	return err;
}

int efi_get_seconds(u64 *out)
{
	struct hal_efi_time now = { 0 };
	u64 args[] = { (u64)(uintptr_t)&now, 0 }, status;
	int err = efi_call(HAL_EFI_GET_TIME, args, ARRAY_SIZE(args), &status);

	if (err)
		return err;
	*out = hal_efi_time_seconds(&now);
	return status || !*out ? -EIO : 0;
}

/* ---- /sys/firmware/efi ---- */

static int show_platform_size(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "64\n");
	return 0;
}

static int show_address(struct seq *s, void *arg)
{
	seq_printf(s, "%#llx\n", (unsigned long long)*(const u64 *)arg);
	return 0;
}

/* One line for each configuration table that tools look for. */
static int show_systab(struct seq *s, void *arg)
{
	const struct hal_efi_tables *t = hal_efi_tables();
	const struct {
		const char *name;
		u64 address;
	} lines[] = {
		{ "ACPI20", t->acpi20 }, { "ACPI", t->acpi }, { "SMBIOS3", t->smbios3 }, { "SMBIOS", t->smbios },
	};

	(void)arg;
	for (u32 i = 0; i < ARRAY_SIZE(lines); i++)
		if (lines[i].address)
			seq_printf(s, "%s=%#llx\n", lines[i].name, (unsigned long long)lines[i].address);
	return 0;
}

void efi_init(void)
{
	const struct hal_efi_tables *t = hal_efi_tables();
	int err;

	mutex_init(&efi_mutex, "efi", LOCK_RANK_SLEEP_LEAF);
	if (!t->system_table)
		return;
	err = sys_register("firmware/efi/fw_platform_size", 0444, show_platform_size, NULL, NULL);
	if (!err)
		err = sys_register("firmware/efi/systab", 0400, show_systab, NULL, NULL);
	if (!err && hal_efi_has(HAL_EFI_RESET)) {
		err = sys_register("firmware/efi/fw_vendor", 0400, show_address, NULL, (void *)&t->vendor);
		if (!err)
			err = sys_register("firmware/efi/runtime", 0400, show_address, NULL, (void *)&t->runtime);
		if (!err)
			err = sys_register("firmware/efi/config_table", 0400, show_address, NULL, (void *)&t->config);
	}
	if (err)
		log_warn("/sys/firmware/efi is not complete: %d", err);
}

/* ---- tests ---- */

#if HALCYON_DEBUG

#define CLOCK_TOLERANCE_S 3

/* Firmware's clock and the kernel's agree: the loader read the same one. */
SELFTEST(efi, get_time)
{
	u64 seconds = 0, now = clock_real_ns() / NSEC_PER_SEC;

	REQUIRE(hal_efi_has(HAL_EFI_GET_TIME));
	EXPECT_EQ(efi_get_seconds(&seconds), 0);
	EXPECT(seconds + CLOCK_TOLERANCE_S > now && seconds < now + CLOCK_TOLERANCE_S);
}

/* The list of variables has members, and its first one can be read with a buffer that is large enough only. */
SELFTEST(efi, variables)
{
	u16 name[64] = { 0 };
	u8 guid[16] = { 0 }, data[1];
	u64 size = sizeof(name), attributes = 0, status = 0;
	u64 next[] = { (u64)(uintptr_t)&size, (u64)(uintptr_t)name, (u64)(uintptr_t)guid };
	u64 get[] = { (u64)(uintptr_t)name, (u64)(uintptr_t)guid, (u64)(uintptr_t)&attributes, (u64)(uintptr_t)&size,
		      (u64)(uintptr_t)data };

	EXPECT_EQ(efi_call(HAL_EFI_NEXT_VARIABLE, next, ARRAY_SIZE(next), &status), 0);
	EXPECT_EQ(status, 0);
	EXPECT(name[0] != 0);
	size = 0;
	EXPECT_EQ(efi_call(HAL_EFI_GET_VARIABLE, get, ARRAY_SIZE(get), &status), 0);
	EXPECT_EQ(status, HAL_EFI_BUFFER_TOO_SMALL);
	EXPECT(size > 0);
	name[0] = 'x', name[1] = 0;
	EXPECT_EQ(efi_call(HAL_EFI_GET_VARIABLE, get, ARRAY_SIZE(get), &status), 0);
	EXPECT_EQ(status, HAL_EFI_NOT_FOUND);
}

/* Interrupts are as they were, and nobody else gets in. */
SELFTEST(efi, leaves_interrupts)
{
	struct hal_efi_time now;
	u64 args[] = { (u64)(uintptr_t)&now, 0 }, status;
	irqflags_t f = hal_irq_save();

	EXPECT_EQ(hal_efi_call(HAL_EFI_GET_TIME, args, 2, &status), 0);
	EXPECT(!hal_irq_enabled());
	hal_irq_restore(f);
	EXPECT_EQ(efi_call(HAL_EFI_GET_TIME, args, 2, &status), 0);
	EXPECT(hal_irq_enabled());
}

/* Firmware that jumps to nowhere, or into its data, ends the call and all calls; the kernel goes on. */
SELFTEST(efi, faults_are_contained)
{
	u64 entries[] = { 8, hal_efi_tables()->system_table, 0x0000700000000000ull };
	u64 seconds;

	for (u32 i = 0; i < ARRAY_SIZE(entries); i++) {
		hal_efi_test_break(entries[i]);
		EXPECT_EQ(efi_get_seconds(&seconds), -EIO);
		EXPECT(!hal_efi_has(HAL_EFI_GET_TIME) && !hal_efi_has(HAL_EFI_RESET));
		EXPECT_EQ(efi_get_seconds(&seconds), -ENODEV);
		hal_efi_test_repair();
		EXPECT_EQ(efi_get_seconds(&seconds), 0);
	}
}

/* ---- from many CPUs ---- */

#define EFI_CALLERS 8u
#define EFI_CALLS 40u

struct efi_caller {
	struct completion done;
	u32 cpu, wrong, refused;
	bool variables;
};

/* A variable's name comes back in the buffer of whoever asked. */
static bool first_variable(void)
{
	u16 name[64] = { 0 };
	u8 guid[16] = { 0 };
	u64 size = sizeof(name), status = 0;
	u64 next[] = { (u64)(uintptr_t)&size, (u64)(uintptr_t)name, (u64)(uintptr_t)guid };

	return !efi_call(HAL_EFI_NEXT_VARIABLE, next, ARRAY_SIZE(next), &status) && !status && name[0] && size <= sizeof(name);
}

static void efi_caller_main(void *arg)
{
	struct efi_caller *c = arg;

	for (u32 i = 0; i < EFI_CALLS; i++) {
		u64 seconds = 0, now = clock_real_ns() / NSEC_PER_SEC;

		if (c->variables)
			c->wrong += !first_variable();
		else if (efi_get_seconds(&seconds))
			c->refused++;
		else
			c->wrong += seconds + CLOCK_TOLERANCE_S < now || seconds > now + CLOCK_TOLERANCE_S;
		c->wrong += hal_cpu_id() != c->cpu;
	}
	complete(&c->done);
}

static void called(void *arg)
{
	__atomic_fetch_add((u32 *)arg, 1, __ATOMIC_RELAXED);
}

/* Calls and flushes reach the CPUs that are in firmware, whose tables have no user half. */
static u32 disturb(void)
{
	struct cpumask all;
	u32 count = 0, cpu;
	void *p = vmalloc(3 * PAGE_SIZE, 0);

	cpumask_clear(&all);
	for_each_online_cpu(cpu)
		cpumask_set(&all, cpu);
	smp_call_many(&all, called, &count, true);
	if (p)
		memset(p, 1, 3 * PAGE_SIZE);
	vfree(p);
	kmap_purge();
	return count;
}

SELFTEST(efi, from_all_cpus_at_once)
{
	static struct efi_caller callers[EFI_CALLERS];
	u32 n = 0, cpu, calls = 0;

	memset(callers, 0, sizeof(callers));
	for_each_online_cpu(cpu) {
		if (n + 2 > EFI_CALLERS)
			break;
		for (u32 i = 0; i < 2; i++, n++) {
			callers[n] = (struct efi_caller){ .cpu = cpu, .variables = i };
			completion_init(&callers[n].done);
			REQUIRE(kthread_run_on(cpu, efi_caller_main, &callers[n], "efi"));
		}
	}
	for (u32 i = 0; i < EFI_CALLS; i++)
		calls += disturb() > 0;
	for (u32 i = 0; i < n; i++) {
		wait_for_completion(&callers[i].done, "selftest");
		EXPECT_EQ(callers[i].wrong, 0);
		EXPECT_EQ(callers[i].refused, 0);
	}
	EXPECT_EQ(calls, EFI_CALLS);
}

/* On another CPU than the first, with others queueing for firmware: nobody gets in any more, and nothing else happens. */
SELFTEST(efi, a_fault_on_another_cpu)
{
	static struct efi_caller callers[EFI_CALLERS];
	u32 last = hal_cpu_count() - 1, n = 0, cpu;
	u64 seconds;

	if (!last || !hal_cpu_online(last)) {
		selftest_skip("no second CPU");
		return;
	}
	memset(callers, 0, sizeof(callers));
	hal_efi_test_break(8);
	report_capture_begin();
	for (cpu = last; n < EFI_CALLERS && cpu > 0; cpu--, n++) {
		callers[n] = (struct efi_caller){ .cpu = cpu };
		completion_init(&callers[n].done);
		REQUIRE(kthread_run_on(cpu, efi_caller_main, &callers[n], "efi"));
		if (!n) {	/* the last CPU is the one that meets the fault */
			wait_for_completion(&callers[n].done, "selftest");
			EXPECT(!hal_efi_has(HAL_EFI_GET_TIME));
		}
	}
	for (u32 i = 0; i < n; i++) {
		if (i)
			wait_for_completion(&callers[i].done, "selftest");
		EXPECT_EQ(callers[i].refused, EFI_CALLS);
		EXPECT_EQ(callers[i].wrong, 0);
	}
	EXPECT_REPORT("runtime services are given up");
	EXPECT_EQ(report_capture_count("runtime services are given up"), 1);
	report_capture_end();
	EXPECT(disturb() > 0);
	hal_efi_test_repair();
	EXPECT_EQ(efi_get_seconds(&seconds), 0);
}

#endif
