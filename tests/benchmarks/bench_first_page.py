"""When do a page's figures stand? ``python tests/benchmarks/bench_first_page.py [VISITS [RUNS [FOLDER]]]``.

Opens the list of trajectories and then the one with RUNS runs (default 100,000), with a new browser context for each of
VISITS (default 8), and prints after how many milliseconds the browser had painted each figure, and where it begins.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench_page import recorded
from browsers import chromium, visiting

LOOK = 1500  # milliseconds that somebody looks at the list
WAIT = 500
WATCH = """
window.painted = {};
new MutationObserver((changes) => {
  for (const { target } of changes) {
    if (!target.dataset.drawn || target.id in painted) continue;
    painted[target.id] = 0;
    requestAnimationFrame(() => setTimeout(() => { painted[target.id] = Math.round(performance.now()); }));
  }
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-drawn"] });
"""
FIGURES = "[...document.querySelectorAll('[data-plot]')]"
ALL = f"{FIGURES}.every((figure) => painted[figure.id])"
TOPS = f"Object.fromEntries({FIGURES}.map((each) => [each.id, Math.round(each.getBoundingClientRect().top)]))"


def visit(browser: Any, address: str, name: str) -> tuple[dict[str, int], dict[str, int]]:
    """When each figure was painted, and how far down it begins; the browser is left alone meanwhile."""
    with visiting(browser, address) as window:
        window.page.wait_for_timeout(LOOK)
        window.page.add_init_script(WATCH)
        window.page.goto(f"{address.partition('?')[0]}view?t={name}", wait_until="commit")
        window.page.wait_for_timeout(4 * WAIT)
        while not window.page.evaluate(ALL):
            window.page.wait_for_timeout(WAIT)
        window.check()
        return window.page.evaluate("painted"), window.page.evaluate(TOPS)


def main(visits: int, runs: int, folder: Path) -> None:
    """Record, serve, visit, print."""
    path = recorded(runs, folder)
    command = [sys.executable, "-m", "simkit", "serve", "--no-browser", "--port", "0", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, chromium() as browser:
        address = next(match[0] for line in server.stdout or () if (match := re.search(r"http://\S+", line)))
        seen = [visit(browser, address, path.name) for _ in range(visits)]
        server.send_signal(signal.SIGINT)
    print(f"{visits} visits, {runs:,} runs, load {os.getloadavg()[0]:.1f}")
    for figure, top in seen[0][1].items():
        times = sorted(painted[figure] for painted, _ in seen)
        print(f"{figure:18} from {top:5} px: median {median(times):5.0f} ms, {times[0]} to {times[-1]}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    count = int(arguments[0]) if arguments else 8
    size = int(arguments[1]) if arguments[1:] else 100_000
    if arguments[2:]:
        main(count, size, Path(arguments[2]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(count, size, Path(made))
