"""A table of columns takes batches in any order, and says which of their rows are there."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from simkit.declare.annotations import Note
from simkit.record.columns.layout import read
from simkit.record.columns.rows import create_column
from simkit.record.columns.write import write_constant
from simkit.record.table import Table
from simkit.values.batch import Batch, Status
from simkit.values.columns import Column
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode


@pytest.fixture
def root():
    """An experiment's group with six pending runs."""
    with h5py.File.in_memory() as file:
        group = file.create_group("f", track_order=True)
        for section in ("parameters", "results", "runs"):
            group.create_group(section, track_order=True)
        create_column(group["runs"], "status", 6, np.dtype("u1"))
        yield group


def batch(runs, status=None, parameters=(), **results):
    n = len(runs)
    done = np.full(n, Status.DONE, "u1") if status is None else np.array(status, "u1")
    columns = {
        name: values if isinstance(values, Column) else encode(values) for name, values in results.items()
    }
    return Batch(np.array(runs), done, np.zeros(n), np.zeros(n), dict(parameters), columns)


def column(table, section, name):
    n, status = table.n, table.status
    there = status == Status.DONE if section == "results" else status != Status.PENDING
    return decode(read(table.root[section], name, slice(0, n), there))


def test_explored_values_may_come_with_the_batches_of_pending_runs(root):
    table = Table(root, explored=("x",))
    table.put(batch([0, 2], [Status.DONE, Status.PENDING], {"x": encode([1.5, 2.5])}))
    table.put(batch([1, 3], [Status.FAILED, Status.DONE], {"x": encode([3.5, 4.5])}))
    assert root["parameters/x"][:4].tolist() == [1.5, 3.5, 2.5, 4.5]
    assert "x.present" not in root["parameters"]
    assert table.status.tolist() == [1, 2, 0, 1, 0, 0]


def test_an_explored_name_that_some_runs_lack_is_absent_in_them(root):
    table = Table(root, explored=("x", "y"))
    table.put(batch([0, 1], [Status.DONE, Status.PENDING], {"x": encode([1, 2]), "y": Column(2, ())}))
    assert "y" not in root["parameters"]
    table.put(batch([2, 3], [Status.PENDING, Status.DONE], {"x": encode([3, 4]), "y": encode([5, 6])}))
    assert root["parameters/y.present"][:4].tolist() == [0, 0, 1, 1]
    assert root["parameters/y"][2:4].tolist() == [5, 6]


def test_a_constant_becomes_a_column_of_the_runs_tried_so_far(root):
    write_constant(root, "scale", 2.5, Note(float, "how large", "m"), "sim_a.py:3")
    table = Table(root)
    table.put(batch([1, 4], [Status.DONE, Status.FAILED], z=encode([1]).spread(2, np.array([0]))))
    table.widen("scale")
    table.repeat("scale", np.array([0, 5]), encode([7]))
    table.put(batch([0, 5], z=[2, 3]))
    assert column(table, "parameters", "scale") == [7, 2.5, ABSENT, ABSENT, 2.5, 7]
    attributes = dict(root["parameters/scale"].attrs)
    assert (attributes["comment"], attributes["unit"], attributes["origin"]) == (
        "how large",
        "m",
        "sim_a.py:3",
    )


def test_a_name_that_stands_in_the_way_of_others_fails_its_runs(root):
    table = Table(root)
    assert table.put(batch([0], **{"a.b": [1]})) == {}
    refused = table.put(batch([1, 2], a=encode([5]).spread(2, np.array([1]))))
    assert set(refused) == {2}
    assert "'a' is a leaf and, through 'a.b', a group in other runs" in refused[2]
    assert table.status[:3].tolist() == [Status.DONE, Status.DONE, Status.FAILED]


def test_what_is_known_of_a_column_is_written_with_its_first_row(root):
    table = Table(root)
    table.about["results", "z"] = (Note(None, "a remark", "mV"), "", False)
    table.put(batch([0], [Status.FAILED]))
    assert "z" not in root["results"]
    table.put(batch([1], z=[2.0]))
    assert dict(root["results/z"].attrs)["comment"] == "a remark"
    again = Table(root, placed=6)
    again.put(batch([0], z=["two"]))
    assert column(again, "results", "z")[:2] == ["two", 2.0]
    assert dict(root["results/z"].attrs)["unit"] == "mV"
