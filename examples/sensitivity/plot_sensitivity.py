"""Tell and draw the sensitivity indices of the newest trajectory: run `simkit .` in this folder first.

usage: python plot_sensitivity.py [TRAJECTORY.h5 [PICTURE.png]]
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import simkit

# Exact values, for the constants 7 and 0.1
ALONE = {"x": 0.3139, "y": 0.4424, "z": 0.0}
WITH_OTHERS = {"x": 0.5576, "y": 0.4424, "z": 0.2437}


def main(source="ishigami", picture="sensitivity.png"):
    with simkit.open(source) as traj:
        print(traj.sensitivity("result"))
        axes = traj.plot.sensitivity("result")
    for shift, exact in ((-0.2, ALONE), (0.2, WITH_OTHERS)):
        places = [place + shift for place in range(len(exact))]
        label = "exact" if shift < 0 else None
        axes.plot(list(exact.values()), places, "k|", markersize=18, label=label)
    axes.legend()
    axes.figure.savefig(picture, dpi=150)
    plt.close(axes.figure)
    print(f"drawn: {Path(picture)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
