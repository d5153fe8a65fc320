#!/usr/bin/env python3
"""`make bench`: the same program on Halcyon and on Debian's Linux, in the same machine.

    bench.py [--build DIR] [--mode exact|wall|events|all] [--kernels halcyon,linux] [--only OP ...]
             [--runs N] [--pairs N] [--publish]
    bench.py --check | --write-baseline        Halcyon only, against bench-baseline.json

One initramfs (userland/bench as /init and /bin/bench, Debian's busybox) boots on
both kernels under the same OVMF, with the same memory, `-cpu max,-erms`, -seed
and start of the clock, addresses not randomised.

  exact  -icount shift=0 on one CPU: a unit of time is a guest instruction.  Each
         kernel boots --runs times and the runs are compared; the first counts.
  wall   two CPUs, free running, boots in turn (A B A B); the medians count.  The
         scaling table (one worker and two, each on a CPU of its own) comes from it.
  events four CPUs with a worker each: interrupts between CPUs and switches are
         counted, and in a boot of the debug kernel the waits for locks.

Results: DIR/test/bench/{bench.json,performance.svg,performance.md}; --publish copies the
page and the chart to docs/.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bench_ops  # noqa: E402
import bench_page  # noqa: E402
import image  # noqa: E402
import initrd  # noqa: E402
import machine  # noqa: E402
import oracle  # noqa: E402
from report import Report  # noqa: E402

CPU = "max,-erms"
RAM_MIB = 2048
WALL_CPUS = 2
EVENTS_CPUS = 4
SEED = "20240101"
PINNED = ["-seed", SEED, "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
HALCYON_WORDS = "console=ttyS0 quiet qemu-exit nokaslr norandmaps"
LINUX_WORDS = "norandmaps"
BASELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench-baseline.json")
MOST_GROWTH = 1.05
SECONDS = 600


def operations(build, groups):
    """Names of bench's operations in these groups, asked of the program itself."""
    text = subprocess.run([program(build), "--list"], check=True, capture_output=True, text=True).stdout
    return [name for name, group in (line.split() for line in text.splitlines()) if group in groups]


def program(build):
    return os.path.join(build, "userland", "bench")


class Bench:
    """The one initramfs and the machines that boot it."""

    def __init__(self, build, names, exact, folder):
        self.build, self.exact = build, exact
        self.leaf = os.path.join(folder, "exact" if exact else "wall")
        self.initrd = pack(build, (["exact"] if exact else []) + names, self.leaf + ".initrd")

    def disk(self, base):
        """The image of a build, release or debug, with the initramfs."""
        return image.make(os.path.join(base, "halcyon.img"), self.leaf + ".img", options=HALCYON_WORDS, initrd=self.initrd)

    def boot(self, kernel, cpus=None):
        """One boot of "halcyon", "debug" (its debug kernel) or "linux"; {name: result}."""
        options = {"icount": self.exact, "tpm": True, "cpus": cpus or (1 if self.exact else WALL_CPUS), "cpu": CPU,
                   "ram_mib": RAM_MIB, "extra": PINNED, "name": kernel}
        if kernel != "linux":
            base = os.path.join(self.build, "debug") if kernel == "debug" else self.build
            options.update(image=self.disk(base), symbols=os.path.join(base, "kernel.elf"))
        else:
            options.update(kernel=oracle.kernel(), initrd=self.initrd,
                           append=oracle.APPEND + " " + LINUX_WORDS)
            options["extra"] = PINNED + ["-bios", machine.OVMF]
        with machine.Machine(**options) as guest:
            try:
                guest.wait(SECONDS)
                text, why = guest.serial.text(), "it ended early"
            except machine.Hang as hang:
                text, why = guest.serial.text(), "%s\n%s" % (hang, guest.dump(30))
            seconds = guest.seconds()
        results, complete = bench_ops.parse(text)
        if not complete:
            print("# %s: %s\n%s" % (kernel, why, "\n".join(text.splitlines()[-20:])), flush=True)
            results["boot"] = {"failed": why.splitlines()[0]}
        print("# %s, %s: %d figures, %.0f s" %
              (kernel, "exact" if self.exact else "free running", len(results), seconds), flush=True)
        return results


