"""Columns written batch by batch, in any order, come back as they were."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storable import EXAMPLES, values
from written import Written, written

from simkit.errors import SimkitError
from simkit.record.columns.write import Sink
from simkit.values.decode import ABSENT, as_array
from simkit.values.encode import encode

# Each type by itself


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_type_comes_back_from_one_batch(kind):
    wanted = EXAMPLES[kind]
    written(dict(enumerate(wanted)), n=len(wanted)).check()


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_type_comes_back_row_by_row_with_holes_and_out_of_order(kind):
    wanted = EXAMPLES[kind]
    result = written(
        *({3 * i + 1: value} for i, value in reversed(list(enumerate(wanted)))), n=3 * len(wanted)
    )
    result.check()
    result.check(1, 3 * len(wanted) - 1)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_type_goes_on_in_a_later_session(kind):
    wanted = EXAMPLES[kind]
    result = written(dict(enumerate(wanted)), n=len(wanted))
    result.open()
    result.grow(2 * len(wanted))
    result.put({len(wanted) + 2 * i: value for i, value in enumerate(wanted)})
    result.check()


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_type_goes_beside_an_integer(kind):
    written({0: 5}, {i + 1: v for i, v in enumerate(EXAMPLES[kind])}, n=len(EXAMPLES[kind]) + 1).check()


# What turns up on the way


@pytest.mark.parametrize(
    "batches",
    [
        [{0: 1, 1: 2}, {2: 2.5}],
        [{0: 1}, {1: 2**70}],
        [{0: np.int8(1)}, {1: np.int16(300)}, {2: np.int8(2)}],
        [{0: "a"}, {1: "a\0"}, {2: None}],
        [{0: np.zeros(2)}, {1: np.zeros(3)}, {2: np.zeros(2)}],
        [{0: np.zeros(2)}, {1: np.zeros((2, 2))}],
        [{0: np.zeros(2)}, {1: np.zeros(2, "f4")}],
        [{0: np.zeros((2, 3)), 1: np.ones((2, 3))}, {2: np.zeros((0, 3))}],
        [{2: [1, 2]}, {0: [1]}, {1: [1, "a"]}, {3: []}],
        [{0: {"a": 1}}, {1: {"b": 2}}, {2: {"a": 3}}, {3: {}}],
        [{0: {"a": 1, "b": 2}}, {1: {"b": 2, "a": 1}}],
        [{0: {"a": 1}}, {1: {"a": "x"}}, {2: {"a": np.zeros(2)}}],
        [{0: [{"a": 1}]}, {1: [{"b": 1}, {"a": [2.5]}]}],
        [{0: None}, {1: 1.0}, {2: None}],
        [{0: True}, {1: 1}, {2: 1.0}],
        [{0: np.arange(10_000)}, {1: np.arange(10_001)}, {2: np.arange(3)}],
        [{0: np.arange(10_000.0)}, {1: ABSENT}, {2: np.arange(10_000.0), 4: np.ones(10_000)}],
        [{0: np.zeros(3, "M8[s]")}, {1: np.zeros(2, "M8[s]")}],
        [{0: np.array(["a", "b"])}, {1: np.array(["c"])}, {2: np.array(["long"])}],
    ],
)
@pytest.mark.parametrize("sessions", ["one session", "a session each"])
def test_types_and_shapes_may_change_from_batch_to_batch(batches, sessions):
    result = Written(6)
    for batch in batches:
        result.put(batch)
        if sessions == "a session each":
            result.open()
    result.check()


def test_a_type_that_widens_is_read_as_one_array():
    assert as_array(written({0: 1, 1: 2}, {2: 2.5}, n=3).column()).tolist() == [1.0, 2.0, 2.5]


def test_one_type_and_shape_is_one_plain_dataset():
    file = written({0: 1.0, 1: 2.0}, {2: 3.0}, n=3).file
    assert list(file) == ["z"]
    assert file["z"][:].tolist() == [1.0, 2.0, 3.0]


def test_arrays_of_several_shapes_are_flat_values_and_their_bounds():
    file = written({0: np.array([1, 2])}, {1: np.array([3])}, n=2).file
    assert file["z/values"][:].tolist() == [1, 2, 3]
    assert file["z/rows"][:].tolist() == [[0, 2], [2, 3]]


def test_a_mask_appears_only_when_a_done_run_lacks_the_name():
    result = written({0: 1.0}, {2: 2.0}, n=4)
    assert list(result.file) == ["z"]
    result.put({1: ABSENT})
    assert result.file["z.present"][:].tolist() == [1, 0, 1, 0]
    result.put({3: 4.0})
    result.check()
    assert result.file["z.present"][:].tolist() == [1, 0, 1, 1]


def test_a_batch_may_have_holes_of_its_own():
    written({0: 1.0, 1: ABSENT, 2: 2.0}, {3: ABSENT, 4: 1, 5: ABSENT}, {6: 3.0}).check()


def test_rows_of_no_interest_make_no_mask():
    file = h5py.File.in_memory()
    sink = Sink(file, "z", 2, lambda: np.zeros(2, bool))
    sink.write(np.arange(2), encode([1.0]).spread(2, np.array([1])), np.array([False, True]))
    sink.absent(np.array([0]), np.array([False]))
    assert list(file) == ["z"]


def test_dictionaries_of_ever_new_keys_do_not_become_ever_more_columns():
    result = written(*({i: {f"k{i}": i, "a": [i]}} for i in range(8)))
    result.check()
    assert len(result.file["z"]) == 2


def test_more_types_and_shapes_than_a_mask_can_tell_are_an_error():
    result = Written(300)
    shapes = [np.zeros((0,) * (i % 20), f"M8[{i // 20 + 1}s]") for i in range(256)]
    for i, value in enumerate(shapes[:255]):
        result.put({i: value})
    with pytest.raises(SimkitError, match="z: more than 255 types and shapes under one name"):
        result.put({255: shapes[255]})


# New attempts


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({0: 1.0, 1: 2.0}, {0: 3.0}),
        ({0: 1.0, 1: 2.0}, {0: "text"}),
        ({0: np.zeros(2), 1: np.ones(3)}, {0: np.ones(3)}),
        ({0: [1, "a"], 1: [2, "b"]}, {0: [3.5]}),
        ({0: {"a": 1}, 1: {"b": 1}}, {0: {"b": 5}}),
        ({0: 1.0, 1: 2.0}, {0: ABSENT}),
        ({0: 1.0, 1: "text"}, {0: ABSENT}),
        ({0: 1.0, 1: ABSENT, 2: 1.5}, {0: ABSENT}),
        ({0: 1.0, 1: ABSENT, 2: 1.5}, {0: ABSENT, 2: 9.0}),
        ({0: {"a": 1}, 1: ABSENT}, {0: ABSENT, 1: {"a": 2}}),
    ],
)
def test_a_new_attempt_replaces_the_row(first, again):
    result = written(first)
    result.open()
    result.put(again)
    result.check()


# Everything at once


@st.composite
def sessions(draw):
    """Batches over some rows, each row once, and now and then a new session with more rows."""
    n = draw(st.integers(1, 7))
    order = draw(st.permutations(range(n)))
    kinds = draw(st.lists(values, min_size=1, max_size=3))
    rows = {i: draw(st.sampled_from(kinds) | st.just(ABSENT) | values) for i in order}
    batches = []
    while order:
        size = draw(st.integers(1, len(order)))
        batches.append({i: rows[i] for i in order[:size]})
        order = order[size:]
    kept = batches[: draw(st.integers(1, len(batches)))]
    return n, [(batch, draw(st.booleans())) for batch in kept]


@given(sessions(), st.data())
def test_whatever_is_written_comes_back(story, data):
    n, batches = story
    small = 1 + max(max(batch) for batch in [batches[0][0]])
    result = Written(small)
    for batch, reopen in batches:
        if reopen:
            result.open()
        if 1 + max(batch) > len(result.model):
            result.grow(1 + max(batch) - len(result.model))
        result.put(batch)
    if "z" not in result.file:
        assert all(value is ABSENT for value in result.model)
        return
    result.grow(n - len(result.model))
    result.check()
    start = data.draw(st.integers(0, n - 1))
    result.check(start, data.draw(st.integers(start + 1, n)))
    assert len(as_array(result.column())) == n
    result.file.close()


@pytest.mark.parametrize("sessions", ["one session", "a session each"])
def test_parts_of_one_record_may_differ_in_shape_within_a_batch(sessions):
    """Both are structured arrays of one dtype, whose parts are columns of two variants."""
    flat, square = np.ones(2, [("x", "f8")]), np.ones((2, 2), [("x", "f8")])
    result = Written(6)
    for batch in ({0: flat, 1: flat, 2: square}, {3: square, 5: flat}):
        result.put(batch)
        if sessions == "a session each":
            result.open()
    result.check()


@pytest.mark.parametrize("dtype", [">f8", ">i2", ">M8[s]", ">U2"])
def test_the_byte_order_of_ragged_arrays_stays(dtype):
    arrays = {i: np.zeros(i + 1, dtype) for i in range(4)}
    written({0: arrays[0]}, {2: arrays[2], 3: arrays[3]}, {1: arrays[1]}, n=4).check()
    result = written(arrays, n=4)
    result.check()
    result.check(1, 3)
