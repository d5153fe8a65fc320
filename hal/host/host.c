/* SPDX-License-Identifier: MIT */
/*
 * The host as a machine: CPUs, interrupt flag, time, console, ends.
 *
 * A CPU is a fibre (ucontext) of one Linux thread, so there are no races of the host's own, and a run with the same seed
 * is the same run. CPUs change only where kernel code changes the interrupt flag, leaves a section without
 * preemption, or pauses: at such a place one time in `interleave` the next CPU goes on, and a pause (a
 * spinning CPU) always lets the others run. So every lock is contended, and a per-CPU variable that is used
 * without protection is caught in the middle.
 *
 * Time is virtual: it advances by a little with each look at the clock and each pause. The one-shot timer fires where
 * the interrupt flag allows it.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <sanitizer/common_interface_defs.h>

#include <hal/numa.h>
#include <hal/backtrace.h>
#include <hal/clock.h>
#include <hal/console.h>
#include <hal/cpu.h>
#include <hal/ipi.h>
#include <hal/mem.h>
#include <hal/percpu.h>
#include <hal/nmi.h>
#include <hal/power.h>
#include <hal/pt.h>
#include <hal/tlb.h>
#include <hal/uaccess.h>
#include <hal/upcall.h>
#include "host.h"

#define MAX_FIBRES	8
#define FIBRE_STACK	(512 * 1024)
#define CLOCK_STEP_NS	50
#define PAUSE_STEP_NS	1000

struct fibre {
	struct hal_percpu pc;
	ucontext_t context;
	void *stack;
	size_t stack_size;
	void *fake_stack;	/* AddressSanitizer's */
	void (*fn)(void *arg);
	void *arg;
	bool runs;
};

static struct fibre fibres[MAX_FIBRES] = {
	{ .pc = { .preempt_count = PREEMPT_NO_RESCHED | 1, .online = true } },
};
static uint32_t fibre_count = 1;
struct hal_percpu *volatile host_cpu = &fibres[0].pc;
static uint32_t interleave;
static uint64_t random_state = 88172645463325252ull;
static uint64_t now_ns = 1;

u64 hal_direct_map_base, hal_direct_map_length, hal_image_slide;

/* ---- CPUs -------------------------------------------------------------------------------------- */

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static struct fibre *running(void)
{
	return &fibres[host_cpu->cpu];
}

/* ---- interrupts between CPUs: taken by the receiver, where its flag allows it --------------------- */

enum { HOST_IPI_KICK = 1, HOST_IPI_CALL = 2, HOST_IPI_TLB = 4, HOST_IPI_STOP = 8 };

static void take_interrupts(void)
{
	struct hal_percpu *pc = host_cpu;
	uint32_t ipis = pc->ipis;

	if (!ipis || !pc->irqs_on)
		return;
	pc->ipis = 0;
	pc->irqs_on = false;
	if (ipis & HOST_IPI_TLB) {
		pc->tlb_count++;
		upcall_ipi_tlb();
	}
	if (ipis & HOST_IPI_STOP)
		upcall_ipi_stop();
	if (ipis & HOST_IPI_CALL) {
		pc->call_count++;
		hal_irq_depth_inc();
		upcall_ipi_call();
		hal_irq_depth_dec();
	}
	if (ipis & HOST_IPI_KICK) {
		pc->resched_count++;
		hal_preempt_set_need_resched();
	}
	pc->irqs_on = true;
}

static void ipi_send(u32 cpu, uint32_t ipi)
{
	if (cpu < fibre_count && fibres[cpu].pc.online && cpu != host_cpu->cpu)
		fibres[cpu].pc.ipis |= ipi;
}

void hal_cpu_kick(u32 cpu)
{
	ipi_send(cpu, HOST_IPI_KICK);
}

void hal_ipi_call(u32 cpu)
{
	ipi_send(cpu, HOST_IPI_CALL);
}

void hal_ipi_tlb(u32 cpu)
{
	ipi_send(cpu, HOST_IPI_TLB);
}

void hal_ipi_stop(u32 cpu)
{
	ipi_send(cpu, HOST_IPI_STOP);
}

void hal_ipi_reset(void)
{
	host_cpu->ipis = 0;
}

/* ---- switching ----------------------------------------------------------------------------------- */

static void switch_to(struct fibre *next, bool ends)
{
	struct fibre *prev = running();

	if (next == prev)
		return;
	host_cpu = &next->pc;
	__sanitizer_start_switch_fiber(ends ? NULL : &prev->fake_stack, next->stack, next->stack_size);
	swapcontext(&prev->context, &next->context);
	__sanitizer_finish_switch_fiber(running()->fake_stack, NULL, NULL);
	take_interrupts();
}

