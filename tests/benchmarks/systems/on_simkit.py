"""simkit: a project of one file, and its command."""

import os
from pathlib import Path

import simkit
from simkit.cli.main import main

SOURCE = """\
import time
from simkit import experiment, explore
from workloads import GOLDEN, array

@experiment{options}
@explore(i=range({n}))
def bench(i{arguments}):
    {body}
"""
# What an experiment with a hundred results would write: names that its source knows, and no loop that makes them.
HUNDRED = ", ".join(["'z': i * GOLDEN % 1.0", *(f"'z{k}': i * 0.5" for k in range(99))])
# workload, form: options of the decorator, further arguments, body
FORMS = {
    "scalar returned": ("", "", 'return {"z": i * GOLDEN % 1.0}'),
    "scalar alone": ("", "", "return i * GOLDEN % 1.0"),
    "scalar added": ("", ", run", "run.add(z=i * GOLDEN % 1.0)"),
    "scalar vectorized": ("(vectorized=True)", "", 'return {"z": i * GOLDEN % 1.0}'),
    "scalar drawn": ("", ", rng", "return rng.random() * 0 + i * GOLDEN % 1.0"),
    "scalar named": ("", "", f"return {{{HUNDRED}}}"),
    "scalar worked": (
        "",
        "",
        "end = time.thread_time() + 1e-3\n    while time.thread_time() < end: pass\n    return i * GOLDEN % 1.0",
    ),
    "array returned": ("", "", 'return {"z": array(i)}'),
}


def run(workload, n, folder, form):
    """The whole command: found, resolved, executed, recorded, committed, its circumstances included."""
    way, workers = form.split(" -n ")
    kind = "array" if workload == "blue" else "scalar"
    options, arguments, body = FORMS[f"{kind} {way}"]
    Path(folder, "pyproject.toml").write_text("[tool.simkit]\n", "utf-8")
    Path(folder, "sim_bench.py").write_text(
        SOURCE.format(n=n, options=options, arguments=arguments, body=body), "utf-8"
    )
    os.chdir(folder)
    code = main(["-q", "-n", workers])
    if code:
        raise SystemExit(f"simkit ended with {code}")


def _open(folder):
    return simkit.open(Path(folder, "results", "bench-001.h5"))


def _name(traj):
    return "z" if "z" in traj else "result"


def load(workload, n, folder):
    with _open(folder) as traj:
        values = traj[_name(traj)]
        return values[:, 0, 0] if workload == "blue" else values


def load_table(workload, n, folder):
    """The parameters, the status and a result, as a DataFrame."""
    with _open(folder) as traj:
        return traj.to_dataframe(["i", "status", _name(traj)])[_name(traj)]


def load_one(workload, n, folder, i):
    with _open(folder) as traj:
        value = getattr(traj.runs[i], _name(traj))
        return value[0, 0] if workload == "blue" else value
