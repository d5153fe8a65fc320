"""One QEMU machine: starting it, talking to it, and finding out why it hung.

ttyS0 is a pair of named pipes that hold a megabyte of output.  (A Unix socket
holds some 280 writes of one byte each; when the harness is slow to read, and it
is on a busy machine, the emulated UART stops being ready, OVMF gives up after a
second and drops the rest of the line.)  The harness listens on a Unix socket for
QMP, to which QEMU connects, so that nobody has to retry.  Everything a machine
needs on disk lives in one temporary folder that goes away with it.

How a run ends (docs/testing.md):
  exit 2v+1   the guest wrote v to isa-debug-exit (port f4h)
  exit 0      reset or power-off (-no-reboot): a failure for Halcyon, whose
              tests always end by isa-debug-exit; the normal end for Linux
  a hang      the harness collects every CPU's registers through the monitor
              and the tail of the serial log, then kills the machine.

Machines of one shape share what the firmware does before it looks at a disk
(warm.py); `cold` asks for a machine that begins with the reset vector.
"""

import fcntl
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import warm

OVMF = "/usr/share/ovmf/OVMF.fd"
QEMU = "qemu-system-x86_64"
CPUS = 2                # of a machine that does not say; run.py --cpus
EXIT_PORT = 0xF4
START_SECONDS = 120     # until QEMU answers: on a busy machine it takes a while
# A time-out ends what hangs; it is no measure of speed. What callers ask for is what a quiet machine needs with room to spare, and
# this is for the busy one. Who waits for something not to come (or tries again) says `exactly`.
PATIENCE = 3
PIPE_BYTES = 1 << 20    # what an unprivileged user may ask for (fs.pipe-max-size)
F_SETPIPE_SZ = 1031     # fcntl.F_SETPIPE_SZ from Python 3.10 on


# isa-debug-exit of an orderly reboot; 37 instead when the debug kernel found leaks.
REBOOT_STATUS = 33

# How the reports of the kernel's detectors begin, anywhere in a line.
REPORTS = re.compile(r"leak: |KASAN: |UBSAN: |BUG: |WARNING: |\blockdep: |rcu: .*stall|spins for \d+ ms|waits since \d+ ms for cpu|"
                     r"sleeps uninterruptibly for more|has taken no interrupts|grace period \d+ does not end|"
                     r"warning at \S+:\d+|kernel panic", re.I)


def reports(text):
    """The lines of a serial log that a detector wrote: a test run without any is a clean one."""
    return [line for line in text.splitlines() if REPORTS.search(line)]


BOOTS = []              # what each machine of this process cost, as it ended: report.py keeps the list


class Hang(Exception):
    """The guest did not do what was expected in time; carries the dump."""


class Serial:
    """The guest's ttyS0 as an expect-like stream."""

    def __init__(self, folder):
        """Makes the pipes FOLDER/serial.{in,out} and opens what QEMU writes; the other one is opened when it runs."""
        for leaf in ("in", "out"):
            os.mkfifo("%s/serial.%s" % (folder, leaf))
        self.folder, self.sink = folder, -1
        self.source = os.open(folder + "/serial.out", os.O_RDONLY | os.O_NONBLOCK)
        try:
            fcntl.fcntl(self.source, F_SETPIPE_SZ, PIPE_BYTES)
        except PermissionError:     # the machine's limit is lower: 64 KiB it is
            pass
        self.log = bytearray()
        self.mark = 0           # where the next expect() begins to look
        self.eof = False

    def connect(self):
        """QEMU has opened its ends."""
        self.sink = os.open(self.folder + "/serial.in", os.O_WRONLY | os.O_NONBLOCK)

    def close(self):
        for fd in (self.source, self.sink):
            if fd >= 0:
                os.close(fd)
        self.source = self.sink = -1

    def pump(self, seconds):
        """Read whatever arrives within `seconds`; False when nothing did."""
        if self.eof:
            return False
        ready, _, _ = select.select([self.source], [], [], max(seconds, 0))
        if not ready:
            return False
        try:
            data = os.read(self.source, PIPE_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.eof = True
            return False
        self.log += data
        return True

    def text(self):
        return self.log.decode("utf-8", "replace").replace("\r", "")

    def expect(self, pattern, seconds, what=None, exactly=False):
        """Wait for a regular expression (bytes) after the last match."""
        seconds *= 1 if exactly else PATIENCE
        regex = re.compile(pattern, re.S | re.M) if isinstance(pattern, bytes) else \
            re.compile(pattern.encode(), re.S | re.M)
        end = time.monotonic() + seconds
        while True:
            found = regex.search(self.log, self.mark)
            if found:
                self.mark = found.end()
                return found
            left = end - time.monotonic()
            if left <= 0 or (self.eof and not self.pump(0)):
                raise Hang("%s: %r not seen within %d s" %
                           ("end of output" if self.eof else "time out",
                            what or regex.pattern, seconds))
            self.pump(min(left, 1.0))

    def send(self, data, seconds=60):
        """Send bytes; reads meanwhile, so that neither side can block the other."""
        if isinstance(data, str):
            data = data.encode()
        view, end = memoryview(data), time.monotonic() + seconds * PATIENCE
        while view:
            if time.monotonic() > end:
                raise Hang("the guest takes no input: %d bytes left" % len(view))
            rd, wr, _ = select.select([self.source], [self.sink], [], 1.0)
            if rd:
                self.pump(0)
                if self.eof:
                    raise Hang("the machine went away while input was sent")
            if wr:
                try:
                    view = view[os.write(self.sink, view):]
                except (BlockingIOError, BrokenPipeError):
                    pass

    def tail(self, lines=40):
        return "\n".join(self.text().splitlines()[-lines:])


def coverage_arguments():
    """ci/coverage: the port that takes the counters of a COVERAGE=1 build, into a file of this boot's own. The file
    and the arguments."""
    folder = os.environ.get("COVERAGE_RAW")
    if not folder:
        return None, []
    handle, path = tempfile.mkstemp(dir=folder, suffix=".raw")
    os.close(handle)
    return path, ["-chardev", "file,id=cov0,path=" + path, "-device", "isa-debugcon,iobase=0x4e9,chardev=cov0"]


class Process(subprocess.Popen):
    """A child that says what it cost: wait4() is the only call that tells of one child among several."""

    cpu_seconds = 0.0

    def poll(self):
        if self.returncode is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.cpu_seconds = usage.ru_utime + usage.ru_stime
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=None):
        end = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.005)
        return self.returncode


