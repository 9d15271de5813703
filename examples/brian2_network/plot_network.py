"""Draw rasters and voltages of the newest trajectory: run `simkit .` in this folder first.

usage: python plot_network.py [TRAJECTORY.h5 [PICTURE.png]]
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from brian2 import Hz, ms, mV

import simkit


def draw(traj):
    """A column per strength: who fired when, and the voltages below."""
    figure, axes = plt.subplots(
        2,
        len(traj),
        squeeze=False,
        sharex=True,
        sharey="row",
        figsize=(3.2 * len(traj), 5),
        height_ratios=[2, 1],
        layout="constrained",
    )
    for (raster, voltage), run in zip(axes.T, traj, strict=True):
        raster.plot(run.spikes.t / ms, run.spikes.i, ".", color="black", markersize=2)
        raster.set_title(f"w = {run.syn.w / mV:g} mV,  {run.rate / Hz:.1f} Hz")
        for trace in run.trace.V / mV:
            voltage.plot(run.trace.t / ms, trace, linewidth=0.8)
        voltage.axhline(traj.parameters.neuron.threshold / mV, color="grey", linestyle=":", linewidth=0.8)
        voltage.set_xlabel("time (ms)")
    axes[0, 0].set_ylabel("neuron")
    axes[1, 0].set_ylabel("V (mV)")
    return figure


def newest():
    """The newest trajectory of this folder, or of the project that it lies in."""
    here = Path(__file__).parent
    folders = [here / "results", *(parent / "results" for parent in here.parents[:2])]
    found = [path for folder in folders for path in folder.glob("network-*.h5")]
    if not found:
        sys.exit("no trajectory yet: run `simkit .` in this folder first")
    return max(found, key=lambda path: path.stat().st_mtime)


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else newest()
    picture = Path(sys.argv[2]) if len(sys.argv) > 2 else path.with_suffix(".png")
    with simkit.open(path) as traj:
        draw(traj.where(status="done")).savefig(picture, dpi=120)
    print(picture)
