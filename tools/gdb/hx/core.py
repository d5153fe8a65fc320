# SPDX-License-Identifier: MIT
"""What all commands stand on: types, symbols, memory, lists and trees, per-CPU data, and how a command is made.

A command is a function with the decorator @command(name, arguments); its docstring is gdb's help. It gets the words of
its line, writes with say(), and raises gdb.GdbError (fail()) for what the user did wrong. Memory that cannot be
read ends a command with a line, not with a Python traceback.
"""
import functools
import re
import gdb

LIMIT = 100000      # entries of any one list or tree: a broken one must not hang us
commands = []


def say(text=""):
    gdb.write(text + "\n")


def fail(text):
    raise gdb.GdbError(text)


# ---- commands and functions ----------------------------------------------------------------------

def command(name, arguments="", completer=gdb.COMPLETE_NONE):
    def make(function):
        class Command(gdb.Command):
            def __init__(self):
                super().__init__(name, gdb.COMMAND_DATA, completer)

            def invoke(self, line, from_tty):
                self.dont_repeat()
                try:
                    function(gdb.string_to_argv(line))
                except gdb.MemoryError as error:
                    fail(f"{name}: {error}: is the kernel running? (hx-symbols)")

        Command.__doc__ = f"{function.__doc__.strip()}\nUsage: {name} {arguments}".rstrip()
        commands.append(Command)
        return function
    return make


def convenience(name):
    """$name(arguments) in expressions."""
    def make(function):
        class Function(gdb.Function):
            def __init__(self):
                super().__init__(name)

            def invoke(self, *arguments):
                return function(*arguments)

        Function.__doc__ = function.__doc__
        commands.append(Function)
        return function
    return make


def register_all():
    for made in commands:
        made()


# ---- types and symbols ---------------------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def type_of(name):
    try:
        return gdb.lookup_type(name)
    except gdb.error:
        fail(f"no type {name}: the kernel's symbols are not loaded (hx-symbols)")


def pointer_to(name):
    return type_of(name).pointer()


def has_field(type_, name):
    return any(f.name == name for f in type_.strip_typedefs().fields())


def at(name, address):
    """The object of that type at an address."""
    return gdb.Value(int(address)).cast(pointer_to(name)).dereference()


def lookup(name, file):
    """A static variable by the file that has it: the same name may stand in several."""
    for found in gdb.lookup_static_symbols(name):
        if found.symtab and found.symtab.filename.endswith(file):
            return found.value()
    return None


def optional(name, file=None):
    """A variable, or None in a kernel that has no such one; `file` (kernel/mm/slab.c) for a static one."""
    if file:
        return lookup(name, file)
    try:
        return gdb.parse_and_eval(name)
    except gdb.error:
        return None


def symbol(name, file=None):
    found = optional(name, file)
    if found is None:
        fail(f"the kernel has no {name}{' in ' + file if file else ''}, or its symbols are not loaded (hx-symbols)")
    return found


def address_of(name):
    return int(gdb.parse_and_eval(f"(unsigned long)&{name}"))


def evaluate(text):
    """What a user typed where an address is expected."""
    try:
        value = gdb.parse_and_eval(text)
        if value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
            value = value.address
        return int(value.cast(type_of("unsigned long")))
    except gdb.error as error:
        fail(f"{text}: {error}")


def enum_names(name, prefix):
    """{value: name without the prefix, in small letters} of an enumeration."""
    return {f.enumval: f.name[len(prefix):].lower() for f in type_of(name).fields()}


@functools.lru_cache(maxsize=None)
def offset_of(type_name, member):
    """Of a member, also `a.b`."""
    total, type_ = 0, type_of(type_name)
    for part in member.split("."):
        field = next((f for f in type_.strip_typedefs().fields() if f.name == part), None)
        if field is None:
            fail(f"{type_name} has no member {member}")
        total, type_ = total + field.bitpos // 8, field.type
    return total


def container(address, type_name, member):
    return at(type_name, int(address) - offset_of(type_name, member))


def forget_types():
    """After the symbols changed."""
    type_of.cache_clear()
    offset_of.cache_clear()


# ---- memory --------------------------------------------------------------------------------------

def read(address, size):
    """Bytes as the selected CPU sees them; gdb.MemoryError."""
    return gdb.selected_inferior().read_memory(address, size).tobytes()


def read_u64(address):
    return int.from_bytes(read(address, 8), "little")


def read_phys(address, size):
    """Through the kernel's direct map, which every address space has."""
    return read(int(symbol("hal_direct_map_base")) + address, size)


def text_of(value, limit=256):
    """A C string in the kernel, or ? where it cannot be read."""
    try:
        if int(value) == 0:
            return "(null)"
        return value.cast(type_of("char").pointer()).string("utf-8", "backslashreplace", length=-1)[:limit]
    except (gdb.MemoryError, gdb.error):
        return "?"


def array_text(value):
    """A char array that ends at its first zero."""
    raw = bytes(int(value[i]) & 0xff for i in range(value.type.range()[1] + 1))
    return raw.split(b"\0")[0].decode("utf-8", "backslashreplace")


# ---- lists and trees -----------------------------------------------------------------------------

class Broken(Exception):
    """A list or tree that does not end, or leads nowhere."""


