# SPDX-License-Identifier: MIT
"""Where things are: the kernel's slide, and the symbols of user programs.

The slide. With KASLR the kernel lies a random number of 2 MiB steps above its link address. The one thing that leads
to it from any state of the machine, user mode included, is the interrupt table: QEMU's monitor tells where the IDT is, its first
gate holds the address of x86_vectors (or of x86_hard_vectors: a CPU that needs shields), and kernel.elf says where that was
linked. With page-table isolation the IDT is in the CPU's entry area, in which one page tells addresses of the kernel; user
mode's page tables do not show it, so there only a stop in the kernel tells. Before the kernel has its own IDT there
is nothing to find: the symbols then stay where they were linked, which is right with nokaslr. Each time the machine stops
and the place is not yet known for sure, it is looked for again; so one may attach during the firmware's time.

$hx_kernel and $hx_build, set by tools/qemu.py, name kernel.elf and the build folder.
"""
import os
import re
import gdb
from hx import core, elf, memory, tasks, vma

STEP, AREA = 2 << 20, 1 << 30
ENTRY_AREA, ENTRY_STRIDE, ENTRY_PRIVATE = 0xfffffe0000000000, 0x10000, 0x6000   # hal/x86_64/pti.h
PROBE_BYTES = 4096


class Kernel:
    """The kernel.elf in use. `slide` None: symbols are where they were linked, and nothing confirms it."""

    def __init__(self):
        self.elf = self.path = self.slide = None
        self.loaded = None      # at which slide gdb has the symbols
        self.vectors, self.start, self.trap = (), 0, 0

    def open(self, path):
        try:
            self.elf, self.path = elf.Elf(path), path
        except (OSError, ValueError) as error:
            core.fail(str(error))
        found = self.elf.symbols({"x86_vectors", "x86_hard_vectors", "x86_trap_common", "__kernel_start"})
        if len(found) != 4:
            core.fail(f"{path} has no symbols, or is no Halcyon kernel")
        self.vectors = found["x86_vectors"], found["x86_hard_vectors"]
        self.start, self.trap = found["__kernel_start"], found["x86_trap_common"]
        self.loaded = None

    def load(self, slide):
        if self.loaded == slide:
            return
        confirm = gdb.parameter("confirm")
        gdb.execute("set confirm off", to_string=True)
        gdb.execute(f"symbol-file {self.path}" + (f" -o {slide:#x}" if slide else ""), to_string=True)
        gdb.execute(f"set confirm {'on' if confirm else 'off'}", to_string=True)
        core.forget_types()
        self.loaded = slide


kernel = Kernel()


def setting(name):
    value = gdb.convenience_variable(name)
    return value.string() if value is not None and value.type.code == gdb.TYPE_CODE_ARRAY else None


def idt_base():
    try:
        text = gdb.execute("monitor info registers", to_string=True)
    except gdb.error:
        return None
    found = re.search(r"IDT=\s*([0-9a-f]+)", text)
    return int(found[1], 16) if found else None


def gate_target(idt, vector):
    gate = core.read(idt + 16 * vector, 16)
    return int.from_bytes(gate[0:2] + gate[6:12], "little")


def possible_slides():
    """What the IDT says: its gates lead to stubs of 16 bytes, in order. Nothing: no kernel of ours."""
    idt = idt_base()
    if not idt:
        return []
    try:
        first = gate_target(idt, 0)
        if any(gate_target(idt, v) != first + 16 * v for v in (1, 14, 255)):
            return []
        if idt >> 39 == ENTRY_AREA >> 39:
            private = core.read((idt & -ENTRY_STRIDE) + ENTRY_PRIVATE, 24)
            return [int.from_bytes(private[16:24], "little") - kernel.trap]
    except gdb.MemoryError:
        return []
    return [first - vectors for vectors in kernel.vectors]


def find_slide():
    """The slide of the running kernel; None when none runs, or another one than the file's."""
    fits = [slide for slide in possible_slides() if slide % STEP == 0 and 0 <= slide < AREA]
    return fits[0] if fits else None


def same_kernel(slide):
    """Is what runs what the file says? By a page of its code."""
    wanted = kernel.elf.read(kernel.start, PROBE_BYTES)
    try:
        return wanted == core.read(kernel.start + slide, PROBE_BYTES)
    except gdb.MemoryError:
        return False


def follow():
    """Loads the symbols to where the kernel is. True when that is certain."""
    slide = find_slide()
    kernel.slide = slide
    kernel.load(slide or 0)
    return slide is not None


def on_stop(event):
    if kernel.elf and kernel.slide is None:
        try:
            before = kernel.loaded
            if follow() and before != kernel.slide:
                core.say(f"[kernel at {kernel.start + kernel.slide:#x}, slide {kernel.slide:#x}]")
        except gdb.error:
            pass        # the next stop tries again


