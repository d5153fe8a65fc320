# SPDX-License-Identifier: MIT
"""For gdb at a stopped kernel: the bytes of everything that a walk to a path goes through.

    gdb -batch -ex "python NAMES=['storm', 'one']" -x path_bytes.py kernel.elf

prints `BYTES what address hexadecimal` for the dentry and the inode of /, of each name below it, and for the mounts and superblocks on the
way. It reads with the kernel's debug information and no code of the helpers, for it proves a claim about them all.
"""
import gdb


def entries(head, kind, member):
    offset = next(f.bitpos // 8 for f in gdb.lookup_type(kind).fields() if f.name == member)
    at = head["next"]
    while int(at) != int(head.address):
        yield gdb.Value(int(at) - offset).cast(gdb.lookup_type(kind).pointer()).dereference()
        at = at["next"]


def show(what, value):
    data = gdb.selected_inferior().read_memory(int(value.address), value.type.sizeof).tobytes()
    print("BYTES %s %#x %s" % (what, int(value.address), data.hex()))


def name_of(dentry):
    return dentry["name"]["str"].string(length=int(dentry["name"]["len"]))


def step(dentry, name):
    for child in entries(dentry["children"], "struct dentry", "sibling"):
        if name_of(child) == name:
            return child
    raise gdb.GdbError("no %s" % name)


def covered(mount, dentry):
    """The mount that lies on a dentry, if one does."""
    for child in entries(mount["children"], "struct mount", "child_node"):
        if int(child["mountpoint"]) == int(dentry.address):
            return child
    return None


def walk(names):
    mount = gdb.parse_and_eval("mount_root").dereference()
    dentry = mount["root"].dereference()
    for name in [""] + names:
        dentry = step(dentry, name) if name else dentry
        show("dentry:/" + name, dentry)
        show("inode:/" + name, dentry["inode"].dereference())
        over = covered(mount, dentry)
        if over is not None or not name:
            mount = over if over is not None else mount
            dentry = mount["root"].dereference()
            show("mount:/" + name, mount)
            show("super:/" + name, mount["sb"].dereference())
            show("root dentry:/" + name, dentry)
            show("root inode:/" + name, dentry["inode"].dereference())


walk(NAMES)  # noqa: F821 (gdb's command line sets it)
