/* SPDX-License-Identifier: MIT */
/*
 * Who decides that an allocation fails (debug/failslab.h), and remembers the last one that did.
 *
 * The decision is asked in any context: it takes no lock, allocates nothing and reads its settings racily. Order of the
 * questions, as on Linux: the task's own count (fail-nth), which overrules everything else; then probability, the
 * filters, space, interval, chance, the call site, times. The call site costs a walk over the stack and comes late.
 *
 * Kernel threads and interrupts have no fail-nth; they are subject to the settings unless task-filter is on.
 *
 * fail-nth is read and written without any allocation, so that a program can use the file around the very call that
 * it tests.
 */
#define LOG_TAG "failslab"
#include <hal/backtrace.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/selftest.h>
#include <kernel/core/symbols.h>
#include <kernel/debug/debug.h>
#include <kernel/debug/failslab.h>
#include <kernel/mm/slab.h>
#include <kernel/task/cred.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/iter.h>
#include <lib/bitmap.h>
#include <lib/printf.h>
#include <lib/string.h>

#if HALCYON_DEBUG

#define DEPTH_DEFAULT	32u
#define LAST_DEPTH	16u	/* frames of the last failure that are kept */
#define TIMES_NO_LIMIT	(-1)

/* Key: [l] written under lock, read racily; [a] atomic. */
static struct {
	struct spinlock lock;
	u32 probability;	/* [l] percent; 0: off */
	u32 interval;		/* [l] of those that are asked, every so many-th */
	u32 verbose;		/* [l] */
	bool task_filter;	/* [l] */
	bool ignore_wait;	/* [l] */
	bool armed;		/* [a] PID 1 runs its program */
	u32 depth;		/* [l] frames that the call site is looked for in */
	u64 min_bytes, max_bytes;	/* [l] */
	vaddr_t require_start, require_end, reject_start, reject_end;	/* [l] */
	s64 times;		/* [a] */
	s64 space;		/* [a] bytes */
	u64 asked, failed;	/* [a] */
	u64 seed;		/* [a] of the chance: the same seed, the same sequence */
} fs = { .lock = SPINLOCK_INIT("failslab", LOCK_RANK_LEAF), .interval = 1, .times = 1, .depth = DEPTH_DEFAULT,
	 .max_bytes = ~0ull, .require_end = ~0ull, .seed = 1 };

/* The last failure: for the one who wonders who broke. Torn when two fail at once; only text comes of it. */
static struct {
	size_t bytes;
	u32 flags;
	u32 depth;
	char task[TASK_COMM_LEN];
	vaddr_t frames[LAST_DEPTH];
} last;

/* ---- the decision ------------------------------------------------------------------------------ */

/* An xorshift generator (Marsaglia 2003): reproducible, no lock. */
static u32 chance(u32 below)
{
	u64 old = READ_ONCE(fs.seed), x;

	do {
		x = old;
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	} while (!try_cmpxchg(&fs.seed, &old, x));
	return (u32)((x >> 33) % below);
}

struct site {
	u32 left;
	bool required, rejected;
};

static bool site_frame(vaddr_t ip, const struct hal_regs *regs, void *arg)
{
	struct site *s = arg;

	(void)regs;
	if (ip >= fs.reject_start && ip < fs.reject_end)
		s->rejected = true;
	if (ip >= fs.require_start && ip < fs.require_end)
		s->required = true;
	return --s->left > 0 && !s->rejected;
}

static bool site_matches(void)
{
	struct site s = { .left = READ_ONCE(fs.depth) };

	if (!fs.require_start && fs.require_end == ~0ull && !fs.reject_end)
		return true;
	if (s.left)
		hal_backtrace(NULL, site_frame, &s);
	return s.required && !s.rejected;
}

/* The index is the caller's own: others may write to `last` at the same time. */
static bool last_frame(vaddr_t ip, const struct hal_regs *regs, void *arg)
{
	u32 *n = arg;

	(void)regs;
	last.frames[(*n)++] = ip;
	return *n < LAST_DEPTH;
}

