"""Global random generators are seeded per run; the first run is watched."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import clean_environment
from processes import values

GLOBALS = """
import random
import numpy as np
from numpy import random as npr
from random import gauss
from simkit import experiment, fixture, product
import drawing

@fixture
def noise():
    return random.random()

@experiment
@product(x=range(40))
def draw(x, noise):
    return {"a": np.random.normal(), "b": gauss(0, 1), "c": drawing.deep(), "d": noise, "e": npr.rand(2)}
"""


HELPER = """
import random, numpy

def deep():
    return numpy.random.randint(10**9) + random.randrange(10**9)
"""


def test_global_generators_are_seeded_per_run_wherever_it_is_made(project):
    project.file("sim_draw.py", GLOBALS)
    project.file("drawing.py", HELPER)
    ways = [["-n", "0"], ["-n", "2"], ["-n", "1", "--start-method", "spawn"]]
    found = []
    for way in ways:
        result = project.ok("--fresh", "--seed", "8", *way)
        assert "warning" not in result.out, result.out
        with project.open(f"draw-{len(found) + 1:03}") as traj:
            found.append({name: values(traj, name) for name in "abcde"})
    assert all(other == found[0] for other in found[1:])
    for name, column in found[0].items():
        assert len(set(column)) == 40, f"{name}: two runs drew the same"
    project.ok("--fresh", "--seed", "9", "-n", "0")
    with project.open("draw-004") as traj:
        assert not set(values(traj, "a")) & set(found[0]["a"])


def test_a_resumed_run_and_one_by_itself_draw_the_same(project):
    project.file("sim_draw.py", GLOBALS)
    project.file("drawing.py", HELPER)
    project.ok("--seed", "8", "-n", "0")
    with project.open("draw-001") as traj:
        whole = values(traj, "a")
    project.ok("--fresh", "--seed", "8", "-n", "2", "sim_draw.py::draw[17]")
    project.ok("--seed", "8", "-n", "2", "sim_draw.py::draw[3:5]", "--fresh")
    with project.open("draw-002") as traj:
        assert values(traj, "a")[17] == whole[17]
    with project.open("draw-003") as traj:
        assert values(traj, "a")[3:5] == whole[3:5]


def test_the_users_own_seed_in_a_run_wins(project):
    project.file(
        "sim_own.py",
        """
        import random
        from simkit import experiment, product

        @experiment
        @product(x=range(3), seed=[1])
        def own(x, seed):
            random.seed(seed)
            return random.random()
        """,
    )
    project.ok("-n", "1")
    assert project.open("own-001")["result"].tolist() == [random.Random(1).random()] * 3


HIDDEN = """
import numpy as np
from simkit import experiment, product

@experiment
@product(x=range(5))
def hidden(x):
    draw = getattr(__import__({module!r}, fromlist=["x"]), {function!r})
    return float(draw())
"""


SILENCE = '(silence it in pyproject.toml: [tool.simkit] silence = ["{}"])'


@pytest.mark.parametrize(
    ("module", "function", "name"),
    [("random", "random", "random"), ("numpy.random", "normal", "numpy.random")],
)
def test_a_stream_that_nobody_could_see_in_the_code_is_seeded_all_the_same(project, module, function, name):
    project.file("sim_hidden.py", HIDDEN.format(module=module, function=function))
    drawn = []
    for number, workers in enumerate("012"):
        result = project.ok("--fresh", "--seed", "4", "-n", workers)
        assert "warning" not in result.out
        assert result.out.count(f"sim_hidden.py::hidden: seeded for each run from its seed: {name}") == 1
        drawn.append(project.open(f"hidden-{number + 1:03}")["result"].tolist())
    assert drawn[0] == drawn[1] == drawn[2]
    assert len(set(drawn[0])) == 5


MUTATED = """
from simkit import experiment, parameter, product

@parameter
def table():
    return {"a": [1, 2]}

