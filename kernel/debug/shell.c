/* SPDX-License-Identifier: MIT */
/*
 * The shell after a panic: `panic=shell` on the command line. Debug commands over the serial line, by polling.
 *
 * It is itself a command, so that panic.c, far below, can start it from the first instruction of the kernel on. Nothing
 * here waits for anything but the line, takes a lock or allocates. A command that panics ends in panic.c, which comes
 * back by running the shell anew on a fresh stack; so state is static, and all of it is only a line being typed.
 *
 * ^C ends the output of a command: between its pieces the shell looks what has come, and takes its budget away.
 */
#include <hal/console.h>
#include <hal/cpu.h>
#include <hal/power.h>
#include <kernel/core/assert.h>
#include <kernel/core/command.h>
#include <kernel/core/log.h>
#include <lib/string.h>

#define LINE_MAX	160u
#define AHEAD_MAX	64u	/* characters that were typed while a command ran */
#define COMMAND_LINES	4000u

#define KEY_INTERRUPT	0x03	/* ^C */
#define KEY_KILL	0x15	/* ^U */
#define KEY_ESCAPE	0x1b

/* Only the CPU that panicked is here. */
static struct {
	char line[LINE_MAX];
	char doing[LINE_MAX + 16];
	u8 ahead[AHEAD_MAX];
	u32 head, tail;		/* of ahead */
	bool interrupted;
	bool greeted;
	bool over;		/* `quit` */
	struct command_io io;
} shell;

static void say(const char *text)
{
	log_emit_raw(text, strlen(text));
}

static bool ahead_full(void)
{
	return shell.head - shell.tail == AHEAD_MAX;
}

/*
 * Takes what has come. What there is no room for stays in the line, where it may hold the sender up; but while a command
 * runs everything is taken, lest a ^C wait behind it.
 */
static void poll_line(bool running)
{
	u8 c, flags;

	while ((running || !ahead_full()) && hal_uart_read(&c, &flags, 1)) {
		if (flags & (HAL_UART_F_BREAK | HAL_UART_F_PARITY | HAL_UART_F_FRAME))
			continue;
		if (running && c == KEY_INTERRUPT)
			shell.interrupted = true;
		else if (!ahead_full())
			shell.ahead[shell.head++ % AHEAD_MAX] = c;
	}
}

static u8 next_char(void)
{
	while (shell.head == shell.tail) {
		poll_line(false);
		hal_cpu_relax();
	}
	return shell.ahead[shell.tail++ % AHEAD_MAX];
}

/* The rest of what a cursor key sends. */
static void skip_escape(void)
{
	if (next_char() != '[')
		return;
	while (next_char() < '@')
		;
}

/* Into shell.line, which is empty after ^C. */
static void read_line(void)
{
	size_t n = 0;
	u8 c;

	while ((c = next_char()) != '\r' && c != '\n' && c != KEY_INTERRUPT) {
		if (c == KEY_ESCAPE) {
			skip_escape();
		} else if (c == KEY_KILL || c == 0x7f || c == '\b') {
			for (size_t stop = c == KEY_KILL || !n ? 0 : n - 1; n > stop; n--)
				say("\b \b");
		} else if (c >= ' ' && c <= '~' && n + 1 < LINE_MAX) {
			shell.line[n++] = (char)c;
			log_emit_raw((const char *)&c, 1);
		}
	}
	say(c == KEY_INTERRUPT ? "^C\n" : "\n");
	shell.line[c == KEY_INTERRUPT ? 0 : n] = '\0';
}

static void emit(const char *text, size_t n)
{
	log_emit_raw(text, n);
	poll_line(true);
	if (shell.interrupted)
		shell.io.budget = 0;
}

static void run_line(void)
{
	scnprintf(shell.doing, sizeof(shell.doing), "command '%s'", shell.line);
	panic_doing(shell.doing);
	shell.interrupted = false;
	shell.io = (struct command_io){ .emit = emit, .budget = COMMAND_LINES };
	if (command_run(&shell.io, shell.line))
		command_printf(&shell.io, "no such command; `help` lists them\n");
	panic_doing("the shell");
}

static void command_shell(struct command_io *io, int argc, char **argv)
{
	(void)argc, (void)argv;
	if (!panic_active()) {
		command_printf(io, "the shell is for after a panic\n");
		return;
	}
	if (!hal_console_present()) {
		say("panic=shell: there is no serial line\n");
		return;
	}
	hal_uart_set_rts(true);	/* it may have been told to be silent */
	if (!shell.greeted)
		say("The debug shell: `help` lists the commands, `quit` goes on to the end.\n");
	shell.greeted = true;
	while (!shell.over) {
		say("panic> ");
		read_line();
		run_line();
	}
}
DEBUG_COMMAND(shell, "", "what panic=shell starts", command_shell);

static void command_quit(struct command_io *io, int argc, char **argv)
{
	(void)io, (void)argc, (void)argv;
	shell.over = true;
}
DEBUG_COMMAND(quit, "", "leave the shell: halt, or QEMU's exit with qemu-exit", command_quit);

static void command_reboot(struct command_io *io, int argc, char **argv)
{
	(void)io, (void)argc, (void)argv;
	hal_reboot();
}
DEBUG_COMMAND(reboot, "", "reset the machine at once", command_reboot);

static void command_poweroff(struct command_io *io, int argc, char **argv)
{
	(void)io, (void)argc, (void)argv;
	hal_poweroff();
}
DEBUG_COMMAND(poweroff, "", "switch the machine off at once", command_poweroff);
