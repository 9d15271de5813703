"""Does docs/howto/spaces.md tell the truth?"""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from simkit.cli.main import parser

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "spaces.md").read_text("utf-8")


def test_the_examples_give_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```pycon\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(
        "\n".join(blocks), {"__name__": "__main__"}, "spaces", "spaces.md", 0
    )
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.attempted > 30
    assert result.failed == 0, "".join(said)


def test_the_options_are_the_commands():
    known = {option for action in parser()._actions for option in action.option_strings}
    assert set(re.findall(r"^\| `(--\w+)", PAGE, re.MULTILINE)) <= known
