"""signac: a job for each run, its document (green) or its HDF5 file (blue); one document of the project (red)."""

import signac
from workloads import array, scalar


def run(workload, n, folder, form):
    project = signac.init_project(folder)
    values = []
    for i in range(n):
        job = project.open_job({"i": i}).init()
        if workload == "red":
            values.append(scalar(i))
        elif workload == "green":
            job.doc["z"] = scalar(i)
        else:
            job.data["z"] = array(i)
    if workload == "red":
        project.doc["z"] = values


def load(workload, n, folder):
    project = signac.get_project(folder)
    if workload == "red":
        return list(project.doc["z"])
    if workload == "green":
        table = project.to_dataframe()
        return table.sort_values("sp.i")["doc.z"].to_numpy()
    return [load_one(workload, n, folder, i) for i in range(n)]


def load_one(workload, n, folder, i):
    project = signac.get_project(folder)
    if workload == "red":
        return project.doc["z"][i]
    job = project.open_job({"i": i})
    if workload == "green":
        return job.doc["z"]
    with job.data:
        return job.data["z"][0, 0]
