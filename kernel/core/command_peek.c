/* SPDX-License-Identifier: MIT */
/*
 * How commands walk over structures that may be damaged or change meanwhile: see kernel/core/command.h. Every step is a
 * peek of one pointer; what is found is never written to, so a walk can be wrong but does no harm.
 */
#include <hal/regs.h>
#include <kernel/core/assert.h>
#include <kernel/core/command.h>
#include <kernel/core/symbols.h>
#include <lib/string.h>

#define HEX_ADDRESS_DIGITS 12	/* so many digits are an address even without a letter among them */

void command_peek_string(char *to, size_t size, const char *from)
{
	size_t n = 0;

	for (; n + 1 < size; n++) {
		if (command_peek(&to[n], from + n, 1)) {
			if (!n)
				strlcpy(to, "(unreadable)", size);
			else
				to[n] = '\0';
			return;
		}
		if (!to[n])
			return;
		if (to[n] < ' ' || to[n] > '~')
			to[n] = '?';
	}
	to[n] = '\0';
}

/* ---- lists ------------------------------------------------------------------------------------- */

void command_list_begin(struct command_list *l, struct command_io *io, const struct list_head *head)
{
	*l = (struct command_list){ .io = io, .head = head, .node = (struct list_head *)head, .left = COMMAND_WALK_MAX };
}

bool command_list_next(struct command_list *l)
{
	struct list_head *next, *back;

	if (!l->io->budget)
		return false;
	if (!COMMAND_LOAD(next, &l->node->next)) {
		command_printf(l->io, "(the list breaks off: %p is not readable)\n", (void *)l->node);
		return false;
	}
	if (next == l->head)
		return false;
	if (!l->left--) {
		command_printf(l->io, "(the list does not end)\n");
		return false;
	}
	if (!COMMAND_LOAD(back, &next->prev) || back != l->node) {
		command_printf(l->io, "(the list is damaged: %p leads to %p, which does not lead back)\n", (void *)l->node,
			       (void *)next);
		return false;
	}
	l->node = next;
	return true;
}

/* ---- trees ------------------------------------------------------------------------------------- */

static bool tree_broken(struct command_tree *t, const struct rb_node *at)
{
	command_printf(t->io, "(the tree breaks off: %p is not readable)\n", (const void *)at);
	t->node = NULL;
	return false;
}

/* Down to the left as far as it goes. */
static bool tree_leftmost(struct command_tree *t, struct rb_node *n)
{
	struct rb_node *left;

	for (; t->left; t->left--) {
		if (!COMMAND_LOAD(left, &n->left))
			return tree_broken(t, n);
		if (!left) {
			t->node = n;
			return true;
		}
		n = left;
	}
	command_printf(t->io, "(the tree does not end)\n");
	return false;
}

void command_tree_begin(struct command_tree *t, struct command_io *io, const struct rb_root *root)
{
	*t = (struct command_tree){ .io = io, .left = COMMAND_WALK_MAX };
	if (!COMMAND_LOAD(t->root, &root->node)) {
		command_printf(io, "(the tree at %p is not readable)\n", (const void *)root);
		t->root = NULL;
	}
}

bool command_tree_next(struct command_tree *t)
{
	struct rb_node *right, *up;
	u64 parent;

	if (!t->io->budget || !t->root)
		return false;
	if (!t->begun) {
		t->begun = true;
		return tree_leftmost(t, t->root);
	}
	if (!COMMAND_LOAD(right, &t->node->right))
		return tree_broken(t, t->node);
	if (right)
		return tree_leftmost(t, right);
	for (; t->left && t->node != t->root; t->left--) {
		if (!COMMAND_LOAD(parent, &t->node->parent_color))
			return tree_broken(t, t->node);
		up = (struct rb_node *)(uintptr_t)(parent & ~1ull);
		if (!COMMAND_LOAD(right, &up->right))
			return tree_broken(t, up);
		if (right != t->node) {
			t->node = up;
			return true;
		}
		t->node = up;
	}
	return false;
}

/* ---- numbers ----------------------------------------------------------------------------------- */

static bool register_value(const char *name, u64 *out)
{
	const struct hal_regs *regs = panic_registers();
	vaddr_t fault;

	if (strcmp(name, "fault") == 0 && panic_fault_address(&fault))
		*out = fault;
	else if (regs && strcmp(name, "ip") == 0)
		*out = hal_regs_ip(regs);
	else if (regs && strcmp(name, "sp") == 0)
		*out = hal_regs_sp(regs);
	else if (regs && strcmp(name, "fp") == 0)
		*out = hal_regs_fp(regs);
	else
		return false;
	return true;
}

static bool plain_number(const char *word, u64 *out)
{
	bool hex = word[0] == '0' && word[1] == 'x';
	const char *digits = hex ? word + 2 : word, *end;
	size_t n = strspn(digits, "0123456789abcdefABCDEF");

	if (!n || digits[n])
		return false;
	hex = hex || n >= HEX_ADDRESS_DIGITS || strspn(digits, "0123456789") < n;
	return parse_u64(digits, hex ? 16 : 10, out, &end) == 0;
}

static bool symbol_value(const char *word, u64 *out)
{
	char name[64];
	size_t n = strcspn(word, "+");
	u64 plus = 0;

	if (n >= sizeof(name) || (word[n] && !plain_number(word + n + 1, &plus)))
		return false;
	memcpy(name, word, n);
	name[n] = '\0';
	*out = symbol_address(name);
	if (!*out)
		return false;
	*out += plus;
	return true;
}

bool command_number(struct command_io *io, const char *word, u64 *out)
{
	if (word[0] == '$' ? register_value(word + 1, out) : symbol_value(word, out) || plain_number(word, out))
		return true;
	command_printf(io, "'%s' is no symbol and no number\n", word);
	return false;
}