def exact_mode(bench, kernels, runs):
    """{kernel: {name: result with "again": the other runs' costs}}"""
    found = {}
    for kernel in kernels:
        boots = [bench.boot(kernel) for _ in range(runs)]
        found[kernel] = boots[0]
        for name, result in boots[0].items():
            if "cost" in result:
                result["again"] = [b[name].get("cost") for b in boots[1:] if name in b]
    return found


def wall_mode(bench, kernels, pairs):
    """Boots in turn; per name the median of the boots' medians, in nanoseconds."""
    boots = {kernel: [] for kernel in kernels}
    for _ in range(pairs):
        for kernel in kernels:
            boots[kernel].append(bench.boot(kernel))
    found = {}
    for kernel in kernels:
        found[kernel] = {}
        for name in dict.fromkeys(n for b in boots[kernel] for n in b):
            all_of = [b[name] for b in boots[kernel] if name in b]
            costs = [r["cost"] for r in all_of if "cost" in r]
            found[kernel][name] = dict(next((r for r in all_of if "cost" not in r), all_of[0]))
            if len(costs) == pairs:
                found[kernel][name] = {"cost": statistics.median(costs), "boots": costs}
    return found


def events_mode(bench, kernels):
    """{"halcyon", "linux", and "debug" where Halcyon takes part: {name: result}}, a boot each."""
    return {kernel: bench.boot(kernel, EVENTS_CPUS) for kernel in kernels + ["debug"] * ("halcyon" in kernels)}


def facts():
    def said(*command):
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return {"commit": said("git", "-C", oracle.TOP, "describe", "--always", "--abbrev=12"),
            "linux": (oracle.release() or "").replace("vmlinuz-", ""),
            "qemu": said(machine.QEMU, "--version").splitlines()[0].split("version ")[-1],
            "cpu": CPU, "ram_mib": RAM_MIB, "wall_cpus": WALL_CPUS, "seed": SEED}


def run(args):
    if "linux" in args.kernels and not oracle.kernel():
        raise SystemExit("Linux's kernel package is missing: ci/deps.sh oracle")
    def chosen(*groups):
        names = args.only or operations(args.build, groups)
        return list(dict.fromkeys(bench_ops.op_of(n) for n in names if n != "entry_to_init"))
    folder = image.scratch(args.build)
    data = {"facts": facts()}
    if args.mode in ("exact", "all"):
        data["exact"] = exact_mode(Bench(args.build, chosen("quick", "long", "later"), True, folder), args.kernels, args.runs)
    if args.mode in ("wall", "all"):
        data["pairs"] = args.pairs
        data["wall"] = wall_mode(Bench(args.build, chosen("quick", "long", "scale", "later"), False, folder), args.kernels, args.pairs)
    if args.mode in ("events", "all"):
        data["events"] = events_mode(Bench(args.build, chosen("four"), False, folder), args.kernels)
    print(bench_page.text_tables(data))
    out = os.path.join(args.build, "test", "bench")
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "bench.json"), "w") as sink:
        json.dump(data, sink, indent=1)
    bench_page.write(data, out)
    print("# %s" % ", ".join(os.path.join(out, leaf) for leaf in sorted(os.listdir(out))))
    if args.publish:
        bench_page.write(data, os.path.join(oracle.TOP, "docs"))
    if not os.environ.get("HALCYON_KEEP"):
        subprocess.run(["rm", "-rf", folder], check=True)
    wrong = ["%s on %s: %s" % (name, kernel, result["failed"])
             for mode in ("exact", "wall", "events") for kernel, results in data.get(mode, {}).items()
             for name, result in results.items() if "failed" in result]
    for text in wrong:
        print("not ok - " + text)
    return 1 if wrong else 0


def pack(build, plan, path):
    """The initramfs with the benchmark as /init and a plan of words for it."""
    archive = initrd.Initrd()
    archive.shells()
    archive.copy("init", program(build))
    archive.copy("bin/bench", program(build))
    archive.file("plan", "\n".join(plan) + "\n")
    return archive.write(path)


