"""Draw the newest trajectory's climb: run `simkit .` in this folder first.

usage: python plot_climb.py [TRAJECTORY.h5 [PICTURE.png]]
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from hill import MAXIMUM, SUMMIT

import simkit


def draw(traj):
    """Where the points of each generation were, and how high the best one so far was."""
    figure, (ground, heights) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    points = ground.scatter(traj["x"], traj["y"], c=traj["generation"], s=4, cmap="viridis")
    ground.plot(*SUMMIT, "r+", markersize=12, label="highest summit")
    ground.set(xlabel="x", ylabel="y", aspect="equal")
    ground.legend()
    figure.colorbar(points, ax=ground, label="generation")
    heights.plot(traj.summary.best_z, ".-", label="best so far")
    heights.axhline(MAXIMUM, color="red", linewidth=0.8, label="maximum")
    heights.set(xlabel="generation", ylabel="z")
    heights.legend()
    return figure


def main(source="hill", picture="climb.png"):
    with simkit.open(source) as traj:
        x, y = traj.summary.best
        print(f"{len(traj)} runs, best z = {traj['z'].max():.3f} of {MAXIMUM} at x = {x:.3f}, y = {y:.3f}")
        figure = draw(traj)
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    print(f"drawn: {Path(picture)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
