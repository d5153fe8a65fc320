"""Ring 4: the real image in several machines, driven over the serial line.

What the loader says is ring_loader.py's subject.
Every case is a function that gets a Context and raises when something is not
as it should be; it is one point, or several when it calls `ctx.point`.  Three
cases run at a time, as most wait now and then.  The image is the shipped one wherever a case does not say
otherwise; QEMU never writes to it (snapshot=on).
"""

import concurrent.futures
import gzip
import os
import re
import traceback

import clock_cases
import image
import initrd
import machine
import mitigate_cases
import observe_cases
import panic_cases
import pci_cases
import ring_abi
import session
import stop_cases
from report import Report

REBOOT_STATUS = machine.REBOOT_STATUS
PANIC_STATUS = 85
WORKERS = 3
TEST_WORDS = "console=ttyS0 qemu-exit quiet "


class Context:
    """What a case needs: the build, a scratch folder, machines, points."""

    def __init__(self, build, folder, report, name):
        self.build, self.folder, self.report, self.name = build, folder, report, name
        self.machines = []

    def image(self, **changes):
        if not changes:
            return image.built(self.build, "halcyon.img")
        path = os.path.join(self.folder, re.sub(r"\W", "_", self.name) + ".img")
        return image.make(image.built(self.build, "halcyon.img"), path, **changes)

    def boot(self, disk=None, **shape):
        m = machine.Machine(image=disk or self.image(), name=self.name,
                            symbols=image.built(self.build, "kernel.elf"), **shape)
        self.machines.append(m)
        return m.__enter__()

    def prompt(self, disk=None, seconds=60, **shape):
        s = session.Session(self.boot(disk, **shape))
        s.wait_prompt(seconds)
        return s

    def initrd(self, fill):
        """An initrd that `fill` puts together; its path."""
        archive = initrd.Initrd()
        fill(archive)
        return archive.write(os.path.join(self.folder, re.sub(r"\W", "_", self.name) + ".cpio"))

    def point(self, what):
        self.report.check(True, "%s: %s" % (self.name, what))


def need(good, what):
    if not good:
        raise AssertionError(what)


# ---- machines -------------------------------------------------------------------------------

SHAPES = {
    "one CPU, 256 MiB": dict(cpus=1, ram_mib=256),
    "four CPUs, 2 GiB, a TPM": dict(cpus=4, ram_mib=2048, tpm=True),
    "a plain old CPU (qemu64)": dict(cpu="qemu64", cpus=2),
    "Intel's name and leaves": dict(cpu="max,vendor=GenuineIntel,family=6,model=94,level=0x16"),
    "no HPET, no i8042": dict(machine_opts=",hpet=off,i8042=off"),
    "RAM above 4 GiB": dict(ram_mib=6144),
    "five levels of paging refused": dict(cpu="max,la57=on"),
    "no SMAP, no FSGSBASE, no XSAVE": dict(cpu="max,-smap,-smep,-fsgsbase,-xsave,-avx,-avx2"),
    "with a screen": dict(extra=("-device", "VGA")),
}


def boots(shape):
    def case(ctx):
        s = ctx.prompt(cold=True, **SHAPES[shape])
        s.expect_output("echo $((6 * 7))", r"^42$")
        s.expect_output("uname -srm", r"^Linux 6\.1\.0-halcyon x86_64$")
        s.type("poweroff -f\n")
        need(s.machine.wait(20) == 0, "poweroff did not switch the machine off")
    return case


def default_system(ctx):
    s = ctx.prompt()
    s.expect_output("cat /proc/version", r"(?i)halcyon")
    s.expect_output("uname -a", r"(?i)halcyon")
    s.expect_output("cat /proc/1/comm", r"^init$")
    s.expect_output("mount", r"proc on /proc.*tmpfs on /tmp")
    s.expect_output("ls /bin | wc -l", r"^\d\d+$")
    s.expect_output("id", r"uid=0\(root\)")
    s.expect_output("ls -l /dev/console /dev/null /dev/tty /dev/kmsg /dev/urandom | wc -l", r"^5$")
    s.expect_output("dmesg | wc -l", r"^\d+$")
    s.expect_output("ps", r"1 root .*init")
    s.expect_output("free | grep -c Mem", r"^1$")
    s.expect_output("top -b -n 1 | grep -c CPU", r"[1-9]")
    ctx.point("the default system")
    s.type("exit\n")
    s.see(rb"init: the shell ended with status 0")
    s.wait_prompt()
    ctx.point("a shell that ended is started anew")
    s.expect_output("sleep 100 & sh -c 'kill -9 $$'; echo $?", r"137")
    s.type("poweroff\n")
    s.see(rb"init: powering off")
    need(s.machine.wait(20) == 0, "poweroff did not switch the machine off")
    ctx.point("poweroff through init")


