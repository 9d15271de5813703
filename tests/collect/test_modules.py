# ruff: noqa: E501 - a file of a study stands on one line
"""Files become modules, once each; installed plug-ins and the nearest simconf.py are at hand."""

from __future__ import annotations

import os
import pickle
import shutil
import statistics
import sys

import numpy as np
import pytest
from spikes import CODEC, GOOD, SPIKES, STUDY, simconf

from simkit import SimkitError
from simkit.collect.modules import simconfs

EXPERIMENT = "from simkit import experiment\n@experiment\ndef {}():\n    return {!r}\n"


def test_a_file_is_imported_once(study):
    study.write("sim_a.py", "import builtins\nvalue = object()\n")
    assert study.module("sim_a.py") is study.module("sim_a.py")


def test_a_file_imported_by_another_is_the_same_module(study):
    study.write("sim_a.py", EXPERIMENT.format("one", 1))
    study.write("sim_b.py", "import sim_a\n" + EXPERIMENT.format("two", 2))
    assert study.module("sim_b.py").sim_a is study.module("sim_a.py")


def test_the_simconf_of_the_rootdir_is_imported_once(study):
    study.write("simconf.py", "class Neuron: pass\n")
    study.write("sim_a.py", "from simconf import Neuron\n")
    study.write("sim_b.py", "from simconf import Neuron\n")
    neuron = study.module("simconf.py").Neuron
    assert study.module("sim_a.py").Neuron is neuron
    assert study.module("sim_b.py").Neuron is neuron
    assert study.module("simconf.py").Neuron is neuron


def test_each_simconf_of_a_chain_is_imported_once(study):
    study.write("simconf.py", "class Neuron: pass\n")
    study.write("sub/simconf.py", "from simconf import Neuron\nclass Synapse(Neuron): pass\n")
    study.write("sub/sim_a.py", "from simconf import Neuron, Synapse\n")
    module = study.module("sub/sim_a.py")
    assert module.Synapse is study.module("sub/simconf.py").Synapse
    assert module.Neuron is study.module("simconf.py").Neuron


def test_a_group_from_simconf_is_of_the_class_that_the_file_imports(study):
    study.write("simconf.py", "from simkit import parameter\n@parameter\nclass Neuron:\n    tau: int = 1\n")
    text = """
        from simconf import Neuron
        from simkit import experiment

        @experiment
        def f(neuron):
            return isinstance(neuron, Neuron)
        """
    assert study.call(text) == {"result": True}


def test_simconf_is_not_left_behind_as_an_importable_name_of_another_folder(study):
    study.write("one/simconf.py", "here = 'one'\n")
    study.write("two/simconf.py", "here = 'two'\n")
    study.write("one/sim_a.py", "from simconf import here\n")
    study.write("two/sim_b.py", "from simconf import here\n")
    assert (study.module("one/sim_a.py").here, study.module("two/sim_b.py").here) == ("one", "two")


def test_simconfs_are_listed_from_the_nearest_to_the_rootdir(study, tmp_path):
    (tmp_path / "simconf.py").write_text("")
    files = [study.write(name, "") for name in ("a/b/simconf.py", "a/simconf.py", "simconf.py")]
    assert simconfs(study.root / "a/b/sim_x.py", study.root) == files
    assert simconfs(files[0], study.root) == files[1:]
    assert simconfs(tmp_path / "elsewhere" / "sim_y.py", study.root) == []


def test_files_of_one_name_in_different_folders_are_different_modules(study):
    for folder in ("one", "two"):
        study.write(f"{folder}/sim_a.py", EXPERIMENT.format("f", folder))
    items = study.collect()
    assert [item.plan.node_id for item in items] == ["one/sim_a.py::f", "two/sim_a.py::f"]
    assert [item.plan.function() for item in items] == ["one", "two"]


def test_functions_of_files_of_one_name_are_pickled_by_reference(study):
    for folder in ("one", "two"):
        study.write(f"{folder}/sim_a.py", EXPERIMENT.format("f", folder))
    functions = [study.module(f"{folder}/sim_a.py").f for folder in ("one", "two")]
    assert [pickle.loads(pickle.dumps(f)) for f in functions] == functions


