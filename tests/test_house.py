"""Does the house keep its rules? Tests stand under the names of modules, and each name means one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import simkit

HOUSE = Path(simkit.__file__).parent
TESTS = Path(__file__).parent
MODULES = sorted(
    path for path in HOUSE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py", "_version.py")
)
TREES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(HOUSE.rglob("*.py"))}

LINES_OF_A_FILE = 470
LINES_OF_A_FUNCTION = 50
MODULES_OF_THE_HOUSE = 110
LATER = (  # came with features after the house was counted
    *(
        "serve/",
        "testing/",
        "cli/verbs/serve",
        "cli/verbs/report",
        "cli/verbs/watch",
        "cli/verbs/list",
        "cli/mistakes",
        "declare/times",
        "analyse/bokeh",
    ),
    *("declare/feed", "record/upstream", "analyse/stages", "study/supply"),
    *(
        "declare/adaptive",
        "collect/companions",
        "study/answers",
        "study/conversation",
        "study/growth",
        *("study/strategies", "study/interrupt"),
    ),
    *("study/steady", "study/script", "adapters/"),
    *(
        "declare/sampling",
        "declare/designs",
        "declare/trials",
        "declare/operators",
        "study/rounds",
        "analyse/sensitivity",
    ),
    *(
        "values/alone",
        "record/columns/rows",
        "values/pictures",
        "values/codecs/figures",
        "values/codecs/networkx",
        "values/codecs/deap",
    ),
    *("collect/conversion", "inject/output", "collect/installed", "declare/hooks"),
    *("collect/captures", "collect/graph", "collect/objects", "collect/scopes", "collect/syntax"),
    *("collect/brian", "collect/contents", "collect/draws", "collect/effects", "collect/surroundings"),
    *("inject/baseline", "inject/generators", "declare/reflection"),
    *("inject/leftovers", "inject/lineage", "execute/processes/groups", "record/inspection"),
    *("execute/processes/fork", "cli/hashes"),
    *("record/damage", "record/salvage", "record/file/sums", "record/file/system", "record/file/locks"),
    "record/file/view",
    *("declare/attachment", "declare/external", "declare/workplace", "inject/desk", "execute/resources"),
    *("record/attachments", "analyse/run_files"),
    *(
        "execute/dask",
        "execute/futures",
        "execute/tasks",
        "execute/warden",
        "execute/launched",
        "execute/mailbox",
        "execute/offers",
        "execute/transports",
        "collect/listener",
        "record/readings",
        *("record/book", "record/shards", "record/master", "study/sharding", "study/claims"),
        "inform/failures",
        "resume/outlook",
        "inform/events",
        "cli/listing",
        "cli/template",
        "cli/verbs/rename",
        "record/rename",
        "resume/renaming",
    ),
    *("inject/vectorized", "inject/neighbours", "values/stacks"),
    *("collect/fields", "collect/program", "analyse/overview", "analyse/coordinates"),
)
ELSEWHERE = {  # modules whose behaviour is tested through the door that they stand behind
    "record/book": "record/test_recorded.py",
    "study/claims": "study/test_sharding.py",
    **dict.fromkeys(["collect/brian", "collect/surroundings"], "inject/test_baseline.py"),
    "declare/feed": "collect/test_resolve.py",
    "declare/hooks": "declare/test_plugins.py",
    "collect/draws": "inject/test_generators.py",
    **dict.fromkeys(["cli/listing", "inform/events"], "cli/test_json.py"),
    **dict.fromkeys(["record/rename", "resume/renaming"], "cli/verbs/test_rename.py"),
    "analyse/bokeh": "serve/test_app.py",
    "analyse/overview": "analyse/test_coordinates.py",
    "cli/verbs/report": "serve/test_document.py",
    "collect/objects": "collect/test_captures.py",
    "collect/scopes": "collect/test_graph.py",
    "collect/syntax": "collect/test_graph.py",
    "record/inspection": "provenance/test_restore_strangers.py",
    **dict.fromkeys(["execute/tasks", "execute/warden", "execute/transports"], "execute/test_futures.py"),
    "record/file/sums": "record/test_damage.py",
    "record/readings": "collect/test_listener.py",
    **dict.fromkeys(["record/file/system", "record/file/view"], "record/file/test_log.py"),
    "values/pictures": "values/codecs/test_figures.py",
    "study/answers": "study/test_strategies.py",
    "study/growth": "study/test_strategies.py",
    "study/interrupt": "study/test_execution.py",
    "collect/companions": "study/test_after.py",
    **dict.fromkeys(
        ["serve/" + name for name in ("arrays", "figures", "files", "html", "reading", "runs", "server")],
        "serve/test_app.py",
    ),
    **dict.fromkeys(["serve/sessions", "serve/state"], "serve/test_app.py"),
}

# Verbs of the command, and libraries, have their names whatever other rooms are called.
NAMED_OUTSIDE = ("cli/verbs", "values/codecs")

# These tell whole stories, by the command or the public names.
STORIES = ("examples", "faults", "cli", "benchmarks", "typing")
STORIES_IN_ROOMS = ("serve/test_browser.py", "serve/test_opening.py")


def room(path: Path) -> str:
    return path.parent.relative_to(HOUSE).as_posix()


def repeated(places: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: where for name, where in places.items() if len(where) > 1}


def functions() -> Iterator[tuple[str, int]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.lineno
                told = ast.get_docstring(node, clean=False)
                words = 0 if told is None else node.body[0].end_lineno - node.body[0].lineno + 1
                yield f"{path.relative_to(HOUSE)}:{first} {node.name}", node.end_lineno - first + 1 - words


def test_no_two_rooms_have_a_module_of_one_name():
    places = defaultdict(list)
    for path in MODULES:
        if room(path) not in NAMED_OUTSIDE:
            places[path.stem].append(room(path))
    assert repeated(places) == {}


def test_no_two_classes_have_one_name():
    places = defaultdict(list)
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(HOUSE)}:{node.lineno}")
    assert repeated(places) == {}


def test_functions_fit_on_a_screen():
    """Docstrings not counted."""
    assert [name for name, lines in functions() if lines > LINES_OF_A_FUNCTION] == []


def reference(tree: ast.AST) -> int:
    """How many lines the sections of docstrings have (Parameters … Examples): pages of the reference, not of a file."""
    lines = 0
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (told := ast.get_docstring(node)):
            lines += told.partition("\n--")[2].count("\n")
    return lines


def test_files_are_no_longer_than_a_reader_bears():
    lines = {
        str(path.relative_to(HOUSE)): path.read_text("utf-8").count("\n") - reference(tree)
        for path, tree in TREES.items()
    }
    assert {name: number for name, number in lines.items() if number > LINES_OF_A_FILE} == {}


def test_the_house_has_few_modules():
    first = [path for path in MODULES if not path.relative_to(HOUSE).as_posix().startswith(LATER)]
    assert len(first) <= MODULES_OF_THE_HOUSE, len(first)


def test_each_module_says_its_question_in_its_first_line():
    for path, tree in TREES.items():
        told = ast.get_docstring(tree)
        assert told, path
        assert told.splitlines()[0][-1] in ".?", path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(HOUSE).as_posix())
def test_each_module_has_its_tests(path):
    """``test_<module>.py``, several ``test_<module>_<what>.py``, or those of its door."""
    elsewhere = ELSEWHERE.get(path.relative_to(HOUSE).with_suffix("").as_posix())
    if elsewhere is not None:
        assert (TESTS / elsewhere).exists()
        return
    folder = TESTS / path.parent.relative_to(HOUSE)
    assert (folder / f"test_{path.stem}.py").exists() or list(folder.glob(f"test_{path.stem}_*.py"))


def test_each_file_of_tests_has_its_module():
    stems = {(path.parent.relative_to(HOUSE), path.stem) for path in MODULES}
    for path in TESTS.rglob("test_*.py"):
        folder = path.parent.relative_to(TESTS)
        if path.relative_to(TESTS).as_posix() in STORIES_IN_ROOMS:
            continue
        if folder.parts and folder.parts[0] not in STORIES:
            stem = path.stem.removeprefix("test_")
            assert any(where == folder and (stem + "_").startswith(name + "_") for where, name in stems), path
