"""The benchmark's results for people: a table in text, a page, a chart."""
import bench_ops


def count(value):
    if value is None:
        return "-"
    return "%.0f" % value if value < 100_000 else "{:,.0f}".format(value)


def rows(data, mode):
    """(name, words, halcyon, linux, ratio, target, remark) in the table's order."""
    found = data.get(mode, {})
    halcyon, linux = found.get("halcyon", {}), found.get("linux", {})
    for name, (_, words, target) in bench_ops.OPERATIONS.items():
        ours, theirs = halcyon.get(name, halcyon.get(bench_ops.op_of(name))), \
            linux.get(name, linux.get(bench_ops.op_of(name)))
        if ours is None and theirs is None:
            continue
        ours, theirs = ours or {}, theirs or {}
        a, b = ours.get("cost"), theirs.get("cost")
        remark = next((kind for kind in ("failed", "missing") if kind in ours), "")
        yield name, words, a, b, (b / a if a and b else None), target if mode == "exact" else None, remark


def text_tables(data):
    lines = []
    for mode, unit in (("exact", "guest instructions"), ("wall", "nanoseconds")):
        if mode not in data:
            continue
        lines += ["", "%-34s %14s %14s %7s %12s" % (unit, "Halcyon", "Linux", "ratio", "target")]
        for name, words, a, b, ratio, target, remark in rows(data, mode):
            verdict = "" if not target or a is None else (" met" if a <= target else " NOT MET")
            lines.append("%-34s %14s %14s %7s %12s%s" % (
                words, remark or count(a), count(b), "%.1f" % ratio if ratio else "-",
                count(target), verdict))
    return "\n".join(lines)


def write(data, folder):
    pass
