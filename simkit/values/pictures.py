"""A figure as it is kept in a file: drawn once, to be looked at, not to be changed."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import attrs


@attrs.frozen
class Picture:
    """A recorded figure of matplotlib's or Bokeh's.

    Attributes
    ----------
    kind
        ``svg``, ``png``, or ``bokeh`` for the JSON that BokehJS draws.
    data
        The file.
    title
        What the figure called itself.
    """

    kind: str
    data: bytes = attrs.field(repr=lambda data: f"{len(data)} bytes")
    title: str = ""

    @property
    def address(self) -> str:
        """An image as a ``data:`` address; in an ``<img>`` a browser executes nothing of it."""
        kind = {"svg": "image/svg+xml", "png": "image/png"}[self.kind]
        return f"data:{kind};base64,{base64.b64encode(self.data).decode()}"

    def save(self, path: str | Path) -> Path:
        """Write the file as it is.

        Returns
        -------
        Path
            Where it is: the path, with the kind's ending where it has none.
        """
        ending = {"bokeh": ".json"}.get(self.kind, f".{self.kind}")
        target = Path(path)
        target = target if target.suffix else target.with_suffix(ending)
        target.write_bytes(self.data)
        return target

    def _repr_html_(self) -> str:
        if self.kind == "bokeh":
            return f"<p>{escape(repr(self))}: <code>simkit serve</code> shows it</p>"
        return f'<img src="{self.address}" alt="{escape(self.title or "figure", quote=True)}">'
