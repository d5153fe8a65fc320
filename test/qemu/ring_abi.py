"""Rings 3 and "bad": ordinary Linux programs, on Linux 6.1 first and then on Halcyon.

Every program's points are compared by name with what Linux said: a point that
is missing because the program died early counts as failed.  When a boot ends
before its list does (a panic, a hang), the program that ran then is charged
with it and the rest goes on in another boot.
"""

import concurrent.futures
import os
import re
import subprocess

import image
import initrd
import machine
import oracle
import tap
from report import Report

ABI = os.path.join(oracle.TOP, "test", "abi")
MAX_BOOTS = 6
MUTANTS, MUTANT_SETS = 1000, 2


class Program:
    def __init__(self, name, seconds, args=(), ours=False, binary=None):
        self.name, self.seconds, self.args, self.ours = name, seconds, list(args), ours
        self.binary = binary or name


def read_plan():
    programs = []
    with open(os.path.join(ABI, "plan.txt")) as source:
        for line in source:
            words = line.split("#")[0].split()
            least = int(words.pop(0)[1:]) if words and words[0][0] == "@" else 1
            ours = bool(words) and words[0] == "-"
            words = words[1:] if ours else words
            if words and machine.CPUS >= least:
                programs.append(Program(words[0], int(words[1]), words[2:], ours))
    return programs


def mutant_plan():
    share = MUTANTS // MUTANT_SETS
    return [Program("mutant%d" % n, 400, ["/tests/victim", str(n * share), str(share)],
                    binary="mutant") for n in range(MUTANT_SETS)]


