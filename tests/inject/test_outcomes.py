"""What is returned and added becomes named results."""

from __future__ import annotations

import collections.abc
import contextlib
import os
import unittest.mock
import weakref
from functools import partial

import numpy as np
import pytest
from injected import HEAD

import simkit
from simkit import SimkitError, product
from simkit.collect.collection import plan_of
from simkit.declare.snapshot import snapshot
from simkit.execute.job import Job
from simkit.inject.contact import local_beat
from simkit.inject.outcomes import Outcomes, ResultNames
from simkit.inject.provide import shared_values
from simkit.testing.engines import results_of
from simkit.values.alone import OneRun
from simkit.values.batch import Batch, Portion
from simkit.values.compare import same
from simkit.values.decode import ABSENT, decode
from simkit.values.results import named_results

# Results


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("{'a': 1, 'b.c': 2}", {"a": 1, "b.c": 2}),
        ("types.MappingProxyType({'a': 1})", {"a": 1}),
        ("namedtuple('T', 'a b')(1, 2)", {"a": 1, "b": 2}),
        ("Typed(1, 'x')", {"a": 1, "b": "x"}),
        ("Data(1, [2])", {"a": 1, "b": [2]}),
        ("Attrs(1)", {"a": 1}),
        ("Slotted(1)", {"a": 1}),
        ("Slotted", None),
        ("(1, 2)", {"result": (1, 2)}),
        ("[1, 'a']", {"result": [1, "a"]}),
        ("5", {"result": 5}),
        ("'text'", {"result": "text"}),
        ("{'a': {'b': {'c': 1}}}", {"a": {"b": {"c": 1}}}),
        ("None", {}),
        ("{}", {}),
        ("{'a': None}", {"a": None}),
    ],
)
def test_what_has_fields_gives_a_result_per_field_and_all_else_one_result(study, result, expected):
    text = f"""
class Typed(NamedTuple):
    a: int
    b: str

@dataclass
class Data:
    a: int
    b: list

@attrs.frozen(slots=False)
class Attrs:
    a: int

@attrs.define
class Slotted:
    a: int

@experiment
def f():
    return {result}
"""
    if expected is None:
        with pytest.raises(SimkitError, match="result result: cannot store a class"):
            study.call(HEAD + text)
    else:
        assert study.call(HEAD + text) == expected


def test_added_appended_and_returned_results_stand_side_by_side(execute):
    traj, _ = execute("""
@experiment
@product(x=[1, 2])
def f(x, run):
    run.add(a=x, **{"spikes.t": [0.5] * x})
    for i in range(3):
        run.append(s=i * x)
    run.note("slow")
    run.note(a="first second only")
    return {"b": -x}
""")
    assert traj["a"].tolist() == [1, 2]
    assert traj["b"].tolist() == [-1, -2]
    assert traj["s"].tolist() == [[0, 1, 2], [0, 2, 4]]
    assert traj.runs[1].spikes.t == [0.5, 0.5]
    assert traj.notes(0) == ["slow", "a: first second only"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {'x': 1}", "result 'x' has the name of a parameter: give it another name, such as 'x_end'"),
        ("return {'n': 1}", "result 'n' has the name of a parameter"),
        ("return {'neuron': 1}", "result 'neuron' has the name of a parameter"),
        ("return {'neuron.tau': 1}", "result 'neuron.tau' has the name of a parameter"),
        ("return {'x.y': 1}", "'x' is a leaf and, through 'x.y', a group"),
        ("return {'a': 1, 'a.b': 2}", "'a' is a leaf and, through 'a.b', a group"),
        ("run.add(a=1); return {'a': 2}", "result 'a' was added with run.add() and is returned as well"),
        ("run.add(a=1); run.add(a=2)", "result 'a' was added twice in run 0"),
        ("run.append(a=1); return {'a': 2}", "result 'a'"),
        ("run.add(**{'a.b': 1}); return {'a': 2}", "'a' is a leaf and, through 'a.b', a group"),
        ("return {1: 2}", "results are named by strings, not by 1"),
        ("return {'': 2}", "'' cannot name a result"),
        ("return {'a..b': 2}", "'a..b' cannot name a result"),
        ("return {'a/b': 2}", "'a/b' cannot name a result"),
        ("return {'a': [0, {'b': len}]}", "result a[1].b: cannot store a function"),
        ("return {'a': np.array([len])}", "result a[0]: cannot store a function"),
        ("return lambda: 1", "result result: cannot store a function"),
        ("v = []; v.append(v); return v", "result result: cannot store a value that contains itself"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_results_that_can_not_be_kept_cost_their_run_only(execute, body, message):
    traj, _ = execute(f"""
@parameter
class Neuron:
    tau: float = 1.0

@experiment
@product(x=[1, 2, 3])
def f(x, run, neuron, n=1):
    if x == 2:
        run.index = 0
        {body}
    else:
        return {{"good": x}}
""")
    assert traj.status.tolist() == ["done", "failed", "done"]
    assert message in traj.error(1)
    assert traj["good"].compressed().tolist() == [1, 3]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("buffer[:] = x\n    return {'z': buffer}", [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5], [6, 6]]),
        ("history.append(x)\n    return {'z': history}", [[1, 2, 3, 4, 5, 6][:n] for n in range(1, 7)]),
        ("table['k'] = x\n    return {'z': table}", [{"k": n} for n in range(1, 7)]),
        ("buffer[:] = x\n    run.add(z=buffer)", [[n, n] for n in range(1, 7)]),
        ("buffer[:] = x\n    return {'z': [buffer]}", [[[n, n]] for n in range(1, 7)]),
        ("buffer[:] = x\n    return {'z': buffer[:1]}", [[n] for n in range(1, 7)]),
    ],
)
def test_a_result_is_what_it_was_when_the_run_returned_it(execute, body, expected):
    traj, _ = execute(f"""
buffer, history, table = np.zeros(2), [], {{}}

@experiment
@product(x=[1, 2, 3, 4, 5, 6])
def f(x, run):
    {body}
""")

    def plain(value):
        if isinstance(value, np.ndarray):
            return value.tolist()
        return [plain(v) for v in value] if isinstance(value, list) else value

    assert [plain(run.z) for run in traj] == expected


