"""Arguments of the command: paths, experiments, runs and keywords."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simkit import SimkitError
from simkit.collect.targets import Selector, Target, files, matches, parse_target

NODE = "folder/sim_multiply.py::Multiply_fast"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", True),
        ("  ", True),
        ("multiply", True),
        ("MULTIPLY", True),
        ("folder", True),
        ("slow", False),
        ("not slow", True),
        ("fast and not slow", True),
        ("fast and slow", False),
        ("slow or multiply_fast", True),
        ("not (fast or slow)", False),
        ("not fast or folder and sim", True),
        ("sim_multiply.py", True),
        ("'sim_multiply.py::m'", True),
        ("'folder/sim'", True),
    ],
)
def test_words_joined_by_and_or_not_match_parts_of_a_node_id(expression, expected):
    assert matches(expression, NODE) is expected


@pytest.mark.parametrize("expression", ["a b", "a and", "a + b", "f(x)", "a == b", "3", "a[0]", "(", "x > 2"])
def test_anything_else_is_an_error_that_says_what_to_write(expression):
    with pytest.raises(
        SimkitError, match=re.escape(f"-k {expression!r}: write names joined by and, or, not")
    ):
        matches(expression, NODE)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("sim_a.py", "sim_b.py", "other.py", "sub/sim_c.py", "sub/deep/sim_d.py"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("argument", "target"),
    [
        ("sim_a.py", ("sim_a.py",)),
        ("sub", ("sub",)),
        (".", (".",)),
        ("sim_a.py::f", ("sim_a.py", "f")),
        ("sim_a.py::f[3]", ("sim_a.py", "f", Selector("3", 3, 4))),
        ("sim_a.py::f[3:7]", ("sim_a.py", "f", Selector("3:7", 3, 7))),
        ("sim_a.py::f[3:]", ("sim_a.py", "f", Selector("3:", 3, None))),
        ("sim_a.py::f[:7]", ("sim_a.py", "f", Selector(":7", 0, 7))),
    ],
)
def test_an_argument_is_a_path_perhaps_with_an_experiment_and_its_runs(here, argument, target):
    path, *rest = target
    assert parse_target(argument) == Target(here / path, *rest)


@pytest.mark.parametrize(
    ("inside", "values"),
    [
        ("x=1.0,y=6.0", (("x", "1.0"), ("y", "6.0"))),
        ("x=1.0, y=6.0", (("x", "1.0"), ("y", "6.0"))),
        ("name='a,b',x=1", (("name", "'a,b'"), ("x", "1"))),
        ("pair=(1, 2)", (("pair", "(1, 2)"),)),
        ("x=-1", (("x", "-1"),)),
        ("neuron.tau=1.5,x=2", (("neuron.tau", "1.5"), ("x", "2"))),
        ("neuron.tau=(1, 2),x=2", (("neuron.tau", "(1, 2)"), ("x", "2"))),
        ("mode=fast", (("mode", "fast"),)),
    ],
)
def test_runs_are_chosen_by_value(inside, values):
    assert parse_target(f"sim_a.py::f[{inside}]").runs == Selector(inside, values=values)


@pytest.mark.parametrize(
    "inside",
    ["", "abc", "-1", "3:4:5", "x", "x=", "1, 2", "x=1,3", "x=1,neuron.tau", "neuron.tau=1,blah", "**x"],
)
def test_brackets_that_can_not_be_read_show_how_to_write_them(inside):
    with pytest.raises(
        SimkitError, match=re.escape(f"cannot read [{inside}]: write [3], [3:7] or [x=1.0,y=6.0]")
    ):
        parse_target(f"sim_a.py::f[{inside}]")


@pytest.mark.parametrize("argument", ["nope.py", "nope.py::f", "nowhere"])
def test_a_path_that_does_not_exist_is_an_error(argument):
    with pytest.raises(SimkitError, match="no such file or folder: " + argument.partition("::")[0]):
        parse_target(argument)


@pytest.mark.parametrize("argument", ["sub::f", "sim_a.py::"])
def test_colons_need_a_file_before_and_a_name_behind(argument):
    with pytest.raises(SimkitError, match="write FILE::EXPERIMENT"):
        parse_target(argument)


def found(here, *arguments, patterns=("sim_*.py",)):
    paths = files([parse_target(argument) for argument in arguments], patterns)
    return [path.relative_to(here).as_posix() for path in paths]


def test_without_arguments_all_files_below_the_current_folder_that_fit_are_collected_in_order(
    here, monkeypatch
):
    assert found(here) == ["sim_a.py", "sim_b.py", "sub/sim_c.py", "sub/deep/sim_d.py"]
    assert found(here, patterns=("*_d.py", "other*")) == ["other.py", "sub/deep/sim_d.py"]
    monkeypatch.chdir(here / "sub/deep")
    assert found(here) == ["sub/deep/sim_d.py"]


def test_a_folder_means_the_files_below_it(here):
    assert found(here, "sub") == ["sub/sim_c.py", "sub/deep/sim_d.py"]


def test_a_file_that_is_named_always_counts_and_each_counts_once(here):
    assert found(here, "other.py", "sim_b.py", ".", "sim_b.py::f") == [
        "other.py",
        "sim_b.py",
        "sim_a.py",
        "sub/sim_c.py",
        "sub/deep/sim_d.py",
    ]


@pytest.mark.parametrize("folder", ["__pycache__", "venv", ".hidden", "results", "build", "x.egg-info"])
def test_folders_that_hold_no_sources_are_left_out(here, folder):
    (here / folder).mkdir()
    (here / folder / "sim_x.py").write_text("")
    assert f"{folder}/sim_x.py" not in found(here)


def test_a_virtual_environment_of_any_name_is_left_out(here):
    (here / "sub" / "pyvenv.cfg").write_text("")
    assert found(here) == ["sim_a.py", "sim_b.py"]


def test_a_folder_that_is_named_is_searched_whatever_its_name(here):
    (here / "results").mkdir()
    (here / "results" / "sim_x.py").write_text("")
    assert found(here, "results") == ["results/sim_x.py"]
