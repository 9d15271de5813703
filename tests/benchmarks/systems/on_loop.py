"""The floor: a loop, and NumPy's files: one at the end, or one for each run."""

from pathlib import Path

import numpy as np
from workloads import array, scalar


def run(workload, n, folder, form):
    if workload == "red":
        np.save(Path(folder, "all.npy"), [scalar(i) for i in range(n)])
        return
    work = array if workload == "blue" else scalar
    for i in range(n):
        np.save(f"{folder}/{i}.npy", work(i))


def load(workload, n, folder):
    if workload == "red":
        return np.load(Path(folder, "all.npy"))
    return [load_one(workload, n, folder, i) for i in range(n)]


def load_one(workload, n, folder, i):
    if workload == "red":
        return np.load(Path(folder, "all.npy"))[i]
    value = np.load(f"{folder}/{i}.npy")
    return value[0, 0] if workload == "blue" else value