/* Says yes, and remembers it. */
static bool fail(size_t bytes, u32 flags, const struct task *t)
{
	u32 n = 0;

	last.bytes = bytes;
	last.flags = flags;
	if (t)
		thread_name_text(&t->thread, last.task);
	else
		strlcpy(last.task, "kernel", sizeof(last.task));
	hal_backtrace(NULL, last_frame, &n);
	last.depth = n;
	__atomic_fetch_add(&fs.failed, 1, __ATOMIC_RELAXED);
	if (READ_ONCE(fs.verbose))
		log_printf(LOG_NOTICE, "failslab: %zu bytes, flags %#x, for %s", bytes, flags, last.task);
	if (READ_ONCE(fs.verbose) > 1)
		backtrace_print(LOG_NOTICE);
	return true;
}

/* Programs run: before, a failure would only say that there is no memory to boot with. */
static bool is_armed(void)
{
	struct process *p = READ_ONCE(process_init_task);

	if (likely(READ_ONCE(fs.armed)))
		return true;
	if (!p || !READ_ONCE(p->did_exec))
		return false;
	WRITE_ONCE(fs.armed, true);
	return true;
}

/* One step towards 0 of a counter that may already be there; true when there was something to take. */
static bool take(s64 *counter, s64 n)
{
	s64 old = READ_ONCE(*counter);

	do {
		if (old < n)
			return false;
	} while (!try_cmpxchg(counter, &old, old - n));
	return true;
}

static bool filters_match(size_t bytes, u32 flags, const struct task *t)
{
	if (bytes < READ_ONCE(fs.min_bytes) || bytes > READ_ONCE(fs.max_bytes))
		return false;
	if (READ_ONCE(fs.ignore_wait) && !(flags & MM_NOWAIT))
		return false;
	return !READ_ONCE(fs.task_filter) || (t && READ_ONCE(t->make_it_fail));
}

static bool settings_say(size_t bytes, u32 flags, const struct task *t)
{
	u32 interval = READ_ONCE(fs.interval);

	if (!filters_match(bytes, flags, t) || !READ_ONCE(fs.times) || !is_armed())
		return false;
	if (take(&fs.space, (s64)bytes))
		return false;
	if (interval > 1 && __atomic_add_fetch(&fs.asked, 1, __ATOMIC_RELAXED) % interval)
		return false;
	if (READ_ONCE(fs.probability) <= chance(100) || !site_matches())
		return false;
	return READ_ONCE(fs.times) == TIMES_NO_LIMIT || take(&fs.times, 1);
}

static bool failslab_ask(size_t bytes, u32 flags)
{
	struct task *t = in_irq() ? NULL : task_current_or_null();
	u32 nth = t ? READ_ONCE(t->fail_nth) : 0;

	if (nth) {
		WRITE_ONCE(t->fail_nth, nth - 1);
		return nth == 1 && fail(bytes, flags, t);
	}
	if (likely(!READ_ONCE(fs.probability)))
		return false;
	return settings_say(bytes, flags, t) && fail(bytes, flags, t);
}

/* ---- settings ---------------------------------------------------------------------------------- */

static int set_symbol(const char *name, vaddr_t *start, vaddr_t *end)
{
	vaddr_t at = symbol_address(name);
	u64 offset, size;

	if (!*name) {	/* "caller=" takes the range away */
		*start = 0;
		*end = start == &fs.require_start ? ~0ull : 0;
		return 0;
	}
	if (!at || !symbol_lookup(at, &offset, &size))
		return -EINVAL;
	*start = at;
	*end = at + size;
	return 0;
}

static int set_number(const char *text, u64 max, u64 *out)
{
	const char *end;
	u64 v;

	if (parse_u64(text, 0, &v, &end) || *end || v > max)
		return -EINVAL;
	*out = v;
	return 0;
}

static int set_bool(const char *text, bool *out)
{
	bool yes = strcmp(text, "Y") == 0 || strcmp(text, "y") == 0 || strcmp(text, "1") == 0;

	if (!yes && strcmp(text, "N") != 0 && strcmp(text, "n") != 0 && strcmp(text, "0") != 0)
		return -EINVAL;
	*out = yes;
	return 0;
}

static int set_times(const char *text)
{
	u64 v;

	if (strcmp(text, "-1") == 0) {
		WRITE_ONCE(fs.times, TIMES_NO_LIMIT);
		return 0;
	}
	if (set_number(text, INT64_MAX, &v))
		return -EINVAL;
	WRITE_ONCE(fs.times, (s64)v);
	return 0;
}

