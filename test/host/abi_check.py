#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares include/abi/linux with what Linux and musl say.

For each of our headers three programs are generated, compiled and run: with our header, with the
kernel's (linux-libc-dev), with musl's. Each prints the value of every constant that our header defines,
and the size, and every member's offset and size, of every structure; then the lists are compared.

A constant or member must be confirmed by at least one of the two, and contradicted by none, unless it
stands below with the reason. What one side does not know shows as a compile error in the line of its
probe; those probes are dropped and the rest compiled again. TAP: one line a header and side.
"""
import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ABI = "include/abi/linux"

# Our header: the kernel's headers, musl's headers.
SOURCES = {
    "auxvec.h": (["linux/auxvec.h"], ["elf.h", "sys/auxv.h"]),
    "capability.h": (["linux/capability.h", "linux/securebits.h"], []),
    "dirent.h": ([], ["dirent.h"]),
    "epoll.h": (["linux/eventpoll.h"], ["sys/epoll.h", "sys/eventfd.h"]),
    "errno.h": (["linux/errno.h"], ["errno.h"]),
    "fcntl.h": (["linux/fcntl.h", "linux/fadvise.h", "linux/falloc.h", "linux/openat2.h", "linux/fs.h",
                 "linux/close_range.h"], ["fcntl.h", "unistd.h", "sys/file.h", "stdio.h"]),
    "fs.h": (["stddef.h", "linux/fs.h"], ["sys/mount.h"]),
    "futex.h": (["linux/futex.h"], []),
    "ioprio.h": (["linux/ioprio.h"], []),
    "ioctl.h": (["linux/ioctl.h", "asm/termbits.h", "linux/termios.h", "linux/sockios.h"], ["sys/ioctl.h"]),
    "limits.h": (["linux/limits.h", "linux/binfmts.h"], ["limits.h"]),
    "mempolicy.h": (["linux/mempolicy.h"], []),
    "mman.h": (["linux/mman.h", "linux/memfd.h"], ["sys/mman.h"]),
    "mount.h": (["linux/mount.h"], ["sys/mount.h"]),
    "personality.h": (["linux/personality.h"], ["sys/personality.h"]),
    "poll.h": (["linux/poll.h"], ["poll.h", "sys/select.h"]),
    "prctl.h": (["linux/prctl.h", "asm/prctl.h"], ["sys/prctl.h"]),
    "random.h": (["linux/random.h"], ["sys/random.h"]),
    "reboot.h": (["linux/reboot.h"], []),
    "resource.h": (["linux/time.h", "linux/resource.h"], ["sys/resource.h"]),
    "rseq.h": (["linux/rseq.h", "linux/membarrier.h"], ["sys/membarrier.h"]),
    "sched.h": (["linux/sched.h", "linux/sched/types.h"], ["sched.h"]),
    "sigcontext.h": (["asm/signal.h", "asm/sigcontext.h", "asm/ucontext.h"], []),
    "signal.h": (["asm/signal.h", "asm-generic/siginfo.h", "linux/signal.h"], ["signal.h"]),
    "stat.h": (["asm/stat.h", "linux/stat.h"], ["sys/stat.h"]),
    "statfs.h": (["linux/magic.h", "asm/statfs.h"], ["sys/statfs.h", "sys/statvfs.h"]),
    "sysinfo.h": (["linux/sysinfo.h"], []),
    "syslog.h": ([], ["sys/klog.h", "syslog.h"]),
    "termios.h": (["asm/termbits.h", "asm/termios.h", "linux/tty.h"], ["termios.h", "sys/ioctl.h"]),
    "time.h": (["linux/time.h", "linux/utime.h", "linux/times.h"], ["time.h", "sys/time.h", "sys/timerfd.h",
                                                                   "sys/stat.h", "utime.h", "sys/times.h"]),
    "timex.h": (["linux/timex.h"], ["sys/timex.h"]),
    "uio.h": (["linux/uio.h", "linux/fs.h"], ["sys/uio.h"]),
    "unistd.h": (["asm/unistd_64.h"], ["sys/syscall.h"]),
    "utsname.h": (["linux/utsname.h"], []),
    "wait.h": (["linux/wait.h"], ["sys/wait.h"]),
    "xattr.h": (["linux/xattr.h"], ["sys/xattr.h"]),
}
PREFIX = {"limits.h": "#define PAGE_SIZE 4096\n"}

# Values that neither set of headers has, with where they come from.
OURS_ONLY = {
    "W_EXITCODE(3, 9)": "wait(2)", "W_STOPCODE(19)": "wait(2)", "W_COREDUMP": "bit 7 of the status, wait(2)",
    "W_CONTINUED": "status of a continued child, wait(2)",
    "USER_HZ": "sysconf(_SC_CLK_TCK)",
    "ST_VALID": "set by the kernel only (linux/statfs.h in its sources)",
    "ST_NOSYMFOLLOW": "newer than musl's statvfs.h",
    "struct linux_dirent": "getdents(2)",
    "struct rt_sigframe": "arch/x86/include/asm/sigframe.h; its members are compared",
    "SYSLOG_ACTION_": "syslog(2) names the numbers in its text only",
    "_NSIG": "64 signals: arch/x86/include/asm/signal.h, not exported",
    "struct linux_dirent64": "ends with a name of any length; the members are compared",
    "OPEN_HOW_SIZE_VER0": "sizeof(struct open_how)",
    "struct timex.unused_": "the rest of the structure: unnamed bit fields of linux/timex.h",
    "SIGINFO_USED_BYTES": "where the longest layout of siginfo_t ends",
}
# What musl defines otherwise, and why.
MUSL_DIFFERS = {
    "_NSIG": "65, counts from 0", "SIGRTMIN": "a function, above musl's own signals",
    "NCCS": "32, of libc's termios", "struct termios": "libc's own", "O_ACCMODE": "with O_PATH",
    "struct sigaction": "libc's own", "struct rusage": "reserved space behind", "NGROUPS_MAX": "32",
    "struct sched_param": "reserved fields behind", "struct linux_dirent64": "has a d_name of 256 bytes",
}
# Different names for one thing.
LINUX_NAMES = {"struct _fpstate": "struct _fpstate_64", "struct _xstate_header": "struct _header",
               "struct utimbuf": "struct utimbuf"}
MUSL_NAMES = {"struct linux_dirent64": "struct dirent"}

CC_OURS = ["gcc", "-std=gnu11", "-Werror=implicit-function-declaration", "-I", "include"]
CC_LINUX = ["gcc", "-std=gnu11", "-Werror=implicit-function-declaration"]
CC_MUSL = ["musl-gcc", "-std=gnu11", "-Werror=implicit-function-declaration", "-D_GNU_SOURCE", "-static"]


def read_header(name):
    """The constants, and {structure: [members]}, that the header itself defines."""
    with open(os.path.join(ABI, name), encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    text = text.replace("\\\n", " ")
    constants = [n for n, v in re.findall(r"^#define (\w+)[ \t]+(\S.*)$", text, re.M) if not v.startswith("_sifields")
                 and not v.startswith("_sigev_un")]
    aliases = [n for n, v in re.findall(r"^#define (\w+)[ \t]+(\S.*)$", text, re.M) if v.startswith("_sifields")]
    structures, stack, current = {}, [], None
    for line in text.splitlines():
        start = re.match(r"^(?:typedef )?((?:struct|union) \w+|struct) \{$", line)
        if start:
            current, members, stack = start[1], [], []
            continue
        if current is None:
            continue
        end = re.match(r"^\} ?(\w+)?.*;$", line)
        if end and not stack:
            name_of = current if current != "struct" else end[1]
            structures[name_of] = members
            if end[1] and current != "struct" and end[1] != "__attribute__":
                structures[end[1]] = []
            current = None
            continue
        inner_end = re.match(r"^\s+\} ?(\w*)(?:\[\w+\])?;$", line)
        if re.match(r"^\s+(struct|union) \{$", line):
            stack.append(len(members))
        elif inner_end:
            at = stack.pop()
            if inner_end[1]:
                members[at:] = [inner_end[1]] + [inner_end[1] + "." + m for m in members[at:]]
        else:
            member = re.match(r"^\s+[\w ]+?\b(\w+)(\[[^\]]*\])?;$", line)
            if member:
                members.append(member[1] + ("[]" if member[2] == "[]" else ""))
    if aliases:
        structures["siginfo_t"] = aliases
    return constants, structures


# Macros with arguments, as expressions.
EXPRESSIONS = {
    "stat.h": [f"S_IS{kind}({mode})" for kind in ("LNK", "REG", "DIR", "CHR", "BLK", "FIFO", "SOCK")
               for mode in ("0100644", "040755", "020600", "060600", "0120777", "0140755", "010644")],
    "ioctl.h": ["_IO('T', 0x37)", "_IOR('T', 0x30, unsigned int)", "_IOW('T', 0x31, int)", "_IOWR('X', 119, int)",
                "_IOC_DIR(0xc0045877)", "_IOC_TYPE(0xc0045877)", "_IOC_NR(0xc0045877)", "_IOC_SIZE(0xc0045877)"],
    "capability.h": ["CAP_TO_INDEX(40)", "CAP_TO_MASK(40)", "issecure_mask(3)"],
    "wait.h": ["W_EXITCODE(3, 9)", "W_STOPCODE(19)"],
}


def probes(constants, structures, names):
    """[(key, expression)] of everything to print; names: {ours: theirs} for structures."""
    result = [(c, f"VALUE({c})") for c in constants]
    for structure, members in structures.items():
        theirs = names.get(structure, structure)
        result.append((structure, f"sizeof({theirs})"))
        for member in members:
            plain = member.removesuffix("[]")
            result.append((f"{structure}.{plain}", f"__builtin_offsetof({theirs}, {plain})"))
            if plain == member:
                result.append((f"{structure}.{member} size", f"sizeof((({theirs} *)0)->{member})"))
    return result


# Texts are compared by a hash of their bytes.
PREAMBLE = """int printf(const char *, ...);
static long long text_hash(const char *s) { long long h = 5381; while (*s) h = h * 33 + *s++; return h; }
#define VALUE(x) _Generic((x), char *: text_hash((const char *)(unsigned long)(x)), default: (long long)(x))
int main(void) {"""


def values(compiler, includes, prefix, wanted, work):
    """{key: value} of the probes that compile, by running a program."""
    dropped = set()
    base = os.path.join(work, "probe")
    for _ in range(4):
        lines = [prefix.rstrip("\n")] + [f"#include <{i}>" for i in includes]
        lines.append(PREAMBLE)
        text = "\n".join(lines)
        first = text.count("\n") + 2
        for number, (_, expression) in enumerate(wanted):
            text += "\n" + (f'printf("{number} %lld\\n", (long long)({expression}));' if number not in dropped else "")
        text += "\nreturn 0; }\n"
        with open(base + ".c", "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run(compiler + ["-fmax-errors=0", "-o", base, base + ".c"], capture_output=True, text=True,
                              check=False)
        if done.returncode == 0:
            out = subprocess.run([base], capture_output=True, text=True, check=True).stdout
            return {wanted[int(n)][0]: int(v) for n, v in (line.split() for line in out.splitlines())}
        bad = {int(n) - first for n in re.findall(r"probe\.c:(\d+):\d+: error", done.stderr)}
        if not bad or min(bad) < 0 or bad <= dropped:
            raise RuntimeError(done.stderr[:3000])
        dropped |= bad
    raise RuntimeError("does not come to an end")


used = set()


def excused(key, table):
    """Is the name, its structure or its member in the table, or does it begin with an entry that ends in _?"""
    words = {key, key.split(".")[0], key.split(".")[-1].split(" ")[0]}
    found = [t for t in table if t in words or t.endswith("_") and any(w.startswith(t) for w in words)]
    used.update((id(table), t) for t in found)
    return bool(found)


def check_header(name, work):
    """[(what was checked, [complaints])] for one header."""
    constants, structures = read_header(name)
    constants += EXPRESSIONS.get(name, [])
    work = os.path.join(work, name)
    os.makedirs(work, exist_ok=True)
    ours = values(CC_OURS, ["abi/linux/" + name], PREFIX.get(name, ""), probes(constants, structures, {}), work)
    missing = [k for k, _ in probes(constants, structures, {}) if k not in ours]
    results = [(f"{name}: {len(ours)} values", [f"{k} does not compile" for k in missing])]
    confirmed = set()
    for side, compiler, includes, names, exceptions in (
            ("linux", CC_LINUX, SOURCES[name][0], LINUX_NAMES, {}),
            ("musl", CC_MUSL, SOURCES[name][1], MUSL_NAMES, MUSL_DIFFERS)):
        if not includes:
            continue
        theirs = values(compiler, includes, PREFIX.get(name, ""), probes(constants, structures, names), work)
        faults = []
        for key, value in theirs.items():
            if key not in ours:
                continue
            if (value ^ ours[key]) & 0xffffffff and not excused(key, exceptions) or \
                    (value ^ ours[key]) >> 32 and value >= 0 and ours[key] >= 0 and not excused(key, exceptions):
                faults.append(f"{key} is {ours[key]:#x} here and {value:#x} in {side}")
            elif value == ours[key] or not (value ^ ours[key]) & 0xffffffff:
                confirmed.add(key)
        results.append((f"{name}: {len(theirs)} compared with {side}", faults))
    alone = [k for k in ours if k not in confirmed and not excused(k, OURS_ONLY)]
    results.append((f"{name}: everything confirmed", [f"{k} = {ours[k]:#x} is confirmed by nobody" for k in alone]))
    return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    work = os.path.abspath(os.path.join(args.build, "host", "abi_check"))
    headers = sorted(h for h in os.listdir(ABI) if h.endswith(".h"))
    number = failures = 0

    def result(good, text, notes=()):
        nonlocal number, failures
        number += 1
        failures += not good
        for note in notes:
            print("# " + note)
        print(f"{'ok' if good else 'not ok'} {number} - {text}")

    result(set(headers) == set(SOURCES), "every header is compared",
           [h for h in set(headers) ^ set(SOURCES)])
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = [(h, pool.submit(check_header, h, work)) for h in headers if h in SOURCES]
        for header, run in runs:
            try:
                for text, faults in run.result():
                    result(not faults, text, faults)
            except RuntimeError as error:
                result(False, header, str(error).splitlines()[:20])
    unused = [t for table in (OURS_ONLY, MUSL_DIFFERS) for t in table if (id(table), t) not in used]
    result(not unused, "every exception is needed", [f"{t} is not" for t in unused])
    print(f"1..{number}")
    sys.exit(1 if failures else 0)


main()
