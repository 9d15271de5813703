"""Does docs/howto/reading.md tell the truth?"""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "reading.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def study(project):
    (source,) = blocks("python")
    first, _, code = source.partition("\n")
    project.file(first.removeprefix("# "), code)
    assert project.simkit("-n", "0").code == 1  # some runs fail
    return project


def test_the_examples_give_what_is_shown(study, monkeypatch):
    monkeypatch.chdir(study.path)
    mpl.use("agg")
    test = doctest.DocTestParser().get_doctest("\n".join(blocks("pycon")), {}, "reading", "reading.md", 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append, clear_globs=False)
    test.globs["traj"].close()
    plt.close("all")
    assert result.attempted > 25
    assert result.failed == 0, "".join(said)


def test_the_commands_give_what_is_shown(study):
    (console,) = blocks("console")
    for typed, shown in re.findall(r"^\$ simkit (.*)\n((?:[^$].*\n)+)", console, re.MULTILINE):
        arguments = [part.strip('"') for part in re.findall(r'"[^"]*"|\S+', typed)]
        told = study.ok(*arguments).out
        assert re.sub(r"[\d.]+ k?B", "SIZE", told) == re.sub(r"[\d.]+ k?B", "SIZE", shown)
