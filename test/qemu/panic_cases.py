"""Cases of the machine ring about the end of a kernel: what a panic says, and the shell after it (panic=shell).

The shipped kernel is crashed by magic SysRq, its own command line or PID 1; the debug kernel by death tests.  The shell is
driven over the serial line, and the kernel's structures are damaged in it: whatever a command meets there, the next one
must work, and the machine must end as it was told.
"""

import os
import random
import re

import image
import initrd

PANIC_STATUS = 85
PROMPT = rb"panic> \Z"

INIT = """#!/bin/sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox sleep 1000 &
/bin/sh -c 'kill -STOP $$' &
exec 5</proc/version
until /bin/busybox grep -q '(busybox) S' /proc/4/stat && /bin/busybox grep -q '(sh) T' /proc/5/stat; do :; done
echo c > /proc/sysrq-trigger
"""

# What the report of a crash inside of write(2) says, in this order.
REPORT = (r"\*\*\* kernel panic: ", r"^cpu 0, thread init", r"^command line: .*panic=shell", r"^registers:",
          r"^ rip 0010:[0-9a-f]{16} rsp", r"^backtrace:", r"^ #0 +\[[0-9a-f]{16}\] \w+", r"sys_write\+", r"x86_syscall_call[.\w]*\+",
          r"^ user mode at [0-9a-f]+, system call 1$", r"^current task:", r"^ +1 +1 +0 running .* init", r"1 threads, uid 0",
          r"in system call 1\(1, [0-9a-f]+, 2,", r"^its memory:", r"r-xp .* /bin/busybox$", r"rw-p .* \[heap\]$",
          r"rw-p .* \[stack\]$", r"^last log lines:", r"^\[ +[0-9.]+\] init: PID 1 is /init",
          r"\*\*\* end of panic report: ", r"The debug shell: `help`")


class Shell:
    """The prompt after a panic."""

    def __init__(self, case_machine, seconds=60):
        self.serial = case_machine.serial
        self.serial.expect(PROMPT, seconds, "the shell's prompt")
        self.before = self.serial.text()

    def run(self, line, seconds=20):
        """What a command prints."""
        start = len(self.serial.log)
        self.serial.send(line + "\n")
        self.serial.expect(PROMPT, seconds, "the prompt after %r" % line)
        text = self.serial.log[start:].decode("utf-8", "replace").replace("\r", "")
        return "\n".join(text.split("\n")[1:-1])

    def want(self, line, *patterns):
        text = self.run(line)
        at = 0
        for pattern in patterns:
            found = re.compile(pattern, re.M).search(text, at)
            if not found:
                raise AssertionError("%r printed %r, which has no %r" % (line, text[-2000:], pattern))
            at = found.end()
        return text


def in_order(text, patterns, what):
    at = 0
    for pattern in patterns:
        found = re.compile(pattern, re.M).search(text, at)
        if not found:
            raise AssertionError("%s: no %r in %r" % (what, pattern, text[at:at + 3000]))
        at = found.end()


def crash_image(ctx, words, script=INIT, debug=False):
    archive = initrd.Initrd()
    archive.copy("bin/busybox", initrd.BUSYBOX)
    archive.symlink("bin/sh", "busybox")
    archive.folder("proc")
    archive.folder("dev")
    archive.file("init", script, 0o755)
    name = re.sub(r"\W", "_", ctx.name)
    packed = archive.write(os.path.join(ctx.folder, name + ".cpio"))
    base = os.path.join(ctx.build, "debug", "halcyon.img") if debug else image.built(ctx.build, "halcyon.img")
    return image.make(base, os.path.join(ctx.folder, name + ".img"), initrd=packed,
                      options="console=ttyS0 quiet panic=shell " + words)


def ends_with(ctx, m, status, what, seconds=20):
    if m.wait(seconds) != status:
        raise AssertionError("%s: the machine's end is not %d" % (what, status))
    ctx.point(what)


# ---- a crash in a system call: the report, each command, damage -----------------------------------------


