"""Files that the project's code opens are inputs: where one changes, what was computed from it is computed anew."""

from __future__ import annotations

import os
import py_compile
import shutil
import sqlite3
import sys
from contextlib import closing

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import simkit
from simkit import explore
from simkit.collect.listener import NO_FILE, OpenedFiles, listener, named_files, state_of

HEAD = """
import glob, json, os, sqlite3, subprocess, sys
from pathlib import Path
import numpy as np
from simkit import experiment, explore, fixture, parameter
HERE = Path(__file__).parent
def read(path):
    with open(path) as file:
        return file.read()
"""
READ = "float(read(HERE / 'data.txt'))"

WAYS = {
    "in a run": f"def f(x):\n    return {{'r': x * {READ}}}",
    "in a run, by pathlib": "def f(x):\n    return {'r': x * float((HERE / 'data.txt').read_text())}",
    "in a run, by NumPy": "def f(x):\n    return {'r': x * float(np.loadtxt(HERE / 'data.txt'))}",
    "in a run, by its descriptor": "def f(x):\n    number = os.open(HERE / 'data.txt', os.O_RDONLY)\n"
    "    text = os.read(number, 100)\n    os.close(number)\n    return {'r': x * float(text)}",
    "in a run, by another folder's name for it": "def f(x):\n"
    "    return {'r': x * float(read(HERE / 'sub' / '..' / 'data.txt'))}",
    "in a helper": f"def helper():\n    return {READ}\ndef f(x):\n    return {{'r': x * helper()}}",
    "in a parameter": f"@parameter\ndef k():\n    return {READ}\ndef f(x, k):\n    return {{'r': x * k}}",
    "in a parameter of each run": f"@parameter\ndef k(x):\n    return {READ} * x\n"
    "def f(x, k):\n    return {'r': k}",
    "in a fixture": f"@fixture\ndef k():\n    return {READ}\ndef f(x, k):\n    return {{'r': x * k}}",
    "in a fixture of the experiment": f"@fixture(scope='experiment')\ndef k():\n    return {READ}\n"
    "def f(x, k):\n    return {'r': x * k}",
    "in a module that a run imports": "def f(x):\n    import late\n    return {'r': x * late.K}",
    "by a Path as default": "def f(x, p=HERE / 'data.txt'):\n    return {'r': x * float(p.read_text())}",
    "by a Path in a list": "def f(x, p=(HERE / 'data.txt', 2)):\n    return {'r': x * float(p[0].read_text())}",
    "as a program's arguments": "def f(x):\n    with open(HERE / 'data.txt') as file:\n"
    "        out = subprocess.run(['cat'], stdin=file, capture_output=True, text=True).stdout\n"
    "    return {'r': x * float(out)}",
}
LATE = "from pathlib import Path\nK = float((Path(__file__).parent / 'data.txt').read_text())\n"


def results(function, **options):
    """The results of a study of two points."""
    with simkit.run(function, explore(x=[1, 2]), **options) as traj:
        return traj["r"].tolist()


def trajectories(study):
    return sorted(path.name for path in (study.root / "results").glob("*.h5"))


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_changed_is_a_change(study, way):
    data = study.write("data.txt", "3")
    (study.root / "sub").mkdir()
    study.write("late.py", LATE)
    study.write("sim_a.py", HEAD + WAYS[way])
    f = study.module("sim_a.py").f
    assert results(f) == [3, 6]
    assert results(f) == [3, 6]
    assert trajectories(study) == ["f-001.h5"]
    data.write_text("5")
    sys.modules.pop("late", None)  # as in another session
    assert results(f) == [5, 10]
    assert trajectories(study) == ["f-001.h5", "f-002.h5"]