def test_a_file_with_the_name_of_a_standard_module_does_not_hide_it(study):
    study.write("statistics.py", EXPERIMENT.format("f", 1))
    assert study.module("statistics.py").f() == 1
    assert sys.modules["statistics"] is statistics
    study.write("colorsys.py", EXPERIMENT.format("f", 1))
    study.module("colorsys.py")
    assert not hasattr(sys.modules.get("colorsys"), "f")


def test_neighbours_and_modules_of_the_rootdir_are_importable(study):
    study.write("library.py", "one = 1\n")
    study.write("sub/neighbour.py", "two = 2\n")
    study.write("sub/sim_a.py", "from library import one\nfrom neighbour import two\n")
    module = study.module("sub/sim_a.py")
    assert (module.one, module.two) == (1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nraise ValueError('deep trouble')\n", "ValueError: deep trouble"),
        ("def f(:\n", "SyntaxError"),
        ("from simkit import nonsense\n", "nonsense"),
        ("import no_such_module\n", "No module named 'no_such_module'"),
        ("import sys\nsys.exit(3)\n", "SystemExit"),
    ],
)
def test_a_file_that_fails_to_import_shows_the_users_part_of_the_traceback(study, text, message):
    study.write("sim_a.py", text)
    with pytest.raises(SimkitError) as error:
        study.collect()
    assert str(error.value).startswith("sim_a.py: cannot be imported\n")
    assert message in str(error.value)
    assert "sim_a.py" in str(error.value).partition("\n")[2]
    assert "simkit/collect" not in str(error.value)
    assert "importlib" not in str(error.value)


def test_a_failing_file_can_be_mended_and_imported(study):
    study.write("sim_a.py", "raise ValueError\n")
    with pytest.raises(SimkitError):
        study.module("sim_a.py")
    study.write("sim_a.py", "value = 5  # mended\n")
    assert study.module("sim_a.py").value == 5


def test_a_declaration_that_is_wrong_at_import_is_told_as_it_is(study):
    study.write("sim_a.py", "from simkit import explore\nexplore(x=[1], y=[1, 2])\n")
    with pytest.raises(SimkitError, match=r"^sim_a.py:2: explore\(\) moves its names together"):
        study.collect()


def test_an_imported_provider_provides_nothing(study):
    study.write("library.py", "from simkit import parameter\n@parameter\ndef dt():\n    return 1\n")
    study.write(
        "sim_b.py",
        "from library import dt\nfrom simkit import experiment\n@experiment\ndef f(dt):\n    return dt\n",
    )
    with pytest.raises(SimkitError, match="needs 'dt', but nothing provides it"):
        study.collect()


@pytest.mark.parametrize(
    ("codecs", "words"),
    [
        ("[3]", "simconf.py: simkit_codecs gives 3: give a list of simkit.Codec"),
        ("undefined", "simconf.py: simkit_codecs: NameError: name 'undefined' is not defined"),
        (
            '[Codec("Spikes", Spikes, encode, decode)]',
            "a codec is named with its project, as in 'lab.Spikes'",
        ),
    ],
)
def test_a_hook_that_fails_is_told_with_its_file(project, codecs, words):
    simconf(project, codecs=codecs)
    result = project.simkit("-n", "0")
    assert result.code == 4
    assert words in result.err


