"""Options, verbs and exit codes."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import pytest
from simulations import THREE

import simkit
from simkit.cli.main import VisibleText


def test_help_version_and_wrong_options(project):
    assert project.ok("--version").out == f"simkit {simkit.__version__}\n"
    text = project.ok("--help").out
    options = "-n -k --co --where -x --maxfail --set --params --product --explore --repeat --seed --output"
    for option in f"{options} --fresh --pdb --parameters -q -v -s --durations --start-method".split():
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), option
    assert "exit codes: 0 the selection is complete" in text
    assert "show FILE" in text
    wrong = project.simkit("--frehs")
    assert wrong.code == 4
    assert "--frehs" in wrong.err


def test_several_experiments_are_run_in_order_and_one_failure_makes_the_exit_code(project):
    project.file("sim_three.py", THREE.replace('{"a": x}', "1 / 0"))
    result = project.simkit()
    assert result.code == 1
    order = re.findall(r"^(sim_three\.py::\w+)  \d runs?  ", result.out, re.M)
    assert order == ["sim_three.py::lorenz", "sim_three.py::lorenz_slow", "sim_three.py::rossler"]
    assert re.search(r"=+ 4 done, 2 failed in", result.out) or re.search(
        r"=+ 2 failed, 4 done in", result.out
    )
    assert project.open("lorenz_slow-001")["b"].tolist() == [1, 2, 3]


RUNS = "from simkit import experiment, product\n@experiment\n@product(x=[1, 2])\ndef f(x):\n    return {'z': x}\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full is Linux's")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_full_disk_behind_standard_output_costs_what_is_said_only(project, workers):
    project.file("sim_f.py", RUNS)
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = project.simkit("-n", workers, stdout=full)
    assert result.code == 1
    assert "simkit: what was said could not be written: [Errno 28]" in result.err
    assert project.open("f-001").status.tolist() == ["done", "done"]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell that closes descriptors")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_cost_what_is_said_only(project, closed):
    project.file("sim_f.py", RUNS)
    command = f'exec "{sys.executable}" -m simkit -n 0 {closed}'
    done = subprocess.run(["/bin/sh", "-c", command], cwd=project.path, check=False, timeout=60)
    assert done.returncode == 0
    assert project.open("f-001")["z"].tolist() == [1, 2]


def test_a_reader_that_leaves_does_not_end_the_study(project):
    project.file("sim_f.py", RUNS)
    reading, writing = os.pipe()
    os.close(reading)
    result = project.simkit("-n", "0", stdout=writing)
    os.close(writing)
    assert (result.code, result.err) == (0, "")
    assert project.open("f-001")["z"].tolist() == [1, 2]


@pytest.mark.parametrize("coding", ["ascii", "ascii:strict", "utf-8:strict"])
def test_an_output_of_few_characters_gets_all_that_is_said(project, coding):
    project.file("sim_f.py", RUNS.replace("'z'", "'µ☃'"))
    environment = {**os.environ, "PYTHONIOENCODING": coding, "LC_ALL": "C"}
    result = project.simkit("-n", "1", env=environment)
    assert result.code == 0, result.err
    assert project.open("f-001")["µ☃"].tolist() == [1, 2]
    shown = project.simkit("show", "results/f-001.h5", env=environment)
    assert shown.code == 0, shown.err


def test_garbage_is_collected_again_once_the_command_is_imported(tmp_path):
    code = (
        "import gc\nfrom simkit.cli.main import main\n"
        "main(['--co'])\nassert gc.isenabled() and gc.get_freeze_count() > 10_000"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_stream_that_is_closed_is_not_flushed():
    """Python flushes a stream that nobody holds any longer, from 3.13 on not in silence."""
    behind = io.StringIO()
    stream = VisibleText(behind)
    stream.write("\x1b[31m")
    assert behind.getvalue() == r"\x1b[31m"
    behind.close()
    stream.flush()