/* The next CPU that has something to run. CPU 0, the test itself, always has. */
static void switch_to_next(bool ends)
{
	uint32_t cpu = host_cpu->cpu;

	do {
		cpu = (cpu + 1) % fibre_count;
	} while (cpu && !fibres[cpu].runs);
	switch_to(&fibres[cpu], ends);
}

void host_maybe_switch(void)
{
	if (interleave && next_random() % interleave == 0)
		switch_to_next(false);
}

static void fibre_main(void)
{
	struct fibre *me = running();

	__sanitizer_finish_switch_fiber(NULL, (const void **)&fibres[0].stack, &fibres[0].stack_size);
	me->fn(me->arg);
	me->runs = false;
	me->pc.online = false;	/* it answers no more */
	switch_to_next(true);
	abort();
}

uint32_t host_cpu_add(void)
{
	struct fibre *f = &fibres[fibre_count];

	if (fibre_count == MAX_FIBRES)
		abort();
	f->pc = (struct hal_percpu){ .cpu = fibre_count, .preempt_count = PREEMPT_NO_RESCHED, .irqs_on = true };
	f->pc.self = &f->pc;
	return fibre_count++;
}

void host_cpu_start(uint32_t cpu, void (*fn)(void *arg), void *arg)
{
	struct fibre *f = &fibres[cpu];

	f->pc.online = true;
	f->pc.preempt_count = PREEMPT_NO_RESCHED;
	f->pc.irqs_on = true;
	f->fn = fn;
	f->arg = arg;
	f->runs = true;
	if (!f->stack) {
		f->stack_size = FIBRE_STACK;
		f->stack = malloc(f->stack_size);
		if (!f->stack)
			abort();
	}
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = f->stack_size;
	f->fake_stack = NULL;
	makecontext(&f->context, fibre_main, 0);
}

/* CPU 0 idles meanwhile: it takes interrupts. */
void host_run_all(void)
{
	bool irqs_on = host_cpu->irqs_on;

	host_cpu->irqs_on = true;
	for (uint32_t i = 1; i < fibre_count;) {
		if (fibres[i].runs)
			switch_to_next(false);
		else
			i++;
	}
	host_cpu->irqs_on = irqs_on;
}

void host_set_interleave(uint32_t n, uint64_t seed)
{
	interleave = n;
	if (seed)
		random_state = seed;
}

u32 hal_cpu_count(void)
{
	return fibre_count;
}

u32 hal_cpu_online_count(void)
{
	u32 n = 0;

	for (uint32_t i = 0; i < fibre_count; i++)
		n += fibres[i].pc.online;
	return n;
}

/* The tests want the queue; fibres leave the CPU where they say so. */
bool hal_cpu_is_virtual(void)
{
	return false;
}

bool hal_cpu_online(u32 cpu)
{
	return cpu < fibre_count && fibres[cpu].pc.online;
}

u64 hal_percpu_offset_of(u32 cpu)
{
	return cpu < fibre_count ? fibres[cpu].pc.percpu_offset : 0;
}

void hal_percpu_set_offset(u32 cpu, u64 offset)
{
	fibres[cpu].pc.percpu_offset = offset;
}

struct hal_percpu *hal_percpu_of(u32 cpu)
{
	return cpu < fibre_count ? &fibres[cpu].pc : NULL;
}

void hal_set_current(struct thread *t)
{
	host_cpu->current = t;
}

/* ---- interrupt flag and time ------------------------------------------------------------------- */

irqflags_t hal_irq_save(void)
{
	irqflags_t f;

	host_maybe_switch();
	f = host_cpu->irqs_on;
	host_cpu->irqs_on = false;
	return f;
}

void hal_irq_restore(irqflags_t f)
{
	if (f)
		hal_irq_enable();
}

void hal_irq_disable(void)
{
	host_maybe_switch();
	host_cpu->irqs_on = false;
}

void hal_irq_enable(void)
{
	host_cpu->irqs_on = true;
	take_interrupts();
	host_maybe_switch();
}

bool hal_irq_enabled(void)
{
	return host_cpu->irqs_on;
}

void hal_cpu_relax(void)
{
	now_ns += PAUSE_STEP_NS;
	switch_to_next(false);
}

void hal_cpu_idle(void)
{
	host_cpu->irqs_on = true;
	hal_cpu_relax();
	host_cpu->irqs_on = false;
}

u64 hal_clock_ns(void)
{
	now_ns += CLOCK_STEP_NS;
	return now_ns;
}

void hal_clock_params(u64 *base, u64 *mult)
{
	*base = 0;
	*mult = 1ull << 32;
}

void host_time_advance(uint64_t ns)
{
	now_ns += ns;
}

void hal_delay_ns(u64 ns)
{
	now_ns += ns;
}

bool hal_random_seed(u64 *out)
{
	*out = next_random();
	return true;
}

/* ---- console and ends -------------------------------------------------------------------------- */

