"""How much more does simkit do where there is twice as much of something? Counted, so that no load matters.

Prints a JSON list: the kinds; or for n, 2n and 4n of one the calls of functions and the bytes read and written.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import numpy as np

import simkit
from simkit import product
from simkit.cli.main import main

Work = Callable[[], Any]


def study(function: Callable[..., Any], space: Any, **options: Any) -> Work:
    """A study that is recorded into a file of its own."""

    def act() -> None:
        with simkit.run(function, space, output="new.h5", workers=0, **options) as trajectory:
            assert (trajectory.status == "done").all()

    return act


def command(*arguments: str) -> Work:
    """A command that may succeed or not; what it says is not shown."""

    def act() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert main(["-n", "0", *arguments] if arguments[0].startswith("-") else arguments) in (0, 1)

    return act


def results(n: int) -> Work:
    return study(lambda x: {f"r{i}": x for i in range(n)}, product(x=[1, 2]))


def read_results(n: int) -> Work:
    results(n)()

    def read() -> None:
        with simkit.open("new.h5") as trajectory:
            repr(trajectory), trajectory.to_dataframe(), [trajectory.runs[0][f"r{i}"] for i in range(n)]

    return read


def axes(n: int) -> Work:
    names = [f"p{i}" for i in range(n)]
    Path("sim_axes.py").write_text(
        "from simkit import experiment, explore\n@experiment\n"
        f"@explore({', '.join(f'{name}=[1, 2]' for name in names)})\ndef axes({', '.join(names)}): return 1\n"
    )
    return command("--fresh")


def variants(n: int) -> Work:
    kinds = [make_dataclass(f"K{i}", [f"a{i}"]) for i in range(n)]
    return study(lambda x: {"z": kinds[x](x)}, product(x=range(n)))


DTYPES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "c16", "?")


def read_variants(n: int) -> Work:
    """Each run's value by itself, every one of another type, and too large to be read with its neighbours'."""

    def f(x: int) -> Any:
        value = np.zeros((5000,) + (1,) * (x % 8), DTYPES[x // 8])
        return {"z": value, "l": [value]}

    study(f, product(x=range(n)))()

    def read() -> None:
        with simkit.open("new.h5") as trajectory:
            assert [run.z.dtype.str[1:] for run in trajectory.runs] == [
                run.l[0].dtype.str[1:] for run in trajectory.runs
            ]

    return read


def sessions(n: int) -> Work:
    def f(x: int) -> int:
        return x

    for done in range(1, n):
        simkit.run(f, product(x=range(done)), output="new.h5", workers=0).close()
    return study(f, product(x=range(n)))


def read_sessions(n: int) -> Work:
    sessions(n)()
    shown = [command("show", "new.h5"), command("list", "new.h5"), command("show", "new.h5", "--provenance")]

    def read() -> None:
        with simkit.open("new.h5") as trajectory:
            repr(trajectory), trajectory.to_dataframe(), trajectory.info
        for act in shown:
            act()

    return read


def notes(n: int) -> Work:
    def f(x: int, run: Any) -> int:
        for i in range(n):
            run.note(f"note {i}")
        return x

    return study(f, product(x=[1, 2]))


def remarks(n: int) -> Work:
    simkit.run(lambda x: x, product(x=range(n)), output="new.h5", workers=0).close()

    def note() -> None:
        with simkit.open("new.h5", mode="r+") as trajectory:
            for i in range(n):
                trajectory.note(f"note {i}")

    return note


def failures(n: int) -> Work:
    Path("sim_failures.py").write_text(
        f"from simkit import experiment, product\n@experiment\n@product(x=range({n}))\n"
        "def failures(x): raise ValueError('way ' * (x % 40) + str(x))\n"
    )
    return command("--fresh")


def shards(n: int) -> Work:
    def f(x: int) -> int:
        return x

    for i in range(n):
        simkit.run(f, product(x=[2 * i, 2 * i + 1]), output=f"part-{i}.h5", seed=1, workers=0).close()
    return command("merge", "whole.h5", *(f"part-{i}.h5" for i in range(n)))


def providers(n: int) -> Work:
    chain = "".join(f"@fixture\ndef p{i}(p{i - 1}): return p{i - 1} + 1\n" for i in range(1, n))
    Path("sim_chain.py").write_text(
        f"from simkit import experiment, fixture\n@fixture\ndef p0(): return 0\n{chain}"
        f"@experiment\ndef chain(p{n - 1}): return p{n - 1}\n"
    )
    return command("--fresh")


def files(n: int) -> Work:
    for i in range(n):
        Path(f"sim_{i}.py").write_text(
            f"from simkit import experiment, product\n@experiment\n@product(x=[1, 2])\ndef f{i}(x): return x\n"
        )
    return command("--co")


def experiments(n: int) -> Work:
    text = "".join(f"@experiment\n@product(x=[1])\ndef f{i}(x): return x\n" for i in range(n))
    Path("sim_many.py").write_text(f"from simkit import experiment, product\n{text}")
    return command("--quiet")


def checkpoints(n: int) -> Work:
    def f(x: int, run: Any) -> int:
        for i in range(n):
            run.append(step=i)
            run.checkpoint(step=i)
        return x

    return study(f, product(x=[1]))


def squared(n: int) -> Work:
    """What each other kind is not."""
    return lambda: [Path("new.txt").write_text("x" * 1000) for _ in range(n * n)]


KINDS = {
    **dict.fromkeys([results, read_results], 100),
    **dict.fromkeys([axes, failures, files, providers], 20),
    **dict.fromkeys([variants, sessions, read_sessions, experiments], 10),
    **dict.fromkeys([notes, remarks], 50),
    checkpoints: 40,  # the log is brought into the file by the clock, too: a megabyte more or less
    read_variants: 25,
    shards: 5,
}


def counted(work: Work) -> int:
    """The calls of some work."""
    count = 0

    def profiled(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profiled)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def transferred() -> int:
    """The bytes that this process has read and written so far, where the system counts them."""
    try:
        lines = Path("/proc/self/io").read_text().split()
    except OSError:
        return 0
    return int(lines[1]) + int(lines[3])


def measured(kind: Callable[[int], Work], n: int) -> list[int]:
    """Calls and bytes of one such work, in a folder of its own."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("pyproject.toml").write_text("[tool.simkit]\n")
        try:
            work = kind(n)
            had = transferred()
            calls = counted(work)
            return [calls, transferred() - had]
        finally:
            os.chdir(before)


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(print(json.dumps([kind.__name__ for kind in KINDS])))
    chosen = {kind.__name__: kind for kind in (*KINDS, squared)}[sys.argv[1]]
    first = KINDS.get(chosen, 20)
    measured(chosen, first)  # what is read and made once
    print(json.dumps([measured(chosen, first * times) for times in (1, 2, 4)]))
