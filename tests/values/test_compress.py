"""Arrays compressed in the workers are what any HDF5 reader expects, and smaller."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import simkit
from simkit.values.compress import SMALL, packed

TEXT = """
import numpy as np
from simkit import experiment, product

{decorator}
@product(i=range(30))
def f(i, rng):
    return {{
        "smooth": np.sin(np.arange(20_000) / 500 + i),
        "noise": rng.random(9_000),
        "ragged": np.arange(9_000 + i),
        "small": np.arange(3),
        "times": np.arange(2_000).astype("M8[s]"),
        "inside": {{"counts": np.full(5_000, i)}},
    }}
"""


def run(project, workers, decorator="@experiment(compress=True)", config=""):
    project.file("sim_f.py", TEXT.format(decorator=decorator))
    project.file("pyproject.toml", f"[tool.simkit]\n{config}\n")
    done = project.ok("-n", str(workers), "--seed", "1", "--fresh")
    assert "30 done" in done.out
    return max((project.path / "results").glob("*.h5"))


@pytest.mark.parametrize("workers", [0, 2])
def test_plain_h5py_reads_what_the_workers_compressed(project, workers):
    path = run(project, workers)
    with h5py.File(path) as file:
        results = file["f/results"]
        smooth, noise = results["smooth"], results["noise"]
        assert (smooth.compression, smooth.shuffle, smooth.chunks) == ("gzip", True, (1, 20_000))
        assert smooth.id.get_chunk_info(0).size < 20_000 * 8 * 0.8
        assert {noise.id.get_chunk_info(i).filter_mask for i in range(30)} == {0b11}  # it did not pay
        for i in range(30):
            np.testing.assert_array_equal(smooth[i], np.sin(np.arange(20_000) / 500 + i))
        assert results["ragged/values"].compression == "gzip"
        assert results["inside/counts"].compression == "gzip"
        assert results["small"].compression is None


def test_values_are_those_of_an_uncompressed_study(project):
    with simkit.open(run(project, 2)) as traj, simkit.open(run(project, 0, "@experiment")) as plain:
        for name in ("smooth", "noise", "times", "small"):
            np.testing.assert_array_equal(traj[name], plain[name])
        for ours, theirs in zip(traj["ragged"], plain["ragged"], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert traj.path.stat().st_size < 0.6 * plain.path.stat().st_size


def test_the_configuration_says_it_for_all_and_an_experiment_for_itself(project):
    config = "compress = true"
    with h5py.File(run(project, 0, "@experiment", config)) as file:
        assert file["f/results/smooth"].compression == "gzip"
    with h5py.File(run(project, 0, "@experiment(compress=False)", config)) as file:
        assert file["f/results/smooth"].compression is None


def test_a_later_session_may_decide_otherwise(project):
    path = run(project, 0)
    project.file("sim_f.py", TEXT.format(decorator="@experiment").replace("range(30)", "range(35)"))
    assert "5 done" in project.ok("-n", "0").out
    with simkit.open(path) as traj:
        assert traj.status.tolist() == ["done"] * 35
        np.testing.assert_array_equal(traj["smooth"][33], np.sin(np.arange(20_000) / 500 + 33))


def test_compress_is_true_or_false():
    with pytest.raises(simkit.SimkitError, match=r"test_compress\.py:\d+: compress=3: give True or False"):
        simkit.experiment(compress=3)


DTYPES = st.sampled_from(["i1", "i4", "f8", "c16", "?", "M8[s]", "f2", ">f8"]).map(np.dtype)


@given(DTYPES.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(max_dims=3, max_side=5))), st.booleans())
def test_a_packed_array_is_the_array_again(array, tall):
    if tall:
        array = np.resize(array, (3, SMALL // array.dtype.itemsize))
    chunk = packed(array)
    again = np.asarray(chunk)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert again.tobytes() == np.ascontiguousarray(array).tobytes()
    assert chunk.nbytes <= array.nbytes
