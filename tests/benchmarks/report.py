"""Write what was measured into docs/benchmarks.md, as tables and a figure."""

import math
import re
import statistics
from collections import defaultdict
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
WORDS = {
    "red": "each run returns a number",
    "green": "each run's number is kept as the run ends",
    "blue": "each run keeps 1000 × 125 numbers, a megabyte",
}
COLUMNS = (
    "| system | runs | s in all | µs a run | exponent | CPU µs a run | bytes a run | files "
    "| load all, s | load one, ms | peak MB | k |"
)


def points(rows):
    """The good rows by workload, system and number of runs."""
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        if "error" not in row:
            found[row["workload"]][row["system"]][row["n"]].append(row)
    return found


def median(rows, phase, key="seconds"):
    return statistics.median(row[phase][key] for row in rows)


def cost(by_n, key="seconds"):
    """Seconds that one more run costs; and the exponent of T(N), less what a study costs at least, from 1,000 on."""
    most = max(by_n)
    least = min(by_n, key=lambda n: median(by_n[n], "run", key))
    if least == most:
        return math.nan, math.nan
    fixed = median(by_n[least], "run", key)
    grown = {n: median(by_n[n], "run", key) - fixed for n in by_n if n > 100}
    logs = [(math.log(n), math.log(seconds)) for n, seconds in grown.items() if seconds > fixed / 4]
    exponent = statistics.linear_regression(*zip(*logs, strict=True)).slope if len(logs) > 1 else math.nan
    return (median(by_n[most], "run", key) - fixed) / (most - least), exponent


def shown(value, digits=3):
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{float(f'{value:.{digits}g}'):g}"


def table(systems):
    lines = [COLUMNS, "|---|" + "---:|" * (COLUMNS.count("|") - 2)]
    for name, by_n in systems.items():
        n = max(by_n)
        rows = by_n[n]
        slope, exponent = cost(by_n)
        used, _ = cost(by_n, "cpu")
        seconds = sorted(row["run"]["seconds"] for row in rows)
        spread = f" ({shown(seconds[0])}–{shown(seconds[-1])})" if len(seconds) > 1 else ""
        cells = [
            f"{n:,}",
            shown(statistics.median(seconds)) + spread,
            shown(slope * 1e6),
            shown(exponent, 3),
            shown(used * 1e6),
            shown(statistics.median(row["bytes"] for row in rows) / n),
            f"{rows[0]['files']:,}",
            shown(median(rows, "load")),
            shown(median(rows, "one") * 1e3),
            shown(max(median(rows, "run", "peak"), median(rows, "load", "peak")) / 1e6),
            str(len(rows)),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(found, path):
    """Like the paper's: a column for each workload; below each other runtime, size, and loading."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(name for systems in found.values() for name in systems))
    colours = dict(zip(names, plt.get_cmap("tab20").colors, strict=False))
    measures = {
        "runtime, s": lambda rows: median(rows, "run"),
        "size, bytes": lambda rows: statistics.median(row["bytes"] for row in rows),
        "loading all, s": lambda rows: median(rows, "load"),
    }
    canvas, axes = plt.subplots(3, 3, figsize=(13, 10), sharex="col", squeeze=False)
    for column, (workload, systems) in zip(axes.T, found.items(), strict=True):
        column[0].set_title(f"{workload}: {WORDS[workload]}", fontsize=9)
        column[-1].set_xlabel("runs")
        for axis, (words, measure) in zip(column, measures.items(), strict=True):
            axis.set(xscale="log", yscale="log", ylabel=words)
            axis.grid(alpha=0.3)
            for name, by_n in systems.items():
                numbers = sorted(by_n)
                width = 2.5 if name.startswith("simkit") else 1.2
                axis.plot(
                    numbers,
                    [measure(by_n[n]) for n in numbers],
                    ".-",
                    lw=width,
                    color=colours[name],
                    label=name,
                )
    handles = {h.get_label(): h for axis in axes.flat for h in axis.get_lines()}
    canvas.legend(handles.values(), handles.keys(), loc="lower center", ncols=7, fontsize=8)
    canvas.tight_layout(rect=(0, 0.06, 1, 1))
    canvas.savefig(path, dpi=80)


def write(rows, order, options, machine):
    """The part of the page between the marks, and the figure beside it."""
    found = points(sorted(rows, key=lambda row: order.index(row["system"])))
    found = {workload: found[workload] for workload in WORDS if workload in found}
    loads = [row["load1"] for row in rows]
    failed = [row for row in rows if "error" in row]
    place = options.folder or "the temporary folder"
    span = f"{min(loads):.1f} to {max(loads):.1f} when points began, {statistics.median(loads):.1f} in the middle"
    parts = [
        f"Measured on {machine}; trajectories in {place}. The machine's load of one minute was {span}.",
        "![runtime, size and loading against the number of runs](benchmarks.png)",
    ]
    for workload, systems in found.items():
        parts += [f"### {workload.capitalize()}: {WORDS[workload]}", table(systems)]
    parts += [f"Failed: {row['system']}, {row['workload']}, {row['n']:,} runs." for row in failed]
    page = DOCS / "benchmarks.md"
    text = page.read_text("utf-8")
    marks = r"(<!-- measured -->\n).*(<!-- end -->)"
    page.write_text(
        re.sub(marks, lambda m: m[1] + "\n" + "\n\n".join(parts) + "\n\n" + m[2], text, flags=re.DOTALL),
        "utf-8",
    )
    figure(found, DOCS / "benchmarks.png")
