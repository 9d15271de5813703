"""Draw how soon each library was how high: run `simkit .` in this folder first.

usage: python plot_optimise.py [PICTURE.png]
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from hill import MAXIMUM

import simkit

LIBRARIES = {
    "by_optuna": "optuna: TPE",
    "by_deap": "DEAP: eaSimple",
    "by_scipy": "SciPy: differential evolution",
}


def draw(best):
    """The best value so far against the number of runs, one line for each library."""
    figure, (whole, top) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for name, values in best.items():
        runs = np.arange(1, len(values) + 1)
        whole.step(runs, values, where="post", label=LIBRARIES[name])
        top.step(runs, np.maximum(MAXIMUM - values, 1e-9), where="post", label=LIBRARIES[name])
    whole.axhline(MAXIMUM, color="grey", linewidth=0.8, linestyle="--", label="maximum")
    whole.set(xlabel="runs", ylabel="best z so far", ylim=(0, MAXIMUM * 1.05))
    top.set(xlabel="runs", ylabel="distance of the best z from the maximum", yscale="log")
    whole.legend(loc="lower right")
    return figure


def main(picture="optimise.png"):
    best = {}
    for name, words in LIBRARIES.items():
        with simkit.open(name) as traj:
            best[name] = np.maximum.accumulate(traj["z"])
            print(f"{words}: {best[name][-1]:.4f} of {MAXIMUM} in {len(traj)} runs")
    figure = draw(best)
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    print(f"drawn: {Path(picture)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
