"""A run that travels alone is the same run as in a batch of arrays."""

from __future__ import annotations

import pickle

import attrs
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simkit.declare.axes import from_list
from simkit.declare.plugins import OWN
from simkit.execute.processes.worker import plain, unpacked
from simkit.values.alone import OnePoint, OneRun, element_of, gathered, number
from simkit.values.batch import Batch, Checkpoints, Portion, Status, one_batch
from simkit.values.compare import same
from simkit.values.decode import decode
from simkit.values.encode import encode

numbers = st.one_of(
    st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.complex_numbers(),
    st.floats().map(np.float64), st.integers(0, 2**64 - 1).map(np.uint64), st.integers(-128, 127).map(np.int8),
)  # fmt: skip
given_names = st.dictionaries(st.sampled_from(["z", "w", "a.b"]), numbers)


def batch_of(run, results, parameters=(), seed=None, worker=2, **more):
    return Batch(
        np.array([run]), np.array([Status.DONE], "u1"), np.array([1.7e9 + run]), np.array([0.02 * run], "f4"),
        {name: encode([value]) for name, value in dict(parameters).items()},
        {name: encode([value]) for name, value in results.items()},
        None if seed is None else np.array([seed], "u8"), worker=worker, **more,
    )  # fmt: skip


def travelled(run, results, parameters=(), seed=None, worker=2):
    """The same, as it comes to the owner."""
    seconds = np.float32(0.02 * run).item()
    one = OneRun.made(run, 1.7e9 + run, seconds, seed, dict(parameters), results)
    return OneRun.of(pickle.loads(pickle.dumps(one.from_worker(worker))))


def check_same(one, other):
    for field in attrs.fields(Batch):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, dict):
            assert list(left) == list(right)
            for name in left:
                assert left[name].whole.signature == right[name].whole.signature
                assert same(decode(left[name]), decode(right[name]))
        elif field.name == "nbytes":
            assert left >= right
        else:
            assert np.asarray(left).dtype == np.asarray(right).dtype, field.name
            assert np.array_equal(left, right), field.name


@given(given_names, given_names, st.one_of(st.none(), st.integers(0, 2**63 - 1)))
def test_a_run_is_the_same_at_the_other_end(results, parameters, seed):
    batch = batch_of(7, results, parameters, seed)
    one = travelled(7, results, parameters, seed)
    values = {name: decode(column)[0] for name, column in {**batch.parameters, **batch.results}.items()}
    assert same(one.values(), values)
    assert {name: type(value) for name, value in one.values().items()} == {
        name: type(value) for name, value in values.items()
    }
    assert (one.run, one.count, one.is_done, one.has_seeds) == (7, 1, True, seed is not None)
    check_same(one, batch)
    check_same(pickle.loads(pickle.dumps(one)), batch)


class Number(float):
    """What has a class of its own is no plain number."""


@pytest.mark.parametrize(
    "value",
    [
        "a",
        None,
        np.zeros(2),
        np.zeros(()),
        np.float32(1),
        np.datetime64("2026-01-01"),
        2**63,
        -(2**63) - 1,
        Number(1),
    ],
    ids=repr,
)
def test_what_is_no_number_goes_as_a_batch(value):
    assert number(value) is None
    assert OneRun.made(7, 0.0, 0.0, None, {}, {"y": 1.0, "z": value}) is None
    assert OneRun.made(7, 0.0, 0.0, None, {"p": value}, {"z": 1.0}) is None


def test_a_number_that_a_codec_of_the_users_takes_goes_as_a_batch(monkeypatch):
    monkeypatch.setitem(OWN.by_type, np.float64, None)
    assert number(np.float64(1)) is None
    assert number(np.int8(1)) == ("scalar", "b", 1)


@example([3, 5, 4, 9], [0.0, 0.0, 0.0, float("nan")], "z")
@given(
    st.permutations([3, 5, 4, 9]), st.lists(numbers, min_size=4, max_size=4), st.sampled_from(["", "z", "w"])
)
def test_many_are_one_batch_in_the_order_of_their_runs(runs, values, lacking):
    """Also where they gave other names, or other types."""
    ones = [
        (run, {"z": value, "w": run}, (), None if lacking == "w" else run, run % 2)
        for run, value in zip(runs, values, strict=True)
    ]
    if lacking:
        ones[2] = runs[2], {name: value for name, value in {"z": 1.0, "w": 2}.items() if name != lacking}
    batch, expected = gathered([travelled(*one) for one in ones]), one_batch([batch_of(*one) for one in ones])
    assert type(batch) is Batch
    assert batch.runs.tolist() == [3, 4, 5, 9]
    for name in ("runs", "status", "started", "seconds", "worker", "seeds"):
        assert np.array_equal(getattr(batch, name), getattr(expected, name)), name
    assert batch.nbytes >= expected.nbytes
    for name in expected.results:
        left, right = batch.results[name], expected.results[name]
        assert [node.signature for _, node in left.variants] == [node.signature for _, node in right.variants]
        assert all(map(same, decode(left), decode(right)))  # one by one: a list with a gap has no digest


def test_a_changed_copy_is_a_batch_as_any_other():
    one = travelled(7, {"z": 1.0})
    copy = attrs.evolve(one, status=np.array([Status.FAILED], "u1"), errors={7: "refused"})
    assert type(copy) is Batch
    assert not copy.is_done
    with pytest.raises(AttributeError, match="nothing"):
        one.nothing  # noqa: B018


def test_one_run_and_arrays_are_one_batch():
    batch = gathered([travelled(7, {"z": 1.0}), batch_of(3, {"z": "text"})])
    assert batch.runs.tolist() == [3, 7]
    assert decode(batch.results["z"]) == ["text", 1.0]


@given(
    st.dictionaries(
        st.sampled_from("xyz"), st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans())
    )
)
def test_a_point_of_numbers_is_the_same_in_the_worker(point):
    portions = (
        Portion(np.array([4]), {name: from_list([value]) for name, value in point.items()}),
        OnePoint.of(4, point),
    )
    for portion in portions:
        there = unpacked(pickle.loads(pickle.dumps(plain(portion))))
        assert len(there) == 1
        assert there.runs.tolist() == [4]
        assert {name: values.elements() for name, values in there.points.items()}.keys() == point.keys()
        for name, value in point.items():
            (element,) = there.points[name].elements()
            assert same(element, value)
            assert type(element) is type(value)
        assert there.part(0, 1).runs.tolist() == [4]


def test_what_has_more_to_it_is_no_plain_point():
    point = {"x": from_list([1.0])}
    restored = Checkpoints({4: None}).known
    assert plain(Portion(np.array([4]), {"x": from_list(["text"])})) is None
    assert plain(Portion(np.array([4, 5]), {"x": from_list([1.0, 2.0])})) is None
    assert plain(Portion(np.array([4]), point, memory=5)) is None
    assert plain(Portion(np.array([4]), point, stops={})) is None
    assert plain(Portion(np.array([4]), point, restored)) is None
    assert plain(OnePoint.of(4, {"x": 1.0}, restored)) is None
    assert element_of(from_list([2**64])) is None
