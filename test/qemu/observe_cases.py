"""Cases of the machine ring about observing a running kernel from outside: magic SysRq over the serial line, where nothing
but the UART's interrupt works any more, and what the command line switches on from the first system call.

What the files of /proc say is test/abi/observe.c's subject.
"""

import initrd
import machine


def press(session, key):
    """A break, and the key.  QEMU's chip knows that there was a break, but not before which character."""
    session.settle(0.3)
    session.machine.send_break()
    session.settle(0.3)
    session.type(key)


def press_until(session, key, pattern, what):
    """The key until it is answered so: a break that comes while the machine is slow may find the last character, not the key."""
    for left in range(3, -1, -1):
        press(session, key)
        try:
            return session.serial.expect(b"(?s)" + pattern, 8 if left else 20, what, exactly=bool(left))
        except machine.Hang:
            if not left or session.serial.eof:
                raise


def sysrq_over_serial(ctx):
    s = ctx.prompt()
    for key, pattern in (("h", rb"sysrq: HELP : loglevel\(0-9\) reboot\(b\)"), ("t", rb"sysrq: task:init +state:S tid:1 "),
                         ("t", rb"sysrq: task:work/0 +state:S [^\n]* in workqueue"), ("m", rb"sysrq: Show Memory"),
                         ("p", rb"sysrq: Show Regs.*rip 0010:"), ("l", rb"CPU 0, thread idle/0"),
                         ("z", rb"sysrq: Show Recorder"), ("s", rb"sysrq: Emergency Sync complete"),
                         ("?", rb"sysrq: HELP")):
        press_until(s, key, pattern, "SysRq " + key)
        ctx.point("SysRq %s: %s" % (key, pattern.decode()))
    s.settle()
    s.type("\n")
    s.wait_prompt()

    # A program that never sleeps, on the CPU where the line's interrupt goes: the key is served in the interrupt, on top of it.
    s.type("taskset 1 sh -c 'while :; do :; done'\n")
    s.settle()
    press_until(s, "p", rb"sysrq: Show Regs.*rip 0033:.*user mode at", "the registers of the program")
    ctx.point("SysRq p over a loop of user mode")
    s.type(b"\x03")
    s.settle()
    s.type("\n")
    s.wait_prompt()

    # Two breaks are one for the terminal, which ignores it; and the key is the program's.
    s.machine.send_break()
    s.settle(0.2)
    s.machine.send_break()
    s.settle(0.2)
    s.expect_output("echo two breaks", r"^two breaks$")
    ctx.point("two breaks are an ordinary one")

    s.run("echo 2 > /proc/sys/kernel/sysrq")
    press_until(s, "t", rb"sysrq: This sysrq operation is disabled", "a refusal")
    press_until(s, "4", rb"sysrq: Loglevel set to 4", "what the mask allows")
    s.settle()
    s.type("\n")
    s.wait_prompt()
    ctx.point("kernel.sysrq is a mask")
    s.run("echo 0 > /proc/sys/kernel/sysrq")
    s.machine.send_break()
    s.settle(0.2)
    s.expect_output("echo t", r"^t$")
    ctx.point("kernel.sysrq = 0: breaks are the terminal's")
    s.run("echo 1 > /proc/sys/kernel/sysrq")

    press(s, "i")
    s.see(rb"init: the shell was killed by signal 9", what="the shell's end")
    s.wait_prompt()
    ctx.point("SysRq i kills all but PID 1")
    press(s, "b")
    if s.machine.wait(20) != 0:
        raise AssertionError("SysRq b did not reset the machine")
    ctx.point("SysRq b resets")


SCRIPT = """#!/bin/sh
/bin/busybox true with words
/bin/busybox mkdir /proc
/bin/busybox mount -t proc proc /proc
/bin/busybox grep recording /proc/halcyon/recorder
/bin/busybox grep -c 'syscall  execve' /proc/halcyon/recorder
echo script done
/bin/busybox sleep 1000
"""


def trace_from_boot(ctx):
    def fill(archive):
        archive.copy("bin/busybox", initrd.BUSYBOX)
        archive.symlink("bin/sh", "busybox")
        archive.file("init", SCRIPT, 0o755)

    m = ctx.boot(ctx.image(initrd=ctx.initrd(fill), options="console=ttyS0 debug trace=execve record=syscall,switch"))
    m.serial.expect(rb'trace: busybox\[\d+\] execve\("/bin/busybox", \["/bin/busybox", "true", "with", "words"\], '
                    rb'\[\d strings\]\) = 0 <\d\.\d{6}>', 60, "a traced call on the console")
    ctx.point("trace= and debug: calls on the console")
    m.serial.expect(rb"recording switch,syscall", 30, "what is recorded")
    m.serial.expect(rb"\n[1-9]\d*\r\n", 30, "recorded calls")
    ctx.point("record= on the command line")
    m.serial.expect(rb"script done", 30, "the script's end")
    m.serial.pump(0.3)
    m.send_break()
    m.serial.pump(0.3)
    m.serial.send("o")
    if m.wait(20) != 0:
        raise AssertionError("SysRq o did not switch the machine off")
    ctx.point("SysRq o switches off")


CASES = [
    ("SysRq over the serial line", sysrq_over_serial),
    ("trace= and record=", trace_from_boot),
]
