"""Ring "gdb": the hx- commands in gdb's batch mode, and the proof that `make profile` counts exactly.

One boot of the debug kernel, with KASLR, runs test/gdb/target.c: processes whose state is known. Then gdb attaches again
and again, as `make attach` does it, each time with some commands; what they print is compared with what must be so. A
command that raises a Python exception, or a symbol that did not follow the slide, fails.
"""

import concurrent.futures
import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
import xml.etree.ElementTree

import image
import initrd
import machine
from oracle import TOP
from report import Report

WORDS = "console=ttyS0 qemu-exit quiet "
GDB_SECONDS = 60 * machine.PATIENCE
READY = "GDB TARGET READY"
MARK = "=== "


def build_programs(build):
    # The build folder is named as everybody names it: another name is another set of flags, and builds all anew.
    done = subprocess.run(["make", "--no-print-directory", "-C", TOP, "BUILD=" + os.path.relpath(build, TOP),
                           "gdb-programs", "profile-programs"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("programs of ring gdb do not build:\n" + done.stdout + done.stderr)


def split_output(text, count):
    """What gdb printed between the marks that marked() put around commands."""
    parts = re.split(rf"^{MARK}\d+\n", text, flags=re.M)
    if len(parts) != count + 2:
        raise RuntimeError(f"gdb stopped early:\n{text}")
    return parts[1:-1]


def marked(commands):
    words = []
    for number, command in enumerate([*commands, "detach"]):
        words += ["--gdb", f"echo {MARK}{number}\\n", "--gdb", command]
    return words


class Debugger:
    """`make attach` against one machine's stub, again and again. Each run ends by detaching; the machine goes on."""

    def __init__(self, build, stub, runs):
        self.text, self.build, self.runs = "", build, runs      # runs(): does the guest?
        self.argv = [sys.executable, os.path.join(TOP, "tools", "qemu.py"), "attach", "--batch", "--build", build, "--stub", stub,
                     "--kernel", os.path.join(build, "debug", "kernel.elf"), "--gdb", "set width 0"]

    def run(self, *commands):
        """The output of each command, in a list."""
        done = subprocess.run(self.argv + marked(commands), capture_output=True, text=True, errors="replace", timeout=GDB_SECONDS)
        self.text = done.stdout + done.stderr
        if "Python Exception" in self.text or "Traceback" in self.text:
            raise RuntimeError("a command of ours raised:\n" + self.text)
        return split_output(done.stdout, len(commands))


class Checks:
    """Points of one gdb run: what a command printed must match."""

    def __init__(self, report, gdb):
        self.report, self.gdb = report, gdb

    def has(self, output, what, *patterns):
        missing = [p for p in patterns if not re.search(p, output, re.M)]
        if self.report.check(not missing, what):
            return
        self.report.note("not found: " + " | ".join(missing))
        self.report.note(output or "(nothing)")
        self.report.note(self.gdb.text[-2000:])


# Where the machine stops is chance, where a breakpoint hits is not: only the spinner writes to a file.
SPINNER_RUNS = ("hbreak vm_object_write", "continue")


# ---- the runs ------------------------------------------------------------------------------------

def look_at_tasks(gdb, check):
    symbols, _, _, ps, threads, reader, waiter, everyone, nobody = gdb.run(
        "hx-symbols", *SPINNER_RUNS, "hx-ps", "hx-threads", "hx-bt 3", "hx-bt 4", "hx-bt all", "hx-bt 999")
    check.has(symbols, "hx-symbols finds the slide", r"^kernel at 0xffffffff[89ab]\w+, slide 0x[1-9a-f]\w*00000$")
    check.report.check("WARNING" not in symbols, "hx-symbols says that the kernel is the one of the file")
    check.has(ps, "hx-ps lists the processes", r"^  +1 +0 .* S .* gdb-init$", r"^  +3 +1 .* 2 S .* gdb-sleeper$",
              r"^\* +2 +1 .* 1 R +[1-9]\d* .* gdb-spinner$")
    check.has(threads, "hx-threads lists user and kernel threads, and what they wait for", r"^\* +2 +2 R .*gdb-spinner +cpu 0$",
              r"^  +3 +3 S .*gdb-sleeper +\w+", r"^  +4 +3 S .*gdb-thread +\w+", r"^  +- +- \w .*rcu")
    check.has(reader, "hx-bt of a blocked thread: C with lines, NASM entry, user mode", r"^3 gdb-sleeper", r"^not running",
              r"^#0 .* at kernel/sched/\w+\.c:\d+", r"pipe_read\w* at kernel/ipc/pipe\.c:\d+", r"x86_syscall_entry",
              r"user mode, in system call 0: rip 0x")
    check.has(waiter, "hx-bt of a thread that does not lead", r"^4 gdb-thread", r"futex", r"in system call 202")
    check.has(everyone, "hx-bt all", r"^1 gdb-init", r"^2 gdb-spinner", r"^running on CPU 0$", r"^kernel thread ")
    check.has(gdb.text, "hx-bt of nobody says so", r"no thread 999")


def look_at_mistakes(gdb, check):
    """The wrong kernel.elf is told, and the right one mends it."""
    wrong = os.path.join(gdb.build, "kernel.elf")
    right = os.path.join(gdb.build, "debug", "kernel.elf")
    refused, mended, ps, nobody = gdb.run("hx-symbols " + wrong, "hx-symbols " + right, "hx-ps", "hx-symbols /etc/passwd")
    check.has(refused, "hx-symbols tells that the file is not the running kernel", r"^WARNING: the kernel that runs is not .*/kernel\.elf")
    check.has(mended + ps, "hx-symbols takes the right one afterwards", r"^kernel at 0x\w+, slide 0x[1-9a-f]", r" gdb-init$")
    check.report.check(not nobody.strip() and "is no 64-bit ELF file" in gdb.text, "hx-symbols refuses what is no kernel")


def look_at_memory(gdb, check):
    vma, stack, nothing, table, physical, slab, unmapped, object_page, heap = gdb.run(
        "hx-vma 2", "hx-pt 0x10000000 2", "hx-page hx_slab_object", "hx-pt &x86_cpus", "hx-page phys 0x100000",
        "hx-slab", "hx-pt 0x7ffff0000000", "hx-page $hx_task(2).process", "hx-slab process")
    check.has(vma, "hx-vma shows the areas", r"^\(struct vm_space \*\) 0xffff", r"^000010000000-000010002000 rw-p 00000000 0xffff\w+$",
              r" r-xp \w+ 0xffff\w+ /init$", r" rw-p .*\[stack\]$")
    check.has(stack, "hx-pt of another process's page", r"^PGD \[  0\]", r"^PTE .* r(w|-)- user", r"^0x10000000 is physical 0x\w+000$")
    check.has(table, "hx-pt of a kernel address", r"^PGD \[511\] .* table", r"^PTE .* rw-", r"is physical 0x")
    check.has(unmapped, "hx-pt of nothing", r"^0x7ffff0000000 is not mapped$")
    check.has(object_page, "hx-page of an object", r"slab, order \d, 1 references", r'^slab of cache "process": \d+ of \d+ objects out',
              r"^object \d+ at 0xffff\w+, \d+ bytes, \+0 from its start")
    check.has(physical, "hx-page of a physical address", r"physical 0x100000")
    check.has(slab, "hx-slab lists the caches", r"^process +\d+ +[3-9] ", r"^task +\d+ +[4-9] ", r"^kmalloc")
    check.report.check(len(heap.strip().splitlines()) < len(slab.strip().splitlines()) / 4, "hx-slab NAME selects")
    check.report.check(not nothing.strip() and 'hx_slab_object: No symbol "hx_slab_object"' in gdb.text, "hx-page of no symbol says so")


def look_at_files(gdb, check):
    files, mounts, log, last, matched = gdb.run("hx-files 1", "hx-mounts", "hx-dmesg", "hx-dmesg 1", "hx-dmesg 'line for g.b'")
    check.has(files, "hx-files shows descriptors, positions and paths", r"^root /, working directory /, umask \d+",
              r"^ +1 rw .* /dev/console$", r"^ +7 r +5 .* /etc/marker$")
    check.has(mounts, "hx-mounts lists the tree", r" on / type \w+ \(rw", r" hx-source on /mnt type tmpfs \(rw,nosuid,nodev",
              r" on /proc type proc")
    check.has(log, "hx-dmesg prints the ring", r"^\[ +0\.000000\] info   cpu: ", r"boot: starting init", r"warn .*a line for gdb")
    check.report.check(len(last.splitlines()) == 1 and len(matched.splitlines()) == 1, "hx-dmesg selects lines")


def look_at_user(gdb, check):
    """Wherever the machine stopped: with the program's symbols a breakpoint in it leads there."""
    loaded, _, stopped, user, back, spins, pointer, pid, _ = gdb.run(
        "hx-user 2", "hbreak spin_here", "continue", "hx-user", "bt", "print spins", "print (uptr_t){0x10000000}", "hx-user 1", "delete")
    check.has(loaded, "hx-user PID loads a program's symbols", r"^/init \(pid 2\): symbols of .*/gdb/init, moved by 0x7[ef]\w+000$")
    check.has(stopped, "a breakpoint in the program hits", r"^Breakpoint 1, .*spin_here")
    check.has(user, "hx-user is of the current program", r"^/init \(pid 2\): symbols of .*/gdb/init, moved by 0x7[ef]\w+000$")
    check.has(back, "bt of the program", r"^#0 .*spin_here .*target\.c:\d+", r"^#1 .*spinner ", r"^#2 .*main ")
    check.has(spins, "its variables have values", r"= [1-9]\d+$")
    check.has(pointer, "a user pointer prints with area and text", r"user 0x10000000 \(rw-p\) \"a string of the user's\"")
    check.has(pid, "hx-user of one that sleeps says where", r"^user mode at \w+.*, sp 0x7f")


def look_at_locks(gdb, check):
    """Stops where an inode's lock is held for writing, and while a spinlock is."""
    _, stopped, text, back, native, stat, _, _, _, fault, _, _, _, spin, lock = gdb.run(
        *SPINNER_RUNS, "hx-locks", "hx-bt", "bt", "hx-locks stat",
        "delete", "hbreak vm_fault", "continue", "hx-bt",
        "delete", "hbreak spin_unlock", "continue", "hx-locks", "print *l")
    check.has(stopped, "a breakpoint at the slid address hits", r"^Breakpoint 1, vm_object_write ")
    check.has(text, "hx-locks names the lock, its holder and the place", r"^2 gdb-spinner +\S.* rank +\d+ at 0xffff\w+ taken in \w+")
    check.has(back, "hx-bt of what runs", r"^running on CPU 0$", r"^#0 .*vm_object_write", r"file_write_object at kernel/vfs/rw\.c",
              r"x86_syscall_entry", r"in system call 18:")
    check.has(fault, "hx-bt goes through a trap in the kernel", r"^#0 .*vm_fault", r"x86_trap", r"^     --- trap or interrupt ---$",
              r"^#\d+ .* x86_copy_user", r" in vm_object_write at ", r"file_write_object", r"in system call 18:")
    check.has(spin, "hx-locks names a spinlock and its CPU", r"^cpu 0 +\S.* rank +\d+ at 0xffff\w+ taken in \w+",
              r"^[1-9]\d* locks are held")
    check.has(lock, "print: a spinlock that is held", r"= \".+\" held by CPU 0 since \w+")
    check.has(native, "gdb's own bt has arguments and goes through the system call's entry", r"^#0 +vm_object_write \(obj=0xffff",
              r"x86_syscall_entry|x86_syscall_call")
    check.has(stat, "hx-locks stat", r"^LOCK +RANK", r"^run ?queue\S* +\d+ +[1-9]")


def look_at_printers(gdb, check):
    printed = gdb.run(*SPINNER_RUNS, "print mount_list", "print $hx_process(2).space.areas", "print namespace_mutex",
                      "print task_tree_lock", "print $hx_process(1).ref", "print $hx_task(1).fs.cwd", "print mount_root.root.name",
                      "print $hx_current().name", "print $hx_percpu(\"sched_runqueue\").cpu",
                      "hx-list mount_list 'struct mount' list id",
                      "hx-tree $hx_process(2).space.areas 'struct vm_area' node start",
                      "print $hx_task(3).thread.run_node", "hx-list mount_list 'struct mount' nosuch")
    names = ["a list", "a tree", "a mutex", "a spinlock", "a counter", "a path", "a name", "$hx_current", "$hx_percpu", "hx-list",
             "hx-tree"]
    wanted = [r"= list of [3-9]$", r"= tree of \d+$", r"= \"[^\"]+\" free$", r"= \".+\" free$", r"= \d+ references$", r"= /$",
              r"= \"/?\"$", r"= \"gdb-spinner", r"= 0$", r"^\(struct mount \*\) 0xffff\w+ id=\d+$", r"start=268435456$"]
    for name, output, pattern in zip(names, printed[len(SPINNER_RUNS):], wanted):
        check.has(output, f"print: {name}", pattern)
    check.has(gdb.text, "hx-list of no such member says so", r"struct mount has no member nosuch")


class Terminal:
    """A program on a pseudo terminal that is its controlling one, as a user's shell would start it."""

    def __init__(self, argv):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        env=dict(os.environ, TERM="dumb", HOME="/nonexistent"),
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.text, self.mark = "", 0

    def expect(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.compile(pattern, re.M).search(self.text, self.mark)
            if found:
                self.mark = found.end()
                return True
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.master, 65536).decode("utf-8", "replace").replace("\r", "")
                except OSError:
                    return False
        return False

    def send(self, text):
        os.write(self.master, text.encode())

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


def look_from_terminal(gdb, check):
    """As a person does it: `continue`, Ctrl-C, a command, `quit`. Ctrl-C must stop the guest, and end nobody."""
    argv = [w for w in gdb.argv if w != "--batch"]
    terminal = Terminal(argv)
    try:
        good = terminal.expect(r"lists the helpers\.\n\(gdb\) $")
        terminal.send("continue\n")
        good = good and terminal.expect(r"^Continuing\.$")
        end = time.monotonic() + GDB_SECONDS
        while not gdb.runs() and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)     # gdb waits now, and even if it does not yet, the key ends its wait
        terminal.send("\x03")
        good = good and terminal.expect(r"received signal SIGINT") and terminal.expect(r"\(gdb\) $")
        terminal.send("hx-ps\n")
        good = good and terminal.expect(r" gdb-spinner$") and terminal.expect(r"\(gdb\) $")
        terminal.send("quit\n")
        good = good and terminal.expect(r"Quit anyway\?")
        terminal.send("y\n")
        terminal.expect(r"detached")
        try:
            status = terminal.process.wait(GDB_SECONDS)
        except subprocess.TimeoutExpired:
            status = "it does not end"
        check.report.check(good and status == 0, f"make attach on a terminal: Ctrl-C stops the guest, quit lets it go (status {status})")
        if not good or status:
            check.report.note(terminal.text[-1500:])
    finally:
        terminal.close()


# ---- the boot ------------------------------------------------------------------------------------

RUNS = (look_at_tasks, look_at_mistakes, look_at_memory, look_at_files, look_at_user, look_at_locks, look_at_printers, look_from_terminal)


def make_disk(build, folder, options):
    archive = initrd.Initrd()
    archive.copy("init", os.path.join(build, "gdb", "init"))
    archive.file("etc/marker", "twelve bytes")
    return image.make(os.path.join(build, "debug", "halcyon.img"), os.path.join(folder, "gdb.img"),
                      options=WORDS + options, initrd=archive.write(os.path.join(folder, "initrd")))


def run_debugger(build, folder, report, options):
    stub = os.path.join(folder, "stub")
    with machine.Machine(image=make_disk(build, folder, options), cpus=1, name="gdb",
                         extra=["-gdb", f"unix:{stub},server=on,wait=off"]) as halcyon:
        try:
            halcyon.serial.expect(READY, 60)
        except machine.Hang as hang:
            raise machine.Hang(f"{hang}\n{halcyon.serial.tail()}") from None
        for run in RUNS:
            gdb = Debugger(build, stub, lambda: halcyon.qmp("query-status")["running"])
            try:
                run(gdb, Checks(report, gdb))
            except (RuntimeError, subprocess.TimeoutExpired) as trouble:
                report.fail(f"{run.__name__}: {trouble}")
        report.check(halcyon.process.poll() is None, "the machine lives after all that")


# ---- make debug ----------------------------------------------------------------------------------

def run_debug(build, folder, report):
    """From the reset vector through the loader into the kernel, with symbols of both; then the machine is killed."""
    disk = os.path.join(folder, "debug.img")
    shutil.copy(os.path.join(build, "debug", "halcyon.img"), disk)
    commands = ["continue", "info symbol $pc", "bt 1", "continue", "hx-symbols", "hbreak kernel_main", "continue", "hx-symbols", "bt",
                "hx-ps", "kill"]
    argv = [sys.executable, os.path.join(TOP, "tools", "qemu.py"), "debug", "--batch", "--build", build, "--image", disk, "--kernel",
            os.path.join(build, "debug", "kernel.elf"), "--loader", os.path.join(build, "debug", "BOOTX64.so"), "--cpus", "1"]
    for number, command in enumerate(commands):
        argv += ["--gdb", f"echo {MARK}{number}\\n", "--gdb", command]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=2 * GDB_SECONDS)
    text = done.stdout + done.stderr
    check = Checks(report, Shown(text))
    check.report.check("Traceback" not in text and "Python Exception" not in text, "make debug raises nothing")
    check.has(text, "make debug stops in the loader, with its symbols", r"Breakpoint \d, efi_main ", r"^efi_main in section")
    check.has(text, "make debug stops at the kernel's first instruction", r"^Breakpoint \d, 0x\w+ in kernel_entry")
    check.has(text, "make debug says when there is no kernel yet", r"^no kernel of ours runs yet")
    check.has(text, "make debug finds the kernel unmoved", r"^kernel at 0xffffffff80000000, slide 0x0$")
    check.has(text, "make debug: bt with arguments", r"^#0 +kernel_main \(\w+=0xffff")