class Machine:
    """One run of QEMU.  Use as a context manager."""

    def __init__(self, *, image=None, kernel=None, initrd=None, append="", cpus=None, ram_mib=512,
                 cpu="max", icount=False, tpm=False, machine_opts="", extra=(), name="machine",
                 symbols=None, board="q35", smp=None, serial=True, cold=False):
        self.name, self.symbols = name, symbols
        self.folder = tempfile.mkdtemp(prefix="hq-")
        self.process = self.serial = self.qmp_sock = self.swtpm = self.errors = self.staller = None
        self.noted = False
        self.started = time.monotonic()
        self.argv = [QEMU, "-machine", board + (",accel=tcg" if icount else "") + machine_opts,
                     "-nodefaults", "-no-reboot", "-display", "none",
                     "-cpu", cpu, "-smp", smp or str(cpus or CPUS), "-m", "%dM" % ram_mib,
                     "-device", "isa-debug-exit,iobase=0x%x,iosize=4" % EXIT_PORT,
                     "-chardev", "pipe,id=ser0,path=%s/serial" % self.folder,
                     "-chardev", "socket,id=mon0,path=%s/qmp" % self.folder,
                     "-mon", "chardev=mon0,mode=control"]
        if serial:
            self.argv += ["-serial", "chardev:ser0"]
        if icount:
            self.argv += ["-icount", "shift=0", "-rtc", "clock=vm"]
        else:
            self.argv += ["-accel", "tcg,thread=multi"]
        if kernel:
            self.argv += ["-kernel", kernel, "-append", append]
            if initrd:
                self.argv += ["-initrd", initrd]
        else:
            self.argv += ["-bios", OVMF]
        if image:
            self.argv += ["-drive", "if=none,id=disk0,format=raw,snapshot=on,file=" + image,
                          "-device", "virtio-blk-pci,drive=disk0,bootindex=0"]
        if tpm:
            self.argv += self._start_tpm()
        # stall.py: Halcyon's machines on a busy host. Not under -icount, whose one CPU nobody waits for.
        self.stalls = None if kernel or icount else os.environ.get("HALCYON_STALL")
        self.stalls = self.stalls if self.stalls is None else self.stalls.split()
        if self.stalls is not None:
            self.argv += ["-name", "stalled,debug-threads=on"]     # stall.py knows virtual CPUs by their threads' names
        self.coverage, arguments = coverage_arguments()
        self.argv += arguments + list(extra)
        self.warm = None
        if image and serial and not (cold or kernel or icount or tpm or self.coverage) and ram_mib <= warm.MOST_RAM_MIB:
            self.warm = warm.state_file(self.argv, image)

    def _start_tpm(self):
        """A software TPM: with -icount OVMF polls half a minute for one that is not there."""
        if not shutil.which("swtpm"):
            return []
        state, ctrl = self.folder + "/tpm", self.folder + "/tpm.sock"
        os.mkdir(state)
        self.swtpm = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + state, "--ctrl",
             "type=unixio,path=" + ctrl, "--flags", "startup-clear", "--terminate"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS
        while not os.path.exists(ctrl) and self.swtpm.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        return ["-chardev", "socket,id=tpm0,path=" + ctrl, "-tpmdev",
                "emulator,id=tpmdev0,chardev=tpm0", "-device", "tpm-crb,tpmdev=tpmdev0"]

    def _launch(self, argv):
        """Start QEMU and have its monitor and serial line."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.folder + "/qmp")
        listener.listen(1)
        listener.settimeout(START_SECONDS)
        self.serial = Serial(self.folder)
        self.errors = open(self.folder + "/stderr", "w+b")
        self.process = Process(argv, stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)
        self.started = time.monotonic()
        try:
            self.qmp_sock = listener.accept()[0]
        except socket.timeout:
            self.process.kill()
            self.errors.seek(0)
            raise Hang("QEMU did not start: " + self.errors.read().decode("utf-8", "replace")) from None
        finally:
            listener.close()
        self.qmp_file = self.qmp_sock.makefile("rw")
        self.qmp_sock.settimeout(START_SECONDS)
        self.qmp_file.readline()
        self.qmp("qmp_capabilities")
        self.serial.connect()

    def _launch_warm(self):
        """False when there is no state to begin with, or it is of no use: then it is gone."""
        if not self.warm or not os.path.exists(self.warm):
            return False
        try:
            self._launch(self.argv + warm.arguments(self.warm))
            warm.resume(self)
            return True
        except (Hang, OSError, RuntimeError, ValueError):
            self.process.kill()
            self.process.wait()
            for end in (self.serial, self.qmp_sock, self.errors):
                if end:
                    end.close()
            shutil.rmtree(self.folder)
            os.mkdir(self.folder)
            if os.path.exists(self.warm):
                os.unlink(self.warm)
            return False

    def __enter__(self):
        try:
            if not self._launch_warm():
                self._launch(self.argv)
                if self.warm:
                    warm.keep(self, self.warm)
            if self.stalls is not None:
                program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stall.py")
                self.staller = subprocess.Popen([sys.executable, program, str(self.process.pid)] + self.stalls,
                                                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _save_coverage(self):
        """A COVERAGE=1 kernel writes its counters when the NMI comes; wait until it has no more to say."""
        try:
            self.qmp("inject-nmi")
            size, quiet, end = -1, 0, time.monotonic() + 10
            while quiet < 5 and time.monotonic() < end:
                time.sleep(0.1)
                now = os.path.getsize(self.coverage)
                size, quiet = now, quiet + 1 if now == size else 0
        except (Hang, OSError, RuntimeError, ValueError):
            pass

    def close(self):
        if self.coverage and self.qmp_sock and self.process.poll() is None:
            self._save_coverage()
        for proc in (self.process, self.staller, self.swtpm):
            if proc and proc.poll() is None:
                proc.kill()
            if proc:
                proc.wait()
        if self.process and not self.noted:
            self.noted = True
            BOOTS.append({"name": self.name, "seconds": round(self.seconds(), 1), "cpu": round(self.process.cpu_seconds, 1)})
        for end in (self.serial, self.qmp_sock, self.errors):
            if end:
                end.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def seconds(self):
        return time.monotonic() - self.started

    def qmp(self, command, **arguments):
        """One QMP command; events that arrive in between are dropped."""
        self.qmp_file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qmp_file.flush()
        while True:
            line = self.qmp_file.readline()
            if not line:
                raise Hang("QMP closed during " + command)
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError("%s: %s" % (command, answer["error"].get("desc")))

    def monitor(self, line):
        return self.qmp("human-monitor-command", **{"command-line": line})

    def send_break(self):
        self.qmp("chardev-send-break", id="ser0")

    def screendump(self, path):
        self.qmp("screendump", filename=path, format="png")

    def wait(self, seconds, exactly=False):
        """Read serial until QEMU ends; its exit status.  Raises Hang on time-out."""
        seconds *= 1 if exactly else PATIENCE
        end = time.monotonic() + seconds
        while self.process.poll() is None or not self.serial.eof:
            if time.monotonic() > end:
                raise Hang("%s still runs after %d s" % (self.name, seconds))
            if not self.serial.pump(0.5) and self.serial.eof:
                try:
                    self.process.wait(START_SECONDS)
                except subprocess.TimeoutExpired:
                    raise Hang(self.name + ": serial closed, QEMU still runs")
        return self.process.returncode

    def dump(self, lines=60):
        """What a person needs to see after a hang."""
        out = ["=== %s: serial, last %d lines" % (self.name, lines), self.serial.tail(lines)]
        try:
            registers = self.monitor("info registers -a").replace("\r", "")
            out += ["=== registers of every CPU", registers]
            for rip in re.findall(r"RIP=([0-9a-f]{16})", registers):
                where = self._symbol(int(rip, 16))
                if where:
                    out.append("rip %s = %s" % (rip, where))
        except (Hang, OSError, RuntimeError, ValueError) as err:
            out.append("no registers: %s" % err)
        return "\n".join(out)

    def _symbol(self, address):
        """Nearest symbol of kernel.elf (right when booted with nokaslr)."""
        if not self.symbols or not os.path.exists(self.symbols):
            return None
        best = None
        text = subprocess.run(["nm", "-n", self.symbols], capture_output=True, text=True).stdout
        for line in text.splitlines():
            parts = line.split()
            if len(parts) == 3 and parts[1] in "tT":
                value = int(parts[0], 16)
                if value > address:
                    break
                best = (value, parts[2])
        return "%s+0x%x" % (best[1], address - best[0]) if best else None
