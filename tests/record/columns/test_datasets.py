"""A file that holds one of everything, read by h5dump, PyTables and plain h5py."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import h5py
import pytest

SOURCE = """
from kinds import KINDS, NAMES, nth
from simkit import experiment, product

@experiment
@product(i=range(2))
def everything(i, run, constant=[KINDS[kind][0] for kind in NAMES]):
    run.note("a remark")
    print("a line")
    return {name: nth(kind, i) for kind, name in NAMES.items()}
"""


@pytest.fixture(scope="module")
def everything(shared):
    shared.file("sim_everything.py", SOURCE)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    result = shared.simkit("-n", "0", env=env)
    assert result.code == 0, result.out + result.err
    return shared.path / "results" / "everything-001.h5"


def test_the_file_holds_no_types_that_common_readers_stumble_over(everything):
    """No object references, opaque blobs, lzf, external or virtual data, dimension scales, unusual enums."""
    seen = set()

    def look(_, thing):
        for key, value in thing.attrs.items():
            attribute = h5py.h5a.open(thing.id, key.encode())
            seen.add(("attribute", attribute.get_type().get_class()))
            assert value is not None
        if not isinstance(thing, h5py.Dataset):
            return
        assert thing.compression in (None, "gzip")
        assert not thing.is_virtual
        assert not thing.external
        assert not thing.is_scale
        seen.add(("data", thing.id.get_type().get_class()))
        assert h5py.check_ref_dtype(thing.dtype) is None
        thing[()]

    with h5py.File(everything, "r") as file:
        file.visititems(look)
    allowed = {h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM, h5py.h5t.COMPOUND}
    assert {kind for _, kind in seen} <= allowed
    assert ("data", h5py.h5t.STRING) in seen


def test_h5dump_reads_all_of_it(everything):
    if shutil.which("h5dump") is None:
        pytest.skip("h5dump is not installed (hdf5-tools)")
    shown = subprocess.run(
        ["h5dump", str(everything)], capture_output=True, check=False, errors="replace", timeout=60
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr[-2000:]
    assert "error" not in shown.stderr.lower()
    assert "a remark" in shown.stdout
    assert 'GROUP "everything"' in shown.stdout


@pytest.mark.filterwarnings("ignore")  # PyTables remarks on names with spaces and on types it does not write
def test_pytables_reads_all_of_it(everything):
    tables = pytest.importorskip("tables")
    with tables.open_file(str(everything), "r") as file:
        count = 0
        for node in file.walk_nodes("/"):
            assert not isinstance(node, tables.UnImplemented) or _is_beyond_pytables(node, everything)
            if isinstance(node, tables.Array):
                node.read()
                count += 1
        assert count > 100
        assert file.get_node("/everything/results")._v_nchildren > 100


def _is_beyond_pytables(node, path) -> bool:
    """Text of any length, long doubles and other orders: PyTables shows that they are there, no more."""
    with h5py.File(path, "r") as file:
        dtype = file[node._v_pathname].dtype
    return h5py.check_string_dtype(dtype) is not None or dtype.char in "gGO" or dtype.kind in "cV"
