"""What a person does at the prompt: used on Halcyon, and on Linux to prove the script itself.

A Session types and waits for what must appear.  A step that does not come true
raises machine.Hang, which the rings report with the machine's dump.
"""

import hashlib
import random
import re
import time

from machine import Hang

ASH_PROMPT = rb"[~/][\w/]* # (?:\x1b\[6n)?\Z"
BASH_PROMPT = rb"bash-5\.\d+# \Z"
CTRL = {letter: bytes([ord(letter) - 64]) for letter in "CDQSUWZ"}
CTRL["\\"] = b"\x1c"


class Session:
    def __init__(self, machine, prompt=ASH_PROMPT):
        self.machine, self.serial, self.prompt = machine, machine.serial, prompt
        self.count = 0

    def wait_prompt(self, seconds=30):
        self.serial.expect(self.prompt, seconds, "the prompt")

    def type(self, text):
        self.serial.send(text)

    def see(self, pattern, seconds=20, what=None):
        return self.serial.expect(pattern, seconds, what)

    def start(self, program, rest=""):
        """A program in the foreground, which has the terminal when this returns: what is typed then is the program's."""
        self.type("sh -c 'echo run\"\"ning; %s'%s\n" % (program if ";" in program else "exec " + program, rest))
        self.see(rb"\nrunning\r\n", what=program)

    def press_until_prompt(self, key, seconds=5):
        """A key that makes a new prompt: bash misses a signal that comes right before its read, and takes it with the next."""
        for left in range(3, -1, -1):
            self.type(key)
            try:
                return self.serial.expect(self.prompt, seconds if left else 30, "the prompt", exactly=bool(left))
            except Hang:
                if not left or self.serial.eof:
                    raise

    def settle(self, seconds=0.3):
        """Let the guest go on: where it should be by then, but need not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.serial.pump(0.05)

    def run(self, command, seconds=30):
        """Run a command; (its output as text, its status)."""
        self.count += 1
        mark = "=%d=" % self.count
        self.type("%s; echo \"%s\"$?.\n" % (command, mark))
        found = self.see((r"\n(.*?)%s(\d+)\.\r\n" % re.escape(mark)).encode(), seconds, command)
        self.wait_prompt(seconds)
        return found.group(1).decode("utf-8", "replace").replace("\r", ""), int(found.group(2))

    def expect_output(self, command, pattern, seconds=30):
        output, _ = self.run(command, seconds)
        if not re.search(pattern, output, re.S | re.M):
            raise AssertionError("%r printed %r, which has no %r" % (command, output, pattern))
        return output


def signals(s):
    """^C, ^\\ and ^Z reach the foreground job and nothing else."""
    s.start("sleep 1000")
    s.type(CTRL["C"])
    s.wait_prompt()
    s.expect_output("echo status $?", r"status 130")
    s.start("sleep 1000")
    s.type(CTRL["\\"])
    s.see(rb"Quit")
    s.wait_prompt()
    s.expect_output("trap 'echo trap''ped' INT; kill -INT $$; trap - INT", r"trapped")
    s.type("partial line")
    s.see(rb"partial line", what="the echo")
    s.settle()
    s.press_until_prompt(CTRL["C"])
    s.expect_output("echo fresh", r"^fresh")


def stop(s):
    s.type(CTRL["Z"])
    s.see(rb"Stopped")
    s.wait_prompt()


def jobs(s):
    """^Z, jobs, bg, fg, kill %n, background reads, the terminal's foreground group."""
    s.start("cat")
    s.type("one\n")
    s.see(rb"one\r\none\r\n")
    stop(s)
    s.expect_output("jobs", r"Stopped.*cat")
    s.type("fg\n")
    s.see(rb"fg\r\n[^\r\n]*cat[^\r\n]*\r\n")
    s.type("two\n")
    s.see(rb"two\r\ntwo\r\n", what="input after fg")
    s.type(CTRL["D"])
    s.wait_prompt()
    s.start("sleep 1000")
    stop(s)
    s.expect_output("bg", r"sleep 1000")
    s.expect_output("jobs", r"Running.*sleep 1000|sleep 1000")
    s.expect_output("kill %1; wait %1; echo waited $?", r"waited 143")
    s.type("cat &\n")
    s.wait_prompt()
    for _ in range(100):        # it is stopped when it reads
        if "Stopped" in s.run("jobs")[0]:
            break
        s.settle()
    s.expect_output("jobs", r"Stopped")
    s.type("fg\n")
    s.see(rb"fg\r\n[^\r\n]*cat[^\r\n]*\r\n")
    s.type("three\n")
    s.see(rb"three\r\nthree\r\n")
    s.type(CTRL["D"])
    s.wait_prompt()
    s.start("while [ ! -e /tmp/through ]; do sleep 0.1; done", " | cat")
    stop(s)
    s.run("touch /tmp/through")
    s.type("fg\n")
    s.wait_prompt()
    s.expect_output("rm /tmp/through; jobs; echo none", r"^none")
    s.expect_output("(sleep 0.2; echo from behind) & wait; echo after", r"from behind\s.*after")


