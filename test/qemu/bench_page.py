"""The benchmark's results for people: tables in text, docs/performance.md, and the chart.

A ratio is Linux's cost divided by Halcyon's: above 1, Halcyon is cheaper.
"""

import math
import os
from xml.sax.saxutils import escape

import bench_ops

UNITS = {"exact": "guest instructions", "wall": "nanoseconds"}


def count(value):
    if value is None:
        return "-"
    return "{:,.0f}".format(value)


class Row:
    """One line of the table, in one mode."""

    def __init__(self, name, mode, halcyon, linux):
        self.name, self.group = name, bench_ops.OPERATIONS[name][0]
        self.words, target = bench_ops.OPERATIONS[name][1:]
        self.target = target if mode == "exact" else None
        ours, theirs = self.find(halcyon), self.find(linux)
        self.there = bool(ours or theirs)
        self.halcyon, self.linux = ours.get("cost"), theirs.get("cost")
        self.remark = next((kind for kind in ("failed", "missing") if kind in ours), "")
        self.linux_remark = next((kind for kind in ("failed", "missing") if kind in theirs), "")
        self.ratio = self.linux / self.halcyon if self.halcyon and self.linux else None

    def find(self, results):
        """A figure's result; an operation of several figures that failed stands for each of them."""
        return results.get(self.name) or results.get(bench_ops.op_of(self.name)) or {}

    def verdict(self):
        if not self.target or self.halcyon is None:
            return ""
        return "met" if self.halcyon <= self.target else "over"


def rows(data, mode):
    found = data.get(mode, {})
    all_rows = [Row(name, mode, found.get("halcyon", {}), found.get("linux", {})) for name in bench_ops.OPERATIONS]
    return [row for row in all_rows if row.there]


def text_tables(data):
    lines = []
    for mode, unit in UNITS.items():
        if mode not in data:
            continue
        lines += ["", "%-36s %14s %14s %7s %12s" % (unit, "Halcyon", "Linux", "ratio", "target")]
        for row in rows(data, mode):
            lines.append(("%-36s %14s %14s %7s %12s %s" % (
                row.words, row.remark or count(row.halcyon), row.linux_remark or count(row.linux),
                "%.2f" % row.ratio if row.ratio else "-", count(row.target), row.verdict())).rstrip())
    lines += scale_text(data) + event_text(data) + repeat_lines(data)
    return "\n".join(lines)


def spread(result):
    """How far the exact runs lie apart, as a share of the first; None when there was one run."""
    again = [cost for cost in result.get("again", []) if cost is not None]
    if not again or not result.get("cost"):
        return None
    return max(abs(cost - result["cost"]) for cost in again) / result["cost"]


def repeat_lines(data):
    """What two exact runs say of each other."""
    lines = []
    for kernel, results in data.get("exact", {}).items():
        spreads = sorted(((spread(r), name) for name, r in results.items() if spread(r) is not None), reverse=True)
        if not spreads:
            continue
        equal = sum(1 for share, _ in spreads if share < 0.0005)
        far = ", ".join("%s %.2f %%" % (name, 100 * share) for share, name in spreads[:3] if share >= 0.0005)
        lines.append("%s, the runs compared: %d of %d figures equal within 0.05 %%%s" %
                     (kernel, equal, len(spreads), "; furthest apart: " + far if far else ""))
    return [""] + lines if lines else []


# ---- one CPU and two ----

class Scale:
    """One line of the scaling table: nanoseconds a step of one worker, of two together, and the quotient, per kernel."""

    def __init__(self, found, kind, workers):
        self.words, self.workers = bench_ops.SCALING[kind], workers
        self.figures = {}
        for kernel in ("halcyon", "linux"):
            pair = [found.get(kernel, {}).get("scale_%s_%s_%d" % (kind, workers, n), {}).get("cost") for n in (1, 2)]
            self.figures[kernel] = pair if None not in pair else None
        self.there = any(self.figures.values())

    def cells(self):
        out = [self.words, self.workers]
        for pair in self.figures.values():
            out += [count(pair[0]), count(pair[1]), "%.2f" % (pair[0] / pair[1])] if pair else ["-"] * 3
        return out


