"""What can go wrong, and where in the user's code."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import warnings
from collections.abc import Iterable, Sequence
from types import CodeType
from typing import Any

COMMAND = "the command line"
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class SimkitError(Exception):
    """Something the user can mend: usage, collection, configuration or a file.

    The message says where, what, what was available and how to fix it.

    Attributes
    ----------
    exit_code
        What the command ends with, from 1 to 5.

    Examples
    --------
    >>> try:
    ...     simkit.open("results/no-such-file.h5")
    ... except SimkitError as error:
    ...     print(error, error.exit_code)
    no such file: results/no-such-file.h5 4
    """

    exit_code = 4


class SimkitWarning(UserWarning):
    """What a script or notebook is told of a study that goes on all the same.

    The command says the same at its end. ``[tool.simkit] silence`` leaves out kinds of it, Python's filters all.

    Examples
    --------
    >>> import warnings
    >>> seen = []
    >>> def noisy(x):
    ...     seen.append(x)
    ...     return x
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", simkit.SimkitWarning)
    ...     simkit.run(noisy, explore(x=[1, 0])).close()
    """


def together(errors: Sequence[SimkitError]) -> SimkitError:
    """Several errors as one, an empty line between them; one alone is itself."""
    return errors[0] if len(errors) == 1 else SimkitError("\n\n".join(map(str, errors)))


class NothingToRun(SimkitError):
    """No experiment was found, or its space holds no point."""

    exit_code = 5


class ProviderFailed(SimkitError):
    """A parameter that all runs share could not be computed."""

    exit_code = 1


class SourceNotReady(SimkitError):
    """The runs of another experiment that this one goes over are not recorded, or not all of them are done."""


class RunFailed(SimkitError):
    """A run is not done, and the caller wanted to know at once."""

    exit_code = 1


class BeingWritten(SimkitError):
    """Another process writes the file."""


class StorageFailed(SimkitError):
    """The trajectory file could not be written, as on a full disk; what was committed is safe."""

    exit_code = 1


class FileGone(StorageFailed):
    """The trajectory file is not where it was: it was moved, removed or replaced while runs went on."""


class Damaged(SimkitError, OSError):
    """A file, or its log, is not what was written; no damaged value is read as another one.

    It is an `OSError` too, since it passes through HDF5, which asks for the bytes.
    """


class TooMuch(SimkitError):
    """A value that nobody asked for takes much more memory than its file has bytes."""


class NotForEach(SimkitError):
    """What a vectorized call asked for or gave has no meaning for each of its runs."""


class Unstorable(SimkitError):
    """A value has no lossless form in the file: ``path`` leads to it."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: cannot store {what}")
        self.path, self.what = path, what

    def __reduce__(self) -> tuple[type[Unstorable], tuple[str, str]]:
        return Unstorable, (self.path, self.what)


def shown_path(path: str | os.PathLike[str]) -> str:
    """A path as the user would type it: relative where it lies below the working directory."""
    try:
        full = os.path.abspath(path)
        relative = os.path.relpath(full)
    except ValueError:  # another drive on Windows
        return full
    except OSError:  # the working directory is gone
        return os.fspath(path)
    is_above = relative == os.pardir or relative.startswith(os.pardir + os.sep)
    return full if is_above or relative == os.curdir else relative


_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def visible(text: str) -> str:
    """Text with escapes for what moves a terminal's cursor, colours it, or turns the direction of reading."""
    return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def location(thing: Any) -> str:
    """``file:line`` of a function, class or code object, or its repr where there is none."""
    try:
        code = thing if isinstance(thing, CodeType) else getattr(thing, "__code__", None)
        if code is not None:
            return f"{shown_path(code.co_filename)}:{code.co_firstlineno}"
        import inspect

        source = inspect.getsourcefile(thing)
        return f"{shown_path(source or '?')}:{inspect.getsourcelines(thing)[1]}"
    except (TypeError, OSError):
        return repr(thing)


