#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the kernel's own symbol table from the output of `nm -n` (standard input) as NASM source.

The section .ksyms then holds, all read-only and free of relocations:

    __ksyms_count    uint32_t          number of symbols
    __ksyms_offsets  uint32_t[count]   address minus __kernel_start, ascending, no two alike
    __ksyms_names    uint32_t[count]   offset of the name in __ksyms_strings
    __ksyms_strings  char[]            names, each ended by a NUL

A look-up is a binary search for the last offset that is not above the address. Functions and
labels of assembly are in it, and variables, for the debug shell; where several names stand at one address the global
one wins.
"""
import re
import sys

LINE = re.compile(r"^([0-9a-f]{16}) (\w) (\S+)$")
# Names that say nothing to a reader of a backtrace.
DULL = re.compile(r"^(\.L|__text_start$|__entry_text_start$|__text_end$|__entry_text_end$|\.\.@)|\.\.@")
# Variables that the compiler makes: copies of statics of functions, coverage counters, string constants.
DULL_DATA = re.compile(r"\.\d+$|^__gcov|^__func__|_entry$|_desc$")


def read_symbols(lines):
    symbols, start = {}, None
    for line in lines:
        match = LINE.match(line.strip())
        if not match:
            continue
        address, kind, name = int(match[1], 16), match[2], match[3]
        if name == "__kernel_start":
            start = address
        if kind in "dDbB":
            if DULL_DATA.search(name):
                continue
        elif kind not in "tTwW":
            continue
        if DULL.search(name):
            continue
        old = symbols.get(address)
        if old is None or (old[0] in "twdb" and kind in "TWDB"):
            symbols[address] = (kind, name)
    return start or 0, sorted((a, n) for a, (_, n) in symbols.items())


def emit_words(label, values):
    yield f"global {label}:data hidden"
    yield f"{label}:"
    for i in range(0, len(values), 8):
        yield "\tdd " + ", ".join(f"0x{v:x}" for v in values[i : i + 8])


def main():
    start, symbols = read_symbols(sys.stdin)
    names, offset = [], 0
    for _, name in symbols:
        names.append(offset)
        offset += len(name) + 1
    out = ["; Made by tools/ksyms.py. Do not edit.", "section .ksyms alloc noexec nowrite align=16"]
    out += emit_words("__ksyms_count", [len(symbols)])
    out += emit_words("__ksyms_offsets", [a - start for a, _ in symbols])
    out += emit_words("__ksyms_names", names)
    out += ["global __ksyms_strings:data hidden", "__ksyms_strings:"]
    out += [f'\tdb "{name}", 0' for _, name in symbols]
    out += ["\tdb 0", "section .note.GNU-stack noalloc noexec nowrite progbits"]
    print("\n".join(out))


main()
