"""Mesa: `batch_run` of a model without agents, whose table is written at the end (red only: nothing is kept before)."""

import mesa
import numpy as np
import pandas as pd
from workloads import scalar


class Model(mesa.Model):
    def __init__(self, i=0, **more):
        super().__init__(**more)
        self.z = scalar(i)
        self.datacollector = mesa.DataCollector(model_reporters={"z": "z"})
        self.datacollector.collect(self)
        self.running = False


def run(workload, n, folder, form):
    rows = mesa.batch_run(Model, {"i": range(n)}, max_steps=0, number_processes=1, display_progress=False)
    np.save(f"{folder}/all.npy", pd.DataFrame(rows)[["i", "z"]].to_numpy())


def load(workload, n, folder):
    return np.load(f"{folder}/all.npy")[:, 1]


def load_one(workload, n, folder, i):
    return load(workload, n, folder)[i]
