"""What follows an experiment: called once no run is pending, from a script."""

from __future__ import annotations

import linecache
import sys
from types import ModuleType

import numpy as np
import pytest

import simkit

STUDY = """
from typing import Annotated
from simkit import Unit, after, experiment, fixture, parameter, product

@parameter
def scale(base=2.0):
    return base * 2

@experiment
@product(x=[1.0, 2.0, 3.0])
def f(x, scale):
    if x > {limit}:
        raise ValueError("too large")
    return {{"z": x * scale}}
"""


GOOD = STUDY.format(limit=9)


def test_results_are_the_summary(study):
    text = """
from typing import NamedTuple

class Found(NamedTuple):
    mean: Annotated[float, "over all runs", Unit("mV")]
    largest: float

@after(f)
def found(trajectory, scale, run, factor: Annotated[int, "a factor"] = 10) -> Found:
    run.add(scaled=scale * factor, **{"deep.one": np.arange(3)})
    run.append(rows=1)
    run.append(rows=2)
    run.note("made afterwards")
    run.note(mean="of z")
    assert trajectory.status.tolist() == ["done"] * 3
    return Found(float(trajectory["z"].mean()), trajectory["z"].max())

@after(f)
def second(trajectory):
    return trajectory.summary.mean + 1

import numpy as np
"""
    with study.run(GOOD + text) as traj:
        assert traj.summary.mean == 8.0
        assert type(traj.summary.mean) is float
        assert traj.summary.largest == np.float64(12)
        assert traj.summary.scaled == 40.0
        assert traj.summary.deep.one.tolist() == [0, 1, 2]
        assert traj.summary["deep.one"].tolist() == [0, 1, 2]
        assert traj.summary.rows.tolist() == [1, 2]
        assert traj.summary.result == 9.0
        assert list(traj.summary) == ["scaled", "deep", "rows", "mean", "largest", "result"]
        assert traj["mean"] == 8.0  # not a column
        about = traj.describe("mean")
        assert (about.comment, about.unit, about.origin) == ("over all runs", "mV", "sim_a.py::found")
        assert traj.parameters.factor == 10  # recorded, though no run asked for it
        assert traj.describe("factor").comment == "a factor"
        assert traj.notes() == ["made afterwards"]
        assert traj.notes("mean") == ["of z"]
        assert "z" in traj.results
        assert "mean" not in traj.results
        assert "summary\n    scaled" in repr(traj)
        assert "deep.one  = array([0, 1, 2])" in repr(traj)


def test_a_plain_value_is_the_result_beside_the_runs_own(study):
    text = "from simkit import *\n@experiment\n@product(x=[1, 2])\ndef f(x): return x\n"
    with study.run(text + "@after(f)\ndef total(trajectory): return trajectory['result'].sum()\n") as traj:
        assert traj["result"].tolist() == [1, 2]
        assert traj.summary.result == 3


def test_failed_runs_are_visible_by_their_status(study):
    text = STUDY.format(limit=2) + (
        "\n@after(f)\ndef count(trajectory):\n"
        "    done = trajectory.where(status='done')\n"
        "    return {'status': trajectory.status.tolist(), 'mean': done['z'].mean(), 'why': trajectory.error(2)}\n"
    )
    with study.run(text) as traj:
        assert traj.summary.status == ["done", "done", "failed"]
        assert traj.summary.mean == 6.0
        assert traj.summary.why.endswith("ValueError: too large")


def test_its_random_numbers_are_its_own_and_repeat(study):
    text = GOOD.replace("def f(x, scale):", "def f(x, scale, rng):").replace(
        '"z": x', '"r": rng.normal(), "z": x'
    )
    text += "\n@after(f)\ndef a(trajectory, seed, rng):\n    return {'a': seed, 'draw': rng.normal()}\n"
    text += "\n@after(f)\ndef b(trajectory, seed):\n    return {'b': seed}\n"
    with study.run(text, seed=7, output="one.h5") as one, study.run(text, seed=7, output="two.h5") as two:
        assert one.summary.a == two.summary.a
        assert one.summary.draw == two.summary.draw == np.random.default_rng(one.summary.a).normal()
        assert len({one.summary.a, one.summary.b, *one.seeds.tolist()}) == 5


def test_fixtures_are_made_and_torn_down_and_workdir_is_removed(study):
    text = GOOD + (
        "\nfrom pathlib import Path\n"
        "\n@fixture\ndef made(scale, trajectory):\n"
        "    yield [len(trajectory)]\n    Path('torn').touch()\n"
        "\n@after(f)\ndef a(made, workdir):\n"
        "    assert workdir.is_dir() and not Path('torn').exists()\n    return {'n': made[0], 'dir': str(workdir)}\n"
    )
    with study.run(text) as traj:
        assert traj.summary.n == 3
        assert (study.root / "torn").exists()
        assert not (study.root / traj.summary.dir).exists()


def test_the_trajectory_is_read_only_and_closed_afterwards(study):
    text = GOOD + (
        "\nkept = []\n@after(f)\ndef a(trajectory):\n    kept.append(trajectory)\n"
        "    try:\n        trajectory.note('x')\n    except Exception as error:\n        return {'why': str(error)}\n"
    )
    with study.run(text) as traj:
        assert (
            "f-001.h5 is open for reading only: in an @after, run.add() and run.note() record"
            in traj.summary.why
        )
    with pytest.raises(simkit.SimkitError, match="is closed: open the trajectory again"):
        study.module("sim_a.py").kept[0]["z"]


FAILING = GOOD + "\n@after(f)\ndef bad(trajectory):\n    raise ValueError('not today')\n"


