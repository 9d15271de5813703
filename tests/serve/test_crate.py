"""An archive that others can check: a Process Run Crate."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUDY = """
    from typing import Annotated
    from simkit import Unit, experiment, product

    @experiment
    @product(x=[1.0, 2.0])
    def f(x: Annotated[float, "what is varied", Unit("m")], n: Annotated[int, "how many"] = 3, odd: str = "<ä>"):
        "Multiply."
        return x * n
"""
CITATION = """
    cff-version: 1.2.0
    title: A product
    authors:
      - given-names: Ada
        family-names: Lovelace
        orcid: https://orcid.org/0000-0002-1825-0097
        affiliation: Analytical Engines
    license: CC-BY-4.0
"""


@pytest.fixture(scope="module")
def study(shared):
    """A project with a citation file, two sessions, and its crate."""
    shared.file("sim_f.py", STUDY)
    shared.file("CITATION.cff", CITATION)
    shared.ok("-n", "0", "--seed", "1")
    shared.ok("-n", "0", "--product", "x=1.0,2.0,3.0")
    shared.out = shared.ok("export", "results/f-001.h5", "crate/").out
    return shared


@pytest.fixture(scope="module")
def graph(study) -> dict:
    """The entities of the crate by their ids."""
    told = json.loads((study.path / "crate" / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    assert told["@context"] == "https://w3id.org/ro/crate/1.1/context"
    return {entity["@id"]: entity for entity in told["@graph"]}


def test_the_folder_holds_trajectory_sources_report_and_citation(study, graph):
    files = {
        path.relative_to(study.path / "crate").as_posix()
        for path in (study.path / "crate").rglob("*")
        if path.is_file()
    }
    assert {
        "f-001.h5",
        "report.html",
        "CITATION.cff",
        "sources/sim_f.py",
        "sources/requirements.txt",
    } <= files
    assert {part["@id"] for part in graph["./"]["hasPart"]} == files - {"ro-crate-metadata.json"}
    assert (study.path / "crate" / "f-001.h5").read_bytes() == (
        study.path / "results" / "f-001.h5"
    ).read_bytes()
    assert "crate/" in study.out
    study.ok("show", "crate/f-001.h5")


def test_it_says_who_made_what_from_which_parameters(graph):
    root = graph["./"]
    assert (root["name"], root["license"]) == ("A product", {"@id": "https://spdx.org/licenses/CC-BY-4.0"})
    author = graph[root["author"]["@id"]]
    assert (author["@id"], author["name"]) == ("https://orcid.org/0000-0002-1825-0097", "Ada Lovelace")
    assert graph[author["affiliation"]["@id"]]["name"] == "Analytical Engines"
    first, second = (graph[each["@id"]] for each in root["mentions"])
    assert first["@type"] == "CreateAction"
    assert first["description"] == "simkit -n 0 --seed 1"
    assert "--product" in second["description"]
    assert first["result"] == {"@id": "f-001.h5"}
    assert first["instrument"] == {"@id": "sources/sim_f.py"}
    assert first["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert first["startTime"] <= first["endTime"] <= second["startTime"]
    assert graph["#parameter-n"]["value"] == 3
    assert graph["#parameter-n"]["description"] == "how many"
    assert graph["#parameter-x"]["unitText"] == "m"
    assert graph["#parameter-odd"]["value"] == "<ä>"


def test_the_validator_of_the_profile_finds_nothing_that_is_required(study):
    python = Path(os.environ.get("SIMKIT_CRATE_PYTHON", ROOT / ".venv-crate" / "bin" / "python"))
    if not python.exists():
        pytest.skip("roc-validator needs an environment of its own, .venv-crate: see .ci/run")
    script = Path(__file__).with_name("validate_crate.py")
    command = [str(python), str(script), str(study.path / "crate"), "required"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1]) == []


def test_nothing_is_overwritten_and_what_is_missing_is_said(study):
    again = study.simkit("export", "results/f-001.h5", "crate/")
    assert (again.code, "name a new folder, or an empty one" in again.err) == (4, True)
    part = study.simkit("export", "results/f-001.h5", "part/", "--where", "x > 1")
    assert (part.code, "leave out --where and --names" in part.err) == (4, True)
    (study.path / "CITATION.cff").rename(study.path / "elsewhere")
    told = study.ok("export", "results/f-001.h5", "bare/").out
    assert "no CITATION.cff was found" in told
    assert "no license is named: say --license CC-BY-4.0" in told
    named = study.ok("export", "results/f-001.h5", "named/", "--license", "MIT").out
    assert "no license" not in named
    (study.path / "elsewhere").rename(study.path / "CITATION.cff")


def test_a_study_under_way_is_not_archived(project):
    project.file(
        "sim_f.py",
        """
        import time
        from pathlib import Path
        from simkit import experiment, product
        @experiment
        @product(x=[1, 2])
        def f(x):
            while x == 2 and not Path("go").exists():
                time.sleep(0.01)
            return x
        """,
    )
    with project.under_way("-n", "1") as running:
        project.until(lambda: project.has("results/f-001.h5"))
        refused = project.simkit("export", "results/f-001.h5", "crate/")
        project.file("go")
        running.communicate()
    assert refused.code == 4
    assert "is being written by process" in refused.err
    assert not project.has("crate")
