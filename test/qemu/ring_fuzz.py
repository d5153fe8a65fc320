"""Ring "fuzz": random system calls by several processes against the debug kernel (test/fuzz).

Two machines at a time: one of one CPU under -icount, whose run repeats but for the time that the serial line takes, and one of
four CPUs that runs freely. Both end with the kernel's check for leaks. A run that fails names its round; to have it again:

    test/qemu/run.py fuzz --build DIR --only seed=ROUND [rounds=1] [seconds=60] [verbose] [icount]

SEED and FUZZ_SECONDS in the environment choose another seed, or more time (make test-long).
"""

import concurrent.futures
import os
import re
import subprocess

import image
import initrd
import machine
from report import Report

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SEED, SECONDS = 1, 60
ICOUNT_SHARE = 3        # under -icount a virtual second takes about three
CPUS = 4                # of the machine that runs freely
FAR_SEEDS = 1000000     # the second machine's seeds are far from the first one's
GOOD_STATUS = 33        # a reset with qemu-exit: no leak was found


def pack(build, path):
    subprocess.run(["make", "-s", "-C", TOP, "-f", "test/fuzz/Makefile.inc", "BUILD=" + os.path.abspath(build),
                    "fuzz-program"], check=True,
                   env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")})
    archive = initrd.Initrd()
    archive.copy("fuzz", os.path.join(build, "test", "fuzz", "fuzz"))
    return archive.write(path)


def boot(build, folder, archive, seed, settings, icount):
    """(status, text, dump) of one machine; its words for init come behind `--`."""
    seconds = int(settings["seconds"]) // (ICOUNT_SHARE if icount else 1)
    words = "%d %d %s %s" % (seed, seconds, settings.get("rounds", 1 << 30),
                             "verbose" if "verbose" in settings else "")
    debug, name = os.path.join(build, "debug"), "fuzz%d" % seed
    disk = image.make(os.path.join(debug, "halcyon.img"), os.path.join(folder, name + ".img"), initrd=archive,
                      options="console=ttyS0 qemu-exit nokaslr quiet random.seed=1 rdinit=/fuzz -- supervise " + words.strip())
    with machine.Machine(image=disk, name=name, cpus=1 if icount else CPUS, tpm=icount, icount=icount,
                         symbols=os.path.join(debug, "kernel.elf")) as halcyon:
        try:
            status, dump = halcyon.wait(seconds * (10 if icount else 2) + 60), ""
        except machine.Hang as hang:
            status, dump = None, "%s\n%s" % (hang, halcyon.dump())
        return status, halcyon.serial.text(), dump


def judge(report, seed, status, text, dump):
    begun = re.findall(r"### fuzz round (\d+) begin", text)
    ended = re.findall(r"### fuzz round (\d+) end, (\d+) processes", text)
    said, wrong = machine.reports(text), re.findall(r"### fuzz: (.*)", text)
    report.succeed(len(ended))
    good = report.check(status == GOOD_STATUS and not said and not wrong and len(begun) == len(ended) > 0 and
                        "### fuzz end" in text,
                        "fuzz from seed %d: %d rounds, %d processes; status %s, %d reports%s" %
                        (seed, len(ended), sum(int(n) for _, n in ended), status, len(said), "".join(", " + w for w in wrong[:5])))
    if not good:
        report.note("the last round was seed %s\n%s" % (begun[-1] if begun else "none",
                                                        dump or "\n".join(said[:20] + text.splitlines()[-150:])))


def run(build, only=None, options=""):
    report = Report(build, "fuzz")
    settings = dict((word.split("=") + [""])[:2] for word in only or [])
    settings.setdefault("seconds", os.environ.get("FUZZ_SECONDS", SECONDS))
    seed = int(settings.get("seed", os.environ.get("SEED", SEED)))
    folder = image.scratch(build)
    archive = pack(build, os.path.join(folder, "fuzz.initrd"))
    runs = [(seed, "icount" in settings)] if "seed" in settings else [(seed, True), (seed + FAR_SEEDS, False)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = [(first, pool.submit(boot, build, folder, archive, first, settings, icount)) for first, icount in runs]
        for first, answer in asked:
            status, text, dump = answer.result()
            judge(report, first, status, text, dump)
            if "verbose" in settings:
                report.line(text)
    return report.finish(folder)