def test_installed_plug_ins_are_found_and_a_broken_one_is_a_warning(project):
    body = GOOD + "\n"
    project.file("site/labplugin.py", SPIKES.format(body=body, codecs=CODEC))
    project.file("site/broken.py", "raise RuntimeError('no licence')\n")
    points = "[simkit]\nlab = labplugin\nbad = broken\n"
    project.file("site/lab-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    project.file("site/lab-1.0.dist-info/entry_points.txt", points)
    project.file("sim_f.py", STUDY.replace("from simconf", "from labplugin"))
    environment = {"PYTHONPATH": str(project.path / "site")}
    import os

    result = project.simkit("-n", "0", env={**os.environ, **environment})
    assert result.code == 0, result.out + result.err
    assert "the plug-in 'bad' (broken) is broken and left out: no licence" in result.err
    with pytest.warns(UserWarning, match=r"'lab\.Spikes' is not known here"):  # no plug-in in this process
        traj = project.open("f-001")
    assert np.isfinite(traj.seconds).all()


RUN = "from simkit import experiment, product\n{}\n@experiment\n@product(x=[1, 2])\ndef {}(x):\n    {}\n"
WORKERS = [("-n", "0"), ("-n", "2"), ("-n", "1", "--start-method", "spawn")]


def values(project, name):
    return project.open(name if name[-1].isdigit() else f"{name}-001")["result"].tolist()


@pytest.mark.parametrize("workers", WORKERS[1:])
def test_a_file_in_a_package_may_import_relative_to_it(project, workers):
    project.file("lab/__init__.py", "base = 1\n")
    project.file("lab/model.py", "from . import base\nclass Model:\n    k = base + 2\n")
    project.file("lab/studies/__init__.py")
    project.file("lab/studies/own.py", "one = 1\n")
    project.file(
        "lab/studies/sim_a.py",
        RUN.format(
            "from ..model import Model\nfrom .own import one",
            "f",
            "from . import own\n    return Model.k * x * one * own.one",
        ),
    )
    project.ok(*workers)
    assert values(project, "f") == [3, 6]
    project.ok("verify", "-n", "1", "results/f-001.h5")
    project.file("lab/model.py", "from . import base\nclass Model:\n    k = base + 4\n")
    project.ok(*workers)
    assert values(project, "f-002") == [5, 10]


def test_a_package_that_fails_to_import_is_told_as_the_file_is(study):
    study.write("lab/__init__.py", "raise ValueError('deep trouble')\n")
    study.write("lab/sim_a.py", EXPERIMENT.format("f", 1))
    with pytest.raises(SimkitError) as error:
        study.collect()
    assert str(error.value).startswith("lab/sim_a.py: cannot be imported\n")
    assert "deep trouble" in str(error.value)


# Two folders with modules of one name: what each holds, and how it is used.
TWINS = {
    "a module": ({"helper.py": "k = {}\n"}, "import helper", "return helper.k * x"),
    "a name": ({"helper.py": "k = {}\n"}, "from helper import k", "return k * x"),
    "within a function": ({"helper.py": "k = {}\n"}, "", "import helper\n    return helper.k * x"),
    "a module of a module": (
        {"helper.py": "from deep import k\n", "deep.py": "k = {}\n"},
        "import helper",
        "return helper.k * x",
    ),
    "a package": (
        {"lib/__init__.py": "from .core import k\n", "lib/core.py": "k = {}\n"},
        "import lib.core",
        "return (lib.k + lib.core.k) // 2 * x",
    ),
    "a package without a file": ({"lib/core.py": "k = {}\n"}, "", "from lib import core\n    return core.k * x"),
    "conftest": ({"conftest.py": "k = {}\n"}, "import conftest", "return conftest.k * x"),
    "simconf": ({"simconf.py": "k = {}\n"}, "", "from simconf import k\n    return k * x"),
    "what simconf imports": (
        {"simconf.py": "import helper\nfrom simkit import parameter\n@parameter\ndef k():\n    import helper\n    return helper.k\n", "helper.py": "k = {}\n"},
        "",
        "import helper, simconf\n    return (simconf.helper.k + helper.k) // 2 * x",
    ),
    "another sim file": (
        {"sim_c.py": "from simkit import experiment\nk = {}\n@experiment\ndef c():\n    return k\n"},
        "import sim_c",
        "return sim_c.k * x",
    ),
}  # fmt: skip


SPAWNED = ("within a function", "a package", "what simconf imports")  # a process each


@pytest.mark.parametrize(
    ("kinds", "workers"),
    [(tuple(TWINS), ("-n", "0")), (SPAWNED, ("-n", "1", "--start-method", "spawn"))],
    ids=["owner", "spawned"],
)
def test_each_folder_has_its_own_modules(project, kinds, workers):
    for number, (files, above, body) in enumerate(TWINS[kind] for kind in kinds):
        for side, k in (("one", 3), ("two", 5)):
            folder = f"{side}{number}"
            for name, text in files.items():
                project.file(f"{folder}/{name}", text.replace("{}", str(k)))
            project.file(f"{folder}/sim_{folder}.py", RUN.format(above, folder, body))
    project.ok(*workers)
    for number, kind in enumerate(kinds):
        found = [values(project, f"{side}{number}-001") for side in ("one", "two")]
        assert found == [[3, 6], [5, 10]], kind
        for side, other in (("one", "two"), ("two", "one")):
            sources = project.open(f"{side}{number}-001").info.sessions[0]["sources"]
            assert f"{side}{number}/{next(iter(TWINS[kind][0]))}" in sources
            assert not [path for path in sources if path.startswith(other)], kind


def test_the_module_of_the_rootdir_serves_the_folders_that_have_none(project):
    project.file("helper.py", "k = 1\n")
    project.file("two/helper.py", "k = 5\n")
    for folder in ("one", "three", "two"):
        project.file(f"{folder}/sim_{folder}.py", RUN.format("import helper", folder, "return helper.k * x"))
    project.ok()
    assert [values(project, name) for name in ("one", "two", "three")] == [[1, 2], [5, 10], [1, 2]]


def test_a_module_of_another_folder_is_not_found_by_accident(project):
    project.file("one/only.py", "k = 1\n")
    project.file("one/sim_one.py", RUN.format("import only", "one", "return only.k"))
    project.file("two/sim_two.py", RUN.format("import only", "two", "return only.k"))
    result = project.simkit()
    assert result.code == 4
    assert "two/sim_two.py: cannot be imported" in result.out
    assert "No module named 'only'" in result.out


def test_a_shared_module_that_imports_what_each_folder_has_is_an_error_that_names_both(project):
    project.file("shared.py", "import helper\n")
    for folder in ("one", "two"):
        project.file(f"{folder}/helper.py", "k = 1\n")
        project.file(
            f"{folder}/sim_{folder}.py", RUN.format("import shared, helper", folder, "return shared.helper.k")
        )
    result = project.simkit()
    assert result.code == 4
    assert "shared.py imports 'helper', which is one/helper.py and two/helper.py" in result.err


@pytest.mark.parametrize("where", ["path", "inserted", "package"])
def test_a_model_outside_of_the_root_counts(project, tmp_path, where):
    """As an editable install gives it, or PYTHONPATH."""
    outside = tmp_path / "elsewhere"
    model = outside / ("model/core.py" if where == "package" else "model.py")
    model.parent.mkdir(parents=True)
    if where == "package":
        (outside / "model/__init__.py").write_text("from .core import go\n")
    model.write_text("def go(x):\n    return 3 * x\n")
    above = f"import sys\nsys.path.insert(0, {str(outside)!r})\n" if where == "inserted" else ""
    project.file("sim_a.py", RUN.format(above + "from model import go", "f", "return go(x)"))
    import os

    environment = {**os.environ, **({} if where == "inserted" else {"PYTHONPATH": str(outside)})}
    assert project.simkit(env=environment).code == 0
    model.write_text("def go(x):\n    return 5 * x\n")
    result = project.simkit(env=environment)
    assert result.code == 0
    assert f"{'model/core.py' if where == 'package' else 'model.py'}::go changed" in result.out
    assert values(project, "f-002") == [5, 10]
    assert {"model/core.py", "model.py"} & set(project.open("f-002").info.sessions[0]["sources"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("name", [b"sim_\xff.py", b"\xfe/sim_b.py"])
def test_a_file_whose_name_is_no_text_is_told(project, name):
    project.file("sim_a.py", "from simkit import experiment\n\n@experiment\ndef study(x=1):\n    return x\n")
    path = os.path.join(os.fsencode(project.path), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(project.path / "sim_a.py", path)
    ended = project.simkit("-n", "0")
    assert ended.code == 4
    assert "this name is no text in UTF-8, and can't be recorded" in ended.out + ended.err
    assert project.open("study-001")["result"].tolist() == [1]
