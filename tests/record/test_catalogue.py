"""Which trajectories are in a file, and where the next one goes."""

from __future__ import annotations

import pytest

import simkit
from simkit import explore
from simkit.errors import Damaged
from simkit.record import catalogue
from simkit.record.catalogue import Slot, existing, following, newest_of_each, node_id_of, opened


def test_several_experiments_stand_in_one_file(tmp_path):
    def f():
        return 1

    def g():
        return 2

    for function in (f, g):
        simkit.run(function, output=tmp_path / "all.h5").close()
    assert simkit.open(tmp_path / "all.h5", "g")["result"].tolist() == [2]
    with pytest.raises(simkit.SimkitError, match="holds several experiments: f, g"):
        simkit.open(tmp_path / "all.h5")


def test_the_next_trajectory_in_one_file_is_numbered(tmp_path):
    def f(x=1, y=1):
        return x

    for space in (explore(x=[1]), explore(y=[1]), explore(x=[1, 2])):
        simkit.run(f, space, output=tmp_path / "all.h5").close()
    assert len(simkit.open(tmp_path / "all.h5", "f")) == 2
    assert len(simkit.open(tmp_path / "all.h5", "f-002")) == 1


def test_what_is_damaged_and_may_hold_the_newest_runs_is_not_passed_over(tmp_path):
    def f(x):
        return x

    path = tmp_path / "f-001.h5"
    simkit.run(f, explore(x=[1]), output=path).close()
    assert opened(Slot(path, "g")) is None
    data = bytearray(path.read_bytes())
    data[100] ^= 4
    path.write_bytes(data)
    with pytest.raises(Damaged, match=r"(?s)f-001\.h5 is damaged.*it may hold the newest runs of f, so"):
        opened(Slot(path, "f"))


def test_a_file_of_many_experiments_is_looked_into_once_between_two_commits(tmp_path, monkeypatch):
    """Each experiment of a command asks what stands in it: with all of the file each time, that is a square."""
    path, looks = tmp_path / "all.h5", []

    def look(file, original=catalogue.open_for_reading):
        looks.append(file)
        return original(file)

    monkeypatch.setattr(catalogue, "open_for_reading", look)
    for number, name in enumerate(["f", "g", "h"], 1):

        def made(x):
            return x

        made.__name__ = made.__qualname__ = name
        simkit.run(made, explore(x=[1]), output=path).close()
        looks.clear()
        assert [slot.group for slot in newest_of_each(tmp_path, path)] == ["h", "g", "f"][-number:]
        assert [slot.group for slot in existing(tmp_path, name, path)] == [name]
        assert following(tmp_path, name, path).group == f"{name}-002"
        assert node_id_of(Slot(path, name)).endswith(f"::{name}")
        assert len(looks) == 1