def scale_rows(data):
    found = data.get("wall", {})
    every = [Scale(found, kind, workers) for kind in bench_ops.SCALING for workers in bench_ops.WORKERS]
    return [row for row in every if row.there]


def scale_text(data):
    shown = scale_rows(data)
    head = ["", "%-38s %-8s %10s %10s %7s %10s %10s %7s" %
            ("nanoseconds a step, all workers", "", "Halcyon 1", "2", "speed", "Linux 1", "2", "speed")]
    return head + ["%-38s %-8s %10s %10s %7s %10s %10s %7s" % tuple(row.cells()) for row in shown] if shown else []


def scale_table(data):
    shown = scale_rows(data)
    if not shown:
        return []
    return ["", "## One CPU and two", "", "One worker and two, each pinned to a CPU of its own, wall clock. A figure is the time "
            "for one step of all workers together; the speed-up of a kernel", "that loses nothing is 2 (on two host CPUs, which also "
            "run the emulator itself). Processes share nothing, threads an address", "space and a descriptor table.", "",
            "| step | workers | Halcyon 1 | Halcyon 2 | speed-up | Linux 1 | Linux 2 | speed-up |",
            "|---|---|---:|---:|---:|---:|---:|---:|"] + ["| " + " | ".join(row.cells()) + " |" for row in shown]


# ---- four CPUs ----

EVENTS = {"resched": "reschedule", "call": "call", "tlb": "TLB", "switch": "switches"}


FOUR_CPUS = """
## Four CPUs

What four workers do to each other, each pinned to a CPU of its own, in 1,000 steps: interrupts between CPUs (to reschedule, to
call, to flush TLBs) and switches, on Halcyon and on Linux. Their beginning and their end are in it: fractions are noise. The last
column is Halcyon's debug kernel's: how often somebody waited for a lock, and for which most. Four emulated CPUs share two of the
host's, so that a holder may be stopped in the midst of it, and all others wait.

"""


def events_of(data, kernel, kind, workers):
    found = data.get("events", {}).get(kernel, {}).get("four_%s_%s" % (kind, workers), {})
    return found.get("events") or {}


def rate(value):
    return "-" if value is None else "0" if not value else "%.2f" % value if value < 10 else count(value)


def lock_words(found):
    """Waits of one in a thousand steps, and for what."""
    if "waits" not in found:
        return "-"
    names = [name for name in found if name not in EVENTS and name not in ("taken", "waits")]
    worst = max(names, key=found.get) if names else None
    return rate(found["waits"]) + (" (%s %s)" % (worst.replace("_", " "), rate(found[worst])) if worst else "")


def event_rows(data):
    """Cells: step, workers, Halcyon's events, Linux's, and the debug kernel's waits."""
    out = []
    for kind in bench_ops.SCALING:
        for workers in bench_ops.WORKERS:
            ours, theirs = (events_of(data, kernel, kind, workers) for kernel in ("halcyon", "linux"))
            if ours or theirs:
                cells = [rate(found.get(what)) for found in (ours, theirs) for what in EVENTS]
                out.append([bench_ops.SCALING[kind], workers] + cells + [lock_words(events_of(data, "debug", kind, workers))])
    return out


def event_text(data):
    shown = event_rows(data)
    line = "%-38s %-8s" + " %10s" * (2 * len(EVENTS)) + "  %s"
    head = ["", line % tuple(["four CPUs: events in 1000 steps", ""] + list(EVENTS) * 2 + ["waits for locks"])]
    return head + [line % tuple(row) for row in shown] if shown else []


def event_table(data):
    shown = event_rows(data)
    if not shown:
        return []
    heads = list(EVENTS.values()) + ["Linux: " + words for words in EVENTS.values()]
    return FOUR_CPUS.splitlines() + [
        "| step | workers | " + " | ".join(heads) + " | waits for locks |",
        "|---|---|" + "---:|" * len(heads) + "---|"] + ["| " + " | ".join(row) + " |" for row in shown]


# ---- docs/performance.md ----

