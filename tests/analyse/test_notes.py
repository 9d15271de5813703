"""Notes, derived values and links, added to a recorded trajectory."""

from __future__ import annotations

import numpy as np
import pytest

import simkit
from simkit import experiment, parameter, product


@parameter
class Neuron:
    tau: float = 20.0
    N: int = 10


@experiment
@product(x=[1.0, 2.0, 3.0, 4.0])
def f(x, neuron, run):
    if x == 2:
        run.note(z="second")
        run.note("as expected")
    run.add(**{"spikes.t": np.arange(int(x))})
    return {"z": x * neuron.N}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "f.h5"
    simkit.run(f, output=path).close()
    return path


@pytest.fixture
def traj(file):
    with simkit.open(file, mode="r+") as traj:
        yield traj


# Opening


def test_a_file_open_for_reading_says_how_to_open_it(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    before = file.read_bytes()
    with simkit.open("f.h5") as traj:
        for change in (lambda: traj.note("x"), lambda: traj.add(m=1), lambda: traj.link("best", run=1)):
            with pytest.raises(simkit.SimkitError) as caught:
                change()
            assert str(caught.value) == (
                'f.h5 is open for reading only: simkit.open("f.h5", mode="r+") opens it for additions'
            )
    assert file.read_bytes() == before


def test_wrong_modes_and_files(tmp_path, file):
    with pytest.raises(simkit.SimkitError, match='mode=\'w\': "r" reads; "r\\+" adds notes'):
        simkit.open(file, mode="w")
    with pytest.raises(simkit.SimkitError, match="no such file"):
        simkit.open(tmp_path / "none.h5", mode="r+")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(simkit.SimkitError, match="not a trajectory file"):
        simkit.open(tmp_path / "text.h5", mode="r+")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5", "text.h5"]


def test_by_name_and_one_of_several(project, monkeypatch):
    project.file(
        "sim_a.py", "from simkit import *\n@experiment\ndef a(): return 1\n@experiment\ndef b(): return 2\n"
    )
    project.ok()
    project.ok("--output", "both.h5")
    monkeypatch.chdir(project.path)
    with simkit.open("a", mode="r+") as traj:
        traj.note("first")
    with simkit.open("a") as traj:
        assert traj.notes() == ["first"]
    with simkit.open("both.h5", "b", mode="r+") as traj:
        traj.note("second")
        traj.link("same", "result")
    with simkit.open("both.h5", "a") as a, simkit.open("both.h5", "b") as b:
        assert (a.notes(), b.notes()) == ([], ["second"])
        assert b.links.same.tolist() == [2]


def test_a_closed_trajectory(traj):
    traj.close()
    traj.close()
    with pytest.raises(simkit.SimkitError, match=r"f\.h5 is closed: open the trajectory again"):
        traj.note("late")


def test_the_trajectory_at_a_glance_shows_what_was_added(traj):
    for number in range(7):
        traj.note(f"note\n{number}")
    traj.link("best", run=2)
    traj.link("deep.z", "z")
    assert repr(traj).splitlines()[-9:-1] == [
        "    … 2 older",
        *(f"    note {number}" for number in range(2, 7)),
        "  links",
        "    best, deep.z",
    ]


def test_a_recorded_name_as_an_attribute_of_the_trajectory(traj):
    with pytest.raises(AttributeError, match=r"no attribute 'z': a column is trajectory\[\"z\"\]"):
        traj.z  # noqa: B018
    with pytest.raises(AttributeError, match=r"'Trajectory' object has no attribute 'zz'$"):
        traj.zz  # noqa: B018
    assert not hasattr(traj, "_repr_png_")


# Notes


def test_notes_on_the_trajectory_a_run_a_name_and_a_group(traj):
    assert traj.notes() == []
    traj.note("first try")
    traj.note("second\nline \0")
    traj.note("odd", run=0)
    traj.note(z="in mV", neuron="from the lab")
    traj.note({"neuron.tau": "too long", "spikes": "sorted"})
    traj.note(z="wrong", run=-1)
    traj.note("last of all", run=np.int64(3))
    assert traj.notes() == ["first try", "second\nline \\x00"]
    assert traj.notes(0) == ["odd"]
    assert traj.notes(1) == ["z: second", "as expected"]
    assert traj.notes(-1) == traj.notes(3) == ["z: wrong", "last of all"]
    assert traj.notes("z") == ["in mV", "run 1: second", "run 3: wrong"]
    assert traj.notes("neuron") == ["from the lab"]
    assert traj.notes("neuron.tau") == ["too long"]
    assert traj.notes("spikes") == ["sorted"]
    assert traj.notes("x") == []


def test_a_note_on_a_selection_is_one_on_each_of_its_runs(traj):
    traj.where("x > 2").note("large")
    assert [traj.notes(i)[-1:] for i in range(4)] == [[], ["as expected"], ["large"], ["large"]]
    assert traj.notes() == []
    assert traj.where("x > 2").notes("z") == []
    assert traj.where("x < 3").notes("z") == ["run 1: second"]


def test_wrong_notes(traj):
    with pytest.raises(
        simkit.SimkitError, match=r"traj.note\(\): f has no 'nueron.tau'; did you mean 'neuron.tau'\?"
    ):
        traj.note({"nueron.tau": "x"})
    with pytest.raises(simkit.SimkitError, match=r"f has no 'zz'(?s:.*)available: "):
        traj.notes("zz")
    for given in ({}, {"z": ""}, {"z": 3}):
        with pytest.raises(simkit.SimkitError, match=r'give a text, as in traj.note\("first try"\)'):
            traj.note(given)
    with pytest.raises(IndexError, match="run 4 of a trajectory with 4 runs"):
        traj.note("x", run=4)
    traj.note("it goes on")
    assert traj.notes() == ["it goes on"]


def test_notes_of_runs_go_on_where_the_runs_are_continued(project):
    project.file(
        "sim_a.py", "from simkit import *\n@experiment\n@product(x=[1])\ndef f(x, run): run.note(f'at {x}')\n"
    )
    project.ok()
    with simkit.open(project.path / "results/f-001.h5", mode="r+") as traj:
        traj.note("mine", run=0)
        traj.note("whole")
        traj.link("first", run=0)
    project.ok("--product", "x=1,2")
    with project.open("f-001") as traj:
        assert (traj.notes(0), traj.notes(1), traj.notes()) == (["at 1", "mine"], ["at 2"], ["whole"])
        assert traj.links.first.x == 1


# Derived values


def test_derived_values_of_any_kind(traj):
    values = {
        "rate": np.arange(6.0).reshape(2, 3),
        "big": np.random.default_rng(1).normal(size=20_000),
        "text": "all fine",
        "count": 3,
        "ragged": [1, "two", None],
        "table": {"a": 1.5, "b": [1, 2]},
        "nothing": None,
        "fit.slope": np.float32(2.5),
        "fit.offset": 1 + 2j,
    }
    traj.add(values)
    for opened in (traj, simkit.open(traj.path)):
        for name, value in values.items():
            found = opened.summary[name]
            assert type(found) is type(value)
            assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value
        assert opened.summary.fit.slope == np.float32(2.5)
        assert opened["rate"].shape == (2, 3)  # not a column
        assert opened.where("x > 1").summary.count == 3
        assert opened.describe("rate").section == "summary"
        assert opened.describe("rate").origin.startswith("added at ")
        assert "test_notes.py:" in opened.describe("rate").origin
        assert "big         array float64 (20000,)" in repr(opened)
        assert list(opened.to_dataframe().columns) == ["x", "neuron.tau", "neuron.N", "z"]
    with pytest.raises(AttributeError, match="summary has no 'rat'; did you mean 'rate'"):
        traj.summary.rat  # noqa: B018
    with pytest.raises(simkit.SimkitError, match="unknown name 'count'"):
        traj.where("count > 2")  # it is of the whole, not of the runs


def test_a_cell_that_is_run_again_replaces_what_it_added(traj):
    traj.add(m=1, other=np.arange(3))
    traj.add(m="two", other=np.arange(30_000))
    assert (traj.summary.m, len(traj.summary.other)) == ("two", 30_000)


def test_recorded_values_can_not_be_changed(traj):
    for name, what in (
        ("z", "result"),
        ("x", "parameter"),
        ("neuron.tau", "parameter"),
        ("spikes.t", "result"),
    ):
        with pytest.raises(simkit.SimkitError) as caught:
            traj.add({name: 1})
        assert "test_notes.py:" in str(caught.value)
        assert f"traj.add(): '{name}' is a recorded {what}, and recorded values cannot be changed: " in str(
            caught.value
        )
        assert f"such as '{name}_derived'" in str(caught.value)

    def by_item():
        traj["z"] = 1

    def by_attribute():
        traj.results.z = 1

    def of_a_run():
        traj.runs[2].z = 1

    def within_a_group():
        traj.parameters.neuron["tau"] = 1

    for change in (by_item, by_attribute, of_a_run, within_a_group):
        with pytest.raises(simkit.SimkitError, match=r"recorded values cannot be changed\n    traj\.add"):
            change()
    assert traj["z"].tolist() == [10, 20, 30, 40]
    assert list(traj.summary) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"a/b": 1}, "'a/b' cannot name a derived value: use identifiers, joined by dots"),
        ({"": 1}, "'' cannot name a derived value"),
        ({"a\0": 1}, "'a\\x00' cannot name a derived value"),
        ({"\ud800": 1}, "'\\ud800' cannot name a derived value"),
        ({3: 1}, "3 cannot name a derived value"),
        ({"g": 1, "g.h": 2}, "'g' is a value and, through 'g.h', a group: a name is one of them"),
        ({"there.below": 1}, "'there' is a value and, through 'there.below', a group"),
        ({"ok": 1, "f": lambda: 1}, "traj.add(): f: cannot store a function"),
        ({"deep": {"a": [object()]}}, "cannot store"),
    ],
)
def test_what_can_not_be_added_changes_nothing(traj, values, words):
    traj.add(there=1)
    with pytest.raises(simkit.SimkitError) as caught:
        traj.add(values)
    assert words in str(caught.value)
    assert list(traj.summary) == ["there"]


