# SPDX-License-Identifier: MIT
"""Processes, threads and their stacks: hx-ps, hx-threads, hx-bt."""
import gdb
from hx import core

LEAF_SLOTS = 512            # kernel/task/pid.c
FRAME_MARK = 0x54524150     # entry.asm's, below the saved RBP of a trap frame
FRAMES_MAX = 64
SAVED_RBP, SAVED_RIP = 40, 48   # x86_switch's pushes: R15 R14 R13 R12 RBX RBP, and the return address


# ---- finding -------------------------------------------------------------------------------------

def pids():
    """Every struct pid in use, by number: the table of kernel/task/pid.c."""
    leaves, limit = core.symbol("pid_leaves", "kernel/task/pid.c"), int(core.symbol("pid_limit", "kernel/task/pid.c"))
    if int(leaves) == 0:
        return
    count = (limit + LEAF_SLOTS - 1) // LEAF_SLOTS
    table = core.read(int(leaves), 8 * count)
    for i in range(count):
        leaf = int.from_bytes(table[8 * i:8 * i + 8], "little")
        if not leaf:
            continue
        slots = core.read(leaf, 8 * LEAF_SLOTS)
        for j in range(LEAF_SLOTS):
            pid = int.from_bytes(slots[8 * j:8 * j + 8], "little")
            if pid:
                yield core.at("struct pid", pid)


def processes():
    for pid in pids():
        if int(pid["process"]):
            yield pid["process"].dereference()


def tasks_of(process):
    return core.list_entries(process["threads"], "struct task", "thread_node")


def kernel_threads():
    return core.list_entries(core.symbol("kthread_list", "kernel/sched/thread.c"), "struct thread", "all_node")


def pid_of(thing):
    """The number of a process or a task."""
    return int(thing["pid"].dereference()["nr"]) if int(thing["pid"]) else 0


def process_by_pid(number):
    for pid in pids():
        if int(pid["nr"]) == number:
            if int(pid["process"]):
                return pid["process"].dereference()
            if int(pid["task"]):
                return pid["task"].dereference()["process"].dereference()
    core.fail(f"no process {number}")


def task_by_tid(number):
    for pid in pids():
        if int(pid["nr"]) == number and int(pid["task"]):
            return pid["task"].dereference()
    core.fail(f"no thread {number}")


def task_of(thread):
    """The struct task around a user thread; None for a kernel thread."""
    if int(thread["flags"]) & 1:
        return core.container(thread.address, "struct task", "thread")
    return None


def current_process():
    task = task_of(core.current_thread())
    if task is None:
        core.fail("a kernel thread runs: say which PID")
    return task["process"].dereference()


def cpu_running(thread):
    """The CPU that runs the thread now, or None."""
    return next((cpu for cpu in core.cpus() if int(core.running(cpu)) == int(thread.address)), None)


def name_of(thread):
    return core.array_text(thread["name"])


STATES = {0: "R", 1: "S", 2: "D", 4: "K", 8: "T", 16: "t", 32: "W", 64: "X"}


def state_of(thread):
    task = task_of(thread)
    if task is not None and int(task["exit_state"]):
        return "Z"
    return STATES.get(int(thread["state"]), "?")


def wait_of(thread):
    return core.text_of(thread["wait_why"]) if int(thread["wait_why"]) else ""


def user_regs(thread):
    """The frame with which the thread entered the kernel: hal_thread_regs()."""
    hal = thread["hal"]
    top = int(hal["stack_base"]) + int(hal["stack_size"])
    return core.at("struct hal_regs", top - core.type_of("struct hal_regs").sizeof)


@core.convenience("hx_process")
def hx_process(pid):
    """$hx_process(PID): its struct process."""
    return process_by_pid(int(pid))


@core.convenience("hx_task")
def hx_task(tid):
    """$hx_task(TID): its struct task."""
    return task_by_tid(int(tid))


# ---- hx-ps and hx-threads ------------------------------------------------------------------------

