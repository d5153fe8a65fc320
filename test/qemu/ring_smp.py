"""Ring "smp": what the release kernel does on two CPUs that no instruction count of one CPU can show.

  storm    a million stat() of one path by two threads leave every byte of what the path goes through as it was
  work     what a step costs with one worker and with two (userland/bench/scaling.c), in instructions of the workers' own
           CPUs, counted by an emulator's plug-in (tools/profile/count.c): spinning, interrupts and calls between CPUs included.
           Two CPUs can do 2 * (cost with one worker) / (cost with two) times the work of one. Wall clock says the same on two
           quiet host CPUs (make bench), and nothing on busy ones. For threads of one address space also how often they flush
           each other's TLB, and switch because one sleeps for the other's lock
  idle     four CPUs with nothing to do for ten seconds: fewer than five timer interrupts per second and CPU
"""

import concurrent.futures
import os
import re
import statistics
import subprocess

import bench
import bench_ops
import image
import initrd
import machine
import ring_abi
from oracle import TOP
from report import Report

WORDS = "console=ttyS0 qemu-exit nokaslr quiet "
NAMES = ["storm", "one", "two", "file"]
CALLS = 1000000
STORM_SECONDS, GDB_SECONDS, WORK_SECONDS = 120, 120, 150
BOOTS = 3               # before what a busy host adds to a measurement counts as the kernel's
IDLE_SECONDS, IDLE_RATE = 10, 5
IDLE_INIT = """#!/bin/sh
mount -t proc proc /proc
sleep 1
grep LOC /proc/interrupts
sleep %d
grep LOC /proc/interrupts
echo IDLE END
exec sleep 1000
""" % IDLE_SECONDS
# What two CPUs must do, in times of one. The issue asks 1.8 of "opening and closing their own files".
SPEED_UPS = {"scale_open_own_process": 1.8, "scale_getppid_process": 1.9, "scale_getppid_thread": 1.9,
             "scale_pipe_process": 1.8, "scale_fault_process": 1.8, "scale_fault_thread": 1.3}
# What threads of one space may cost each other, two at work: flushes sent to the other CPU, and switches of threads, a step.
# On a quiet host 0.002, 0.3 and 1.8 flushes, 0.15, 1.9 and 4.2 switches. Before flushes left CPUs alone that are in the kernel, "fault"
# sent 0.72; before waiters spun on readers, "map" switched 10 times.
EVENTS = {"scale_fault_thread": (0.1, 0.5), "scale_map_thread": (0.8, 4.0), "scale_fork_thread": (4.0, 10.0)}


def path_bytes(build, stub):
    """{what: (address, bytes)} of the path, read through the stub; the machine goes on afterwards."""
    argv = ["gdb", "-nx", "-batch", "-ex", "set confirm off", "-ex", "target remote " + stub, "-ex", "python NAMES=%r" % NAMES,
            "-x", os.path.join(TOP, "test", "gdb", "path_bytes.py"), "-ex", "detach", os.path.join(build, "kernel.elf")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=GDB_SECONDS)
    found = {what: (address, data) for what, address, data in re.findall(r"^BYTES (.+) (0x\w+) (\w+)$", done.stdout, re.M)}
    if len(found) < 2 * len(NAMES) + 4:
        raise RuntimeError("gdb did not read the path:\n" + done.stdout + done.stderr)
    return found


