"""Ring "fail": what happens when memory runs out, anywhere.

  scenes   test/fail runs each system call with its 1st, 2nd, 3rd ... allocation failing (fail.h), and the account of
           what is allocated must be the same afterwards.  Every call of syscall.tbl that is there must have a scene.
  shower   the programs of the ring "abi", each with some of its allocations failing
  rain     the same programs with allocations failing in the whole machine, by failslab= on the command line
  planted  a leak on purpose must be found

In shower and rain the programs' answers do not count, only: no crash, no report, and nothing left at power-off.  Debug
kernel; each boot ends with the check for leaks (kernel/debug/leaks.c).
"""

import concurrent.futures
import os
import re

import image
import machine
import ring_abi
import tap
from report import Report

GOOD_STATUS, LEAKED_STATUS = machine.REBOOT_STATUS, 37
SCENES = os.path.join(ring_abi.oracle.TOP, "test", "fail")
SHOWERS = (2, 10)       # percent of the allocations that fail
RAIN = "failslab=1,1,0,-1"
SCENES_SECONDS = 300    # for what hangs; they take 65 on two cores that others use, too
SHOWER_SECONDS = 2      # a program that waits for what failed is ended then
# Not under the shower: what measures how full the machine can get, which only takes time.
NO_SHOWER = {"rootbomb", "limits", "vmstress", "tty"}


def boot(build, programs, folder, name, seconds, carry=(), words=""):
    """(exit status or None, serial text, dump)."""
    path = ring_abi.pack(build, programs, os.path.join(folder, name + ".initrd"), carry)
    disk = image.make(image.built(build, "halcyon.img"), os.path.join(folder, name + ".img"),
                      options="console=ttyS0 qemu-exit nokaslr quiet " + words, initrd=path)
    with machine.Machine(image=disk, name=name, cpus=1,
                         symbols=image.built(build, "kernel.elf")) as halcyon:
        try:
            status, dump = halcyon.wait(seconds), ""
        except machine.Hang as hang:
            status, dump = None, "%s\n%s" % (hang, halcyon.dump())
        return status, halcyon.serial.text(), dump


def judge_end(report, name, status, text, dump, wanted=GOOD_STATUS):
    """The boot ended as it should, and no detector said anything."""
    said = machine.reports(text) if wanted == GOOD_STATUS else []
    good = report.check(status == wanted and not said, "%s: status %s of %d, %d reports" % (name, status, wanted, len(said)))
    if not good:
        report.note(dump or "\n".join(said[:40] or text.splitlines()[-40:]))


def covered(report):
    """Every call that is there has a scene."""
    names = set()
    for leaf in os.listdir(SCENES):
        with open(os.path.join(SCENES, leaf)) as source:
            text = source.read()
        names |= set(re.findall(r'SCENE\w*\(\w+, "(\w+)', text)) | set(re.findall(r"\bSIMPLE\((\w+)", text))
    with open(os.path.join(ring_abi.oracle.TOP, "kernel", "syscall", "syscall.tbl")) as source:
        calls = [line.split()[1] for line in source if re.match(r"\d+ \w+ (done|partial)", line)]
    missing = [call for call in calls if call not in names]
    report.check(not missing, "each of %d calls has a scene%s" % (len(calls), "".join(", not " + m for m in missing)))


def scenes(build, folder, only):
    program = ring_abi.Program("fail", SCENES_SECONDS, only or [])
    return boot(build, [program], folder, "scenes", SCENES_SECONDS)


def judge_scenes(report, status, text, dump):
    results, _ = tap.parse(text)
    result = results.get("fail")
    if result is None:
        report.fail("the scenes did not begin")
        report.note(dump or "\n".join(text.splitlines()[-40:]))
        return
    for line in result.lines:
        if line.startswith("# "):
            report.line("    " + line[2:])
    bad = [name for name, (good, _) in result.points.items() if not good]
    report.succeed(len(result.points) - len(bad))
    for name in bad:
        report.fail("scene " + name)
    report.check(result.plan == len(result.points) and result.points,
                 "%d scenes of %s in %d ms" % (len(result.points), result.plan, result.ms))
    judge_end(report, "scenes", status, text, dump)


def shower(build, folder):
    """(programs, boot()'s answer)"""
    programs, carry = [], set()
    for percent in SHOWERS:
        for p in ring_abi.read_plan():
            if p.name in NO_SHOWER:
                continue
            args = ["-a", str(percent), "/tests/" + p.binary] + p.args
            programs.append(ring_abi.Program("%s.%d" % (p.name, percent), SHOWER_SECONDS, args, binary="fail"))
            carry.add(p.binary)
    return programs, boot(build, programs, folder, "shower", 60 + SHOWER_SECONDS * len(programs), carry)


def rain(build, folder):
    programs = [ring_abi.Program(p.name, SHOWER_SECONDS, p.args, binary=p.binary) for p in ring_abi.read_plan()
                if p.name not in NO_SHOWER]
    return programs, boot(build, programs, folder, "rain", 60 + SHOWER_SECONDS * len(programs), words=RAIN)


def judge_weather(report, name, programs, status, text, dump):
    results, finished = tap.parse(text)
    ended = [p for p in programs if p.name in results and results[p.name].end != "no end"]
    report.check(finished and len(ended) == len(programs), "%s: %d of %d programs came to an end" %
                 (name, len(ended), len(programs)))
    judge_end(report, name, status, text, dump)


def planted(build, folder):
    program = ring_abi.Program("plant", 10, ["-p"], binary="fail")
    return boot(build, [program], folder, "planted", 40)


def run(build, only=None, options=""):
    report = Report(build, "fail")
    ring_abi.build_programs(build)
    folder = image.scratch(build)
    covered(report)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = pool.submit(scenes, build, folder, only)
        weather = [] if only else [(what.__name__, pool.submit(what, build, folder)) for what in (shower, rain)]
        found = None if only else pool.submit(planted, build, folder)
        judge_scenes(report, *asked.result())
        for name, boots in weather:
            programs, answer = boots.result()
            judge_weather(report, name, programs, *answer)
        if found:
            status, text, dump = found.result()
            judge_end(report, "a planted leak", status, text, dump, LEAKED_STATUS)
            report.check("allocated at plant_leak" in text, "the planted leak is named")
    return report.finish(folder)
