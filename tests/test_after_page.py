"""Does docs/howto/after.md tell the truth?"""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from written_pages import normalised

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "after.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_page(project, monkeypatch):
    (source,) = blocks("python")
    (console,) = blocks("console")
    project.file("sim_rates.py", source)
    typed, _, shown = console.partition("\n")
    assert normalised(project.ok(*typed.split()[2:]).out) == normalised(shown)

    monkeypatch.chdir(project.path)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks("pycon")), {}, "after", "after.md", 0)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append, clear_globs=False)
    assert result.attempted > 15
    assert result.failed == 0, "".join(said)
