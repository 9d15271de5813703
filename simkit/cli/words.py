"""How sizes, times and values look on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def size(nbytes: int) -> str:
    """``21 kB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000 or unit == "GB":
            return f"{nbytes:.0f} {unit}" if nbytes >= 10 or unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000  # type: ignore[assignment]
    return ""


def duration(seconds: float) -> str:
    """``0.21 s``, ``5:40``, ``2:05:40``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short(value: Any, most: int = 60) -> str:
    """A value on one line."""
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    text = " ".join(repr(plain).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def assignments(values: Mapping[str, Any]) -> str:
    """``x=1.0  y=6.0``."""
    return "  ".join(f"{name}={short(value)}" for name, value in values.items())


def counted(number: int, thing: str) -> str:
    """``1 run``, ``12 runs``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def rule(text: str, mark: str = "=", width: int = 76) -> str:
    """A title in a line of marks."""
    return f" {text} ".center(width, mark)
