"""What a page of the documentation shows: its files, and its commands and Python sessions carried out in order."""

from __future__ import annotations

import doctest
import linecache
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
# As simkit says how long something took, however slow the machine: 0.36 s, 12 s, 1:02, 2:05:40.
TOOK = r"(?:\d+(?:\.\d+)? s|(?:\d+:)?\d+:\d\d)"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def text_of(page: str) -> str:
    """A page as it is written, by its path below ``docs``."""
    return (DOCS / page).read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The blocks of one language, in order."""
    return [match[2] for match in BLOCK.finditer(text_of(page)) if match[1] == language]


def files(page: str) -> dict[str, str]:
    """What stands in Python files, by the name in their first line."""
    named = (_named(block) for block in blocks(page, "python"))
    return dict(pair for pair in named if pair)


def _named(block: str) -> tuple[str, str] | None:
    match = re.match(r"# ([\w./-]+\.\w+)\n(.*)", block, re.DOTALL)
    return (match[1], match[2]) if match else None


def normalised(text: str) -> list[str]:
    """The lines without what differs from one time to the next: seeds, times, sizes, bars, dates, widths."""
    text = re.sub(r" ━+ ", " ", text)
    text = re.sub(r"seed:? \d{5,}", "seed SEED", text)
    text = re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d", "DATE", text)
    text = re.sub(rf"(\bin|\beta|,) {TOOK}", r"\1 SOME", text)
    text = re.sub(r"[\d.]+ ?(kB|MB|s)\b( \(\d+:\d\d:\d\d\))?", "SOME", text)  # pytest's, from a minute on
    text = re.sub(r"seconds: [\d.e-]+", "seconds: SOME", text)
    text = re.sub(r"=+ (.*?) =+", r"= \1 =", text)
    text = re.sub(r"_+ (.*?) _+", r"_ \1 _", text)
    return [" ".join(line.split()) for line in text.strip().splitlines() if line.strip(" ~^")]


def same(shown: str, told: str) -> bool:
    """Whether a page shows what was told; a line of ``…`` stands for any lines."""
    parts = re.escape("\n".join(normalised(shown))).split("…")
    return re.fullmatch(".*".join(parts), "\n".join(normalised(told)), re.DOTALL) is not None


class Page:
    """A page whose blocks are carried out in a folder ``study`` of their own.

    Python and TOML whose first line names a file are written into it, ``console`` is typed there, and ``pycon``
    is one Python session.
    """

    def __init__(self, text: str, folder: Path) -> None:
        self.text = text
        self.folder = folder / "study"
        self.folder.mkdir()
        programs = folder / "bin"
        programs.mkdir()
        for name, words in (("simkit", "-m simkit"), ("python", "")):
            (programs / name).write_text(
                f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n', encoding="utf-8"
            )
            (programs / name).chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
        self.environment = {
            **inherited, "PATH": path, "COLUMNS": "80", "MPLBACKEND": "agg", "NO_COLOR": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # hypothesis's is compiled anew each time, as nothing is kept
        }  # fmt: skip
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.sessions = 0

    def differences(self) -> Iterator[str]:
        """Where the page shows something else than what happens."""
        for match in BLOCK.finditer(self.text):
            language, block = match.groups()
            if self.text[: match.start()].rstrip().endswith("-->"):  # a comment says why it shall not happen
                continue
            if language == "console":
                for typed, shown in commands(block):
                    told = self.typed(typed)
                    if shown.strip() and not same(shown, told):
                        yield f"$ {typed}\n{shown}\n--- but now:\n{told}"
            elif language == "pycon":
                yield from self.session(block)
            elif named := _named(block):
                file = self.folder / named[0]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(named[1], encoding="utf-8")

    def typed(self, words: str) -> str:
        """What a command tells, on both of its streams."""
        ended = subprocess.run(
            words,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=250,
            check=False,
        )
        return ended.stdout.replace(str(self.folder), "study")

    def _holds(self, module: object) -> bool:
        return str(getattr(module, "__file__", None)).startswith(str(self.folder))

    def session(self, block: str) -> Iterator[str]:
        """What goes otherwise in a Python session than it is shown."""
        before = os.getcwd()
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))  # as in a session that is begun in that folder
        try:
            self.sessions += 1
            test = doctest.DocTestParser().get_doctest(block, self.names, f"page{self.sessions}", "page", 0)
            said: list[str] = []
            runner = doctest.DocTestRunner(optionflags=FLAGS)
            result = runner.run(test, out=said.append, clear_globs=False)
            self.names.update(test.globs)
            for number, example in enumerate(test.examples):  # doctest forgets the source of what it defines
                file, lines = f"<doctest {test.name}[{number}]>", example.source.splitlines(keepends=True)
                linecache.cache[file] = len(example.source), None, lines, file
        finally:
            os.chdir(before)
            sys.path.remove(str(self.folder))
            ours = {name for name, module in sys.modules.items() if self._holds(module)}
            for name in ours:
                del sys.modules[name]
        if result.failed:
            yield "".join(said)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """What is typed in a ``console`` block, without the comment behind it, and what is shown then."""
    for typed, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        yield re.sub(r"\s{2,}#.*", "", typed), shown