PAGE = """# Performance

Made by `make bench PUBLISH=1` (`test/qemu/bench.py`); do not edit. Halcyon {commit} and Debian's Linux {linux} in QEMU {qemu}.

![How many times cheaper than on Linux](performance.svg)

## How to reproduce

    make bench                        both kernels, both modes; results in build/test/bench
    make bench ONLY="stat fstat"      some operations
    make bench MODE=exact             instruction counts only (about four minutes); or MODE=wall, MODE=events
    make bench PUBLISH=1              and this page with its chart
    make bench-check                  Halcyon's counts against test/qemu/bench-baseline.json: a part of make test
    make bench-baseline               writes that baseline anew

`userland/bench` is one static musl program. The same initramfs (it as `/init`, and Debian's busybox) boots on both kernels under
the same OVMF, with {ram_mib} MiB, `-cpu {cpu}`, `-seed {seed}`, `-rtc clock=vm` and a fixed date, without address randomisation.
Linux runs with the options that Debian gives it, mitigations included, and `no5lvl`. Every operation checks its result (bytes read,
masks set, children's statuses, trees unpacked, lines sorted) and prints no figure when it is wrong; `make bench-check` proves that
on a Linux whose system calls are made to lie (`userland/bench/lie.c`).

**Exact**: `-icount shift=0`, one CPU; a nanosecond of the machine's clock is one guest instruction, so the time stamp counter counts
instructions. A figure is the median of 15 windows of about half a millisecond, divided by the operations in one, so that timer ticks
do not count. Each kernel boots twice; the first run is shown. **Wall clock**: two CPUs, free running, the two kernels boot in
turn, the median of {pairs} boots each. It says what an emulator's host makes of it, on a machine that may do other things:
look for factors, not for percents. **Events**: four CPUs, one boot each; nothing is timed. Linux finds the time
stamp counters of two emulated CPUs apart and reads the HPET instead, which makes its `clock_gettime` slow here.

What to keep in mind when reading instruction counts:

- The operation is counted with its way through musl and the loop around it. Whole programs are mostly themselves: `sort` is user code.
- A `rep` string instruction is billed per iteration, 8 bytes each here (`-erms`); real CPUs copy a page in a fraction of 512 cycles.
- A write of CR3, a TLB flush, a cache miss and a locked instruction are billed as one instruction; there is no PCID.
- Waiting is billed. `kernel entry to init` is the monotonic clock at PID 1's first instruction: on Halcyon it begins at the
  kernel's entry, on Linux in `setup_arch`, after decompression; Linux's figure holds time in which it calibrates and waits for devices.
- All areas have 4 KiB pages (`MADV_NOHUGEPAGE`). By default Linux would give the 1 GiB area huge pages, which makes its fork cheap.
- `mprotect` there and back, and ping-pongs, are two calls, and round trips. A ping-pong's two sides stay on one CPU.
- `fork with N`: the call in the parent; its first write afterwards; from telling the child to leave to having reaped it.

"""


def page_table(data, mode):
    lines = ["| operation | Halcyon | Linux | ratio | target |", "|---|---:|---:|---:|---:|"]
    if mode == "wall":
        lines = ["| operation | Halcyon | Linux | ratio |", "|---|---:|---:|---:|"]
    group = None
    for row in rows(data, mode):
        if row.remark == "missing":
            continue
        if row.group != group:
            group = row.group
            lines.append("| **%s** |%s" % (bench_ops.GROUPS[group], " |" * (4 if mode == "exact" else 3)))
        cells = [row.words, row.remark or count(row.halcyon), row.linux_remark or count(row.linux),
                 "%.2f" % row.ratio if row.ratio else ""]
        if mode == "exact":
            cells.append("" if row.target is None else "%s %s" % (count(row.target), row.verdict()))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def missing_lines(data):
    found = data.get("exact") or data.get("wall") or {}
    lines = []
    for name, result in found.get("halcyon", {}).items():
        if "missing" in result:
            theirs = found.get("linux", {}).get(name, {}).get("cost")
            lines.append("| %s | %s | %s |" % (bench_ops.OPERATIONS[name][1], result["missing"], count(theirs)))
    if not lines:
        return []
    return ["", "## Missing on Halcyon", "", "Measured, as soon as a later part brings it.", "",
            "| operation | Halcyon says | Linux |", "|---|---|---:|"] + lines


