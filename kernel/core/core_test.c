/* SPDX-License-Identifier: MIT */
/* Self tests of core: log, command line, random numbers, RCU, symbols; and the deaths that core must report. */
#define LOG_TAG "test"
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/mem.h>
#include <hal/uaccess.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/random.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/seqlock.h>
#include <kernel/core/spinlock.h>
#include <kernel/core/symbols.h>
#include <lib/fls.h>
#include <lib/refcount.h>
#include <lib/string.h>

/* ---- log --------------------------------------------------------------------------------------- */

SELFTEST(log, records_come_back)
{
	u64 seq = log_next_seq(), missed = 7;
	struct log_record rec;
	char text[64];
	ssize_t n;

	log_printf(LOG_DEBUG, "one %d\ntwo", 1);
	n = log_read(&seq, &rec, text, sizeof(text), &missed);
	EXPECT_EQ(n, 5);
	EXPECT_EQ(missed, 0);
	EXPECT(n == 5 && memcmp(text, "one 1", 5) == 0);
	EXPECT_EQ(rec.level, LOG_DEBUG);
	n = log_read(&seq, &rec, text, 2, NULL);
	EXPECT_EQ(n, 3);
	EXPECT(memcmp(text, "tw", 2) == 0);
	EXPECT_EQ(rec.seq + 1, seq);
	seq = log_next_seq();
	EXPECT_EQ(log_read(&seq, &rec, text, sizeof(text), NULL), -EAGAIN);
}

SELFTEST(log, old_records_give_way)
{
	u64 first = log_first_seq(), seq = first, missed = 0;
	struct log_record rec;
	char text[LOG_RECORD_MAX];
	int level = log_console_level;

	log_console_level = 1;
	for (u32 i = 0; i < 3000 && log_first_seq() <= first + 10; i++)
		log_printf(LOG_DEBUG, "filler %u %0200u", i, i);
	log_console_level = level;
	EXPECT(log_first_seq() > first);
	EXPECT(log_read(&seq, &rec, text, sizeof(text), &missed) > 0);
	EXPECT(missed > 0);
	EXPECT_EQ(rec.seq, first + missed);
}

SELFTEST(log, long_lines_are_cut)
{
	u64 seq = log_next_seq();
	struct log_record rec;
	char text[LOG_RECORD_MAX];

	log_printf(LOG_DEBUG, "%01000d", 0);
	EXPECT_EQ(log_read(&seq, &rec, text, sizeof(text), NULL), LOG_LINE_MAX);
}

SELFTEST(log, rate_is_limited)
{
	struct ratelimit r = RATELIMIT_INIT(1000000000ull, 3);
	u32 ok = 0;

	r.begin_ns = hal_clock_ns();
	for (u32 i = 0; i < 10; i++)
		ok += ratelimit_ok(&r, "test");
	EXPECT_EQ(ok, 3);
	EXPECT_EQ(r.missed, 7);
}

/* ---- command line (test/host has the mean ones) -------------------------------------------------- */

SELFTEST(cmdline, knows_itself)
{
	char value[64];

	EXPECT(cmdline_find("selftest", value, sizeof(value)));
	EXPECT(cmdline_has("selftest"));
	EXPECT(!cmdline_has("self"));
	EXPECT(!cmdline_find("no-such-key", value, sizeof(value)));
	EXPECT_EQ(cmdline_u64("no-such-key", 42), 42);
}

/* ---- random ------------------------------------------------------------------------------------ */

SELFTEST(random, differs)
{
	u8 a[100] = { 0 }, b[100] = { 0 };
	u32 zero = 0;

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	EXPECT(memcmp(a, b, sizeof(a)) != 0);
	for (u32 i = 0; i < sizeof(a); i++)
		zero += a[i] == 0;
	EXPECT(zero < 20);
	EXPECT(random_u64() != random_u64());
	for (u32 i = 0; i < 1000; i++)
		if (!EXPECT(random_below(7) < 7))
			break;
	EXPECT_EQ(random_below(0), 0);
	EXPECT_EQ(random_below(1), 0);
}