static char console_text[1 << 16];
static size_t console_used;
static int panic_pipe = -1;	/* in the child of host_catch_panic() */

void hal_console_early_write(const char *s, size_t n)
{
	if (n > sizeof(console_text) - 1 - console_used)
		n = sizeof(console_text) - 1 - console_used;
	memcpy(console_text + console_used, s, n);
	console_used += n;
	console_text[console_used] = '\0';
	if (getenv("HOST_VERBOSE"))
		(void)!write(2, s, n);
}

void host_console_show(void)
{
	const char *line = console_text;

	while (*line) {
		size_t n = strcspn(line, "\n");

		printf("# %.*s\n", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

static __noreturn void the_end(void)
{
	(void)!write(panic_pipe < 0 ? 2 : panic_pipe, console_text, console_used);
	if (panic_pipe >= 0)
		_exit(0);
	abort();
}

/* In a child process, so that the kernel that panicked is gone and this one goes on. */
int host_catch_panic(void (*fn)(void *arg), void *arg, char *buf, size_t n)
{
	static const char mark[] = "kernel panic: ";
	static char report[sizeof(console_text)];
	size_t used = 0;
	int ends[2], status;
	const char *at;
	ssize_t got;
	pid_t child;

	fflush(NULL);
	if (pipe(ends) || (child = fork()) < 0)
		abort();
	if (!child) {
		console_used = 0;
		panic_pipe = ends[1];
		host_mmu_copy_arena();
		fn(arg);
		_exit(1);
	}
	close(ends[1]);
	while ((got = read(ends[0], report + used, sizeof(report) - 1 - used)) > 0)
		used += (size_t)got;
	report[used] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	at = strstr(report, mark);
	snprintf(buf, n, "%s", at ? at + sizeof(mark) - 1 : "");
	buf[strcspn(buf, "\n")] = '\0';
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void hal_reboot(void)
{
	the_end();
}

void hal_poweroff(void)
{
	the_end();
}

void hal_halt(void)
{
	the_end();
}

void hal_cpu_halt_forever(void)
{
	the_end();
}

void hal_qemu_exit(u8 value)
{
	(void)value;
}

void hal_backtrace(const struct hal_regs *regs, hal_backtrace_fn fn, void *arg)
{
	(void)regs, (void)fn, (void)arg;
}

void hal_backtrace_thread(const struct thread *t, hal_backtrace_fn fn, void *arg)
{
	(void)t, (void)fn, (void)arg;
}

bool hal_cpu_nmi(u32 cpu)
{
	(void)cpu;
	return false;
}

const char *hal_nmi_timer_start(u64 *period_ns)
{
	(void)period_ns;
	return NULL;
}

void hal_nmi_timer_stop(void)
{
}

vaddr_t hal_call_target(vaddr_t ret)
{
	(void)ret;
	return 0;
}

void hal_panic_stack_run(void (*fn)(void))
{
	fn();
	abort();
}

void hal_regs_print(const struct hal_regs *regs, void (*emit)(const char *line, void *arg), void *arg)
{
	(void)regs;
	emit("(the host has no registers to show)", arg);
}

const char *hal_trap_name(u32 vector)
{
	(void)vector;
	return "trap";
}

/* ---- memory ------------------------------------------------------------------------------------ */

void hal_copy_page(void *dst, const void *src)
{
	memcpy(dst, src, HAL_PAGE_SIZE);
}

void hal_zero_page(void *page)
{
	memset(page, 0, HAL_PAGE_SIZE);
}

void host_machine_init(uint64_t first, uint64_t bytes)
{
	int fd = memfd_create("arena", 0);

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		abort();
	fibres[0].pc.self = &fibres[0].pc;
	hal_direct_map_base = HOST_DIRECT_MAP;
	hal_direct_map_length = (first + bytes + (1ull << 30) - 1) & ~((1ull << 30) - 1);
	if (mmap((void *)(HOST_DIRECT_MAP + first), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
		 0) == MAP_FAILED)
		abort();
	host_mmu_init(fd, first, bytes);
}

/* ---- nodes: hal/numa.h ---- */

static uint64_t node_border, node_end;

void host_nodes_split(uint64_t border, uint64_t end)
{
	node_border = border;
	node_end = end;
}

u32 hal_numa_nodes(void)
{
	return node_border ? 2 : 1;
}

u32 hal_numa_node_of_cpu(u32 cpu)
{
	return node_border ? cpu & 1 : 0;
}

bool hal_numa_memory(u32 i, paddr_t *base, u64 *bytes, u32 *node)
{
	if (!node_border || i > 1)
		return false;
	*base = i ? node_border : 0;
	*bytes = i ? node_end - node_border : node_border;
	*node = i;
	return true;
}

u32 hal_numa_distance(u32 a, u32 b)
{
	return a == b ? HAL_NODE_LOCAL : HAL_NODE_REMOTE;
}
