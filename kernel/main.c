/* SPDX-License-Identifier: MIT */
/*
 * The boot list: how Halcyon comes up, in order, and who hands over to whom.
 *
 *   kernel_main()   on the boot CPU's first stack, interrupts off, nothing but the handoff. Ends as that CPU's
 *                   idle thread.
 *   boot_thread()   the first kernel thread: everything that may sleep. Ends as the creator of PID 1.
 *   kernel_secondary_main()   on each other CPU, whenever it starts; ends as its idle thread. What has to be done
 *                   for it on other CPUs stands in cpu_steps.
 *
 * Only this file sees all layers. A step that is out of place is a bug here, not in the step.
 */
#define LOG_TAG "boot"
#include <boot/bootinfo.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/mem.h>
#include <hal/smp.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/log.h>
#include <kernel/core/random.h>
#include <kernel/core/rcu.h>
#include <kernel/core/reboot.h>
#include <kernel/core/record.h>
#include <kernel/core/selftest.h>
#include <kernel/core/smpcall.h>
#include <kernel/core/symbols.h>
#include <kernel/core/tlb.h>
#include <kernel/debug/debug.h>
#include <kernel/debug/leaks.h>
#include <kernel/dev/cpu.h>
#include <kernel/dev/clocksource.h>
#include <kernel/dev/efi.h>
#include <kernel/dev/node.h>
#include <kernel/dev/device.h>
#include <kernel/dev/hwrng.h>
#include <kernel/dev/pci.h>
#include <kernel/dev/irq.h>
#include <kernel/dev/tty.h>
#include <kernel/dev/virtio.h>
#include <kernel/dev/vulnerabilities.h>
#include <kernel/fs/fs.h>
#include <kernel/ipc/futex.h>
#include <kernel/ipc/pipe.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/exec.h>
#include <kernel/proc/machine_files.h>
#include <kernel/proc/vm_files.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/timer.h>
#include <kernel/sched/work.h>
#include <kernel/signal/signal.h>
#include <kernel/syscall/syscall.h>
#include <kernel/task/task.h>
#include <kernel/vfs/vfs.h>
#include <kernel/vm/space.h>
#include <kernel/vm/vdso.h>
#include <lib/string.h>

/* The handoff lies in memory that is given to the allocator: this copy is what stays. */
static struct bootinfo boot_info; /* [I] after kernel_main() */

static void *boot_virt(paddr_t base)
{
	return hal_phys_to_virt(base);
}

static const struct bootinfo_region *boot_region(u32 i)
{
	return (const void *)((const u8 *)boot_virt(boot_info.regions) + (u64)i * boot_info.region_size);
}

/* ---- memory ------------------------------------------------------------------------------------ */

/* RAM that was ours to use when the firmware let go of it, whoever lives in it now. */
static bool is_usable(u32 type)
{
	return type == BOOT_MEM_USABLE || type == BOOT_MEM_BOOT_SERVICES || type == BOOT_MEM_LOADER_RECLAIM ||
	       type == BOOT_MEM_KERNEL || type == BOOT_MEM_INITRD || type == BOOT_MEM_TRAMPOLINE || type == BOOT_MEM_LOW;
}

/* What the allocator starts with. */
static void boot_memory(void)
{
	u64 usable = 0;

	for (u32 i = 0; i < boot_info.region_count; i++) {
		const struct bootinfo_region *r = boot_region(i);

		if (is_usable(r->type))
			usable += r->length;
		if (r->type == BOOT_MEM_USABLE || r->type == BOOT_MEM_BOOT_SERVICES)
			mm_boot_add_ram(r->base, r->length);
	}
	log_info("%llu KiB usable in the firmware's map", (unsigned long long)(usable / KIB));
}

/* Gives back a piece of loader memory but for the page tables, which the kernel goes on using. */
static void free_around_tables(paddr_t base, u64 length)
{
	paddr_t end = base + length;
	paddr_t keep = boot_info.page_tables.base, keep_end = keep + boot_info.page_tables.length;

	if (keep_end <= base || end <= keep) {
		mm_free_range(base, length);
		return;
	}
	if (base < keep)
		mm_free_range(base, keep - base);
	if (keep_end < end)
		mm_free_range(keep_end, end - keep_end);
}

#define BOOT_RECLAIM_MAX 64u

