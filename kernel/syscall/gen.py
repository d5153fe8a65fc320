#!/usr/bin/env python3
"""Makes everything that follows from syscall.tbl.

usage: gen.py TABLE OUTDIR [DOC]

OUTDIR/syscall_protos.h   prototypes of every sys_* function
OUTDIR/syscall_table.c    the dispatch table and the argument descriptions
DOC (docs/syscalls.md)    what is there, what is partly there, what is not
"""
import os
import re
import sys

TYPES = {
    'int': 'int', 'uint': 'unsigned', 'long': 'long', 'ulong': 'unsigned long', 'size': 'size_t',
    'off': 'loff_t', 'fd': 'int', 'pid': 'int', 'sig': 'int', 'mode': 'u32', 'uid': 'u32', 'gid': 'u32',
    'dev': 'u64', 'flags': 'int', 'uflags': 'unsigned', 'lflags': 'unsigned long', 'addr': 'u64',
    'str': 'uptr_t', 'in': 'uptr_t', 'out': 'uptr_t', 'inout': 'uptr_t',
}
ARG = re.compile(r'^(\w+):(\w+)(\?)?(?:\(([^)]*)\))?(?:/(\w+))?$')


class Arg:
    def __init__(self, text, where):
        m = ARG.match(text)
        if not m or m.group(2) not in TYPES:
            sys.exit(f'{where}: bad argument {text!r}')
        self.name, self.kind, self.null, self.size = m.group(1), m.group(2), bool(m.group(3)), m.group(4)
        self.show = m.group(5) or 'plain'
        if (self.kind in ('in', 'out', 'inout')) != (self.size is not None):
            sys.exit(f'{where}: {text!r}: a pointer, and only a pointer, has a size')


class Call:
    def __init__(self, line, where):
        words = line.split()
        if len(words) < 3 or not words[0].isdigit():
            sys.exit(f'{where}: bad line')
        self.nr, self.name, self.status = int(words[0]), words[1], words[2]
        if not re.match(r'^(done|-|partial:\S+)$', self.status):
            sys.exit(f'{where}: bad status {self.status!r}')
        self.args = [Arg(w, where) for w in words[3:]]
        if len(self.args) > 6:
            sys.exit(f'{where}: more than six arguments')
        names = [a.name for a in self.args]
        for a in self.args:
            if a.size and not a.size.isdigit() and a.size != '?' and a.size not in names:
                sys.exit(f'{where}: size {a.size!r} is no argument')

    @property
    def there(self):
        return self.status != '-'


def read(path):
    calls, seen = [], set()
    with open(path) as f:
        for n, line in enumerate(f, 1):
            line = line.split('#', 1)[0].strip()
            if not line:
                continue
            call = Call(line, f'{path}:{n}')
            if call.nr in seen or (calls and call.nr < calls[-1].nr):
                sys.exit(f'{path}:{n}: number {call.nr} twice or out of order')
            seen.add(call.nr)
            calls.append(call)
    return calls


def protos(calls):
    out = ['/* Made by kernel/syscall/gen.py from syscall.tbl. */', '#pragma once', '#include <lib/types.h>', '']
    for c in calls:
        if c.there:
            args = ', '.join(f'{TYPES[a.kind]} {a.name}' for a in c.args) or 'void'
            out.append(f'long sys_{c.name}({args});')
    return '\n'.join(out) + '\n'


def size_expr(call, arg):
    if arg.size is None or arg.size == '?':
        return '0'
    if arg.size.isdigit():
        return arg.size
    return f'SYSCALL_SIZE_ARG({[a.name for a in call.args].index(arg.size)})'


def table(calls):
    top = max(c.nr for c in calls) + 1
    out = ['/* Made by kernel/syscall/gen.py from syscall.tbl. */',
           '#include <hal/upcall.h>', '#include <kernel/syscall/syscall.h>', '#include <gen/syscall_protos.h>', '',
           f'const u32 syscall_table_size = {top};',
           f'const hal_syscall_fn syscall_table[{top}] = {{']
    there = {c.nr: c.name for c in calls if c.there}
    for nr in range(top):
        name = f'sys_{there[nr]}' if nr in there else 'sys_not_there'
        out.append(f'\t[{nr}] = (hal_syscall_fn)(void (*)(void)){name},')
    out += ['};', '', f'const struct syscall_info syscall_info[{top}] = {{']
    for c in calls:
        args = ', '.join('{ "%s", SYSCALL_ARG_%s, %d, SYSCALL_SHOW_%s, %s }' %
                         (a.name, a.kind.upper(), a.null, a.show.upper(), size_expr(c, a)) for a in c.args)
        out.append(f'\t[{c.nr}] = {{ "{c.name}", {len(c.args)}, {int(c.there)}, {{ {args} }} }},')
    out.append('};')
    return '\n'.join(out) + '\n'


def doc(calls):
    done = sum(c.status == 'done' for c in calls)
    partial = sum(c.status.startswith('partial') for c in calls)
    out = ['# System calls', '',
           'Made by `kernel/syscall/gen.py` from `kernel/syscall/syscall.tbl`; do not edit.', '',
           f'{done} done, {partial} partial, {len(calls) - done - partial} not there (they return ENOSYS).', '',
           '| number | call | state |', '|---:|---|---|']
    for c in calls:
        state = 'not there' if not c.there else c.status.replace('partial:', 'partial: ').replace('_', ' ')
        out.append(f'| {c.nr} | `{c.name}` | {state} |')
    return '\n'.join(out) + '\n'


def write(path, text):
    """Leaves an unchanged file alone, so that nothing is rebuilt for it."""
    if os.path.exists(path):
        with open(path) as f:
            if f.read() == text:
                return
    with open(path, 'w') as f:
        f.write(text)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    calls = read(sys.argv[1])
    os.makedirs(sys.argv[2], exist_ok=True)
    write(os.path.join(sys.argv[2], 'syscall_protos.h'), protos(calls))
    write(os.path.join(sys.argv[2], 'syscall_table.c'), table(calls))
    if len(sys.argv) == 4:
        write(sys.argv[3], doc(calls))


if __name__ == '__main__':
    main()
