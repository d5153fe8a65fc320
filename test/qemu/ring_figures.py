"""Instruction counts: what a thing costs, exactly and repeatably.

Under -icount shift=0 one virtual nanosecond is one guest instruction, so the
time stamp counter counts instructions.  test/abi/count.c runs as /init of an
empty initrd and prints its figures; each has a limit that the issues set.
test/abi/shares.c, in a boot of its own, says how exactly the fair class shares
the CPU.  Boots need the software TPM, without which OVMF polls for half a minute.
"""

import concurrent.futures
import os
import re

import image
import initrd
import machine
import ring_abi
from report import Report

WORDS = "console=ttyS0 qemu-exit nokaslr norandmaps "
CPU = "max,-erms"
LIMITS = (
    ("entry_to_init", 30_000_000, "kernel entry to init's first instruction, 512 MiB"),
    ("getppid", 140, "getppid by musl's syscall()"),
    ("getppid_kernel", 100, "the kernel's part of it"),
    ("clock_gettime", 60, "clock_gettime in musl's loop"),
    ("fork_exit_wait", 30_000, "fork, exit and wait of a small static program"),
)
BIG_MIB, BIG_FACTOR = 8192, 1.2
KERNEL_LIMIT = 1 << 20
OVERHEAD_KIB = 16 << 10
SHARE_PERCENT, NICE5, NICE_PERCENT = 3, 335 / 1024, 10


def figures_of(build, disk, ram_mib, end="end", seconds=110):
    """({name: value}, the serial text)"""
    with machine.Machine(image=disk, icount=True, tpm=True, cpus=1, cpu=CPU, ram_mib=ram_mib,
                         name="figures", symbols=os.path.join(build, "kernel.elf")) as halcyon:
        try:
            halcyon.wait(seconds)
        except machine.Hang as hang:
            raise machine.Hang("%s\n%s" % (hang, halcyon.dump()))
        text = halcyon.serial.text()
    figures = {k: int(v) for k, v in re.findall(r"FIGURE (\w+) (\d+)", text)}
    if end not in figures:
        raise machine.Hang("no figures:\n" + "\n".join(text.splitlines()[-40:]))
    return figures, text


def measure(build, disk, ram_mib):
    figures, text = figures_of(build, disk, ram_mib)
    usable = re.search(r"(\d+) KiB usable in the firmware's map", text)
    if not usable:
        raise machine.Hang("the log does not say how much RAM is usable")
    figures["usable_kib"] = int(usable.group(1))
    return figures


def shares(report, build, folder, options):
    """Equal loops get equal shares, a nicer one what its weight says."""
    archive = initrd.Initrd()
    archive.copy("init", ring_abi.binary_of(build, "shares"))
    disk = image.make(os.path.join(build, "halcyon.img"), os.path.join(folder, "shares.img"), options=WORDS + options,
                      initrd=archive.write(os.path.join(folder, "shares.initrd")))
    got, _ = figures_of(build, disk, 512, "end_0", 200)
    for n in (3, 5):
        least, most = got["share_least_%d" % n], got["share_most_%d" % n]
        report.check(least * 100 >= most * (100 - SHARE_PERCENT), "%d loops on one CPU: %.1f to %.1f ms, %.2f %% apart (at most %d %%)" %
                     (n, least / 1e6, most / 1e6, (most - least) * 100 / most, SHARE_PERCENT))
    ratio = got["share_nice_5"] / got["share_nice_0"]
    report.check(abs(ratio / NICE5 - 1) * 100 <= NICE_PERCENT, "nice 5 against nice 0: %.4f, by weight %.4f (within %d %%)" %
                 (ratio, NICE5, NICE_PERCENT))


def run(build, options=""):
    report = Report(build, "figures")
    folder = image.scratch(build)
    ring_abi.build_programs(build)
    archive = initrd.Initrd()
    archive.copy("init", ring_abi.binary_of(build, "count"))
    path = archive.write(os.path.join(folder, "initrd"))
    disk = image.make(os.path.join(build, "halcyon.img"), os.path.join(folder, "figures.img"),
                      options=WORDS + options, initrd=path)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:     # counts do not mind company
        loops = pool.submit(shares, report, build, folder, options)
        small = measure(build, disk, 512)
        big = measure(build, disk, BIG_MIB)
        loops.result()
    for name, limit, words in LIMITS:
        report.check(small.get(name, 1 << 62) < limit, "%s: %s, limit %d" %
                     (words, small.get(name), limit))
    report.check(big["entry_to_init"] <= small["entry_to_init"] * BIG_FACTOR,
                 "the same with %d MiB: %d, %.3f times (limit %.1f)" %
                 (BIG_MIB, big["entry_to_init"], big["entry_to_init"] / small["entry_to_init"],
                  BIG_FACTOR))
    size = os.path.getsize(os.path.join(build, "esp", "kernel.elf"))
    report.check(size < KERNEL_LIMIT, "the stripped kernel has %d bytes, limit %d" %
                 (size, KERNEL_LIMIT))
    gone = small["usable_kib"] - small["memfree_kib"]
    report.check(gone < OVERHEAD_KIB + os.path.getsize(path) // 1024,
                 "usable RAM less MemFree: %d KiB" % gone)
    return report.finish(folder)
