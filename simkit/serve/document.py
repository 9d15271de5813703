"""How is a trajectory told in one HTML file that can be sent?"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.analyse.bokeh import LIGHT
from simkit.analyse.spread import MOST_PARTS, averaged
from simkit.declare.forms import Array
from simkit.errors import SimkitError, shown_path
from simkit.inform.progress import assignments
from simkit.serve.arrays import is_drawable, picture
from simkit.serve.figures import AT, chosen, drawn
from simkit.serve.html import described, environment
from simkit.serve.reading import Field, PageAxis, Reading, number
from simkit.serve.runs import Replay, failures, value_of_run
from simkit.serve.sessions import sessions
from simkit.serve.state import state_of
from simkit.serve.summary import additions
from simkit.values.batch import Status

MARK = '<meta name="generator" content="simkit report">'
_MOST = 12  # figures
_PICTURES = 4  # of one result in different runs
_BOOT = """for (const item of JSON.parse(document.getElementById("figures").textContent))
  Bokeh.embed.embed_item(item, item.target_id);"""


@attrs.frozen
class Figure:
    """A figure, and what stands under it."""

    figure: Any
    caption: str


def document(reading: Reading, replay: Replay) -> str:
    """A page that needs nothing but itself: the figures' script is in it, and it may load nothing from anywhere."""
    shown = list(_figures(reading))
    added = additions(reading)
    items = [_item(figure.figure, f"figure-{place}") for place, figure in enumerate(shown)]
    items += [{**each.item(LIGHT), "target_id": each.id} for each in added if each.is_figure]
    bokeh = _bokeh() if items else ""
    scripts = [script for script in (bokeh, _BOOT) if items]
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    state = state_of(reading)
    of = reading.trajectory
    numbers = {row.name: row for row in _numbers(reading)}
    return (
        environment()
        .get_template("report.html")
        .render(
            mark=MARK,
            policy=f"default-src 'none'; script-src {hashes or chr(39) + 'none' + chr(39)}; "
            "style-src 'unsafe-inline'; img-src data: blob:",
            style=(Path(__file__).parent / "static" / "report.css").read_text(),
            scripts=scripts,
            items=json.dumps(items).replace("<", "\\u003c"),
            state=state,
            doc=_paragraphs(state.doc),
            notes=of.notes(),
            constants=described(reading, of.constants()),
            explored=described(reading, of.explored),
            results=described(reading, [name for name in of.names("results") if name not in numbers]),
            figures=shown,
            additions=added,
            numbers=numbers.values(),
            failures=[
                (kind, of.error(kind.runs[0]), replay(reading, kind.runs[0]))
                for kind in failures(reading)[:10]
            ],
            sessions=sessions(reading),
            seconds=_seconds(reading),
            file=shown_path(reading.path),
        )
    )


def write(reading: Reading, path: Path, replay: Replay, *, force: bool = False) -> None:
    """Write the report; an older report is replaced.

    Raises
    ------
    SimkitError
        When another file of that name is there.
    """
    if path.exists() and not force and MARK not in path.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise SimkitError(
            f"{shown_path(path)} exists and is no report: choose another name with -o, or say --force"
        )
    text = document(reading, replay)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SimkitError(f"{shown_path(path)}: cannot be written: {error.strerror or error}") from None


def _bokeh() -> str:
    import bokeh.server

    return (Path(bokeh.server.__file__).parent / "static" / "js" / "bokeh.min.js").read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _item(figure: Any, target: str) -> Any:
    from bokeh.embed import json_item

    return json_item(figure, target)


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


def _seconds(reading: Reading) -> float:
    column = reading.run_column("seconds")
    return 0.0 if column is None else float(np.nansum(column))


@attrs.frozen
class Numbers:
    """A result in numbers: how many runs have it, and how it is spread."""

    name: str
    unit: str
    comment: str
    count: int
    low: str
    mean: str
    deviation: str
    high: str


def _numbers(reading: Reading) -> Iterator[Numbers]:
    """Each result that is a number per run."""
    for field in _results(reading):
        values = field.values[np.isfinite(field.values)]
        about = reading.trajectory.describe(field.name)
        facts = (values.min(), values.mean(), values.std(ddof=1) if len(values) > 1 else np.nan, values.max())
        yield Numbers(
            field.name, field.unit, about.comment, len(values), *(number(float(fact)) for fact in facts)
        )


def _results(reading: Reading) -> list[Field]:
    """The results that are numbers, where there are any."""
    fields = [reading.field(name) for name in reading.results]
    return [field for field in fields if field.is_number and np.isfinite(field.values).any()]


# Figures


Drawing = Callable[[], Figure]


