#!/usr/bin/env python3
"""The rings of proof that need a machine (docs/testing.md).

    run.py RING [--build DIR] [--only NAME ...] [--options "kernel words"] [--cpus N]

    selftest   the debug kernel's own tests, and the tests that die on purpose
    abi        ordinary Linux programs: what Linux 6.1 says, Halcyon must say
    applets    busybox applets and shell scripts, byte for byte as on Linux
    machine    the real image in several machines, driven over the serial line
    matrix     every kind of machine to the shell; every way to reset and to switch off
    loader     the loader: what is missing or damaged, the menu, random places
    fail       each allocation of each system call fails once; leaks
    gdb        gdb's helpers in batch mode; the profiler's counts against -icount
    fuzz       random system calls against the debug kernel
    smp        two CPUs: a storm of stat() that writes nothing, the work of two CPUs counted
    torture    the debug kernel under load on machines of several CPUs
    bad        a thousand mutated ELF files
    figures    instruction counts (-icount)
    bench-check  the benchmark's counts on Halcyon against bench-baseline.json
    oracle     boot only Linux, for every program and applet: fills the cache
    summary    the totals of all rings that ran: one line `N passed, N failed`

Each ring ends with a line `N passed, N failed`, exits 0 only when all passed,
and leaves DIR/test/results/RING.json.
"""

import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import image  # noqa: E402
import machine  # noqa: E402
import warm  # noqa: E402

RINGS = ("selftest", "abi", "applets", "fail", "machine", "matrix", "loader", "gdb", "bad", "fuzz", "figures", "smp", "torture",
         "bench-check")


def run_ring(name, args):
    if name in ("abi", "bad"):
        import ring_abi
        return ring_abi.run(args.build, name, args.only, args.options)
    if name == "fail":
        import ring_fail
        return ring_fail.run(args.build, args.only, args.options)
    if name == "fuzz":
        import ring_fuzz
        return ring_fuzz.run(args.build, args.only, args.options)
    if name == "gdb":
        import ring_gdb
        return ring_gdb.run(args.build, args.only, args.options)
    if name == "selftest":
        import ring_selftest
        return ring_selftest.run(args.build, args.only, args.options)
    if name == "applets":
        import ring_applets
        return ring_applets.run(args.build, args.only, args.options)
    if name == "machine":
        import ring_machine
        return ring_machine.run(args.build, args.only, args.options)
    if name == "matrix":
        import ring_matrix
        return ring_matrix.run(args.build, args.only, args.options)
    if name == "loader":
        import ring_loader
        return ring_loader.run(args.build, args.only, args.options)
    if name == "bench-check":
        import bench
        return bench.check(args.build)
    if name == "torture":
        import ring_torture
        return ring_torture.run(args.build, args.only, args.options)
    if name == "smp":
        import ring_smp
        return ring_smp.run(args.build, args.only, args.options)
    if name == "figures":
        import ring_figures
        return ring_figures.run(args.build, args.options)
    raise SystemExit("no ring is called " + name)


def fill_oracle(args):
    import ring_abi
    import ring_applets
    folder = image.scratch(args.build)
    ring_abi.build_programs(args.build)
    programs = [p for p in ring_abi.read_plan() + ring_abi.mutant_plan() if not p.ours]
    answers = ring_abi.ask_linux(args.build, programs, folder)
    bad = [p.name for p in programs if p.name not in answers or not answers[p.name].whole()]
    for name in bad:
        print("not ok - %s: %s" % (name, answers[name].end if name in answers else "no answer"))
        for point, (good, remark) in (answers[name].points.items() if name in answers else ()):
            if not good:
                print("    %s # %s" % (point, remark))
    path = ring_applets.pack(ring_applets.read_cases(), args.build, os.path.join(folder, "applets"))
    cases = ring_applets.ask_linux(path, ring_applets.read_cases())
    print("%d programs, %d points, %d cases; %d programs do not pass" %
          (len(answers), sum(len(a.points) for a in answers.values()), len(cases), len(bad)))
    return 1 if bad else 0


def summary(args):
    passed = failed = 0
    for ring in RINGS:
        path = os.path.join(args.build, "test", "results", ring + ".json")
        if not os.path.exists(path):
            print("not ok - ring %s has no result" % ring)
            failed += 1
            continue
        with open(path) as source:
            result = json.load(source)
        print("# ring %-9s %5d passed %4d failed %7.1f s" %
              (ring, result["passed"], result["failed"], result["seconds"]))
        passed, failed = passed + result["passed"], failed + result["failed"]
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ring", choices=RINGS + ("oracle", "summary"))
    parser.add_argument("--build", default="build")
    parser.add_argument("--variant", default="debug", help="whose kernel: debug (every detector on), check, release")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--cpus", type=int, help="of the machines that leave it open: abi, applets, bad, machine")
    parser.add_argument("--options", default="", help="further words for the kernel's command line")
    args = parser.parse_args()
    image.VARIANT = args.variant
    machine.CPUS = args.cpus or machine.CPUS
    warm.FOLDER = None if os.environ.get("HALCYON_COLD") else os.path.join(args.build, "test", "warm")
    if args.ring == "summary":
        return summary(args)
    if args.ring == "oracle":
        return fill_oracle(args)
    try:
        return run_ring(args.ring, args)
    except (machine.Hang, OSError, RuntimeError) as trouble:
        print("not ok - ring %s: %s: %s" % (args.ring, type(trouble).__name__, trouble))
        print("0 passed, 1 failed")
        return 1


if __name__ == "__main__":
    sys.exit(main())
