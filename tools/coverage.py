#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Coverage of kernel and loader: take the counters of many boots apart, add them up, and report.

    coverage.py collect RAW...                add what boots wrote (include/lib/gcov.h) to the .gcda files of the build
    coverage.py report --build DIR --html DIR [--minimum PERCENT]

collect: the streams of one boot follow each other: the loader's, then the kernel's. A stream may end early, when the
machine was killed while it wrote; what is whole counts. Counters of one function from several boots are added; a .gcda
of another build (its stamp differs) is replaced.

report: gcov over all objects of a build (release, debug and host objects of one source are added), as a table by folder,
and as HTML by lcov's genhtml. What is counted are the folders of FOLDERS, tests left out: they are not the kernel.
"""
import argparse
import concurrent.futures
import json
import os
import re
import struct
import subprocess
import sys

STREAM_MAGIC, DATA_MAGIC = 0x56434748, 0x67636461
TAG_FUNCTION, TAG_COUNTER = 0x01000000, 0x01A10000
FOLDERS = ["kernel", "hal/common", "efi-loader"]
SHOWN = FOLDERS + ["hal/x86_64"]
EXCLUDE = [r".*_test\.c", r".*/coverage\.c"]


class Truncated(Exception):
    """The stream ends inside of a record."""


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, count):
        if self.at + count > len(self.data):
            raise Truncated
        self.at += count
        return self.data[self.at - count:self.at]

    def word(self):
        return struct.unpack("<I", self.bytes(4))[0]

    def name(self):
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise Truncated
        return self.bytes(end + 1 - self.at)[:-1].decode()


def read_records(reader, at_end):
    """{function: {tag: counters}} up to a tag of 0 or at_end(); a function is (ident, line checksum, flow checksum)."""
    functions, function = {}, None
    while not at_end():
        tag = reader.word()
        if tag == 0:
            break
        body = reader.bytes(reader.word())
        if tag == TAG_FUNCTION:
            function = struct.unpack("<III", body) if len(body) == 12 else None
        elif function and tag >= TAG_COUNTER and tag < 0x02000000:
            functions.setdefault(function, {})[tag] = list(struct.unpack("<%dq" % (len(body) // 8), body))
    return functions


def read_header(reader):
    if reader.word() != DATA_MAGIC:
        raise ValueError("not a .gcda")
    return reader.word(), reader.word(), reader.word()


def add_functions(total, functions):
    for function, counters in functions.items():
        mine = total.setdefault(function, {})
        for tag, values in counters.items():
            old = mine.get(tag)
            mine[tag] = [a + b for a, b in zip(old, values)] if old and len(old) == len(values) else values


def read_stream(path, files):
    """Adds one boot's counters to files: {name: (header, functions)}. Returns the number of objects."""
    with open(path, "rb") as f:
        reader = Reader(f.read())
    count = 0
    try:
        while reader.at < len(reader.data):
            if reader.word() != STREAM_MAGIC:
                raise ValueError(f"{path}: no stream at {reader.at - 4}")
            name, header = reader.name(), read_header(reader)
            functions = read_records(reader, lambda: False)
            add_functions(files.setdefault((name, header), {}), functions)
            count += 1
    except Truncated:
        pass
    return count


def write_gcda(path, header, functions):
    if os.path.exists(path):
        with open(path, "rb") as f:
            reader = Reader(f.read())
        if read_header(reader) == header:
            old = read_records(reader, lambda: reader.at >= len(reader.data))
            add_functions(functions, old)
    with open(path, "wb") as f:
        f.write(struct.pack("<IIII", DATA_MAGIC, *header))
        for function, counters in functions.items():
            f.write(struct.pack("<IIIII", TAG_FUNCTION, 12, *function))
            for tag, values in sorted(counters.items()):
                f.write(struct.pack("<II%dq" % len(values), tag, len(values) * 8, *values))