# What can't be kept costs itself only


class Opaque:
    pass


class Silent:
    """Has an answer to every question, and none to whether it is true."""

    def __getattr__(self, name):
        return Silent()

    def __bool__(self):
        raise TypeError

    def __call__(self, *_):
        return Silent()


class Failing:
    """Proxies of web frameworks raise outside of a request."""

    def __getattribute__(self, name):
        raise RuntimeError("outside of a context")


class Unreadable(collections.abc.Mapping):
    def __getitem__(self, name):
        raise OSError("gone")

    def __iter__(self):
        return iter(["z"])

    def __len__(self):
        return 1


@pytest.mark.parametrize(
    "make",
    [
        *[Opaque, Silent, Failing, Unreadable, unittest.mock.MagicMock, lambda: Opaque],
        *[partial(unittest.mock.MagicMock, spec=kind) for kind in (dict, list, np.ndarray)],
        *[lambda: weakref.proxy(Opaque), lambda: 10**5000],
    ],
)
def test_a_value_that_can_not_be_kept_costs_no_other(make, tmp_path):
    def f(x, run):
        run.add(early=x)
        return {
            "z": 2.0 * x,
            "bad": make() if x == 2 else x,
            "nested": {"kept": x, "lost": make()} if x == 3 else {"kept": x},
        }

    with simkit.run(f, simkit.product(x=[1, 2, 3]), output=tmp_path / "f.h5") as traj:
        assert traj.status.tolist() == ["done", "failed", "failed"]
        assert traj["early"].tolist() == [1, 2, 3]
        assert traj["z"].tolist() == [2.0, 4.0, 6.0]
        assert traj["bad"].tolist() == [1, None, 3]
        assert [run.nested["kept"] for run in traj.runs] == [1, 2, 3]
        assert "result bad: cannot store" in traj.error(1)
        assert "result nested.lost: cannot store" in traj.error(2)
        assert "simkit.Codec" in traj.error(1)


STRANGE = """
    import weakref
    from unittest.mock import MagicMock, Mock
    import numpy as np
    from simkit import experiment, explore

    ANYTHING = Mock(), MagicMock()
    PRETENDING = MagicMock(spec=dict)
    LIKE_A_LIST = MagicMock(spec=list)
    LIKE_AN_ARRAY = MagicMock(spec=np.ndarray)
    PROXY = weakref.proxy(Mock)
    HUGE = 10**5000

    @experiment
    @explore(x=[1, 2])
    def uses(x):
        known = [ANYTHING, PRETENDING, LIKE_A_LIST, LIKE_AN_ARRAY, PROXY]
        return len(known) * x + HUGE - HUGE
    """


