#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Exact guest instructions per kernel function for one program: `make profile PROG="ls /"`.

    profile.py --build DIR --prog COMMAND [--warm N] [--own] [--memory 512M] [--append WORDS] [--add PATH[=GUEST]]...
               [--rows 40] [--out DIR/profile]

Boots DIR/halcyon.img (the release kernel, one CPU, -icount, -cpu max,-erms, nokaslr) with an initrd more: PID 1 there
(init.c) runs the program between two marks, and plugin.c counts every instruction between them. Leaves in the
output folder

    profile.txt     the table: instructions of the function itself, with all that it calls, calls, per call
    profile.folded  `a;b;c count`, one call path a line, as other flame-graph programs read it
    profile.svg     the flame graph (flame.py); open it in a browser

and prints the first rows of the table. docs/profiling.md explains the columns.
"""
import argparse
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "test", "qemu"), os.path.dirname(os.path.abspath(__file__))]
import flame    # noqa: E402
import image    # noqa: E402
import initrd   # noqa: E402
import machine  # noqa: E402

WORDS = "console=ttyS0 quiet qemu-exit nokaslr norandmaps rdinit=/profile/init"
CONF = "default Profile\ntimeout 0\ntitle Profile\nlinux /halcyon/kernel.elf\ninitrd /halcyon/initrd.img\n" \
       "initrd /halcyon/profile.img\noptions %s\n"
# Labels in assembly that are places inside a function, and whose.
INSIDE = {"call_trap", "call_trap_ist", "x86_syscall_call", "forward"}


def list_functions(kernel):
    """[(address, name)], ascending, one name an address: functions of C, and the labels of assembly that are such."""
    text = subprocess.run(["nm", "-n", kernel], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in text.splitlines():
        address, kind, name = line.split(maxsplit=2)
        if kind not in "tT" or name in INSIDE or name.startswith(("..@", "__text", "__entry_", "__kernel")):
            continue
        # gcc's parts of a function count as the function; NASM's local labels lie inside of one.
        name = re.sub(r"(\.(part|cold|isra|constprop|lto_priv)(\.\d+)*)+$", "", name)
        if "." not in name:
            found.setdefault(int(address, 16), name)
    return sorted(found.items())


class Profile:
    """What the plug-in wrote: counts and calls by path, and from that by function."""

    def __init__(self, path):
        self.paths, self.calls, self.total, self.marks = {}, {}, None, 0
        with open(path) as source:
            for line in source:
                first, second, rest = line.rstrip("\n").split(" ", 2)
                if first == "end":
                    self.total, self.marks = int(second), int(rest)
                    continue
                stack = tuple(self.merge(rest.split(";")))
                self.paths[stack] = self.paths.get(stack, 0) + int(first)
                self.calls[stack[-1]] = self.calls.get(stack[-1], 0) + int(second)
        if self.total is None or sum(self.paths.values()) != self.total:
            raise RuntimeError("the plug-in's output is not whole")

    @staticmethod
    def merge(names):
        """A function and its cold part, one after the other, are one."""
        return [n for i, n in enumerate(names) if i == 0 or n != names[i - 1] or not n.startswith("__x86_indirect")]

    def own(self):
        sums = {}
        for stack, count in self.paths.items():
            sums[stack[-1]] = sums.get(stack[-1], 0) + count
        return sums

    def inclusive(self):
        sums = {}
        for stack, count in self.paths.items():
            for name in set(stack):
                sums[name] = sums.get(name, 0) + count
        return sums

    def table(self):
        """Rows (own, share, inclusive, calls, name), the largest first."""
        own, inclusive = self.own(), self.inclusive()
        rows = [(own.get(n, 0), 100 * own.get(n, 0) / max(self.total, 1), inclusive[n], self.calls.get(n, 0), n)
                for n in inclusive]
        return sorted(rows, key=lambda r: (-r[0], r[4]))

    def text(self, title):
        out = [title, f"{self.total:,} instructions, {self.total - self.own().get('[user]', 0):,} of them in the kernel", "",
               f"{'own':>14} {'%':>6} {'with callees':>14} {'calls':>10} {'own/call':>9}  function"]
        for own, share, inclusive, calls, name in self.table():
            per = f"{own / calls:9.1f}" if calls else " " * 9
            out.append(f"{own:14,} {share:6.2f} {inclusive:14,} {calls:10,} {per}  {name}")
        return "\n".join(out) + "\n"


def make_initrd(args, path):
    archive = initrd.Initrd()
    archive.folder("profile")
    archive.copy("profile/init", os.path.join(args.build, "profile", "init"))
    archive.file("profile/command", args.prog + "\n")
    archive.file("profile/warm", f"{args.warm}\n")
    for item in args.add:
        source, _, guest = item.partition("=")
        archive.copy((guest or "bin/" + os.path.basename(source)).strip("/"), source)
    return archive.write(path)


def take(args):
    """Boots and counts. Returns (Profile, exit status of the program, its output)."""
    os.makedirs(args.out, exist_ok=True)
    functions, raw = os.path.join(args.out, "functions"), os.path.join(args.out, "raw")
    with open(functions, "w") as sink:
        sink.writelines(f"{address:x} {name}\n" for address, name in list_functions(os.path.join(args.build, "kernel.elf")))
    if os.path.exists(raw):
        os.unlink(raw)
    disk = os.path.join(args.out, "halcyon.img")
    image.make(os.path.join(args.build, "halcyon.img"), disk, boot_conf=CONF % f"{WORDS} {args.append}")
    image.put(disk, "/halcyon/profile.img", make_initrd(args, os.path.join(args.out, "initrd")))
    plugin = os.path.join(os.path.abspath(args.build), "profile", "plugin.so")
    plugin += f",functions={functions},output={raw},own={'on' if args.own else 'off'}"
    with machine.Machine(image=disk, icount=True, tpm=True, cpus=1, cpu="max,-erms", ram_mib=args.memory, name="profile",
                         extra=["-plugin", plugin]) as halcyon:
        try:
            halcyon.wait(args.seconds)
        except machine.Hang as hang:
            raise RuntimeError(f"{hang}\n{halcyon.serial.tail()}") from None
        text = halcyon.serial.text()
    os.unlink(disk)
    end = re.search(r"PROFILE status (\d+)", text)
    if not end:
        raise RuntimeError("the program did not come to its end:\n" + "\n".join(text.splitlines()[-40:]))
    profile = Profile(raw)
    if not profile.marks:
        raise RuntimeError("no mark was seen: MARKS=own wants a program with the marks of tools/profile/mark.h")
    output = text[text.index("PROFILE start") + 14:end.start()] if "PROFILE start" in text else ""
    return profile, int(end[1]), output


def write(profile, args, title):
    text = profile.text(title)
    with open(os.path.join(args.out, "profile.txt"), "w") as sink:
        sink.write(text)
    with open(os.path.join(args.out, "profile.folded"), "w") as sink:
        sink.writelines(f"{';'.join(stack)} {count}\n" for stack, count in sorted(profile.paths.items()) if count)
    with open(os.path.join(args.out, "profile.svg"), "w") as sink:
        sink.write(flame.draw(profile.paths, title, "instructions"))
    return text


def arguments(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--prog", required=True, help="the command, with the image's programs")
    parser.add_argument("--warm", type=int, default=0, help="runs before the one that counts")
    parser.add_argument("--own", action="store_true", help="count between the program's own marks (mark.h)")
    parser.add_argument("--add", action="append", default=[], help="a file of this machine that the guest gets in /bin")
    parser.add_argument("--memory", type=int, default=512, help="MiB")
    parser.add_argument("--append", default="", help="words for the kernel's command line")
    parser.add_argument("--rows", type=int, default=40, help="rows to print; the file has all")
    parser.add_argument("--seconds", type=int, default=900)
    parser.add_argument("--out")
    args = parser.parse_args(words)
    args.out = os.path.abspath(args.out or os.path.join(args.build, "profile"))
    return args


def main():
    args = arguments(sys.argv[1:])
    if not args.prog.strip():
        sys.exit('make profile PROG="command": say what to run')
    try:
        profile, status, output = take(args)
    except (RuntimeError, machine.Hang) as trouble:
        sys.exit(f"profile: {trouble}")
    text = write(profile, args, args.prog)
    sys.stdout.write(output)
    print("\n".join(text.splitlines()[:args.rows + 4]))
    print(f"\nexit status {status}; all rows, call paths and the flame graph: {os.path.relpath(args.out)}/profile.{{txt,folded,svg}}")


if __name__ == "__main__":
    main()
