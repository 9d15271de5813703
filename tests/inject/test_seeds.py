"""The vectorised streams are NumPy's own, bit for bit."""

from __future__ import annotations

import copy
import pickle
from itertools import repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simkit
from simkit.inject.seeds import Generators, Seeds, child_words, experiment_key, run_seeds, shared_seed

roots = st.integers(0, 2**32) | st.integers(0, 2**200)
seeds = st.integers(0, 2**63 - 1) | st.integers(0, 2**33)


# Of a few runs NumPy is asked itself; of more, all are computed together.
many = pytest.mark.parametrize("times", [1, 13])


@many
@given(
    root=roots,
    name=st.text(min_size=1, max_size=9),
    runs=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5),
)
def test_run_seeds_equal_those_of_a_seed_sequence(times, root, name, runs):
    expected = [
        int(np.random.SeedSequence(root, spawn_key=(experiment_key(name), i)).generate_state(1, np.uint64)[0])
        >> 1
        for i in runs
    ]
    assert run_seeds(root, name, np.array(runs * times)).tolist() == expected * times


@many
@given(numbers=st.lists(seeds, min_size=1, max_size=5), name=st.text(min_size=1, max_size=9))
def test_words_of_a_named_generator_equal_those_of_a_seed_sequence(times, numbers, name):
    key = (experiment_key(name),)
    expected = [
        np.random.SeedSequence(seed, spawn_key=key).generate_state(4, np.uint64).tolist() for seed in numbers
    ]
    words = child_words(np.array(numbers * times, np.uint64), name)
    assert words.dtype == np.uint64
    assert words.tolist() == expected * times


def test_run_seeds_do_not_depend_on_the_batch():
    whole = run_seeds(7, "f", np.arange(1000))
    assert np.array_equal(whole[300:310], run_seeds(7, "f", np.arange(300, 310)))
    assert len(np.unique(whole)) == 1000
    assert whole.dtype == np.uint64
    assert int(whole.max()) < 2**63


portions = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 14)), min_size=1, max_size=60)


@given(portions=portions, scattered=st.booleans(), is_merged=st.booleans())
def test_seeds_are_those_of_their_runs_however_few_come_at_a_time(portions, scattered, is_merged):
    own = np.arange(3014, dtype=np.uint64)[::-1].copy() if is_merged else None
    known = run_seeds(5, "f", np.arange(3014)) if own is None else own
    seeds = Seeds(5, "f", own)
    for first, count in portions if scattered else sorted(portions):
        runs = np.arange(first, first + count)
        for _ in range(4):
            assert seeds.of(runs).tolist() == known[runs].tolist()
            assert seeds.words("one").tolist() == child_words(known[runs], "one").tolist()
            assert seeds.words("two").tolist() == child_words(known[runs], "two").tolist()


@pytest.mark.parametrize(("runs", "most"), [(range(2000), 50), (range(0, 2000, 2), 50), (range(12), 12)])
def test_seeds_of_runs_that_come_one_by_one_are_made_by_the_block(monkeypatch, runs, most):
    asked: list[int] = []
    plain = run_seeds

    def counted(root, name, those):
        asked.append(len(those))
        return plain(root, name, those)

    monkeypatch.setattr("simkit.inject.seeds.run_seeds", counted)
    seeds = Seeds(5, "f")
    for run in runs:
        seeds.of(np.array([run]))
    assert len(asked) <= most
    assert max(asked) == (512 if len(runs) > 12 else 1)


@pytest.mark.parametrize("other", [(8, "f"), (7, "g")])
def test_other_roots_and_experiments_have_other_seeds(other):
    assert not np.isin(run_seeds(7, "f", np.arange(100)), run_seeds(*other, np.arange(100))).any()


@many
@given(drawn=st.lists(seeds, min_size=1, max_size=4))
def test_generators_equal_default_rng(times, drawn):
    numbers = drawn * times
    made = list(Generators(np.array(numbers, np.uint64)))
    assert len(made) == len(numbers)
    for seed, rng in zip(numbers, made, strict=True):
        expected = np.random.default_rng(seed)
        assert type(rng) is type(expected)
        assert rng.bit_generator.state == expected.bit_generator.state
        assert rng.random() == expected.random()


def arguments(numbers):
    """Tuples of the generator and its seed, as runs get them."""
    return Generators(np.array(numbers, np.uint64)).rows(repeat(()), zip(numbers, strict=True))


@given(st.lists(seeds, min_size=1, max_size=20), st.integers(0, 2**20 - 1))
def test_a_generator_that_is_filled_anew_equals_default_rng(numbers, kept):
    keep = []

    def run(number, rng, seed):
        expected = np.random.default_rng(seed)
        assert rng.bit_generator.state == expected.bit_generator.state
        assert rng.random(dtype="f4") == expected.random(dtype="f4")  # half of a draw is left
        assert [one.random() for one in rng.spawn(2)] == [one.random() for one in expected.spawn(2)]
        bits = rng.bit_generator
        parts = {0: rng, 1: bits, 2: rng.random, 3: bits.seed_seq, 4: np.random.Generator(bits)}
        if kept >> number & 1:
            keep.append((number % 5, parts[number % 5], seed, bits.state))

    for number, row in zip(range(len(numbers)), arguments(numbers), strict=True):
        run(number, *row)
    for kind, part, seed, state in keep:  # nobody else has drawn from what a run has kept
        if kind == 3:
            assert part.generate_state(4).tolist() == np.random.SeedSequence(seed).generate_state(4).tolist()
            continue
        bits = part if kind == 1 else part.__self__.bit_generator if kind == 2 else part.bit_generator
        assert bits.state == state


