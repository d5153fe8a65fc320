#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write an initrd: a newc cpio archive, bit for bit the same for the same input, without root.

    mkinitrd.py --output FILE [--manifest FILE]... [--tree DIR]... [--var NAME=VALUE]... [--mtime N]

A manifest holds one entry a line, in the order in which they go into the archive; `#` begins a comment,
$NAME or ${NAME} is a --var, words with blanks stand in quotes:

    dir    PATH MODE [UID GID]              file   PATH SOURCE MODE [UID GID]
    slink  PATH TARGET [UID GID]            text   PATH MODE CONTENTS     (\\n, \\t are understood)
    nod    PATH MODE UID GID b|c MAJ MIN    pipe   PATH MODE [UID GID]
    link   PATH EXISTING                    (a hard link to an entry above)
    applets DIR PROGRAM                     (a hard link for each applet of the busybox at PROGRAM)
    archive                                 (end this archive, begin another one behind it)

A tree is a folder whose contents are packed as they stand, sorted by name, owned by root. Parents are
not made for you: an archive says what it holds. cpio(5) describes the format; the trailer has the
name TRAILER!!!, and everything is padded to four bytes.
"""
import argparse
import os
import shlex
import stat
import subprocess
import sys


class Newc:
    """One archive after another in one output."""

    def __init__(self, mtime):
        self.parts = []
        self.mtime = mtime
        self.begin()

    def begin(self):
        self.inode = 0
        self.links = {}      # path: entry, for hard links
        self.entries = []

    def add(self, path, mode, uid=0, gid=0, data=b"", rdev=(0, 0), mtime=None):
        self.inode += 1
        entry = {"path": path.lstrip("/"), "mode": mode, "uid": uid, "gid": gid, "data": data, "rdev": rdev,
                 "ino": self.inode, "nlink": 2 if stat.S_ISDIR(mode) else 1,
                 "mtime": self.mtime if mtime is None else mtime}
        self.entries.append(entry)
        self.links[entry["path"]] = entry

    def link(self, path, existing):
        """Hard links share the inode number; the contents go with the last of them, as cpio does it."""
        first = self.links.get(existing.lstrip("/"))
        if first is None:
            sys.exit(f"mkinitrd: {path}: there is no {existing} to link to")
        group = [e for e in self.entries if e["ino"] == first["ino"]]
        entry = dict(group[-1], path=path.lstrip("/"))
        group[-1]["data"] = b""
        self.entries.append(entry)
        self.links[entry["path"]] = entry
        for member in group + [entry]:
            member["nlink"] = len(group) + 1

    @staticmethod
    def header(fields, name):
        head = b"070701" + b"".join(b"%08X" % f for f in fields)
        raw = head + name + b"\0"
        return raw + b"\0" * (-len(raw) % 4)

    def finish(self):
        """Put the entries collected so far and a trailer into the output."""
        for e in self.entries:
            name = os.fsencode(e["path"])
            fields = [e["ino"], e["mode"], e["uid"], e["gid"], e["nlink"], e["mtime"], len(e["data"]), 0, 0,
                      e["rdev"][0], e["rdev"][1], len(name) + 1, 0]
            self.parts.append(self.header(fields, name))
            self.parts.append(e["data"] + b"\0" * (-len(e["data"]) % 4))
        trailer = b"TRAILER!!!"
        self.parts.append(self.header([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(trailer) + 1, 0], trailer))
        self.begin()

    def output(self):
        data = b"".join(self.parts)
        return data + b"\0" * (-len(data) % 512)


def read_source(path):
    with open(path, "rb") as f:
        return f.read()


def owner(words):
    return (int(words[0]), int(words[1])) if words else (0, 0)


def add_applets(archive, folder, program):
    """A link for each name that busybox knows, in its own folders' names below `folder`."""
    existing = "bin/busybox"
    names = subprocess.run([program, "--list-full"], check=True, capture_output=True, text=True).stdout.split()
    for name in sorted(set(names)):
        path = os.path.join(folder, name).lstrip("/")
        if path not in archive.links:
            archive.link(path, existing)


def manifest_entry(archive, words):
    kind, args = words[0], words[1:]
    if kind == "dir":
        archive.add(args[0], stat.S_IFDIR | int(args[1], 8), *owner(args[2:4]))
    elif kind == "file":
        archive.add(args[0], stat.S_IFREG | int(args[2], 8), *owner(args[3:5]), data=read_source(args[1]))
    elif kind == "text":
        text = args[2].replace("\\n", "\n").replace("\\t", "\t")
        archive.add(args[0], stat.S_IFREG | int(args[1], 8), data=text.encode())
    elif kind == "slink":
        archive.add(args[0], stat.S_IFLNK | 0o777, *owner(args[2:4]), data=os.fsencode(args[1]))
    elif kind == "pipe":
        archive.add(args[0], stat.S_IFIFO | int(args[1], 8), *owner(args[2:4]))
    elif kind == "nod":
        form = {"b": stat.S_IFBLK, "c": stat.S_IFCHR}[args[4]]
        archive.add(args[0], form | int(args[1], 8), int(args[2]), int(args[3]), rdev=(int(args[5]), int(args[6])))
    elif kind == "link":
        archive.link(args[0], args[1])
    elif kind == "applets":
        add_applets(archive, args[0], args[1])
    elif kind == "archive":
        archive.finish()
    else:
        raise ValueError(f"no such kind of entry: {kind}")


def expand(line, variables):
    for name, value in variables.items():
        line = line.replace("${" + name + "}", value).replace("$" + name, value)
    return line


def add_manifest(archive, path, variables):
    with open(path) as f:
        for number, line in enumerate(f, 1):
            words = shlex.split(expand(line, variables), comments=True)
            if not words:
                continue
            try:
                manifest_entry(archive, words)
            except (ValueError, IndexError, KeyError, OSError) as error:
                sys.exit(f"mkinitrd: {path}:{number}: {error}")


def add_tree(archive, root):
    def add(full, name):
        info = os.lstat(full)
        perms = stat.S_IMODE(info.st_mode)
        if stat.S_ISDIR(info.st_mode):
            if name:
                archive.add(name, stat.S_IFDIR | perms)
            for child in sorted(os.listdir(full)):
                add(os.path.join(full, child), os.path.join(name, child))
        elif stat.S_ISLNK(info.st_mode):
            archive.add(name, stat.S_IFLNK | 0o777, data=os.fsencode(os.readlink(full)))
        elif stat.S_ISREG(info.st_mode):
            archive.add(name, stat.S_IFREG | perms, data=read_source(full))
        elif stat.S_ISFIFO(info.st_mode):
            archive.add(name, stat.S_IFIFO | perms)

    add(root, "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True)
    parser.add_argument("--manifest", action="append", default=[])
    parser.add_argument("--tree", action="append", default=[])
    parser.add_argument("--var", action="append", default=[])
    parser.add_argument("--mtime", type=int, default=int(os.environ.get("SOURCE_DATE_EPOCH", "1704067200")))
    args = parser.parse_args()
    archive = Newc(args.mtime)
    variables = dict(sorted((v.split("=", 1) for v in args.var), key=lambda p: -len(p[0])))
    for path in args.manifest:
        add_manifest(archive, path, variables)
    for root in args.tree:
        add_tree(archive, root)
    archive.finish()
    with open(args.output, "wb") as f:
        f.write(archive.output())


if __name__ == "__main__":
    main()
