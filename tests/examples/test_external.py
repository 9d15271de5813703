"""The C simulator through the command: compiled once, parameters by a template, results parsed, files attached."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ellipk

import simkit

Python = Callable[..., str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "external"
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler named cc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, python: Python) -> Path:
    ignored = shutil.ignore_patterns("results")
    copied = Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("a") / "external", ignore=ignored))
    python(copied, "-m", "simkit", "-n", "2")
    return copied


def test_periods_are_those_of_the_theory(folder: Path) -> None:
    with simkit.open(folder / "results" / "swing-001.h5") as traj:
        assert traj.status.tolist() == ["done"] * 12
        free = traj.where("damping == 0")
        exact = 4 * ellipk(np.sin(free["angle"] / 2) ** 2)
        assert np.allclose(free["period"], exact, rtol=1e-3)
        assert np.allclose(free["swing"], free["angle"], rtol=1e-4)
        damped = traj.where("damping == 0.2")
        assert (damped["swing"] < 0.1 * damped["angle"]).all()


def test_each_run_has_its_program_and_its_file(folder: Path) -> None:
    with simkit.open(folder / "results" / "swing-001.h5") as traj:
        for run in traj.index:
            (command,) = traj.commands(run)
            assert (Path(command.arguments[0]).name, command.exit_code) == ("pendulum", 0)
            time, angle, _ = np.loadtxt(io.BytesIO(traj.files(run)["trace.dat"]), unpack=True)
            assert (len(time), time[-1]) == (500, pytest.approx(49.9))
            assert angle[0] == pytest.approx(traj["angle"][run], rel=1e-4)
            assert traj.log(run).startswith("period = ")


def test_a_refusal_of_the_program_fails_its_run(folder: Path, python: Python) -> None:
    with pytest.raises(AssertionError, match=r"exit code 3\n\s*a time step of 2 does not do"):
        python(folder, "-m", "simkit", "sim_pendulum.py::swing[0]", "--set", "dt=2.0", "-n", "1", "--fresh")
    (folder / "results" / "swing-002.h5").unlink()


def test_the_reading_script_and_the_export_give_the_files_back(folder: Path, python: Python) -> None:
    printed = python(folder, "read.py")
    assert "run 9: 500 points, energy within " in printed
    assert "pendulum: exit code 0" in printed
    assert "traces/   12 files" in python(folder, "-m", "simkit", "export", "swing", "--files", "traces")
    with simkit.open(folder / "results" / "swing-001.h5") as traj:
        assert (folder / "traces" / "03" / "trace.dat").read_bytes() == traj.files(3)["trace.dat"]