def look_around(ctx, s):
    s.want("help", r"^ +bt +\[pid", r"^ +vma ")
    s.want("help files", r"open files")
    ps = s.want("ps", r"^ +1 +1 +0 running .* init", r"^ +4 +4 +1 sleep .* busybox", r"^ +5 +5 +1 stopped .* sh ",
                r"^ +0 +0 +0 sleep .* work/0 ")
    s.want("bt", r"^ #0 ", r"sys_write\+", r"system call 1$")
    s.want("bt 4", r"schedule", r"x86_syscall_call[.\w]*\+", r"user mode at [0-9a-f]+, system call \d+$")
    s.want("bt 5", r"schedule", r"x86_syscall_exit\+", r"user mode at [0-9a-f]+, system call 62$")
    s.want("bt " + re.search(r"(0x\w+) work/0 ", ps)[1], r"schedule", r"kthread_main\+")
    text = s.want("bt all", r" sleep ", r"system call", r" work/0 ", r"kthread_main\+")
    if text.count(" user mode at ") != 3:
        raise AssertionError("the backtraces of three tasks do not reach user mode: %r" % text)
    ctx.point("tasks and their backtraces")
    s.want("task 5", r"stopped", r"process 0xf\w+ pid 5, group 0, session 0, 1 threads", r"in system call 62\(5, 13,",
           r"kernel stack ffffd")
    s.want("vma 4", r"^ space 0xf", r"r-xp .* /bin/busybox$", r"\[stack\]$")
    s.want("files 1", r"^ +cwd /$", r"^ +0 .* /dev/console$", r"^ +1 .* /proc/sysrq-trigger$", r"^ +5 .* /proc/version$")
    s.want("mounts", r"rootfs .* on /$", r"proc .* on /proc$")
    s.want("cpus", r"^cpu 0: init 0xf\w+, \d+ queued, \d+ switches")
    s.want("mem", r"^total +\d+ KiB", r"^user +\d+ KiB", r"below 4 GiB")
    s.want("slab", r"^task +\d+ ", r"^vm_area ")
    s.want("slab kmalloc-128", r"^kmalloc-128 ")
    s.want("log 3", r"PID 1 is /init")
    s.want("recorder 4", r"")
    s.want("regs", r"rip 0010:[0-9a-f]{16}", r"cr4")
    ctx.point("processes, memory, files, mounts, log")


def look_at_memory(ctx, s):
    s.want("xb 0x400000 8", r"7f 45 4c 46 02 01 01 0\d \.ELF")
    s.want("xb 0x400000@4 4", r"7f 45 4c 46")
    s.want("xs 0x400001@4", r"\"ELF")
    s.want("x kernel_main 2", r"^ffff\w{12}: \w{16}\b", r"^ffff\w{12}: ")
    s.want("x $sp 16", r"<\w+\+0x\w+>$")
    s.want("sym kernel_main+8", r"kernel_main\+0x8")
    s.want("pt 0x401000@4", r"level 3 \[  0\] \w+: table", r"level 0 .*4 KiB \w+, r-x user", r"leads to physical")
    s.want("pt kernel_main", r"r-x kernel", r"leads to physical")
    s.want("page 0x401000", r"is a user address", r"frame \w+ .*: user memory")
    s.want("page kernel_main", r"kernel image: kernel_main\+0x0")
    task = re.search(r"(0x\w+) busybox ", s.run("ps"))[1]
    s.want("page " + task, r"in the direct map", r": slab", r"cache task: byte 0 of object")
    for address in ("0", "0xffff900000000000", "0x8000000000000000", "0xffffffffffffffff", "ffffd00000000000", "0x7ffffffff000"):
        s.want("x " + address, r"not readable")
        s.want("page " + address, r" is ")
        s.want("pt " + address, r"")
    s.want("x", r"^$")
    s.want("x nosuch", r"'nosuch' is no symbol and no number")
    s.want("nosuch command", r"no such command")
    ctx.point("memory, symbols, page tables, bad addresses")


