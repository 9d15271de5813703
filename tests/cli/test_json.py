"""What programs read: with ``--json`` objects of one documented schema, one a line, and nothing else."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import jsonschema
import pytest

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "json-schema.json").read_text())
KINDS = {entry["properties"]["type"]["const"]: entry for entry in SCHEMA["oneOf"]}
SEEN: set[str] = set()

SOURCE = """
import numpy as np
from simkit import after, experiment, product

@experiment
@product(x=range(6))
def f(x, gamma=0.2):
    \"\"\"Doc.\"\"\"
    print("in run", x, "\\x1b[1m")
    if x == 3:
        raise ValueError(x)
    if x == 4:
        np.float64(1) / np.float64(0)
    return {"z": x * gamma, "arr": np.arange(3) * x, "n": float("nan"), "big": np.zeros(2000)}

@after(f)
def later(trajectory):
    return {"m": 3}
"""


def objects(result):
    """The lines of a command as objects, each checked against its type's schema."""
    said = [json.loads(line) for line in result.out.splitlines()]
    for one in said:
        jsonschema.validate(one, KINDS[one["type"]])
        SEEN.add(one["type"])
    assert said[-1] == {"type": "finished", "exit_code": result.code}
    return said[:-1]


@pytest.fixture(scope="module")
def study(shared):
    shared.file("sim_f.py", SOURCE)
    shared.ran = objects(shared.simkit("-n", "0", "--json"))
    return shared


def kinds(said):
    """What was said of which sort; how often progress is told depends on how long the runs take."""
    return [one["type"] for one in said if one["type"] != "progress"]


def last(said, *sorts):
    """The last object of each sort."""
    each = {one["type"]: one for one in said}
    return [each[sort] for sort in sorts]


def test_a_session_tells_how_it_begins_goes_on_and_ends(study):
    assert kinds(study.ran) == ["begun", "failure", "ended", "stage"]
    begun, failure, progress, ended, stage = last(study.ran, "begun", "failure", "progress", "ended", "stage")
    assert begun["file"] == str(study.path / "results" / "f-001.h5")
    assert (begun["runs"], begun["done"], begun["to_run"], begun["continues"]) == (6, 0, 6, False)
    assert failure["parameters"] == {"x": 3}
    assert failure["error"].endswith("ValueError: 3")
    assert failure["replay"] == "simkit 'sim_f.py::f[3]' --pdb"
    assert (progress["executed"], progress["to_run"], progress["failed"]) == (6, 6, 1)
    assert ended["counts"] == {"done": 5, "failed": 1}
    assert [(kind["error"], kind["runs"]) for kind in ended["failures"]] == [("ValueError: 3", [[3, 3]])]
    assert [(one["line"], one["runs"]) for one in ended["warnings"]] == [(13, 1)]
    assert (stage["function"], stage["status"]) == ("sim_f.py::later", "done")


def test_workers_logs_stand_with_failures(study):
    begun, failure, ended = last(objects(study.simkit("-n", "2", "--json")), "begun", "failure", "ended")
    assert (begun["done"], begun["to_run"], begun["continues"]) == (5, 1, True)
    assert failure["log"].startswith("in run 3")
    assert ended["logged"] == 1


def test_what_would_run(study):
    (one,) = objects(study.ok("--co", "--json"))
    assert (one["runs"], one["done"], one["to_run"]) == (6, 5, 1)
    assert one["continues"] == str(study.path / "results" / "f-001.h5")
    assert one["companions"] == [{"role": "after", "function": "sim_f.py::later"}]
    (one,) = objects(study.ok("--co", "--json", "--set", "gamma=0.25"))
    assert (one["continues"], one["differences"]) == (None, ["gamma was 0.2, now 0.25"])
    points = objects(study.ok("--co", "-v", "--json", "--where", "x > 4"))[1:]
    assert points == [{"type": "point", "experiment": "sim_f.py::f", "run": 5, "parameters": {"x": 5}}]
    assert [one["name"] for one in objects(study.ok("--parameters", "--json"))] == ["x", "gamma"]


def test_list_and_show(study):
    (one,) = objects(study.ok("list", "--json"))
    assert (one["done"], one["runs"], one["continued"]) == (5, 6, True)
    assert one["constants"] == {"gamma": "0.2"}
    (contents,) = objects(study.ok("show", "f", "--json"))
    assert {entry["name"]: entry["text"] for entry in contents["parameters"]} == {"gamma": "0.2", "x": "int"}
    assert [entry["name"] for entry in contents["summary"]] == ["m"]
    (run,) = objects(study.ok("show", "f", "--run", "2", "--json"))
    assert (run["status"], run["parameters"]) == ("done", {"gamma": 0.2, "x": 2})
    assert (run["results"]["arr"], run["results"]["n"]) == ([0, 2, 4], "nan")
    assert run["results"]["big"] == "array float64 (2000,)"
    sessions = objects(study.ok("show", "f", "--provenance", "--json"))
    assert sessions[0]["facts"]["command"] == "simkit -n 0 --json"


