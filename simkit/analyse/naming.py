"""Natural naming: dotted names as attributes, and nothing but the user's names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from simkit.analyse.describe import Told, aligned
from simkit.errors import SimkitError, caller, did_you_mean, listed
from simkit.values.stored import Stored

_LABELLED = ("pandas.core.frame", "xarray.core.dataset")


class Names:
    """User names as attributes and items; groups nest.

    ``traj.parameters.neuron.tau``, ``traj.parameters["neuron.tau"]``, ``list(traj.parameters)``. Values are
    read when they are touched.

    Parameters
    ----------
    names
        The full names; a set or dictionary where they are many.
    get
        Gives the value of a full name.
    about
        What these names are of: ``parameters``, ``run 3``.
    prefix
        Only the names below it, such as ``neuron.``.
    tell
        Says a full name's value in a few words, for people.
    """

    __slots__ = ("__about", "__get", "__names", "__prefix", "__tell")

    def __init__(
        self,
        names: Collection[str],
        get: Callable[[str], Any],
        about: str,
        prefix: str = "",
        tell: Callable[[str], Told] = Told,
    ) -> None:
        put = object.__setattr__  # the user's names can't be assigned to: see below
        put(self, "_Names__names", names)
        put(self, "_Names__get", get)
        put(self, "_Names__about", about)
        put(self, "_Names__prefix", prefix)
        put(self, "_Names__tell", tell)

    def __setattr__(self, name: str, value: Any) -> None:
        raise unchangeable(self.__prefix + name)

    def __setitem__(self, name: str, value: Any) -> None:
        raise unchangeable(self.__prefix + name)

    def __full(self) -> list[str]:
        """The full names below this prefix."""
        return [name for name in self.__names if name.startswith(self.__prefix)]

    def __below(self) -> list[str]:
        """The same, as they are called from here."""
        return [name[len(self.__prefix) :] for name in self.__full()]

    def __here(self) -> list[str]:
        """The next parts of the names below this prefix."""
        return list(dict.fromkeys(name.partition(".")[0] for name in self.__below()))

    def __find(self, name: str) -> Any:
        full = self.__prefix + name
        if full in self.__names:
            return self.__get(full)
        if any(known.startswith(full + ".") for known in self.__names):
            return Names(self.__names, self.__get, self.__about, full + ".", self.__tell)
        if holder_of(full, self.__names):  # a key of a recorded dictionary, a column of a table
            return self.__get(full)
        names = self.__below()
        hint = did_you_mean(name, names)
        msg = f"{self.__about} has no {full!r}{hint}\n    available: {listed(name, names)}"
        raise LookupError(msg)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name not in self.__here():
            raise AttributeError(name)  # Python and notebooks ask for many such names
        try:
            return self.__find(name)
        except LookupError as error:
            # Named, so that Python does not add a guess of its own to the one in the message.
            raise AttributeError(*error.args, name="", obj=self) from None

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            msg = f"{self.__about}: {name!r} is no name\n    available: {listed('', self.__below())}"
            raise Unknown(msg)
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
        return self.__below()

    def __title(self) -> str:
        return f"{self.__about} {self.__prefix[:-1]}".strip()

    def __repr__(self) -> str:
        lines = aligned(self.__below(), lambda name: self.__tell(self.__prefix + name))
        return "\n".join([f"<{self.__title()}{'' if lines else ': nothing'}>", *lines])

    def _repr_html_(self) -> str:
        from simkit.analyse.html import page, tree

        return page(self.__title(), tree(self.__below(), lambda name: self.__tell(self.__prefix + name)))


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


def holder_of(name: str, names: Collection[str]) -> str:
    """The recorded name that a name is, or lies in: ``table`` for ``table.x``; empty if there is none."""
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name


def inside(value: Any, full: str, holder: str) -> Any:
    """The part of a value that a full name leads to.

    Raises
    ------
    LookupError
        With the parts that are there.
    """
    for key in full[len(holder) + 1 :].split("."):
        has_parts = isinstance(value, (dict, Stored)) or type(value).__module__.startswith(_LABELLED)
        if not has_parts or key not in value:
            there = listed(key, map(str, value)) if has_parts else "it has no parts"
            msg = f"no {full!r}: {there}"
            raise LookupError(msg)
        value = value[key]
    return value
