"""Opening a file executes nothing from it, whatever has been planted there."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

CODE = "open('ran', 'w').write('x')"

# As a result: one value of each codec that names something of another library or of the user's.
MADE = """
import dataclasses, datetime as dt, enum
import numpy as np, pandas as pd, scipy.sparse as sp
from simkit import experiment, product

class Colour(enum.Enum):
    RED = 1

@dataclasses.dataclass
class Meta:
    a: int

@experiment
@product(i=[0, 1])
def f(i):
    return {
        "enum": Colour.RED, "instance": [Meta(1)], "sparse": sp.csr_array(np.eye(2)),
        "frame": pd.DataFrame({"a": [1, 2]}), "categories": pd.Categorical(["a"]),
        "arrow": pd.array(["a"], dtype="string"), "structured": np.zeros(2, [("a", "f8")]),
        "generator": np.random.default_rng(1), "time": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        "period": pd.Period("2020", "Y"), "raw": np.void(b"ab"), "text": "x", "number": 1.5,
        "mapping": {1: 2}, "items": [1, "a"], "ragged": np.arange(i), "path": __import__("pathlib").Path("a"),
    }
"""

# Loads and calls what its author wanted, as soon as anybody unpickles it.
PICKLE = b"c__builtin__\nexec\n(S'" + CODE.replace("'", '"').encode() + b"'\ntR."

PLANTED_MODULE = "planted_by_a_file"
NAMES = [
    "os.system", "builtins.eval", "builtins.exec", "subprocess.Popen", "pickle.loads", "posix.system",
    f"{PLANTED_MODULE}.Payload", f"{PLANTED_MODULE}", "pandas.eval", "pandas.read_pickle", "scipy.os.system",
    "numpy.load", "class", "enum", "__import__('os').system('touch ran')", "..codecs", "../../ran", "",
]  # fmt: skip


@pytest.fixture
def made(project):
    project.file("sim_f.py", MADE)
    project.ok("-n", "0")
    project.file(f"{PLANTED_MODULE}.py", f"{CODE}\nclass Payload:\n    def __init__(self, *a): {CODE}\n")
    # Were it asked for by name, it would be found.
    project.file(
        "look.py",
        """
        import sys
        import simkit
        before = set(sys.modules)
        with simkit.open(sys.argv[1]) as trajectory:
            for name in (*trajectory.names("results"), *trajectory.names("parameters")) if hasattr(trajectory, "names") else list(trajectory.results) + list(trajectory.parameters):
                for read in (lambda: trajectory[name], lambda: [repr(getattr(run, name)) for run in trajectory.runs]):
                    try:
                        read()
                    except Exception as error:
                        print(type(error).__name__, str(error).splitlines()[0])
            try:
                repr(trajectory.to_dataframe())
            except Exception as error:
                print(type(error).__name__)
        foreign = [name for name in set(sys.modules) - before if name.startswith(("planted", "sim_f"))]
        assert not foreign, foreign
        print("read")
        """,
    )
    return project


def harmless(project, file: str = "results/f-001.h5"):
    """Read everything in another process, in the folder of what would run."""
    before = sorted(path.name for path in project.path.iterdir())
    result = project.python("look.py", file, env=None)
    assert "read" in result.out, result.out + result.err
    assert sorted(path.name for path in project.path.iterdir() if path.name != "__pycache__") == [
        name for name in before if name != "__pycache__"
    ], "something ran"
    shown = project.simkit("show", file, "--run", "0")
    assert "Traceback" not in shown.err
    assert not project.has("ran")
    return result


def nodes(file: h5py.File, attribute: str):
    found = []
    file.visititems(lambda _, thing: found.append(thing) if attribute in thing.attrs else None)
    return found


def test_what_was_recorded_opens_without_its_module(made):
    assert "Error" not in harmless(made).out


@pytest.mark.parametrize("name", NAMES)
def test_a_codec_name_is_only_a_name(made, name):
    with h5py.File(made.path / "results/f-001.h5", "r+") as file:
        for node in nodes(file, "codec"):
            node.attrs["codec"] = name
    harmless(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_class_path_is_only_text(made, name):
    with h5py.File(made.path / "results/f-001.h5", "r+") as file:
        for node in nodes(file, "attributes"):
            told = json.loads(node.attrs["attributes"])
            for key in ("class", "kind", "dtype", "freq", "zone", "flavour", "storage", "index", "name"):
                if key in told:
                    node.attrs["attributes"] = json.dumps({**told, key: name})
        for node in nodes(file, "class"):
            node.attrs["class"] = name
    harmless(made)


@pytest.mark.parametrize(
    "text", [CODE, "__reduce__", '{"class": "os.system", "__reduce__": 1}', "[", "1e999"]
)
def test_attributes_are_never_evaluated(made, text):
    with h5py.File(made.path / "results/f-001.h5", "r+") as file:
        for key in ("attributes", "fields", "layout", "dtype"):
            for node in nodes(file, key):
                node.attrs[key] = text
    harmless(made)


def test_a_pickle_is_only_bytes(made):
    with h5py.File(made.path / "results/f-001.h5", "r+") as file:
        texts = []
        file.visititems(lambda _, thing: texts.append(thing) if isinstance(thing, h5py.Dataset) else None)
        for dataset in texts:
            if h5py.check_string_dtype(dataset.dtype) and dataset.size and "info" not in dataset.name:
                dataset[...] = PICKLE.decode()
        root = file["f"]
        root.create_dataset("results/pickled", data=np.frombuffer(PICKLE, "u1"))
        root["results/pickled"].attrs["codec"] = "array"
        root.create_dataset("results/opaque", data=np.void(PICKLE))
        root["results/opaque"].attrs["codec"] = "pickle"
        root.attrs["codecs"] = json.dumps(["os.system", f"{PLANTED_MODULE}.Payload"])
    harmless(made)
    with pytest.raises(OSError, match="ran"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.open", _no_open)
        pickle.loads(PICKLE)  # it would have


def _no_open(*_):
    msg = "ran"
    raise OSError(msg)


def test_classes_that_a_continued_study_rebuilds_are_never_imported_nor_initialised(made):
    """`loaded` looks among what is loaded; of that it calls nothing."""
    from simkit.values.classes import loaded, revived
    from simkit.values.stored import Stored

    folder = str(made.path)
    sys.path.insert(0, folder)
    try:
        for path in NAMES:
            loaded(path)
            value = Stored("class", {"a": 1, "args": CODE}, json.dumps({"class": path}), "x")
            assert type(revived(value, loaded)) is Stored
        assert PLANTED_MODULE not in sys.modules
        assert not Path(folder, "ran").exists()
    finally:
        sys.path.remove(folder)