def test_verify_diff_export_and_merge(study):
    (one,) = objects(study.ok("verify", "f", "--json", "-n", "0"))
    assert (one["same"], one["executed"]) == (True, 5)
    (one,) = objects(study.ok("verify", "f", "--file", "--json"))
    assert (one["checked"], one["places"]) == (True, [])
    (one,) = objects(study.ok("export", "f", "out.csv", "--names", "z", "--json", "--force"))
    assert (one["file"], one["runs"]) == (str(study.path / "out.csv"), 6)
    (one,) = objects(study.ok("merge", "all.h5", "f", "--json"))
    assert (one["counts"], one["name"]) == ({"done": 5, "failed": 1}, "f")
    (one,) = objects(study.ok("rename", "z", "y", "all.h5", "--json"))
    assert (one["file"], one["old"], one["new"]) == (str(study.path / "all.h5"), "z", "y")
    study.simkit("-n", "0", "--set", "gamma=0.3", "--where", "x < 2", "--output", "other.h5")
    result = study.simkit("diff", "f", "other.h5", "--json")
    (one,) = objects(result)
    assert (result.code, one["same"]) == (1, False)
    assert one["parameters"] == [{"name": "gamma", "values": [0.2, 0.3], "units": ["", ""]}]
    (z,) = one["results"]
    assert (z["name"], z["differing"], z["examples"][0]["values"]) == ("z", 1, [0.2, 0.3])


def test_repair_restore_and_report(study):
    (one,) = objects(study.ok("repair", "f", "--json"))
    assert (Path(one["file"]).name, one["commits"]) == ("f-001.h5", 0)
    (study.path / "no.h5").write_bytes(b"no trajectory")
    broken = study.simkit("repair", "no.h5", "f", "--json")
    wrong, whole = objects(broken)
    assert (broken.code, wrong["type"], wrong["where"], whole["type"]) == (4, "error", "no.h5", "repaired")
    assert wrong["message"] in broken.err
    (one,) = objects(study.ok("restore", "f", "again", "--session", "1", "--json"))
    assert (one["folder"], one["files"], one["session"]) == (str(study.path / "again"), ["sim_f.py"], 1)
    assert Path(one["requirements"]).exists()
    assert one["command"].startswith("simkit -n 0 --json --seed ")
    (one,) = objects(study.ok("report", "f", "--json"))
    assert (one["file"], one["runs"]) == (str(study.path / "f-001.html"), 6)
    assert Path(one["file"]).stat().st_size == one["bytes"]


def test_errors_are_objects_and_are_said_to_people_too(study, project):
    result = study.simkit("show", "g", "--json")
    (one,) = objects(result)
    assert result.code == 4
    assert one["message"] == "no trajectory of 'g' in results\n    there: f"
    assert result.err.startswith("simkit: no trajectory of 'g'")
    project.file("sim_a.py", "import numpi\n")
    project.file(
        "sim_b.py",
        "from simkit import experiment, product\n@experiment\n@product(x=[])\ndef b(x):\n    pass\n",
    )
    wrong, empty = objects(project.simkit("--json"))
    assert (wrong["where"], empty["where"]) == ("sim_a.py", "sim_b.py::b")
    assert "its space is empty" in empty["message"]
    (project.path / "sim_b.py").unlink()
    (one,) = objects(project.simkit("--co", "--json"))
    assert "No module named 'numpi'" in one["message"]


def test_whatever_runs_write_is_no_part_of_it(project):
    project.file(
        "sim_p.py",
        "import os, subprocess, sys\nfrom simkit import experiment\n@experiment\ndef p():\n"
        "    print('{broken')\n    os.write(1, b'raw\\n')\n    subprocess.run(['echo', 'child'])\n",
    )
    for options in (["-n", "0"], ["-n", "1", "-s", "--fresh"]):
        result = project.ok("--json", *options)
        assert kinds(objects(result)) == ["begun", "ended"]
        for word in ("{broken", "raw", "child"):
            assert word in result.err


def test_a_reader_follows_it_line_by_line_and_an_interrupted_session_says_so(project):
    project.file(
        "sim_w.py",
        "import time\nfrom pathlib import Path\nfrom simkit import experiment, product\n@experiment\n"
        "@product(x=range(3))\ndef w(x):\n    while x and not Path('go').exists():\n        time.sleep(0.01)\n"
        "    if not x:\n        raise OSError\n",
    )
    with project.under_way("-n", "1", "--json") as process:
        first = [json.loads(process.stdout.readline())]
        while kinds(first) != ["begun", "failure"]:
            first.append(json.loads(process.stdout.readline()))
        os.kill(process.pid, signal.SIGINT)
        project.file("go")
        rest = [json.loads(line) for line in process.stdout]
    for one in (*first, *rest):
        jsonschema.validate(one, KINDS[one["type"]])
    assert rest[-1] == {"type": "finished", "exit_code": 2}
    assert rest[-2]["interrupted"] is True


def test_without_the_option_nothing_changes(study):
    assert study.ok("list").out.startswith("sim_f.py::f\n")


def test_each_type_of_the_schema_was_seen_and_is_on_the_page(study):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "json.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []
    assert set(KINDS) - SEEN == set()
