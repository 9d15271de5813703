"""What a session tells on a terminal and in a pipe."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from simulations import FAILING
from written_pages import TOOK

import simkit


def section(text, title):
    """The lines below a rule with this title, up to the next rule."""
    lines = text.splitlines()
    start = next(
        i for i, line in enumerate(lines) if re.fullmatch(rf"[=_-]+ {re.escape(title)} [=_-]+", line)
    )
    rest = lines[start + 1 :]
    stop = next((i for i, line in enumerate(rest) if re.fullmatch(r"[=_-]+ .* [=_-]+", line)), len(rest))
    return "\n".join(rest[:stop])


def test_failures_are_shown_once_with_parameters_and_the_replay_command(project):
    project.file("sim_shaky.py", FAILING.format(n=12, bad=5))
    result = project.simkit("--seed", "3")
    assert result.code == 1
    assert re.search(r"=+ 5 done, 7 failed in", result.out)
    assert "results/shaky-001.h5   5 of 12 runs" in result.out
    fifth = section(result.out, "sim_shaky.py::shaky[5]")
    assert "i=5" in fifth
    assert 'sim_shaky.py", line 9, in shaky' in fifth
    assert "ValueError: no luck with 5" in fifth
    assert "replay: simkit 'sim_shaky.py::shaky[5]' --pdb" in fifth
    assert os.path.dirname(simkit.__file__) not in result.out
    assert result.out.count("no luck with 5") == 1 + result.out.count('raise ValueError(f"no luck with 5')
    assert "shaky[9]" in result.out
    assert "shaky[10]" not in result.out
    assert "2 more failures" in result.out

    verbose = project.simkit("-v")
    assert verbose.code == 1
    assert "shaky[10]" in verbose.out
    assert "shaky[11]" in verbose.out
    assert "more failure" not in verbose.out
    assert re.search(r"=+ 7 failed in", verbose.out)


def test_quiet_verbose_and_show(project):
    project.file(
        "sim_talk.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2, 3])
        def talk(x):
            print(f"hello from {x}")
            return x
        """,
    )
    quiet = project.ok("-q")
    assert "rootdir" not in quiet.out
    assert "hello" not in quiet.out
    assert re.search(r"3 done in", quiet.out)
    assert "results/talk-001.h5   3 of 3 runs" in quiet.out
    assert project.open("talk-001").log(1) == "hello from 2\n"
    for workers in ("0", "1"):
        shown = project.ok("-s", "--fresh", "-n", workers)
        assert [line for line in shown.out.splitlines() if "hello" in line] == [
            "hello from 1",
            "hello from 2",
            "hello from 3",
        ]
    assert project.open("talk-003").log(1) == ""


def test_durations_shows_the_slowest_runs(project):
    project.file(
        "sim_slow.py",
        """
        import time
        from simkit import experiment, product

        @experiment
        @product(x=range(6))
        def slow(x):
            time.sleep(0.2 * (x in (2, 4)) + 0.8 * (x == 4))
        """,
    )
    out = project.ok("--durations", "2").out
    lines = section(out, "slowest 2 runs").splitlines()
    assert len(lines) == 2
    assert re.fullmatch(rf" *{TOOK}  sim_slow\.py::slow\[4\]  x=4", lines[0])
    assert re.fullmatch(rf" *{TOOK}  sim_slow\.py::slow\[2\]  x=2", lines[1])


WARNED = """
    import warnings
    import numpy as np
    from simkit import experiment, product

    @experiment
    @product(x=range(40))
    def shaky(x):
        for _ in range(2 if x % 4 == 0 else 0):
            np.float64(1) / np.float64(0)
        if x == 7:
            warnings.warn("only here")
        if x >= 30:
            print("about to fail", x)
            raise ValueError("no luck")
        if x == 20:
            print("quite well")
        if x in (11, 13):
            raise KeyError(x)
        return x

    @experiment
    def late(calibration):
        pass
"""
FIXTURE = """
    from simkit import parameter

    @parameter
    def calibration() -> float:
        raise OSError("no device")
"""


@pytest.fixture(scope="module", params=["0", "2"])
def warned(request, shared):
    shared.file("sim_shaky.py", WARNED)
    shared.file("simconf.py", FIXTURE)
    result = shared.simkit("-n", request.param, "--fresh", "--seed", "3")
    assert result.code == 1
    return request.param, result


def test_warnings_of_runs_are_summed_up_by_text_and_place(warned):
    _, result = warned
    assert section(result.out, "warnings in runs").splitlines()[:2] == [
        "RuntimeWarning: divide by zero encountered in scalar divide, sim_shaky.py:10: 10 runs",
        "UserWarning: only here, sim_shaky.py:12: 1 run",
    ]


