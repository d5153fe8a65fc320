/* SPDX-License-Identifier: MIT */
/*
 * Debug commands: finding them, running them, and the one way in which they touch memory.
 *
 * The linker collects pointers to all commands (section .commands, read-only). Nothing here has state, takes a lock or
 * allocates, so it works in the shell after a panic, in the panic report and under magic SysRq alike. There are a few
 * dozen commands and a person waits for them: the search is linear.
 *
 * command_peek() reads whole aligned words with the HAL's load that survives a missing page, so it can look at any
 * kernel address. It refuses user addresses: with SMAP such a load would be taken for a user access of the thread and
 * be faulted in, which sleeps. Commands read user memory through the direct map, by the page table (kernel/debug).
 */
#define LOG_TAG "command"
#include <hal/mem.h>
#include <hal/uaccess.h>
#include <kernel/core/command.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#define COMMAND_WORDS_MAX 8
#define COMMAND_TEXT_MAX 256u	/* bytes of one command_printf() */

extern const struct debug_command *const __commands_start[], *const __commands_end[];

bool command_printf(struct command_io *io, const char *fmt, ...)
{
	static const char cut[] = "... (more than a command may print)\n";
	char text[COMMAND_TEXT_MAX];
	va_list ap;
	bool spent;
	size_t n;

	if (!io->budget)
		return false;
	va_start(ap, fmt);
	n = (size_t)vscnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < n && io->budget; i++)
		if (text[i] == '\n')
			io->budget--;
	spent = !io->budget;
	io->emit(text, n);	/* may also take the budget away: ^C */
	if (spent)
		io->emit(cut, sizeof(cut) - 1);
	return io->budget != 0;
}

int command_peek(void *to, const void *from, size_t n)
{
	vaddr_t at = (vaddr_t)(uintptr_t)from;
	u8 *out = to;

	if (at < HAL_USER_END || at + n < at)
		return -EFAULT;
	while (n) {
		size_t skip = at & 7, part = MIN(n, 8 - skip);
		u64 word;

		if (!hal_kernel_load_u64(at - skip, &word))
			return -EFAULT;
		memcpy(out, (const u8 *)&word + skip, part);
		out += part;
		at += part;
		n -= part;
	}
	return 0;
}

static const struct debug_command *command_find(const char *name)
{
	for (const struct debug_command *const *c = __commands_start; c < __commands_end; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

/* Words are parted by blanks; what is beyond COMMAND_WORDS_MAX is dropped. */
static int split_words(char *line, char **argv)
{
	int n = 0;

	while (n < COMMAND_WORDS_MAX) {
		while (*line == ' ' || *line == '\t')
			*line++ = '\0';
		if (!*line)
			break;
		argv[n++] = line;
		while (*line && *line != ' ' && *line != '\t')
			line++;
	}
	argv[n] = NULL;
	return n;
}

int command_run(struct command_io *io, char *line)
{
	char *argv[COMMAND_WORDS_MAX + 1];
	const struct debug_command *c;
	int argc = split_words(line, argv);

	if (!argc)
		return 0;
	c = command_find(argv[0]);
	if (!c)
		return -ENOENT;
	c->run(io, argc, argv);
	return 0;
}

bool command_known(const char *line)
{
	char name[24];
	size_t n = strcspn(line, " ");

	if (n >= sizeof(name))
		return false;
	memcpy(name, line, n);
	name[n] = '\0';
	return command_find(name) != NULL;
}

void command_each(void (*fn)(const struct debug_command *c, void *arg), void *arg)
{
	const struct debug_command *last = NULL, *next;

	do {
		next = NULL;
		for (const struct debug_command *const *c = __commands_start; c < __commands_end; c++)
			if ((!last || strcmp((*c)->name, last->name) > 0) && (!next || strcmp((*c)->name, next->name) < 0))
				next = *c;
		if (next)
			fn(next, arg);
		last = next;
	} while (next);
}

static void help_line(const struct debug_command *c, void *arg)
{
	command_printf(arg, "  %-10s %-20s %s\n", c->name, c->args, c->help);
}

static void command_help(struct command_io *io, int argc, char **argv)
{
	const struct debug_command *c = argc > 1 ? command_find(argv[1]) : NULL;

	if (c)
		help_line(c, io);
	else if (argc > 1)
		command_printf(io, "no command '%s'\n", argv[1]);
	else
		command_each(help_line, io);
}
DEBUG_COMMAND(help, "[command]", "this list", command_help);
