/* SPDX-License-Identifier: MIT */
/*
 * Tests of the panic toolkit. Death tests: what the report must say, in that order (pieces parted by " ... "). Self tests:
 * the helpers that commands walk with, on structures that are damaged on purpose, and each harmless command on the
 * running kernel, as magic SysRq runs them.
 */
#define LOG_TAG "test"
#include <hal/backtrace.h>
#include <hal/clock.h>
#include <hal/mem.h>
#include <hal/regs.h>
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/command.h>
#include <kernel/core/log.h>
#include <kernel/core/selftest.h>
#include <kernel/core/symbols.h>
#include <kernel/mm/page.h>
#include <kernel/mm/pt.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/timer.h>
#include <lib/printf.h>
#include <lib/string.h>

#if HALCYON_DEBUG

#define SOON_NS	(30 * (u64)NSEC_PER_MSEC)	/* long enough to be waited for when it comes */

/* Keeps the compiler from knowing what a pointer is. */
static void *hide(u64 address)
{
	volatile u64 v = address;

	return (void *)v;
}

/* ---- deaths ------------------------------------------------------------------------------------ */

static void broken_part(void)
{
	(void)*(volatile u64 *)hide(0x18);
}

/* The rest of the report is there, and the first reason is the one at its end. */
DEATHTEST(panic_in_report, "kernel panic: the first reason ... panic in panic (the report): null pointer dereference: ... at "
	  "0000000000000018 ... broken_part ... last log lines: ... end of panic report: the first reason")
{
	panic_report_hook = broken_part;
	panic("the first reason");
}

static noinline void copy_from_nowhere(void *to)
{
	memcpy(to, hide(HAL_KMAP_END - PAGE_SIZE), 24);
	barrier();
}

/* memcpy makes no frame: the unwinder must find its caller all the same. */
DEATHTEST(panic_in_assembly, "access to unmapped memory: read ... backtrace: ... mem ... copy_from_nowhere+ ... page tables of "
	  "the address: ... level 3 ... : nothing ... what the address is: ... a stack, vmalloc or device memory")
{
	u8 bytes[24];

	copy_from_nowhere(bytes);
}

/* The entries on the way to what was written to. */
DEATHTEST(panic_page_walk, "write to kernel text ... page tables of the address: ... level 3 ... : table ... level 2 ... : table "
	  "... r-x kernel ... leads to physical address ... what the address is: ... in the kernel image: command_run+0x0")
{
	*(volatile u8 *)hide((u64)(uintptr_t)command_run) = 0xcc;
}

static void timer_panics(struct timer *t)
{
	panic("timer %p panics", (void *)t);
}

/* Nothing interrupts before this. */
static noinline void interrupted_loop(const volatile bool *end, irqflags_t f)
{
	hal_irq_restore(f);
	while (!*end)
		barrier();
}

/* Through the timer's interrupt to what it interrupted, and on from there. */
DEATHTEST(panic_in_interrupt, "panics ... backtrace: ... timer_panics ... interrupted: interrupted_loop+ ... deathtest_run+ ... "
	  "kthread_main+")
{
	static struct timer timer;
	volatile bool end = false;
	irqflags_t f;

	preempt_disable();
	f = hal_irq_save();
	timer_init(&timer, timer_panics);
	timer_arm(&timer, hal_clock_ns() + SOON_NS);
	interrupted_loop(&end, f);
}

/* ---- what a command says ----------------------------------------------------------------------- */

static struct {
	char text[8192];
	size_t n;
} caught;

static void catch(const char *text, size_t n)
{
	n = MIN(n, sizeof(caught.text) - 1 - caught.n);
	memcpy(caught.text + caught.n, text, n);
	caught.n += n;
	caught.text[caught.n] = '\0';
}

static struct command_io catching(u32 lines)
{
	caught.n = 0;
	caught.text[0] = '\0';
	return (struct command_io){ .emit = catch, .budget = lines };
}

/* Runs a command; true when what it printed has that text. */
static bool says(const char *command, const char *what)
{
	struct command_io io = catching(4000);
	char line[64];

	strlcpy(line, command, sizeof(line));
	return EXPECT_EQ(command_run(&io, line), 0) && EXPECT(strstr(caught.text, what) != NULL);
}

SELFTEST(command, commands_of_the_running_kernel)
{
	char line[64];

	says("help ps", "all tasks and kernel threads");
	says("ps", " work/0 ");
	says("task", "boot");
	says("bt", "commands_of_the_running_kernel");
	says("bt all", "kthread_main");
	says("cpus", ": boot"); /* on whichever CPU */
	says("mem", "page tables");
	says("slab dentry", "dentry");
	says("slab nothing", "no cache 'nothing'");
	says("mounts", "rootfs on /");
	says("files", "a kernel thread");
	says("vma", "a kernel thread");
	says("sym command_run+4", "command_run+0x4");
	says("x command_run 1", ": ");
	says("xb command_run 3", ": ");
	says("pt command_run", "r-x kernel");
	says("page command_run", "in the kernel image: command_run+0x0");
	says("log 1", "] ");
	says("regs", "rsp");
	says("reason", "no panic");
	says("poke caught 1", "only after a panic");
	says("shell", "after a panic");
	scnprintf(line, sizeof(line), "task %p", hide(HAL_KMAP_END - PAGE_SIZE));
	says(line, "not readable");
}