C_LIBRARY = """
import ctypes
from pathlib import Path
def f(x, p: Path = Path({path!r})):
    libc = ctypes.CDLL(None)
    libc.fopen.restype, libc.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_char_p]
    libc.fgetc.argtypes = [ctypes.c_void_p]
    return {{"r": x * (libc.fgetc(libc.fopen(str(p).encode(), b"r")) - 48)}}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="calls the C library by ctypes")
def test_what_a_c_library_reads_is_named_by_a_parameter_wherever_it_lies(study, tmp_path_factory):
    data = tmp_path_factory.mktemp("elsewhere") / "data.txt"
    data.write_text("3")
    study.write("sim_a.py", C_LIBRARY.format(path=str(data)))
    f = study.module("sim_a.py").f
    assert results(f) == [3, 6]
    data.write_text("5")
    assert results(f) == [5, 10]


def table_of(path, value):
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE IF NOT EXISTS t (v)")
        base.execute("DELETE FROM t")
        base.execute("INSERT INTO t VALUES (?)", [value])


def dataset_of(path, value):
    with h5py.File(path, "w") as file:
        file["v"] = float(value)


# What Python does not tell: the file's name, how it is made, how a run reads the number.
UNHEARD = {
    "SQLite": ("in/d.db", table_of, ("base = sqlite3.connect(HERE / 'in' / 'd.db')\n"
               "    v = base.execute('SELECT v FROM t').fetchone()[0]\n    base.close()")),
    "HDF5, by a constant": ("d.hdf5", dataset_of, "with h5py.File(DATA) as file:\n        v = float(file['v'][()])"),
    "HDF5, by a text with the folder": ("in/d.h5", dataset_of, ("with h5py.File(f'{HERE}/in/d.h5') as file:\n"
                                        "        v = float(file['v'][()])")),
    "Parquet, from the root": ("d.parquet", lambda path, value: pq.write_table(pa.table({"v": [float(value)]}), path),
                               "v = pq.read_table('d.parquet')['v'][0].as_py()"),
    "another program": ("d.txt", lambda path, value: path.write_text(str(value)),
                        "v = float(subprocess.run(['cat', str(HERE / 'd.txt')], capture_output=True).stdout)"),
}  # fmt: skip


@pytest.mark.parametrize("way", UNHEARD)
def test_what_others_open_is_an_input_where_the_code_names_it(study, way):
    name, make, read_it = UNHEARD[way]
    (study.root / "in").mkdir()
    make(study.root / name, 3)
    study.write("sim_a.py", HEAD + "import sqlite3, h5py\nimport pyarrow.parquet as pq\nDATA = HERE / 'd.hdf5'\n"
                f"def helper():\n    {read_it}\n    return v\ndef f(x):\n    return {{'r': x * helper()}}\n"
                "def g(x):\n    return {'r': x}\n")  # fmt: skip
    module = study.module("sim_a.py")
    assert [results(module.f), results(module.f), results(module.g)] == [[3, 6], [3, 6], [1, 2]]
    make(study.root / name, 5)
    assert [results(module.f), results(module.f), results(module.g)] == [[5, 10], [5, 10], [1, 2]]
    assert trajectories(study) == ["f-001.h5", "f-002.h5", "g-001.h5"]


def test_explored_paths_and_those_that_a_parameter_makes(study):
    study.write("sim_a.py", "from pathlib import Path\nfrom simkit import parameter\n"
                "HERE = Path(__file__).parent\n@parameter\ndef p(x):\n    return HERE / f'{x}.bin'\n"
                "def f(x, p):\n    return {'r': 1}\ndef g(q):\n    return {'r': float(q.read_text())}\n")  # fmt: skip
    for name in ("1.bin", "2.bin"):
        study.write(name, "1")
    module = study.module("sim_a.py")
    assert results(module.f) == [1, 1]
    space = explore(q=[study.root / "1.bin", study.root / "2.bin"])
    simkit.run(module.g, space).close()
    (study.root / "2.bin").write_text("22")
    results(module.f)
    assert simkit.run(module.g, space)["r"].tolist() == [1, 22]
    assert trajectories(study) == ["f-001.h5", "f-002.h5", "g-001.h5", "g-002.h5"]


def test_files_that_come_and_go_are_changes(study):
    study.write("sim_a.py", HEAD + "def f(x):\n    try:\n        return {'r': x * float(read(HERE / 'o.txt'))}\n"
                "    except FileNotFoundError:\n        return {'r': x}\n")  # fmt: skip
    f = study.module("sim_a.py").f
    assert results(f) == [1, 2]
    override = study.write("o.txt", "3")
    assert results(f) == [3, 6]
    override.unlink()
    assert results(f) == [1, 2]


@pytest.mark.parametrize(
    "names", ["sorted(os.listdir(D))", "sorted(glob.glob(str(D / '*')))", "list(D.iterdir())"]
)
def test_a_folder_that_is_listed_is_an_input(study, names):
    study.write("data/one.txt", "1")
    study.write("sim_a.py", HEAD + f"D = HERE / 'data'\ndef f(x):\n    return {{'r': x * len({names})}}\n")
    f = study.module("sim_a.py").f
    assert results(f) == [1, 2]
    study.write("data/two.txt", "2")
    assert results(f) == [2, 4]
    assert results(f) == [2, 4]
    assert trajectories(study) == ["f-001.h5", "f-002.h5"]


# What a run writes is no input, however it is read afterwards.
WRITES = {
    "a table of results": "    with open(HERE / 'out.csv', 'a') as file:\n        file.write('x')\n"
    "    return {'r': len(read(HERE / 'out.csv')) > 0}",
    "a cache": "    cache = HERE / 'cache.txt'\n    if not cache.exists():\n        cache.write_text('1')\n"
    "    return {'r': cache.read_text() == '1'}",
    "a file that it changes": "    with open(HERE / 'state', 'a+') as file:\n        file.write('x')\n"
    "    return {'r': True}",
    "files into a folder that it lists": "    (HERE / 'out').mkdir(exist_ok=True)\n"
    "    (HERE / 'out' / f'{x}.txt').write_text('1')\n    return {'r': len(os.listdir(HERE / 'out')) > 0}",
    "a file that a library writes": "    base = sqlite3.connect(HERE / 'out.db')\n    with base:\n"
    "        base.execute('CREATE TABLE IF NOT EXISTS t (v)')\n        base.execute('INSERT INTO t VALUES (1)')\n"
    "    base.close()\n    return {'r': True}",
    "a file named by a parameter": "    p.write_text(str(x))\n    return {'r': True}",
}


@pytest.mark.parametrize("what", WRITES)
def test_what_the_runs_write_is_no_input(study, what):
    study.write("p.txt", "before")
    study.write("sim_a.py", HEAD + f"def f(x, p=HERE / 'p.txt'):\n{WRITES[what]}\n")
    f = study.module("sim_a.py").f
    for x in ([1, 2], [1, 2, 3], [1, 2, 3, 4]):
        simkit.run(f, explore(x=x)).close()
    assert trajectories(study) == ["f-001.h5"]


def test_a_program_and_a_library_of_the_project_are_inputs(study):
    program = study.write("solver", "#!/bin/sh\necho 3\n")
    program.chmod(0o755)
    study.write("sim_a.py", HEAD + "def f(x):\n"
                "    program = subprocess.run([HERE / 'solver'], capture_output=True)\n"
                "    return {'r': x * float(program.stdout)}\n")  # fmt: skip
    f = study.module("sim_a.py").f
    assert results(f) == [3, 6]
    program.write_text("#!/bin/sh\necho 50\n")
    assert results(f) == [50, 100]


def test_a_trajectory_that_a_provider_opens_is_an_input(study):
    study.write("sim_a.py", HEAD + "import simkit\ndef a(x, k=1):\n    return {'r': x * k}\n"
                "@parameter\ndef total():\n    with simkit.open(NAME) as traj:\n        return float(traj['r'].sum())\n"
                "def f(x, total):\n    return {'r': x * total}\n")  # fmt: skip
    module = study.module("sim_a.py")
    module.NAME = "a"
    where = os.getcwd()
    os.chdir(study.root)
    try:
        simkit.run(module.a, explore(x=[1, 2])).close()
        assert results(module.f) == [3, 6]
        assert results(module.f) == [3, 6]
        assert trajectories(study) == ["a-001.h5", "f-001.h5"]
        simkit.run(module.a, explore(x=[1, 2, 3])).close()  # continued
        assert results(module.f) == [6, 12]
        simkit.run(module.a, explore(x=[1, 2]), set={"k": 2}).close()  # another one of the name
        assert results(module.f) == [6, 12]
        assert trajectories(study) == ["a-001.h5", "a-002.h5", "f-001.h5", "f-002.h5", "f-003.h5"]
        with simkit.open("a", mode="r+") as traj:
            traj.note("nothing that a result depends on")
        results(module.f)
        assert len(trajectories(study)) == 5
    finally:
        os.chdir(where)


IMPORTED = """
from pathlib import Path
from simkit import experiment, explore
import numbers_of
MINE = float((Path(__file__).parent / "mine.txt").read_text())
OTHER = float((Path(__file__).parent / "other.txt").read_text())
@experiment
@explore(x=[1, 2])
def f(x):
    return {"r": x * MINE * numbers_of.K}