/* The list of what to free lies in what is freed: copy it first. */
static void boot_reclaim(void)
{
	static struct bootinfo_region reclaim[BOOT_RECLAIM_MAX];
	u32 n = 0;
	u64 bytes = 0;

	for (u32 i = 0; i < boot_info.region_count && n < BOOT_RECLAIM_MAX; i++) {
		const struct bootinfo_region *r = boot_region(i);

		if (r->type == BOOT_MEM_LOADER_RECLAIM || r->type == BOOT_MEM_INITRD)
			reclaim[n++] = *r;
	}
	for (u32 i = 0; i < n; i++) {
		free_around_tables(reclaim[i].base, reclaim[i].length);
		bytes += reclaim[i].length;
	}
	boot_info.regions = boot_info.region_count = 0;
	log_debug("gave back %llu KiB of the loader's and the initrd's memory", (unsigned long long)(bytes / KIB));
}

/* ---- init -------------------------------------------------------------------------------------- */

#define INIT_WORDS 32u /* arguments and variables that the command line may give */
#define INIT_TEXT 2048u

struct init_words {
	const char *args[INIT_WORDS + 1];
	const char *envp[INIT_WORDS + 1];
	u32 nr_args, nr_envp;
	char text[INIT_TEXT];
	u32 used;
};

static const char *keep_word(struct init_words *w, const char *word)
{
	size_t n = strlen(word) + 1;
	char *at = w->text + w->used;

	if (w->used + n > INIT_TEXT)
		return NULL;
	memcpy(at, word, n);
	w->used += (u32)n;
	return at;
}

static void add_word(struct init_words *w, const char **list, u32 *count, const char *word)
{
	const char *kept = *count < INIT_WORDS ? keep_word(w, word) : NULL;

	if (!kept)
		panic("too many words for init on the command line, at '%s'", word);
	list[(*count)++] = kept;
	list[*count] = NULL;
}

/* Words of the command line that the kernel itself obeys; every other one goes to init, as on Linux. */
static bool is_kernel_word(const char *word)
{
	static const char *const known[] = {
		"console", "debug", "deathtest", "failslab", "hung_task_panic", "hung_task_timeout", "ignore_loglevel", "init",
		"initrd", "leakcheck", "lock_stat", "nmi_watchdog",
		"loglevel", "maxcpus", "nohz", "mitigations", "nokaslr", "nopti", "nosmp", "nr_cpus", "norandmaps", "panic", "pti",
		"qemu-exit", "quiet", "rdinit",
		"record", "ro", "root", "rw", "selftest", "selftest-continue", "trace", "BOOT_IMAGE", "efi", "noefi", "numa", "reboot",
		"earlyprintk", "tsc", "noapic", "clocksource", "vdso", "random.seed",
	};
	const char *eq = strchr(word, '=');
	size_t n = eq ? (size_t)(eq - word) : strlen(word);

	if (memchr(word, '.', n))
		return true; /* a parameter of a module, never init's */
	for (u32 i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i]) == n && !memcmp(known[i], word, n))
			return true;
	return false;
}

static void collect_init_words(struct init_words *w, const char *path)
{
	char word[256];
	size_t pos = 0;

	add_word(w, w->args, &w->nr_args, path);
	add_word(w, w->envp, &w->nr_envp, "HOME=/");
	add_word(w, w->envp, &w->nr_envp, "TERM=linux");
	while (cmdline_next_word(&pos, word, sizeof(word))) {
		if (is_kernel_word(word))
			continue;
		if (strchr(word, '='))
			add_word(w, w->envp, &w->nr_envp, word);
		else
			add_word(w, w->args, &w->nr_args, word);
	}
	for (u32 i = 0; cmdline_init_arg(i, word, sizeof(word)); i++)
		add_word(w, w->args, &w->nr_args, word);
}

/* rdinit=, and what Linux tries when that does not run. */
static void start_init(void)
{
	static struct init_words words;
	static char rdinit[256] = "/init", init[256];
	static const char *paths[7];
	u32 n = 0;

	(void)cmdline_find("rdinit", rdinit, sizeof(rdinit));
	paths[n++] = rdinit;
	if (cmdline_find("init", init, sizeof(init))) {
		paths[n++] = init;
	} else {
		paths[n++] = "/sbin/init";
		paths[n++] = "/etc/init";
		paths[n++] = "/bin/init";
		paths[n++] = "/bin/sh";
	}
	collect_init_words(&words, rdinit);
	proc_start_init(paths, words.args, words.envp);
}

