"""Do the docstrings of the public names say all that a reader asks, and are their examples true?"""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate
from written_pages import files

import simkit

# pluggy's object, which its own pages describe.
OF_OTHERS = {"hookimpl"}
# These take something and refuse nothing that their arguments' types allow.
NEVER_RAISE = {"Space.columns", "Unit", "Codec", "Run", "SimkitError", "Space", "Trajectory"}
# What counts in a unit says which: words of the names of arguments and properties, and of the unit.
UNITS = {"seconds": "seconds", "timeout": "seconds", "memory": "bytes", "size": "bytes"}
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def public() -> Iterator[tuple[str, Any, bool]]:
    """The public names and the public members of classes, with what has the docstring; whether it is a property."""
    for name in sorted({*simkit.__all__} - OF_OTHERS - {"__version__"}):
        owner = getattr(simkit, name)
        yield name, owner, False
        for member in [each for each in dir(owner) if inspect.isclass(owner) and each[0] != "_"]:
            value = inspect.getattr_static(owner, member)
            made = getattr(value, "fget", None) or getattr(value, "func", None) or value
            if isinstance(made, FunctionType):
                yield f"{name}.{member}", made, made is not value


PUBLIC = {name: (owner, is_property) for name, owner, is_property in public()}


def lacking(name: str, thing: Any, *, is_property: bool) -> Iterator[str]:
    """What a docstring does not say."""
    text = inspect.getdoc(thing) or ""
    doc = NumpyDocString(text)
    if not doc["Summary"]:
        yield "what it is for"
    if not any(line.startswith(">>>") for line in doc["Examples"]):
        yield "an example"
    if inspect.isclass(thing):
        return
    signature = inspect.signature(thing)
    arguments = [argument for argument in signature.parameters if argument != "self"]
    told = {word.strip("* ") for entry in doc["Parameters"] for word in entry.name.split(",")}
    yield from (f"the argument {argument}" for argument in arguments if argument not in told)
    if signature.return_annotation not in ("None", None) and not doc["Returns"]:
        yield "what it returns"
    if arguments and not is_property and not doc["Raises"] and name not in NEVER_RAISE:
        yield "what it raises"
    if (
        re.search(r"\b(Array|Index|ndarray)\b", str(signature.return_annotation))
        and "shape" not in text.lower()
    ):
        yield "the shape of what it returns"
    measured = [word for word in (*arguments, name.rpartition(".")[2]) if word in UNITS]
    yield from (f"the unit of {word}" for word in measured if UNITS[word] not in text)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_says_what_it_takes_gives_and_raises_and_shows_an_example(name):
    thing, is_property = PUBLIC[name]
    assert list(lacking(name, thing, is_property=is_property)) == []


def test_the_walk_reaches_the_methods_and_finds_what_is_missing():
    def lame(seconds, index):
        """Do something."""

    assert len(PUBLIC) > 85
    assert {"Trajectory.where", "Trajectory.status", "Run.append", "Space.repeat", "Codec.keeps"} <= {*PUBLIC}
    assert list(lacking("lame", lame, is_property=False)) == [
        "an example",
        "the argument seconds",
        "the argument index",
        "what it returns",
        "what it raises",
        "the unit of seconds",
    ]


def test_the_docstrings_have_the_form_of_numpydoc():
    """The order of sections, their underlines, and what each entry begins and ends with."""
    form = {"GL06", "GL07", "PR03", "PR05", "PR06", "PR08", "PR09", "RT02", "RT03", "RT04", "RT05", "SS01"}
    wrong = []
    for name in PUBLIC:
        owner, *member = name.split(".")
        where = ".".join(["simkit", owner, *member])
        wrong += [(name, *error) for error in validate(where)["errors"] if error[0] in form]
    assert wrong == []


@pytest.fixture(scope="module")
def recorded(shared) -> Path:
    """The study that the examples are about, as docs/reference/api.md shows it."""
    shown = files("reference/api.md")
    for name in ("sim_multiply.py", "sim_cell.py"):
        shared.file(name, f"# {name}\n{shown[name]}")
    shared.file("pyproject.toml", "[tool.simkit]\n")
    assert shared.simkit("-q").code == 1  # a run fails
    return shared.path


@pytest.mark.parametrize("name", PUBLIC)
def test_the_examples_give_what_they_show(name, recorded, tmp_path, monkeypatch):
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    names = {each: getattr(simkit, each) for each in simkit.__all__ if each not in ("open", "run")}
    names |= {"simkit": simkit, "np": np, "__name__": "__main__"}
    text = inspect.getdoc(PUBLIC[name][0])
    for known, file in (("traj", "multiply-001.h5"), ("cell", "cell-001.h5")):
        if re.search(rf"\b{known}[.\[]", text) and 'mode="r+"' not in text:
            names[known] = simkit.open(tmp_path / "results" / file)
    test = doctest.DocTestParser().get_doctest(text, names, name, f"<{name}>", 0)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append, clear_globs=False)
    assert result.attempted > 0
    assert result.failed == 0, "".join(said)