def test_what_an_after_gave_belongs_to_it(project):
    source = "from simkit import *\n@experiment\ndef f(): return 1\n@after(f)\ndef m(): return {'m': 1}\n"
    project.file("sim_a.py", source)
    project.ok()
    path = project.path / "results" / "f-001.h5"
    with simkit.open(path, mode="r+") as traj:
        with pytest.raises(simkit.SimkitError, match="'m' is given by @after m: give it another name"):
            traj.add(m=2)
        traj.add(n=2)
    project.file("sim_a.py", source.replace("'m': 1", "'m': 1, 'n': 1"))
    assert "'n' was added by hand: give it another name" in project.simkit().out
    with project.open("f-001") as traj:
        assert traj.summary.n == 2


# Links


def test_links_to_runs_selections_and_names(traj):
    traj.link("best", run=2)
    traj.link("last", run=-1)
    traj.link("large", traj.where("x > 2"))
    traj.where("x < 2").link("small")
    traj.link("middle", traj.runs[1:3])
    traj.link("voltage", "z")
    traj.link("deep.times", "spikes.t")
    traj.link("tau", "neuron.tau")
    traj.add(m=7)
    traj.link("mean", "m")
    for opened in (traj, simkit.open(traj.path)):
        links = opened.links
        assert list(links) == ["best", "last", "large", "small", "middle", "voltage", "deep", "tau", "mean"]
        assert (links.best.x, links.last.z) == (3.0, 40.0)
        assert links.large["z"].tolist() == [30, 40]
        assert links.large.index.tolist() == [2, 3]
        assert (links.small["x"].tolist(), links.middle["x"].tolist()) == ([1], [2, 3])
        assert links.voltage.tolist() == [10, 20, 30, 40]
        assert [len(row) for row in links.deep.times] == [1, 2, 3, 4]
        assert (links.tau, links.mean) == (20.0, 7)
        assert opened.where("x > 3").links.voltage.tolist() == [40]
    with pytest.raises(AttributeError, match="links has no 'bset'; did you mean 'best'"):
        traj.links.bset  # noqa: B018