SELFTEST(command, page_names_the_slab_object)
{
	char line[64], object[32];
	void *p = kmalloc(100, 0);

	REQUIRE(p);
	scnprintf(line, sizeof(line), "page %p", (void *)((u8 *)p + 5));
	scnprintf(object, sizeof(object), "at %p", p);
	says(line, "cache kmalloc-");
	EXPECT(strstr(caught.text, object) != NULL);
	EXPECT(strstr(caught.text, "in the direct map") != NULL);
	EXPECT(strstr(caught.text, ": slab") != NULL);
	kfree(p);
}

SELFTEST(command, unknown_and_empty_lines)
{
	struct command_io io = catching(10);
	char none[] = "nosuch 1 2", blank[] = "  \t ", many[] = "help a b c d e f g h i j k";

	EXPECT_EQ(command_run(&io, none), -ENOENT);
	EXPECT_EQ(command_run(&io, blank), 0);
	EXPECT_EQ(caught.n, 0);
	EXPECT_EQ(command_run(&io, many), 0);
	EXPECT(strstr(caught.text, "no command 'a'") != NULL);
}

SELFTEST(command, budget_ends_the_output)
{
	struct command_io io = catching(3);
	char line[] = "help";

	EXPECT_EQ(command_run(&io, line), 0);
	EXPECT(strstr(caught.text, "more than a command may print") != NULL);
	EXPECT(!command_printf(&io, "one more\n"));
	EXPECT(strstr(caught.text, "one more") == NULL);
}

/* ---- peeking ----------------------------------------------------------------------------------- */

SELFTEST(command, peek_refuses_what_is_not_there)
{
	static const char text[] = "0123456789abcdefghij";
	char got[24];

	EXPECT_EQ(command_peek(got, text + 3, 11), 0);
	EXPECT_EQ(memcmp(got, "3456789abcd", 11), 0);
	EXPECT_EQ(command_peek(got, hide(0), 1), -EFAULT);
	EXPECT_EQ(command_peek(got, hide(HAL_USER_FIRST), 8), -EFAULT);
	EXPECT_EQ(command_peek(got, hide(0x8000000000000000ull), 8), -EFAULT);
	EXPECT_EQ(command_peek(got, hide(HAL_KMAP_END - PAGE_SIZE), 1), -EFAULT);
	EXPECT_EQ(command_peek(got, hide(~0ull - 2), 8), -EFAULT);
	EXPECT_EQ(pt_peek_memory(hal_pt_root_current(), got, HAL_USER_END - 4, 8), -EFAULT);
	EXPECT_EQ(pt_peek_memory(hal_pt_root_current(), got, (vaddr_t)(uintptr_t)text, 4), 0);
	EXPECT_EQ(memcmp(got, "0123", 4), 0);
}

SELFTEST(command, strings_are_made_harmless)
{
	char got[8];

	command_peek_string(got, sizeof(got), "a\033[2J");
	EXPECT_EQ(strcmp(got, "a?[2J"), 0);
	command_peek_string(got, sizeof(got), "longer than it");
	EXPECT_EQ(strcmp(got, "longer "), 0);
	command_peek_string(got, sizeof(got), hide(8));
	EXPECT_EQ(strcmp(got, "(unread"), 0);
}

SELFTEST(command, numbers_and_symbols)
{
	struct command_io io = catching(100);
	u64 v = 0;

	EXPECT(command_number(&io, "123", &v) && v == 123);
	EXPECT(command_number(&io, "0x1f", &v) && v == 0x1f);
	EXPECT(command_number(&io, "1f", &v) && v == 0x1f);
	EXPECT(command_number(&io, "123456789012", &v) && v == 0x123456789012);
	EXPECT(command_number(&io, "ffffffff80000000", &v) && v == 0xffffffff80000000);
	EXPECT(command_number(&io, "command_run", &v) && v == (u64)(uintptr_t)command_run);
	EXPECT(command_number(&io, "command_run+0x10", &v) && v == (u64)(uintptr_t)command_run + 16);
	EXPECT(command_number(&io, "caught", &v) && v == (u64)(uintptr_t)&caught);
	EXPECT_EQ(caught.n, 0);
	EXPECT(!command_number(&io, "", &v));
	EXPECT(!command_number(&io, "0x", &v));
	EXPECT(!command_number(&io, "12z", &v));
	EXPECT(!command_number(&io, "command_run+q", &v));
	EXPECT(!command_number(&io, "11112222333344445", &v));
	EXPECT(!command_number(&io, "$nothing", &v));
	EXPECT(strstr(caught.text, "'12z' is no symbol and no number") != NULL);
}

static u32 list_length(struct command_io *io, const struct list_head *head)
{
	struct command_list l;
	u32 n = 0;

	for (command_list_begin(&l, io, head); command_list_next(&l);)
		n++;
	return n;
}