def collect(args):
    files, boots = {}, 0
    for path in args.raw:
        boots += read_stream(path, files) > 0
    for (name, header), functions in files.items():
        if not os.path.isdir(os.path.dirname(name)):
            sys.exit(f"coverage.py: {name} is of another build")
        write_gcda(name, header, functions)
    print(f"coverage: {boots} boots, {len(files)} object files")


def counted_file(name, root):
    """The file's name below the tree, or None when it is not of those that are shown."""
    path = os.path.relpath(os.path.realpath(os.path.join(root, name)), root)
    if not path.startswith(tuple(f + "/" for f in SHOWN)) or any(re.fullmatch(p, path) for p in EXCLUDE):
        return None
    return path


def gcov_lines(job):
    """gcov over some object files: [(source, line, count)], the sources as the compiler named them."""
    output = subprocess.run(["gcov", "--json-format", "--stdout", *job], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True).stdout
    lines = []
    for text in output.splitlines():
        for source in json.loads(text)["files"]:
            lines += [(source["file"], line["line_number"], line["count"]) for line in source["lines"]]
    return lines


def read_counts(build):
    """{source: {line: count}} over all objects of the build."""
    root, counts, names = os.getcwd(), {}, {}
    notes = sorted(os.path.join(folder, leaf) for folder, _, leaves in os.walk(build) for leaf in leaves
                   if leaf.endswith(".gcno"))
    jobs = [notes[i:i + 16] for i in range(0, len(notes), 16)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for lines in pool.map(gcov_lines, jobs):
            for name, line, count in lines:
                if name not in names:
                    names[name] = counted_file(name, root)
                if names[name]:
                    row = counts.setdefault(names[name], {})
                    row[line] = row.get(line, 0) + count
    return counts


def write_html(counts, folder):
    """lcov's genhtml makes pages of its trace file format."""
    os.makedirs(folder, exist_ok=True)
    trace = os.path.join(folder, "coverage.info")
    with open(trace, "w") as f:
        for source in sorted(counts):
            f.write(f"TN:\nSF:{os.path.abspath(source)}\n")
            f.writelines(f"DA:{line},{count}\n" for line, count in sorted(counts[source].items()))
            f.write("end_of_record\n")
    subprocess.run(["genhtml", "--quiet", "--prefix", os.getcwd(), "--title", "Halcyon", "--output-directory", folder, trace],
                   check=True, stdout=subprocess.DEVNULL)


def percent(covered, lines):
    return 100.0 * covered / lines if lines else 0.0


def report(args):
    counts, rows = read_counts(args.build), {}
    for source, lines in counts.items():
        row = rows.setdefault(os.path.dirname(source), [0, 0])
        row[0] += len(lines)
        row[1] += sum(1 for count in lines.values() if count)
    print(f"{'folder':<24}{'lines':>8}{'run':>8}{'%':>8}")
    for folder in sorted(rows):
        lines, covered = rows[folder]
        print(f"{folder:<24}{lines:>8}{covered:>8}{percent(covered, lines):>8.1f}")
    together = [row for folder, row in rows.items() if (folder + "/").startswith(tuple(f + "/" for f in FOLDERS))]
    lines, covered = sum(r[0] for r in together), sum(r[1] for r in together)
    figure = percent(covered, lines)
    print(f"{'together, but hal/x86_64':<24}{lines:>8}{covered:>8}{figure:>8.1f}")
    write_html(counts, args.html)
    if figure < args.minimum:
        sys.exit(f"coverage.py: {figure:.1f} % of the lines ran, {args.minimum:g} % are asked for")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    one = modes.add_parser("collect")
    one.add_argument("raw", nargs="+")
    two = modes.add_parser("report")
    two.add_argument("--build", required=True)
    two.add_argument("--html", required=True)
    two.add_argument("--minimum", type=float, default=0)
    args = parser.parse_args()
    {"collect": collect, "report": report}[args.mode](args)


if __name__ == "__main__":
    main()