def changed_bytes(before, after):
    """Words that say which bytes are not as they were."""
    out = []
    for what, (address, data) in before.items():
        if after.get(what, ("", ""))[0] != address:
            out.append("%s is another one" % what)
            continue
        for at in range(0, len(data), 2):
            if data[at:at + 2] != after[what][1][at:at + 2]:
                out.append("%s, byte %d: %s was %s" % (what, at // 2, after[what][1][at:at + 2], data[at:at + 2]))
    return out


def storm(report, build, folder):
    archive = initrd.Initrd()
    archive.copy("init", ring_abi.binary_of(build, "storm"))
    disk = image.make(os.path.join(build, "halcyon.img"), os.path.join(folder, "storm.img"), options=WORDS,
                      initrd=archive.write(os.path.join(folder, "storm.initrd")))
    stub = os.path.join(folder, "storm.stub")
    with machine.Machine(image=disk, cpus=2, name="storm", symbols=os.path.join(build, "kernel.elf"),
                         extra=["-gdb", "unix:%s,server=on,wait=off" % stub]) as halcyon:
        halcyon.serial.expect("STORM READY", 60)
        before = path_bytes(build, stub)
        halcyon.serial.send("\n")
        done = int(halcyon.serial.expect(r"STORM DONE (\d+)\r?\n", STORM_SECONDS).group(1))
        after = path_bytes(build, stub)
        halcyon.serial.send("\n")
        status = halcyon.wait(30)
    report.check(done == CALLS, "storm: %d of %d stat() on two CPUs succeed" % (done, CALLS))
    wrong = changed_bytes(before, after)
    size = sum(len(data) // 2 for _, data in before.values())
    if not report.check(not wrong, "storm: %d bytes of %d dentries, inodes, mounts and superblocks, %d of them changed" %
                        (size, len(before), len(wrong))):
        report.note("\n".join(wrong[:20]))
    report.check(status == machine.REBOOT_STATUS, "storm: the machine ends with status %s" % status)


def window_costs(text, counts):
    """{operation: (instructions a step with one worker, with two)}; medians of the rounds."""
    found, at = {}, 0
    for name, steps, rounds in re.findall(r"BENCH_STEPS (\w+) (\d+) (\d+)", text):
        at += 2                                     # what warms up
        one, two = [], []
        for _ in range(int(rounds)):
            window = [count / int(steps) for count in counts[at:at + 3]]
            at += 3
            if len(window) == 3:
                one.append(window[0])
                two.append(sum(window[1:]) / 2)
        if one:
            found[name] = (statistics.median(one), statistics.median(two))
    return found


def measure_work(report, build, folder, disk):
    """One boot: {name: (instructions a step with one worker, with two)}, {name: (flushes, switches a step)}, {name: what went wrong}."""
    output = os.path.join(folder, "work.counts")
    plugin = "%s,output=%s" % (os.path.join(build, "profile", "count.so"), output)
    with machine.Machine(image=disk, cpus=2, cpu=bench.CPU, name="work", extra=["-plugin", plugin],
                         symbols=os.path.join(build, "kernel.elf")) as halcyon:
        try:
            halcyon.wait(WORK_SECONDS)
        except machine.Hang as hang:
            report.note("%s\n%s" % (hang, halcyon.dump()))
        text = halcyon.serial.text()
    results, complete = bench_ops.parse(text)
    with open(output) as source:
        counts = [int(line.split()[2]) for line in source]
    costs = window_costs(text, counts) if complete else {}
    found = {name: (int(tlb) / int(steps), int(switches) / int(steps)) for name, steps, tlb, switches in
             re.findall(r"BENCH_EVENTS (\w+) steps=(\d+).* tlb=(\d+) switch=(\d+)", text)}
    return costs, found, {name: r.get("failed") or r.get("missing") or "no figure" for name, r in results.items()}


def work(report, build, folder):
    """A host that takes one of the two CPUs away makes the other one spin, which looks like a kernel whose CPUs wait for each other. What
    the kernel does it does in each boot: so what is too much in one boot counts when it is in all of BOOTS."""
    names = list(SPEED_UPS) + [name for name in EVENTS if name not in SPEED_UPS]
    archive = bench.pack(build, ["exact"] + names, os.path.join(folder, "work.initrd"))
    disk = image.make(os.path.join(build, "halcyon.img"), os.path.join(folder, "work.img"), options=bench.HALCYON_WORDS, initrd=archive)
    costs, events, trouble = {}, {}, {}
    for boot in range(BOOTS):
        new_costs, new_events, trouble = measure_work(report, build, folder, disk)
        for name, (one, two) in new_costs.items():
            if name not in costs or one / two > costs[name][0] / costs[name][1]:
                costs[name] = (one, two)
        for name, seen in new_events.items():
            events[name] = tuple(map(min, seen, events.get(name, seen)))
        slow = [name for name, least in SPEED_UPS.items() if name not in costs or 2 * costs[name][0] / costs[name][1] < least]
        loud = [name for name, most in EVENTS.items() if name not in events or any(a > b for a, b in zip(events[name], most))]
        if not slow and not loud:
            break
        report.note("work, boot %d: too much: %s" % (boot + 1, ", ".join(sorted(set(slow + loud)))))
    for name, least in SPEED_UPS.items():
        if name not in costs:
            report.fail("work: %s: %s" % (name, trouble.get(name, "no figure")))
            continue
        one, two = costs[name]
        report.check(name not in slow, "work: %s: %.0f instructions a step with one CPU, %.0f with two: %.2f times the work "
                     "(at least %.1f)" % (name, one, two, 2 * one / two, least))
    for name, most in EVENTS.items():
        tlb, switches = events.get(name, (float("inf"), float("inf")))
        report.check(name not in loud, "work: %s: %.3f flushes sent and %.2f switches a step with two "
                     "threads (at most %.2f and %.1f)" % ((name, tlb, switches) + most))


def idle_rates(build, disk):
    """Timer interrupts per second of each CPU, and the text."""
    with machine.Machine(image=disk, cpus=4, name="idle", symbols=os.path.join(build, "kernel.elf")) as halcyon:
        halcyon.serial.expect("IDLE END", 60 + IDLE_SECONDS)
        text = halcyon.serial.text()
    counts = [[int(word) for word in line.split()] for line in re.findall(r"LOC:((?: +\d+)+)", text)]
    good = len(counts) == 2 and len(counts[0]) == len(counts[1]) == 4
    return [(b - a) / IDLE_SECONDS for a, b in zip(*counts)] if good else [], text


def idle(report, build, folder):
    """On a busy host the commands around the pause may take long enough for ticks of their own: not in each boot."""
    archive = initrd.Initrd()
    archive.shells()
    archive.file("init", IDLE_INIT, 0o755)
    disk = image.make(os.path.join(build, "halcyon.img"), os.path.join(folder, "idle.img"), options=WORDS,
                      initrd=archive.write(os.path.join(folder, "idle.initrd")))
    for _ in range(BOOTS):
        rates, text = idle_rates(build, disk)
        if not rates or max(rates) < IDLE_RATE:
            break
    if not report.check(rates and max(rates) < IDLE_RATE, "idle: timer interrupts per second of four CPUs: %s (fewer than %d)" %
                        (" ".join("%.1f" % rate for rate in rates) or "no figures", IDLE_RATE)):
        report.note("\n".join(text.splitlines()[-20:]))


def run(build, only=None, options=""):
    report = Report(build, "smp")
    ring_abi.build_programs(build)
    subprocess.run(["make", "-s", "--no-print-directory", "-C", TOP, "BUILD=" + os.path.relpath(build, TOP), "profile-programs"],
                   check=True)
    folder = image.scratch(build)
    parts = {"storm": storm, "work": work, "idle": idle}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = {name: pool.submit(part, report, build, folder) for name, part in parts.items() if not only or name in only}
    for name, job in jobs.items():
        try:
            job.result()
        except (RuntimeError, machine.Hang, subprocess.TimeoutExpired) as trouble:
            report.fail("%s: %s" % (name, trouble))
    return report.finish(folder)