def test_a_failing_one_costs_no_run(study):
    with pytest.warns(UserWarning, match=r"after bad failed\n(?s:.*)ValueError: not today") as caught:
        traj = study.run(FAILING)
    assert len(caught) == 1
    with traj:
        assert traj.status.tolist() == ["done"] * 3
        assert traj.error("bad").endswith("ValueError: not today")
        with pytest.raises(
            AttributeError, match=r"summary \(after bad failed: traj.error\('bad'\) tells why\) has no"
        ):
            traj.summary.mean  # noqa: B018
        assert "summary   (after bad failed" in repr(traj)
        with pytest.raises(simkit.SimkitError, match=r"no @after of that name was called\n    called: bad"):
            traj.error("bat")


def test_a_message_that_is_no_text_is_shown_in_escapes(study):
    text = FAILING.replace("'not today'", r"'\0 \ud800'").replace(
        "def bad(trajectory):", "def bad(run):\n    run.note('\\0')"
    )
    with pytest.warns(UserWarning, match="after bad failed"):
        traj = study.run(text)
    with traj:
        assert traj.error("bad").endswith(r"ValueError: \x00 \ud800")
        assert traj.notes() == [r"\x00"]


def test_check_raises_its_failure(study):
    with pytest.raises(simkit.SimkitError, match=r"after bad failed\n(?s:.*)ValueError: not today"):
        study.run(FAILING, check=True)
    with simkit.open("f") as traj:
        assert traj["z"].tolist() == [4, 8, 12]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "return {'z': 1}",
            "sim_a.py:16: after a: 'z' is a recorded result, and recorded values cannot be changed",
        ),
        ("return {'scale': 1}", "after a: 'scale' is a recorded parameter"),
        ("return {'x/y': 1}", "'x/y' cannot name a result"),
        ("return {'g': 1, 'g.h': 2}", "'g' is a leaf and, through 'g.h', a group"),
        ("return {'h': lambda: 1}", "result h: cannot store a function"),
        ("return {'z_mean': trajectory}", "result z_mean: cannot store"),
    ],
)
def test_what_it_can_not_give(study, body, words):
    with pytest.raises(simkit.SimkitError) as caught:
        study.run(f"{GOOD}\n@after(f)\ndef a(trajectory):\n    {body}\n", check=True)
    assert words in str(caught.value)


def test_two_that_give_the_same_name(study):
    text = GOOD + "\n@after(f)\ndef a(): return {'m': 1}\n\n@after(f)\ndef b(): return {'m': 2}\n"
    with pytest.warns(UserWarning, match="after b: 'm' is given by @after a: give it another name"):
        traj = study.run(text)
    with traj:
        assert traj.summary.m == 1


def test_a_parameter_of_the_name_of_a_result(study):
    text = GOOD + "\n@after(f)\ndef a(trajectory, z=3): return {'m': z}\n"
    with pytest.warns(
        UserWarning, match="its parameter 'z' has the name of a result: the results are trajectory"
    ):
        study.run(text).close()


def test_a_provider_that_fails(study):
    text = GOOD + "\n@fixture(scope='experiment')\ndef net(): raise KeyError('gone')\n"
    text += "\n@after(f)\ndef a(net): return {'m': 1}\n"
    with pytest.warns(UserWarning, match="fixture 'net' failed(?s:.*)KeyError: 'gone'"):
        study.run(text).close()


def test_global_generators_are_seeded_for_it(study):
    text = GOOD + "\nimport numpy as np\n\ndef draw(): return np.random.rand()\n"
    text += "\n@after(f)\ndef a(): return {'m': draw()}\n"
    with study.run(text, seed=1, output="one.h5") as one, study.run(text, seed=1, output="two.h5") as two:
        assert one.summary.m == two.summary.m  # the project's own use of the global generator is seeded


CELLS = (
    "@experiment\n@product(x=[1, 2])\ndef f(x): return {'z': x}\n",
    "def helper(z): return z.sum()\n",
    "@after(f)\ndef total(trajectory): calls.append(1); return {'total': helper(trajectory['z'])}\n",
)


def test_cells_of_a_notebook_that_are_changed(tmp_path, monkeypatch):
    """Run as IPython does: the source of each cell is in linecache, under a name that is no file."""
    monkeypatch.chdir(tmp_path)
    module = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", module)
    vars(module).update(experiment=simkit.experiment, product=simkit.product, after=simkit.after, calls=[])

    def cell(number, source):
        name = f"<ipython-input-{number}>"
        monkeypatch.setitem(
            linecache.cache, name, (len(source), None, source.splitlines(keepends=True), name)
        )
        exec(compile(source, name, "exec"), vars(module))

    def total():
        with simkit.run(module.f, output="f.h5") as traj:
            return int(traj.summary.total), len(module.calls)

    for number, source in enumerate(CELLS):
        cell(number, source)
    assert total() == (3, 1)
    assert total() == (3, 1)
    cell(3, CELLS[2])  # run again as it is
    assert total() == (3, 1)
    cell(4, CELLS[1].replace("sum", "max"))
    assert total() == (2, 2)
    cell(5, CELLS[2].replace("helper(", "10 * helper("))
    assert total() == (20, 3)


def test_one_that_leaves_something_behind_is_called_once(study):
    text = GOOD + (
        "\nimport os, numpy as np\ncalls = []\n@after(f)\ndef a(trajectory):\n    calls.append(1)\n"
        "    os.environ['LEFT'] = 'behind'\n    return {'drawn': np.random.normal()}\n"
    )
    with study.run(text):
        assert study.module("sim_a.py").calls == [1]