class Shown:
    """For Checks, where there is one text and no Debugger."""

    def __init__(self, text):
        self.text = text


# ---- the profiler --------------------------------------------------------------------------------

NOT_COUNTED = 3     # of each pair in exact.c: RDTSC and the two NOPs


def run_profiler(build, report):
    sys.path.insert(0, os.path.join(TOP, "tools", "profile"))
    import profile  # noqa: E402  (ours: the path was just set)
    args = profile.arguments(["--build", build, "--own", "--add", os.path.join(build, "profile", "exact"), "--prog", "exact",
                              "--seconds", "100", "--out", os.path.join(build, "test", "profile")])
    counted, status, output = profile.take(args)
    text = profile.write(counted, args, "exact")
    clock = {k: int(v) for k, v in re.findall(r"EXACT (\w+) (\d+)", output)}
    wanted = sum(clock.values()) - NOT_COUNTED * len(clock)
    report.check(status == 0 and len(clock) == 7, f"profile: the program ran: {sorted(clock)}")
    report.check(counted.total == wanted, f"profile: {counted.total} counted, {wanted} by -icount")
    own, inclusive = counted.own(), counted.inclusive()
    calls = counted.calls.get("sys_getppid", 0)
    report.check(calls == 1000 and own["sys_getppid"] % 1000 == 0,
                 f"profile: sys_getppid: {calls} calls, {own.get('sys_getppid')} instructions of its own")
    report.check(sum(own.values()) == counted.total, "profile: the table's rows add up to the total")
    report.check(any(s[:2] == ("x86_syscall_entry", "sys_getppid") for s in counted.paths), "profile: entry calls sys_getppid")
    report.check(inclusive["x86_syscall_entry"] > own["sys_getppid"] + own["x86_syscall_entry"], "profile: callees are included")
    fault = [s for s in counted.paths if s[-1] == "hal_zero_page" and "x86_trap" in s and "x86_copy_user" in s]
    report.check(bool(fault), "profile: a fault of a copy stands below the copy")
    # A context switch fills the return predictor with 32 calls, one inside of the other.
    report.check(max(len(s) for s in counted.paths) < 40 + 32, "profile: no call path grows without end")
    report.check("sys_getppid" in text, "profile: the table is written")
    check_picture(report, os.path.join(args.out, "profile.svg"), counted)


