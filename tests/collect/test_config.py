from __future__ import annotations

import re

import pytest

from simkit import SimkitError
from simkit.collect.config import Outside, cores, find_rootdir, flattened, load_settings

TABLE = "[tool.simkit]\n"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """``a/b/c`` below an empty folder, which is the working directory."""
    (tmp_path / "a/b/c").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["pyproject.toml", "a/pyproject.toml"], "a"),
        (["pyproject.toml", "a/b/simconf.py", "a/b/c/.git"], "."),
        (["a/simconf.py", "a/b/simconf.py", "a/b/c/.git"], "a/b/c"),
        ([".git", "a/.git"], "a"),
        ([".git", "a/b/setup.py", "a/b/simconf.py"], "."),
        (["simconf.py", "a/b/simconf.py", "a/b/c/simconf.py"], "a/b"),
        (["simconf.py", "a/simconf.py"], "."),
        (["simconf.py"], "."),
        ([], "a/b/c"),
    ],
)
def test_the_rootdir_is_the_nearest_table_else_project_else_the_top_of_the_simconfs_else_the_folder(
    tree, files, expected
):
    for file in files:
        (tree / file).write_text(TABLE if file.endswith("toml") else "")
    assert find_rootdir([tree / "a/b/c"]) == (tree / expected).resolve()


def test_a_pyproject_without_our_table_counts_where_there_is_none_with_it(tree):
    (tree / "a/b/pyproject.toml").write_text("[tool.other]\n")
    assert find_rootdir([tree / "a/b/c"]) == tree / "a/b"
    (tree / "a/pyproject.toml").write_text(TABLE)
    assert find_rootdir([tree / "a/b/c"]) == tree / "a"


@pytest.mark.parametrize("here", [".", "a", "a/b/c"])
def test_the_rootdir_is_the_same_from_wherever_one_stands(tree, monkeypatch, here):
    monkeypatch.chdir(tree / here)
    assert find_rootdir([tree / "a/b/c"]) == tree / "a/b/c"
    (tree / "a/b/c/sim_x.py").write_text("")
    assert find_rootdir([tree / "a/b/c/sim_x.py"]) == tree / "a/b/c"


def test_the_rootdir_serves_all_arguments(tree):
    (tree / "pyproject.toml").write_text(TABLE)
    (tree / "a/b/pyproject.toml").write_text(TABLE)
    (tree / "a/sim_x.py").write_text("")
    assert find_rootdir([tree / "a/b/c", tree / "a/sim_x.py"]) == tree
    assert find_rootdir([tree / "a/b/c", tree / "a/b"]) == tree / "a/b"


def test_without_arguments_the_working_directory_decides(tree, monkeypatch):
    (tree / "a/pyproject.toml").write_text(TABLE)
    monkeypatch.chdir(tree / "a/b")
    assert find_rootdir([]) == tree / "a"


def test_defaults(tree):
    settings = load_settings(tree)
    assert (settings.files, settings.workers, settings.outside) == (("sim_*.py",), 1, {})
    assert (settings.git, settings.sumatra, settings.user) == ("record", False, True)
    assert settings.results == tree / "results"


def test_settings_are_read(tree):
    (tree / "pyproject.toml").write_text(
        TABLE + 'files = ["*_sim.py"]\nworkers = 3\n[tool.simkit.parameters]\nx = 1\n"syn.w" = 2\n'
        "[tool.simkit.parameters.neuron]\ntau = 1.5\n"
    )
    settings = load_settings(tree)
    assert settings.files == ("*_sim.py",)
    assert settings.workers == 3
    values = {"x": 1, "syn.w": 2, "neuron.tau": 1.5}
    assert settings.outside == {
        name: Outside(value, "[tool.simkit.parameters]") for name, value in values.items()
    }


def test_auto_means_all_cores(tree):
    (tree / "pyproject.toml").write_text(TABLE + 'workers = "auto"\n')
    assert load_settings(tree).workers == cores() >= 1


def test_what_is_recorded_of_the_circumstances(tree):
    (tree / "pyproject.toml").write_text(TABLE + 'git = "snapshot"\nsumatra = true\nuser = false\n')
    settings = load_settings(tree)
    assert (settings.git, settings.sumatra, settings.user) == ("snapshot", True, False)


def test_one_pattern_may_stand_alone(tree):
    (tree / "pyproject.toml").write_text(TABLE + 'files = "run_*.py"\n')
    assert load_settings(tree).files == ("run_*.py",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file = []", "unknown key 'file'; did you mean 'files'?"),
        ("zzz = 1", "known: files, parameters, workers"),
        ("files = 3", "files must be a list of patterns"),
        ("files = [1]", "files must be a list of patterns"),
        ("parameters = 3", "parameters must be a table"),
        ("workers = -1", 'workers must be a number of processes or "auto", not -1'),
        ("workers = true", "workers must be a number"),
        ('workers = "many"', "workers must be a number"),
        (
            'git = "require_clean"',
            "git must be one of 'record', 'require-clean', 'commit', 'snapshot', 'off'",
        ),
        ('sumatra = "yes"', "sumatra must be true or false, not 'yes'"),
        ("user = 0", "user must be true or false, not 0"),
        ("durable = 1", "durable must be true or false, not 1"),
        ('compress = "zstd"', "compress must be true or false, not 'zstd'"),
        ('on_change = "ask"', "on_change must be one of 'next', 'into', 'stop', not 'ask'"),
        ('silence = "git"', "silence must be a list of warnings, not 'git'"),
    ],
)
def test_a_wrong_setting_is_an_error_with_file_and_cure(tree, text, message):
    (tree / "pyproject.toml").write_text(TABLE + text + "\n")
    with pytest.raises(SimkitError, match=re.escape("pyproject.toml: [tool.simkit]")) as error:
        load_settings(tree)
    assert message in str(error.value) or message.startswith("known: ")
    if message.startswith("known: "):
        listed = str(error.value).partition("known: ")[2]
        assert set(message.removeprefix("known: ").split(", ")) <= set(listed.split(", "))


def test_invalid_toml_names_the_file(tree):
    (tree / "pyproject.toml").write_text("[tool.simkit\n")
    with pytest.raises(SimkitError, match=r"pyproject.toml: not valid TOML"):
        find_rootdir([tree])


def test_nested_tables_become_dotted_names():
    assert flattened({"a": 1, "b": {"c": 2, "d": {"e": [3]}}}, "p.toml") == {"a": 1, "b.c": 2, "b.d.e": [3]}
