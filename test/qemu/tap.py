"""Reading what the test runner (test/abi/runner.c) prints on the serial line.

Kernel messages may land in the middle of a line, so a point is recognised
anywhere in it.  A program's points are keyed by name; a name that comes twice
gets "#2" and so on, so that two kernels can be compared point by point.
"""

import re

POINT = re.compile(r"(not )?ok (\d+) - (.*?)(?: # (.*))?$")
BEGIN = re.compile(r"### (\S+) begin$")
END = re.compile(r"### (\S+) end (\S+)(?: ms=(\d+))?")


class Result:
    """One program's run: points {name: (good, remark)}, how it ended, raw lines."""

    def __init__(self, name):
        self.name, self.points, self.end, self.ms, self.lines = name, {}, "no end", 0, []
        self.plan = None

    def add(self, name, good, remark):
        key, n = name, 1
        while key in self.points:
            n += 1
            key = "%s#%d" % (name, n)
        self.points[key] = (good, remark)

    def whole(self):
        """Ended by itself, said how many points it has, and has them."""
        return self.end == "exit=0" and self.plan == len(self.points) and \
            all(good for good, _ in self.points.values())

    def as_json(self):
        return {"points": {k: list(v) for k, v in self.points.items()}, "end": self.end,
                "ms": self.ms, "plan": self.plan}

    @classmethod
    def from_json(cls, name, data):
        self = cls(name)
        self.points = {k: tuple(v) for k, v in data["points"].items()}
        self.end, self.ms, self.plan = data["end"], data["ms"], data["plan"]
        return self


def parse(text):
    """({name: Result}, whether the runner reached its end)."""
    results, current, finished = {}, None, False
    for line in text.splitlines():
        begin, end = BEGIN.search(line), END.search(line)
        if begin and begin.group(1) != "runner":
            current = results[begin.group(1)] = Result(begin.group(1))
        elif line.startswith("### runner end"):
            finished = True
        elif end and current and end.group(1) == current.name:
            current.end, current.ms = end.group(2), int(end.group(3) or 0)
            current = None
        elif current:
            current.lines.append(line)
            point = POINT.search(line)
            if point:
                current.add(point.group(3).strip(), not point.group(1), point.group(4) or "")
            elif re.search(r"\b1\.\.\d+$", line):
                current.plan = int(line.rsplit("..", 1)[1])
    return results, finished
