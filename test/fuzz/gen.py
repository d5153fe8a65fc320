#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The fuzzer's grammar, from the system call table: gen.py syscall.tbl OUTPUT.h

One entry for each call, those that are not there too (ENOSYS must be their only answer): number, name and each argument's
kind, size and show word. Show words say what a number means (/open, /map …): the fuzzer has values for them.
"""
import importlib.util
import os
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def load_table_reader():
    spec = importlib.util.spec_from_file_location("syscall_gen", os.path.join(TOP, "kernel", "syscall", "gen.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def size_of(arg, names):
    """(bytes, index of the argument that holds the size or -1)"""
    if not arg.size or arg.size == "?":
        return 0, -1
    if arg.size.isdigit():
        return int(arg.size), -1
    return 0, names.index(arg.size)


def entry(call):
    names, rows = [a.name for a in call.args], []
    for a in call.args:
        size, index = size_of(a, names)
        rows.append(f"{{ K_{a.kind}, S_{a.show}, {size}, {index}, {int(a.null)} }}")
    return f'\t{{ {call.nr}, {int(call.there)}, {len(rows)}, "{call.name}", {{ {", ".join(rows)} }} }},'


def main():
    calls = load_table_reader().read(sys.argv[1])
    kinds = sorted({a.kind for c in calls for a in c.args})
    shows = sorted({a.show for c in calls for a in c.args})
    with open(sys.argv[2], "w") as out:
        out.write("/* Made from syscall.tbl by test/fuzz/gen.py. */\n")
        out.write(f"enum kind {{ {', '.join('K_' + k for k in kinds)} }};\n")
        out.write(f"enum show {{ {', '.join('S_' + s for s in shows)}, S_COUNT }};\n")
        out.write("static const struct call calls[] = {\n" + "\n".join(entry(c) for c in calls) + "\n};\n")


main()
