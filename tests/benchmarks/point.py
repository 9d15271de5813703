"""One point of the figure in a fresh process: one system, workload and number of runs; prints what it took as JSON.

usage: python point.py '{"module": "on_loop", "phase": "run" | "load" | "one" | "table", "workload": "red", "n": 10, …}'
"""

import importlib
import json
import resource
import sys
import time

import numpy as np


def cpu():
    """Seconds of CPU of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main():
    point = json.loads(sys.argv[1])
    began = time.perf_counter()
    system = importlib.import_module(f"systems.{point['module']}")
    imported = time.perf_counter() - began
    workload, n, folder, form = point["workload"], point["n"], point["folder"], point["form"]
    work = {
        "run": lambda: system.run(workload, n, folder, form),
        "load": lambda: system.load(workload, n, folder),
        "one": lambda: system.load_one(workload, n, folder, n // 2),
        "table": lambda: system.load_table(workload, n, folder),
    }[point["phase"]]
    if point["phase"] == "table":
        work()  # imports, and the file into the system's cache
    used, began = cpu(), time.perf_counter()
    values = work()
    taken = {"seconds": time.perf_counter() - began, "cpu": cpu() - used, "import": imported}
    if point["phase"] != "run":
        check(np.asarray(values, float).ravel(), n, point["phase"])
    print("\n" + json.dumps(taken))


def check(values, n, phase):
    """Stop unless these are the numbers that were to be recorded, in order."""
    import workloads

    right = workloads.expected(n)
    right = right[n // 2 : n // 2 + 1] if phase == "one" else right
    if values.shape != right.shape or not np.allclose(values, right, rtol=0, atol=1e-12):
        sys.exit(f"wrong values: {values[:5]} instead of {right[:5]}")


if __name__ == "__main__":
    main()
