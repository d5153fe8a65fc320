# SPDX-License-Identifier: MIT
"""Address spaces and paths: what the commands of several files need."""
from hx import core

AREA_SHARED, AREA_MAP_SHARED, AREA_STACK = 1 << 3, 1 << 7, 1 << 20
PATH_DEPTH = 256     # names in a path, and mounts it crosses: more is a loop


def dentry_name(dentry):
    name = dentry["name"]
    try:
        return core.read(int(name["str"]), min(int(name["len"]), 255)).decode("utf-8", "backslashreplace")
    except Exception:   # a freed dentry: its name may be anywhere
        return "?"


def path_text(mount, dentry):
    """Where a (mount, dentry) lies, from the root of all. Takes pointers."""
    names = []
    if int(dentry) == 0:
        return "?"
    if int(dentry["flags"]) & 0x200:        # DENTRY_NAMELESS: pipes, memfds
        return f"{core.text_of(dentry['sb']['type']['name'])}:[{int(dentry['inode']['ino'])}]"
    for _ in range(PATH_DEPTH):
        if int(mount) and int(dentry) == int(mount["root"]):
            if int(mount["parent"]) == int(mount):
                break
            mount, dentry = mount["parent"], mount["mountpoint"]
            continue
        if int(dentry["parent"]) == int(dentry):
            break
        names.append(dentry_name(dentry))
        dentry = dentry["parent"]
    return "/" + "/".join(reversed(names))


def file_path(file):
    return path_text(file["path"]["mnt"], file["path"]["dentry"])


def exe_path(process):
    return file_path(process["exe"].dereference()) if int(process["exe"]) else core.fail("the process has no program")


def areas(space):
    return core.tree_entries(space["areas"], "struct vm_area", "node")


def rights(area):
    flags = int(area["flags"])
    shared = "s" if flags & (AREA_SHARED | AREA_MAP_SHARED) else "p"
    return "".join(c if flags & 1 << i else "-" for i, c in enumerate("rwx")) + shared


def area_name(area, space):
    """As /proc/PID/maps says it."""
    if int(area["file"]):
        return file_path(core.container(area["file"], "struct file", "backing"))
    start, end = int(area["start"]), int(area["end"])
    if int(area["flags"]) & AREA_STACK:
        return "[stack]"
    if start <= int(space["brk"]) and end >= int(space["start_brk"]) and int(space["brk"]) > int(space["start_brk"]):
        return "[heap]"
    return "[shared]" if int(area["object"]) else ""


def area_of(space, address):
    return next((a for a in areas(space) if int(a["start"]) <= address < int(a["end"])), None)
