"""Each file's experiments start from what importing that file alone leaves."""

from __future__ import annotations

import random

import pytest

from simkit.collect.surroundings import merged

SHARED = """
import os, warnings
import numpy as np

LEVEL, TABLE = 0, {}
np.seterr(over="raise")
os.environ["SHARED"] = "1"
warnings.filterwarnings("ignore", message="shared")
"""
FILE = """
import decimal, logging, os, random, sys, warnings
import numpy as np
from simkit import experiment, explore
{imports}
{own}
FILTERS = lambda: [(each[0], each[1].pattern) for each in warnings.filters if each[1]]
DRAWN = [random.random(), float(np.random.rand())]

@experiment
@explore(x=[1, 2, 3])
def {name}(x):
    import decimal
    return {{
        "errors": str(np.geterr()),
        "environment": str([os.environ.get(key) for key in ("FIRST", "SECOND", "SHARED")]),
        "path": str(sorted({{entry for entry in sys.path if entry.startswith("/of/")}})),
        "filters": str([text for _, text in FILTERS() if text[:2] in ("of", "sh")]),
        "precision": decimal.getcontext().prec,
        "level": logging.getLogger("lab").level,
        "shared": "shared" in sys.modules and sys.modules["shared"].LEVEL,
        "drawn": str(DRAWN),
    }}
"""
OWN = """
np.seterr({kind}="raise")
os.environ["{word}"] = "1"
sys.path.append("/of/{word}")
warnings.filterwarnings("error", message="of {word}")
decimal.getcontext().prec = {number}
logging.getLogger("lab").setLevel({number})
"""
FILES = {
    "sim_a.py": FILE.format(
        name="alpha", imports="import shared\nshared.LEVEL = 5",
        own=OWN.format(kind="divide", word="FIRST", number=7),
    ),
    "sim_b.py": FILE.format(
        name="beta", imports="from shared import LEVEL", own=OWN.format(kind="under", word="SECOND", number=9)
    ),
    "sim_c.py": FILE.format(name="gamma", imports="", own="random.seed(3)"),
    "sim_d.py": FILE.format(name="delta", imports="import shared", own=""),
}  # fmt: skip
NAMES = {"sim_a.py": "alpha", "sim_b.py": "beta", "sim_c.py": "gamma", "sim_d.py": "delta"}


def seen(project, *names):
    """What the runs of these experiments saw."""
    values = {}
    for name in names:
        with project.open(f"{name}-001") as traj:
            table = {key: set(traj[key].tolist()) for key in traj.results}
        assert all(len(each) == 1 for each in table.values()), table
        values[name] = {key: each.pop() for key, each in table.items()}
    return values


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What each file's runs see when it alone is run."""
    import subprocess
    import sys

    import simkit

    values = {}
    for file, name in NAMES.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "shared.py").write_text(SHARED)
        (folder / file).write_text(FILES[file])
        subprocess.run(
            [sys.executable, "-m", "simkit", "-q", "-n", "0"], cwd=folder, check=True, capture_output=True
        )
        with simkit.open(folder / "results" / f"{name}-001.h5") as traj:
            values[name] = {key: traj[key][0] for key in traj.results}
    return values


@pytest.mark.parametrize("way", [("-n", "0"), ("-n", "1"), ("-n", "1", "--start-method", "spawn")])
def test_what_importing_a_file_changes_is_not_there_for_another(project, alone, way):
    project.file("shared.py", SHARED)
    for file, text in FILES.items():
        project.file(file, text)
    project.ok(*way)
    together = seen(project, *NAMES.values())
    for name, values in alone.items():
        assert together[name] == {
            key: value.item() if hasattr(value, "item") else value for key, value in values.items()
        }


def test_a_shared_module_changes_the_same_for_whoever_imports_it(alone):
    assert "'over': 'raise'" in alone["beta"]["errors"]
    assert "'over': 'raise'" not in alone["gamma"]["errors"]
    assert alone["alpha"]["shared"] == 5
    assert alone["delta"]["shared"] == 0


def test_what_is_drawn_while_a_file_is_imported_is_the_same_in_every_process_and_session(project):
    project.file(
        "sim_drawn.py",
        """
        import numpy as np
        from simkit import experiment, explore

        W = np.random.rand()

        @experiment
        @explore(x=range(4))
        def drawn(x):
            return W
        """,
    )
    result = project.ok("-n", "1", "--start-method", "spawn")
    assert "sim_drawn.py draws from numpy.random, or seeds it, while it is imported" in result.out
    project.ok("-n", "0", "--fresh")
    with project.open("drawn-001") as first, project.open("drawn-002") as second:
        assert len({*first["result"], *second["result"]}) == 1


def test_a_simconf_changes_the_same_for_the_files_below_it_only(project):
    project.file("low/simconf.py", "import os\nos.environ['LOW'] = '1'\n")
    text = """
    import os
    from simkit import experiment

    @experiment
    def NAME():
        return os.environ.get("LOW", "none")
    """
    project.file("low/sim_low.py", text.replace("NAME", "low"))
    project.file("sim_top.py", text.replace("NAME", "top"))
    project.ok("-n", "0")
    with project.open("low-001") as low, project.open("top-001") as top:
        assert (low["result"][0], top["result"][0]) == ("1", "none")