def type_badly(ctx, s):
    s.want("reasoX\x7fn", r".")
    s.want("rubbish\x15reason", r".")
    s.want("\x1b[Areason", r".")
    s.want("", r"^$")
    s.want("x " * 200, r"")
    s.serial.send("xb kernel_main 1000000\n")
    s.serial.expect(rb": [0-9a-f][0-9a-f] ", 10, "the first line of many")
    s.serial.send("\x03")
    s.serial.expect(PROMPT, 10, "the prompt after ^C")
    ctx.point("editing, ^C")


def break_things(ctx, s):
    s.want("poke 0 1", r"panic in panic \(command 'poke 0 1'\): null pointer dereference: (write|access) at 0000000000000000",
           r"command_poke\+", r"command_shell\+")
    s.want("poke kernel_main 0", r"panic in panic .*write to kernel text")
    s.want("poke __commands_start 0", r"panic in panic .*write to read-only memory")
    s.want("poke 0x8000000000000000 0", r"panic in panic .*general protection")
    s.want("poke 0xffff900000000000 0", r"panic in panic .*access to unmapped memory: write")
    ctx.point("commands that panic")
    area = re.search(r"(0x\w+) /bin/busybox$", s.run("vma"), re.M)[1]
    s.want("poke %x %s" % (int(area, 16) + 8, area), r": ")
    s.want("vma", r"the tree does not end")
    s.want("poke %x 0xdead000000000000" % (int(area, 16) + 8), r": ")
    s.want("vma", r"the tree breaks off")
    for symbol, command, said in (("mount_list", "mounts", r"the list"), ("kthread_list", "ps", r"the list"),
                                  ("cache_list", "slab", r"the list")):
        s.want("poke %s 0x10" % symbol, r"was ffff")
        s.want(command, said)
        s.want("poke %s 0xffff900000000000" % symbol, r": ")
        s.want(command, said)
        s.want("poke %s %s" % (symbol, symbol), r": ")
        s.want(command, r"")
    ctx.point("damaged trees and lists")
    leaves = s.want("x pid_leaves 1", r": ffff")
    s.want("poke pid_leaves 0xffff900000000000", r": ")
    s.want("ps", r"tid")
    s.want("bt 4", r"no task 4")
    s.want("poke pid_leaves " + leaves.split(": ")[1].split()[0], r": ")
    task = re.search(r"(0x\w+) busybox ", s.run("ps"))[1]
    for offset in range(0, 1800, 8):      # every word of a task, one after the other
        s.serial.send("poke %x 0x%x\n" % (int(task, 16) + offset, 0xdead000000000000 if offset % 16 else 0x18))
        s.serial.expect(PROMPT, 10, "the prompt after a poke")
    for command in ("ps", "task 4", "bt 4", "vma 4", "files 4", "bt all", "x 0x400000@4", "pt 0@4", "page " + task):
        s.run(command)
    ctx.point("a task of rubbish")
    root = int(re.search(r"root (\w+),", s.run("vma 1"))[1], 16)
    s.want("pt 0x401000", r"level 0 .* r-x user")
    direct = int(re.search(r"(0x\w+) init", s.run("ps"))[1], 16)
    frame = int(re.search(r"frame (\w+) ", s.run("page %x" % direct))[1], 16)
    entry = (direct & ~0xfff) - (frame << 12) + root
    s.want("poke %x 0x000fffffffff0067" % entry, r"was \w+67$|: ")
    s.want("pt 0x401000", r"is not in RAM")
    s.want("x 0x401000", r"not readable")
    ctx.point("a damaged page table")


def crash_in_syscall(ctx):
    m = ctx.boot(crash_image(ctx, "qemu-exit"), cpus=1)
    s = Shell(m)
    in_order(s.before, REPORT, "the report")
    ctx.point("the report")
    look_around(ctx, s)
    look_at_memory(ctx, s)
    type_badly(ctx, s)
    break_things(ctx, s)
    s.serial.send("poke consoles 0x10\n")           # nobody is left to talk to
    ends_with(ctx, m, PANIC_STATUS, "a damaged list of consoles ends the machine")