SELFTEST(random, bits_are_even)
{
	u32 ones = 0;

	for (u32 i = 0; i < 4096; i++)
		ones += popcount64(random_u64());
	/* 131072 expected; six standard deviations are 1536. */
	EXPECT(ones > 131072 - 1536 && ones < 131072 + 1536);
}

/* What a source brings makes no new key until it is worth one; what it says beyond its size does not count. */
SELFTEST(random, credit_is_spent_in_whole_keys)
{
	u8 data[16] = { 1, 2, 3 };
	u32 before;
	u64 bits;

	do { /* whatever an earlier source left in the pool is used up */
		before = random_generation();
		random_add_entropy(data, sizeof(data), 128);
	} while (random_generation() == before);
	before = random_generation();
	bits = random_credited_bits();
	random_add_entropy(data, sizeof(data), 100000);
	EXPECT_EQ(random_credited_bits(), bits + 128);
	for (u32 i = 0; i < 100; i++)
		random_add_entropy(data, sizeof(data), 0);
	random_add_entropy(data, sizeof(data), 127);
	EXPECT_EQ(random_generation(), before);
	random_add_entropy(data, 1, 1);
	EXPECT_EQ(random_generation(), before + 1);
	random_add_entropy(data, sizeof(data), 128);
	EXPECT_EQ(random_generation(), before + 1);
}

/* ---- symbols ----------------------------------------------------------------------------------- */

SELFTEST(symbols, find_each_other)
{
	u64 offset = 99, size = 0;
	vaddr_t at = (vaddr_t)(uintptr_t)symbol_lookup;
	const char *name = symbol_lookup(at, &offset, &size);
	char text[64];

	REQUIRE(name);
	EXPECT(strcmp(name, "symbol_lookup") == 0);
	EXPECT_EQ(offset, 0);
	EXPECT(size > 16);
	EXPECT_EQ(symbol_address("symbol_lookup"), at);
	EXPECT_EQ(symbol_address("no_such_symbol"), 0);
	EXPECT(!symbol_lookup(0, &offset, &size));
	snprintf(text, sizeof(text), "%pS", (void *)(uintptr_t)(at + 4));
	EXPECT(str_has_prefix(text, "symbol_lookup+0x4/"));
}

/* ---- locks ------------------------------------------------------------------------------------- */

SELFTEST(locks, count_and_free)
{
	struct spinlock l;
	irqflags_t f;
	u32 before = hal_preempt_count();

	spin_init(&l, "test", LOCK_RANK_LEAF);
	EXPECT(!spin_is_locked(&l));
	f = spin_lock_irqsave(&l);
	EXPECT(spin_is_locked(&l));
	EXPECT(!hal_irq_enabled());
	EXPECT(in_atomic());
	EXPECT(!spin_trylock(&l));
	spin_assert_held(&l);
	spin_unlock_irqrestore(&l, f);
	EXPECT(hal_irq_enabled());
	f = hal_irq_save();
	EXPECT(spin_trylock(&l));
	spin_unlock(&l);
	hal_irq_restore(f);
	EXPECT_EQ(hal_preempt_count(), before);
}

SELFTEST(locks, often)
{
	struct spinlock l;

	spin_init(&l, "test", LOCK_RANK_VM_LEAF);
	for (u32 i = 0; i < 0x10010; i++) {
		spin_lock(&l);
		spin_unlock(&l);
	}
	EXPECT(!spin_is_locked(&l));
	EXPECT(spin_trylock(&l));
	spin_unlock(&l);
}

