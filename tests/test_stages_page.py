"""Does docs/howto/stages.md tell the truth?"""

from __future__ import annotations

import doctest
import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "stages.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def normalised(text):
    """Without what differs from one time to the next: the times, the sizes, the bars of a terminal."""
    text = re.sub(r" ━+ ", " ", text)
    text = re.sub(r"=+ (.*) in [\d.]+ s =+", r"= \1 in TIME =", text)
    return [" ".join(line.split()) for line in re.sub(r"[\d.]+ (kB|s)\b", "SOME", text).strip().splitlines()]


def test_the_page(project, monkeypatch):
    (source,) = blocks("python")
    (console,) = blocks("console")
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_net.py", source)
    typed, _, shown = console.partition("\n")
    assert normalised(project.ok(*typed.split()[2:]).out) == normalised(shown)

    monkeypatch.chdir(project.path)
    test = doctest.DocTestParser().get_doctest(
        "\n".join(blocks("pycon")), {"__name__": "__main__"}, "stages", "stages.md", 0
    )
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append, clear_globs=False)
    assert result.attempted > 10
    assert result.failed == 0, "".join(said)
