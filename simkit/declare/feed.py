"""What does an experiment get of another one's runs: each of them by itself, a group of them, or all at once?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from simkit.errors import SimkitError, caller, location

# What is recorded of the runs that an argument was made from, below its name.
FILE, RUN, RUNS, DIGEST = "file", "run", "runs", "digest"
LEAVES = (FILE, RUN, RUNS, DIGEST)


def column(argument: str, leaf: str) -> str:
    """The column of a space that says where an argument comes from; the slash keeps it apart from names of users."""
    return f"{argument}/{leaf}"


@attrs.frozen(eq=False)
class Upstream:
    """An argument that is made from runs of another experiment.

    Attributes
    ----------
    argument
        Its name.
    words
        Which runs, for people: ``the runs of build (sim_net.py:12)``.
    by
        The names of which each group of runs has one value; None where each run stands by itself.
    names
        What the other experiment explores: these names come with the argument.
    experiment
        The other experiment, where it is a function and no file.
    providers
        The functions and classes that provide names to the other experiment; None where nobody needs to know.
    is_optional
        Whether some points lack it.
    node_id
        Of the other experiment, once its trajectory is known.
    """

    argument: str
    words: str
    by: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    experiment: Callable[..., Any] | None = None
    providers: tuple[Any, ...] | None = None
    is_optional: bool = False
    node_id: str = ""

    @property
    def leaves(self) -> tuple[str, ...]:
        """What is recorded of the runs that it is made from."""
        return FILE, RUN if self.by is None else RUNS, DIGEST

    @property
    def recorded(self) -> tuple[str, ...]:
        """The names that this is recorded under."""
        return tuple(f"{self.argument}.{leaf}" for leaf in self.leaves)

    @property
    def bare(self) -> Upstream:
        """The same without the other experiment, for another process, where all has been checked already."""
        return attrs.evolve(self, experiment=None, providers=None)


def whole(name: str, experiment: Callable[..., Any]) -> Upstream:
    """All runs of an experiment that somebody asks for by its name."""
    where = f"the runs of {experiment.__name__} ({location(experiment)})"
    return Upstream(name, where, by=(), experiment=experiment)


def mixed_feeds(feed: Upstream) -> SimkitError:
    """An argument that can't be both."""
    return SimkitError(
        f"{caller()}: {feed.argument!r} is one run at some points, and the trajectory of several at others\n"
        "    give by= on both sides of the +, or on none"
    )
