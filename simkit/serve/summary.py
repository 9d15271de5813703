"""What was derived from the runs: figures, tables, texts and values in a trajectory's summary, to be shown."""

from __future__ import annotations

import json
from typing import Any

import attrs

from simkit.analyse.bokeh import Theme
from simkit.inform.progress import briefly
from simkit.serve.arrays import is_drawable, picture
from simkit.serve.reading import Reading, number
from simkit.values.pictures import Picture

_MOST_ROWS, _MOST_COLUMNS = 50, 20
# Models of Bokeh's that execute code, hold HTML or load from an address: a stranger's file gets none of them.
_REFUSED = (
    "CustomJS",
    "Div",
    "Paragraph",
    "PreText",
    "Markup",
    "HTML",
    "ImageURL",
    "Tile",
    "GMap",
    "Template",
    "Button",
)


@attrs.frozen(eq=False)
class Addition:
    """One name of the summary in the form in which it is shown.

    Attributes
    ----------
    id
        What the page calls it.
    image
        A picture's ``data:`` address.
    figure
        The JSON that BokehJS draws.
    array
        An array, or what else :func:`~simkit.serve.arrays.picture` draws.
    head, rows
        A table's.
    text
        Anything else.
    """

    id: str
    name: str
    comment: str
    image: str = ""
    figure: str = ""
    array: Any = None
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    text: str = ""
    remark: str = ""

    @property
    def is_figure(self) -> bool:
        """Whether BokehJS draws it."""
        return bool(self.figure) or self.array is not None

    def item(self, theme: Theme) -> dict[str, Any]:
        """What BokehJS takes to draw it: the user's own figure as it is, an array in the colours of a theme."""
        from bokeh.embed import json_item

        own: dict[str, Any] = json.loads(self.figure) if self.figure else {}
        return own or dict(json_item(picture(self.array, self.name, theme, height=340)))


def additions(reading: Reading) -> tuple[Addition, ...]:
    """All names of the summary, figures first."""
    of = reading.trajectory
    made = [
        _shown(f"addition-{place}", name, of.describe(name).comment, of.summary[name])
        for place, name in enumerate(of.names("summary"))
    ]
    return tuple(sorted(made, key=lambda each: not (each.image or each.is_figure)))


def _shown(id: str, name: str, comment: str, value: Any) -> Addition:
    bare = Addition(id, name, comment)
    if isinstance(value, Picture):
        return _picture(bare, value)
    if hasattr(value, "columns") and hasattr(value, "iloc"):
        return _table(bare, value)
    if is_drawable(value):
        return attrs.evolve(bare, array=value)
    return attrs.evolve(bare, text=value if isinstance(value, str) else briefly(value))


def _picture(bare: Addition, value: Picture) -> Addition:
    if value.kind != "bokeh":
        return attrs.evolve(bare, image=value.address)
    refused = sorted(set(_refused(json.loads(value.data))))
    if refused:
        return attrs.evolve(bare, text=f"a Bokeh figure with {', '.join(refused)}, which is not shown here")
    return attrs.evolve(bare, figure=value.data.decode())


def _refused(thing: Any) -> list[str]:
    """The models in a figure that are not shown."""
    if isinstance(thing, list):
        return [name for each in thing for name in _refused(each)]
    if not isinstance(thing, dict):
        return []
    name = str(thing.get("name", "")) if thing.get("type") == "object" else ""
    here = [name] if any(word in name for word in _REFUSED) else []
    return here + [name for each in thing.values() for name in _refused(each)]


def _table(bare: Addition, frame: Any) -> Addition:
    part = frame.iloc[:_MOST_ROWS, :_MOST_COLUMNS].reset_index()
    rows = tuple(tuple(_cell(value) for value in row) for row in part.itertuples(index=False))
    cut = f"the first {_MOST_ROWS} of {len(frame):,} rows" if len(frame) > _MOST_ROWS else ""
    return attrs.evolve(bare, head=tuple(map(str, part.columns)), rows=rows, remark=cut)


def _cell(value: Any) -> str:
    return number(float(value)) if isinstance(value, float) else str(value)
