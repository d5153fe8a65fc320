# SPDX-License-Identifier: MIT
"""gdb's helpers for Halcyon: `source tools/gdb/halcyon.py`, which `make debug` and `make attach` do by themselves.

Commands begin with hx-; `help hx-ps`, or `apropos ^hx-`, says what each does. They read the machine through the
stub and the kernel's debug information: nothing runs in the kernel, nothing is changed, and no lock is taken, so
they work wherever the machine stopped. What was being changed at that moment may look broken; the walks are bounded
and say so. docs/debugging.md, "gdb", is for users.

Files: hx/core.py types, memory and how a command is made; hx/elf.py the little of ELF that we read ourselves;
hx/symbols.py where the kernel is (KASLR) and user programs' symbols; hx/tasks.py, hx/memory.py, hx/files.py, hx/state.py the
commands; hx/printers.py.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(os.path.expanduser(__file__))))

# Sourced again: the files may have changed.
for name in [n for n in sys.modules if n == "hx" or n.startswith("hx.")]:
    del sys.modules[name]

from hx import core, symbols, tasks, memory, files, state, printers  # noqa: E402,F401

core.register_all()