gdb.events.stop.connect(on_stop)


@core.command("hx-symbols", "[KERNEL.ELF]", gdb.COMPLETE_FILENAME)
def hx_symbols(words):
    """Finds where the kernel runs (KASLR) and loads its symbols there. By itself after `make debug` and `make attach`."""
    path = words[0] if words else kernel.path or setting("hx_kernel")
    if not path:
        core.fail("say which kernel.elf")
    if path != kernel.path:
        kernel.open(path)
    if not follow():
        if not possible_slides():
            core.say(f"no kernel of ours runs yet: symbols of {path} where they were linked")
        else:
            core.say(f"WARNING: the kernel that runs is not {path}, but another build or variant: hx-symbols ITS-KERNEL.ELF")
        return
    core.say(f"kernel at {kernel.start + kernel.slide:#x}, slide {kernel.slide:#x}")
    if not same_kernel(kernel.slide):
        core.say(f"WARNING: {path} is not the kernel that runs: another build. What follows is nonsense")


# ---- user programs -------------------------------------------------------------------------------

user_files = {}         # what hx-user has loaded: {path: bias}


def first_page(process):
    """The first page of the program's file, out of the page cache; None when it is not there."""
    file_object = process["exe"]["inode"]["object"]
    if int(file_object) == 0:
        return None
    entry = next((e for i, e in core.xarray_entries(file_object["pages"]) if i == 0), None)
    return core.read_phys(memory.physical_of(entry), 4096) if entry else None


def is_program(path, page):
    """Is the file what runs, but for its symbols? Entry point and program headers survive strip(1)."""
    try:
        file = elf.Elf(path)
    except (OSError, ValueError):
        return False
    headers = slice(file.phoff, file.phoff + file.phnum * file.phsize)
    return page is None or (file.data[16:32] == page[16:32] and file.data[headers] == page[headers])


def candidates(name):
    """Files of this machine that may be the program of that path in the guest, those with symbols first."""
    build, base = setting("hx_build") or "build", os.path.basename(name)
    found = []
    for folder in ("userland", "gdb", "profile", "bench", "test/abi", "test"):
        found += [os.path.join(build, folder, base + ".elf"), os.path.join(build, folder, base)]
    for name in (base, "busybox", "bash"):      # busybox has as many names as applets
        found += [f"{place}/{name}{end}" for place in ("/usr/lib/debug/bin", "/bin", "/usr/bin") for end in ("", "-static")]
    return [path for path in found if os.path.isfile(path)]


def choose_program(process, name, words):
    page = first_page(process)
    if words:
        path = os.path.expanduser(words[0])
        if not is_program(path, page):
            core.say(f"WARNING: {path} is not the program that runs")
        return path
    for path in candidates(name):
        if is_program(path, page):
            return path
    core.fail(f"{name}: no such program in the build folder: say which FILE has its symbols")


def load_program(path, bias):
    confirm = gdb.parameter("confirm")
    gdb.execute("set confirm off", to_string=True)
    for old in list(user_files):
        gdb.execute(f"remove-symbol-file -a {elf.Elf(old).code_address() + user_files.pop(old):#x}", to_string=True)
    gdb.execute(f"add-symbol-file {path} -o {bias:#x}", to_string=True)
    gdb.execute(f"set confirm {'on' if confirm else 'off'}", to_string=True)
    user_files[path] = bias


@core.command("hx-user", "[PID] [FILE]", gdb.COMPLETE_FILENAME)
def hx_user(words):
    """Loads the symbols of a process's program: of the current process, or of PID.
FILE is the program with its symbols on this machine; without it the build folder is searched for one of the same name.
Prints where its first thread left user mode, if that does not run now. Only while its address space is the
active one does gdb see its memory."""
    pid = int(words.pop(0), 0) if words and re.fullmatch(r"[0-9]+", words[0]) else None
    process = tasks.process_by_pid(pid) if pid is not None else tasks.current_process()
    name = vma.exe_path(process)
    if int(process["space"]) == 0:
        core.fail("the process has no memory any more")
    path = choose_program(process, name, words)
    program = elf.Elf(path)
    bias = int(process["space"]["start_code"]) - program.code_address() & ~0xfff
    if user_files.get(path) != bias:
        load_program(path, bias)
    core.say(f"{name} (pid {tasks.pid_of(process)}): symbols of {path}, moved by {bias:#x}"
             + ("" if program.has_symbols() else ". The file has no symbols: it is stripped"))
    if tasks.cpu_running(process["leader"]["thread"]) is not None:
        return
    regs = tasks.user_regs(process["leader"].dereference()["thread"])
    core.say(f"user mode at {core.place(regs['rip'])}, sp {int(regs['rsp']):#x}")
