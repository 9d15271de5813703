"""Sumatra's lab notebook, with the real Sumatra in a project of its own."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

import simkit

pytest.importorskip("sumatra")


pytest.importorskip("django")


SOURCE = """
from typing import Annotated
from simkit import experiment, parameter, product

@parameter
class Neuron:
    tau: float = 20.0
    name: str = "lif"

@experiment
@product(x=[3, 1, 2], y=[i / 100 for i in range(100)])
def spiking(x, y, neuron, steps=5):
    return x * y * neuron.tau
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Git as on a new machine, but for a name."""
    home = tmp_path_factory.mktemp("home")
    (home / "gitconfig").write_text("[user]\nname = Ada\nemail = ada@x\n")
    names = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return {**kept, **names, "COLUMNS": "100"}


@pytest.fixture(scope="module")
def book(shared, environment):
    """A project in Sumatra's notebook, with one study recorded there."""
    shared.file("sim_s.py", SOURCE)
    for i in range(4):
        shared.file(f"many/sim_{i}.py", SOURCE.replace("def spiking", f"def spiking{i}"))
    shared.file("pyproject.toml", "[tool.simkit]\n")
    shared.file(".gitignore", "results/\n.smt/\n")

    def do(*command):
        return subprocess.run(
            command, cwd=shared.path, env=environment, capture_output=True, text=True, check=True
        ).stdout

    do("git", "init", "-q", ".")
    do("git", "add", ".")
    do("git", "commit", "-qm", "all")
    shared.do, shared.environment = do, environment
    shared.smt = lambda *words: do(*smt_command(), *words)
    refusal = shared.simkit("sim_s.py", "--sumatra", env=environment)
    assert refusal.code == 4
    first, *cure = [line.strip() for line in refusal.err.splitlines()]
    assert first == f"simkit: {shared.path} is not in a Sumatra project; to make it one, type there"
    assert not (shared.path / "results").exists()
    for line in cure[:2]:  # exactly what was said
        shared.smt(*line.split()[1:])
    shared.out = shared.ok("sim_s.py", "--sumatra", "--reason", "to see it", env=environment).out
    return shared


def smt_command():
    beside = Path(sys.executable).with_name("smt")
    return [str(beside if beside.exists() else shutil.which("smt") or pytest.skip("there is no smt"))]


def records(book):
    return json.loads(book.smt("list", "-l", "-f", "json"))


def test_a_study_becomes_a_record_that_smt_shows(book):
    trajectory = book.open("spiking-001")
    label = trajectory.info.sessions[0]["sumatra"]
    assert label.startswith("spiking-001_")
    assert f"Sumatra: recorded as {label}\n" in book.out
    told = book.smt("list", "-l")
    digest = hashlib.sha1((book.path / "results/spiking-001.h5").read_bytes()).hexdigest()
    for part in (
        label,
        "to see it",
        "300 done",
        f"spiking-001.h5({digest}",
        '"tau": 20.0',
        '"name": "lif"',
        "_finished_",
    ):
        assert part in told
    (record,) = [one for one in records(book) if one["label"] == label]
    assert record["main_file"] == "sim_s.py"
    assert record["version"] == book.do("git", "rev-parse", "HEAD").strip()
    assert {d["name"]: d["version"] for d in record["dependencies"]} == trajectory.info.sessions[0][
        "packages"
    ]
    assert record["duration"] == pytest.approx(
        trajectory.info.sessions[0]["ended"] - trajectory.info.sessions[0]["started"]
    )
    assert record["output_data"][0]["path"] == "spiking-001.h5"
    parameters = ast.literal_eval(record["parameters"]["content"])
    assert parameters["x"] == [1, 2, 3]
    assert parameters["y"] == "100 values from 0.0 to 0.99"
    assert parameters["steps"] == 5
    assert parameters["neuron"] == {"tau": 20.0, "name": "lif"}
    assert datetime.fromisoformat(str(record["timestamp"])).year >= 2024


def test_four_studies_at_once_write_four_records(book):
    before = {record["label"] for record in records(book)}
    arguments = [("-m", "simkit", f"many/sim_{i}.py", "--sumatra") for i in range(4)]
    under_way = [book.start(*one, env=book.environment) for one in arguments]
    told = [process.communicate(timeout=600) for process in under_way]
    assert [process.returncode for process in under_way] == [0] * 4, told
    new = {record["label"] for record in records(book)} - before
    assert sorted(label.partition("-")[0] for label in new) == [f"spiking{i}" for i in range(4)], told
    assert not any("warning" in out for out, _ in told)


def test_on_changed_is_honoured_before_the_runs(book):
    book.file("sim_t.py", SOURCE.replace("spiking", "changing"))
    book.do("git", "add", "sim_t.py")
    book.smt("configure", "--on-changed=error")
    refused = book.simkit("sim_t.py", "--sumatra", env=book.environment)
    assert refused.code == 4
    assert "Code has changed, please commit your changes" in refused.err
    assert "smt configure --on-changed=store-diff" in refused.err
    assert not book.has("results/changing-001.h5")
    book.smt("configure", "--on-changed=store-diff")
    book.do("git", "reset", "-q")
    (book.path / "sim_t.py").unlink()


def test_a_failing_sumatra_costs_no_run(book):
    book.file("sim_u.py", SOURCE.replace("spiking", "lucky"))
    database = book.path / ".smt/records"
    kept = database.read_bytes()
    database.write_bytes(b"no database" * 1000)
    try:
        result = book.simkit("sim_u.py", "--sumatra", env=book.environment)
    finally:
        database.write_bytes(kept)
    assert result.code == 0, result.err
    assert "300 of 300 runs" in result.out
    assert "Sumatra has no record of this session: " in result.out
    assert 'silence = ["sumatra"]' in result.out
    assert len(book.open("lucky-001")) == 300


def test_from_python_within_an_event_loop(book):
    """As in a notebook, where Sumatra itself refuses to work; the project is found from a folder below."""
    book.file("deep/pyproject.toml", "[tool.simkit]\nsumatra = true\nuser = false\n")
    book.file("deep/sim_v.py", SOURCE.replace("spiking", "inner"))
    script = book.file(
        "deep/go.py",
        "import asyncio, simkit\nfrom sim_v import inner\n"
        "async def main():\n    simkit.run(inner).close()\nasyncio.run(main())\n",
    )
    book.file("sim_s.py", SOURCE + "# edited\n")
    result = book.python(str(script), env=book.environment)
    assert result.code == 0, result.err
    assert result.err == ""
    (record,) = [one for one in records(book) if one["label"].startswith("inner")]
    assert record["main_file"] == "deep/sim_v.py"
    assert record["user"] == ""
    assert "+# edited" in record["diff"]
    assert os.path.normpath(record["output_data"][0]["path"]) == "../deep/results/inner-001.h5"


def test_without_sumatra_the_error_says_how_to_install_it(study, monkeypatch):
    (study.root / "pyproject.toml").write_text("[tool.simkit]\nsumatra = true\n")
    monkeypatch.setitem(sys.modules, "sumatra", None)
    with pytest.raises(
        simkit.SimkitError, match=r'Sumatra is not installed: pip install "simkit\[sumatra\]"'
    ):
        study.run("from simkit import experiment\n@experiment\ndef f():\n    return 1\n")
