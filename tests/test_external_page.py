"""Does docs/howto/external.md tell the truth?"""

from __future__ import annotations

import doctest
import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "external.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_example_gives_what_is_shown(project, monkeypatch):
    project.file("sim_solver.py", blocks("python")[0])
    project.file("params.in", re.search(r"^```\n(\{.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[1])
    project.ok("-n", "1")
    monkeypatch.chdir(project.path)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks("pycon")), {}, "external", "external.md", 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.attempted > 5
    assert result.failed == 0, "".join(said)
    assert project.ok("export", "relax", "--files", "files").out.startswith("files/   3 files")
    assert b'"price": "$5"' in (project.path / "files" / "1" / "out.json").read_bytes()


def test_files_are_refused_by_the_command_with_what_to_do(project):
    project.file("sim_a.py", "from simkit import experiment\n\n@experiment\ndef a(x=1):\n    return x\n")
    project.ok("-n", "0")
    for arguments, words in (
        (["a", "--files", "out"], "have no files: run.attach(…) keeps them"),
        (["a"], "simkit export FILE OUT, or a folder: --files DIR"),
        (["a", "--files", "out", "--names", "x"], "--files DIR goes with FILE, NAME and --where"),
        (["a", "--files", "."], "is there already: name a new folder"),
    ):
        result = project.simkit("export", *arguments)
        assert (result.code, words in result.err) == (4, True), result.err
