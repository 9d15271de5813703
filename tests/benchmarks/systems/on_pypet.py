"""pypet 0.6.1, in an environment of its own: it does not import with NumPy 2."""

import numpy as np
from pypet import Environment, load_trajectory
from workloads import array, scalar


def red(traj):
    return scalar(traj.i)


def green(traj):
    traj.f_add_result("z", scalar(traj.i))


def blue(traj):
    traj.f_add_result("z", array(traj.i))


WORK = {"red": red, "green": green, "blue": blue}


def run(workload, n, folder, form):
    options = {"complib": form, "complevel": 5} if form else {}
    environment = Environment(
        trajectory="T",
        filename=f"{folder}/all.hdf5",
        overwrite_file=True,
        log_config=None,
        report_progress=False,
        **options,
    )
    traj = environment.trajectory
    traj.f_add_parameter("i", 0, comment="the number of the run")
    traj.f_explore({"i": list(range(n))})
    returned = environment.run(WORK[workload])
    if workload == "red":
        traj.f_add_result("all", np.array([value for _, value in sorted(returned)]))
        traj.f_store()
    environment.disable_logging()


def _load(folder, results):
    traj = load_trajectory(
        filename=f"{folder}/all.hdf5",
        index=-1,
        load_parameters=2,
        load_derived_parameters=0,
        load_results=results,
        load_other_data=0,
    )
    traj.v_auto_load = True
    return traj


def load(workload, n, folder):
    if workload == "red":
        return _load(folder, 0).results["all"]
    traj = _load(folder, 2)
    values = traj.f_get_from_runs("z", fast_access=True)
    numbers = [values[name] for name in sorted(values)]
    return [value[0, 0] for value in numbers] if workload == "blue" else numbers


def load_one(workload, n, folder, i):
    traj = _load(folder, 0)
    if workload == "red":
        return traj.results["all"][i]
    traj.v_idx = i
    value = traj.results.runs.crun.z
    return value[0, 0] if workload == "blue" else value
