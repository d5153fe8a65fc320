/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plug-in that counts every instruction of the guest, by the kernel function that it belongs to and by
 * the calls that led there. `make profile` builds and loads it; docs/profiling.md is for its users.
 *
 *	-plugin profile.so,functions=FILE,output=FILE[,own=on]
 *
 * FILE has a line `address name` for each function of the kernel (nokaslr), in ascending order. The output has a line
 * `instructions calls root;...;function` for each path in the call tree, then `end`.
 *
 * What is exact. QEMU calls before_insn() before each instruction, so nothing is sampled and nothing is guessed from
 * blocks that an exception cut short. An instruction that faults is announced twice, when it faults and when it is
 * started again; the first is taken back, because it did not retire. A REP string instruction counts once an iteration.
 * Both are what -icount counts, and the ring "gdb" compares the two.
 *
 * What leads where. Plug-ins of this version read no registers. But the address where a CALL stores its return address,
 * and the one that a RET loads from, is the stack pointer, and memory accesses are announced. So each kernel stack has
 * a shadow here: a list of (stack pointer, call-tree node), ordered by stack pointer. On every CALL or RET at S, what lies at
 * or below S is dead and goes. That is all of unwinding, and it needs no pairing of calls with returns: retpolines
 * (a CALL whose return address is overwritten), tail calls, threads that end in the middle of a function and stacks
 * that are used again come out right. A switch of threads is a RET whose address lies on another stack: the shadow of that
 * one goes on where it was left. Which stack an address belongs to is arithmetic (SLOT_SHIFT, kernel/mm/kstack.c).
 *
 * Traps. The first instruction of a vector's stub is a PUSH right below the frame that the CPU stored. Exceptions taken in
 * the kernel stand below the function that caused them; device interrupts interrupt somebody who has nothing to do with
 * them, and stand at the root below "[interrupt]". IRETQ drops the shadow to the last trap.
 *
 * One CPU, -icount (round robin) only: nothing here is locked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qemu_plugin.h"

#define SLOT_SHIFT	15	/* a kernel stack and its guard: 2 * KSTACK_SIZE bytes, so aligned */
#define STACK_BUCKETS	4096u
#define KERNEL_HALF	0x8000000000000000ull
#define IMAGE_START	0xffffffff80000000ull
#define VECTORS		256u
#define VECTOR_STUB	16u	/* bytes of one stub of x86_vectors */
#define FIRST_IRQ	32u

/* mark.h's NOPs: 0F 1F 80 and one of these. */
#define MARK_RUN_START	0x50524631u
#define MARK_RUN_STOP	0x50524632u
#define MARK_OWN_START	0x50524633u
#define MARK_OWN_STOP	0x50524634u

__attribute__((visibility("default"))) int qemu_plugin_version = QEMU_PLUGIN_API_VERSION;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
								char **argv);

/* ---- the call tree ---- */

struct node {
	struct node *parent, *child, *sibling;
	uint32_t function;	/* index into functions[] */
	uint64_t count;		/* instructions of the function itself, called along this path */
	uint64_t calls;		/* how often its first instruction ran */
};

struct function {
	uint64_t start;
	char *name;
};

enum { FN_ROOT, FN_USER, FN_IRQ, FN_OTHER, FN_FIRST };

static struct function *functions;
static uint32_t function_count;
static struct node root;
static struct node *user_node, *irq_node;

/* ---- shadow stacks ---- */

struct stack;

struct entry {
	uint64_t sp;		/* of the return address, or of a trap's first push */
	struct node *base;	/* what is called from here hangs below this */
	struct stack *prev;	/* trap: the interrupted stack, NULL for user mode; else NULL */
	bool trap;
};

struct stack {
	struct stack *hash_next;
	uint64_t slot;
	uint32_t depth, room;
	struct entry *entries;
	uint64_t trapped_pc;	/* the user instruction before the exception that led here; 0: none */
	bool trapped_counted;
};

static struct stack *stacks[STACK_BUCKETS];

/* ---- the CPU as we follow it ---- */

enum kind { KIND_PLAIN, KIND_CALL, KIND_RET, KIND_IRET, KIND_VECTOR, KIND_MARK };

/* One per translated instruction, never freed: QEMU keeps the pointer. */
struct insn {
	uint64_t pc;
	uint32_t function;
	uint32_t mark;
	uint16_t vector;
	uint8_t kind;
	bool first;		/* of its function */
};

