# SPDX-License-Identifier: MIT
"""What the kernel has to say: hx-dmesg, hx-locks."""
import re
import gdb
from hx import core, tasks

FILLER = 0xff
LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
LOG = "kernel/core/log.c"


def records():
    """(ns, level, text) of the log ring, oldest first: kernel/core/log.c."""
    ring, data = core.symbol("ring", LOG), core.symbol("ring_data", LOG)
    size = data.type.sizeof
    head, tail = int(ring["head"]), int(ring["tail"])
    record = core.type_of("struct ring_record")
    raw = core.read(int(data.address), size)
    fields = {f.name: (f.bitpos // 8, f.type.sizeof) for f in record.fields()}

    def field(at, name):
        offset, length = fields[name]
        return int.from_bytes(raw[at + offset:at + offset + length], "little")

    while head < tail:
        at = head % size
        length = field(at, "size")
        if length < record.sizeof or length > tail - head:
            raise core.Broken(f"at position {head}")
        if field(at, "level") != FILLER:
            start = at + record.sizeof
            yield field(at, "ns"), field(at, "level"), raw[start:start + field(at, "len")].decode("utf-8", "backslashreplace")
        head += length


@core.command("hx-dmesg", "[LINES | PATTERN]")
def hx_dmesg(words):
    """The kernel's log, out of its ring: all of it, the last LINES, or what matches the regular expression PATTERN."""
    lines = []
    try:
        for ns, level, text in records():
            lines.append(f"[{ns // 10**9:5}.{ns % 10**9 // 1000:06}] {LEVELS[level & 7]:6} {text.rstrip()}")
    except core.Broken as broken:
        lines.append(f"the ring is being written, or broken: {broken}")
    if words and words[0].isdigit():
        lines = lines[-int(words[0]):]
    elif words:
        lines = [line for line in lines if re.search(words[0], line)]
    for line in lines:
        core.say(line)


# ---- locks ---------------------------------------------------------------------------------------

def show_held(stack, whose):
    """Prints a struct lock_held_stack; the number of locks in it."""
    depth = min(int(stack["depth"]), stack["held"].type.range()[1] + 1)
    for i in range(depth):
        held = stack["held"][i]
        core.say(f"{whose:28} {core.text_of(held['name']):20} rank {int(held['rank']):3} at {int(held['lock']):#018x} "
                 f"taken in {core.place(held['place'])}")
    return depth


def book_is_kept():
    return bool(core.type_of("struct lock_held_stack").fields())


def all_threads():
    for process in tasks.processes():
        for task in tasks.tasks_of(process):
            yield task["thread"], f"{tasks.pid_of(task)} {tasks.name_of(task['thread'])}"
    for thread in tasks.kernel_threads():
        yield thread, tasks.name_of(thread)


@core.command("hx-locks", "[stat]")
def hx_locks(words):
    """Which locks are held, by CPU (spinlocks) and by thread (sleeping locks), and where they were taken.
With `stat` contention and hold times of each kind of lock, the longest total wait first. The debug kernels only."""
    if not book_is_kept():
        core.fail("this kernel keeps no book about its locks: use the debug kernel")
    if words[:1] == ["stat"]:
        show_statistics()
        return
    count = 0
    for cpu in core.cpus():
        count += show_held(core.percpu("lock_cpu_stack", cpu, "kernel/core/lockdep.c"), f"cpu {cpu}")
    for thread, name in all_threads():
        count += show_held(thread["held"], name)
    core.say(f"{count} locks are held")


def show_statistics():
    file = "kernel/core/lockstat.c"
    classes, total = core.optional("classes", file), core.optional("class_count", file)
    if classes is None:
        core.fail("this kernel has no lock statistics")
    rows = []
    for number in range(1, int(total)):
        sums = {"taken": 0, "contended": 0, "wait": 0, "hold": 0}
        for cpu in core.cpus():
            stat = core.percpu("lock_stats", cpu, file)["of"][number]
            for name in sums:
                sums[name] += int(stat[name])
        rows.append((sums, core.text_of(classes[number]["name"]), int(classes[number]["rank"])))
    core.say(f"{'LOCK':24} RANK {'TAKEN':>12} {'CONTENDED':>10} {'WAIT CYCLES':>14} {'HOLD CYCLES':>16}")
    for sums, name, rank in sorted(rows, key=lambda r: (-r[0]["wait"], -r[0]["taken"])):
        core.say(f"{name:24} {rank:4} {sums['taken']:12} {sums['contended']:10} {sums['wait']:14} {sums['hold']:16}")
