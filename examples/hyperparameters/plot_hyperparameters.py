"""Draw the newest trajectory's trials: run `simkit .` in this folder first.

usage: python plot_hyperparameters.py [TRAJECTORY.h5 [PICTURE.png]]
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import simkit

MARKS = {"l2": "o", "l1": "s", "elasticnet": "^"}


def draw(traj):
    """The error of each trial over its penalty, and how it fell while the trial learned."""
    figure, (errors, passes) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    stopped = traj["learned"] < traj.parameters.passes
    for kind, mark in MARKS.items():
        chosen = traj["penalty"] == kind
        for rows, colour, words in (
            (chosen & ~stopped, "tab:blue", kind),
            (chosen & stopped, "tab:gray", None),
        ):
            errors.scatter(traj["alpha"][rows], traj["error"][rows], marker=mark, c=colour, label=words)
    errors.set(xscale="log", yscale="log", xlabel="alpha", ylabel="error", title="grey: stopped early")
    errors.legend(title="penalty")
    best = int(np.argmin(np.where(stopped, np.inf, traj["error"])))
    for run in range(len(traj)):
        colour = "tab:gray" if stopped[run] else "tab:blue"
        passes.plot(range(1, traj["learned"][run] + 1), traj["errors"][run], c=colour, lw=0.8, alpha=0.7)
    passes.plot(range(1, traj["learned"][best] + 1), traj["errors"][best], "r.-", label=f"best: run {best}")
    passes.set(yscale="log", xlabel="passes over the data", ylabel="error")
    passes.legend()
    return figure


def main(source="learn", picture="hyperparameters.png"):
    with simkit.open(source) as traj:
        stopped = int((traj["learned"] < traj.parameters.passes).sum())
        print(f"{len(traj)} trials, {stopped} stopped early; best error {traj.summary.best_value:.3f}")
        print(f"by {traj.summary.best_params}")
        figure = draw(traj)
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    print(f"drawn: {Path(picture)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