def reboots(ctx):
    s = ctx.prompt()
    s.type("reboot\n")
    s.see(rb"init: restarting")
    need(s.machine.wait(20) == 0, "reboot did not reset the machine")
    ctx.point("reboot resets")
    s = ctx.prompt()
    s.type("halt\n")
    s.see(rb"init: halting")
    try:
        s.machine.wait(3, exactly=True)
    except machine.Hang:
        ctx.point("halt halts")
        return
    raise AssertionError("halt ended the machine")


def interactive(shell):
    def fill(archive):
        archive.copy("init", os.path.join(fill.build, "userland", "init"))
        archive.shells()

    def case(ctx):
        fill.build = ctx.build
        disk = ctx.image(initrd=ctx.initrd(fill))
        s = ctx.prompt(disk)
        if shell == "bash":
            s.prompt = session.BASH_PROMPT
            s.type("bash\n")
            s.wait_prompt()
        for name, step in session.STEPS:
            step(s)
            ctx.point(name)
        s.type("poweroff -f\n")
        need(s.machine.wait(20) == 0, "poweroff")
    return case


# ---- the user's own initrd ------------------------------------------------------------------

def scripted(text):
    def fill(archive):
        archive.copy("bin/busybox", initrd.BUSYBOX)
        archive.symlink("bin/sh", "busybox")
        archive.file("init", "#!/bin/sh\n" + text, 0o755)
        archive.file("other", "#!/bin/sh\necho other init \"$@\"\nexec /bin/busybox reboot -f\n", 0o755)
    return fill


def own_initrd(ctx):
    text = ("/bin/busybox test $$ = 1 && echo pid one\n"
            "/bin/busybox ls -A /dev; echo listed; echo \"args $*\"\n"
            "/bin/busybox mkdir -p /proc /dev /mnt\n"
            "/bin/busybox mount -t proc proc /proc && echo proc mounted\n"
            "/bin/busybox mount -t devtmpfs dev /dev && /bin/busybox test -c /dev/null && echo dev mounted\n"
            "/bin/busybox mount -t tmpfs tmp /mnt && echo tmp mounted\n"
            "exec /bin/busybox reboot -f\n")
    disk = ctx.image(initrd=ctx.initrd(scripted(text)), options=TEST_WORDS + "word -- one two")
    m = ctx.boot(disk)
    need(m.wait(60) == REBOOT_STATUS, "exit status")
    said = m.serial.text()
    for what in ("pid one", "args word one two", "proc mounted", "dev mounted", "tmp mounted"):
        need(what in said, what)
        ctx.point(what)
    need(re.search(r"^console\nlisted", said, re.M), "/dev holds the console and nothing else")


def rdinit(ctx):
    disk = ctx.image(initrd=ctx.initrd(scripted("echo wrong\n")),
                     options=TEST_WORDS + "rdinit=/other -- a b")
    m = ctx.boot(disk)
    need(m.wait(60) == REBOOT_STATUS, "exit status")
    need("other init a b" in m.serial.text(), "rdinit= and its arguments")


def init_ends(ctx):
    for text, said in (("exit 7\n", "0x00000700"), ("kill -SEGV 1\nexit 3\n", "0x00000300")):
        disk = ctx.image(initrd=ctx.initrd(scripted(text)), options=TEST_WORDS)
        m = ctx.boot(disk)
        need(m.wait(60) == PANIC_STATUS, "a panic")
        need(re.search(r"(?i)panic.*init.*" + said, m.serial.text()),
             "the panic names PID 1's status")
        ctx.point("PID 1 ends: %r" % text)


