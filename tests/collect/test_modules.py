"""Files become modules, once each; installed plug-ins and the nearest simconf.py are at hand."""

from __future__ import annotations

import pickle
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