static struct {
	bool kernel;
	struct stack *stack;	/* where the kernel runs; NULL right after it was entered from user mode */
	struct node *base;	/* the leaf's parent */
	struct node *leaf;
	uint32_t leaf_function;	/* UINT32_MAX: the leaf must be looked up */
	const struct insn *last;
	bool last_counted;
	struct node *trap_base;	/* between a vector's first instruction and its push */
	uint64_t trapped_pc;	/* the same, for a trap from user mode */
	bool trapped_counted;
} cpu = { .base = &root, .leaf_function = UINT32_MAX };

static bool started, own_marks, counting;
static uint64_t vectors_pc, total, marks;
static char *output_path;

static void fail(const char *what, const char *which)
{
	fprintf(stderr, "profile plug-in: %s %s\n", what, which);
	exit(1);
}

static void *must(void *p)
{
	if (!p)
		fail("out of", "memory");
	return p;
}

static struct node *node_child(struct node *parent, uint32_t function)
{
	struct node **link = &parent->child, *n;

	for (; (n = *link); link = &n->sibling) {
		if (n->function == function) {
			*link = n->sibling;	/* to the front: the next call is likely the same */
			break;
		}
	}
	if (!n) {
		n = must(calloc(1, sizeof(*n)));
		n->parent = parent;
		n->function = function;
	}
	n->sibling = parent->child;
	parent->child = n;
	return n;
}

static struct stack *stack_of(uint64_t sp)
{
	uint64_t slot = sp >> SLOT_SHIFT;
	struct stack **bucket = &stacks[(slot ^ slot >> 12) % STACK_BUCKETS], *s;

	for (s = *bucket; s; s = s->hash_next)
		if (s->slot == slot)
			return s;
	s = must(calloc(1, sizeof(*s)));
	s->slot = slot;
	s->hash_next = *bucket;
	*bucket = s;
	return s;
}

/* The stack pointer is sp: what was at or below it is gone. */
static struct stack *stack_cut(uint64_t sp)
{
	struct stack *s = cpu.stack && cpu.stack->slot == sp >> SLOT_SHIFT ? cpu.stack : stack_of(sp);

	while (s->depth && s->entries[s->depth - 1].sp <= sp)
		s->depth--;
	return s;
}

static void stack_push(struct stack *s, struct entry e)
{
	if (s->depth == s->room) {
		s->room = s->room ? s->room * 2 : 32;
		s->entries = must(realloc(s->entries, s->room * sizeof(*s->entries)));
	}
	s->entries[s->depth++] = e;
}

static void stack_enter(struct stack *s)
{
	cpu.stack = s;
	cpu.base = s->depth ? s->entries[s->depth - 1].base : &root;
	cpu.leaf_function = UINT32_MAX;
}

/* ---- calls, returns, traps ---- */

/*
 * The callbacks below are registered for loads and stores and tell them apart by themselves: QEMU 7.2 mixes the two up when it
 * is asked for one kind only. It may also go on calling for what later instructions access: those are not `last`.
 */
static void on_call(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t sp, void *data)
{
	struct stack *s;

	(void)vcpu;
	if (cpu.last != data || !qemu_plugin_mem_is_store(info))
		return;
	s = stack_cut(sp);
	stack_push(s, (struct entry){ .sp = sp, .base = cpu.leaf });
	stack_enter(s);
}

static void on_ret(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t sp, void *data)
{
	(void)vcpu;
	if (cpu.last == data && !qemu_plugin_mem_is_store(info))
		stack_enter(stack_cut(sp));
}

/* The first instruction of a vector's stub is about to run; cpu.last is what was interrupted, or what faulted. */
static void trap_begin(const struct insn *insn, bool from_kernel)
{
	/* Vectors whose exceptions are faults that QEMU raises while it executes the instruction. */
	static const uint32_t faults = 1u << 0 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17;
	bool exception = insn->vector < FIRST_IRQ;

	cpu.trap_base = !exception ? irq_node : from_kernel ? cpu.leaf : &root;
	cpu.trapped_pc = 0;
	if (!from_kernel && exception && cpu.last) {
		cpu.trapped_pc = cpu.last->pc;
		cpu.trapped_counted = cpu.last_counted;
	} else if (from_kernel && insn->vector < 32 && faults & 1u << insn->vector && cpu.last_counted) {
		cpu.leaf->count--;
		total--;
	}
	cpu.base = cpu.trap_base;
	cpu.leaf_function = UINT32_MAX;
}

