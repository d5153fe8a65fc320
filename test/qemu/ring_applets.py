"""busybox applets and shell scripts, whose results equal Linux's byte for byte.

Cases: every line of applets.txt, and every script of scripts/ (each *.sh run
by ash and by bash, each *.bash by bash).  A case runs in a fresh copy of the
fixture folder (test/abi/caserun.c); stdout, stderr and status come back over
the serial line in a frame, as base64:

    @@ NUMBER STATUS
    base64 of stdout
    @-
    base64 of stderr
    @.

The same initrd boots on Linux 6.1 and on Halcyon; what Linux said is kept by
the hash of all that went in.
"""

import base64
import concurrent.futures
import glob
import os
import re

import image
import initrd
import machine
import oracle
import ring_abi
from report import Report

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 600           # for what hangs: all of them take 20 to 40
CASE_SECONDS = 60
FRAME = re.compile(r"^@@ (\d+) (\d+)\n([A-Za-z0-9+/=\n]*?)@-\n([A-Za-z0-9+/=\n]*?)@\.$", re.M)

FIXTURES = {
    "poem": "The sea is calm to-night.\nThe tide is full, the moon lies fair\n"
            "Upon the straits; on the French coast the light\nGleams and is gone; singing\n",
    "poem2": "The sea is rough to-night.\nThe tide is full, the moon lies fair\nUpon the straits;\n"
             "Gleams and is gone; singing\nadded\n",
    "table": "root:x:0:0\nuser:x:1000:a.b\nother:x:12:3\nlast:x:7:\n",
    "numbers": "".join("%d\n" % (n * 7919 % 1000) for n in range(300)),
    "binary": bytes(range(256)) + b"text in the middle\0" + bytes(64),
    "dir/inner": "inner text\n",
    "dir/deep/file": "deep\n",
}

def read_cases():
    """[(title, interpreter, text)]"""
    cases = []
    with open(os.path.join(HERE, "applets.txt")) as source:
        for line in source:
            if line.strip() and not line.startswith("#"):
                name, command = line.rstrip("\n").split(": ", 1)
                cases.append(("%s: %s" % (name, command), "/bin/sh", command + "\n"))
    for path in sorted(glob.glob(os.path.join(HERE, "scripts", "*"))):
        name = os.path.basename(path)
        with open(path) as source:
            text = source.read()
        shells = ["/bin/bash"] if name.endswith(".bash") else ["/bin/sh", "/bin/bash"]
        cases += [("%s %s" % (shell, name), shell, text) for shell in shells]
    return cases


def pack(cases, build, path):
    archive = initrd.Initrd()
    archive.copy("init", ring_abi.binary_of(build, "runner"))
    archive.copy("tests/caserun", ring_abi.binary_of(build, "caserun"))
    archive.shells()
    for name, text in FIXTURES.items():
        archive.file("fixtures/" + name, text)
    archive.folder("cases")
    archive.folder("interpreters")
    for number, (_, interpreter, text) in enumerate(cases):
        archive.file("cases/%d" % number, text)
        archive.file("interpreters/%d" % number, interpreter + "\n")
    archive.file("plan", "cases %d /tests/caserun %d\n" % (SECONDS, CASE_SECONDS))
    return archive.write(path)


# bash names the pid of a job that a signal ended; pids may differ.
JOB_PID = re.compile(rb"(line \d+:|of process) +\d+")


def parse(text):
    """{number: (status, stdout, stderr)}"""
    answers = {}
    for number, status, out, err in FRAME.findall(text):
        try:
            answers[int(number)] = (int(status), base64.b64decode(out),
                                    JOB_PID.sub(rb"\1PID", base64.b64decode(err)))
        except ValueError:
            continue
    return answers


def as_json(answers):
    return {str(k): [s, base64.b64encode(o).decode(), base64.b64encode(e).decode()]
            for k, (s, o, e) in answers.items()}


def from_json(data):
    return {int(k): (s, base64.b64decode(o), base64.b64decode(e)) for k, (s, o, e) in data.items()}


def ask_linux(path, cases):
    release = oracle.release()
    key = oracle.key("applets", release, ring_abi.content(path))
    data = oracle.cached(key)
    if data:
        return from_json(data)
    if not release:
        return {}
    for _ in range(oracle.TRIES):
        answers = parse(oracle.ask(path, SECONDS + 30))
        if len(answers) == len(cases):
            oracle.store(key, as_json(answers))
            break
    return answers


def ask_halcyon(path, folder, build, report, options):
    disk = image.make(image.built(build, "halcyon.img"), os.path.join(folder, "applets.img"),
                      options="console=ttyS0 qemu-exit quiet " + options, initrd=path)
    with machine.Machine(image=disk, name="halcyon",
                         symbols=image.built(build, "kernel.elf")) as halcyon:
        status = None
        try:
            status = halcyon.wait(SECONDS + 30)
        except machine.Hang as hang:
            report.note("%s\n%s" % (hang, halcyon.dump()))
        text = halcyon.serial.text()
    if "### runner end" not in text:
        report.note("\n".join(text.splitlines()[-40:]))
    ring_abi.judge_end(report, status, text)
    return parse(text)


def show(report, what, linux, halcyon):
    if linux != halcyon:
        report.note("  %s on Linux:   %r\n  %s on Halcyon: %r" %
                    (what, linux[:600] if isinstance(linux, bytes) else linux, what,
                     halcyon[:600] if isinstance(halcyon, bytes) else halcyon))


def run(build, only=None, options=""):
    report = Report(build, "applets")
    ring_abi.build_programs(build)
    folder = image.scratch(build)
    cases = read_cases()
    path = pack(cases, build, os.path.join(folder, "applets-initrd.img"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:     # both kernels at a time
        asked = pool.submit(ask_linux, path, cases)
        halcyon = ask_halcyon(path, folder, build, report, options)
        linux = asked.result()
    for number, (title, _, _) in enumerate(cases):
        if only and not any(word in title for word in only):
            continue
        if number not in linux:
            report.fail("%s: no answer from Linux" % title)
        elif number not in halcyon:
            report.fail("%s: no answer" % title)
        elif linux[number] == halcyon[number]:
            report.succeed()
        else:
            report.fail(title)
            for what, a, b in zip(("status", "stdout", "stderr"), linux[number], halcyon[number]):
                show(report, what, a, b)
    report.line("# %d cases, %d equal" % (len(cases), len(cases) - len(report.failures)))
    return report.finish(folder)
