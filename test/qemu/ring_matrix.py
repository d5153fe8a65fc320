"""The machine matrix: the shipped image on every kind of machine, each to the shell.

A machine is started, its shell gets a few commands that say whether all of it was found (CPUs, nodes, memory), and it
is switched off or reset by them. Two machines run at a time. What each shape is about stands beside it; a shape may have
words for the kernel's command line, and a check of its own.
"""

import concurrent.futures
import json
import os
import re

import image
import machine
import ring_abi
import ring_machine
from report import Report

need = ring_machine.need

INTEL = "max,vendor=GenuineIntel,family=6,model=94,level=0x16"


HOST_BRIDGE = ("-device", "pxb-pcie,id=host1,bus_nr=64,numa_node=1", "-device", "pcie-root-port,id=port1,bus=host1,chassis=1",
               "-device", "virtio-rng-pci,bus=port1")


def nodes(first_mib, second_mib, first_cpus, second_cpus, more=()):
    """Two nodes at distance 21."""
    return dict(ram_mib=first_mib + second_mib, extra=tuple(more) + (
        "-object", "memory-backend-ram,id=m0,size=%dM" % first_mib,
        "-object", "memory-backend-ram,id=m1,size=%dM" % second_mib,
        "-numa", "node,nodeid=0,memdev=m0,cpus=%s" % first_cpus,
        "-numa", "node,nodeid=1,memdev=m1,cpus=%s" % second_cpus,
        "-numa", "dist,src=0,dst=1,val=21"))


def cpus(n, **shape):
    return dict(shape, cpus=n)


# ---- checks, at the prompt -----------------------------------------------------------------------

def listed(n):
    return "0" if n == 1 else "0-%d" % (n - 1)


def all_cpus(s, n):
    s.run("mkdir -p /sys; [ -d /sys/devices ] || mount -t sysfs sysfs /sys")
    s.expect_output("nproc", r"^%d$" % n)
    s.expect_output("cat /sys/devices/system/cpu/online", r"^%s$" % listed(n))
    s.expect_output("grep -c ^processor /proc/cpuinfo", r"^%d$" % n)


def a_few_commands(s):
    s.expect_output("echo $((6 * 7))", r"^42$")
    s.expect_output("uname -srm", r"^Linux 6\.1\.0-halcyon x86_64$")
    s.expect_output("ls / | wc -l; free | grep -c Mem", r"^\d+\n1$")
    s.expect_output("for i in 1 2 3 4; do (echo $i | cat) & done; wait; echo all", r"all$")


def two_nodes(first_mib, second_mib, first, second):
    """The nodes are what QEMU was told, and memory is taken where the CPU is."""
    def check(s):
        node = "/sys/devices/system/node/"
        s.expect_output("cat %sonline %shas_memory %snode0/distance %snode1/distance" % ((node,) * 4),
                        r"^0-1\n0-1\n10 21\n21 10$")
        s.expect_output("cat %snode0/cpulist %snode1/cpulist" % (node, node), r"^%s\n%s$" % (first, second))
        for number, mib in ((0, first_mib), (1, second_mib)):
            told = s.expect_output("grep MemTotal %snode%d/meminfo" % (node, number), r"Node %d MemTotal: +\d+ kB" % number)
            kib = int(re.search(r"(\d+) kB", told)[1])
            need(mib * 1024 * 0.85 < kib <= mib * 1024, "node %d has %d KiB of %d MiB" % (number, kib, mib))
        cpu = second.split("-")[0]
        take = "awk '$1 == \"other_node\" || $1 == \"local_node\" { print $1, $2 }' %snode1/numastat" % node
        before = dict(re.findall(r"(\w+) (\d+)", s.run(take)[0]))
        s.run("taskset %x dd if=/dev/zero of=/tmp/near bs=1M count=24 2>/dev/null" % (1 << int(cpu)))
        after = dict(re.findall(r"(\w+) (\d+)", s.run(take)[0]))
        got = int(after["local_node"]) - int(before["local_node"])
        need(got > 24 * 256 * 0.8, "a CPU of node 1 took %d near pages for 24 MiB" % got)
        s.run("rm /tmp/near")
    return check


def near_node_1(check):
    """A second host bridge, whose bus no bridge leads to, is found, and what is behind it is near its node."""
    def both(s):
        check(s)
        s.expect_output("cat /sys/bus/pci/devices/0000:41:00.0/numa_node /sys/bus/pci/devices/0000:41:00.0/local_cpulist "
                        "/sys/bus/pci/devices/0000:00:00.0/numa_node", r"^1\n2-3\n-1$")
        s.expect_output("cat /sys/class/misc/hw_random/rng_current", r"^virtio_rng\.0$")
    return both


def empty_places(s):
    """CPUs that could be plugged in: possible and offline, but not there."""
    s.expect_output("cd /sys/devices/system/cpu; cat possible present offline; ls -d cpu[0-9]* | wc -l; cd /",
                    r"^0-3\n0-1\n2-3\n2$")


def second_line(s):
    s.expect_output("tty; grep -c ttyS1 /proc/interrupts; test -e /dev/ttyS0 || echo none", r"ttyS1|console\n1\nnone$")


