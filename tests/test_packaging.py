"""Is what is uploaded whole? The source distribution, and the wheel made of it, in an environment of its own."""

from __future__ import annotations

import ast
import email
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import simkit

ROOT = Path(__file__).parents[1]


def ran(*words: object, cwd: Path) -> str:
    ended = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, timeout=280, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with both; the wheel is built from the source distribution."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    ran(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


def test_the_source_distribution_holds_what_tests_and_pages_need(built):
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "simkit/py.typed",
        "docs/conf.py",
        "docs/index.md",
    }
    assert names >= {
        "tests/test_readme.py",
        "examples/multiply/sim_multiply.py",
        "docs/reference/json-schema.json",
    }
    assert not any(
        "_build" in name or name.endswith((".pyc", ".h5")) for name in names - {"tests/record/format1.h5"}
    )


def test_the_wheel_says_what_it_is(built):
    (file,) = built.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(about))
    packages = {name.partition("/")[0] for name in names}
    assert all(name == "simkit" or name.endswith(".dist-info") for name in packages)
    assert metadata["Name"] == "simkit"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "pytest for simulations" in metadata["Summary"]
    assert {"docs", "test", "brian2"} <= {*metadata.get_all("Provides-Extra")}


_INSTALLED_AS = {"git": "gitpython", "yaml": "pyyaml", "dask": "distributed"}  # by the name that is imported


def imported(text: str) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_each_package_that_is_imported_is_a_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    declared = {re.split(r"[^\w-]", text)[0].lower() for text in [*project["dependencies"], *extras]}
    for path in (ROOT / "simkit").rglob("*.py"):
        others = imported(path.read_text("utf-8")) - sys.stdlib_module_names - {"simkit"}
        assert {_INSTALLED_AS.get(name, name).replace("_", "-") for name in others} <= declared, path


def test_the_recipe_of_conda_has_what_the_project_has():
    """conda-forge calls one package otherwise."""
    yaml = pytest.importorskip("yaml")
    recipe = yaml.safe_load((ROOT / "docs/conda/recipe.yaml").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    ours = [
        re.sub(r"(>=)", r" \1", each).replace("xxhash", "python-xxhash")
        for each in project["project"]["dependencies"]
    ]
    needs = recipe["requirements"]
    assert needs["run"] == [f"python {project['project']['requires-python']}", *ours]
    build = [re.sub(r"(>=)", r" \1", each) for each in project["build-system"]["requires"]]
    assert [*needs["host"]][2:] == build
    ((name, door),) = project["project"]["scripts"].items()
    assert recipe["build"]["python"]["entry_points"] == [f"{name} = {door}"]
    assert recipe["context"]["version"] == simkit.__version__
    assert recipe["about"]["license"] == project["project"]["license"]
    assert recipe["about"]["summary"] == project["project"]["description"]


def test_the_wheel_runs_where_nothing_else_of_ours_is(built, tmp_path):
    """Its dependencies are those of this environment: they are looked for behind its own packages."""
    venv.create(tmp_path / "env", with_pip=False)
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    python = tmp_path / "env" / scripts / "python"
    own = Path(
        ran(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(own)
    others = [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    (own / "dependencies.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    study = tmp_path / "study"
    study.mkdir()
    example = ROOT / "examples/multiply/sim_multiply.py"
    (study / "sim_multiply.py").write_bytes(example.read_bytes())
    assert own in Path(ran(python, "-c", "import simkit; print(simkit.__file__)", cwd=study).strip()).parents
    assert "12 done" in ran(python, "-m", "simkit", "-n", "1", cwd=study)
