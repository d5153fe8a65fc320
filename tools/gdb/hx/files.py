# SPDX-License-Identifier: MIT
"""Open files and mounts: hx-files, hx-mounts."""
from hx import core, tasks, vma

O_ACCMODE = 3
FLAG_WORDS = ((0o2000, "append"), (0o4000, "nonblock"), (0o200000, "dir"), (0o10000000, "path"))
MOUNT_WORDS = ((0x40, "ro"), (0x1, "nosuid"), (0x2, "nodev"), (0x4, "noexec"), (0x8, "noatime"), (0x10, "nodiratime"),
               (0x20, "relatime"), (0x80, "nosymfollow"))


def open_files(files):
    """(number, struct file, close-on-exec) of a struct files."""
    table = files["table"].dereference()
    count = int(table["max"])
    slots = core.read(int(table["fd"]), 8 * count)
    closing = core.read(int(table["cloexec"]), count // 8)
    for number in range(count):
        file = int.from_bytes(slots[8 * number:8 * number + 8], "little")
        if file:
            yield number, core.at("struct file", file), closing[number // 8] >> number % 8 & 1


def open_words(file, cloexec):
    flags = int(file["flags"])
    words = [("r", "w", "rw", "?")[flags & O_ACCMODE]] + [name for bit, name in FLAG_WORDS if flags & bit]
    return ",".join(words + ["cloexec"] * cloexec)


def operations(file):
    """The name of the variable that file->ops points to."""
    return core.place(file["ops"]).split(" ")[0].split("+")[0] if int(file["ops"]) else "none"


@core.command("hx-files", "[PID]")
def hx_files(words):
    """The open files of a process (default: the current one), with its root and working directory."""
    process = tasks.process_by_pid(core.evaluate(words[0])) if words else tasks.current_process()
    task = process["leader"].dereference()
    if int(task["files"]) == 0:
        core.fail("the process has no files any more")
    if int(task["fs"]):
        where = task["fs"].dereference()
        core.say(f"root {vma.path_text(where['root']['mnt'], where['root']['dentry'])}, "
                 f"working directory {vma.path_text(where['cwd']['mnt'], where['cwd']['dentry'])}, umask {int(where['umask']):03o}")
    core.say(f"{'FD':>4} {'MODE':18} {'POSITION':>10} {'struct file':18} {'OPERATIONS':24} PATH")
    for number, file, cloexec in open_files(task["files"].dereference()):
        core.say(f"{number:4} {open_words(file, cloexec):18} {int(file['pos']):10} {int(file.address):#018x} "
                 f"{operations(file):24} {vma.file_path(file)}")


@core.command("hx-mounts")
def hx_mounts(words):
    """All mounts, as /proc/mounts has them, with number, parent's number and struct mount."""
    for mount in core.list_entries(core.symbol("mount_list"), "struct mount", "list"):
        root = mount["parent"] == mount.address
        where = "/" if root else vma.path_text(mount["parent"], mount["mountpoint"])
        flags = int(mount["flags"])
        words = ["rw"] * (not flags & 0x40) + [name for bit, name in MOUNT_WORDS if flags & bit]
        core.say(f"{int(mount['id']):3} {int(mount['parent']['id']):3} {int(mount.address):#018x} "
                 f"{core.text_of(mount['source'])} on {where} type {core.text_of(mount['sb']['type']['name'])} "
                 f"({','.join(words)}), {int(mount['refs']['v'])} references")