def test_what_pretends_to_be_of_another_class_may_stand_in_a_module(project):
    project.file("sim_strange.py", STRANGE)
    project.ok("-n", "0")
    assert project.open("uses-001")["result"].tolist() == [5, 10]
    project.file("sim_axis.py", STRANGE.replace("x=[1, 2]", "x=[1, HUGE]").replace("uses", "axis"))
    refused = project.simkit("sim_axis.py")
    assert (refused.code, "parameter x: cannot store an integer of thousands of digits" in refused.err) == (
        4,
        True,
    )


def test_what_a_failed_run_gave_is_replaced_by_its_next_attempt(tmp_path, monkeypatch):
    monkeypatch.setenv("BROKEN", "yes")

    def f(x):
        more = {"first": x, "bad": len} if os.environ["BROKEN"] == "yes" else {"second": x}
        return {"z": x, **more}

    options = {"output": tmp_path / "f.h5", "into": None}
    with simkit.run(f, simkit.product(x=[1, 2]), **options) as traj:
        assert (traj["z"].tolist(), traj["first"].tolist()) == ([1, 2], [1, 2])
    monkeypatch.setenv("BROKEN", "no")
    options["into"] = options.pop("output")
    with simkit.run(f, simkit.product(x=[1, 2]), **options) as traj:
        assert traj.status.tolist() == ["done", "done"]
        assert traj["second"].tolist() == [1, 2]
        assert traj["first"].tolist() == [None, None]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("\ud800", "cannot name a result"),
        ("n" * 5000, "a result's name takes 5,000 bytes: use at most 4,096"),
        ("x", "has the name of a parameter"),
        ("z.end", "'z' is a leaf and, through 'z.end', a group"),
        (1, "results are named by strings"),
    ],
)
def test_a_name_that_can_not_be_kept_costs_no_other(name, words, tmp_path):
    def f(x):
        return {"z": 2 * x, **({name: x} if x == 2 else {})}

    with simkit.run(f, simkit.product(x=[1, 2]), output=tmp_path / "f.h5") as traj:
        assert traj.status.tolist() == ["done", "failed"]
        assert traj["z"].tolist() == [2, 4]
        assert words in traj.error(1)


def test_a_parameter_that_can_not_be_kept_costs_no_result(execute):
    traj, _ = execute("""
@parameter
def slope(x):
    return x if x < 2 else len

@experiment
@product(x=[1, 2])
def f(x, slope):
    return {"z": x}
""")
    assert traj.status.tolist() == ["done", "failed"]
    assert traj["z"].tolist() == [1, 2]
    assert "parameter slope: cannot store a function" in traj.error(1)


def test_thousands_of_names_are_checked_once_each():
    """Twice as many names are looked at about twice as often, not four times."""

    class Counting(str):
        looks = 0

        def split(self, *arguments):
            Counting.looks += 1
            return super().split(*arguments)

        def startswith(self, *arguments):
            Counting.looks += 1
            return super().startswith(*arguments)

        def __hash__(self):
            return super().__hash__()

    def looks(n):
        Counting.looks = 0
        ResultNames(["x"]).kept({Counting(f"group{i}.name{i}"): i for i in range(n)})
        return Counting.looks

    assert looks(400) < 2.5 * looks(200)


def test_names_in_another_order_are_the_same_names(execute):
    traj, _ = execute("""
@experiment
@product(x=range(4))
def f(x):
    return {"a": x, "b": [x]} if x % 2 else {"b": [x], "a": x}
""")
    assert traj["a"].tolist() == [0, 1, 2, 3]
    assert list(traj["b"]) == [[0], [1], [2], [3]]


WAYS = {
    "added": "run.add(a=x)",
    "added in turn": "run.add(a=x); run.add(b=-x)",
    "returned beside a run that adds nothing": "return {'a': x}",
    "returned by some, added by others": "return {'a': x} if x % 2 else run.add(a=x)",
    "added, and others returned": "run.add(a=x)\n    return {'b': -x}",
    "appended": "run.append(a=x); run.add(b=-x)",
}