/* Its push: says which stack the trap is on. */
static void on_vector_push(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t sp, void *data)
{
	struct stack *s;

	(void)vcpu;
	if (cpu.last != data || !qemu_plugin_mem_is_store(info))
		return;
	s = stack_cut(sp);
	if (!cpu.stack) {
		s->depth = 0;
		s->trapped_pc = cpu.trapped_pc;
		s->trapped_counted = cpu.trapped_counted;
	}
	stack_push(s, (struct entry){ .sp = sp, .base = cpu.trap_base, .prev = cpu.stack, .trap = true });
	stack_enter(s);
}

static void trap_end(void)
{
	struct stack *s = cpu.stack;
	uint32_t i;

	for (i = s ? s->depth : 0; i > 0; i--) {
		if (s->entries[i - 1].trap) {
			struct stack *prev = s->entries[i - 1].prev;

			s->depth = i - 1;
			stack_enter(prev ? prev : s);
			return;
		}
	}
}

/*
 * User mode goes on. If it does with the very instruction after which an exception came, that one had faulted, and was
 * counted for nothing. (After a fetch that faulted it is the next instruction; after a signal the handler's.)
 */
static void user_begin(uint64_t pc)
{
	struct stack *s = cpu.stack;

	if (s && s->trapped_pc == pc && s->trapped_counted) {
		user_node->count--;
		total--;
	}
	if (s)
		s->trapped_pc = 0;
	cpu.kernel = false;
	cpu.stack = NULL;
	cpu.base = &root;
	cpu.leaf = user_node;
	cpu.leaf_function = FN_USER;
}

static void on_mark(uint32_t mark)
{
	if (mark == (own_marks ? MARK_OWN_START : MARK_RUN_START)) {
		counting = true;
		marks++;
	} else if (mark == (own_marks ? MARK_OWN_STOP : MARK_RUN_STOP)) {
		counting = false;
	}
}

static void before_insn(unsigned int vcpu, void *data)
{
	const struct insn *insn = data;
	bool kernel = insn->pc >= KERNEL_HALF;

	(void)vcpu;
	if (kernel) {
		bool from_kernel = cpu.kernel;

		if (!from_kernel) {
			cpu.kernel = true;
			cpu.base = &root;
			cpu.leaf_function = UINT32_MAX;
		}
		if (insn->kind == KIND_VECTOR)
			trap_begin(insn, from_kernel);
	} else if (cpu.kernel) {
		user_begin(insn->pc);
	}
	if (insn->kind == KIND_MARK && !kernel) {
		counting = false;	/* neither NOP is counted */
		on_mark(insn->mark);
		cpu.last = insn;
		cpu.last_counted = false;
		return;
	}
	if (insn->function != cpu.leaf_function) {
		cpu.leaf_function = insn->function;
		cpu.leaf = kernel ? node_child(cpu.base, insn->function) : user_node;
	}
	if (counting) {
		cpu.leaf->count++;
		cpu.leaf->calls += insn->first && !(cpu.last && cpu.last->pc == insn->pc);	/* REP comes again */
		total++;
	}
	cpu.last = insn;
	cpu.last_counted = counting;
	if (insn->kind == KIND_IRET)
		trap_end();
}

/* ---- translation ---- */