@core.command("hx-ps")
def hx_ps(words):
    """All processes: state of the leader (R runs or may, S D K sleeps, T t stopped, Z zombie), resident KiB, name.
* marks what runs on a CPU now."""
    core.say(f"  {'PID':>6} {'PPID':>6} {'PGID':>6} THR S {'RSS':>8} {'struct process':18} NAME")
    for process in processes():
        leader = process["leader"].dereference()
        parent = pid_of(process["parent"].dereference()) if int(process["parent"]) else 0
        group = int(process["pgrp"].dereference()["nr"]) if int(process["pgrp"]) else 0
        rss = 0
        if int(process["space"]):
            space = process["space"].dereference()
            rss = 4 * sum(int(space[f]["v"]) for f in ("rss_anon", "rss_file", "rss_shmem"))
        mark = "*" if any(cpu_running(t["thread"]) is not None for t in tasks_of(process)) else " "
        core.say(f"{mark} {pid_of(process):6} {parent:6} {group:6} {int(process['nr_threads']):3} {state_of(leader['thread'])} "
                 f"{rss:8} {int(process.address):#018x} {name_of(leader['thread'])}")


def thread_row(thread, tid, process):
    cpu = cpu_running(thread)
    where = f"cpu {cpu}" if cpu is not None else wait_of(thread) or ""
    core.say(f"{'*' if cpu is not None else ' '} {tid:>6} {process:>6} {state_of(thread)} {int(thread['cpu']):3} "
             f"{int(thread.address):#018x} {name_of(thread):16} {where}".rstrip())


@core.command("hx-threads", "[PID]")
def hx_threads(words):
    """All threads, those of the kernel (without a number) too, or those of one process; what they wait for."""
    core.say(f"  {'TID':>6} {'PID':>6} S CPU {'struct thread':18} NAME             WAITS FOR")
    chosen = [process_by_pid(core.evaluate(words[0]))] if words else processes()
    for process in chosen:
        for task in tasks_of(process):
            thread_row(task["thread"], pid_of(task), pid_of(process))
    if words:
        return
    for thread in kernel_threads():
        thread_row(thread, "-", "-")
    for cpu in core.cpus():
        idle = core.percpu("sched_runqueue", cpu)["idle"]
        if int(idle):
            thread_row(idle.dereference(), "-", "-")


# ---- hx-bt ---------------------------------------------------------------------------------------

class Stack:
    """Walks frames linked by RBP; trap frames are marked (entry.asm). Believes nothing that lies outside the stack."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def inside(self, address):
        return self.low <= address <= self.high - 16 and address % 8 == 0

    def frames(self, ip, fp):
        """('call', ip), ('trap', regs) and at last ('user', regs)."""
        yield "call", ip
        for _ in range(FRAMES_MAX):
            if not self.inside(fp):
                return
            if self.inside(fp - 8) and core.read_u64(fp - 8) == FRAME_MARK:
                regs = core.at("struct hal_regs", fp + 16)
                if int(regs["cs"]) & 3:
                    yield "user", regs
                    return
                yield "trap", regs
                missing = unbuilt_frame(int(regs["rip"]), int(regs["rsp"]))
                if missing is not None:
                    yield "call", missing
                fp = int(regs["rbp"])
                continue
            ip, up = core.read_u64(fp + 8), core.read_u64(fp)
            if ip == 0:
                return
            yield "call", ip
            if up <= fp:
                return
            fp = up


def inlined_at(address):
    """The functions that gcc inlined at an address, innermost first, and the one that has it."""
    names, block = [], gdb.block_for_pc(address)
    while block is not None and not block.is_global and not block.is_static:
        if block.function is not None:
            names.append(block.function.name)
            if not block.function.symtab or not block.superblock or block.superblock.is_static:
                break
        block = block.superblock
    return names


def print_frame(number, address, is_return):
    """A return address belongs to the CALL before it. The line is the innermost inlined function's."""
    at = address - 1 if is_return else address
    names = inlined_at(at)
    line = gdb.find_pc_line(at)
    where = f" at {line.symtab.filename}:{line.line}" if line.symtab else ""
    text = " in ".join(names) if names else core.place(address)
    core.say(f"#{number:<3} {address:#018x} {text}{where if names else ''}")


def print_user(regs):
    call = int(regs["orig_rax"])
    if call == 2 ** 64 - 1:
        why = "after a trap or an interrupt"
    else:
        why = f"in system call {call}"
    core.say(f"     user mode, {why}: rip {core.place(regs['rip'])}, rsp {int(regs['rsp']):#x}")


