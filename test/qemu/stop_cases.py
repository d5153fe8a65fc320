"""Cases of the machine ring about what CPUs ask of each other: where they are, and to stop.

The shipped kernel on four CPUs. Programs keep the others busy in user mode and in the kernel while one CPU, and not the first, ends
the machine.
"""

import panic_cases

# Two CPUs spin in user mode, one in system calls; $1 runs on CPU 2.
BUSY = """#!/bin/sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for cpu in 0 1; do /bin/busybox taskset $((1 << cpu)) /bin/sh -c ": > /there$cpu; while :; do :; done" & done
/bin/busybox taskset 8 /bin/sh -c ': > /there3; exec /bin/busybox dd if=/dev/zero of=/dev/null bs=1 2>/dev/null' &
until [ -e /there0 ] && [ -e /there1 ] && [ -e /there3 ]; do /bin/busybox sleep 0.05; done
/bin/busybox taskset 4 /bin/sh -c '%s'
"""


def boot(ctx, command):
    return ctx.boot(panic_cases.crash_image(ctx, "qemu-exit", script=BUSY % command), cpus=4)


def crash(ctx):
    m = boot(ctx, "echo c > /proc/sysrq-trigger")
    s = panic_cases.Shell(m)
    panic_cases.in_order(s.before, (r"\*\*\* kernel panic: sysrq triggered crash", r"^cpu 2, thread sh", r"^backtrace:",
                                    r"^the other CPUs:",
                                    r"^cpu 0 was stopped", r"^ #0 ", r"^cpu 1 was stopped", r"^ #0 ", r"^cpu 3 was stopped", r"^ #0 ",
                                    r"^current task:", r"end of panic report"), "the report")
    ctx.point("a panic on CPU 2 stops the others and says where they were")
    s.want("others", r"^cpu 0 was stopped", r"^cpu 1 was stopped", r"^cpu 3 was stopped")
    s.serial.send("reboot\n")
    m.wait(20)
    ctx.point("the shell tells it again")


ASKED = 5           # a thread of the kernel's may run on CPU 0 at the moment of one look, not of all
PLACES = (r"CPU 2, thread sh:", r"sys_write\+", r"CPU 0, thread sh", r"cpu 0:", r"user mode at", r"CPU 1, thread sh", r"cpu 1:",
          r"user mode at", r"CPU 3, thread", r"cpu 3:")


def backtraces(ctx):
    m = boot(ctx, "for i in $(/bin/busybox seq %d); do echo l > /proc/sysrq-trigger; done; echo t-l-b; "
             "/bin/busybox cat /proc/halcyon/tlb; /bin/busybox reboot -f" % ASKED)
    text = m.serial.expect(r"(?s)Show backtrace of all active CPUs.*t-l-b\s", 60, "the backtraces").group(0)
    looks = text.decode().replace("\r", "").split("Show backtrace of all active CPUs")[1:]
    for left in range(len(looks) - 1, -1, -1):
        try:
            panic_cases.in_order(looks[left], PLACES, "SysRq l")
            break
        except AssertionError:
            if not left:
                raise
    ctx.point("SysRq l asks every CPU")
    m.serial.expect(rb"hangs +0 ", 30, "the counters")
    panic_cases.ends_with(ctx, m, 33, "a reboot on CPU 2 while the others are busy")


# When the machine ends nobody forks any more: the shell that is PID 1 gives up then, while its children are being killed.
IMPATIENT = """#!/bin/sh
/bin/busybox mount -t devtmpfs dev /dev
for i in $(/bin/busybox seq 80); do /bin/busybox sleep 1000 & done
/bin/busybox reboot -f &
while :; do (:); done
"""


def init_first(ctx):
    m = ctx.boot(panic_cases.crash_image(ctx, "qemu-exit", script=IMPATIENT), cpus=2)
    panic_cases.ends_with(ctx, m, 33, "PID 1 ends before its children, at a reboot", 60)


CASES = [
    ("PID 1 ends before its children", init_first),
    ("four CPUs: a panic stops them", crash),
    ("four CPUs: where they are, and a reboot", backtraces),
]
