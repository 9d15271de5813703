"""joblib: a file at the end (red); `Memory`, which keeps each call's value (green, blue)."""

import joblib
from joblib import Memory, Parallel, delayed
from workloads import array, scalar


def _kept(workload, folder):
    return Memory(folder, verbose=0).cache(array if workload == "blue" else scalar)


def run(workload, n, folder, form):
    if workload == "red":
        values = Parallel(n_jobs=int(form))(delayed(scalar)(i) for i in range(n))
        joblib.dump(values, f"{folder}/all.joblib")
        return
    kept = _kept(workload, folder)
    for i in range(n):
        kept(i)


def load(workload, n, folder):
    if workload == "red":
        return joblib.load(f"{folder}/all.joblib")
    return [load_one(workload, n, folder, i) for i in range(n)]


def load_one(workload, n, folder, i):
    if workload == "red":
        return joblib.load(f"{folder}/all.joblib")[i]
    value = _kept(workload, folder)(i)
    return value[0, 0] if workload == "blue" else value
