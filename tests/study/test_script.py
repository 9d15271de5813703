"""Loops of a script's own: many calls append to one trajectory."""

from __future__ import annotations

import numpy as np
import pytest

import simkit
from simkit import SimkitError, explore, product


def f(x, scale: float = 2.0):
    """Fails for negative numbers."""
    if x < 0:
        raise ValueError
    return {"z": scale * x}


@pytest.mark.parametrize("workers", [0, 2])
def test_many_calls_append_to_one_trajectory_and_are_answered_again(tmp_path, workers):
    seconds = []
    for number in (2, 3):
        with simkit.start(f, workers=workers, output=tmp_path / "f.h5", seed=1) as study:
            x = [1.0, 2.0]
            for _ in range(number):
                results = study.run(explore(x=x))
                x = results["z"].tolist()
        assert results["z"].tolist() == [2.0**number, 2.0 ** (number + 1)]
        with simkit.open(study.path) as traj:
            assert traj["generation"].tolist() == [i // 2 for i in range(2 * number)]
            assert traj.parameters.scale == 2.0
            seconds.append(traj["seconds"].tolist())
    assert seconds[1][:4] == seconds[0]


def test_an_exception_in_the_block_keeps_what_is_done(tmp_path):
    def script():
        with simkit.start(f, output=tmp_path / "f.h5", set={"scale": 3.0}) as study:
            study.run(product(x=[1.0, -1.0, 2.0]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        script()
    with simkit.open(tmp_path / "f.h5") as traj:
        np.testing.assert_array_equal(traj["z"], [3, np.nan, 6])
        assert traj.status.tolist() == ["done", "failed", "done"]
        assert "interrupted" in traj.info.sessions[0]["outcome"]


def test_a_mistake_names_the_line_that_asked(tmp_path):
    with simkit.start(f, output=tmp_path / "f.h5") as study, pytest.raises(SimkitError) as error:
        study.run(explore(y=[1.0]))
    assert "test_script.py" in str(error.value)
    assert "study.run() asks for points of x, y" in str(error.value)
    assert not study.path.exists()


AGAIN = "\n    call simkit.start again: it goes on where it was"
IN_ITS_BLOCK = "study.run(): points are taken in its block: with simkit.start(…) as study: …"


def test_points_are_taken_in_the_block_of_a_study_only(tmp_path):
    study = simkit.start(f, output=tmp_path / "f.h5")
    with pytest.raises(SimkitError) as error:
        study.run(explore(x=[1.0]))
    assert IN_ITS_BLOCK in str(error.value)
    assert not study.path.exists()
    with study:
        study.run(explore(x=[1.0]))
    with pytest.raises(SimkitError) as error:
        study.run(explore(x=[2.0]))
    assert "test_script.py" in str(error.value)
    assert f"study.run(): the study is over, and takes no more points{AGAIN}" in str(error.value)
    with pytest.raises(SimkitError, match=r"test_script.py:.*: a study is entered once") as error, study:
        pass
    assert AGAIN in str(error.value)
    with simkit.start(f, output=study.path) as study:  # nobody holds the file
        study.run(explore(x=[1.0]))
        study.run(explore(x=[2.0]))
    with simkit.open(study.path) as traj:
        assert traj["x"].tolist() == [1.0, 2.0]
