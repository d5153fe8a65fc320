/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_COMMAND_H
#define KERNEL_CORE_COMMAND_H

/*
 * Commands that a person gives to a kernel that may be broken: in the shell after a panic (kernel/debug), through
 * magic SysRq, and in the panic report itself. Every subsystem registers its own, beside the data that it shows:
 *
 *	static void show_mounts(struct command_io *io, int argc, char **argv) { ... }
 *	DEBUG_COMMAND(mounts, "", "mount table", show_mounts);
 *
 * What a command may do: read memory, without any lock, expecting every structure to be half changed. So it bounds
 * every loop, reads through command_peek() where a pointer may be damaged, allocates nothing, waits for nothing and
 * uses less than 1 KiB of stack. After a panic all other CPUs stand; under SysRq they run on.
 */
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/rbtree.h>
#include <lib/types.h>

struct command_io {
	/* Writes text as it is; lines end with a newline. Never sleeps. */
	void (*emit)(const char *text, size_t n);
	/* [own] Lines left before the command should end: a damaged list must not print for ever. */
	u32 budget;
};

struct debug_command {
	const char *name;
	const char *args;	/* "[pid]"; "" for none */
	const char *help;	/* one line */
	void (*run)(struct command_io *io, int argc, char **argv);
};

#define DEBUG_COMMAND(name_, args_, help_, fn_)						\
	static const struct debug_command command_##name_##_desc = {			\
		.name = #name_, .args = (args_), .help = (help_), .run = (fn_) };	\
	static const struct debug_command *const command_##name_##_entry __used		\
		__section(".commands") = &command_##name_##_desc

/* Formats one piece of output (at most 256 bytes). False when the budget is used up: stop then. */
bool command_printf(struct command_io *io, const char *fmt, ...) __printf(2, 3);
/* Copies n bytes of kernel memory that may not be there. Any context. 0 or -EFAULT (user addresses too). */
int __must_check command_peek(void *to, const void *from, size_t n);
/* One field of a structure that may not be there: true when `var` has it. */
#define COMMAND_LOAD(var, from) (command_peek(&(var), (from), sizeof(var)) == 0)
/* A string, at most size - 1 bytes, what is not printable made a '?'. "(unreadable)" where it cannot be read. */
void command_peek_string(char *to, size_t size, const char *from);

/*
 * Walks over lists and trees that may be damaged, under no lock: nodes are only peeked at, a broken link is told of and
 * ends the walk, and so does COMMAND_WALK_MAX, should it go round in circles.
 *
 *	struct command_list l;
 *	for (command_list_begin(&l, io, &head); command_list_next(&l);)
 *		... l.node is a struct list_head * to a node (not the head), to be peeked at
 */
#define COMMAND_WALK_MAX 100000u
struct command_list {
	struct command_io *io;
	const struct list_head *head;
	struct list_head *node;
	u32 left;
};
void command_list_begin(struct command_list *l, struct command_io *io, const struct list_head *head);
bool command_list_next(struct command_list *l);

/* In order, with t.node a struct rb_node *. */
struct command_tree {
	struct command_io *io;
	struct rb_node *node;
	struct rb_node *root;
	bool begun;
	u32 left;
};
void command_tree_begin(struct command_tree *t, struct command_io *io, const struct rb_root *root);
bool command_tree_next(struct command_tree *t);

/*
 * What a word stands for: a symbol, symbol+N, 0x1f, a decimal number, hexadecimal digits that are no decimal number or
 * are at least twelve, or $ip $sp $fp $fault of the panic. False, and said so: none of these.
 */
bool command_number(struct command_io *io, const char *word, u64 *out);

/* Finds and runs one line of words; changes `line`. -ENOENT: no such command. Any context. */
int command_run(struct command_io *io, char *line);
/* Is there a command of that name, the first word of `line`? */
bool command_known(const char *line);
/* Calls fn for each command in order of name. */
void command_each(void (*fn)(const struct debug_command *c, void *arg), void *arg);

#endif
