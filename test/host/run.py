#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the host tests and counts: ring 1.

    test/host/run.py [--build DIR] [--verbose] [NAME ...]

Programs are those that the Makefile built (DIR/host/list) and every test/host/*_check.py. Each prints
TAP; one that dies, prints no plan, or plans more than it ran is a failure more. Failures are shown with
everything that their program said. Results go to DIR/test/results/host.json; the last line is
`N passed, N failed`.
"""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import time

TIMEOUT_SECONDS = 600
RESULT = re.compile(r"^(ok|not ok) \d+")
PLAN = re.compile(r"^1\.\.(\d+)$")


def run_program(command, build):
    start = time.monotonic()
    environment = dict(os.environ, BUILD=build, ASAN_OPTIONS="detect_stack_use_after_return=1:abort_on_error=0",
                       UBSAN_OPTIONS="print_stacktrace=1")
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=TIMEOUT_SECONDS, env=environment)
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        output, status = str(late.stdout or "") + f"# took more than {TIMEOUT_SECONDS} s\n", -1
    passed = failed = 0
    plan = None
    for line in output.splitlines():
        result, planned = RESULT.match(line), PLAN.match(line)
        if result:
            passed, failed = passed + (result[1] == "ok"), failed + (result[1] != "ok")
        elif planned:
            plan = int(planned[1])
    if plan is None or plan != passed + failed:
        output += f"# {passed + failed} results, plan {plan}, exit status {status}\n"
        failed += 1
    elif status != 0 and failed == 0:
        output += f"# exit status {status}\n"
        failed += 1
    return passed, failed, time.monotonic() - start, output


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    with open(os.path.join(args.build, "host", "list"), encoding="utf-8") as listing:
        commands = {os.path.basename(path): [path] for path in listing.read().split()}
    for script in sorted(glob.glob("test/host/*_check.py")):
        commands[os.path.basename(script)[:-3]] = [sys.executable, script, "--build", args.build]
    if args.names:
        commands = {name: commands[name] for name in args.names}
    start, total_passed, total_failed, programs = time.monotonic(), 0, 0, {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        runs = {name: pool.submit(run_program, [os.path.abspath(c) if i == 0 else c for i, c in enumerate(command)],
                                  args.build) for name, command in commands.items()}
        for name, run in runs.items():
            passed, failed, seconds, output = run.result()
            print(f"{'not ok' if failed else 'ok'} - host {name}: {passed} passed, {failed} failed, {seconds:.1f} s")
            if failed or args.verbose:
                print("".join(f"    {line}\n" for line in output.splitlines()), end="")
            total_passed, total_failed = total_passed + passed, total_failed + failed
            programs[name] = {"passed": passed, "failed": failed, "seconds": round(seconds, 2)}
    results = os.path.join(args.build, "test", "results")
    os.makedirs(results, exist_ok=True)
    with open(os.path.join(results, "host.json"), "w", encoding="utf-8") as out:
        json.dump({"passed": total_passed, "failed": total_failed, "seconds": round(time.monotonic() - start, 2),
                   "programs": programs}, out, indent=1)
        out.write("\n")
    print(f"{total_passed} passed, {total_failed} failed")
    sys.exit(1 if total_failed else 0)


main()
