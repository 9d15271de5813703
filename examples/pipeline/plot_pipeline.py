"""Draw the newest comparison: run `simkit .` in this folder first.

usage: python plot_pipeline.py [PICTURE.png]
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import simkit


def draw(analysed, compared):
    """The spectra of one subject, and how far off the peaks are on average."""
    figure, (spectra, errors) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for run in analysed.where(subject=3, window=4.0):
        spectra.semilogy(run.frequencies, run.powers, label=f"coupling {run.coupling}")
    spectra.set(xlabel="frequency (Hz)", ylabel="power", xlim=(0, 30), title="subject 3")
    spectra.legend()
    for window, error in compared.to_xarray()["error"].groupby("window"):
        errors.plot(error["coupling"], error.squeeze(), "o-", label=f"windows of {window:g} s")
    errors.set(xlabel="coupling", ylabel="mean error of the peak (Hz)", ylim=(0, None))
    errors.legend()
    return figure


def main(picture="pipeline.png"):
    with simkit.open("analyse") as analysed, simkit.open("compare") as compared:
        table = compared.where(declared=True).to_dataframe(["coupling", "window", "error", "subjects"])
        print(table.round(2).to_string(index=False))
        figure = draw(analysed.where(declared=True), compared)
        recording = analysed["record.file"][0], int(analysed["record.run"][0])
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    print(f"the first analysis is of run {recording[1]} of {recording[0]}; drawn: {Path(picture)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
