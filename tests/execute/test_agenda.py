"""Portions: in order, shared fairly, given back, tried again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.declare.space import product
from simkit.execute.agenda import CALL, MESSAGE, Feed, Pace, Worklist, next_size
from simkit.values.batch import Batch, Status

SPACE = product(x=range(50))


def batch_of(runs, failed=()):
    """A batch in which these runs failed."""
    status = np.array([Status.FAILED if run in failed else Status.DONE for run in runs], "u1")
    return Batch(np.array(runs), status, np.zeros(len(runs)), np.zeros(len(runs)))


def test_points_travel_with_their_runs():
    portion = Worklist(np.array([3, 7, 9]), SPACE.at).take(2)
    assert portion.runs.tolist() == [3, 7]
    assert portion.points["x"].elements() == [3, 7]
    part = portion.part(1, 2)
    assert (part.runs.tolist(), part.points["x"].elements()) == ([7], [7])


def test_a_list_ends():
    worklist = Worklist(range(3), SPACE.at)
    assert worklist.take(5).runs.tolist() == [0, 1, 2]
    assert worklist.take(5) is None


def test_no_worker_takes_more_than_half_of_its_share():
    worklist = Worklist(range(40), SPACE.at, workers=2)
    assert [len(worklist.take(50)) for _ in range(4)] == [10, 7, 5, 4]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(50, [10, 7, 5, 4, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1]), (400, [10, 8, 8, 8, 6]), (5000, [40])],
)
def test_what_is_left_is_cut_up_no_further_than_is_worth_a_message(count, sizes):
    worklist = Worklist(range(40), SPACE.at, workers=2)
    assert [len(portion) for portion in iter(lambda: worklist.take(count), None)] == sizes


def test_a_failed_run_is_tried_again_first_and_alone_and_no_more_often_than_allowed():
    worklist = Worklist(range(6), SPACE.at, retries=1)
    worklist.take(3)
    assert worklist.settle(batch_of([0, 1, 2], failed=[1])).again == (1,)
    portion = worklist.take(3)
    assert (portion.runs.tolist(), portion.points["x"].elements()) == ([1], [1])
    assert worklist.settle(batch_of([1], failed=[1])).again == ()
    assert worklist.take(3).runs.tolist() == [3, 4, 5]
    assert worklist.take(3) is None


def test_what_came_back_is_handed_out_before_further_runs():
    feed = Feed(Worklist(range(10), SPACE.at))
    feed.put_back(feed.take(5), 1)
    assert feed.take(3).runs.tolist() == [1, 2, 3]
    assert feed.take(100).runs.tolist() == [4]
    assert feed.take(100).runs.tolist() == [5, 6, 7, 8, 9]
    assert not feed.has_more()


def test_what_came_back_is_shared_where_a_worker_has_nothing_to_do():
    feed = Feed(Worklist(range(5), SPACE.at))
    portion = feed.take(100)
    assert feed.take(100) is None
    feed.put_back(portion, 1)
    assert [feed.take(100).runs.tolist() for _ in range(3)] == [[1, 2], [3], [4]]


def test_the_runs_of_a_lost_portion_are_handed_out_one_by_one_without_the_culprit():
    feed = Feed(Worklist(range(10), SPACE.at))
    portion = feed.take(4)
    feed.put_back_singly(portion, 2)
    assert [feed.take(100).runs.tolist() for _ in range(4)] == [[0], [1], [3], [4, 5, 6, 7, 8, 9]]


def test_looking_ahead_loses_no_run():
    feed = Feed(Worklist(range(3), SPACE.at))
    assert feed.has_more()
    assert feed.has_more()
    assert [feed.take(100).runs.tolist() for _ in range(2)] == [[0], [1, 2]]
    assert not feed.has_more()
    assert feed.take(1) is None


@given(st.integers(0, 50), st.integers(0, 3), st.randoms())
def test_each_run_is_handed_out_once_whatever_comes_back(n, workers, random):
    feed = Feed(Worklist(range(n), SPACE.at, workers=workers))
    executed = []
    while (portion := feed.take(random.randint(1, 20))) is not None:
        if random.random() < 0.5:
            count = random.randint(0, len(portion))
            executed += portion.runs[:count].tolist()
            feed.put_back(portion, count)
        else:
            lost = int(random.choice(portion.runs))
            executed.append(lost)
            feed.put_back_singly(portion, lost)
    assert sorted(executed) == list(range(n))


@given(st.integers(1, MESSAGE.runs), st.integers(0, MESSAGE.runs), st.floats(0, 1e4), st.integers(0, 1 << 40))
def test_portions_grow_slowly_and_stay_within_time_and_memory(size, runs, seconds, nbytes):
    following = next_size(size, runs, seconds, nbytes)
    assert 1 <= following <= max(1, min(MESSAGE.runs, 4 * size))
    if following > 1:
        assert following * seconds <= MESSAGE.seconds * runs * (1 + 1e-9)
        assert following * nbytes <= MESSAGE.nbytes * runs


def test_calls_of_many_runs_have_few_sizes_and_grow_while_they_are_quick():
    pace, sizes = Pace(0), []
    for _ in range(8):
        sizes.append(pace.size)
        pace.heard(pace.size, 1e-6 * pace.size, 24 * pace.size)
    assert sizes == [16, 256, 4096, *[65_536] * 5]


def test_the_first_call_of_a_size_may_compile_what_it_needs():
    pace = Pace(0)
    pace.heard(16, 3.0, 100)
    assert pace.size == 16
    pace.heard(16, 0.001, 100)
    assert pace.size == 256
    pace.heard(16, 0.001, 100)  # of a portion that was handed out before
    assert pace.size == 256


def test_slow_calls_get_fewer_runs_and_large_results_at_once():
    pace = Pace(0)
    for _ in range(2):
        pace.heard(16, 20 * CALL, 100)
    assert pace.size == 1
    pace = Pace(0)
    pace.heard(16, 0.001, 16 * MESSAGE.nbytes)
    assert pace.size == 1


@given(st.integers(1, 5000), st.lists(st.tuples(st.floats(0, 10), st.integers(0, 1 << 30)), max_size=20))
def test_calls_of_a_given_size_stay_whole(together, heard):
    pace = Pace(together)
    assert pace.size == together
    for seconds, nbytes in heard:
        pace.heard(pace.size, seconds, nbytes)
        assert pace.size >= together
        assert pace.size % together == 0


def test_the_last_calls_are_shared_among_the_workers_unless_their_size_is_given():
    def sizes(together):
        work = Worklist(range(10_000), product(x=range(10_000)).at, workers=2, together=together)
        return [len(portion) for portion in iter(lambda: work.take(8192), None)]

    assert sizes(0) == [5000, 5000]
    assert sizes(8192) == [8192, 1808]


def test_a_call_that_was_lost_is_halved():
    feed = Feed(Worklist(range(10), SPACE.at))
    feed.put_back_halves(feed.take(7))
    taken = [feed.take(100).runs.tolist() for _ in range(3)]
    assert taken == [[0, 1, 2], [3, 4, 5, 6], [7, 8, 9]]