def _figures(reading: Reading) -> Iterator[Figure]:
    """At most a dozen, the most telling first: those of results that the axes explain best, then of arrays."""
    ranked = [_told_by(reading, field) for field in _results(reading)]
    ranked.sort(key=lambda pair: -max(pair[1].values(), default=0))
    plans = [_of_result(reading, field, told, place == 0) for place, (field, told) in enumerate(ranked)]
    arrays = list(_arrays(reading))
    best_first = [*(plan[0] for plan in plans), *(drawing for plan in plans for drawing in plan[1:])]
    some = best_first[: max(_MOST - len(arrays), _MOST // 2)]
    for drawing in [*some, *arrays[: _MOST - len(some)]]:
        yield drawing()


def _told_by(reading: Reading, field: Field) -> tuple[Field, Mapping[str, float]]:
    """A result, and the share of its variance that each axis explains."""
    there = np.isfinite(field.values)
    total = float(np.var(field.values[there]))
    if not total:
        return field, dict.fromkeys(reading.axes, 0.0)
    return field, {
        name: _share(field.values[there], axis, there, total) for name, axis in reading.axes.items()
    }


def _share(values: Array, axis: PageAxis, there: Array, total: float) -> float:
    """The variance between an axis' values over the whole; of a scattered one the squared correlation of ranks."""
    n = len(axis.told.values)
    codes = axis.codes[there].astype(np.int64)
    if n > len(values) / 3:
        ranks = np.argsort(np.argsort(values))
        return float(np.corrcoef(ranks, codes)[0, 1] ** 2) if axis.told.is_numeric else 0.0
    spread = averaged(values, "", [(axis.told, codes)])
    weights = spread.count / spread.count.sum()
    return float(np.nansum(weights * (spread.mean - values.mean()) ** 2)) / total


def _of_result(reading: Reading, field: Field, told: Mapping[str, float], is_first: bool) -> list[Drawing]:
    """How to draw one result, the most telling way first."""
    best = sorted(told, key=lambda name: -told[name])
    z = field.name
    if not best:
        return [partial(_drawn, reading, "histogram", {"z": z}, f"How often {z} occurs.")]
    if not reading.is_grid:
        dots: list[Drawing] = [
            partial(_drawn, reading, "scatter", {"z": z, "a": x, "b": z}, f"{z} over {x}, a point per run.")
            for x in best[:2]
        ]
        whole = partial(_drawn, reading, "parallel", {"z": z}, f"All at once, coloured by {z}.")
        return [dots[0], whole, *dots[1:]] if is_first else dots
    axes = reading.axes
    numeric = (name for name in best if axes[name].told.is_numeric and len(axes[name].told.values) > 2)
    across = next(numeric, best[0])
    rest = [name for name in best if name != across]
    hue = next((name for name in rest if len(axes[name].told.values) <= MOST_PARTS), "")
    up = next((name for name in rest if len(axes[name].told.values) > MOST_PARTS), "")
    up = up or next((name for name in rest if name != hue), "")
    line = partial(_grid_figure, reading, "line", z, (across, hue))
    return [line, partial(_grid_figure, reading, "heatmap", z, (across, up))] if up else [line]


def _grid_figure(reading: Reading, kind: str, z: str, over: tuple[str, str]) -> Figure:
    """A figure over one axis or two, averaged over the others."""
    x, second = over
    others = [name for name in reading.axes if name not in over] + ["trials"] * reading.has_trials
    whole = {f"{AT}{name}": "" for name in reading.axes if name != x}
    lines = f", a line for each {second}" if kind == "line" else f" and {second}"
    mean = f"; mean over {', '.join(others)}" if others else ""
    caption = f"{z} over {x}{lines if second else ''}{mean}."
    return _drawn(reading, kind, {"z": z, "x": x, "hue": second, "y": second, **whole}, caption)


def _drawn(reading: Reading, kind: str, query: Mapping[str, str], caption: str) -> Figure:
    return Figure(drawn(reading, chosen(reading, query), kind, LIGHT, small=True), caption)


def _arrays(reading: Reading) -> Iterator[Drawing]:
    """Pictures of what runs gave besides numbers: of each such result in a few runs, spread over all."""
    codes = reading.run_column("status")
    done = np.flatnonzero(codes == Status.DONE) if codes is not None else np.zeros(0, int)
    if not len(done):
        return
    names = [name for name in reading.trajectory.names("results") if name not in reading.columns]
    names = [name for name in names if is_drawable(value_of_run(reading, int(done[0]), name))]
    runs = done[np.unique(np.linspace(0, len(done) - 1, min(_PICTURES, len(done))).astype(int))]
    for name in names[:3]:
        for run in runs.tolist():
            if is_drawable(value_of_run(reading, run, name)):
                yield partial(_array_figure, reading, run, name)


def _array_figure(reading: Reading, run: int, name: str) -> Figure:
    point = {key: value_of_run(reading, run, key) for key in reading.axes}
    words = f": {assignments(point)}" if point else ""
    return Figure(
        picture(value_of_run(reading, run, name), name, LIGHT, height=340), f"{name} of run {run}{words}."
    )