SELFTEST(locks, equal_rank_when_said)
{
	struct spinlock a, b;

	spin_init(&a, "test a", LOCK_RANK_DENTRY);
	spin_init(&b, "test b", LOCK_RANK_DENTRY);
	spin_lock(&a);
	spin_lock_nested(&b);
	spin_unlock(&a);
	spin_unlock(&b);
	EXPECT(!in_atomic());
}

SELFTEST(locks, seqcount)
{
	struct seqcount s = SEQCOUNT_INIT;
	u32 n = seqcount_read_begin(&s);

	EXPECT(!seqcount_read_retry(&s, n));
	seqcount_write_begin(&s);
	EXPECT(seqcount_read_raw(&s) & 1);
	EXPECT(seqcount_read_retry(&s, n));
	seqcount_write_end(&s);
	EXPECT(seqcount_read_retry(&s, n));
	n = seqcount_read_begin(&s);
	seqcount_invalidate(&s);
	EXPECT(seqcount_read_retry(&s, n));
}

/* ---- RCU --------------------------------------------------------------------------------------- */

struct rcu_probe {
	struct rcu_head head;
	u32 *order;
	u32 seen;
};

static void rcu_probe_fn(struct rcu_head *head)
{
	struct rcu_probe *p = container_of(head, struct rcu_probe, head);

	p->seen = ++*p->order;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Waits by yielding the CPU the hard way: core knows no sleeping. True: it happened in time. */
static bool wait_for(const u32 *value, u32 at_least)
{
	u64 end = hal_clock_ns() + 20000000000ull; /* the host may be busy */

	while (READ_ONCE(*value) < at_least) {
		if (hal_clock_ns() > end)
			return false;
		rcu_expedite();
		preempt_disable();
		preempt_enable();
		hal_cpu_relax();
	}
	return true;
}

SELFTEST(rcu, callbacks_run_in_order)
{
	static struct rcu_probe probes[300];
	static u32 order;

	order = 0;
	for (u32 i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i] = (struct rcu_probe){ .order = &order };
		call_rcu(&probes[i].head, rcu_probe_fn);
	}
	REQUIRE(wait_for(&order, ARRAY_SIZE(probes)));
	for (u32 i = 0; i < ARRAY_SIZE(probes); i++)
		if (!EXPECT_EQ(probes[i].seen, i + 1))
			break;
}

SELFTEST(rcu, a_reader_holds_it_up)
{
	static struct rcu_probe probe;
	static u32 order;
	struct rcu_stats before, after;
	u64 until;

	order = 0;
	probe = (struct rcu_probe){ .order = &order };
	rcu_read_lock();
	rcu_stats(&before);
	call_rcu(&probe.head, rcu_probe_fn);
	rcu_expedite();
	until = hal_clock_ns() + 10000000ull;
	while (hal_clock_ns() < until)
		hal_cpu_relax();
	EXPECT_EQ(READ_ONCE(order), 0);
	rcu_stats(&after);
	EXPECT_EQ(after.grace_periods, before.grace_periods);
	rcu_read_unlock();
	EXPECT(wait_for(&order, 1));
	rcu_stats(&after);
	EXPECT(after.grace_periods > before.grace_periods);
	EXPECT_EQ(after.queued, after.invoked);
}

/* ---- deaths ------------------------------------------------------------------------------------ */

/* Keeps the compiler from knowing what a pointer is. */
static void *hide(u64 address)
{
	volatile u64 v = address;

	return (void *)v;
}

DEATHTEST(assert, "ASSERT(1 + 1 == 3) failed")
{
	ASSERT(1 + 1 == 3);
}

DEATHTEST(verify, "VERIFY(!hal_irq_enabled()) failed")
{
	VERIFY(!hal_irq_enabled());
}

__no_kasan DEATHTEST(null_read, "null pointer dereference: read")
{
	(void)*(volatile u32 *)hide(8);
}

__no_kasan DEATHTEST(null_write, "null pointer dereference: write")
{
	*(volatile u32 *)hide(16) = 1;
}