def known_lines(data):
    """The method against the figures that the issue gives for Linux."""
    linux = data.get("exact", {}).get("linux", {})
    lines = []
    for name, known in bench_ops.LINUX_KNOWN.items():
        cost = linux.get(name, {}).get("cost")
        if cost:
            lines.append("| %s | %s | %s | %+.1f %% |" % (bench_ops.OPERATIONS[name][1], count(known), count(cost),
                                                        100 * (cost / known - 1)))
    if not lines:
        return []
    return ["", "## The method, checked", "",
            "Linux's figures as the issue that set the targets gives them, and as measured here.", "",
            "| operation | given | measured | apart |", "|---|---:|---:|---:|"] + lines


def page(data):
    facts = dict(data["facts"])
    facts["pairs"] = data.get("pairs", 0)
    lines = [PAGE.format(**facts)]
    if "exact" in data:
        lines += ["## Guest instructions, one CPU", ""] + page_table(data, "exact") + repeat_lines(data)
    if "wall" in data:
        lines += ["", "## Nanoseconds, two CPUs, wall clock", ""] + page_table(data, "wall")
    lines += scale_table(data) + event_table(data) + missing_lines(data) + known_lines(data)
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


# ---- the chart ----

LEFT, WIDTH, BAR, TOP = 250, 560, 15, 66
COLOURS = {"better": "#2a7f62", "worse": "#b5482f", "target": "#1d3557"}


def chart(data):
    """Bars of the ratio on a logarithmic scale from 1; a tick where the target is."""
    mode = "exact" if "exact" in data else "wall"
    shown = [row for row in rows(data, mode) if row.ratio]
    if not shown:
        return ""
    low = min(0.5, min(row.ratio for row in shown))
    high = max(4.0, max(row.ratio for row in shown))

    def x(ratio):
        return LEFT + WIDTH * math.log(ratio / low) / math.log(high / low)

    height = TOP + BAR * len(shown) + 30
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
           'font-family="sans-serif" font-size="11">' % (LEFT + WIDTH + 70, height, LEFT + WIDTH + 70, height),
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           '<text x="12" y="22" font-size="15" font-weight="bold">Linux\'s cost divided by Halcyon\'s (%s)</text>' %
           UNITS[mode],
           '<text x="12" y="40" fill="#555555">right of 1: cheaper on Halcyon; logarithmic scale; the mark is '
           'the target</text>']
    for ratio in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
        if low <= ratio <= high:
            out.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/>' %
                       (x(ratio), TOP - 6, x(ratio), height - 26, "#333333" if ratio == 1 else "#dddddd"))
            out.append('<text x="%.1f" y="%d" text-anchor="middle" fill="#555555">%g</text>' % (x(ratio), TOP - 10, ratio))
    for number, row in enumerate(shown):
        y = TOP + BAR * number
        left, right = sorted((x(1), x(row.ratio)))
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 8, y + 10, escape(row.words)))
        out.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>' %
                   (left, y + 1, max(right - left, 1), BAR - 4, COLOURS["better" if row.ratio >= 1 else "worse"]))
        out.append('<text x="%.1f" y="%d" fill="#333333">%.1f</text>' % (max(x(row.ratio), x(1)) + 4, y + 10, row.ratio))
        if row.target:
            at = x(min(max(row.linux / row.target, low), high))
            out.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-width="2"/>' %
                       (at, y - 1, at, y + BAR - 2, COLOURS["target"]))
    facts = data["facts"]
    out.append('<text x="12" y="%d" fill="#555555">Halcyon %s, Linux %s, QEMU %s, -cpu %s</text>' %
               (height - 8, escape(facts["commit"]), escape(facts["linux"]), escape(facts["qemu"]), escape(facts["cpu"])))
    return "\n".join(out + ["</svg>", ""])


def write(data, folder):
    """performance.md and performance.svg."""
    for leaf, text in (("performance.md", page(data)), ("performance.svg", chart(data))):
        with open(os.path.join(folder, leaf), "w") as sink:
            sink.write(text)