def test_a_table_of_linked_runs_is_indexed_by_their_numbers_in_whatever_order(traj):
    traj.link("odd", traj.runs[[0, 2, 1, 3]])
    traj.link("twice", traj.runs[[0, 0, 2]])
    assert traj.links.odd.to_dataframe().index.tolist() == [0, 2, 1, 3]
    assert traj.links.twice.to_dataframe().index.tolist() == [0, 0, 2]


def test_a_derived_values_parts_have_dotted_names(traj):
    traj.add(fit={"a": 1.5, "b": [1, 2]})
    assert (traj.summary["fit.a"], traj["fit.b"]) == (1.5, [1, 2])
    with pytest.raises(KeyError, match=r"no 'fit\.c'"):
        traj.summary["fit.c"]


def test_a_link_can_be_moved(traj):
    traj.link("best", run=1)
    traj.link("best", "z")
    traj.link("best", run=3)
    assert traj.links.best.x == 4
    assert traj["z"].tolist() == [10, 20, 30, 40]


def test_wrong_links(traj, tmp_path):
    traj.link("group.one", run=1)
    cure = r'a link stands for a run, as in traj.link\("best", run=3\)'
    other = simkit.run(f, output=tmp_path / "other.h5")
    for target in (None, 3, other, other.runs[:2]):
        with pytest.raises(simkit.SimkitError, match=cure):
            traj.link("best", target)
    other.close()
    with pytest.raises(KeyError, match="f has no 'zz'"):
        traj.link("best", "zz")
    with pytest.raises(IndexError, match="run 4 of a trajectory with 4 runs"):
        traj.link("best", run=4)
    with pytest.raises(simkit.SimkitError, match=r"give either run=… or what else is meant, not both"):
        traj.link("best", "z", run=1)
    for name in ("a b", "a/b", "", "a..b"):
        with pytest.raises(simkit.SimkitError, match="cannot name a link: use identifiers"):
            traj.link(name, run=1)
    for name in ("group", "group.one.more"):
        with pytest.raises(simkit.SimkitError, match=r"cannot name a link: 'group\.one' is a link already"):
            traj.link(name, run=1)
    assert list(traj.links) == ["group"]


def test_a_derived_value_is_no_column_of_a_table(tmp_path):
    simkit.run(lambda x: x, simkit.explore(x=[1, 2]), output=tmp_path / "f.h5").close()
    with simkit.open(tmp_path / "f.h5", mode="r+") as traj:
        traj.add(mean=1.5)
        with pytest.raises(
            simkit.SimkitError, match=r"'mean' is one value for all runs.*traj\.summary\.mean"
        ):
            traj.to_dataframe(["x", "mean"])