static int set_u32(const char *text, u64 max, u32 *to)
{
	u64 v;

	if (set_number(text, max, &v))
		return -EINVAL;
	WRITE_ONCE(*to, (u32)v);
	return 0;
}

static int set_word(const char *key, const char *value)
{
	u64 v;
	int err;

	if (strcmp(key, "probability") == 0)
		return set_u32(value, 100, &fs.probability);
	if (strcmp(key, "interval") == 0)
		return set_u32(value, UINT32_MAX, &fs.interval);
	if (strcmp(key, "times") == 0)
		return set_times(value);
	if (strcmp(key, "verbose") == 0)
		return set_u32(value, 2, &fs.verbose);
	if (strcmp(key, "stacktrace-depth") == 0)
		return set_u32(value, HAL_BACKTRACE_MAX, &fs.depth);
	if (strcmp(key, "task-filter") == 0)
		return set_bool(value, &fs.task_filter);
	if (strcmp(key, "ignore-gfp-wait") == 0)
		return set_bool(value, &fs.ignore_wait);
	if (strcmp(key, "caller") == 0)
		return set_symbol(value, &fs.require_start, &fs.require_end);
	if (strcmp(key, "reject-caller") == 0)
		return set_symbol(value, &fs.reject_start, &fs.reject_end);
	err = set_number(value, UINT64_MAX, &v);
	if (err)
		return err;
	if (strcmp(key, "space") == 0)
		WRITE_ONCE(fs.space, (s64)MIN(v, (u64)INT64_MAX));
	else if (strcmp(key, "seed") == 0)
		WRITE_ONCE(fs.seed, v ? v : 1);
	else if (strcmp(key, "min-bytes") == 0)
		WRITE_ONCE(fs.min_bytes, v);
	else if (strcmp(key, "max-bytes") == 0)
		WRITE_ONCE(fs.max_bytes, v);
	else if (strcmp(key, "require-start") == 0)
		WRITE_ONCE(fs.require_start, v);
	else if (strcmp(key, "require-end") == 0)
		WRITE_ONCE(fs.require_end, v);
	else if (strcmp(key, "reject-start") == 0)
		WRITE_ONCE(fs.reject_start, v);
	else if (strcmp(key, "reject-end") == 0)
		WRITE_ONCE(fs.reject_end, v);
	else
		return -EINVAL;
	return 0;
}

/* The bare numbers at the front, in Linux's order. */
static int set_nth(u32 nth, const char *value)
{
	static const char *const keys[] = { "interval", "probability", "space", "times" };

	return nth < ARRAY_SIZE(keys) ? set_word(keys[nth], value) : -EINVAL;
}

int failslab_configure(const char *text, size_t len)
{
	char word[96];
	u32 nth = 0;
	int err = 0;
	size_t at = 0;
	irqflags_t f = spin_lock_irqsave(&fs.lock);

	while (!err && at < len) {
		size_t n = 0;
		char *eq;

		while (at + n < len && !strchr(", \t\n", text[at + n]))
			n++;
		if (n >= sizeof(word)) {
			err = -EINVAL;
			break;
		}
		memcpy(word, text + at, n);
		word[n] = '\0';
		at += n + 1;
		eq = strchr(word, '=');
		if (eq)
			*eq = '\0';
		if (n)
			err = eq ? set_word(word, eq + 1) : set_nth(nth++, word);
	}
	spin_unlock_irqrestore(&fs.lock, f);
	return err;
}

/* ---- files ------------------------------------------------------------------------------------- */

static int show_settings(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "probability=%u\ninterval=%u\ntimes=%lld\nspace=%lld\nverbose=%u\ntask-filter=%c\n"
		      "ignore-gfp-wait=%c\nstacktrace-depth=%u\n", fs.probability, fs.interval,
		   (long long)fs.times, (long long)fs.space, fs.verbose, fs.task_filter ? 'Y' : 'N',
		   fs.ignore_wait ? 'Y' : 'N', fs.depth);
	seq_printf(s, "require-start=%#llx\nrequire-end=%#llx\nreject-start=%#llx\nreject-end=%#llx\n",
		   (unsigned long long)fs.require_start, (unsigned long long)fs.require_end,
		   (unsigned long long)fs.reject_start, (unsigned long long)fs.reject_end);
	seq_printf(s, "min-bytes=%llu\nmax-bytes=%llu\nfailed: %llu\n", (unsigned long long)fs.min_bytes,
		   (unsigned long long)fs.max_bytes, (unsigned long long)fs.failed);
	if (!last.depth)
		return 0;
	seq_printf(s, "last: %zu bytes, flags %#x, for %s\n", last.bytes, last.flags, last.task);
	for (u32 i = 0; i < MIN(last.depth, LAST_DEPTH); i++)
		seq_printf(s, "  %pS\n", (void *)last.frames[i]);
	return 0;
}