def check_picture(report, path, counted):
    """Well-formed, and the box of a function is as wide as its share."""
    tags = "{http://www.w3.org/2000/svg}"
    boxes = {}
    for box in xml.etree.ElementTree.parse(path).iter(tags + "g"):
        boxes.setdefault(box.get("data-n"), []).append(float(box.get("data-w")))
    whole, user = boxes["all"][0], sum(boxes["[user]"])
    report.check(abs(user / whole - counted.own()["[user]"] / counted.total) < 1e-4 and "vm_fault" in boxes,
                 f"profile: the flame graph: {len(boxes)} names, [user] {user:.1f} of {whole:.1f}")


def run(build, only=None, options=""):
    """The parts run two at a time: each is one QEMU, and there are two cores."""
    build = os.path.abspath(build)
    report = Report(build, "gdb")
    folder = image.scratch(build)
    build_programs(build)
    parts = {"attach": lambda: run_debugger(build, folder, report, options), "profile": lambda: run_profiler(build, report),
             "debug": lambda: run_debug(build, folder, report)}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = {name: pool.submit(part) for name, part in parts.items() if not only or name in only}
    for name, job in jobs.items():
        try:
            job.result()
        except (RuntimeError, machine.Hang, subprocess.TimeoutExpired) as trouble:
            report.fail(f"{name}: {trouble}")
    return report.finish(folder)
