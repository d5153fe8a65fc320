"""Debian's Linux 6.1 as the oracle: the same initrd in the same QEMU.

The kernel comes out of Debian's linux-image package (unpacked, never
installed) and boots by -kernel, which is faster than through OVMF.  What it
said is kept in a git-ignored cache, one JSON file per answer, keyed by the
SHA-256 of what was run and the kernel's name: an answer is a statement about
a binary and a kernel, both of which do not change, so the oracle boots only
when a test program is new.
"""

import glob
import hashlib
import json
import os
import subprocess

import machine

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# no_timer_check: while it starts Linux counts ticks for some milliseconds, and panics when the host takes the CPU away then.
APPEND = "console=ttyS0 quiet loglevel=1 panic=-1 reboot=t nokaslr no5lvl no_timer_check"
TRIES = 3               # what Linux does wrong, its host did: it is asked again


def cache_folder():
    path = os.environ.get("HALCYON_CACHE", os.path.join(TOP, ".cache"))
    os.makedirs(path, exist_ok=True)
    return path


def kernel():
    """Path of vmlinuz, unpacking the package the first time; None without one."""
    cache = cache_folder()
    ready = sorted(glob.glob(cache + "/linux/boot/vmlinuz-*"))
    if ready:
        return ready[-1]
    debs = sorted(glob.glob(cache + "/linux-image-*.deb"))
    if not debs:
        return None
    os.makedirs(cache + "/linux", exist_ok=True)
    unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", debs[-1]], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", cache + "/linux", "./boot"], stdin=unpack.stdout,
                   check=True)
    unpack.wait()
    ready = sorted(glob.glob(cache + "/linux/boot/vmlinuz-*"))
    return ready[-1] if ready else None


def key(*parts):
    """Cache key of an experiment: everything that may change its answer."""
    digest = hashlib.sha256()
    for part in parts:
        blob = part if isinstance(part, bytes) else str(part).encode()
        digest.update(b"%d:" % len(blob) + blob)
    return digest.hexdigest()[:40]


def cached(name):
    path = os.path.join(cache_folder(), "oracle", name + ".json")
    if not os.path.exists(path):
        return None
    with open(path) as source:
        return json.load(source)


def store(name, answer):
    folder = os.path.join(cache_folder(), "oracle")
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, ".%s.%d" % (name, os.getpid()))
    with open(temporary, "w") as sink:
        json.dump(answer, sink)
    os.replace(temporary, os.path.join(folder, name + ".json"))


def release():
    """The kernel's version for cache keys; None when there is no kernel."""
    path = kernel()
    return os.path.basename(path) if path else None


def boot(initrd, seconds, *, cpus=2, ram_mib=512, append="", cpu="max", **more):
    """Run an initrd on Linux to its end; the serial text.  Raises machine.Hang when nothing comes for so long."""
    with machine.Machine(kernel=kernel(), initrd=initrd, append=APPEND + " " + append, cpus=cpus,
                         ram_mib=ram_mib, cpu=cpu, name="linux", **more) as linux:
        while True:
            said = len(linux.serial.log)
            try:
                linux.wait(seconds)
                return linux.serial.text()
            except machine.Hang as hang:
                if len(linux.serial.log) == said:
                    raise machine.Hang("%s\n%s" % (hang, linux.dump(30)))


def ask(initrd, seconds):
    """The serial text of a boot, "" of one that hung."""
    try:
        return boot(initrd, seconds)
    except machine.Hang as hang:
        print("# Linux: %s" % hang)
        return ""