def editing(s):
    """The shell's own line editing, then the terminal's under cat."""
    s.type("echo abX\x7fc\n")
    s.see(rb"\nabc\r\n", what="erase at the prompt")
    s.wait_prompt()
    s.type("nonsense")
    s.type(CTRL["U"])
    s.type("echo killed line\n")
    s.see(rb"\nkilled line\r\n")
    s.wait_prompt()
    s.type("echo one wrong")
    s.type(CTRL["W"])
    s.type("two\n")
    s.see(rb"\none two\r\n")
    s.wait_prompt()
    s.start("cat")
    s.type(b"ab\x7fc\n")
    s.see(rb"ab\x08 \x08c\r\nac\r\n", what="the terminal's erase and its echo")
    s.type(b"gone")
    s.type(CTRL["U"])
    s.type(b"kept\n")
    s.see(rb"\nkept\r\n|\x08kept\r\nkept\r\n", what="the terminal's kill")
    s.type(b"one two")
    s.type(CTRL["W"])
    s.type(b"three\n")
    s.see(rb"\none three\r\n", what="the terminal's word erase")
    s.type(b"\x16\x03\n")
    s.see(rb"\^C\r\n\x03\r\n", what="literal next")
    s.type(b"no newline")
    s.type(CTRL["D"])
    s.see(rb"no newlineno newline", what="EOF flushes a partial line")
    s.type(CTRL["D"])
    s.wait_prompt()
    s.start("cat")
    s.type(CTRL["S"])
    s.type("held\n")
    s.settle()
    s.type(CTRL["Q"])
    s.see(rb"held\r\nheld\r\n", what="output after ^Q")
    s.type(CTRL["D"])
    s.wait_prompt()


def terminal(s):
    s.expect_output("tty", r"/dev/(console|ttyS0)")
    s.expect_output("stty rows 30 cols 90; stty size", r"30 90")
    s.expect_output("echo to the tty >/dev/tty", r"to the tty")
    s.expect_output("stty -echo; stty -a | grep -c -- '-echo '; stty echo", r"^1")
    s.expect_output("sh -c 'exit 3' || echo failed $?", r"failed 3")
    s.run("stty rows 24 cols 80")


def paste_text(seed=7, size=100_000):
    """Lines of 1 to 4,095 bytes, printable, at least `size` bytes together."""
    rng = random.Random(seed)
    letters = bytes(range(33, 127))
    lines, total = [], 0
    lengths = [4095, 1, 4095, 80, 4094]
    while total < size:
        n = lengths[len(lines)] if len(lines) < len(lengths) else rng.randint(1, 4095)
        lines.append(bytes(rng.choice(letters) for _ in range(n)) + b"\n")
        total += n + 1
    return b"".join(lines)


def paste(s):
    """100 kB pasted into cat >f arrive whole."""
    data = paste_text()
    s.start("cat >/tmp/pasted")
    s.serial.send(data, 100)
    s.type(CTRL["D"])
    s.wait_prompt(60)
    s.expect_output("wc -c </tmp/pasted", r"^%d\b" % len(data))
    s.expect_output("md5sum </tmp/pasted", hashlib.md5(data).hexdigest())


STEPS = (("signals", signals), ("jobs", jobs), ("line editing", editing),
         ("terminal", terminal), ("paste", paste))
