"""Ring "torture": the debug kernel under load on machines of 1, 2, 4 and 8 CPUs.

  kernel   the self tests whose suite is named torture_*: timers, wait queues, mutex, rwsem, RCU, work queues, calls and
           shootdowns between CPUs, migration
  user     ABI programs that race with themselves (PROGRAMS) in one boot, while CPUs go offline and come back. The last CPU is left out
           at boot and comes later: what it keeps from then on must not be taken for a leak at power-off

`make test` runs the first on 2 CPUs (ring selftest has them on 4) and the second on 4, for a second each. TORTURE_SECONDS
and TORTURE_CPUS in the environment ask for more (make test-long: both on 1, 2, 4 and 8 CPUs). A detector's report, a leak
at power-off or a missing line fails.
"""

import os
import re

import image
import machine
import ring_abi
import ring_selftest
from report import Report

# hotplug brings the CPU that maxcpus= leaves out at boot.
PROGRAMS = ("hotplug", "fork", "threads", "futex", "signal", "mmap", "vmstress", "shootdown", "pipe", "wait")
BOOT_SECONDS, SELFTEST_SECONDS = 60, 150


def cpu_counts(part):
    return [int(word) for word in os.environ.get("TORTURE_CPUS", "2" if part == "kernel" else "4").split()]


def seconds():
    return int(os.environ.get("TORTURE_SECONDS", "1"))


def kernel_part(report, build, folder, cpus, options):
    words = "selftest=torture_* selftest.seconds=%d %s" % (seconds(), options)
    status, text, dump = ring_selftest.boot(build, words, folder, SELFTEST_SECONDS + 20 * seconds() * cpus, cpus=cpus)
    plan, points = re.search(r"1\.\.(\d+)", text), 0
    for line in text.splitlines():
        found = ring_selftest.POINT.search(line)
        if found:
            points += 1
            report.check(found.group(1) == "ok", "%d CPUs: %s" % (cpus, found.group(2)))
    said = machine.reports(text)
    good = status == ring_selftest.PASS_STATUS and plan and int(plan.group(1)) == points > 0 and not said and not dump
    if not report.check(good, "%d CPUs: self tests: status %s, %d points of %s, %d reports" %
                        (cpus, status, points, plan.group(1) if plan else "?", len(said))):
        report.note(dump or "\n".join(said[:40] + text.splitlines()[-40:]))


def user_part(report, build, folder, cpus, options):
    machine.CPUS = cpus     # the plan leaves out what needs more
    known = {p.name: p for p in ring_abi.read_plan()}
    rounds = [known[name] for _ in range(max(1, min(seconds(), 10))) for name in PROGRAMS if name in known]
    path = ring_abi.pack(build, rounds, os.path.join(folder, "torture.initrd"))
    disk = image.make(image.built(build, "halcyon.img"), os.path.join(folder, "torture.img"),
                      options="console=ttyS0 qemu-exit quiet maxcpus=%d %s" % (max(1, cpus - 1), options), initrd=path)
    with machine.Machine(image=disk, cpus=cpus, name="torture", symbols=image.built(build, "kernel.elf")) as halcyon:
        try:
            status, dump = halcyon.wait(BOOT_SECONDS + sum(p.seconds for p in rounds)), ""
        except machine.Hang as hang:
            status, dump = None, "%s\n%s" % (hang, halcyon.dump())
        text = halcyon.serial.text()
    bad = re.findall(r"^not ok .*$", text, re.M)
    ended = len(re.findall(r"^### (?!runner)\S+ end", text, re.M))
    said = machine.reports(text)
    good = status == machine.REBOOT_STATUS and not bad and not said and ended == len(rounds)
    if not report.check(good, "%d CPUs: %d of %d programs, %d points fail, status %s, %d reports" %
                        (cpus, ended, len(rounds), len(bad), status, len(said))):
        report.note("\n".join(bad[:20] + said[:20]) + "\n" + (dump or "\n".join(text.splitlines()[-40:])))


def run(build, only=None, options=""):
    report = Report(build, "torture")
    ring_abi.build_programs(build)
    folder = image.scratch(build)
    for name, part in (("kernel", kernel_part), ("user", user_part)):
        for cpus in cpu_counts(name) if not only or name in only else ():
            part(report, build, folder, cpus, options)
    return report.finish(folder)
