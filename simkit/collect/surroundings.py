"""What surrounds the user's code in its process, how is it put back after a run has changed it?

The working directory, the environment, error states, preferences of libraries: a run shall find them as they were
when its file had been imported, whoever ran before. Each is cheap to look at; what belongs to a library counts once
that is loaded.
"""

from __future__ import annotations

import io
import locale
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import numpy as np

from simkit.collect import brian
from simkit.collect.code import Reached
from simkit.collect.contents import CONTENTS
from simkit.collect.graph import Graph, project_file
from simkit.collect.objects import names_of
from simkit.collect.scopes import Use
from simkit.declare.reflection import answered, is_a, own_attributes, qualname_of
from simkit.errors import SimkitError


@attrs.frozen(eq=False)
class Surrounding:
    """One thing that a run may change for those after it.

    Attributes
    ----------
    look
        How it is now; comparable.
    put_back
        Takes what `look` gave.
    library
        The module to which it belongs; empty for what every process has.
    """

    name: str
    look: Callable[[], Any]
    put_back: Callable[[Any], object]
    library: str = ""


State = Mapping[str, Any]  # of each surrounding, by its name


def surroundings(done: str = "") -> list[Surrounding]:
    """All that there are at present.

    Parameters
    ----------
    done
        A module that was executed just now, and counts although its import is not over.
    """
    return [one for one in _ALL if not one.library or one.library == done or _is_loaded(one.library)]


def _is_loaded(library: str) -> bool:
    """Whether a module is loaded whole."""
    module = sys.modules.get(library)
    return is_a(module, ModuleType) and not getattr(
        own_attributes(module).get("__spec__"), "_initializing", False
    )


def look(those: list[Surrounding]) -> dict[str, Any]:
    """How they are now."""
    return {one.name: one.look() for one in those}


def untouched(those: list[Surrounding], before: State) -> bool:
    """Whether these are all that there were, and as they were: found sooner than which of them has changed."""
    return not _differ(look(those), before)


def changed(those: list[Surrounding], before: State) -> list[str]:
    """The names of those that are not as they were."""
    return [one.name for one in those if one.name in before and _differ(one.look(), before[one.name])]


def put_back(those: list[Surrounding], before: State) -> list[str]:
    """Put back what is not as it was; the names of it."""
    moved = []
    for one in those:
        state = before.get(one.name, one)
        if state is not one and _differ(one.look(), state):
            moved.append(one.name)
            one.put_back(state)
    return moved


def _differ(now: Any, before: Any) -> bool:
    """Whether a surrounding has changed; what users put there may compare as it likes."""
    try:
        return bool(now != before)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - then it is no longer what it was
        return True


_NEEDED = (
    (sys, "stdout", ("write", "flush", "isatty")),
    (sys, "stderr", ("write", "flush")),
    (os, "environ", ()),
    (sys, "path", ()),
    (sys, "modules", ()),
)


@contextmanager
def usable(where: str) -> Iterator[None]:
    """Once a file is imported there is still what simkit itself needs: streams to write to, the environment.

    Parameters
    ----------
    where
        The file, for the message.

    Raises
    ------
    SimkitError
        Where something else stands in the place of one of them; they are as before then.
    """
    before = [getattr(holder, name) for holder, name, _ in _NEEDED]
    yield
    for (holder, name, verbs), was in zip(_NEEDED, before, strict=True):
        now = getattr(holder, name)
        if now is was or (_does(now, verbs) if verbs else is_a(now, type(was))):
            continue
        for (each, its_name, _), thing in zip(_NEEDED, before, strict=True):
            setattr(each, its_name, thing)
        cure = f"give it {', '.join(verbs)}, as a file has them" if verbs else "change what is in it instead"
        kind = qualname_of(type(now))
        msg = f"{where}: it puts an object of class {kind} in the place of {holder.__name__}.{name}: {cure}"
        raise SimkitError(msg)


def _does(stream: Any, verbs: tuple[str, ...]) -> bool:
    """Whether a stream takes text, and does what else is asked of it."""

    def tried() -> bool:
        for verb in verbs:
            getattr(stream, verb)(*([""] if verb == "write" else []))
        return True

    return answered(tried, False)


# What is called, or of what parts are set.
_CHANGING = frozenset((
    "chdir", "putenv", "unsetenv", "environ", "setlocale", "seterr", "seterrcall", "set_printoptions", "simplefilter",
    "filterwarnings", "resetwarnings", "getcontext", "setcontext", "setrecursionlimit", "set_int_max_str_digits",
    "signal", "alarm", "setitimer", "basicConfig", "addHandler", "removeHandler", "setLevel", "rcParams", "rc",
    "rcdefaults", "mp",
))  # fmt: skip
_PARTS = (
    ("sys", "path"),
    ("sys", "stdin"),
    ("sys", "stdout"),
    ("sys", "stderr"),
    ("warnings", "filters"),
    ("logging", "root"),
)