DEATHTEST(null_call, "jump to null")
{
	((void (*)(void))hide(0))();
}

DEATHTEST(unmapped_read, "access to unmapped memory: read")
{
	(void)*(volatile u32 *)hide(HAL_KMAP_END - 4096);
}

__no_kasan DEATHTEST(noncanonical, "kernel trap")
{
	(void)*(volatile u32 *)hide(0x1234567890abcdefull);
}

DEATHTEST(write_text, "write to kernel text")
{
	*(volatile u8 *)hide((u64)(uintptr_t)symbol_lookup) = 0xcc;
}

DEATHTEST(write_text_direct_map, "write to read-only memory")
{
	*(volatile u8 *)hal_phys_to_virt(hal_image_to_phys(hide((u64)(uintptr_t)symbol_lookup))) = 0xcc;
}

DEATHTEST(write_rodata, "write to read-only memory")
{
	static const char text[] = "constant";

	*(volatile char *)hide((u64)(uintptr_t)text) = 'C';
}

DEATHTEST(exec_data, "execution of data")
{
	static u8 code[16] = { 0xc3 };

	((void (*)(void))hide((u64)(uintptr_t)code))();
}

DEATHTEST(exec_stack, "execution of data")
{
	u8 code[16] = { 0xc3 };

	((void (*)(void))hide((u64)(uintptr_t)code))();
}

DEATHTEST(stack_overflow, "kernel stack overflow")
{
	volatile u8 room[1024];
	void (*again)(void) = hide((u64)(uintptr_t)deathtest_stack_overflow);

	room[0] = 1;
	again();
	(void)room[0];
}

static noinline __no_kasan void smash(volatile u8 *p)
{
	for (u32 i = 0; i < 64; i++)
		p[i] = 0x41;
}

static noinline __no_kasan void smash_victim(void)
{
	volatile u8 buf[16];

	smash(hide((u64)(uintptr_t)buf));
}

DEATHTEST(stack_canary, "stack canary of")
{
	smash_victim();
}

DEATHTEST(lock_inversion, "lock inversion: \"test outer\"")
{
	struct spinlock outer, inner;

	spin_init(&outer, "test outer", LOCK_RANK_FILES);
	spin_init(&inner, "test inner", LOCK_RANK_OBJECT);
	spin_lock(&inner);
	spin_lock(&outer);
}

DEATHTEST(lock_recursion, "lock recursion: \"test\"")
{
	struct spinlock l;

	spin_init(&l, "test", LOCK_RANK_OBJECT);
	spin_lock(&l);
	spin_lock(&l);
}

DEATHTEST(unlock_unheld, "is not held here")
{
	struct spinlock l;

	spin_init(&l, "test", LOCK_RANK_OBJECT);
	spin_unlock(&l);
}

DEATHTEST(sleep_atomic, "sleeping call in atomic context")
{
	preempt_disable();
	might_sleep();
}

DEATHTEST(refcount_underflow, "reference count")
{
	refcount_t r = REFCOUNT_INIT(0);

	(void)!refcount_put_and_test(&r);
}

DEATHTEST(undefined_instruction, "kernel trap")
{
	__builtin_trap();
}

DEATHTEST(panic_in_irqs_off, "on purpose")
{
	hal_irq_disable();
	panic("on purpose");
}

SELFTEST(capture, takes_warnings_only)
{
	u64 before = log_next_seq();

	report_capture_begin();
	log_warn("planted warning %d", 1);
	log_printf(LOG_ERR, "  a detail\n");
	log_info("planted note");
	EXPECT_REPORT("test: planted warning 1");
	EXPECT(!report_capture_has("planted note"));
	EXPECT_EQ(report_capture_count("planted"), 1);
	EXPECT_EQ(report_capture_reports(), 1);
	report_capture_end();
	EXPECT(!report_capture_active());
	EXPECT(log_next_seq() >= before + 1);
}