# ---- other ways to die ----------------------------------------------------------------------------------


def crash_in_kthread(ctx):
    words = " ".join("word%d" % i for i in range(60))
    m = ctx.boot(crash_image(ctx, "qemu-exit " + words), cpus=2)
    s = Shell(m)
    in_order(s.before, (r"kernel panic: too many words for init", r"^backtrace:", r"boot_thread\+", r"kthread_main\+",
                        r"^current task:", r" boot ", r"end of panic report"), "the report")
    s.want("task", r"running .* boot")
    s.want("vma", r"a kernel thread")
    s.want("ps", r"running .* boot")
    s.serial.send("quit\n")
    ends_with(ctx, m, PANIC_STATUS, "quit leads to QEMU's exit")


def crash_by_double_fault(ctx):
    m = ctx.boot(crash_image(ctx, "deathtest=stack_overflow", debug=True), cpus=1)
    s = Shell(m)
    in_order(s.before, (r"kernel panic: kernel stack overflow: double fault", r"deathtest_stack_overflow\+", r"deathtest_run\+",
                        r"kthread_main\+", r"end of panic report"), "the report")
    s.want("poke 0 1", r"panic in panic .*null pointer dereference", r"command_poke\+")
    s.want("locks", r"zone")
    s.want("bt", r"deathtest_stack_overflow\+", r"kthread_main\+")
    s.want("ps", r"running .* boot")
    s.want("slab dentry", r"^dentry ")
    s.serial.send("poweroff\n")
    ends_with(ctx, m, 0, "poweroff from the shell")


def random_lines(ctx, s, count):
    """Any command on anything: each ends, and the prompt comes back."""
    seed = int(os.environ.get("SEED", 1))      # as of the fuzzers: a run can be had again
    source = random.Random(seed)
    pieces = ["0", "1", "2", "-1", "99999", "0x%x" % (1 << 47), "0xffff800000000000", "0xffffffff80000000", "ffffd00000004000",
              "0xffffc00000000000", "0xfffffe0000000000", "0xffffffffffffff00", "$ip", "$sp", "$fp", "$fault", "kernel_main",
              "mount_list", "memcpy+3", "@", "@1", "0x400000@1", "all", "%s%n", "x" * 70, "/", "dentry"]
    names = ("bt", "cpus", "files", "help", "log", "mem", "mounts", "page", "ps", "pt", "reason", "recorder", "regs", "shell",
             "slab", "sym", "task", "vma", "x", "xb", "xs")
    for number in range(count):
        address = "%x" % source.choice((source.getrandbits(64), source.getrandbits(64) | 0xffff << 48, source.getrandbits(47)))
        words = [source.choice(pieces + [address]) for _ in range(source.randrange(3))]
        line = " ".join([source.choice(names)] + words)
        text = s.run(line)
        if "panic in panic" in text:
            raise AssertionError("seed %d, line %d: %r panics: %r" % (seed, number, line, text[-1500:]))
    ctx.point("%d random lines, none panics (seed %d)" % (count, seed))


def crash_of_init(ctx):
    m = ctx.boot(crash_image(ctx, "", script="#!/bin/sh\nexit 7\n"), cpus=1)
    s = Shell(m)
    in_order(s.before, (r"(?i)kernel panic: .*init.*0x00000700", r"x86_syscall_call[.\w]*\+", r"system call 231$", r"end of panic report"),
             "the report")
    random_lines(ctx, s, 200)
    s.serial.send("reboot\n")
    ends_with(ctx, m, 0, "reboot from the shell")


CASES = [
    ("panic=shell: a crash in a system call", crash_in_syscall),
    ("panic=shell: in a kernel thread", crash_in_kthread),
    ("panic=shell: after a double fault", crash_by_double_fault),
    ("panic=shell: PID 1 ends", crash_of_init),
]