@experiment
@explore(x=[1, 2])
def g(x):
    return {"r": x * OTHER}
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_importing_reads_counts_for_those_whose_code_it_reaches(project, workers):
    project.file("sim_a.py", IMPORTED)
    project.file("numbers_of.py", "import json\nfrom pathlib import Path\n"
                 "with open(Path(__file__).parent / 'k.json') as file:\n    K = json.load(file)\n")  # fmt: skip
    for name in ("mine.txt", "other.txt", "k.json"):
        project.file(name, "1")
    project.ok("-n", workers)
    project.file("k.json", "7")
    told = project.ok("-n", workers).out
    assert "results/f-001.h5 is not continued: k.json changed" in told
    assert [project.open("f-002")["r"].tolist(), project.open("g-001")["r"].tolist()] == [[7, 14], [1, 2]]
    project.file("other.txt", "3")
    project.ok("-n", workers, "--start-method", "spawn") if workers != "0" else project.ok("-n", "0")
    assert project.open("g-002")["r"].tolist() == [3, 6]
    assert not (project.path / "results" / "f-003.h5").exists()


def test_into_computes_constant_parameters_anew(project):
    project.file("sim_a.py", HEAD + f"@parameter\ndef k():\n    return {READ}\n@experiment\n@explore(x=[1, 2])\n"
                 "def f(x, k):\n    return {'r': x * k}\n")  # fmt: skip
    project.file("data.txt", "2")
    project.ok("-n", "0")
    project.file("data.txt", "5")
    project.file("sim_a.py", (project.path / "sim_a.py").read_text().replace("[1, 2]", "[1, 2, 3]"))
    project.ok("-n", "0", "--into", "results/f-001.h5")
    traj = project.open("f-001")
    assert traj["r"].tolist() == [2, 4, 15]
    assert traj["k"].tolist() == [2, 2, 5]


