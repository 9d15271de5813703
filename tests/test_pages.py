"""Do the pages tell the truth? Their files, commands and Python sessions are carried out, one folder a page."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from written_pages import DOCS, Page, blocks, commands, same, text_of

import simkit
from simkit.cli.main import EPILOG, parser
from simkit.collect.config import _KEYS, WARNINGS, load_settings
from simkit.declare.run import Run

# Other pages are carried out by tests of their own: see BY_OTHERS.
CARRIED_OUT = [
    "index.md",
    "tutorial/index.md",
    "howto/parameters.md",
    "howto/failures.md",
    "howto/notebooks.md",
    "howto/testing.md",
    "howto/pypet.md",
    "howto/tools.md",
    "howto/merging.md",
    "howto/values.md",
    "howto/verify.md",
    "howto/provenance.md",
    "design.md",
    "reference/json.md",
    "reference/format.md",
    "reference/api.md",
]
BY_OTHERS = {
    **{f"howto/{name}.md": f"test_{name}_page.py" for name in ("adaptive", "after", "external", "page")},
    **{f"howto/{name}.md": f"test_{name}_page.py" for name in ("reading", "spaces", "stages", "vectorized")},
    "howto/brian2.md": "examples/test_brian2_network.py",  # compiles for seconds
    "howto/cluster.md": "study/test_sharding.py",
    "howto/engines.md": "execute/test_offers.py",  # and test_dask.py …: clusters are started there
    "reference/hooks.md": "execute/test_offers.py",
    "explanation/randomness.md": "inject/test_leftovers.py",
    "explanation/file.md": "cli/verbs/test_verify_file.py",
    "benchmarks.md": "benchmarks/test_figure5.py",  # measures for hours
    "paper.md": "test_pages.py",  # the site's build executes the examples
    "contributing.md": "test_house.py",  # what CI does
}
MADE = ("_build/", "examples/")  # when the site is built
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
WRITTEN = [page for page in PAGES if not page.startswith(MADE)]


@pytest.mark.parametrize("page", CARRIED_OUT)
def test_what_a_page_shows_happens(page, tmp_path):
    if page.startswith("howto/tools"):
        pytest.importorskip("optuna")
    assert list(Page(text_of(page), tmp_path).differences()) == []


def test_each_page_that_shows_code_is_carried_out():
    shows = {page for page in WRITTEN if any(blocks(page, kind) for kind in ("console", "pycon", "python"))}
    assert shows - {*CARRIED_OUT} == {*BY_OTHERS}
    for page, file in BY_OTHERS.items():
        text = (DOCS.parent / "tests" / file).read_text("utf-8")
        assert not file.endswith("_page.py") or Path(page).name in text


def test_what_is_printed_stands_on_pages_that_are_carried_out():
    """Of the others, only tests/*_page.py and the one that needs a damaged disk show what a command prints."""
    printed = {
        page
        for page in WRITTEN
        for block in blocks(page, "console")
        if page not in CARRIED_OUT and any(shown.strip() for _, shown in commands(block))
    }
    own = {page for page, file in BY_OTHERS.items() if file.endswith("_page.py")}
    assert printed - own == {"explanation/file.md"}


@pytest.mark.parametrize("page", ["architecture.md", "contributing.md", "design.md"])
def test_files_of_the_house_that_contributors_are_sent_to_are_there(page):
    root, rooms = (
        DOCS.parent,
        "|".join(room.name for room in (DOCS.parent / "simkit").iterdir() if room.is_dir()),
    )
    named = {*re.findall(rf"`((?:simkit/)?(?:{rooms})/[\w./]*)`", text_of(page))}
    named |= {*re.findall(r"`((?:tests|docs|examples)/[\w./-]*\w)`", text_of(page))}
    assert named or page == "design.md"
    gone = [name for name in named if not any((root / place / name).exists() for place in (".", "simkit"))]
    assert [
        name for name in gone if name != "docs/_build" and not name.startswith("simkit/record/copy")
    ] == []
    dotted = {*re.findall(rf"`(?:simkit\.)?((?:{rooms})\.\w+)`", text_of(page))}
    gone = [name for name in dotted if not [*(root / "simkit").glob(name.replace(".", "/") + "*")]]
    assert gone == []


@pytest.mark.parametrize("page", WRITTEN)
def test_code_on_pages_can_be_read(page, tmp_path):
    for number, block in enumerate(blocks(page, "python")):
        tree = ast.parse(block, f"{page}, block {number + 1}")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "simkit":
                assert {alias.name for alias in node.names} <= {*simkit.__all__, "adapters"}
    for block in blocks(page, "toml"):
        tables = tomllib.loads(block)
        if "simkit" in tables.get("tool", {}):
            (tmp_path / "pyproject.toml").write_text(block)
            load_settings(tmp_path)


def first_column(page: str) -> set[str]:
    """What stands in backquotes in the first cell of each row of a page's tables."""
    cells = re.findall(r"^\| (`[^|]+) \|", text_of(page), re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def test_the_command_has_the_options_that_its_page_says_and_no_others():
    documented = {re.split(r"[ =]", word)[0] for word in first_column("reference/command.md")}
    known = {option for action in parser()._actions for option in action.option_strings}
    assert {word for word in documented if word.startswith("-")} == known


def test_the_page_of_the_command_has_all_of_its_verbs():
    verbs = set(re.findall(r"simkit (\w+)", EPILOG)) | {"serve", "report", "watch"}
    assert {
        word.split()[1] for word in first_column("reference/command.md") if word.startswith("simkit ")
    } == verbs


def test_the_configuration_has_the_keys_that_its_page_says_and_no_others():
    assert {word for word in first_column("reference/configuration.md") if "." not in word} == {
        *_KEYS,
        *WARNINGS,
    }


def test_each_public_name_has_an_example_on_the_page_of_the_api():
    shown = "".join(
        block for language in ("python", "pycon") for block in blocks("reference/api.md", language)
    )
    lacking = [
        name
        for name in simkit.__all__
        if callable(getattr(simkit, name)) and not re.search(rf"\b{name}\b", shown)
    ]
    assert lacking == []
    listed = re.findall(r"^   (\w+)$", text_of("reference/api.md"), re.MULTILINE)
    assert {*listed} == {*simkit.__all__} - {"__version__"}


def resolved(word: str) -> bool:
    """Whether a name of simkit's that a page mentions is there."""
    owner, _, name = word.partition(".")
    known = {"simkit": [*simkit.__all__, "adapters"], "traj": dir(simkit.Trajectory), "run": dir(Run)}
    if owner == "traj" and name.split(".")[0] == "parameters":
        return True
    return name.split(".")[0] in known[owner]


def test_the_counterparts_of_pypets_features_exist():
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", text_of("howto/pypet.md"), re.MULTILINE)[2:]
    assert len(rows) > 45
    options = {option for action in parser()._actions for option in action.option_strings}
    for _, counterpart in rows:
        for word in re.findall(r"(?<![\w.])((?:simkit|traj|run)\.[a-z_.A-Z]+)", counterpart):
            assert resolved(word), counterpart
        assert set(re.findall(r"`(--[a-z]+)", counterpart)) <= options, counterpart


QUESTIONS = [
    # (what people ask; the page; words that answer it)
    ("How do I run only what failed?", "howto/failures.md", "simkit --lf"),
    ("My job was killed: how do I go on?", "howto/failures.md", "type `simkit` again"),
    (
        "I changed the grid: is everything computed again?",
        "explanation/identity.md",
        "the same trajectory goes on",
    ),
    ("I corrected a bug: how do I keep what is done?", "howto/failures.md", "--into FILE"),
    ("What happens if one run of thousands raises?", "howto/failures.md", "One bad run costs that run only"),
    ("How do I stop runs that hang?", "howto/failures.md", "--timeout 10min"),
    ("How do I use all cores?", "reference/command.md", "-n auto"),
    ("How do I run on Slurm?", "howto/cluster.md", "#SBATCH --array"),
    ("How do I avoid a process on the head node?", "howto/cluster.md", "none has to stay alive"),
    ("How do I use Dask?", "howto/engines.md", "--engine dask"),
    ("Can several processes write one store?", "howto/cluster.md", "one trajectory"),
    ("How do I bring results of two machines together?", "howto/merging.md", "simkit merge"),
    ("How do I get a table of all runs?", "howto/reading.md", "to_dataframe"),
    ("How do I get an array over the grid?", "howto/reading.md", "to_xarray"),
    ("How do I select runs by a parameter?", "howto/reading.md", "traj.where"),
    ("How do I explore two parameters together?", "howto/spaces.md", "explore(x=[1, 2], y=[10, 20])"),
    ("How do I sample instead of a grid?", "howto/spaces.md", "Latin hypercube"),
    ("How do I repeat each point with other random numbers?", "howto/spaces.md", ".repeat("),
    ("How do I repeat until the error is small?", "howto/spaces.md", "until="),
    ("Parameters that only some points have?", "howto/spaces.md", "Parameters that only some runs have"),
    ("How do I share parameters between experiments?", "howto/parameters.md", "simconf.py"),
    ("How do I override a nested parameter on the command line?", "howto/parameters.md", "--set neuron.N"),
    ("Do my workers draw the same random numbers?", "explanation/randomness.md", "no two runs"),
    ("How do I use optuna, and go on after a crash?", "howto/adaptive.md", "adapters.optuna"),
    ("How do I stop bad trials early?", "howto/adaptive.md", "run.should_stop()"),
    ("How do I run an external program?", "howto/external.md", "run.command"),
    ("How do I know which code made this file?", "howto/provenance.md", "simkit restore"),
    ("Can I read the file without simkit?", "reference/format.md", "h5py.File"),
    ("My HDF5 file cannot be opened after a kill?", "explanation/file.md", "simkit repair"),
    ("How do I do sensitivity analysis with failed runs?", "howto/spaces.md", "leaves out the blocks"),
    ("What are the exit codes?", "reference/command.md", "5 | no experiment"),
    ("How do I record a class of my own?", "howto/values.md", "Codec("),
    ("How do I test my experiments?", "howto/testing.md", "simkit.call"),
    ("What replaces f_get_from_runs?", "howto/pypet.md", "f_get_from_runs"),
]


@pytest.mark.parametrize(("question", "page", "words"), QUESTIONS)
def test_a_users_question_has_a_page_that_answers_it(question, page, words):
    assert words in " ".join(text_of(page).split()), question


def test_the_picture_of_the_rooms_has_the_layers_of_the_imports(monkeypatch):
    pytest.importorskip("docutils")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    import rooms

    tables = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())
    layers = tables["tool"]["importlinter"]["contracts"][0]["layers"]
    assert [" | ".join(level) for level in rooms.LEVELS] == layers[:-1]
    picture = rooms.picture()
    assert picture.count("<rect") == len({room for level in rooms.LEVELS for room in level})
    assert ("record", "execute") not in set(rooms.needed({"record": rooms.imported_rooms("record")}))
    sys.modules.pop("rooms")


def test_each_example_has_a_page(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    import example_folders

    folders = {folder.name for folder in Path(example_folders.EXAMPLES).iterdir() if folder.is_dir()}
    assert folders == {*example_folders.COMMANDS, "notebook"}
    for name in folders:
        assert f"](/examples/{name}.md)" in example_folders.index()
    for name in example_folders.COMMANDS:
        text = example_folders.page(example_folders.EXAMPLES / name, "$ simkit .\n", has_picture=False)
        for file in example_folders.sources(example_folders.EXAMPLES / name):
            assert f"### {file.name}" in text
    sys.modules.pop("example_folders")
    sys.modules.pop("notebook_cells")


def test_the_papers_figures_and_examples_are_shown_and_made_by_commands(monkeypatch):
    pytest.importorskip("PIL")
    monkeypatch.syspath_prepend(str(DOCS))
    import pictures

    there = {file.stem for file in pictures.PICTURES.glob("*.png")}
    assert there == {*pictures.OF_EXAMPLES, "page"}
    page = text_of("paper.md")
    for picture in ("_static/pictures/automata.png", "_static/pictures/network.png", "benchmarks.png"):
        assert f"]({picture})" in page
        assert (DOCS / picture).stat().st_size > 20_000
    shown = {*re.findall(r"\]\(\.\./examples/(\w+)\)", page)}
    assert shown >= {
        "multiply",
        "automata",
        "climb",
        "brian2_network",
        "notebook",
        "hyperparameters",
        "pipeline",
    }
    sys.modules.pop("pictures")
    sys.modules.pop("example_folders")
    sys.modules.pop("notebook_cells")


EXPERIMENT = """
import simkit

@simkit.explore(x=[1, 2, 3])
def experiment(x):
    return {"z": 2 * x}
"""

# What a block that names no file takes for granted; what is asked then, and told.
SNIPPETS = {
    "howto/engines.md": (
        f"{EXPERIMENT}\ndef make_executor(): ...",
        "print(traj['z'].tolist(), simkit_engines())",
        "[2, 4, 6] {'house': <function make_executor",
    ),
    "reference/hooks.md": (
        "def make_executor(): ...",
        "print(simkit_engines())",
        "{'house': <function make_executor",
    ),
    "explanation/randomness.md": (
        "import simkit\nfrom simkit import experiment",
        "print(*(simkit.run(f, simkit.explore(x=[1])).status for f in (simulate, translate)))",
        "['done'] ['done']",
    ),
    "howto/brian2.md": (
        "import brian2, simkit\nbrian2.prefs.codegen.target = 'numpy'",
        "print(simkit.run(network, workers=0)['rate'].shape)",
        "(2,)",
    ),
}


@pytest.mark.parametrize("page", SNIPPETS)
def test_code_that_stands_in_no_file_works(page, project):
    given, asked, told = SNIPPETS[page]
    project.file("snippet.py", "\n".join([given, *blocks(page, "python"), asked]))
    result = project.python("snippet.py")
    assert (result.code, told in result.out) == (0, True), result.out + result.err


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ("4 passed in 14.64s", "4 passed in 61.55s (0:01:01)"),
        ("=== 12 done in 0.36 s ===", "==== 12 done in 1:02 ===="),
        ("=== 12 done in 0.36 s ===", "==== 12 done in 2:05:40 ===="),
        ("eta 12 s", "eta 5:40"),
        ("walk-001.h5, 0.21 s: finished", "walk-001.h5, 11:05: finished"),
    ],
)
def test_a_slow_machine_makes_no_page_wrong(shown, told):
    assert same(shown, told)
    assert not same(shown, f"{told}, 1 failed")