static int store_settings(void *arg, const char *text, size_t len)
{
	(void)arg;
	return failslab_configure(text, len);
}

static int show_make_it_fail(struct seq *s, struct task *t)
{
	seq_printf(s, "%d\n", READ_ONCE(t->make_it_fail));
	return 0;
}

static int store_make_it_fail(struct task *t, const char *text, size_t len)
{
	if (!capable(CAP_SYS_RESOURCE))
		return -EPERM;
	if (!len || (text[0] != '0' && text[0] != '1') || (len > 1 && text[1] != '\n'))
		return -EINVAL;
	WRITE_ONCE(t->make_it_fail, text[0] == '1');
	return 0;
}

#define NUMBER_BYTES 16u

static ssize_t fail_nth_read(struct kiocb *iocb, struct iter *to)
{
	const struct task *t = iocb->file->private;
	char text[NUMBER_BYTES];
	size_t n = (size_t)scnprintf(text, sizeof(text), "%u\n", READ_ONCE(t->fail_nth));
	ssize_t done;

	if ((u64)iocb->pos >= n)
		return 0;
	n = MIN(n - (size_t)iocb->pos, iter_count(to));
	done = (ssize_t)iter_copy_to(to, text + iocb->pos, n);
	iocb->pos += done;
	return done || !n ? done : -EFAULT;
}

static ssize_t fail_nth_write(struct kiocb *iocb, struct iter *from)
{
	struct task *t = iocb->file->private;
	size_t n = iter_count(from);
	char text[NUMBER_BYTES];
	u64 v;

	if (!n || n >= sizeof(text))
		return -EINVAL;
	if (iter_copy_from(from, text, n) != n)
		return -EFAULT;
	text[n] = '\0';
	if (text[n - 1] == '\n')
		text[n - 1] = '\0';
	if (set_number(text, INT32_MAX, &v))
		return -EINVAL;
	WRITE_ONCE(t->fail_nth, (u32)v);
	return (ssize_t)n;
}

static s64 fail_nth_llseek(struct file *file, s64 offset, int whence)
{
	if (whence != SEEK_SET || offset < 0)
		return -EINVAL;
	return file->pos = offset;
}

static const struct file_ops fail_nth_fops = {
	.read_iter = fail_nth_read, .write_iter = fail_nth_write, .llseek = fail_nth_llseek,
};

void debug_failslab_init(void)
{
	char text[256];

	(void)proc_register_rw("halcyon/failslab", 0600, show_settings, store_settings, NULL);
	(void)proc_pid_register_rw("make-it-fail", 0644, PROC_PID_READ, show_make_it_fail, store_make_it_fail);
	(void)proc_pid_register_file("fail-nth", 0644, PROC_PID_READ, &fail_nth_fops);
	if (cmdline_find("failslab", text, sizeof(text)) && failslab_configure(text, strlen(text)))
		log_warn("failslab=%s is not understood", text);
	mm_fail_hook = failslab_ask;
}

/* ---- self tests -------------------------------------------------------------------------------- */

#define TEST_ALLOCATIONS 400u

/* Bit i of the result's word i / 64: did the i-th allocation fail? The name is what the tests filter by. */
static __attribute__((noipa)) u32 failslab_test_site(u64 *pattern, u32 n, size_t bytes)
{
	u32 failed = 0;

	for (u32 i = 0; i < n; i++) {
		void *p = kmalloc(bytes, MM_KERNEL);

		if (!p)
			pattern[i / 64] |= BIT(i % 64);
		failed += !p;
		kfree(p);
	}
	return failed;
}

static __attribute__((noipa)) u32 failslab_test_other(u64 *pattern, u32 n, size_t bytes)
{
	u32 failed = failslab_test_site(pattern, n, bytes);

	barrier(); /* no tail call: the tests look for this frame */
	return failed;
}