def test_verify_and_diff_name_changed_inputs(project):
    project.file(
        "sim_a.py", HEAD + f"@experiment\n@explore(x=[1, 2])\ndef f(x):\n    return {{'r': x * {READ}}}\n"
    )
    project.file("data.txt", "2")
    project.ok("-n", "0")
    project.file("data.txt", "3")
    told = project.simkit("verify", "results/f-001.h5", "-n", "0")
    assert told.code == 1
    assert "inputs     data.txt changed" in told.out
    project.ok("-n", "0")
    told = project.simkit("diff", "results/f-001.h5", "results/f-002.h5").out
    assert "files that runs read" in told
    assert "data.txt" in told


def test_a_merged_trajectory_keeps_the_inputs_of_all(project):
    project.file("sim_a.py", HEAD + "@experiment\n@explore(x=[1, 2])\ndef f(x):\n"
                 "    return {'r': float(read(HERE / f'{x}.txt'))}\n")  # fmt: skip
    project.file("1.txt", "1")
    project.file("2.txt", "2")
    for shard in ("0/2", "1/2"):
        project.ok("-n", "0", "--shard", shard)
    project.ok("merge", "results/f-009.h5", "results/f-001.h5")
    shutil.rmtree(project.path / "results/f-001.shards")
    (project.path / "results/f-001.h5").unlink()
    project.file("2.txt", "20")
    assert "2.txt changed" in project.ok("-n", "0").out
    assert project.open("f-010")["r"].tolist() == [1, 20]


