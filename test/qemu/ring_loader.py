"""The loader on the real image under OVMF: what it says when something is missing or damaged, that a key
then returns to the firmware, the menu, and where it puts the kernel.

None of these boots needs the kernel to run: a machine is stopped as soon as the loader has said what it
says. Cases that end with a key and a return to the firmware share one machine: each is a disk of its own,
and the firmware goes on to the next one. That it does is half of what is proven.
"""

import concurrent.futures
import os
import re
import struct

import image
import initrd
import machine
from report import Report

LEAVING = r"kernel at ([0-9a-f]+), slide ([0-9a-f]+); leaving the firmware"
KEY = "Press a key to return to the firmware"
BOOT_SECONDS = 60
MOST_PLACES = 5
LINK = 0xFFFFFFFF80000000
MENU_CONF = """default Second
timeout 9
title First
linux /halcyon/kernel.elf
initrd /halcyon/initrd.img
options console=ttyS0 first
title Second
linux /halcyon/none.elf
"""
TWO_CONF = """title Two
linux \\halcyon\\kernel.elf
initrd /halcyon/initrd.img
initrd /halcyon/second.img
options console=ttyS0
"""


def clean(text):
    """Serial text without the firmware's cursor movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


class Case:
    """One boot: how the image differs, what the loader must say, what is done then."""

    def __init__(self, name, says, change=None, conf=None, keys=(), back=True, ram_mib=256, cpu="max"):
        self.name, self.says, self.change, self.conf = name, says, change, conf
        self.keys, self.back, self.ram_mib, self.cpu = keys, back, ram_mib, cpu


def replace(name, make_bytes):
    """A change that replaces a file of the ESP by what make_bytes(old bytes) gives."""
    def change(disk, build, scratch):
        source = {"kernel.elf": "esp/kernel.elf", "initrd.img": "initrd.img"}[name]
        with open(os.path.join(build, source), "rb") as old:
            data = make_bytes(old.read())
        path = "%s.%s" % (disk, name)
        with open(path, "wb") as sink:
            sink.write(data)
        image.put(disk, "/halcyon/" + name, path)
        os.unlink(path)
    return change


def without(name):
    return lambda disk, build, scratch: image.remove(disk, "/halcyon/" + name)


def flip_bit(data):
    """One bit of the kernel's text."""
    at = struct.unpack_from("<Q", data, struct.unpack_from("<Q", data, 32)[0] + 8)[0] + 4321
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]


def big_initrd(disk, build, scratch):
    archive = initrd.Initrd()
    archive.file("blob", b"\0" * (56 << 20))
    path = archive.write(disk + ".big")
    image.put(disk, "/halcyon/initrd.img", path)
    os.unlink(path)


def second_initrd(disk, build, scratch):
    path = disk + ".second"
    with open(path, "wb") as sink:
        sink.write(b"not an archive")
    image.put(disk, "/halcyon/second.img", path)
    os.unlink(path)


