"""How do templates become HTML, and how do they tell times, sizes and values?"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader

from simkit._version import __version__
from simkit.errors import shown_path
from simkit.inform.progress import briefly, counted, duration, size
from simkit.serve.reading import Reading
from simkit.serve.runs import kind_of_picture
from simkit.serve.sessions import moment


def environment() -> Environment:
    """The templates; whatever a file says is escaped in them."""
    made = Environment(
        loader=PackageLoader("simkit.serve"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "brief": briefly, "counted": counted, "duration": duration, "moment": moment, "path": shown_path,
        "query": address_query, "quote": quote, "size": size,
    }  # fmt: skip
    made.tests |= {"picture": lambda name: bool(kind_of_picture(name))}
    made.globals |= {"version": __version__, "clock": _clock}
    return made


def address_query(values: Mapping[str, Any]) -> str:
    """What stands after an address's question mark; what can't be written in UTF-8 is replaced."""
    return urlencode(values, errors="replace")


def _clock(seconds: float) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds):%H:%M:%S}"


def told_of(reading: Reading, name: str) -> str:
    """A constant's value, an explored name's values, or a type."""
    of = reading.trajectory
    if of.describe(name).constant:
        return briefly(of.parameters[name])
    if name in reading.axes:
        words = reading.axes[name].words()
        some = ", ".join(map(str, words)) if len(words) <= 6 else f"{words[0]}, {words[1]} … {words[-1]}"
        return f"{len(words)} values: {some}"
    return reading.recorded.kind(name)