def caller() -> str:
    """``file:line`` of the nearest frame outside simkit."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_PACKAGE, "<attrs")):
        frame = frame.f_back
    if frame.f_code.co_filename.startswith("<frozen") or _is_command(frame.f_code.co_filename):
        return COMMAND
    return f"{shown_path(frame.f_code.co_filename)}:{frame.f_lineno}"


def warn(words: str) -> None:
    """Say it once, as a `SimkitWarning` of the nearest line outside simkit."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and is_ours(frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    warnings.warn(words, SimkitWarning, stacklevel=level)


def _is_command(filename: str) -> bool:
    """Whether a file is what an installer makes of the command's entry point."""
    place = filename.replace("\\", "/").removesuffix("/__main__.py")
    return place.rpartition("/")[2] in ("simkit", "simkit.exe", "simkit-script.py")


def is_ours(filename: str) -> bool:
    """Whether a file belongs to simkit itself."""
    return filename.startswith(_PACKAGE)


def nearest(name: str, available: Iterable[str], count: int = 3) -> list[str]:
    """The names most like ``name``, best first: fields of groups that are called so, then similar words."""
    names = list(dict.fromkeys(available))
    folded = {known.lower(): known for known in reversed(names)}
    fields = [known for known in names if "." in known and known.rpartition(".")[2].lower() == name.lower()]
    import difflib

    close = difflib.get_close_matches(name.lower(), list(folded), count, 0.6)
    return list(dict.fromkeys([*fields, *(folded[known] for known in close)]))[:count]


def missing(error: BaseException) -> str:
    """What to do about a name or a module that is not there; nothing about other errors."""
    name = getattr(error, "name", None) or ""
    top = name.partition(".")[0]
    if isinstance(error, NameError) and name == "simkit":
        return "(write import simkit at the top of the file)"
    if isinstance(error, NameError) and name in sys.modules["simkit"].__all__:
        return f"({name} is a word of simkit's: write from simkit import {name} at the top of the file)"
    if isinstance(error, ModuleNotFoundError) and top and top not in sys.modules:
        return (
            f"(simkit runs in {sys.executable}: a package has to be installed there; a module of your own is found\n"
            " beside its file, in the rootdir, and in the folders of [tool.simkit] pythonpath)"
        )
    return ""


def listed(name: str, available: Iterable[str], most: int = 20) -> str:
    """All available names in one line, the closest first."""
    names = list(dict.fromkeys(available))
    close = nearest(name, names)
    ordered = close + sorted(n for n in names if n not in close)
    rest = f", … ({len(ordered) - most} more)" if len(ordered) > most else ""
    return (", ".join(ordered[:most]) + rest) or "none"


def refused(error: OSError) -> str:
    """What the system did not do: a folder may not be entered, a name is too long, a disk is full."""
    name = error.filename
    if name is None and not has_folder():
        return "the folder in which it was started has been removed\n    go to one that there is: cd .."
    if isinstance(name, int) or name is None:
        return error.strerror or str(error)
    return f"{shown_path(os.fsdecode(name))}: {error.strerror or error}"


def has_folder() -> bool:
    """Whether there is a working directory: others may remove it."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Refuse to put a file in the place of a device, a pipe, a socket or a link to itself, which would be gone then."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:  # nothing is there, or nobody knows: what then writes the file will say so
        if error.errno == errno.ELOOP:
            raise SimkitError(
                f"{shown_path(path)} is a link that leads to itself: give another place"
            ) from None
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        msg = f"{shown_path(path)} is a device, a pipe or a socket, and no file: give another place"
        raise SimkitError(msg)


_LONGEST_STEM = 160  # bytes of a name in a file's: most systems take 255, and numbers and endings follow


def file_stem(name: str) -> str:
    """A name as files can be called after it: the end of a very long one is a digest."""
    data = name.encode("utf-8", "backslashreplace")
    if len(data) <= _LONGEST_STEM:
        return name
    start = data[: _LONGEST_STEM - 13].decode("utf-8", "ignore")
    import hashlib

    return f"{start}-{hashlib.sha256(data).hexdigest()[:12]}"


def did_you_mean(name: str, available: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or nothing."""
    close = nearest(name, available, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def paragraphs(lines: Sequence[str]) -> str:
    """A headline and its indented details."""
    return "\n".join([lines[0], *("    " + line for text in lines[1:] for line in text.split("\n"))])
