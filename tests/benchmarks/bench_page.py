"""What an answer of the page costs: ``python tests/benchmarks/bench_page.py [RUNS [FOLDER]]``.

Records RUNS runs (default 100,000) of 50 by 40 by 5 points over trials, some of them failed, and prints the processor
time of each kind of answer, first and again, and the memory of it all. Processor time of this process, so that other
work on the machine counts little.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

import simkit
from simkit.serve.app import Page, application
from simkit.serve.files import Catalogue

RULES = ["hebb", "stdp", "none", "bcm", "oja"]
SPACE = simkit.product(drive=np.arange(50) * 0.05, weight=np.arange(40) * 0.05 - 0.5, rule=RULES)
ANSWERS = {
    "state": "/state?t=ring.h5",
    "line": "/plot?t=ring.h5&kind=line",
    "heatmap": "/plot?t=ring.h5&kind=heatmap",
    "scatter": "/plot?t=ring.h5&kind=scatter",
    "parallel": "/plot?t=ring.h5&kind=parallel",
    "histogram": "/plot?t=ring.h5&kind=histogram",
    "page with table": "/view?t=ring.h5",
    "table by rate": "/view?t=ring.h5&sort=-rate",
    "table page 1000": "/view?t=ring.h5&sort=-rate&page=1000",
    "condition": "/view?t=ring.h5&where=drive > 1 and rule == 'bcm'",
    "a run": "/run?t=ring.h5&run=99560",
}


@simkit.experiment(vectorized=4096)
def ring(seed: Any, drive: Any, weight: Any, rule: Any) -> dict[str, Any]:
    """Rate and synchrony."""
    draw = (seed >> np.uint64(11)) / 2.0**53
    if ((drive > 2) & (weight > 1) & (draw < 0.05)).any():
        raise FloatingPointError("diverged")
    place = np.array([RULES.index(word) for word in rule])
    rate = 8 + 12 * drive + 3 * weight + place * drive + 4 * draw
    return {"rate": rate, "sync": 1 / (1 + np.exp(-weight * drive)) + draw, "converged": rate < 40}


def recorded(runs: int, folder: Path) -> Path:
    """The trajectory that is looked at."""
    path = folder / "ring.h5"
    if not path.exists():
        simkit.run(ring, SPACE.repeat(runs // len(SPACE)), output=path, workers=2, seed=1).close()
    return path


def main(runs: int, folder: Path) -> None:
    """Record, ask, print."""
    path = recorded(runs, folder)
    browser = TestClient(application(Page(Catalogue([path]), lambda reading, run: ""), "token", port=1))
    browser.base_url = "http://127.0.0.1"
    browser.cookies.set("simkit-1", "token")
    print(f"{runs:,} runs, {path.stat().st_size / 1e6:.1f} MB")
    for name, address in ANSWERS.items():
        costs = []
        for _ in range(4):
            before = time.process_time()
            answer = browser.get(address)
            costs.append(1000 * (time.process_time() - before))
            assert answer.status_code == 200, answer.text[-500:]
        least, size = min(costs[1:]), len(answer.content) / 1e3
        print(f"{name:<18} first {costs[0]:7.1f} ms   again {least:7.1f} ms   {size:8.1f} kB")
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB at most")


if __name__ == "__main__":
    given = sys.argv[1:]
    number = int(given[0].replace(",", "")) if given else 100_000
    if len(given) > 1:
        main(number, Path(given[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(number, Path(made))
