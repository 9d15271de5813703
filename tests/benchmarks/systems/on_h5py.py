"""h5py by hand, in one file: all rows at once (red), a row for each run (green), a chunk for each run (blue)."""

import h5py
import numpy as np
from workloads import array, scalar


def run(workload, n, folder, form):
    with h5py.File(f"{folder}/all.h5", "w", libver="latest") as file:
        if workload == "red":
            file["i"] = np.arange(n)
            file["z"] = [scalar(i) for i in range(n)]
        elif workload == "green":
            rows = file.create_dataset("z", (n,), "f8", chunks=(min(n, 8192),))
            for i in range(n):
                rows[i] = scalar(i)
                if i % 1000 == 999:
                    file.flush()
        else:
            rows = file.create_dataset("z", (n, 1000, 125), "f8", chunks=(1, 1000, 125))
            for i in range(n):
                rows.id.write_direct_chunk((i, 0, 0), array(i))


def load(workload, n, folder):
    with h5py.File(f"{folder}/all.h5") as file:
        values = file["z"][:]
        return values[:, 0, 0] if workload == "blue" else values


def load_one(workload, n, folder, i):
    with h5py.File(f"{folder}/all.h5") as file:
        value = file["z"][i]
        return value[0, 0] if workload == "blue" else value
