"""The Brian2 example: are its monitors recorded as Brian2 shows them, and does inhibition inhibit?"""

import shutil
from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import simkit

brian2 = pytest.importorskip("brian2", reason="an extra: pip install simkit[brian2]")
Python = Callable[..., str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "brian2_network"


@pytest.fixture(scope="module")
def folder(python: Python, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, run once."""
    target = tmp_path_factory.mktemp("study") / "brian2_network"
    shutil.copytree(EXAMPLE, target, ignore=shutil.ignore_patterns("results", "__pycache__"))
    python(target, "-m", "simkit", "-n", "2", "--seed", "7")
    return target


def test_stronger_inhibition_lets_fewer_spikes_through(folder: Path) -> None:
    with simkit.open(folder / "results" / "network-001.h5") as traj:
        rates = traj["rate"]
        assert brian2.get_dimensions(rates) == brian2.Hz.dim
        assert (np.diff(rates / brian2.Hz) < -3).all()
        for run in traj.runs:
            count = len(run.spikes.i)
            assert run.rate == count / traj.parameters.neuron.N / traj.parameters.duration
            assert run.spikes["count"].sum() == count


def test_monitors_are_recorded_as_brian2_shows_them(folder: Path) -> None:
    with simkit.open(folder / "results" / "network-001.h5") as traj:
        run = traj.runs[0]
        assert run.trace.V.shape == (3, 2000)  # recorded neurons, time steps
        assert brian2.get_dimensions(run.trace.V) == brian2.volt.dim
        assert run.trace.record.tolist() == traj.parameters.recorded == [0, 1, 2]
        np.testing.assert_allclose(np.diff(run.trace.t / brian2.ms), 0.1, rtol=1e-9)
        assert run.trace.V.max() <= traj.parameters.neuron.threshold
        assert run.spikes.t.max() < traj.parameters.duration
        assert set(run.spikes.i.tolist()) <= set(range(100))
        # Neuron 0 is reset in the step in which it fires.
        fired = np.rint(run.spikes.t[run.spikes.i == 0] / (0.1 * brian2.ms)).astype(int)
        assert len(fired) > 3
        assert (run.trace.V[0][fired + 1] < 0.1 * brian2.mV).all()


def test_the_same_seed_is_the_same_network_with_any_workers(
    python: Python, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "again.h5"
    python(folder, "-m", "simkit", "-n", "0", "--seed", "7", "--output", str(output))
    first = folder / "results" / "network-001.h5"
    with simkit.open(output) as again, simkit.open(first) as traj:
        for one, other in zip(again.runs, traj.runs, strict=True):
            np.testing.assert_array_equal(one.spikes.i, other.spikes.i)
            np.testing.assert_array_equal(np.asarray(one.trace.V), np.asarray(other.trace.V))


def test_a_quantity_is_typed_with_its_unit(python: Python, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "fast.h5"
    settings = (
        "--set",
        "neuron.tau=10*ms",
        "--set",
        "duration=0.02*second",
        "--product",
        "syn.w=-1*mV,-2*mV",
    )
    python(folder, "-m", "simkit", *settings, "--output", str(output))
    with simkit.open(output) as traj:
        assert traj.parameters.neuron.tau == 10 * brian2.ms
        np.testing.assert_array_equal(traj["syn.w"] / brian2.mV, [-1.0, -2.0])


def test_the_picture_has_a_raster_and_voltages_per_strength(
    python: Python, folder: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "network.png"
    python(folder, "plot_network.py", str(folder / "results" / "network-001.h5"), str(picture))
    pixels = matplotlib.image.imread(picture)[:, :, :3]
    height, width, _ = pixels.shape
    inside = np.s_[height // 12 : height // 2]
    ink = [
        (pixels[inside, part * width // 3 : (part + 1) * width // 3].sum(axis=2) < 0.5).mean()
        for part in range(3)
    ]
    assert ink[0] > ink[1] > ink[2] > 0.002  # ever fewer dots
    coloured = np.ptp(pixels[2 * height // 3 :], axis=2) > 0.3
    assert coloured.mean() > 0.01  # the voltages