def list_nodes(head):
    """Addresses of the nodes of a struct list_head, without the head."""
    start, node, seen = int(head.address), head["next"], 0
    while int(node) != start:
        if int(node) == 0 or seen == LIMIT:
            raise Broken(f"after {seen} entries at {int(node):#x}")
        yield int(node)
        seen += 1
        try:
            node = node.dereference()["next"]
            node.fetch_lazy()
        except gdb.MemoryError:
            raise Broken(f"after {seen} entries") from None


def list_entries(head, type_name, member):
    for node in list_nodes(head):
        yield container(node, type_name, member)


def hlist_nodes(head):
    node, seen = head["first"], 0
    while int(node):
        if seen == LIMIT:
            raise Broken(f"after {seen} entries")
        yield int(node)
        seen += 1
        node = node.dereference()["next"]


def tree_nodes(root):
    """Addresses of struct rb_node, in order, without recursion: each is visited once."""
    stack, node, seen = [], root["node"], 0
    while stack or int(node):
        while int(node):
            stack.append(node)
            node = node.dereference()["left"]
            if len(stack) > 128:
                raise Broken("deeper than any red-black tree")
        node = stack.pop()
        yield int(node)
        seen += 1
        if seen == LIMIT:
            raise Broken(f"after {seen} nodes")
        node = node.dereference()["right"]


def tree_entries(root, type_name, member):
    for node in tree_nodes(root):
        yield container(node, type_name, member)


XA_NODE = 2         # the tag of a pointer to an inner node, lib/xarray.h's


def xarray_entries(array):
    """(index, entry) of a struct xarray."""
    def walk(entry, base):
        if entry & 3 != XA_NODE:
            if entry:
                yield base, entry
            return
        node = at("struct xa_node", entry & ~3)
        shift = int(node["shift"])
        slots = read(int(node["slots"].address), 8 * 64)
        for i in range(64):
            slot = int.from_bytes(slots[8 * i:8 * i + 8], "little")
            if slot:
                yield from walk(slot, base + (i << shift))

    yield from walk(int(array["head"]), 0)


# ---- CPUs ----------------------------------------------------------------------------------------

def cpus():
    """Numbers of the CPUs that the kernel has set up."""
    table = symbol("x86_cpus")
    for number in range(table.type.range()[1] + 1):
        if int(table[number]) == 0:
            return
        yield number


def percpu(name, cpu, file=None):
    """A per-CPU variable of that CPU."""
    variable = symbol(name, file)
    offset = int(symbol("x86_cpus")[cpu].dereference()["pc"]["percpu_offset"])
    return gdb.Value(int(variable.address) + offset).cast(variable.type.pointer()).dereference()


def running(cpu):
    """The struct thread * that a CPU runs."""
    return symbol("x86_cpus")[cpu].dereference()["pc"]["current"]


def selected_cpu():
    """The CPU that gdb's selected thread is."""
    thread = gdb.selected_thread()
    return thread.num - 1 if thread else 0


def current_thread():
    thread = running(selected_cpu())
    if int(thread) == 0:
        fail("the kernel has no threads yet")
    return thread.dereference()


def place(address):
    """function+offset (file:line) of an address in the kernel or in a program whose symbols are loaded."""
    address = int(address)
    name = gdb.execute(f"info symbol {address:#x}", to_string=True).split(" in section")[0]
    if name.startswith("No symbol"):
        return f"{address:#x}"
    # NASM's local labels, which gdb takes for Ada; this one is the return from a system call's function.
    name = re.sub(r"\[(\w+)\]", r".\1", name.strip().replace(" + ", "+")).replace("x86_syscall_call", "x86_syscall_entry")
    line = gdb.find_pc_line(address)
    return f"{name} ({line.symtab.filename}:{line.line})" if line.symtab else name


@convenience("hx_current")
def hx_current(cpu=None):
    """$hx_current([CPU]): the struct thread that the CPU (default: the selected one) runs."""
    return running(int(cpu) if cpu is not None else selected_cpu()).dereference()


@convenience("hx_percpu")
def hx_percpu(name, cpu=None):
    """$hx_percpu("variable" [, CPU]): a per-CPU variable of a CPU (default: the selected one)."""
    return percpu(name.string(), int(cpu) if cpu is not None else selected_cpu())


@command("hx-list", "HEAD TYPE MEMBER [FIELD]...")
def hx_list(words):
    """Each entry of a list: HEAD is a struct list_head (an expression), TYPE (in quotes) has MEMBER as its link.
Prints the address of each, and the fields that are named."""
    entries_of(words, list_entries, "struct list_head")


@command("hx-tree", "ROOT TYPE MEMBER [FIELD]...")
def hx_tree(words):
    """Each entry of a red-black tree in its order: ROOT is a struct rb_root, TYPE (in quotes) has MEMBER as its node."""
    entries_of(words, tree_entries, "struct rb_root")


def entries_of(words, walk, head_type):
    if len(words) < 3:
        fail("say where it begins, of which type, and by which member")
    head = gdb.parse_and_eval(words[0])
    if head.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
        head = head.dereference()
    if str(head.type.strip_typedefs().unqualified()) != head_type:
        fail(f"{words[0]} is a {head.type}, not a {head_type}")
    count = 0
    try:
        for entry in walk(head, words[1], words[2]):
            shown = " ".join(f"{field}={entry[field]}" for field in words[3:])
            say(f"({words[1]} *) {int(entry.address):#x} {shown}".rstrip())
            count += 1
    except Broken as broken:
        say(f"broken {broken}")
    say(f"{count} entries")
