"""pipefunc: `Pipeline.map`, kept in a dictionary until the end (red) or in a file for each element (green, blue)."""

import workloads
from pipefunc import Pipeline, pipefunc
from pipefunc.map import load_outputs


@pipefunc(output_name="z", mapspec="i[k] -> z[k]")
def scalar(i):
    return workloads.scalar(i)


@pipefunc(output_name="z", mapspec="i[k] -> z[k]")
def array(i):
    return workloads.array(i)


def run(workload, n, folder, form):
    pipeline = Pipeline([array if workload == "blue" else scalar])
    pipeline.map(
        {"i": list(range(n))},
        run_folder=f"{folder}/run",
        parallel=False,
        storage="dict" if workload == "red" else "file_array",
        return_results=False,
        show_progress=None,
    )


def load(workload, n, folder):
    values = load_outputs("z", run_folder=f"{folder}/run")
    return [value[0, 0] for value in values] if workload == "blue" else values


def load_one(workload, n, folder, i):
    if workload == "red":
        return load(workload, n, folder)[i]
    from pipefunc.map import load_xarray_dataset

    value = load_xarray_dataset("z", run_folder=f"{folder}/run")["z"].values[i]
    return value[0, 0] if workload == "blue" else value
