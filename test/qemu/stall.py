#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A busy host for one process: stops single threads of it, now one and now another, for some time.

    stall.py PID [PERIOD LEAST MOST]

About every PERIOD seconds (0.5) one thread - a virtual CPU of QEMU's, or its main thread - stands still for LEAST to MOST milliseconds
(50 to 500), as it does when the host has something better to do; the others go on, and so does time. That is what a test must bear.
With HALCYON_STALL in the environment (its value: the three numbers, or nothing) machine.py starts one beside each machine of
Halcyon's:

    HALCYON_STALL="0.3 50 500" test/qemu/run.py selftest

It stops a thread with ptrace(2), which lets it go should this program end. It ends when the process does.
"""

import ctypes
import os
import random
import sys
import time

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000           # __WALL: threads, too
EVENT_STOP = 128            # PTRACE_EVENT_STOP: ours, and no signal on its way
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


def candidates(pid):
    """Threads worth stopping; none when the process has gone."""
    found = []
    try:
        for word in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/comm" % (pid, word)) as source:
                if source.read().startswith("CPU ") or int(word) == pid:
                    found.append(int(word))
    except OSError:
        return []
    return found


def stop(thread, seconds):
    """True when it stood still and goes on."""
    if LIBC.ptrace(PTRACE_SEIZE, thread, None, None) or LIBC.ptrace(PTRACE_INTERRUPT, thread, None, None):
        return False
    status = os.waitpid(thread, WALL)[1]
    if not os.WIFSTOPPED(status):
        return False
    time.sleep(seconds)
    signal = 0 if status >> 16 == EVENT_STOP else os.WSTOPSIG(status)   # one that was on its way goes on to it
    return LIBC.ptrace(PTRACE_DETACH, thread, None, ctypes.c_void_p(signal)) == 0


def main():
    pid = int(sys.argv[1])
    period, least, most = [float(word) for word in sys.argv[2:5]] or [0.5, 50.0, 500.0]
    threads = candidates(pid)
    while threads and stop(random.choice(threads), random.uniform(least, most) / 1000):
        time.sleep(random.uniform(0, 2 * period))
        threads = candidates(pid)


if __name__ == "__main__":
    main()
