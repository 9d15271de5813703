"""Opening a file executes nothing from it, whatever has been planted there."""

from __future__ import annotations

import collections
import json
import pickle
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

CODE = "__import__('pathlib').Path('ran').touch()"


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


LOOK = """
import sys
import simkit

before = set(sys.modules)
for path in sys.argv[1:]:
    try:
        trajectory = simkit.open(path)
    except simkit.SimkitError as error:
        print("refused", error)
        continue
    with trajectory:
        reads = [lambda: repr(trajectory.to_dataframe()), lambda: repr(trajectory.info)]
        for name in (*trajectory.results, *trajectory.parameters):
            reads.append(lambda name=name: repr(trajectory[name]))
            reads.append(lambda name=name: [repr(getattr(run, name)) for run in trajectory.runs])
        for read in reads:
            try:
                read()
            except Exception as error:
                print(type(error).__name__, error)
foreign = [name for name in set(sys.modules) - before if name.startswith(("planted", "sim_f"))]
assert not foreign, foreign
print("all read")
"""


@pytest.fixture(scope="module")
def made(shared):
    """A recorded study, and beside it modules that would run if they were asked for by name."""
    shared.file("sim_f.py", MADE)
    shared.ok("-n", "0")
    shared.file(f"{PLANTED_MODULE}.py", f"{CODE}\nclass Payload:\n    def __init__(self, *a): {CODE}\n")
    shared.file("look.py", LOOK)
    return shared


def planted(made, number, plant):
    """A copy of the file with something planted in it."""
    copied = made.path / f"planted-{number}.h5"
    shutil.copy(made.path / "results/f-001.h5", copied)
    with h5py.File(copied, "r+") as file:
        plant(file)
    return copied.name


def harmless(made, *files):
    """Read everything in another process, in the folder of what would run."""
    result = made.python("look.py", *files)
    assert "all read" in result.out, result.out + result.err
    assert not made.has("ran")
    return result.out


def nodes(file: h5py.File, attribute: str):
    found = []
    file.visititems(lambda _, thing: found.append(thing) if attribute in thing.attrs else None)
    return found


def test_what_was_recorded_opens_without_its_module(made):
    assert harmless(made, "results/f-001.h5").strip() == "all read"


def test_a_codec_name_is_only_a_name(made):
    def plant(name):
        def into(file):
            for node in nodes(file, "codec"):
                node.attrs["codec"] = name

        return into

    harmless(made, *(planted(made, f"codec{i}", plant(name)) for i, name in enumerate(NAMES)))


def test_a_class_path_is_only_text(made):
    keys = ("class", "kind", "dtype", "freq", "zone", "flavour", "storage", "index", "name")

    def plant(name):
        def into(file):
            for node in nodes(file, "attributes"):
                told = json.loads(node.attrs["attributes"])
                changed = {key: name for key in keys if key in told}
                node.attrs["attributes"] = json.dumps({**told, **changed})
            for node in nodes(file, "class"):
                node.attrs["class"] = name

        return into

    harmless(made, *(planted(made, f"class{i}", plant(name)) for i, name in enumerate(NAMES)))


def test_attributes_are_never_evaluated(made):
    def plant(text):
        def into(file):
            for key in ("attributes", "fields", "layout", "dtype"):
                for node in nodes(file, key):
                    node.attrs[key] = text

        return into

    harmless(
        made, *(planted(made, f"text{i}", plant(text)) for i, text in enumerate((CODE, "[", "1e999", "null")))
    )


def test_a_pickle_is_only_bytes(made):
    def plant(file):
        datasets = []
        file.visititems(lambda _, thing: datasets.append(thing) if isinstance(thing, h5py.Dataset) else None)
        for dataset in datasets:
            if h5py.check_string_dtype(dataset.dtype) and dataset.size and "info" not in dataset.name:
                dataset[...] = PICKLE.decode()
        root = file["f"]
        root["results/pickled"] = np.frombuffer(PICKLE, "u1")
        root["results/pickled"].attrs["codec"] = "array"
        root["results/opaque"] = np.void(PICKLE)
        root["results/opaque"].attrs["codec"] = "pickle"
        root.attrs["codecs"] = json.dumps(["os.system", f"{PLANTED_MODULE}.Payload"])

    harmless(made, planted(made, "pickle", plant))


def test_what_is_planted_would_run(tmp_path, monkeypatch):
    """Or the tests above could not fail."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(PICKLE)
    assert Path("ran").exists()


def test_classes_that_a_continued_study_rebuilds_are_never_imported_nor_initialised(made):
    """`loaded` looks among what is loaded; of that it calls nothing."""
    from simkit.values.instances import Stored, loaded, revived

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


def test_items_that_are_put_together_again_are_not_added_to_what_is_there():
    from simkit.values.instances import revived

    counted = collections.Counter("aab")
    assert revived({"c": counted}, lambda name: None) == {"c": collections.Counter("aab")}
    assert counted == collections.Counter("aab")