/* ---- the lists --------------------------------------------------------------------------------- */

/*
 * What is done for a CPU that comes, in this order, and for one that goes, in the reverse order (kernel/core/cpuhp.h).
 * First what everything else allocates from, then what it is recorded and reported with, and the scheduler late: behind
 * its step the CPU runs threads.
 */
static const struct cpuhp_step *const cpu_steps[] = {
	&pages_cpuhp,
	&slab_cpuhp,
	&smpcall_cpuhp,
	&tlb_cpuhp,
	&rcu_cpuhp,
	&record_cpuhp,
	&vm_cpuhp,
	&irq_cpuhp, /* devices' lines and messages move away from a CPU while it still takes what is pending */
	&timer_cpuhp, /* outside of the scheduler: a tick of the CPU that goes is none of ours */
	&idle_cpuhp,
	&sched_cpuhp, /* from here on it takes threads */
	&work_cpuhp,
	&cpu_files_cpuhp,
};

/* Everything from here on may sleep. */
static void boot_thread(void *arg)
{
	(void)arg;
	sched_work_init(); /* bottom halves, and the thread that runs RCU callbacks */
	sched_purge_init(); /* vfree() waits for no CPU */
	clock_init();
	task_init(); /* pids, users, credentials, limits from the size of RAM */
	signal_init();
	vm_init();
	vdso_init(); /* programs read the clock without us */
	vfs_init();
	fs_init(); /* / is an empty tmpfs from here on */
	pipe_init();
	futex_init();
	proc_init();
	proc_vm_files_init(); /* /proc/meminfo, /proc/PID/maps and the like */
	proc_numa_files_init();
	machine_files_init();
	syscall_init();
	vulnerabilities_init(); /* /sys/devices/system/cpu/vulnerabilities */
	mem_devices_init();
	clocksource_files_init();
	irq_files_init(); /* before drivers ask for interrupts */
	tty_init();
	serial_init();
	efi_init();
	driver_model_init();
	pci_init(); /* what is on the buses, before the drivers that want it */
	hwrng_init();
	virtio_init();
	virtio_rng_init();
	debug_init(); /* /proc/halcyon, the shell after a panic */
	cpuhp_boot(cpu_steps, ARRAY_SIZE(cpu_steps)); /* all other CPUs, at once: everything above has its per-CPU part */
	cpu_files_init();
	node_init();
	selftest_main(); /* selftest=, deathtest=: before anything of the user's runs */
	debug_leak_baseline();
	if (boot_info.initrd.length)
		(void)initramfs_unpack("initrd", boot_virt(boot_info.initrd.base), boot_info.initrd.length);
	boot_reclaim();
	log_info("starting init after %llu us", (unsigned long long)(hal_clock_ns() / 1000));
	start_init();
}

void kernel_secondary_main(u32 cpu)
{
	cpuhp_run_starting(cpu);
	hal_smp_online(); /* others count on it from here */
	preempt_enable_no_resched();
	hal_irq_enable();
	sched_idle_loop();
}

void kernel_main(const struct bootinfo *bi)
{
	log_init(); /* nothing before it may speak */
	hal_early_init(bi); /* checks the handoff; a console; what the CPU has */
	boot_info = *bi;
	cmdline_init(boot_virt(bi->cmdline.base), bi->cmdline.length);
	serial_choose_line();
	log_setup();
	panic_setup();
	record_setup();
	reboot_setup();
	symbols_init();
	boot_memory();
	mm_init(); /* page frames, and the kernel's own page tables: the loader's identity page is gone */
	slab_init();
	kmap_init();
	rcu_init();
	random_init(boot_info.seed, sizeof(boot_info.seed));
	memset(boot_info.seed, 0, sizeof(boot_info.seed));
	hal_late_init(); /* ACPI, interrupt controllers, the clock: they map and allocate */
	mm_numa_init(); /* the tables have said which memory is near to whom */
	sched_init(); /* this context is the idle thread now */
	preempt_enable_no_resched(); /* the boot code's own: hal/percpu.h */
	hal_irq_enable(); /* memory is plenty: nothing here really sleeps, which an idle thread could not */
	VERIFY(kthread_run(boot_thread, NULL, "boot"));
	sched_idle_loop();
}
