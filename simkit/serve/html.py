"""How do templates become HTML, and how do they tell times, sizes and values?"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import attrs
import bokeh
from jinja2 import Environment, PackageLoader

from simkit._version import __version__
from simkit.errors import shown_path
from simkit.inform.progress import briefly, counted, duration, has_unit, size
from simkit.serve.reading import Reading
from simkit.serve.runs import kind_of_picture
from simkit.serve.sessions import moment

STATIC = Path(__file__).parent / "static"


@cache
def environment() -> Environment:
    """The templates; whatever a file says is escaped in them."""
    made = Environment(
        loader=PackageLoader("simkit.serve"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "brief": briefly, "counted": counted, "duration": duration, "moment": moment, "path": shown_path,
        "query": address_query, "quote": quote, "size": size, "static": static,
    }  # fmt: skip
    made.tests |= {"picture": lambda name: bool(kind_of_picture(name))}
    made.globals |= {"version": __version__, "clock": _clock}
    return made


def prepare() -> None:
    """Compile all templates, which takes as long as the first answers of the page together."""
    for name in environment().list_templates():
        environment().get_template(name)


def address_query(values: Mapping[str, Any]) -> str:
    """What stands after an address's question mark; what can't be written in UTF-8 is replaced."""
    return urlencode(values, errors="replace")


@cache
def static(name: str) -> str:
    """The address of a script or style sheet; another version has another one, so that a browser may keep it."""
    data = (STATIC / name).read_bytes() if (STATIC / name).is_file() else bokeh.__version__.encode()
    return f"/static/{name}?v={hashlib.sha256(data).hexdigest()[:12]}"


def _clock(seconds: float) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds):%H:%M:%S}"


@attrs.frozen
class DescribedName:
    """A name for people: its value, or what it was explored over; the unit where the value does not show one."""

    name: str
    text: str
    unit: str
    comment: str
    explored: bool


def described(reading: Reading, names: Iterable[str]) -> list[DescribedName]:
    """Names, and what is known of them."""
    return [_described(reading, name) for name in names]


def _described(reading: Reading, name: str) -> DescribedName:
    about = reading.trajectory.describe(name)
    if not about.constant:
        return DescribedName(name, _values(reading, name), about.unit, about.comment, about.explored)
    value = reading.trajectory.parameters[name]
    return DescribedName(name, briefly(value), "" if has_unit(value) else about.unit, about.comment, False)


def _values(reading: Reading, name: str) -> str:
    """An explored name's values, or a type."""
    if name not in reading.axes:
        return reading.recorded.kind(name)
    words = reading.axes[name].words()
    some = ", ".join(map(str, words)) if len(words) <= 6 else f"{words[0]}, {words[1]} … {words[-1]}"
    return f"{len(words):,} values: {some}"