def test_a_file_that_changes_while_runs_read_it(study):
    study.write("data.txt", "1")
    study.write("sim_a.py", HEAD + f"def f(x):\n    value = {READ}\n"
        "    if x == 1:\n        os.replace(HERE / 'new', HERE / 'data.txt')\n"
                "    return {'r': value}\n")  # fmt: skip
    study.write("new", "22")
    f = study.module("sim_a.py").f
    with pytest.warns(UserWarning, match=r"data\.txt changed while the runs went on"):
        assert results(f) == [1, 22]
    study.write("new", "22")
    with pytest.warns(UserWarning, match="changed while"):
        results(f)
    assert trajectories(study) == ["f-001.h5", "f-002.h5"]


def test_what_is_no_input(tmp_path):
    """Writing, other folders, simkit's own reading, Python's reading of source for a traceback."""
    opened = OpenedFiles(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    with listener().to(opened):
        open(tmp_path / "b.txt", "w").close()
        open(__file__).close()
        np.save(tmp_path / "c.npy", np.arange(3))
        with listener().away():
            open(tmp_path / "a.txt").close()
    assert {file.is_written for file in opened.taken()} == {True}
    with listener().to(opened):
        open(tmp_path / "a.txt").close()
        open(tmp_path / "a.txt").close()
    (reading,) = opened.taken()
    assert (reading.path, reading.state) == (str(tmp_path / "a.txt"), state_of(str(tmp_path / "a.txt")))
    assert state_of(str(tmp_path / "none")) == NO_FILE


def test_paths_in_values(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("a")
    value = {"a": [file, (file, "x")], "b": tmp_path, "c": str(file), "d": tmp_path / "none"}
    assert list(named_files(value)) == [str(file)] * 2


LATER = "importlib.import_module(''.join(['la', 'te']))"
BY_NAME = {
    "in a run": f"def f(x):\n    return {{'r': x * {LATER}.K}}",
    "in a helper": f"def helper():\n    return {LATER}\ndef f(x):\n    return {{'r': x * helper().K}}",
    "in a parameter": f"@parameter\ndef k():\n    return {LATER}.K\ndef f(x, k):\n    return {{'r': x * k}}",
    "in a fixture of the experiment": f"@fixture(scope='experiment')\ndef k():\n    return {LATER}.K\n"
    "def f(x, k):\n    return {'r': x * k}",
    "by __import__": f"def f(x):\n    return {{'r': x * {LATER.replace('importlib.import_module', '__import__')}.K}}",
    "by its file": "def f(x):\n    spec = importlib.util.spec_from_file_location('late', HERE / 'late.py')\n"
    "    late = importlib.util.module_from_spec(spec)\n    spec.loader.exec_module(late)\n"
    "    return {'r': x * late.K}",
}


@pytest.mark.parametrize("way", BY_NAME)
@pytest.mark.parametrize("file", ["late.py", "below.py"])
def test_a_module_that_was_found_by_its_name_is_code_from_then_on(study, way, file):
    study.write("late.py", "import below\nK = below.K + 1\n")
    study.write("below.py", "K = 2\n")
    study.write("sim_a.py", HEAD + "import importlib, importlib.util\n" + BY_NAME[way])
    f = study.module("sim_a.py").f
    assert results(f) == [3, 6]
    assert results(f) == [3, 6]
    assert trajectories(study) == ["f-001.h5"]
    path = study.root / file
    path.write_text(path.read_text().replace("+ 1", "+ 10").replace("K = 2", "K = 11"))
    for name in ("late", "below"):  # as in another session
        sys.modules.pop(name, None)
    assert results(f) == [12, 24]
    assert trajectories(study) == ["f-001.h5", "f-002.h5"]


FOUND = """
import importlib
from pathlib import Path
from simkit import experiment, explore
MODELS = [importlib.import_module(path.stem) for path in sorted(Path(__file__).parent.glob("mod*.py"))]
@experiment
@explore(x=[1, 2])
def f(x):
    return {"r": x * MODELS[0].K}
@experiment
@explore(x=[1, 2])
def g(x):
    return {"r": x * importlib.import_module(chr(112) + "lug").K}
@experiment
@explore(x=[1, 2])
def h(x):
    return {"r": x * importlib.import_module("".join(["pl", "ug"])).K}
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_modules_that_were_found_by_name_with_workers_and_at_import(project, workers):
    project.file("sim_a.py", FOUND)
    project.file("model.py", "K = 1\n")
    project.file("plug.py", "K = 1\n")
    py_compile.compile(str(project.path / "plug.py"))
    project.ok("-n", workers)
    again = project.ok("-n", workers).out
    assert "not continued" not in again
    project.file("model.py", "K = 50\n")
    project.file("plug.py", "K = 700\n")
    told = project.ok("-n", workers).out
    for name, file in (("f", "model.py"), ("g", "plug.py"), ("h", "plug.py")):
        (line,) = (line for line in told.splitlines() if line.startswith(f"results/{name}-001.h5 is not"))
        assert f"{file} changed" in line
    made = [project.open(f"{name}-002")["r"].tolist() for name in "fgh"]
    assert made == [[50, 100], [700, 1400], [700, 1400]]


@pytest.mark.parametrize("place", ["module", "run"])
def test_a_library_that_looks_for_its_version_reads_no_folder_of_the_project(project, place):
    look = "importlib.metadata.distribution('attrs').version, [*importlib.metadata.entry_points()]"
    project.file(
        "sim_f.py",
        f"""
        import importlib.metadata
        from simkit import experiment, explore

        {look if place == "module" else ""}

        @experiment
        @explore(x=[1, 2])
        def f(x):
            {look if place == "run" else ""}
            return x
        """,
    )
    project.ok("-n", "0")
    project.file("plot.png", "new")
    assert "nothing to do" in project.ok("-n", "0").out


@pytest.mark.parametrize("call", ["run.command", "subprocess.run"])
def test_a_script_that_another_process_executes_is_an_input(project, call):
    text = """
    import subprocess, sys
    from pathlib import Path
    from simkit import experiment, product

    MODEL = Path(__file__).parent / "model.py"

    @experiment
    @product(x=[1, 2])
    def scripted(x, run):
        output = CALL([sys.executable, str(MODEL), str(x)]EXTRA).stdout
        return int(output)
    """
    extra = "" if call == "run.command" else ", capture_output=True, text=True, check=True"
    text = text.replace("CALL", call).replace("EXTRA", extra)
    model = "import sys\nprint(int(sys.argv[1]) * 2)\n"
    project.file("model.py", model)
    project.file("sim_scripted.py", text)
    project.ok("-n", "0")
    project.file("model.py", model.replace("* 2", "* 3"))
    project.file("sim_scripted.py", text.replace("[1, 2]", "[1, 2, 3]"))
    result = project.ok("-n", "1")
    assert "model.py" in result.out
    with project.open("scripted-002") as traj:
        assert traj["result"].tolist() == [3, 6, 9]