@attrs.frozen
class Suspicion:
    """What the source of runs says that they may leave behind: asked before any of them is executed.

    Attributes
    ----------
    of_surroundings
        Whether it names what changes a surrounding of all runs.
    of_variables
        Whether its functions set variables of modules, or may change what these hold.
    """

    of_surroundings: bool = False
    of_variables: bool = False


def suspicion(graph: Graph, code: Reached) -> Suspicion:
    """What these pieces of code may leave behind; what is executed when a file is imported does not count."""
    uses = [
        (path, use) for path, unit in code.units for use in unit.uses if use.later and use.kind != "reads"
    ]
    words = {word for function in code.unfiled for word in names_of(function)}
    return Suspicion(
        bool(words & _CHANGING) or any(_changes_surroundings(use) for _, use in uses),
        any(_changes_variable(graph, path, use) for path, use in uses),
    )


def _changes_surroundings(use: Use) -> bool:
    if use.kind == "calls":
        return use.chain[-1] in _CHANGING
    return not _CHANGING.isdisjoint(use.chain) or use.chain[:2] in _PARTS


def _changes_variable(graph: Graph, path: Path, use: Use) -> bool:
    if use.kind != "changes" or use.bindings:
        return use.kind == "binds"
    holder = graph.namespaces.get(path, {}).get(use.chain[0])
    if holder is None or (callable(holder) and len(use.chain) == 1):  # it is called
        return False
    return not isinstance(holder, ModuleType) or project_file(vars(holder)) is not None


def merged(before: Any, after: Any, now: Any) -> Any:
    """A state with the change from one to another applied to it, where both have the same parts."""
    if before == after:
        return now
    if before == now:
        return after
    if isinstance(before, CONTENTS) and type(before) is type(after) is type(now):
        return before.changed(after, now)
    if isinstance(before, dict) and isinstance(after, dict) and isinstance(now, dict):
        kept = {name: state for name, state in now.items() if name in after or name not in before}
        moved = [name for name in after if name not in before or before[name] != after[name]]
        return {**kept, **{n: merged(before.get(n), after[n], now.get(n)) for n in moved}}
    if (
        isinstance(before, (tuple, list))
        and isinstance(after, type(before))
        and isinstance(now, type(before))
    ):
        if len(before) == len(after) == len(now):
            return type(before)(map(merged, before, after, now))
        added = [state for state in after if state not in before]
        remaining = [state for state in now if state in after or state not in before]
        is_behind = list(after[: len(before)]) == list(before)
        added = [state for state in added if state not in remaining]
        return type(before)([*remaining, *added] if is_behind else [*added, *remaining])
    return after


@contextmanager
def kept() -> Iterator[None]:
    """Everything is as it was afterwards."""
    those = surroundings()
    before = look(those)
    try:
        yield
    finally:
        put_back(those, before)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _to_folder(folder: str | None) -> None:
    if folder is not None and os.path.isdir(folder):
        os.chdir(folder)


def _environment() -> tuple[Any, dict[Any, Any]]:
    values = own_attributes(os.environ).get("_data")
    return os.environ, dict(values) if type(values) is dict else {}


def _to_environment(state: tuple[Any, Mapping[Any, Any]]) -> None:
    os.environ, values = state  # a run may have put another one there
    plain = vars(os.environ).get("decodevalue", str), vars(os.environ).get("decodekey", str)
    wanted = {plain[1](key): plain[0](value) for key, value in values.items()}
    zone = os.environ.get("TZ")
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    if zone != wanted.get("TZ") and hasattr(time, "tzset"):
        time.tzset()


def _filters() -> tuple[Any, ...]:
    return tuple(warnings.filters), warnings.showwarning, warnings.formatwarning


def _to_filters(state: tuple[Any, ...]) -> None:
    filters: Any = warnings.filters
    filters[:], warnings.showwarning, warnings.formatwarning = state
    with warnings.catch_warnings():  # tells the interpreter that they changed
        pass


def _path() -> tuple[str, ...]:
    return tuple(sys.path)


def _to_path(path: tuple[str, ...]) -> None:
    sys.path[:] = path


def _locale() -> str:
    return locale.setlocale(locale.LC_ALL)


def _to_locale(name: str) -> None:
    locale.setlocale(locale.LC_ALL, name)


def _errors() -> tuple[Any, ...]:
    return np.geterr(), np.geterrcall()


def _to_errors(state: tuple[Any, ...]) -> None:
    np.seterr(**state[0])
    np.seterrcall(state[1])


def _printing() -> dict[str, Any]:
    return np.get_printoptions()  # type: ignore[return-value]


def _to_printing(options: dict[str, Any]) -> None:
    np.set_printoptions(**{name: value for name, value in options.items() if name != "override_repr"})


def _limits() -> tuple[int, int]:
    return sys.getrecursionlimit(), sys.get_int_max_str_digits()


def _to_limits(state: tuple[int, int]) -> None:
    sys.setrecursionlimit(state[0])
    sys.set_int_max_str_digits(state[1])


def _streams() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr, is_closed(sys.stdout), is_closed(sys.stderr)