@experiment
@product(x=range(5))
def change(x, table, weights=[1, 2]):
    weights.append(x)
    table["a"].append(x)
    return sum(weights)
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_mutated_parameter_is_told_and_reaches_no_other_run(project, workers):
    project.file("sim_change.py", MUTATED)
    result = project.ok("-n", workers)
    for name in ("weights", "table"):
        text = f"warning: sim_change.py::change: a run changed its parameter {name!r} in place"
        assert result.out.count(text) == 1, result.out
    assert SILENCE.format("mutated_parameter") in result.out
    with project.open("change-001") as traj:
        assert traj["result"].tolist() == [3, 4, 5, 6, 7]
        assert traj.parameters.weights == [1, 2]
    project.file("pyproject.toml", '[tool.simkit]\nsilence = ["mutated_parameter"]\n')
    assert "warning" not in project.ok("--fresh", "-n", workers).out


LARGE = """
import numpy as np
from simkit import experiment, product

@experiment
@product(x=range(2))
def large(x, size={size}):
    return {{"small": x, "big": np.zeros(size, "u1")}}
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_large_return_is_told(project, workers):
    project.file("sim_large.py", LARGE.format(size=(64 << 20) + 1))
    result = project.ok("-n", workers)
    text = "warning: sim_large.py::large: result 'big' of one run takes 67 MB; run.append() records a series"
    assert result.out.count(text) == 1, result.out
    assert SILENCE.format("large_return") in result.out
    project.file("sim_large.py", LARGE.format(size=64 << 20))
    assert "warning" not in project.ok("-n", workers).out


def test_silence_knows_its_names(project):
    project.file("sim_large.py", LARGE.format(size=1))
    project.file("pyproject.toml", '[tool.simkit]\nsilence = ["large_retrun"]\n')
    result = project.simkit()
    assert result.code == 4
    assert "silence knows no warning 'large_retrun'; did you mean 'large_return'?" in result.err
    assert (
        "there are: unseeded_random, mutated_parameter, large_return, shared_files, changed_global, left_behind"
        in result.err
    )


def test_a_healthy_first_run_is_not_warned_about(project):
    project.file(
        "sim_fine.py",
        """
        import numpy as np
        from simkit import experiment, product

        @experiment
        @product(x=range(5))
        def fine(x, rng, weights=[1, 2]):
            return {"z": rng.normal(), "w": sorted(weights)}
        """,
    )
    assert "warning" not in project.ok("-n", "1").out
    with project.open("fine-001") as traj:
        drawn = [np.random.default_rng(seed).normal() for seed in traj.seeds]
        assert traj["z"].tolist() == drawn


CODECS = """
import threading
from simkit import Codec, hookimpl

class Box:
    def __init__(self, items, lock=None):
        self.items, self.lock = items, lock

class Shared(Box):
    pass

@hookimpl
def simkit_codecs():
    parts = lambda box: ({"items": box.items, "locked": box.lock is not None}, {})
    return [
        Codec("lab.Box", Box, parts, lambda p, _: Box(p["items"], threading.Lock() if p["locked"] else None)),
        Codec("lab.Shared", Shared, parts, lambda p, _: Shared(p["items"]), mutable=False),
    ]
"""
CHANGED = """
import collections, threading
import numpy as np
from simconf import Box, Shared
from simkit import experiment, parameter, product

@parameter
def made():
    return Box([0])

@parameter
def varying(x):
    return Box([0])

@parameter
class Group:
    box: Box = Box([0])

@experiment
@product(x=range(6), explored=[Box([0])])
def change(
    x, made, varying, explored, group,
    default=Box([0]),
    locked=Box([0], threading.Lock()),
    nested=[Box([0])],
    inner=(1, {"a": Box([0])}),
    cells=np.array([[0], None], object),
    masked=np.ma.MaskedArray([1.0, 2.0], [False, False]),
    generator=np.random.default_rng(1),
    counter=collections.Counter(a=1),
):
    boxes = [made, varying, explored, group.box, default, locked, nested[0], inner[1]["a"]]
    for box in boxes:
        box.items.append(x)
    cells[0].append(x)
    counter["a"] += 1
    masked.mask[0] |= x == 0
    sizes = [len(box.items) for box in boxes]
    return {"sizes": sizes, "objects": len(cells[0]), "drawn": generator.random(), "seen": masked.sum() - 2 * (x == 0),
            "count": counter["a"]}