static uint32_t function_at(uint64_t pc)
{
	uint32_t low = FN_FIRST, high = function_count;

	if (pc < KERNEL_HALF)
		return FN_USER;
	if (low == high || pc < functions[low].start)
		return FN_OTHER;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (functions[middle].start <= pc)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static enum kind classify(const uint8_t *b, size_t size, uint32_t *mark)
{
	size_t i = 0;

	if (size == 7 && b[0] == 0x0f && b[1] == 0x1f && b[2] == 0x80) {
		memcpy(mark, b + 3, sizeof(*mark));
		return *mark >= MARK_RUN_START && *mark <= MARK_OWN_STOP ? KIND_MARK : KIND_PLAIN;
	}
	while (i < size && (b[i] == 0xf2 || b[i] == 0xf3 || b[i] == 0x66 || (b[i] & 0xf0) == 0x40))
		i++;			/* prefixes of CALL, RET, IRET that compilers and we use */
	if (i == size)
		return KIND_PLAIN;
	if (b[i] == 0xe8 || (b[i] == 0xff && i + 1 < size && (b[i + 1] & 0x38) == 0x10))
		return KIND_CALL;
	if (b[i] == 0xc3 || b[i] == 0xc2)
		return KIND_RET;
	return b[i] == 0xcf ? KIND_IRET : KIND_PLAIN;
}

/* The CALL inside a retpoline only makes room for the address that is jumped to. */
static bool is_thunk(uint32_t function)
{
	return strncmp(functions[function].name, "__x86_indirect_thunk_", 21) == 0;
}

static void describe(struct insn *insn, const struct qemu_plugin_insn *q)
{
	uint64_t offset;

	insn->pc = qemu_plugin_insn_vaddr(q);
	insn->function = function_at(insn->pc);
	insn->kind = classify(qemu_plugin_insn_data(q), qemu_plugin_insn_size(q), &insn->mark);
	if (insn->pc < KERNEL_HALF) {
		insn->kind = insn->kind == KIND_MARK ? KIND_MARK : KIND_PLAIN;
		return;
	}
	insn->first = insn->pc == functions[insn->function].start;
	if (insn->kind == KIND_CALL && is_thunk(insn->function))
		insn->kind = KIND_PLAIN;
	offset = insn->pc - vectors_pc;
	if (offset < VECTORS * VECTOR_STUB && offset % VECTOR_STUB == 0) {
		insn->kind = KIND_VECTOR;
		insn->vector = (uint16_t)(offset / VECTOR_STUB);
	}
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (!started && qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0)) < IMAGE_START)
		return;			/* firmware and loader */
	started = true;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *q = qemu_plugin_tb_get_insn(tb, i);
		struct insn *insn = must(calloc(1, sizeof(*insn)));

		describe(insn, q);
		qemu_plugin_register_vcpu_insn_exec_cb(q, before_insn, QEMU_PLUGIN_CB_NO_REGS, insn);
		if (insn->kind == KIND_CALL)
			qemu_plugin_register_vcpu_mem_cb(q, on_call, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, insn);
		else if (insn->kind == KIND_RET)
			qemu_plugin_register_vcpu_mem_cb(q, on_ret, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, insn);
		else if (insn->kind == KIND_VECTOR)
			qemu_plugin_register_vcpu_mem_cb(q, on_vector_push, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, insn);
	}
}

/* ---- files ---- */

static void read_functions(const char *path)
{
	static const char *const fixed[FN_FIRST] = { "[root]", "[user]", "[interrupt]", "[outside the image]" };
	FILE *in = fopen(path, "r");
	char name[256];
	uint64_t start;
	uint32_t room = 8192, i;

	if (!in)
		fail("cannot read", path);
	functions = must(calloc(room, sizeof(*functions)));
	for (i = 0; i < FN_FIRST; i++)
		functions[i].name = must(strdup(fixed[i]));
	for (function_count = FN_FIRST; fscanf(in, "%" SCNx64 " %255s", &start, name) == 2; function_count++) {
		if (function_count == room)
			functions = must(realloc(functions, (room *= 2) * sizeof(*functions)));
		functions[function_count] = (struct function){ start, must(strdup(name)) };
		if (!strcmp(name, "x86_vectors"))
			vectors_pc = start;
	}
	fclose(in);
	if (!vectors_pc)
		fail("no x86_vectors in", path);
}

static void write_path(FILE *out, const struct node *n)
{
	if (n->parent && n->parent != &root) {
		write_path(out, n->parent);
		fputc(';', out);
	}
	fputs(functions[n->function].name, out);
}

static void write_nodes(FILE *out, const struct node *n)
{
	const struct node *c;

	if (n->count || n->calls) {
		fprintf(out, "%" PRIu64 " %" PRIu64 " ", n->count, n->calls);
		write_path(out, n);
		fputc('\n', out);
	}
	for (c = n->child; c; c = c->sibling)
		write_nodes(out, c);
}

static void write_output(void)
{
	FILE *out = fopen(output_path, "w");

	if (!out) {
		fprintf(stderr, "profile plug-in: cannot write %s\n", output_path);
		return;
	}
	write_nodes(out, &root);
	fprintf(out, "end %" PRIu64 " %" PRIu64 "\n", total, marks);
	fclose(out);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	int i;

	if (!info->system_emulation || info->system.smp_vcpus != 1 || strcmp(info->target_name, "x86_64"))
		fail("wants", "qemu-system-x86_64 with one CPU");
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "functions=", 10))
			read_functions(argv[i] + 10);
		else if (!strncmp(argv[i], "output=", 7))
			output_path = must(strdup(argv[i] + 7));
		else if (!strcmp(argv[i], "own=on"))
			own_marks = true;
		else if (strcmp(argv[i], "own=off"))
			fail("does not know", argv[i]);
	}
	if (!functions || !output_path)
		fail("needs", "functions= and output=");
	user_node = node_child(&root, FN_USER);
	irq_node = node_child(&root, FN_IRQ);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	atexit(write_output);
	return 0;
}
