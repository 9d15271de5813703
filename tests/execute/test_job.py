"""What a worker gets from the owner."""

from __future__ import annotations

import pickle

import numpy as np

import simkit
from simkit.declare.space import product
from simkit.execute.job import Declared, portable
from simkit.execute.processes.worker import packed, unpacked
from simkit.testing.engines import job_of, squares
from simkit.values.batch import Portion


class Odd:
    """No two of these are equal, and none can be pickled by its name."""

    def __reduce__(self):
        raise TypeError("stay here")


def test_declared_objects_travel_as_numbers():
    first, second = Odd(), Odd()
    space = simkit.explore(x=[first, second, first, "text", 3], y=[1.0, 2.0, 3.0, 4.0, 5.0])
    declared = Declared.of(space)
    assert declared.elements == [first, second, first]
    portion = Portion(np.array([0, 1, 2, 4]), space.at(np.array([0, 1, 2, 4])))
    back = unpacked(declared.loads(declared.dumps(packed(portion))))
    assert back.points["x"].elements() == [first, second, first, 3]
    assert back.points["y"].elements() == [1.0, 2.0, 3.0, 5.0]
    assert back.runs.tolist() == [0, 1, 2, 4]


def test_a_space_of_a_million_points_is_not_sent_to_a_spawned_worker():
    space = product(x=np.linspace(0, 1, 1000), label=[str(i) for i in range(1000)])
    job = job_of(squares, space)
    source = portable(job, Declared.of(space))
    small = portable(job_of(squares, product(x=[0.0], label=["a"])), Declared())
    assert len(pickle.dumps(source)) < len(pickle.dumps(small)) + 100
