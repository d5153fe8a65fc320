#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn the marker lines of a compiled offsets.c into NASM definitions.

The source prints each constant into the assembly with an asm statement of this form:

    asm volatile("\n#define THREAD_STACK %c0" : : "i"(offsetof(struct thread, stack)));

Each such line becomes `%define THREAD_STACK 40`.
"""
import re
import sys

MARK = re.compile(r"^\s*(?:#define|->)\s*(\w+)\s+\$?(-?(?:0x[0-9a-fA-F]+|\d+))\b")


def main():
    source, output = sys.argv[1:3]
    lines = ["; Made from hal/x86_64/offsets.c. Do not edit.\n"]
    seen = {}
    with open(source) as f:
        for line in f:
            match = MARK.match(line)
            if not match:
                continue
            name, value = match.groups()
            if seen.setdefault(name, value) != value:
                sys.exit(f"{source}: {name} is both {seen[name]} and {value}")
            lines.append(f"%define {name} {value}\n")
    with open(output, "w") as f:
        f.write("".join(dict.fromkeys(lines)))


main()