def within_a_minute(s):
    """From the kernel's entry to init; a debug kernel on a busy host takes 10 to 25 s for 64 CPUs."""
    told = s.expect_output("dmesg | grep 'starting init after'", r"starting init after \d+ us")
    need(int(re.search(r"after (\d+) us", told)[1]) < 60_000_000, told)


def no_hpet(s):
    s.expect_output("dmesg | grep -c 'by HPET'", r"^0$")


def off_by(way):
    def check(s):
        del s
    check.ends = b"power: off by " + way
    return check


SHAPES = {
    # CPUs
    "1 CPU": cpus(1),
    "2 CPUs": cpus(2),
    "3 CPUs of Conroe": cpus(3, cpu="Conroe"),
    "4 CPUs, a TPM": cpus(4, tpm=True),
    "8 CPUs": cpus(8),
    "16 CPUs": cpus(16),
    "64 CPUs": cpus(64, ram_mib=1024, seconds=150, check=within_a_minute),
    # what they are made of
    "2 sockets of 2 cores": cpus(4, smp="4,sockets=2,cores=2,threads=1"),
    "1 socket, 2 cores of 2 threads": cpus(4, smp="4,sockets=1,cores=2,threads=2"),
    "2 sockets, 2 dies of 1 core of 2 threads": cpus(8, smp="8,sockets=2,dies=2,cores=1,threads=2"),
    "2 of 4 CPUs there": cpus(2, smp="2,maxcpus=4,sockets=4,cores=1,threads=1", check=empty_places),
    # models
    "qemu64": cpus(2, cpu="qemu64"),
    "Nehalem": cpus(2, cpu="Nehalem"),
    "Haswell": cpus(2, cpu="Haswell"),
    "EPYC": cpus(2, cpu="EPYC"),
    "max as Intel": cpus(2, cpu=INTEL),
    # boards
    "pc": cpus(2, board="pc"),
    "pc, 1 CPU, qemu64": cpus(1, board="pc", cpu="qemu64"),
    "no HPET": cpus(2, machine_opts=",hpet=off", check=no_hpet),
    "no PS/2, COM2 only": cpus(2, machine_opts=",i8042=off", serial=False, check=second_line,
                               extra=("-device", "isa-serial,chardev=ser0,index=1")),
    "neither, on pc": cpus(2, board="pc", machine_opts=",hpet=off,i8042=off", check=no_hpet),
    "no ACPI": cpus(1, machine_opts=",acpi=off", check=off_by(b"EFI")),
    "RAM above 4 GiB": cpus(2, ram_mib=5120),
    "256 MiB": cpus(1, ram_mib=256),
    "a network card and a screen": cpus(2, extra=("-device", "e1000e", "-device", "VGA")),
    # nodes
    "2 nodes": dict(nodes(512, 512, "0-1", "2-3", HOST_BRIDGE), cpus=4,
                    check=near_node_1(two_nodes(512, 512, "0-1", "2-3"))),
    "2 nodes on pc, unequal": dict(nodes(256, 768, "0-1", "2"), cpus=3, board="pc",
                                   check=two_nodes(256, 768, "0-1", "2")),
}


def boots(name):
    def case(ctx):
        shape = dict(SHAPES[name])
        check, seconds = shape.pop("check", None), shape.pop("seconds", 60)
        s = ctx.prompt(seconds=seconds, cold=True, **shape)
        all_cpus(s, shape["cpus"])
        a_few_commands(s)
        if check:
            check(s)
        s.type("poweroff -f\n")
        # The leak check asks every CPU, several times: 64 of them on two host CPUs take half a minute.
        s.see(getattr(check, "ends", rb"power: off by ACPI"), 20 + shape["cpus"])
        need(s.machine.wait(20) == 0, "poweroff did not switch the machine off")
        need(end_reason(s.machine) == "guest-shutdown", "the machine ended otherwise than by a power-off")
    return case


# ---- ends of the machine -------------------------------------------------------------------------

def end_reason(m):
    """What QEMU says of its end: guest-reset, guest-shutdown ..."""
    for line in m.qmp_file:
        event = json.loads(line)
        if event.get("event") == "SHUTDOWN":
            return event["data"]["reason"]
    return None


def script(text):
    """An initrd whose init runs that, with all of busybox's applets."""
    def fill(archive):
        archive.shells()
        archive.file("init", "#!/bin/sh\nmount -t proc proc /proc\nmount -t sysfs sysfs /sys\n" + text, 0o755)
        archive.folder("sys")
    return fill


ATTEMPTS = re.compile(r"power: (?:reset|off) by ([^\n]*)")


def ends(options, command, reason, way):
    """The first way that is tried is that one, and it works."""
    def case(ctx):
        disk = ctx.image(initrd=ctx.initrd(script(command + "\n")), options="console=ttyS0 " + options)
        m = ctx.boot(disk, cpus=2)
        status = m.wait(60)
        tried = ATTEMPTS.findall(m.serial.text())
        need(tried == [way], "tried: %s" % ", ".join(tried))
        need(status == 0 and end_reason(m) == reason, "status %d, %s" % (status, end_reason(m)))
    return case