def build_programs(build):
    subprocess.run(["make", "-s", "-C", oracle.TOP, "-f", "test/abi/Makefile.inc",
                    "BUILD=" + os.path.abspath(build), "abi-programs"], check=True,
                   env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")})


def binary_of(build, name):
    return os.path.join(build, "test", "abi", name)


def pack(build, programs, path, carry=()):
    archive = initrd.Initrd()
    archive.copy("init", binary_of(build, "runner"))
    archive.shells()
    plan = ""
    for name in sorted({p.binary for p in programs} | {"victim"} | set(carry)):
        archive.copy("tests/" + name, binary_of(build, name))
    for p in programs:
        plan += "%s %d /tests/%s %s\n" % (p.name, p.seconds, p.binary, " ".join(p.args))
    archive.file("plan", plan)
    return archive.write(path)


def content(path):
    with open(path, "rb") as source:
        return source.read()


def ask_linux(build, programs, folder):
    """{name: Result} from the cache, booting Linux for what is not there."""
    release, known, unknown = oracle.release(), {}, []
    runner = content(binary_of(build, "runner"))
    keys = {}
    for p in programs:
        keys[p.name] = oracle.key("abi", release, runner, content(binary_of(build, p.binary)),
                                  p.name, p.args)
        data = oracle.cached(keys[p.name])
        if data:
            known[p.name] = tap.Result.from_json(p.name, data)
        else:
            unknown.append(p)
    for _ in range(oracle.TRIES if release else 0):
        if not unknown:
            break
        path = pack(build, unknown, os.path.join(folder, "linux.img"))
        text = oracle.ask(path, 60 + max(p.seconds for p in unknown) // machine.PATIENCE)
        results, _ = tap.parse(text)
        for p in unknown:
            if p.name in results:
                known[p.name] = results[p.name]
                if results[p.name].whole():
                    oracle.store(keys[p.name], results[p.name].as_json())
        unknown = [p for p in unknown if p.name not in known or not known[p.name].whole()]
    return known


def judge_end(report, status, text):
    """The boot's end counts too: no detector said anything, no leak was found at power-off."""
    said = machine.reports(text)
    if not report.check(status == machine.REBOOT_STATUS and not said, "the boot ended with status %s of %d, %d reports" %
                        (status, machine.REBOOT_STATUS, len(said))):
        report.note("\n".join(said[:40] or text.splitlines()[-40:]))


def boot_halcyon(build, programs, folder, report, options):
    """One boot; ({name: Result}, finished, what went wrong)."""
    path = pack(build, programs, os.path.join(folder, "halcyon-initrd.img"))
    disk = image.make(image.built(build, "halcyon.img"), os.path.join(folder, "abi.img"),
                      options=options, initrd=path)
    trouble, seconds = "", {p.name: p.seconds for p in programs}
    with machine.Machine(image=disk, name="halcyon", symbols=image.built(build, "kernel.elf")) as halcyon:
        try:
            halcyon.serial.expect(rb"### runner begin", 60, "the test runner")
            patience = 130
            while not halcyon.serial.eof:
                found = halcyon.serial.expect(rb"### (\S+) (end|begin)[^\n]*\n", patience, "the next program")
                patience = max(130, seconds.get(found[1].decode(), 0) // 2)
        except machine.Hang as hang:
            if not halcyon.serial.eof:
                trouble = "%s\n%s" % (hang, halcyon.dump())
        try:
            status = halcyon.wait(20) if not trouble else None
        except machine.Hang as hang:
            status, trouble = None, "%s\n%s" % (hang, halcyon.dump())
        text = halcyon.serial.text()
    results, finished = tap.parse(text)
    if finished and not trouble:
        judge_end(report, status, text)
    if not finished and not trouble:
        trouble = "exit status %s\n%s" % (status, "\n".join(text.splitlines()[-60:]))
    return results, finished, trouble


def ask_halcyon(build, programs, folder, report, options):
    results, left, boots = {}, list(programs), 0
    while left and boots < MAX_BOOTS:
        boots += 1
        got, finished, trouble = boot_halcyon(build, left, folder, report, options)
        results.update(got)
        if finished:
            break
        report.note("the boot ended early (%d of %d programs begun)\n%s" %
                    (len(got), len(left), trouble))
        if not got:
            break           # not even one program began: no use in trying again
        left = [p for p in left if p.name not in got]
    return results


def compare(report, program, linux, halcyon):
    """Points of one program: what Linux has, Halcyon must have."""
    if not program.ours:
        if linux is None:
            report.fail(program.name + ": no answer from Linux (is its kernel package there?)")
            return
        bad = [name for name, (good, _) in linux.points.items() if not good]
        if bad or not linux.whole():
            report.fail("%s: does not pass on Linux: %s, %d points of %s %s" %
                        (program.name, linux.end, len(linux.points), linux.plan, bad[:5]))
    if halcyon is None:
        report.fail("%s: did not run" % program.name, max(1, len(linux.points) if linux else 1))
        return
    wanted = linux.points if linux else halcyon.points
    good = [name for name in wanted if halcyon.points.get(name, (False, ""))[0]]
    bad = [name for name in wanted if name not in good]
    report.succeed(len(good))
    for name in bad:
        remark = halcyon.points.get(name, (False, "not reached"))[1]
        report.fail("%s: %s # %s" % (program.name, name, remark))
    if halcyon.end != "exit=0" and not bad:
        report.fail("%s: ended with %s" % (program.name, halcyon.end))
    extra = [line for line in halcyon.lines if line.startswith("# ")]
    report.line("%s - %s: %d of %d points, %d ms%s" %
                ("not ok" if bad else "ok", program.name, len(good), len(wanted), halcyon.ms,
                 "" if halcyon.end == "exit=0" else ", " + halcyon.end))
    for line in extra[:30]:
        report.line("    " + line)


def table_covered(report):
    """Every implemented call that takes a pointer is in efault.c's table."""
    with open(os.path.join(ABI, "efault.c")) as source:
        text = source.read()
    probed = set(re.findall(r"\bP\((\w+),", text)) | set(re.findall(r"\bPB\(\w+, (\w+),", text))
    exempt = set(re.search(r"exempt: (.*?)\*/", text, re.S).group(1).split())
    table = os.path.join(oracle.TOP, "kernel", "syscall", "syscall.tbl")
    missing = []
    with open(table) as source:
        for line in source:
            words = line.split("#")[0].split()
            if len(words) < 3 or words[2] == "-":
                continue
            if re.search(r":(in|out|inout|str)\b", line) and words[1] not in probed | exempt:
                missing.append(words[1])
    if missing:
        report.fail("efault.c does not probe: " + " ".join(missing))
    else:
        report.succeed(1)


def run(build, which="abi", only=None, options=""):
    report = Report(build, which)
    build_programs(build)
    programs = mutant_plan() if which == "bad" else read_plan()
    if only:
        programs = [p for p in programs if p.name in only]
    folder = image.scratch(build)
    words = "console=ttyS0 qemu-exit quiet " + options
    with concurrent.futures.ThreadPoolExecutor(1) as pool:     # both kernels at a time
        asked = pool.submit(ask_linux, build, [p for p in programs if not p.ours], folder)
        halcyon = ask_halcyon(build, programs, folder, report, words)
        linux = asked.result()
    for program in programs:
        compare(report, program, linux.get(program.name), halcyon.get(program.name))
    if which == "abi" and not only:
        table_covered(report)
    return report.finish(folder)