"""


@pytest.mark.parametrize("workers", ["0", "1", "2"])
def test_whatever_can_be_changed_in_place_is_each_runs_own(project, workers):
    project.file("simconf.py", CODECS)
    project.file("sim_change.py", CHANGED)
    result = project.ok("-n", workers)
    with pytest.warns(UserWarning, match="the codec 'lab.Box' is not known here"):
        traj = project.open("change-001")
    with traj:
        assert traj["sizes"].tolist() == [[2] * 8] * 6
        assert traj["objects"].tolist() == [2] * 6
        assert traj["count"].tolist() == [2] * 6
        assert traj["drawn"].tolist() == [np.random.default_rng(1).random()] * 6
        assert traj["seen"].tolist() == [0.0] + [3.0] * 5
    for name in ("made", "varying", "explored", "group", "default", "nested", "cells", "generator"):
        assert result.out.count(f"a run changed its parameter {name!r} in place") == 1, name


def test_a_codec_of_immutable_values_spares_the_copy(project):
    project.file("simconf.py", CODECS)
    study = (
        "from simconf import Shared\nfrom simkit import experiment, product\nONE = Shared([0])\n\n"
        "@experiment\n@product(x=range(3))\ndef keep(x, one=ONE):\n    return one is ONE\n"
    )
    project.file("sim_keep.py", study)
    project.ok("-n", "0")
    exported = project.ok("export", "results/keep-001.h5", "out.csv")
    assert (project.path / "out.csv").read_text().count("True") == 3, exported.out


LEAVING = """
import weakref
from simkit import experiment, product

count = 0
table = {}
tables = {"library": [object(), weakref.proxy(table_of := type("Table", (), {})())]}
del table_of

@experiment
@product(x=range(4))
def leaves(x):
    global count
    count += 1
    table[x] = x
    with open("v.dat", "w") as file:
        file.write(str(x))
    return count
"""


def test_what_can_not_be_put_back_is_told_once(project):
    project.file("sim_leaves.py", LEAVING)
    result = project.ok("-n", "1")
    text = (
        "warning: sim_leaves.py::leaves: a run changed sim_leaves.count, sim_leaves.table, which later runs"
    )
    assert result.out.count(text) == 1, result.out
    assert "@experiment(isolate=True)" in result.out
    files = "a run wrote into the working directory, which runs in other workers write into, too: v.dat; write into"
    assert result.out.count(files) == 1, result.out
    assert SILENCE.format("changed_global") in result.out
    assert SILENCE.format("shared_files") in result.out


LAZY = """
from functools import cached_property, lru_cache
import random
import numpy as np
from simkit import experiment, product

@lru_cache
def made_once():
    return np.random.default_rng(1)

class Model:
    rng = None

    @cached_property
    def cached(self):
        return np.random.RandomState(1)

    def draw(self):
        if self.rng is None:
            self.rng = np.random.default_rng(1)
        return self.rng.random()

def numbers():
    own = random.Random(1)
    while True:
        yield own.random()

_kept, table, model, stream = None, {}, Model(), numbers()

def lazily():
    global _kept
    if _kept is None:
        _kept = np.random.default_rng(1)
    return _kept.random()

def of_table(key):
    return table.setdefault(key, np.random.default_rng(1)).random()

@experiment
@product(x=range(4))
def draws(x):
    return DRAW
