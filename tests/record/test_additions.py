"""What is added after the runs: safe, shared with readers, and no burden on the file."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
from processes import read_everything

import simkit
from simkit import experiment, parameter, product


@parameter
class Neuron:
    tau: float = 20.0
    N: int = 10


@experiment
@product(x=[1.0, 2.0, 3.0, 4.0])
def f(x, neuron, run):
    if x == 2:
        run.note(z="second")
        run.note("as expected")
    run.add(**{"spikes.t": np.arange(int(x))})
    return {"z": x * neuron.N}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "f.h5"
    simkit.run(f, output=path).close()
    return path


@pytest.fixture
def traj(file):
    with simkit.open(file, mode="r+") as traj:
        yield traj


def test_a_second_writer_is_refused(project):
    project.file("sim_a.py", "from simkit import *\n@experiment\n@product(x=[1, 2])\ndef f(x): return x\n")
    project.ok("sim_a.py::f[0]")
    path = project.path / "results" / "f-001.h5"
    with simkit.open(path, mode="r+") as traj:
        with pytest.raises(simkit.SimkitError) as caught:
            simkit.open(path, mode="r+")
        assert f"f-001.h5 is being written by process {os.getpid()} on " in str(caught.value)
        assert "(this one): close it there first, as with traj.close()" in str(caught.value)
        result = project.simkit()
        assert result.code == 4
        assert f"f-001.h5 is being written by process {os.getpid()} on " in result.err
        traj.note("still mine")
    project.ok()
    with simkit.open(path) as traj:
        assert traj["result"].tolist() == [1, 2]
        assert traj.notes() == ["still mine"]


def test_what_is_left_open_is_closed_with_the_process(project, file):
    opened = "simkit.open(sys.argv[1], mode='r+')"
    source = f"import sys, simkit; {opened}.note('kept'); t = {opened}; t.note('too')"
    result = project.python("-c", source, str(file))
    assert (result.code, result.err) == (0, "")
    assert [path.name for path in file.parent.iterdir() if path.is_file()] == ["f.h5"]  # neither lock nor log
    with h5py.File(file) as plain:
        assert plain["f/notes/text"].asstr()[:].tolist() == ["kept", "too"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_that_ends_leaves_the_file_to_its_parent(project, file):
    source = """if True:
        import os, sys, simkit
        traj = simkit.open(sys.argv[1], mode="r+")
        traj.note("before")
        if not os.fork():
            sys.exit()
        os.wait()
        assert os.path.exists(sys.argv[1] + ".lock")
        traj.note("after")
        os.kill(os.getpid(), 9)
    """
    result = project.python("-c", source, str(file))
    assert (result.code, result.err) == (-signal.SIGKILL, "")
    with simkit.open(file) as traj:
        assert traj.notes() == ["before", "after"]


def test_what_was_said_survives_a_kill(project, file):
    source = "import os, sys, simkit; t = simkit.open(sys.argv[1], mode='r+'); t.note('kept'); t.add(m=3)"
    result = project.python("-c", f"{source}; t.link('b', run=2); os.kill(os.getpid(), 9)", str(file))
    assert result.code == -signal.SIGKILL
    with simkit.open(file) as traj:
        assert (traj.notes(), traj.summary.m, traj.links.b.x) == (["kept"], 3, 3.0)
        assert traj["z"].tolist() == [10, 20, 30, 40]
    with simkit.open(file, mode="r+") as traj:  # the lock is free again
        traj.note("more")


def test_readers_keep_their_snapshot_and_later_ones_see_all(file):
    with simkit.open(file) as before, simkit.open(file, mode="r+") as traj:
        traj.note("new")
        traj.add(m=np.arange(1000))
        assert (before.notes(), list(before.summary)) == ([], [])
        with simkit.open(file) as later:
            assert (later.notes(), later.summary.m.sum()) == (["new"], 499500)
        before.close()
    assert read_everything(file) > 10


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no way to a full disk")
def test_a_full_disk_costs_the_addition_only(project, file):
    source = (
        "import resource, signal, sys, simkit, numpy as np; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "t = simkit.open(sys.argv[1], mode='r+'); t.note('kept')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, -1))\n"
        "try: t.add(m=np.random.rand(100_000))\n"
        "except simkit.SimkitError as error: print(error)\n"
        "try: t.note('late')\n"
        "except simkit.SimkitError as error: print(error)\n"
    )
    result = project.python("-c", source, str(file))
    assert "could not be written: File too large" in result.out
    assert "f.h5 is closed: open the trajectory again" in result.out
    with simkit.open(file) as traj:
        assert (traj.notes(), list(traj.summary)) == (["kept"], [])
        assert traj["z"].tolist() == [10, 20, 30, 40]


def test_adding_again_and_again_does_not_let_the_file_grow(file):
    def size():
        with simkit.open(file, mode="r+") as traj:
            for _ in range(10):
                traj.add(m=np.random.default_rng(1).normal(size=10_000))
        return file.stat().st_size

    sizes = [size() for _ in range(4)]
    assert sizes[-1] < 1.2 * sizes[0] < 600_000


def test_a_link_to_a_result_is_a_soft_link_for_every_tool(traj):
    traj.link("voltage", "z")
    traj.link("best", run=2)
    traj.close()
    with h5py.File(traj.path) as plain:
        assert plain["f/links/voltage"][:].tolist() == [10, 20, 30, 40]
        assert plain["f/links"].get("voltage", getlink=True).path == "/f/results/z"
        assert plain["f/links/best"][()] == 2