SELFTEST(command, lists_that_are_damaged)
{
	struct command_io io = catching(100);
	struct list_head head, node[4];

	list_init(&head);
	EXPECT_EQ(list_length(&io, &head), 0);
	for (u32 i = 0; i < ARRAY_SIZE(node); i++)
		list_add_tail(&node[i], &head);
	EXPECT_EQ(list_length(&io, &head), 4);
	EXPECT_EQ(caught.n, 0);
	node[2].next = &node[1];	/* round in a circle */
	EXPECT_EQ(list_length(&io, &head), 3);
	EXPECT(strstr(caught.text, "the list is damaged") != NULL);
	node[2].next = hide(0x40);
	EXPECT_EQ(list_length(&io, &head), 3);
	node[2].next = hide(HAL_KMAP_END - PAGE_SIZE);
	EXPECT_EQ(list_length(&io, &head), 3);
	io = catching(100);
	EXPECT_EQ(list_length(&io, hide(HAL_KMAP_END - PAGE_SIZE)), 0);
	EXPECT(strstr(caught.text, "breaks off") != NULL);
}

struct leaf {
	struct rb_node node;
	u32 key;
};

static bool leaf_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct leaf, node)->key < rb_entry(b, struct leaf, node)->key;
}

/* Nodes of the tree, which must come in order. */
static u32 tree_size(struct command_io *io, const struct rb_root *root)
{
	struct command_tree t;
	u32 n = 0;

	for (command_tree_begin(&t, io, root); command_tree_next(&t) && n < 1000; n++)
		EXPECT_EQ(rb_entry(t.node, struct leaf, node)->key, n);
	return n;
}

SELFTEST(command, trees_that_are_damaged)
{
	static struct leaf leaves[100];
	struct command_io io = catching(100);
	struct rb_root root = RB_ROOT;

	EXPECT_EQ(tree_size(&io, &root), 0);
	for (u32 i = 0; i < ARRAY_SIZE(leaves); i++) {
		leaves[i].key = i * 37 % ARRAY_SIZE(leaves);
		rb_insert(&root, &leaves[i].node, leaf_less);
	}
	EXPECT_EQ(tree_size(&io, &root), ARRAY_SIZE(leaves));
	EXPECT_EQ(caught.n, 0);
	root.node->right->left = hide(HAL_KMAP_END - PAGE_SIZE);
	EXPECT(tree_size(&io, &root) < ARRAY_SIZE(leaves));
	EXPECT(strstr(caught.text, "breaks off") != NULL);
	io = catching(100);
	root.node->left->left = root.node;	/* down for ever */
	EXPECT_EQ(tree_size(&io, &root), 0);
	EXPECT(strstr(caught.text, "does not end") != NULL);
}

/* ---- backtraces -------------------------------------------------------------------------------- */

static noinline vaddr_t frameless(void)
{
	return (vaddr_t)(uintptr_t)__builtin_return_address(0);
}

/* As if the first instruction of frameless() had been interrupted: its caller is on top of the stack only. */
SELFTEST(command, backtrace_before_the_frame)
{
	u64 stack[2] = { frameless(), 0 };
	struct hal_regs regs;

	hal_regs_capture(&regs);
	hal_regs_set_ip(&regs, (u64)(uintptr_t)frameless);
	hal_regs_set_sp(&regs, (u64)(uintptr_t)stack);
	catching(1);
	backtrace_emit(&regs, catch);
	EXPECT(strstr(caught.text, " #0  ") && strstr(caught.text, "] frameless+0x0/"));
	EXPECT(strstr(caught.text, " #1  ") && strstr(caught.text, "] selftest_command_backtrace_before_the_frame+"));
	EXPECT_EQ(hal_call_target(stack[0]), (u64)(uintptr_t)frameless);
	stack[0] = (u64)(uintptr_t)frameless;	/* no return address: nothing is made up */
	catching(1);
	backtrace_emit(&regs, catch);
	EXPECT(strstr(caught.text, "selftest_command_backtrace_before_the_frame+") == NULL);
}

static void timer_traces(struct timer *t)
{
	(void)t;
	backtrace_emit(NULL, catch);
	barrier();	/* no tail call: this function has a frame */
}

SELFTEST(command, backtrace_through_an_interrupt)
{
	struct timer timer;
	irqflags_t f;

	catching(1);
	timer_init(&timer, timer_traces);
	preempt_disable();	/* it interrupts us, and not before we are out of timer_arm() */
	f = hal_irq_save();
	timer_arm(&timer, hal_clock_ns() + SOON_NS);
	hal_irq_restore(f);
	while (!*(volatile size_t *)&caught.n)
		barrier();
	preempt_enable();
	EXPECT(strstr(caught.text, "timer_traces+") != NULL);
	EXPECT(strstr(caught.text, "interrupted: selftest_command_backtrace_through_an_interrupt+") != NULL);
	if (!EXPECT(strstr(caught.text, "kthread_main+") != NULL))
		log_info("%s", caught.text);
}

#endif