def check_lies(report, build, folder):
    """Every operation notices a kernel that says it did something and did not: shown once a binary, on Linux."""
    with open(program(build), "rb") as source:
        key = oracle.key("bench lies", oracle.release(), source.read(), bench_ops.LIES)
    noticed = oracle.cached(key)
    if noticed is None and not oracle.kernel():
        report.fail("no answer from Linux about lies: ci/deps.sh oracle fetches its kernel", len(bench_ops.LIES))
        return
    if noticed is None:
        words = ["lie:" + lie for lie in bench_ops.LIES]
        text = oracle.boot(pack(build, words, os.path.join(folder, "lies")), 60)
        results, complete = bench_ops.parse(text)
        # "seccomp:" would be the lie that could not be told, not the one that was noticed.
        noticed = [word[4:] for word in words if "failed" in results.get(word, {}) and
                   not re.match("seccomp|no_new_privs|no such|what kind", results[word]["failed"])]
        if complete and len(noticed) == len(words):
            oracle.store(key, noticed)
    for lie in bench_ops.LIES:
        report.check(lie in noticed, "system call %s answers %s and does nothing: %s notices" % tuple(lie.split(":")))


def compare(report, baseline, results):
    """A point a figure: measured, known, and not grown."""
    costs = {name: r["cost"] for name, r in results.items() if "cost" in r}
    for name, known in baseline.items():
        if name not in costs:
            report.fail("%s: %s" % (name, results.get(name, {}).get("failed", "not measured")))
        elif costs[name] > known * MOST_GROWTH:
            report.fail("%s: %.0f instructions, the baseline has %.0f (%+.1f %%)" %
                        (name, costs[name], known, 100 * (costs[name] / known - 1)))
        else:
            report.succeed()
            if costs[name] * MOST_GROWTH < known:
                report.note("%s: %.0f instructions, the baseline has %.0f: make bench-baseline keeps the gain" %
                            (name, costs[name], known))
    for name, result in results.items():
        if name not in baseline and "missing" not in result:
            report.fail("%s has no baseline (%s)" % (name, result.get("failed", "make bench-baseline")))


def meet_targets(report, results):
    """A point a target, whatever the baseline says: it may not be walked up to a twentieth at a time."""
    for name, result in results.items():
        target = bench_ops.OPERATIONS[name][2]
        if target and "cost" in result:
            report.check(result["cost"] <= target, "%s: %.0f instructions, the target is %d" % (name, result["cost"], target))


class Quiet(Report):
    """A report about made-up figures: nobody is to see its lines."""

    def line(self, text):
        pass


def check_the_check(report):
    """The rule itself: what it lets pass and what not."""
    for words, results, failures in (
            ("a twentieth more passes", {"a": {"cost": 105.0}}, 0),
            ("more than a twentieth fails", {"a": {"cost": 105.1}}, 1),
            ("a count that is gone fails", {}, 1),
            ("an operation with a wrong result fails", {"a": {"failed": "why"}}, 1),
            ("a figure without baseline fails", {"a": {"cost": 1.0}, "b": {"cost": 1.0}}, 1),
            ("what the kernel has not got is no failure", {"a": {"cost": 1.0}, "b": {"missing": "why"}}, 0)):
        trial = Quiet(report.build, "trial")
        compare(trial, {"a": 100.0}, results)
        report.check(trial.failed == failures, "the rule: " + words)
    for cost, failures in ((300.0, 0), (300.1, 1)):
        trial = Quiet(report.build, "trial")
        meet_targets(trial, {"yield_two_threads": {"cost": cost}, "fstat": {"missing": "why"}})
        report.check(trial.failed == failures, "the rule: %.1f instructions of 300" % cost)


def check(build, write_baseline=False):
    """Ring bench-check: no count above its baseline by more than a twentieth, nor above its target."""
    report = Report(build, "bench-check")
    folder = image.scratch(build)
    check_the_check(report)
    check_lies(report, build, folder)
    results = Bench(build, operations(build, ("quick",)), True, folder).boot("halcyon")
    costs = {name: r["cost"] for name, r in results.items() if "cost" in r}
    if write_baseline:
        with open(BASELINE, "w") as sink:
            json.dump(costs, sink, indent=1)
            sink.write("\n")
        print("%d counts in %s" % (len(costs), os.path.relpath(BASELINE, oracle.TOP)))
    with open(BASELINE) as source:
        compare(report, json.load(source), results)
    meet_targets(report, results)
    return report.finish(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--mode", choices=("exact", "wall", "events", "all"), default="all")
    parser.add_argument("--kernels", default="halcyon,linux", type=lambda text: text.split(","))
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write-baseline", action="store_true")
    args = parser.parse_args()
    return check(args.build, args.write_baseline) if args.check or args.write_baseline else run(args)


if __name__ == "__main__":
    sys.exit(main())