def is_closed(stream: Any) -> bool:
    """Whether a stream says that it is closed; a run may put anything in its place."""
    return answered(lambda: stream.closed is True, False)


def _to_streams(state: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr = state[:3]
    for name, number in (("stdout", 1), ("stderr", 2)):
        if is_closed(getattr(sys, name)):
            try:
                file = io.FileIO(number, "w", closefd=False)
            except OSError:  # the descriptor was closed, too
                continue
            stream = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", write_through=True)
            setattr(sys, name, stream)


def _logging() -> tuple[Any, ...]:
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    told = {
        each: (each.level, tuple(each.handlers), each.propagate, each.disabled)
        for each in (logging.root, *loggers)
        if each.level or each.handlers or each.disabled or not each.propagate
    }
    return logging.root.manager.disable, told


def _to_logging(state: tuple[Any, ...]) -> None:
    logging.disable(state[0])
    for logger in {**_logging()[1], **state[1]}:
        level, handlers, propagate, disabled = state[1].get(logger, (logging.NOTSET, (), True, False))
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate, logger.disabled = propagate, disabled


_NUMBERS = [
    int(getattr(signal, name))
    for name in ("SIGALRM", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGFPE")
    if hasattr(signal, name)
]
# Without the enumerations that signal.getsignal makes of them, which cost more than all the rest.
_handler: Any = sys.modules["_signal"].getsignal
_TIMERS = [getattr(signal, n) for n in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF") if hasattr(signal, n)]


def _signals() -> tuple[Any, ...]:
    """The handlers, and which timers run: one that ran before is somebody else's."""
    running = tuple(map(any, map(signal.getitimer, _TIMERS)))
    return running, tuple(map(_handler, _NUMBERS))


def _to_signals(state: tuple[Any, ...]) -> None:
    for timer, ran in zip(_TIMERS, state[0], strict=True):
        if not ran:
            signal.setitimer(timer, 0.0)
    if threading.current_thread() is threading.main_thread():
        for number, handler in zip(_NUMBERS, state[1], strict=True):
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _decimal() -> tuple[Any, ...]:
    context = sys.modules["decimal"].getcontext()
    traps = tuple(context.traps.items())
    return context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp, traps


def _to_decimal(state: tuple[Any, ...]) -> None:
    context = sys.modules["decimal"].getcontext()
    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    for name, value in zip(names, state[:-1], strict=True):
        setattr(context, name, value)
    context.traps.update(dict(state[-1]))


_RESOLVED = ("backend", "backend_fallback")  # Matplotlib chooses one when the first figure is drawn


def _rc() -> dict[str, Any]:
    parameters = sys.modules["matplotlib"].rcParams
    values = dict(dict.items(parameters))  # as a mapping it would convert each of them
    for name in _RESOLVED:
        values.pop(name, None)
    return values


def _to_rc(state: dict[str, Any]) -> None:
    dict.update(sys.modules["matplotlib"].rcParams, state)


def _figures() -> list[int]:
    return list(sys.modules["matplotlib._pylab_helpers"].Gcf.figs)


def _to_figures(numbers: list[int]) -> None:
    """Close those that the run left open, or the next one would draw into them."""
    managers = sys.modules["matplotlib._pylab_helpers"].Gcf
    for number in [number for number in managers.figs if number not in numbers]:
        managers.destroy(number)


def _mpmath() -> int:
    return int(sys.modules["mpmath"].mp.prec)


def _to_mpmath(bits: int) -> None:
    sys.modules["mpmath"].mp.prec = bits


def _special() -> dict[str, str]:
    return sys.modules["scipy.special"].geterr()  # type: ignore[no-any-return]


def _to_special(state: dict[str, str]) -> None:
    sys.modules["scipy.special"].seterr(**state)


_ALL = (
    Surrounding("the working directory", _folder, _to_folder),
    Surrounding("the environment", _environment, _to_environment),
    Surrounding("sys.path", _path, _to_path),
    Surrounding("numpy's error state", _errors, _to_errors),
    Surrounding("numpy's print options", _printing, _to_printing),
    Surrounding("the filters of warnings", _filters, _to_filters),
    Surrounding("the locale", _locale, _to_locale),
    Surrounding("the interpreter's limits", _limits, _to_limits),
    Surrounding("signals and timers", _signals, _to_signals),
    Surrounding("the standard streams", _streams, _to_streams),
    Surrounding("logging", _logging, _to_logging),
    Surrounding("the decimal context", _decimal, _to_decimal, "decimal"),
    Surrounding("matplotlib's rcParams", _rc, _to_rc, "matplotlib"),
    Surrounding("open figures", _figures, _to_figures, "matplotlib._pylab_helpers"),
    Surrounding("mpmath's precision", _mpmath, _to_mpmath, "mpmath"),
    Surrounding("scipy's error state", _special, _to_special, "scipy.special"),
    Surrounding(brian.NAME, brian.look, brian.put_back, "brian2"),
)
LIBRARIES = frozenset(one.library for one in _ALL if one.library)  # modules, which have a state of their own