def test_generators_are_filled_anew_only_where_that_is_known_to_be_the_same(monkeypatch):
    def made():
        locks = []  # each has one
        for _, row in zip(range(50), arguments(list(range(50))), strict=True):
            locks.append(row[0].bit_generator.lock)
        return len({id(lock) for lock in locks})

    assert made() == 1
    monkeypatch.setattr("simkit.inject.seeds._is_known", lambda: False)
    assert [rng.random() for rng, _ in arguments([3, 4])] == [
        np.random.default_rng(i).random() for i in (3, 4)
    ]
    assert made() == 50


@given(seeds)
def test_spawned_generators_equal_those_of_default_rng(seed):
    (rng,) = Generators(np.array([seed], np.uint64))
    expected = np.random.default_rng(seed)
    for _ in range(2):  # spawning counts on
        ours, theirs = rng.spawn(2), expected.spawn(2)
        assert [g.bit_generator.state for g in ours] == [g.bit_generator.state for g in theirs]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda rng: pickle.loads(pickle.dumps(rng))])
def test_a_generator_can_be_copied_in_the_middle_of_its_stream(duplicate):
    (rng,) = Generators(np.array([5], np.uint64))
    rng.random(3)
    again = duplicate(rng)
    assert again.random(4).tolist() == rng.random(4).tolist()


def test_the_seed_sequence_of_a_generator_gives_any_words():
    (rng,) = Generators(np.array([5], np.uint64))
    sequence = np.random.SeedSequence(5)
    for words, dtype in ((4, np.uint64), (4, np.uint32), (7, np.uint32), (2, np.uint64)):
        np.testing.assert_array_equal(
            rng.bit_generator.seed_seq.generate_state(words, dtype), sequence.generate_state(words, dtype)
        )


@given(roots)
def test_the_shared_streams_differ_from_each_other_and_from_every_run(root):
    shared = [
        shared_seed(root, "f", "stimulus"),
        shared_seed(root, "f", "other"),
        shared_seed(root, "g", "stimulus"),
    ]
    assert len(set(shared)) == 3
    assert all(0 <= seed < 2**63 for seed in shared)
    assert not set(shared) & set(run_seeds(root, "f", np.arange(50)).tolist())


TEXT = """
    from simkit import experiment, product

    @experiment
    @product(x=[1, 2, 3, 4, 5])
    def f(x, rng, seed):
        return {"z": rng.random(), "s": seed}
    """


def test_a_run_gets_default_rng_of_its_recorded_seed(study):
    traj = study.run(TEXT, seed=11)
    assert traj["s"].tolist() == traj.seeds.tolist() == run_seeds(11, "f", np.arange(5)).tolist()
    assert traj["z"].tolist() == [np.random.default_rng(seed).random() for seed in traj.seeds.tolist()]
    assert type(traj.runs[0].s) is int


def test_the_same_run_draws_the_same_numbers_with_any_number_of_workers(study, tmp_path):
    one = study.run(TEXT, seed=11)
    two = simkit.run(study.module("sim_a.py").f, seed=11, workers=2, output=tmp_path / "two.h5")
    assert one["z"].tolist() == two["z"].tolist()
    assert one.seeds.tolist() == two.seeds.tolist()


def test_trials_have_streams_of_their_own(study):
    traj = study.run(TEXT.replace("5])", "5]).repeat(3)"), seed=1)
    assert len(set(traj["z"].tolist())) == 15


def test_a_resumed_trajectory_draws_what_a_whole_one_draws(study, tmp_path):
    whole = study.run(TEXT, seed=11)["z"].tolist()
    function, path = study.module("sim_a.py").f, tmp_path / "parts.h5"
    for n in (2, 5):
        with simkit.run(function, simkit.product(x=[1, 2, 3, 4, 5][:n]), seed=11, output=path) as traj:
            drawn = traj["z"].tolist()
    assert drawn == whole


def test_without_a_request_no_seed_is_recorded(study):
    assert study.run("def f(x=1):\n    return x\n").seeds is None


def test_a_stream_above_the_runs_is_the_experiments_own(study):
    text = """
        from simkit import experiment, fixture, parameter, product

        @parameter
        def weights(rng):
            return rng.random(2)

        @fixture(scope="experiment")
        def noise(seed):
            return seed

        @experiment
        @product(x=[1, 2, 3])
        def f(x, weights, noise, rng):
            return {"w": weights, "n": noise, "own": rng.random()}
        """
    traj = study.run(text, seed=3)
    expected = np.random.default_rng(shared_seed(3, "f", "weights")).random(2)
    assert traj["w"].tolist() == [expected.tolist()] * 3
    assert traj.parameters.weights.tolist() == expected.tolist()
    assert traj["n"].tolist() == [shared_seed(3, "f", "noise")] * 3
    assert len(set(traj["own"].tolist())) == 3


@pytest.mark.parametrize(
    "header", ["@product(seed=[5, 6])\ndef f(seed, rng)", "@product(x=[1, 2])\ndef f(x, rng, seed=5)"]
)
def test_a_seed_of_ones_own_makes_the_generator(study, header):
    text = f"from simkit import experiment, product\n@experiment\n{header}:\n    return rng.random()\n"
    traj = study.run(text)
    assert traj["result"].tolist() == [np.random.default_rng(s).random() for s in traj["seed"].tolist()]
    assert traj["seed"].tolist()[0] == 5