CASES = (
    Case("no boot.conf", r"cannot open \\halcyon\\boot.conf: not found", without("boot.conf")),
    Case("no kernel", r"cannot open /halcyon/kernel.elf: not found", without("kernel.elf")),
    Case("no initrd", r"cannot open /halcyon/initrd.img: not found", without("initrd.img")),
    Case("a mistake in boot.conf", r"\\halcyon\\boot.conf: a line of an entry before the first `title` \(line 2\)",
         conf="# comment\nlinux /halcyon/kernel.elf\n"),
    Case("an empty boot.conf", r"\\halcyon\\boot.conf: no `title` line", conf="\n"),
    Case("a kernel cut short", r"/halcyon/kernel.elf: a segment lies outside the file: is it cut short\?",
         replace("kernel.elf", lambda data: data[:len(data) // 2])),
    Case("a kernel with one bit changed", r"/halcyon/kernel.elf: the checksum does not match: the file is damaged",
         replace("kernel.elf", flip_bit)),
    Case("a kernel that is none", r"/halcyon/kernel.elf: not an ELF file \(byte 0\)",
         replace("kernel.elf", lambda data: b"MZ" + data[2:])),
    Case("an empty kernel", r"/halcyon/kernel.elf: the file is empty", replace("kernel.elf", lambda data: b"")),
    Case("an initrd cut short", r"/halcyon/initrd.img: the archive is cut short inside a file \(byte \d+\)",
         replace("initrd.img", lambda data: data[:len(data) // 2])),
    Case("an initrd that is none", r"/halcyon/initrd.img: not the header of a newc cpio archive \(byte 0\)",
         replace("initrd.img", lambda data: b"hello" * 100)),
    Case("a second initrd that is none", r"/halcyon/second.img: the archive is cut short inside a header",
         second_initrd, conf=TWO_CONF),
    Case("too little memory", r"not enough memory: \d+ ", big_initrd, ram_mib=128),
    Case("the menu's default", r"cannot open /halcyon/none.elf: not found", conf=MENU_CONF, keys=("\r",)),
    Case("the menu's first entry", "booting First", conf=MENU_CONF, keys=("1",), back=False),
    Case("leaving the menu", "Boot.*|Shell|BdsDxe", conf=MENU_CONF, keys=("\x1b",), back=False),
    Case("a CPU without 1 GiB pages", LEAVING, cpu="qemu64", back=False),
)


def make_disk(case, build, folder, number):
    disk = image.make(os.path.join(build, "halcyon.img"), os.path.join(folder, "loader%d.img" % number),
                      boot_conf=case.conf)
    if case.change:
        case.change(disk, build, folder)
    return disk


def drive_arguments(disks):
    """The disks in the order in which the firmware tries them."""
    words = []
    for i, disk in enumerate(disks):
        words += ["-drive", "if=none,id=d%d,format=raw,snapshot=on,file=%s" % (i, disk),
                  "-device", "virtio-blk-pci,drive=d%d,bootindex=%d" % (i, i)]
    return words


def play(case, guest):
    """Follow one case on a machine that is about to start its disk. Returns what is wrong, or None."""
    guest.serial.expect("Halcyon loader, image at", BOOT_SECONDS)
    if case.keys:
        guest.serial.expect("any key stops", BOOT_SECONDS)
        for key in case.keys:
            guest.serial.send(key.encode())
    if not case.back:
        guest.serial.expect(case.says, BOOT_SECONDS)
        return None
    start = guest.serial.mark
    guest.serial.expect(KEY, BOOT_SECONDS)
    text = clean(guest.serial.log[start:guest.serial.mark].decode(errors="replace"))
    guest.serial.send(b" ")
    # The firmware's boot manager says that our image came back with an error.
    guest.serial.expect("BdsDxe: failed to start Boot", BOOT_SECONDS)
    return None if re.search(case.says, text) else "it said: " + text[-600:]


def run_group(cases, build, folder, first):
    """Cases with the same machine, one after the other. Returns a list of (case, what is wrong or None)."""
    disks = [make_disk(case, build, folder, first + i) for i, case in enumerate(cases)]
    results = []
    try:
        with machine.Machine(ram_mib=cases[0].ram_mib, cpus=1, cpu=cases[0].cpu,
                             extra=drive_arguments(disks), name="loader: " + cases[0].name) as guest:
            for case in cases:
                results.append((case, play(case, guest)))
    except machine.Hang as hang:
        left = cases[len(results):]
        said = "%s\n%s" % (hang, clean(guest.serial.tail(12)))
        results += [(case, said[-1500:]) for case in left[:1]]
        results += [(case, "not tried, the case before it hung") for case in left[1:]]
    finally:
        for disk in disks:
            os.unlink(disk)
    return results


def groups_of(cases):
    """Those that come back and need no special machine together, in two machines; the others alone."""
    plain = [c for c in cases if c.back and c.ram_mib == 256 and c.cpu == "max"]
    alone = [[c] for c in cases if c not in plain]
    half = (len(plain) + 1) // 2
    return [g for g in (plain[:half], plain[half:]) if g] + alone


def boot_places(build, folder, name, words):
    """(kernel address, slide) that the loader announces."""
    disk = image.make(os.path.join(build, "halcyon.img"), os.path.join(folder, name), options=words)
    with machine.Machine(image=disk, ram_mib=256, cpus=1, name="loader: places") as guest:
        guest.serial.expect("slide [0-9a-f]+; leaving the firmware", BOOT_SECONDS)
        found = re.search(LEAVING, clean(guest.serial.text()))
    os.unlink(disk)
    return int(found[1], 16), int(found[2], 16)


def check_places(report, places, fixed):
    report.check(all(at == LINK + slide and slide % (2 << 20) == 0 for at, slide in places),
                 "loader: slides are multiples of 2 MiB")
    report.check(len(set(places)) > 1, "loader: boots put the kernel at different addresses")
    report.check(fixed == (LINK, 0), "loader: nokaslr puts the kernel where it was linked")


def run(build, only=None, options=""):
    report = Report(build, "loader")
    folder = image.scratch(build)
    groups = groups_of([c for c in CASES if not only or c.name in only])
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        runs = [pool.submit(run_group, g, build, folder, 100 * i) for i, g in enumerate(groups)]
        words = [] if only else ["console=ttyS0"] * 2 + ["console=ttyS0 nokaslr"]
        places = [pool.submit(boot_places, build, folder, "place%d.img" % i, w) for i, w in enumerate(words)]
        for group in runs:
            for case, wrong in group.result():
                if not report.check(wrong is None, "loader: " + case.name):
                    report.note(wrong)
        if places:
            found = [p.result() for p in places[:-1]]
            while len(set(found)) == 1 and len(found) < MOST_PLACES:    # there are some hundred: two boots may well have the same
                found.append(boot_places(build, folder, "place.img", words[0]))
            check_places(report, found, places[-1].result())
    return report.finish(folder)