def test_equal_failures_are_told_once_and_others_each(warned):
    _, result = warned
    assert result.out.count("ValueError: no luck") == 2  # with its traceback, and in the summary
    assert result.out.count("the same in 10 runs: runs 30–39") == 1
    for run in (11, 13):
        assert f"KeyError: {run}" in section(result.out, f"sim_shaky.py::shaky[{run}]")
    assert "more failure" not in result.out


def test_a_line_for_each_kind_of_failure_and_what_could_not_start_is_counted(warned):
    _, result = warned
    lines = section(result.out, "summary").splitlines()
    assert sorted(lines) == [
        "ERROR sim_shaky.py::late",
        "FAILED sim_shaky.py::shaky  10 × ValueError: no luck, same every time, runs 30–39",
        "FAILED sim_shaky.py::shaky  2 × KeyError at sim_shaky.py:19, runs 11, 13",
    ]
    assert re.search(r"=+ 28 done, 12 failed, 1 experiment could not start in ", result.out)


def test_what_a_failed_run_printed_stands_with_its_traceback(warned):
    workers, result = warned
    if workers == "0":  # it went to the terminal
        assert "about to fail 30\n" in result.out
        assert "printed" not in result.out
        return
    run = re.search(r"shaky\[(3\d)\]", result.out)[1]
    assert f"about to fail {run}" in section(result.out, "what it printed").splitlines()
    assert "sim_shaky.py::shaky: 19 runs printed something: traj.log(0)" in result.out


def test_each_worker_and_each_run_warns_as_a_fresh_process_would(warned, shared):
    workers, result = warned
    if workers == "2":
        traj = shared.open(re.search(r"shaky-\d+", result.out)[0])
        assert [i for i in range(40) if "divide by zero" in traj.log(i)] == list(range(0, 40, 4))


def test_a_summary_has_a_limited_number_of_lines(project):
    body = "".join(f"    if x == {i}:\n        raise KeyError({i})\n" for i in range(30))
    source = "from simkit import experiment, product\n@experiment\n@product(x=range(30))\ndef f(x):\n"
    project.file("sim_f.py", source + body)
    out = project.simkit("-n", "0").out
    assert "FAILED sim_f.py::f[3]  KeyError at sim_f.py:12" in section(out, "summary")
    assert "… and 10 more lines" in section(out, "summary")
    assert "… and 25 more failures: traj.error(i)" in out


def test_each_experiment_of_one_file_is_named_with_it(project):
    project.file(
        "sim_two.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2])
        def first(x):
            return x

        @experiment
        @product(x=[1, 2, 3])
        def second(x):
            return x
        """,
    )
    lines = project.ok("-n", "0", "--output", "both.h5").out.splitlines()
    told = [line.split("   ") for line in lines if line.startswith("both.h5")]
    assert [(file, runs, name) for file, runs, _, name in told] == [
        ("both.h5", "2 of 2 runs", "first"),
        ("both.h5", "3 of 3 runs", "second"),
    ]
    alone = project.ok("sim_two.py::first", "-n", "0", "--output", "both.h5").out
    assert "both.h5   2 of 2 runs" in alone


# On a terminal


def run_in_terminal(folder: Path, *arguments: str) -> str:
    """What the command writes to a terminal, escapes included."""
    owner, terminal = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment |= {"COLUMNS": "100", "LINES": "30", "TERM": "xterm"}
    command = [sys.executable, "-m", "simkit", *arguments]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        pieces = []
        while True:
            try:
                piece = os.read(owner, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not piece:
                break
            pieces.append(piece)
        os.close(owner)
        code = process.wait(60)
    assert code == 0, b"".join(pieces)
    return b"".join(pieces).decode()


def test_a_terminal_shows_a_live_bar_with_rate_and_time_left(project):
    project.file(
        "sim_busy.py",
        """
        import time
        from simkit import experiment, product

        @experiment
        @product(x=range(40))
        def busy(x):
            end = time.perf_counter() + 0.05
            while time.perf_counter() < end:
                pass
        """,
    )
    raw = run_in_terminal(project.path)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw)
    frames = re.findall(rf"busy  40 runs +.*?(\d+)%.*? (\d+)/40  (.*?)eta ({TOOK})", text)
    assert len(frames) >= 3, text
    percents = [int(percent) for percent, *_ in frames]
    assert percents == sorted(percents)
    assert percents[0] < percents[-1]
    assert all("/run" in rate or "runs/s" in rate for *_, rate, _ in frames)
    assert "━" in raw
    assert re.search(r"[\r\n]sim_busy\.py::busy  40 runs ━{12} 100%  40 done\r\n", text)
    assert re.search(r"^results/busy-001\.h5   40 of 40 runs   \d+ kB\r?$", text, re.M)


def test_a_pipe_gets_plain_lines(multiply):
    out = multiply.ok().out
    assert "\x1b" not in out
    assert "\r" not in out
