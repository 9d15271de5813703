"""A recorded value whose class or codec is not here: its parts, read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simkit.errors import did_you_mean, listed


class Stored:
    """The parts of a recorded value, as attributes and items; nothing but the user's names.

    Made for instances of the user's classes (unless ``simkit.open(path, classes=[…])`` names the class) and
    for values whose codec is not registered or whose library is not installed.
    """

    __slots__ = ("__attributes", "__codec", "__fields", "__label")

    def __init__(self, codec: str, fields: Mapping[str, Any], attributes: str, label: str) -> None:
        self.__codec, self.__fields, self.__attributes, self.__label = codec, dict(fields), attributes, label

    def __getitem__(self, name: str) -> Any:
        return self.__fields[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self.__fields:
            return self.__fields[name]
        hint = did_you_mean(name, list(self.__fields))
        msg = f"the recorded {self.__label} has no {name!r}{hint}; it has: {listed(name, self.__fields)}"
        raise AttributeError(msg)

    def __iter__(self) -> Iterator[str]:
        return iter(self.__fields)

    def __len__(self) -> int:
        return len(self.__fields)

    def __contains__(self, name: object) -> bool:
        return name in self.__fields

    def __dir__(self) -> list[str]:
        return list(self.__fields)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.__fields)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_Stored__"):
            msg = f"the recorded {self.__label} is read-only"
            raise AttributeError(msg)
        object.__setattr__(self, name, value)

    def __reduce__(self) -> Any:
        return Stored, (self.__codec, self.__fields, self.__attributes, self.__label)

    def __eq__(self, other: object) -> bool:
        from simkit.values.same import same  # which needs the codecs, and they this class

        return isinstance(other, Stored) and same(self, other)

    def __hash__(self) -> int:
        """Instances may be keys and members of sets, and so may what is read of them."""
        from simkit.values.same import digest

        return hash(digest(self))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.__fields.items())
        return f"<{self.__label}: {inside}>"


def stored_parts(stored: Stored) -> tuple[str, Mapping[str, Any], str]:
    """The codec's name, the parts and the attributes: all that is needed to build the value, or to write it."""
    codec, fields, attributes, _ = stored.__reduce__()[1]
    return codec, fields, attributes