"""


@pytest.mark.parametrize(
    ("draw", "place"),
    [
        ("made_once().random()", "made_once."),
        ("model.cached.rand()", "model.cached,"),
        ("model.draw()", "model.rng,"),
        ("next(stream)", "stream."),
        ("lazily()", "_kept,"),
        ("of_table('a')", "table.a,"),
    ],
)
def test_a_generator_that_a_run_makes_and_later_ones_draw_from_is_told(project, draw, place):
    project.file("sim_lazy.py", LAZY.replace("DRAW", draw))
    told = "from which later runs of the same worker draw, too: their random numbers depend on who ran what"
    out = project.ok("-n", "1").out
    assert f"warning: sim_lazy.py::draws: a run made sim_lazy.{place}" in out, out
    assert out.count(told) == 1
    assert SILENCE.format("unseeded_random") in out


@pytest.mark.parametrize(
    "draw", ["np.random.default_rng(x).random()", "random.Random(x).random()", "len(table)"]
)
def test_a_generator_that_ends_with_its_run_is_no_matter(project, draw):
    project.file("sim_lazy.py", LAZY.replace("DRAW", draw))
    assert "a run made" not in project.ok("-n", "1").out


def test_isolated_runs_may_make_generators_where_they_like(project):
    project.file(
        "sim_lazy.py", LAZY.replace("DRAW", "lazily()").replace("@experiment", "@experiment(isolate=True)")
    )
    assert "a run made" not in project.ok("-n", "1").out
    assert len(set(project.open("draws-001")["result"])) == 1


def test_a_trajectory_that_is_being_written_beside_the_study_is_no_file_of_a_run(project):
    text = LEAVING.replace(
        'open("v.dat", "w")', 'open("o.h5.wal", "w"), open("o.h5", "w") as file, open("v.dat", "w")'
    )
    project.file("sim_leaves.py", text)
    result = project.ok("-n", "1")
    assert "which runs in other workers write into, too: v.dat; write into" in result.out


def test_chdir_and_isolate_are_the_cures(project):
    text = LEAVING.replace("@experiment", "@experiment(isolate=True, chdir=True)")
    project.file(
        "sim_leaves.py",
        text.replace("return count", "import os; return count, open('v.dat').read(), os.getcwd()"),
    )
    ways = [["-n", "1"], ["-n", "2"], ["-n", "2", "--start-method", "spawn"]]
    for number, way in enumerate(ways):
        result = project.ok("--fresh", *way)
        assert "v.dat" not in result.out
        with project.open(f"leaves-{number + 1:03}") as traj:
            rows = [values(traj, "result")[run] for run in range(4)]
        assert [str(row[-3:-1]) for row in rows] == [f"(1, '{run}')" for run in range(4)], rows
        assert len({row[-1] for row in rows}) == 4
    assert not (project.path / "v.dat").exists()
    inside = project.ok("--fresh", "-n", "0")
    assert "isolate=True needs a worker process" in inside.out


def test_an_isolated_run_that_dies_costs_one_run(project):
    project.file(
        "sim_dies.py",
        """
        import os
        from simkit import experiment, fixture, product

        @fixture(scope="experiment")
        def shared():
            yield []
            print("torn down")

        @experiment(isolate=True)
        @product(x=range(6))
        def dies(x, shared):
            shared.append(x)
            if x == 2:
                os._exit(3)
            if x == 3:
                raise ValueError("three")
            return len(shared)
        """,
    )
    assert project.simkit("-n", "2").code == 1
    with project.open("dies-001") as traj:
        assert traj.status.tolist() == ["done", "done", "crashed", "failed", "done", "done"]
        assert traj.where(status="done")["result"].tolist() == [1] * 4


def test_a_failed_run_keeps_the_folder_that_it_was_in(project):
    project.file(
        "sim_fails.py",
        """
        from simkit import experiment, product

        @experiment(chdir=True)
        @product(x=range(2))
        def fails(x):
            open("trace.txt", "w").write("here")
            return 1 / x
        """,
    )
    project.simkit("-n", "1")
    with project.open("fails-001") as traj:
        folder = traj.error(0).rpartition("is kept: ")[2].strip(" )\n")
    assert (Path(folder) / "trace.txt").read_text() == "here"
    shutil.rmtree(folder)


def test_a_seed_that_is_too_large_for_a_library_is_explained(project):
    project.file(
        "sim_large.py",
        """
        import numpy as np
        from simkit import experiment, product

        @experiment
        @product(x=range(2))
        def large(x, seed):
            np.random.seed(seed)
            return np.random.rand()
        """,
    )
    result = project.simkit("-n", "1")
    assert "ask for the argument random_state instead" in result.out
    project.file(
        "sim_large.py", (project.path / "sim_large.py").read_text().replace("seed)", "random_state)")
    )
    project.ok("-n", "1")


def test_the_order_of_a_set_of_texts_is_the_same_in_each_session(project, monkeypatch):
    """Each command by itself, as a shell starts it: one that another process forks has that one's order."""
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    project.file(
        "sim_sets.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=range(3))
        def sets(x):
            return ",".join({"a", "b", "c", "d", "e", "f", "g"})
        """,
    )
    for way in (["-n", "0"], ["-n", "1"], ["-n", "1", "--start-method", "spawn"]):
        project.ok("--fresh", *way, env=clean_environment())
    orders = {order for number in (1, 2, 3) for order in project.open(f"sets-00{number}")["result"]}
    assert len(orders) == 1, orders
    assert project.open("sets-001").info.sessions[0]["environment"]["PYTHONHASHSEED"] == "0"
    assert project.simkit("verify", "results/sets-001.h5", env=clean_environment()).code == 0


@pytest.mark.parametrize("most", ["True", "4"])
def test_warnings_of_one_call_count_for_all_of_its_runs(project, most):
    project.file(
        "sim_v.py",
        f"""
        import numpy as np
        from simkit import experiment, product

        @experiment(vectorized={most})
        @product(x=np.arange(12.0))
        def v(x):
            return 1 / np.zeros(len(x))
        """,
    )
    out = project.ok("-n", "0").out
    assert "RuntimeWarning: divide by zero encountered in divide, sim_v.py:8: 12 runs" in out


def test_values_of_modules_that_each_process_has_others_of_are_named(project):
    project.file(
        "sim_unequal.py",
        """
        import os
        import numpy as np
        from simkit import experiment, explore

        W = np.random.default_rng().random(3)
        WHO = f"process {os.getpid()}"
        SAME = np.random.default_rng(1).random(3)

        @experiment
        @explore(x=range(4))
        def unequal(x):
            return {"w": W.sum() + SAME.sum(), "who": len(WHO)}
        """,
    )
    result = project.ok("-n", "1", "--start-method", "spawn")
    assert "importing the code again gave other values: sim_unequal.py::W (ndarray in one" in result.out
    assert "sim_unequal.py::WHO ('process " in result.out
    assert "SAME" not in result.out


def test_objects_of_modules_that_a_run_changed_in_place_are_named(project):
    project.file(
        "lab.py",
        """
        from collections import Counter, deque

        class Bench:
            used = 0
            def __init__(self):
                self.count, self._own = 0, 0

        BENCH = Bench()
        SEEN, CACHE, LEFT, _private = Counter(), deque(), [1], {}

        def helper():
            helper.calls += 1

        helper.calls = 0
        """,
    )
    project.file(
        "sim_lab.py",
        """
        import lab
        from lab import BENCH, SEEN
        from simkit import experiment, product

        @experiment
        @product(x=range(3))
        def state(x):
            BENCH.count += 1
            BENCH._own += 1
            lab.Bench.used += 1
            SEEN[x] += 1
            lab.CACHE.append(x)
            lab.helper()
            lab._private[x] = x
        """,
    )
    out = project.ok("-n", "1").out
    changed = "sim_lab.BENCH.count, sim_lab.SEEN, lab.Bench.used, lab.CACHE, lab.helper.calls"
    assert out.count(f"a run changed {changed}, which later runs of the same worker find changed") == 1, out


def test_processes_that_a_run_starts_are_said_to_be_unseen(project):
    project.file(
        "sim_pool.py",
        """
        import multiprocessing, os
        from simkit import experiment, product

        @experiment
        @product(x=range(2))
        def pooled(x):
            child = multiprocessing.get_context("fork").Process(target=int)
            child.start()
            child.join()
            return x

        @experiment
        @product(x=range(2))
        def forked(x):
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)
            return x
        """,
    )
    out = project.ok("-n", "1").out
    for name in ("pooled", "forked"):
        text = (
            f"warning: sim_pool.py::{name}: a run started processes: files that they read, and modules that"
        )
        assert out.count(text) == 1, out
    assert SILENCE.format("unseen_processes") in out
