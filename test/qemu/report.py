"""What a ring says: lines as it goes, a JSON file, and one last line of totals."""

import json
import os
import shutil
import time

import machine


class Report:
    def __init__(self, build, ring):
        self.build, self.ring = build, ring
        self.passed = self.failed = 0
        self.failures = []
        self.started = time.monotonic()

    def line(self, text):
        print(text, flush=True)

    def note(self, text):
        for line in text.splitlines():
            self.line("# " + line)

    def succeed(self, points=1):
        self.passed += points

    def fail(self, text, points=1):
        self.failed += points
        self.failures.append(text)
        self.line("not ok - " + text)

    def check(self, good, text):
        """One point with its line."""
        if good:
            self.succeed()
            self.line("ok - " + text)
        else:
            self.fail(text)
        return good

    def finish(self, folder=None):
        """Write results/RING.json, print the totals; the exit status."""
        seconds = time.monotonic() - self.started
        where = os.path.join(self.build, "test", "results")
        os.makedirs(where, exist_ok=True)
        with open(os.path.join(where, self.ring + ".json"), "w") as sink:
            json.dump({"ring": self.ring, "passed": self.passed, "failed": self.failed,
                       "seconds": round(seconds, 1), "failures": self.failures[:200],
                       "boots": sorted(machine.BOOTS, key=lambda boot: -boot["cpu"])}, sink, indent=1)
        if folder and not os.environ.get("HALCYON_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
        self.line("# ring %s took %.1f s; %d machines, which used the CPU for %.0f s" %
                  (self.ring, seconds, len(machine.BOOTS), sum(boot["cpu"] for boot in machine.BOOTS)))
        self.line("%d passed, %d failed" % (self.passed, self.failed))
        return 1 if self.failed or not self.passed else 0
