"""xyzpy: `Harvester` into one netCDF file (red); a `Crop` with a batch for each run, then reaped (green, blue)."""

import workloads
import xyzpy


def scalar(i):
    return workloads.scalar(i)


def array(i):
    return workloads.array(i)


def run(workload, n, folder, form):
    runner = (
        xyzpy.Runner(array, var_names=["z"], var_dims={"z": ["t", "c"]})
        if workload == "blue"
        else xyzpy.Runner(scalar, var_names=["z"])
    )
    harvester = xyzpy.Harvester(runner, data_name=f"{folder}/all.h5")
    points = {"i": list(range(n))}
    if workload == "red":
        harvester.harvest_combos(points, verbosity=0)
        return
    crop = harvester.Crop(name="crop", parent_dir=folder, batchsize=1)
    crop.sow_combos(points, verbosity=0)
    crop.grow_missing(verbosity=0, subprocess=False)
    crop.reap(verbosity=0)


def load(workload, n, folder):
    values = xyzpy.load_ds(f"{folder}/all.h5").load()["z"].values
    return values[:, 0, 0] if workload == "blue" else values


def load_one(workload, n, folder, i):
    value = xyzpy.load_ds(f"{folder}/all.h5")["z"].isel(i=i).values
    return value[0, 0] if workload == "blue" else value