def panic_words(ctx):
    """panic=poweroff|reboot end the machine after the report, panic=halt leaves it standing."""
    for word, ends in (("poweroff", True), ("reboot", True), ("halt", False)):
        disk = ctx.image(initrd=ctx.initrd(scripted("exit 9\n")), options="console=ttyS0 panic=" + word)
        m = ctx.boot(disk)
        m.serial.expect(rb"end of panic report", 60, "panic=%s: a whole report" % word)
        try:
            status = m.wait(20 if ends else 2, exactly=not ends)
        except machine.Hang:
            status = None
        need(status == (0 if ends else None), "panic=%s: the machine's end is %s" % (word, status))
        ctx.point("panic=" + word)


def archives(ctx):
    """Concatenated archives, hard links, devices, owners, modes, times, and damage."""
    def fill(archive):
        scripted("cd /; /bin/busybox cat a link; /bin/busybox stat -c '%n %a %u %g %Y %h' f link node\n"
                 "/bin/busybox stat -c '%F %t %T' node; /bin/busybox readlink soft\n"
                 "/bin/busybox cat second over\nexec /bin/busybox reboot -f\n")(archive)
        archive.file("a", "archive a\n")
        archive.add("f", 0o100640, 5, 6, b"owned\n", mtime=1234567)
        archive.link("link", "f")
        archive.add("node", 0o020600, rdev=(1, 3))
        archive.symlink("soft", "target")
        archive.file("over", "first\n")
        archive.finish()
        archive.file("second", "in the second archive\n")
        archive.file("over", "replaced\n")
    disk = ctx.image(initrd=ctx.initrd(fill), options=TEST_WORDS)
    m = ctx.boot(disk)
    need(m.wait(60) == REBOOT_STATUS, "exit status")
    said = m.serial.text()
    for what in ("archive a", "owned", "f 640 5 6 1234567 2", "link 640 5 6 1234567 2",
                 "character special file 1 3", "target", "in the second archive", "replaced"):
        need(what in said, what)
        ctx.point(what)


def compressed_initrd(ctx):
    """What the loader lets pass, the kernel names."""
    path = ctx.initrd(scripted("exec /bin/busybox reboot -f\n"))
    with open(path, "rb") as source:
        data = gzip.compress(source.read())
    with open(path, "wb") as sink:
        sink.write(data)
    m = ctx.boot(ctx.image(initrd=path, options=TEST_WORDS))
    m.serial.expect(rb"(?i)initrd[^\n]*(gzip|compress)", 60, "a message that says which")


# ---- all of them ----------------------------------------------------------------------------

CASES = [
    ("the default system", default_system),
    ("interactive ash", interactive("ash")),
    ("interactive bash", interactive("bash")),
    ("reboot and halt", reboots),
    ("an own initrd", own_initrd),
    ("rdinit=", rdinit),
    ("PID 1 ends", init_ends),
    ("panic=", panic_words),
    ("archives", archives),
    ("a compressed initrd", compressed_initrd),
] + clock_cases.CASES + panic_cases.CASES + observe_cases.CASES + pci_cases.CASES + mitigate_cases.CASES + stop_cases.CASES + \
    [("boots: " + shape, boots(shape)) for shape in SHAPES]


def run_case(build, folder, report, name, case, may_panic=True):
    """One case, which may fail in any way. may_panic: some cases want a panic, so one is no report of a detector."""
    ctx = Context(build, folder, report, name)
    try:
        case(ctx)
        said = [line for m in ctx.machines for line in machine.reports(m.serial.text())
                if not (may_panic and "panic" in line.lower())]
        report.check(not said, "%s%s" % (name, "".join("\n# " + line for line in said[:20])))
    except Exception as trouble:        # a case may fail in any way; it is told, and the next runs
        report.fail("%s: %s" % (name, trouble))
        if not isinstance(trouble, (machine.Hang, AssertionError)):
            report.note(traceback.format_exc())
        for m in ctx.machines:
            report.note(m.dump(30) if m.process and m.process.poll() is None
                        else m.serial.tail(30) if m.serial else "did not start")
    finally:
        for m in ctx.machines:
            m.close()


def run(build, only=None, options=""):
    del options
    report = Report(build, "machine")
    ring_abi.build_programs(build)
    folder = image.scratch(build)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for name, case in CASES:
            if not only or any(word in name for word in only):
                pool.submit(run_case, build, folder, report, name, case)
    return report.finish(folder)