@pytest.mark.parametrize("body", WAYS.values(), ids=WAYS.keys())
def test_many_quick_runs_give_what_each_gave(execute, body):
    traj, _ = execute(f"""
@experiment
@product(x=range(50))
def f(x, run):
    {body}
""")
    assert np.ravel(traj["a"]).tolist() == list(range(50))
    assert "b" not in body or traj["b"].tolist() == [-x for x in range(50)]


BUFFER = np.zeros(1)


def _refilled(x):
    BUFFER[0] = x
    return {"a": BUFFER}


REGULAR = {
    "one number": lambda x: {"a": x / 2},
    "many": lambda x: {"a": x / 2, "b": float(x), "c": -1.0},
    "many of several types": lambda x: {"a": x, "b": str(x), "c": None},
    "integers beyond 64 bits": lambda x: {"a": x << 60},
    "no text of HDF5's": lambda x: {"a": "\0", "b": "\ud800"},
}
ODD = {
    "none": lambda x: {"a": x / 2},
    "another name": lambda x: {"b": x / 2},
    "another type": lambda x: {"a": x},
    "another order": lambda x: {"c": 1.0, "b": 2.0, "a": 3.0},
    "one more": lambda x: {"a": 0.5, "b": 1.0, "c": 2.0, "d": 3.0},
    "one less": lambda x: {"a": 0.5, "b": 1.0},
    "some less and some more": lambda x: dict(
        zip("abcde"[: 1 if x % 80 == 39 else 5], [0.5] * 5, strict=False)
    ),
    "a list": lambda x: {"a": [x]},
    "a buffer that is filled again": _refilled,
    "a number": float,
    "nothing": lambda x: None,
    "nothing in a mapping": lambda x: {},
    "a failure": lambda x: 1 / 0,
}


def two_batches(function, monkeypatch):
    """A hundred runs, and a hundred more of which is known what the last one gave."""
    monkeypatch.setattr(simkit.inject.injector, "PATIENCE", 1e9)
    plan, _ = plan_of(function, product(x=range(200)), {})
    injector = Job(plan, 1, shared_values(plan, 1), tuple(plan.parameters)).injector()
    injector.baseline.cared, injector.watch = 1000, None  # these are not the first runs
    for runs in (np.arange(100), np.arange(100, 200)):
        yield runs, injector.batch(Portion(runs, plan.space.at(runs)), local_beat())


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("regular", REGULAR.values(), ids=REGULAR.keys())
def test_runs_that_return_the_same_names_and_one_that_does_not_give_what_each_gave(regular, odd, monkeypatch):
    """In the second batch runs are known to return what the last of the first one has."""

    def returned(x):
        return (odd if x % 40 == 39 else regular)(x)

    for runs, batch in two_batches(returned, monkeypatch):
        kept = {name: results_of(batch, name) for name in batch.results}
        assert batch.runs.tolist() == runs.tolist()
        for x in runs.tolist():
            recorded = {name: values[x] for name, values in kept.items() if values[x] is not ABSENT}
            if odd is ODD["a failure"] and x % 40 == 39:
                assert "ZeroDivisionError" in batch.errors[x]
                assert recorded == {}
            else:
                expected = named_results(returned(x))
                assert x not in batch.errors
                assert same(recorded, {name: expected[name] for name in recorded})
                assert recorded.keys() == expected.keys()


@pytest.mark.parametrize("keeps", [False, True], ids=["let go", "kept"])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("regular", REGULAR.values(), ids=REGULAR.keys())
def test_runs_that_add_the_same_names_and_one_that_does_not_give_what_each_gave(
    regular, odd, keeps, monkeypatch
):
    """A run that somebody keeps takes results until its batch is over; all others may be one object."""
    kept = []

    def added(x, run):
        while kept:
            kept.pop().add(late=float(x))
        if keeps and x % 50 == 20:
            kept.append(run)
        if x % 30 == 29:
            run.note("odd")
        gives = (odd if x % 40 == 39 else regular)(x)
        if not isinstance(gives, dict):
            return gives
        run.add(**gives)
        return {"more": x} if x % 70 == 69 else None

    expected = {x: {} for x in range(200)}
    for x in range(200):
        with contextlib.suppress(ZeroDivisionError):
            gives = named_results((odd if x % 40 == 39 else regular)(x))
            late = {"late": x + 1.0} if keeps and x % 50 == 20 else {}
            expected[x] = {**snapshot(gives), **late, **({"more": x} if x % 70 == 69 else {})}
    for runs, batch in two_batches(added, monkeypatch):
        found = {name: results_of(batch, name) for name in batch.results}
        assert batch.errors.keys() == {x for x in runs if not expected[x] and odd is ODD["a failure"]}
        assert {run for run, *_ in batch.notes} == {x for x in runs.tolist() if x % 30 == 29}
        for x in runs.tolist():
            recorded = {name: values[x] for name, values in found.items() if values[x] is not ABSENT}
            assert same(recorded, {name: expected[x][name] for name in recorded})
            assert recorded.keys() == expected[x].keys()


