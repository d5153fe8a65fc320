"""Ring 2: the debug kernel's self tests, and the tests that must die rightly.

The self tests share one boot: `selftest=all qemu-exit` prints TAP and leaves
with status 1 (all passed) or 3.  Each death test is a boot of its own: the
kernel says which text the panic's reason must contain, and then panics with
status 85, a backtrace and its last log lines.  Two death tests run at a time,
as a machine that dies needs one CPU only.  `--variant check` does it for the
kernel without KASAN: all self tests, and the deaths by misuse of memory.
"""

import concurrent.futures
import os
import re

import image
import machine
from report import Report

SELFTEST_CPUS = 4
PASS_STATUS = 1                 # isa-debug-exit with 0
PANIC_STATUS = 2 * 0x2A + 1     # PANIC_EXIT_VALUE in kernel/core/assert.h
WORDS = "console=ttyS0 qemu-exit nokaslr "
MEMORY_DEATHS = ("page_", "slab_")  # what the check kernel finds by itself; the rest dies the same way in both
POINT = re.compile(r"(?:^|[\]:>] )(not ok|ok) \d+ - (.*)$")


def boot(build, words, folder, seconds, cpus=1, extra=()):
    """(exit status or None, serial text, dump when it hung)."""
    name = re.sub(r"\W", "_", words)
    disk = image.make(image.built(build, "halcyon.img"), os.path.join(folder, name + ".img"),
                      options=WORDS + words)
    try:
        with machine.Machine(image=disk, cpus=cpus, name=words, extra=extra,
                             symbols=image.built(build, "kernel.elf")) as halcyon:
            try:
                status, dump = halcyon.wait(seconds), ""
            except machine.Hang as hang:
                status, dump = None, "%s\n%s" % (hang, halcyon.dump())
            return status, halcyon.serial.text(), dump
    finally:
        os.unlink(disk)


def run_selftests(build, folder, report, filter_, options):
    status, text, dump = boot(build, "selftest=%s %s" % (filter_, options), folder, 200, cpus=SELFTEST_CPUS,
                              extra=("-device", "edu", "-device", "virtio-rng-pci"))
    points = 0
    report.check("no edu device" not in text, "the tests that need a device have one")
    for line in text.splitlines():
        found = POINT.search(line)
        if found:
            points += 1
            report.check(found.group(1) == "ok", found.group(2))
    plan = re.search(r"1\.\.(\d+)", text)
    if dump or status != PASS_STATUS or not plan or int(plan.group(1)) != points:
        report.fail("self tests: status %s, %d points of %s" %
                    (status, points, plan.group(1) if plan else "?"))
        report.note(dump or "\n".join(text.splitlines()[-40:]))


def says_in_order(text, expected):
    """Each piece of `expected` (parted by " ... "), in that order, in what is no announcement of it."""
    said = "\n".join(line for line in text.splitlines()
                     if "expects:" not in line and "command line" not in line)
    at = 0
    for piece in expected.split(" ... "):
        at = said.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def judge_death(report, name, status, text, dump, expected):
    """The right reason, a report that helps, the right exit."""
    reason = re.search(r"(?m)^\*\*\* kernel panic: .*$", text)
    problems = []
    if status != PANIC_STATUS:
        problems.append("exit status %s" % status)
    if not says_in_order(text, expected):
        problems.append("no report says %r" % expected)
    if not re.search(r"(?i)rip|rax", text):
        problems.append("no registers")
    if not re.search(r"(?i)backtrace|call trace", text):
        problems.append("no backtrace")
    if problems:
        report.fail("death test %s: %s" % (name, ", ".join(problems)))
        report.note(dump or "\n".join(text.splitlines()[-40:]))
    else:
        report.check(True, "death test %s: %s" % (name, reason.group(0).strip() if reason else ""))


def run_deaths(build, folder, report, only, options):
    status, text, dump = boot(build, "deathtest=list " + options, folder, 60)
    deaths = dict(re.findall(r"deathtest (\w+): (.*)$", text, re.M))
    if not deaths or "deathtest list ends" not in text:
        report.fail("no list of death tests (status %s)" % status)
        report.note(dump or "\n".join(text.splitlines()[-40:]))
        return
    names = [n for n in sorted(deaths) if (n in only if only else image.VARIANT == "debug" or n.startswith(MEMORY_DEATHS))]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {n: pool.submit(boot, build, "deathtest=%s %s" % (n, options), folder, 60, cpus=4 if n.startswith("smp_") else 1)
                for n in names}
        for n in names:
            judge_death(report, n, *runs[n].result(), deaths[n].strip())


def run(build, only=None, options=""):
    report = Report(build, "selftest" if image.VARIANT == "debug" else "selftest-" + image.VARIANT)
    folder = image.scratch(build)
    if not only:
        # What tortures takes its second again in the check kernel, and finds what it finds in the debug kernel.
        run_selftests(build, folder, report, "all" if image.VARIANT == "debug" else "all,-torture_*", options)
    run_deaths(build, folder, report, only, options)
    return report.finish(folder)