def test_a_file_that_another_imports_is_as_alone(project):
    text = """
    import numpy as np
    from simkit import experiment
    IMPORTS
    np.seterr(KIND="raise")

    @experiment
    def NAME():
        return str(np.geterr())
    """
    project.file(
        "sim_1.py", text.replace("NAME", "one").replace("KIND", "over").replace("IMPORTS", "import sim_2")
    )
    project.file("sim_2.py", text.replace("NAME", "two").replace("KIND", "under").replace("IMPORTS", ""))
    project.ok("-n", "0")
    with project.open("one-001") as one, project.open("two-001") as two:
        raised = [[k for k in ("over", "under") if f"'{k}': 'raise'" in t["result"][0]] for t in (one, two)]
    assert raised == [["over", "under"], ["under"]]


def test_a_library_that_a_run_imports_is_new_for_the_next(project):
    pytest.importorskip("mpmath", reason="it is about that library")
    project.file(
        "sim_late.py",
        """
        from simkit import experiment, explore

        @experiment
        @explore(x=[30, 40, 50])
        def late(x):
            import mpmath
            before, mpmath.mp.dps = mpmath.mp.dps, x
            return before
        """,
    )
    project.ok("-n", "0")
    project.ok("-n", "1", "--fresh")
    with project.open("late-001") as one, project.open("late-002") as two:
        assert {*one["result"].tolist(), *two["result"].tolist()} == {15}


def test_what_brians_device_was_told_while_files_were_imported_is_said(project):
    pytest.importorskip("brian2", reason="it is about Brian2")
    project.file(
        "sim_a.py",
        """
        from brian2 import *
        from simkit import experiment

        set_device("cpp_standalone", build_on_run=False)
        G = NeuronGroup(2, "v : 1")

        @experiment
        def first():
            return get_device().__class__.__name__
        """,
    )
    project.file(
        "sim_b.py",
        """
        from brian2 import *
        from simkit import experiment

        @experiment
        def second():
            return get_device().__class__.__name__
        """,
    )
    result = project.ok("-n", "0")
    assert "Brian2's standalone device" in result.out
    with project.open("first-001") as first, project.open("second-001") as second:
        assert (first["result"][0], second["result"][0]) == ("CPPStandaloneDevice", "RuntimeDevice")


@pytest.mark.parametrize(
    ("before", "after", "now", "wanted"),
    [
        (1, 2, 5, 2),
        (1, 1, 5, 5),
        ({"a": 1}, {"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}),
        ({"a": 1, "b": 1}, {"a": 1}, {"a": 3, "b": 1, "c": 4}, {"a": 3, "c": 4}),
        ((1, 2), (1, 3), (0, 2), (0, 3)),
        ((1, 2), (9, 1, 2), (7, 1, 2, 3), (9, 7, 1, 2, 3)),
        ((1, 2), (1, 2, 9), (7, 1, 2, 3), (7, 1, 2, 3, 9)),
        (({"a": 1}, None), ({"a": 2}, None), ({"a": 1, "b": 0}, 4), ({"a": 2, "b": 0}, 4)),
    ],
)
def test_a_change_of_one_state_is_made_in_another(before, after, now, wanted):
    assert merged(before, after, now) == wanted


def structure(chance):
    """Modules that import each other and set each other's variables: by name their statements."""
    modules = {}
    for name in ("one", "two", "three", "simconf", "sim_a", "sim_b"):
        others = [each for each in ("one", "two", "three") if each in modules]
        imports = [each for each in others if chance.random() < 0.6]
        sets = [(each, chance.randrange(100)) for each in imports if chance.random() < 0.5]
        modules[name] = (imports, sets)
    return modules


def in_a_fresh_process(modules, file):
    """What the variables are when simconf and one file are imported, each module once."""
    values, loaded = {}, set()

    def load(name):
        if name not in loaded:
            loaded.add(name)
            values[name] = 0
            imports, sets = modules[name]
            for other in imports:
                load(other)
            values.update(sets)

    load("simconf")
    load(file)
    return [values[other] for other in modules[file][0]]


def test_variables_of_shared_modules_are_those_of_a_fresh_process(project):
    chance, structures = random.Random(17), {}
    for number in range(12):
        modules = structures[number] = structure(chance)
        names = {each: each if each[:3] == "sim" else f"{each}_{number}" for each in modules}
        for name, (imports, sets) in modules.items():
            form, at = ("[{}]", "[0]") if number % 2 else ("{}", "")  # objects are bound as numbers are
            lines = [f"X = {form.format(0)}", *(f"import {names[each]} as {each}" for each in imports)]
            lines += [f"{each}.X = {form.format(value)}" for each, value in sets]
            seen = ", ".join(f"{each}.X{at}" for each in imports)
            own = f"def {name}_{number}():\n    return str([{seen}])\n"
            lines += ["from simkit import experiment", "@experiment", own] if name[:4] == "sim_" else []
            project.file(f"of{number}/{names[name]}.py", "\n".join(lines))
    for session, way in enumerate("01"):
        project.ok("-n", way, "--fresh")
        for number, modules in structures.items():
            for file in ("sim_a", "sim_b"):
                with project.open(f"{file}_{number}-00{session + 1}") as traj:
                    expected = str(in_a_fresh_process(modules, file))
                    assert traj["result"][0] == expected, (number, file, modules)