def cpu_registers(cpu):
    """rip, rsp, rbp, and whether in user mode, of a CPU; the selected one is as before afterwards."""
    before = gdb.selected_thread()
    chosen = next((t for t in gdb.selected_inferior().threads() if t.num == cpu + 1), None)
    if chosen is None:
        core.fail(f"gdb has no thread for CPU {cpu}")
    frame = gdb.selected_frame()
    try:
        chosen.switch()
        registers = [int(gdb.parse_and_eval(f"(unsigned long)${r}")) for r in ("rip", "rsp", "rbp")]
        return registers + [int(gdb.parse_and_eval("$cs")) & 3 != 0]
    finally:
        before.switch()
        frame.select()


def function_block(address):
    """The C function around an address; None in assembly."""
    block = gdb.block_for_pc(address)
    while block is not None and block.function is None:
        block = block.superblock
    return block


def unbuilt_frame(ip, sp):
    """The return address of a function that has no frame: in its first two instructions, or a leaf in assembly.
None elsewhere: the frame that RBP leads to is its own."""
    block = function_block(ip)
    if block is not None:
        return core.read_u64(sp + 8 * (ip - block.start)) if ip - block.start in (0, 1) else None
    caller = core.read_u64(sp)
    return caller if caller >> 47 == 0x1ffff and function_block(caller) is not None else None


def stack_around(sp, thread):
    """The stack that holds sp: the thread's, or one of the image's (boot, IST)."""
    hal = thread["hal"]
    low = int(hal["stack_base"])
    high = low + int(hal["stack_size"])
    if low <= sp < high:
        return Stack(low, high)
    stacks = core.symbol("x86_boot_stacks")
    low, high = int(stacks.address), int(stacks.address) + stacks.type.sizeof
    return Stack(low, high) if low <= sp < high else Stack(sp & ~0xfff, (sp & ~0xfff) + 8192)


def backtrace(thread):
    """Prints a thread's stack in the kernel, down to where it left user mode."""
    cpu = cpu_running(thread)
    if cpu is not None:
        ip, sp, fp, user = cpu_registers(cpu)
        core.say(f"running on CPU {cpu}")
        if user:
            core.say(f"     user mode: rip {core.place(ip)}, rsp {sp:#x}")
            return
        walk = list(stack_around(sp, thread).frames(ip, fp))
        missing = unbuilt_frame(ip, sp)
        if missing is not None:
            walk.insert(1, ("call", missing))
    else:
        sp = int(thread["hal"]["sp"])
        stack = stack_around(sp, thread)
        ip, fp = core.read_u64(sp + SAVED_RIP), core.read_u64(sp + SAVED_RBP)
        core.say(f"not running{': ' + wait_of(thread) if wait_of(thread) else ''}")
        walk = stack.frames(ip, fp)
    number, is_return = 0, cpu is None
    for kind, what in walk:
        if kind == "call":
            print_frame(number, what, is_return)
            is_return = True
        elif kind == "trap":
            core.say("     --- trap or interrupt ---")
            print_frame(number, int(what["rip"]), False)
        else:
            print_user(what)
        number += 1


def head_of(thread):
    task = task_of(thread)
    number = f"{pid_of(task)}" if task is not None else "kernel thread"
    core.say(f"{number} {name_of(thread)} (struct thread *) {int(thread.address):#x}")


@core.command("hx-bt", "[TID | ADDRESS | all]")
def hx_bt(words):
    """The kernel stack of a thread: by its number, by the address of its struct thread, of all, or of what runs now.
Goes through interrupts and system calls to where the thread left user mode. For what runs, plain `bt` has arguments too."""
    if not words:
        chosen = [core.current_thread()]
    elif words[0] == "all":
        chosen = [t["thread"] for p in processes() for t in tasks_of(p)] + list(kernel_threads())
    else:
        number = core.evaluate(words[0])
        chosen = [core.at("struct thread", number) if number >= 1 << 47 else task_by_tid(number)["thread"]]
    for thread in chosen:
        head_of(thread)
        backtrace(thread)
