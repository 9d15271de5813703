"""Natural naming: dotted names as attributes, and nothing but the user's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from simkit.errors import SimkitError, caller, did_you_mean, listed


class Names:
    """User names as attributes and items; groups nest.

    ``traj.parameters.neuron.tau``, ``traj.parameters["neuron.tau"]``, ``list(traj.parameters)``. Values are
    read when they are touched.
    """

    __slots__ = ("__about", "__get", "__names", "__prefix")

    def __init__(self, names: Sequence[str], get: Callable[[str], Any], about: str, prefix: str = "") -> None:
        put = object.__setattr__  # the user's names can't be assigned to: see below
        put(self, "_Names__names", names)
        put(self, "_Names__get", get)
        put(self, "_Names__about", about)
        put(self, "_Names__prefix", prefix)

    def __setattr__(self, name: str, value: Any) -> None:
        raise unchangeable(self.__prefix + name)

    def __setitem__(self, name: str, value: Any) -> None:
        raise unchangeable(self.__prefix + name)

    def __here(self) -> list[str]:
        """The next parts of the names below this prefix."""
        start = len(self.__prefix)
        inside = (name[start:] for name in self.__names if name.startswith(self.__prefix))
        return list(dict.fromkeys(name.partition(".")[0] for name in inside))

    def __find(self, name: str) -> Any:
        full = self.__prefix + name
        if full in self.__names:
            return self.__get(full)
        if any(known.startswith(full + ".") for known in self.__names):
            return Names(self.__names, self.__get, self.__about, full + ".")
        holder = full.rpartition(".")[0]
        while holder:  # a key of a recorded dictionary
            if holder in self.__names:
                return _inside(self.__get(holder), full, full[len(holder) + 1 :].split("."))
            holder = holder.rpartition(".")[0]
        names = [known[len(self.__prefix) :] for known in self.__names if known.startswith(self.__prefix)]
        hint = did_you_mean(name, names)
        msg = f"{self.__about} has no {full!r}{hint}\n    available: {listed(name, names)}"
        raise LookupError(msg)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        try:
            return self.__find(name)
        except LookupError as error:
            raise AttributeError(*error.args) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return self.__find(name)
        except LookupError as error:
            raise Unknown(*error.args) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.__here())

    def __len__(self) -> int:
        return len(self.__here())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.__here() or self.__prefix + name in self.__names)

    def __dir__(self) -> list[str]:
        return self.__here()

    def _ipython_key_completions_(self) -> list[str]:
        return [name[len(self.__prefix) :] for name in self.__names if name.startswith(self.__prefix)]

    def __repr__(self) -> str:
        where = f" {self.__prefix[:-1]}" if self.__prefix else ""
        return f"<{self.__about}{where}: {', '.join(self.__here()) or 'nothing'}>"


class Unknown(KeyError):
    """A name that is not there; the message lists those that are."""

    def __str__(self) -> str:
        return str(self.args[0])


def unchangeable(name: str) -> SimkitError:
    """Somebody tried to assign to a name."""
    return SimkitError(
        f"{caller()}: {name!r}: recorded values cannot be changed\n"
        '    traj.add(…) adds derived values, with a file opened by simkit.open(…, mode="r+")'
    )


def _inside(value: Any, full: str, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            keys_there = listed(key, map(str, value)) if isinstance(value, dict) else "it is no dictionary"
            msg = f"no {full!r}: {keys_there}"
            raise LookupError(msg)
        value = value[key]
    return value
