# SPDX-License-Identifier: MIT
"""How gdb's `print` shows our types: lists and trees with their number of entries, locks with who holds them, counters as
numbers, and user pointers with what they point to in the current process.
"""
import gdb
from hx import core, tasks, vma

COUNT_MAX = 10000       # a list is counted only so far: printing must be quick
STRING_MAX = 64


def counted(walk, value, what):
    count = 0
    try:
        for _ in walk(value):
            count += 1
            if count == COUNT_MAX:
                return f"{what} of {COUNT_MAX} or more"
    except (core.Broken, gdb.MemoryError) as error:
        return f"{what}, broken after {count}: {error}"
    return f"{what} of {count}" if count else f"empty {what}"


def show_list(value):
    if value.address is not None and int(value["next"]) in (0, 0xdead000000000100):
        return "not in a list"
    return counted(core.list_nodes, value, "list")


def show_tree(value):
    return counted(core.tree_nodes, value, "tree")


def show_hlist(value):
    return counted(core.hlist_nodes, value, "hlist")


def show_xarray(value):
    return counted(core.xarray_entries, value, "array")


def show_number(value):
    return str(int(value["v"]))


def show_refcount(value):
    return f"{int(value['n']['v'])} references"


def show_spinlock(value):
    word = int(value["word"])
    name = f'"{core.text_of(value["name"])}" ' if core.has_field(value.type, "name") and int(value["name"]) else ""
    if not word & 0xff:
        return f"{name}free"
    where = f" by CPU {int(value['cpu'])} since {core.place(value['place'])}" if core.has_field(value.type, "place") else ""
    more = ", others wait" if word >> 16 else ""
    return f"{name}held{where}{more}"


def thread_words(address):
    thread = core.at("struct thread", address)
    try:
        task = tasks.task_of(thread)
        number = f"{tasks.pid_of(task)} " if task is not None else ""
        return f"{number}{tasks.name_of(thread)}"
    except gdb.MemoryError:
        return f"{address:#x}"


def class_name(value):
    return f'"{core.text_of(value["dep"]["name"])}" ' if core.has_field(value["dep"].type, "name") and int(value["dep"]["name"]) else ""


def show_mutex(value):
    owner = int(value["owner"])
    if not owner & ~7:
        return f"{class_name(value)}free"
    return f"{class_name(value)}held by {thread_words(owner & ~7)}{', others wait' if owner & 1 else ''}"


def show_rwsem(value):
    count = int(value["count"])
    state = f"held for writing by {thread_words(int(value['writer']))}" if count & 1 and int(value["writer"]) else \
        "held for writing" if count & 1 else f"held by {count >> 2} readers" if count >> 2 else "free"
    return f"{class_name(value)}{state}{', others wait' if count & 2 else ''}"


def show_user_pointer(value):
    """Address, the area of the current process that it lies in, and the text there if it is some."""
    address = int(value["addr"])
    if address == 0:
        return "user NULL"
    try:
        space = tasks.current_process()["space"]
        area = vma.area_of(space.dereference(), address) if int(space) else None
    except (gdb.GdbError, gdb.MemoryError, core.Broken):
        return f"user {address:#x}"
    if area is None:
        return f"user {address:#x} (not mapped)"
    words = f"user {address:#x} ({vma.rights(area)} {vma.area_name(area, space.dereference())}".rstrip() + ")"
    try:
        raw = core.read(address, STRING_MAX).split(b"\0")[0]
    except gdb.MemoryError:
        return words
    if len(raw) > 1 and all(32 <= c < 127 or c in (9, 10) for c in raw):
        words += ' "' + raw.decode().replace("\n", "\\n") + '"'
    return words


def show_name(value):
    try:
        return '"' + core.read(int(value["str"]), min(int(value["len"]), 255)).decode("utf-8", "backslashreplace") + '"'
    except gdb.MemoryError:
        return "?"


def show_path(value):
    try:
        return vma.path_text(value["mnt"], value["dentry"])
    except gdb.MemoryError:
        return "?"


def show_entry(value):
    from hx import memory
    return f"{int(value['v']):#x} ({memory.describe_entry(int(value['v']), 0)})"


BY_TAG = {"list_head": show_list, "hlist_head": show_hlist, "rb_root": show_tree, "xarray": show_xarray,
          "spinlock": show_spinlock, "mutex": show_mutex, "rwsem": show_rwsem, "qname": show_name, "path": show_path}
BY_TYPEDEF = {"atomic_t": show_number, "atomic64_t": show_number, "refcount_t": show_refcount, "uptr_t": show_user_pointer,
              "hal_pte_t": show_entry}


class Printer:
    def __init__(self, value, show):
        self.value, self.show = value, show

    def to_string(self):
        return self.show(self.value)


def look_up(value):
    """gdb asks for each value. Typedefs of nameless structures are known by the typedef's name."""
    type_ = value.type.unqualified()
    for _ in range(8):
        if type_.name in BY_TYPEDEF:
            return Printer(value, BY_TYPEDEF[type_.name])
        if type_.code != gdb.TYPE_CODE_TYPEDEF:
            break
        type_ = type_.target().unqualified()
    if type_.code == gdb.TYPE_CODE_STRUCT and type_.tag in BY_TAG:
        return Printer(value, BY_TAG[type_.tag])
    return None


look_up.__name__ = "halcyon"
gdb.pretty_printers[:] = [p for p in gdb.pretty_printers if getattr(p, "__name__", "") != "halcyon"] + [look_up]