static u32 test_with(const char *settings, u64 pattern[BITMAP_WORDS(TEST_ALLOCATIONS)])
{
	char text[160];
	u32 failed;

	memset(pattern, 0, BITMAP_WORDS(TEST_ALLOCATIONS) * sizeof(u64));
	scnprintf(text, sizeof(text), "space=0 interval=1 times=-1 seed=7 max-bytes=64 caller=failslab_test_site %s", settings);
	EXPECT_EQ(failslab_configure(text, strlen(text)), 0);
	failed = failslab_test_other(pattern, TEST_ALLOCATIONS, 64);
	EXPECT_EQ(failslab_configure("probability=0", 13), 0);
	return failed;
}

static void test_end(void)
{
	static const char back[] = "interval=1 times=1 space=0 seed=1 caller= reject-caller= min-bytes=0 max-bytes=0xffffffffffffffff";

	EXPECT_EQ(failslab_configure(back, sizeof(back) - 1), 0);
	WRITE_ONCE(fs.armed, false);
	last.depth = 0;
}

SELFTEST(failslab, count_and_space)
{
	u64 pattern[BITMAP_WORDS(TEST_ALLOCATIONS)];

	WRITE_ONCE(fs.armed, true);
	WRITE_ONCE(fs.asked, 0);
	EXPECT_EQ(test_with("probability=100 interval=3 times=2", pattern), 2);
	EXPECT_EQ(pattern[0], BIT(2) | BIT(5));
	/* 64 bytes each: 640 bytes are ten that succeed first. */
	EXPECT_EQ(test_with("probability=100 space=640", pattern), TEST_ALLOCATIONS - 10);
	EXPECT_EQ(pattern[0], ~(BIT(10) - 1));
	EXPECT_EQ(test_with("probability=100 times=0", pattern), 0);
	EXPECT_EQ(test_with("probability=100 min-bytes=65", pattern), 0);
	EXPECT_EQ(test_with("probability=100 min-bytes=1 max-bytes=64", pattern), TEST_ALLOCATIONS);
	test_end();
}

SELFTEST(failslab, probability)
{
	u64 first[BITMAP_WORDS(TEST_ALLOCATIONS)], second[BITMAP_WORDS(TEST_ALLOCATIONS)];
	u32 failed;

	WRITE_ONCE(fs.armed, true);
	failed = test_with("probability=25", first);
	EXPECT(failed > TEST_ALLOCATIONS / 6 && failed < TEST_ALLOCATIONS / 3);
	EXPECT_EQ(test_with("probability=25", second), failed);
	EXPECT(memcmp(first, second, sizeof(first)) == 0);
	EXPECT_EQ(test_with("probability=25 seed=8", second) == failed && memcmp(first, second, sizeof(first)) == 0, false);
	test_end();
}

SELFTEST(failslab, call_site)
{
	u64 pattern[BITMAP_WORDS(TEST_ALLOCATIONS)];

	WRITE_ONCE(fs.armed, true);
	EXPECT_EQ(test_with("probability=100", pattern), TEST_ALLOCATIONS);
	EXPECT(last.depth > 2 && last.bytes == 64);
	EXPECT_EQ(test_with("probability=100 caller=failslab_test_other", pattern), TEST_ALLOCATIONS);
	EXPECT_EQ(test_with("probability=100 reject-caller=failslab_test_other", pattern), 0);
	EXPECT_EQ(test_with("probability=100 reject-caller= caller=failslab_test_other stacktrace-depth=2", pattern), 0);
	EXPECT_EQ(test_with("stacktrace-depth=32 probability=100 caller=debug_failslab_init", pattern), 0);
	EXPECT_EQ(failslab_configure("caller=no_such_function", 23), (u64)(s64)-EINVAL);
	EXPECT_EQ(failslab_configure("colour=red", 10), (u64)(s64)-EINVAL);
	EXPECT_EQ(failslab_configure("probability=101", 15), (u64)(s64)-EINVAL);
	EXPECT_EQ(test_with("probability=100 task-filter=Y", pattern), 0); /* a kernel thread is no task */
	EXPECT_EQ(failslab_configure("task-filter=N", 13), 0);
	test_end();
}

#else

int failslab_configure(const char *text, size_t len)
{
	(void)text, (void)len;
	return -EINVAL;
}

void debug_failslab_init(void)
{
}

#endif