def no_serial(ctx):
    """Nobody sees it, so it looks by itself and says through the exit status whether all is well."""
    text = ("[ $(nproc) = 2 ] && [ $(grep -c ^processor /proc/cpuinfo) = 2 ] && ! grep -q ttyS0 /proc/consoles &&\n"
            "[ $(echo one two | wc -w) = 2 ] && exec reboot -f\nexit 1\n")
    disk = ctx.image(initrd=ctx.initrd(script(text)), options="qemu-exit quiet")
    m = ctx.boot(disk, cpus=2, serial=False, extra=("-device", "VGA"))
    need(m.wait(60) == machine.REBOOT_STATUS, "exit status")


# Words for the boot loader's line, what is left of /sys/firmware/efi, and of four CPUs: those that are possible, present, online, and
# online when somebody has asked for all of them.
WORDS = (
    (" maxcpus=2", "config_table fw_platform_size fw_vendor runtime systab", ("0-3", "0-3", "0-1", "0-3")),
    (" noefi nr_cpus=3", "fw_platform_size systab", ("0-2", "0-2", "0-2", "0-2")),
    (" efi=noruntime nosmp", "fw_platform_size systab", ("0", "0", "0", "0")),
)


def words(ctx):
    """What noefi, efi=, maxcpus=, nr_cpus= and nosmp leave of the machine."""
    text = ("cat /sys/firmware/efi/fw_platform_size; grep -c '^ACPI20=0x' /sys/firmware/efi/systab\n"
            "ls /sys/firmware/efi | tr '\\n' ' '; echo; cd /sys/devices/system/cpu; cat possible present online\n"
            "for i in 1 2 3; do [ -e cpu$i/online ] && echo 1 > cpu$i/online; done\n"
            "cat online; nproc; grep -c ^processor /proc/cpuinfo; exec reboot -f\n")
    for options, names, (possible, present, online, later) in WORDS:
        disk = ctx.image(initrd=ctx.initrd(script(text)), options=ring_machine.TEST_WORDS + options)
        m = ctx.boot(disk, cpus=4)
        need(m.wait(60) == machine.REBOOT_STATUS, "exit status")
        n = int(later.split("-")[-1]) + 1
        want = "64\n1\n%s \n%s\n%s\n%s\n%s\n%d\n%d\n" % (names, possible, present, online, later, n, n)
        need(want in m.serial.text(), "options '%s': %s" % (options, m.serial.text()[-400:]))
        ctx.point(options.strip())


def policies(ctx):
    """On two nodes pages really lie where the policies say: the ABI program's other half."""
    def fill(archive):
        script("mempolicy nodes 2 && exec reboot -f\nexit 1\n")(archive)
        archive.copy("bin/mempolicy", os.path.join(ctx.build, "test", "abi", "mempolicy"))
    disk = ctx.image(initrd=ctx.initrd(fill), options=ring_machine.TEST_WORDS)
    m = ctx.boot(disk, cpus=4, **nodes(256, 256, "0-1", "2-3"))
    status = m.wait(60)
    for verdict, what in re.findall(r"^(ok|not ok) \d+ - (.*)$", m.serial.text(), re.M):
        ctx.report.check(verdict == "ok", "%s: %s" % (ctx.name, what))
    need(status == machine.REBOOT_STATUS, "exit status %s" % status)


RESET, OFF = "guest-reset", "guest-shutdown"
CASES = [("boots: " + name, boots(name)) for name in SHAPES] + [
    ("no serial line", no_serial),
    ("words on the command line", words),
    ("memory policies on two nodes", policies),
    ("reset", ends("", "reboot -f", RESET, "ACPI")),
    ("reset without EFI", ends("noefi", "reboot -f", RESET, "ACPI")),
    ("reboot=acpi", ends("reboot=acpi", "reboot -f", RESET, "ACPI")),
    ("reboot=efi", ends("reboot=efi", "reboot -f", RESET, "EFI")),
    ("reboot=warm,efi", ends("reboot=warm,efi", "reboot -f", RESET, "EFI")),
    ("reboot=kbd", ends("reboot=kbd", "reboot -f", RESET, "keyboard controller")),
    ("reboot=pci", ends("reboot=pci", "reboot -f", RESET, "PCI")),
    ("reboot=triple", ends("reboot=triple", "reboot -f", RESET, "triple fault")),
    ("reboot=efi without EFI", ends("reboot=efi noefi", "reboot -f", RESET, "ACPI")),
    ("power-off", ends("", "poweroff -f", OFF, "ACPI")),
    ("power-off without EFI", ends("noefi", "poweroff -f", OFF, "ACPI")),
]


def run(build, only=None, options=""):
    del options
    report = Report(build, "matrix")
    ring_abi.build_programs(build)
    folder = image.scratch(build)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        # The widest machine takes longest: first.
        for name, case in sorted(CASES, key=lambda c: "64" not in c[0]):
            if not only or any(word in name for word in only):
                pool.submit(ring_machine.run_case, build, folder, report, name, case, may_panic=False)
    return report.finish(folder)
