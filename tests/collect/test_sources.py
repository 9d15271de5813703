"""Which files belong to an experiment."""

from __future__ import annotations

import sys

import pytest

import simkit

HEAD = "from simkit import experiment, fixture, parameter, product\n"
EXPERIMENT = "@experiment\ndef f(x=1):\n    return x\n"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Modules of these names that other tests left: an import would give those."""
    for name in ("lib", "other", "deep", "late", "pack", "tools", "one", "two", "broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def sources(study, text):
    return study.plan(HEAD + text + EXPERIMENT).sources


def test_imports_are_followed_through_the_project_and_nothing_else_is_taken(study):
    study.write("lib.py", "import deep.inner\nfrom other import y\n")
    study.write("other.py", "y = 1\n")
    study.write("deep/__init__.py", "")
    study.write(
        "deep/inner.py", "from . import side\nfrom .side import q\ndef h():\n    from .. import nothing\n"
    )
    study.write("deep/side.py", "q = 2\n")
    study.write("deep/unused.py", "")
    study.write("unused.py", "")
    study.write("sim_b.py", HEAD)
    found = sources(study, "import os, json\nimport numpy as np\nfrom scipy import stats\nimport lib\n")
    assert set(found.files) == {
        "sim_a.py", "lib.py", "other.py", "deep/__init__.py", "deep/inner.py", "deep/side.py", "pyproject.toml",
    }  # fmt: skip
    assert found.imports == {"numpy", "scipy"}
    assert found.files["other.py"] == b"y = 1\n"


def test_imports_within_functions_and_of_names_that_are_modules(study):
    study.write("late.py", "import pandas\n")
    study.write("pack/__init__.py", "")
    study.write("pack/mod.py", "")
    found = sources(study, "from pack import mod\ndef g():\n    import late\n")
    assert {"late.py", "pack/mod.py", "pack/__init__.py"} <= set(found.files)
    assert found.imports == {"pandas"}


def test_every_simconf_above_counts_and_providers_elsewhere(study):
    study.write("simconf.py", HEAD + "from tools import t\n@parameter\ndef dt():\n    return t\n")
    study.write("tools.py", "t = 1\n")
    study.write("inner/simconf.py", HEAD)
    study.write("inner/sim_b.py", HEAD + "@experiment\ndef g(dt):\n    return dt\n")
    (item,) = study.collect("inner")
    assert set(item.plan.sources.files) == {
        "simconf.py", "tools.py", "inner/simconf.py", "inner/sim_b.py", "pyproject.toml",
    }  # fmt: skip


def test_circular_and_broken_imports_do_no_harm(study):
    study.write("one.py", "import two\n")
    study.write("two.py", "import one\ntry:\n    import broken\nexcept SyntaxError:\n    pass\n")
    study.write("broken.py", "def (:\n")
    found = sources(study, "import one\n")
    assert {"one.py", "two.py", "broken.py"} <= set(found.files)


def test_bytes_are_kept_as_they_are(study):
    data = b"# -*- coding: latin-1 -*-\r\nname = '\xe9'\r\n"
    (study.root / "lib.py").write_bytes(data)
    assert sources(study, "import lib\n").files["lib.py"] == data


def test_only_our_table_of_the_settings(study):
    (study.root / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.simkit]\nworkers = 2\nfiles = [\n    "sim_*.py",\n]\n'
        '[tool.simkit.parameters] # all\nx = 3\n[tool.poetry.source]\nurl = "https://u:TOKEN@h/"\n'
    )
    text = sources(study, "").files["pyproject.toml"].decode()
    assert text.startswith("[tool.simkit]\nworkers = 2\n")
    assert "x = 3" in text
    assert "TOKEN" not in text
    assert "[project]" not in text


def test_an_edit_after_collection_is_not_recorded(study):
    """A long study of many experiments reaches the last one hours after it was collected."""
    study.write("lib.py", "k = 1\n")
    study.write("sim_a.py", HEAD + "import lib\n@experiment\ndef f(x=1):\n    return lib.k\n")
    (item,) = study.collect()
    study.write("lib.py", "k = 2\n")
    assert item.plan.sources.files["lib.py"] == b"k = 1\n"


def test_functions_of_a_notebook(study):
    """They have no file: what Python still knows of them is recorded."""
    (study.root / "cell").write_text("def f(x=2):\n    import pandas\n    return x\n")
    scope = {"__name__": "a_notebook"}
    exec(compile((study.root / "cell").read_text(), str(study.root / "cell"), "exec"), scope)
    trajectory = simkit.run(scope["f"])
    sources = trajectory.info.sessions[-1]["sources"]
    text = trajectory.info.source(sources["notebook.py"][:12])
    assert text == "def f(x=2):\n    import pandas\n    return x\n"
    trajectory.close()
