"""Machines that begin where the firmware is through with itself.

OVMF needs 2.6 of the 3.7 CPU seconds of a boot to unpack itself and to look for its consoles, and does it alike each time:
when its first byte arrives on the serial line it has not read a sector of any disk.  The first machine of a shape is
stopped at that byte, its state is kept in a file (QEMU's migration), and it goes on; later machines of the same shape begin
with that state and their own disk.  What the disk holds - the loader, the kernel - runs whole every time.

The same shape is: the same QEMU and firmware, the same arguments but for the names of files, disks of the same size.  A
state is kept only if QEMU says that nothing was read yet, so none can hold a sector of another disk.  Whatever goes wrong
on the way, the machine starts cold instead.  So does one with a device whose state QEMU does not keep, and does not say so:
the firmware has given it its addresses by then.
"""

import hashlib
import os
import re
import shlex
import shutil
import threading
import time

FOLDER = None           # where states are kept; None: every machine starts cold
MOST_RAM_MIB = 1024     # every page is looked at, to be kept and to be had again
BYTE_SECONDS, STATE_SECONDS = 120, 60

NOT_KEPT = "edu"       # has no state in a migration

_lock = threading.Lock()
_tried = set()          # what this process has kept, keeps, or could not keep


def state_file(argv, disk):
    """Where the state of such a machine is or would be."""
    if not FOLDER or any(word.split(",")[0] == NOT_KEPT for word in argv):
        return None
    parts = [re.sub(r"[^\s,=:]*/", "", word) for word in argv if disk not in word]
    for path in (shutil.which(argv[0]), argv[argv.index("-bios") + 1], disk):
        about = os.stat(path)
        parts.append("%d %s" % (about.st_size, "" if path == disk else about.st_mtime_ns))
    return os.path.join(FOLDER, hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32])


def arguments(path):
    """What a machine is told that begins with a state; it must then be resumed."""
    return ["-incoming", "exec:cat " + shlex.quote(path)]


def wait_until(machine, done, seconds):
    """Ask until done() is true; errors of QMP pass."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end or machine.process.poll() is not None:
            raise RuntimeError("%s: no answer about its state" % machine.name)
        time.sleep(0.005)


def resume(machine):
    """The state was of a stopped machine: wait until it is all there, and go on."""
    wait_until(machine, lambda: machine.qmp("query-status")["status"] != "inmigrate", STATE_SECONDS)
    machine.qmp("cont")


def read_nothing(machine):
    return all(disk["stats"]["rd_operations"] == 0 for disk in machine.qmp("query-blockstats"))


def write_state(machine, path):
    """The state of a machine that is stopped."""
    machine.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    machine.qmp("migrate", uri="exec:cat >" + shlex.quote(path))
    status = []

    def ended():
        status[:] = [machine.qmp("query-migrate").get("status")]
        return status[0] in ("completed", "failed", "cancelled")
    wait_until(machine, ended, STATE_SECONDS)
    return status[0] == "completed"


def keep(machine, path):
    """The first machine of a shape: stop it at the firmware's first byte, keep its state, let it go on."""
    with _lock:
        if path in _tried:
            return
        _tried.add(path)
    os.makedirs(FOLDER, exist_ok=True)
    serial, end, part = machine.serial, time.monotonic() + BYTE_SECONDS, "%s.%d" % (path, os.getpid())
    while not serial.log and not serial.eof and time.monotonic() < end:
        serial.pump(1.0)
    if not serial.log:
        return
    machine.qmp("stop")
    try:
        if read_nothing(machine) and write_state(machine, part):
            os.replace(part, path)
    except RuntimeError:        # a device whose state cannot be kept
        pass
    finally:
        if os.path.exists(part):
            os.unlink(part)
        machine.qmp("cont")
