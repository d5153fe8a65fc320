"""What the benchmark measures: names, words, targets; and how its lines are read.

The order is the table's.  A target is the most that an issue allows Halcyon, in
guest instructions; an operation without one is there to be watched.
"""

import re

GROUPS = ("system calls", "signals and scheduling", "files", "pipes, futexes, threads", "memory",
          "processes", "programs", "to come")

# name -> (group, words, target)
OPERATIONS = {
    "getppid": (0, "getppid", 140),
    "clock_gettime": (0, "clock_gettime", None),
    "clock_gettime_call": (0, "clock_gettime as a system call", None),
    "read_zero_1": (0, "read 1 byte of /dev/zero", 280),
    "write_null_1": (0, "write 1 byte to /dev/null", 250),
    "sigaction": (1, "sigaction", None),
    "sigprocmask": (1, "sigprocmask", 170),
    "sigprocmask_change": (1, "sigprocmask that changes the mask", None),
    "signal_self": (1, "signal to self", 1300),
    "yield": (1, "sched_yield alone", 280),
    "yield_two_threads": (1, "sched_yield of two threads", 300),
    "stat": (2, "stat", 1100),
    "fstat": (2, "fstat", 380),
    "open_close": (2, "open + close", 1800),
    "pread_4k": (2, "pread 4 KiB, tmpfs", 950),
    "pread_64k": (2, "pread 64 KiB, tmpfs", None),
    "pwrite_4k": (2, "pwrite 4 KiB, tmpfs", 1000),
    "pwrite_64k": (2, "pwrite 64 KiB, tmpfs", None),
    "poll_10": (2, "poll 10 pipes", None),
    "poll_500": (2, "poll 500 pipes", None),
    "pipe_1": (3, "pipe write + read 1 byte", 800),
    "pipe_4k": (3, "pipe write + read 4 KiB", None),
    "pipe_pingpong": (3, "pipe ping-pong, two processes", 4000),
    "pipe_bandwidth_mib": (3, "1 MiB through a pipe", None),
    "futex_pingpong": (3, "futex ping-pong, two threads", 2400),
    "pthread_create_join": (3, "pthread create + join", None),
    "mmap_touch_munmap": (4, "mmap + touch + munmap, a page", None),
    "fault_anonymous": (4, "anonymous fault", 1200),
    "fault_cow": (4, "copy-on-write fault", None),
    "fault_file": (4, "cached file, a page", None),
    "mprotect_8m_twice": (4, "mprotect 8 MiB, there and back", None),
    "fork_exit_wait": (5, "fork + exit + wait", 30_000),
    "fork_exec_wait": (5, "fork + exec + wait", 75_000),
    "vfork_exec_wait": (5, "vfork + exec + wait", None),
    "fork_10m_call": (5, "fork with 10 MiB: the call", None),
    "fork_10m_write": (5, "fork with 10 MiB: first write", None),
    "fork_10m_exit": (5, "fork with 10 MiB: child's exit", None),
    "fork_1g_call": (5, "fork with 1 GiB: the call", None),
    "fork_1g_write": (5, "fork with 1 GiB: first write", None),
    "fork_1g_exit": (5, "fork with 1 GiB: child's exit", None),
    "shell_200_commands": (6, "shell loop of 200 commands", None),
    "find_10000_files": (6, "find over 10,000 files", None),
    "untar_2000_files": (6, "untar of 2,000 files", None),
    "sort_100000_lines": (6, "sort of 100,000 lines", None),
    "entry_to_init": (6, "kernel entry to init", 30_000_000),
    "unix_socket_pingpong": (7, "unix socket ping-pong", None),
    "eventfd_pingpong": (7, "eventfd ping-pong", None),
    "epoll_wait_500": (7, "epoll_wait, 500 descriptors", None),
}

# The scaling table (userland/bench/scaling.c): one worker and two, processes and threads.
SCALING = {
    "getppid": "getppid", "open_own": "open + close, own files", "open_one": "open + close, one file",
    "fault": "anonymous fault", "map": "mmap + touch + munmap", "pipe": "pipe write + read, own pipes",
    "futex": "futex wake + failed wait, own words", "fork": "fork + exit + wait",
}
WORKERS = ("process", "thread")

# What the issue says Linux 6.1 costs: a check of the method, not of a kernel.
LINUX_KNOWN = {
    "getppid": 359, "read_zero_1": 689, "write_null_1": 611, "stat": 3680, "fstat": 1136,
    "open_close": 6160, "signal_self": 4120, "sigprocmask": 377, "yield": 807, "pread_4k": 1850,
    "pwrite_4k": 2250, "pipe_1": 2380, "pipe_pingpong": 11730, "fork_exit_wait": 110_400,
    "fork_exec_wait": 245_600, "fault_anonymous": 3450, "futex_pingpong": 7745,
}

# number:answer:operation: a system call that only says that it did something (userland/bench/lie.c).
# The operation must notice each.
LIES = """
    110:0:getppid 228:0:clock_gettime_call 0:count:read_zero_1 13:0:sigaction 14:0:sigprocmask
    14:0:sigprocmask_change 62:0:signal_self 4:0:stat 5:0:fstat 3:0:open_close 17:count:pread_4k
    17:count:pread_64k 18:count:pwrite_4k 18:count:pwrite_64k 7:1:poll_10 7:1:poll_500
    0:count:pipe_1 11:0:mmap_touch_munmap 10:0:mprotect_8m_twice 61:0:fork_exit_wait
    59:0:fork_exec_wait 59:0:vfork_exec_wait 61:0:fork_10m
""".split()

LINE = re.compile(r"BENCH (\w+) iterations=(\d+) samples=(\d+) median=(\d+) mean=(\d+) least=(\d+) most=(\d+)")
EVENTS = re.compile(r"BENCH_(?:EVENTS|LOCKS) (\w+) steps=(\d+)((?: \S+=\d+)+)")
TROUBLE = re.compile(r"BENCH ([\w:]+) (failed|missing): ([^\n]*)")


def parse(text):
    """The lines of one boot: {name: {"cost", "mean", ...} or {"failed"/"missing": why}}, complete?"""
    results = {}
    for name, *numbers in LINE.findall(text):
        iterations, samples, median, mean, least, most = map(int, numbers)
        results[name] = {"cost": round(median / iterations, 2), "mean": round(mean / iterations, 2),
                         "least": round(least / iterations, 2), "most": round(most / iterations, 2),
                         "samples": samples, "iterations": iterations}
    for name, steps, words in EVENTS.findall(text):
        counts = dict(word.rsplit("=", 1) for word in words.split())
        per_thousand = {what: 1000 * int(n) / int(steps) for what, n in counts.items()}
        results.setdefault(name, {}).setdefault("events", {}).update(per_thousand)
    for name, kind, why in TROUBLE.findall(text):
        results[name] = {kind: why.strip()}
    return results, "BENCH end" in text


def op_of(name):
    """The operation of bench.c that prints a figure: fork_1g_call comes from fork_1g, scale_map_thread_2 from scale_map_thread."""
    return re.sub(r"^(fork_1(?:0m|g)|scale_\w+_(?:process|thread))_\w+$", r"\1", name)
