"""Draw the patterns of the newest trajectory: run `simkit .` in this folder first.

usage: python plot_automata.py [TRAJECTORY.h5 [PICTURE.png]]
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import simkit

COLUMNS = 3


def draw(traj):
    """One panel per run, time running downwards."""
    rows = -(-len(traj) // COLUMNS)
    figure, axes = plt.subplots(
        rows,
        COLUMNS,
        squeeze=False,
        sharex=True,
        sharey=True,
        figsize=(4 * COLUMNS, 2.75 * rows + 0.3),
        layout="constrained",
    )
    for panel in axes.flat:
        panel.axis("off")
    for panel, run in zip(axes.flat, traj.runs, strict=False):
        panel.axis("on")
        panel.imshow(run.pattern, cmap="binary", interpolation="antialiased", aspect="equal")
        panel.set_title(f"rule {run.rule_number}" + start(traj, run))
        panel.tick_params(labelsize="small")
        panel.label_outer()
    figure.supxlabel("cell")
    figure.supylabel("step")
    return figure


def start(traj, run):
    """The initial state, where it differs between panels."""
    return f", {run.initial}" if "initial" in traj.explored else ""


def main():
    """Open, draw, save."""
    traj = simkit.open(sys.argv[1] if len(sys.argv) > 1 else "automata")
    picture = Path(sys.argv[2] if len(sys.argv) > 2 else traj.path.with_suffix(".png"))
    draw(traj).savefig(picture, dpi=150)
    print(f"{picture}: {len(traj)} patterns of {traj.path.name}")


if __name__ == "__main__":
    main()