OBJECTS = {
    "last": lambda x, run: {"y": id(run)} if run.add(z=x) is None else {},
    "first": lambda run, x: {"y": id(run)} if run.add(z=x) is None else {},
    "by name": lambda x, *, run: {"y": id(run)} if run.add(z=x) is None else {},
    "with the generator": lambda rng, x, run: (
        {"y": 0} if run.add(z=x) is None else {}
    ),  # which is one object then
}


@pytest.mark.parametrize("function", OBJECTS.values(), ids=OBJECTS.keys())
def test_runs_that_nobody_keeps_are_one_object(function, monkeypatch):
    for runs, batch in two_batches(function, monkeypatch):
        assert results_of(batch, "z") == dict(zip(runs, runs, strict=True))
        assert len(set(results_of(batch, "y").values())) == 1


# One run by itself


def failing(x):
    raise ValueError(x)


def noting(x, run):
    run.note("odd")
    return x


def reporting(x, run):
    run.report(x, 1)
    return x


def both(x, run):
    run.add(w=x)
    return {"z": x}


def mixed(x, rng):
    return {"z": x, "n": 3, "b": x > 1, "f": np.float64(x), "c": 1j, "draw": rng.random()}


ALONE = {
    "number": (lambda x: x, True),
    "mapping": (mixed, True),
    "nothing": (lambda x: None, True),
    "empty": (lambda x: {}, True),
    "added": (lambda x, run: run.add(z=x, k=2), True),
    "added nothing": (lambda x, run: x, True),
    "text": (lambda x: {"z": x, "t": "a"}, False),
    "array": (lambda x: np.zeros(3), False),
    "added and returned": (both, False),
    "appended": (lambda x, run: run.append(v=x), False),
    "noted": (noting, False),
    "reported": (reporting, False),
    "failed": (failing, False),
    "a wrong name": (lambda x: {"x": x}, False),
    "of another type": (lambda x: collections.OrderedDict(z=x), True),
}


@pytest.mark.parametrize("cares", [False, True])
@pytest.mark.parametrize("kind", ALONE)
def test_a_run_by_itself_gives_what_it_gives_in_any_batch(kind, cares, monkeypatch):
    """Numbers travel as such; everything else, and what else a run says, as arrays and columns."""
    function, is_of_numbers = ALONE[kind]
    monkeypatch.setattr(
        simkit.inject.baseline, "_SHARE", 1e9
    )  # runs are cared for only where they have to be
    plan, _ = plan_of(function, product(x=[1.5, 2.5, 3.5]), {})

    def batches():
        injector = Job(plan, 1, shared_values(plan, 1), tuple(plan.parameters)).injector(save=lambda _: False)
        injector.baseline.cleans_each, injector.baseline.cared = cares, 1000
        portions = [Portion(np.array([run]), plan.space.at(np.array([run]))) for run in range(3)]
        return [injector.batch(portion, local_beat()) for portion in portions]

    ours = batches()
    assert [type(one) is OneRun for one in ours[1:]] == [is_of_numbers] * 2
    monkeypatch.setattr(Outcomes, "one_run", lambda *_: None)
    for one, other in zip(ours, batches(), strict=True):
        assert type(other) is Batch
        for name in ("runs", "status", "seeds", "worker"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        for name in ("notes", "files", "commands", "reported", "warnings", "again", "heard"):
            assert getattr(one, name) == getattr(other, name), name
        assert one.errors.keys() == other.errors.keys()
        for name in ("parameters", "results"):
            left, right = getattr(one, name), getattr(other, name)
            assert list(left) == list(right)
            assert all(same(decode(left[key]), decode(right[key])) for key in left)
            assert [left[key].whole.signature for key in left] == [
                right[key].whole.signature for key in right
            ]
        assert one.started == pytest.approx(other.started, abs=600)
        assert 0 <= one.seconds[0] < 600
