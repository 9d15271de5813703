"""What a file declares many times over, or compressed, takes no more memory than ten times its size unasked."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest
from peaks import growth

import simkit
from simkit.cli.main import main
from simkit.errors import Damaged, SimkitError
from simkit.record.inspection import PLENTY, Texts, check_pieces

BIG = 2_000_000  # characters
RUNS = 100


def study(x):
    """Texts, lists of texts, ragged arrays and arrays of texts, of each a large one in the first run."""
    first = x == 0
    return {
        "t": "a" * (BIG if first else 2),
        "l": ["b" * BIG if first else "b"] * (1 + x % 3),
        "r": np.arange(BIG // 8 if first else x),
        "m": np.array([["d", "e" * (BIG if first else 1)]], object),
        "s": float(x),
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("inspection") / "study-001.h5"
    simkit.run(study, simkit.explore(x=range(RUNS)), output=path, workers=0).close()
    return path


@pytest.fixture
def copy(whole, tmp_path, monkeypatch):
    """A copy of it that has no checksums, as anybody may make one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study-001.h5"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["made"] = "by a stranger"
    return path


def same_texts(path, name):
    """Let all elements of a dataset of texts be the one that is longest."""
    with h5py.File(path) as file:
        dataset = file[f"study/results/{name}"]
        chunks = [dataset.id.get_chunk_info(i) for i in range(dataset.id.get_num_chunks())]
    data = bytearray(path.read_bytes())
    for chunk in chunks:
        part = np.frombuffer(data, "V16", chunk.size // 16, chunk.byte_offset)
        lengths = part.view("<u4").reshape(-1, 4)[:, 0]
        part[:] = part[lengths.argmax()].copy() if lengths.max() > 1000 else part
    path.write_bytes(data)


def texts(path):
    same_texts(path, "t")


def texts_of_lists(path):
    same_texts(path, "l/items")


def compressed_texts(path):
    with h5py.File(path, "r+") as file:
        group = file["study/results"]
        words, attributes = group["t"].asstr()[:], dict(group["t"].attrs)
        del group["t"]
        group.create_dataset(
            "t", data=words, dtype=h5py.string_dtype(), chunks=(RUNS,), compression=1, shuffle=True
        )
        group["t"].attrs.update(attributes)
        chunk = group["t"].id.get_chunk_info(0)
        references = np.frombuffer(group["t"].id.read_direct_chunk((0,))[1], "u1")
    from simkit.values.compress import inflated, unshuffled

    part = unshuffled(inflated(references, RUNS * 16), 16).view("V16").copy()
    part[:] = part[0]
    assert chunk.size
    import zlib

    shuffled = np.ascontiguousarray(part.view("u1").reshape(-1, 16).T)
    with h5py.File(path, "r+") as file:
        file["study/results/t"].id.write_direct_chunk((0,), zlib.compress(shuffled.tobytes()))


def pieces(path):
    with h5py.File(path, "r+") as file:
        file["study/results/r/rows"][:] = [0, BIG // 8]


def pieces_beyond(path):
    with h5py.File(path, "r+") as file:
        file["study/results/r/rows"][3] = [0, 10**12]


def items(path):
    with h5py.File(path, "r+") as file:
        file["study/results/l/rows"][:] = [0, 10**11]


def items_before(path):
    with h5py.File(path, "r+") as file:
        file["study/results/l/rows"][5] = [-(10**11), 3]


READ = {texts: "t", texts_of_lists: "l", compressed_texts: "t", pieces: "r", pieces_beyond: "r", items: "l"}
READ |= {items_before: "l"}


@pytest.mark.parametrize("change", READ, ids=lambda change: change.__name__)
def test_what_is_declared_many_times_over_is_refused(copy, change, capsys):
    change(copy)
    name = READ[change]
    with simkit.open(copy) as traj:
        with pytest.raises(SimkitError, match="is damaged"):
            traj[name]
        assert traj["s"].sum() == sum(range(RUNS))
    for verb in (["export", str(copy), "out.h5"], ["diff", str(copy), str(copy)]):
        assert main(verb) == 4, verb
        assert "damaged" in capsys.readouterr().err


def test_a_row_of_a_type_that_is_not_there_is_damage(tmp_path):
    """It was taken for a run that had no such result."""
    path = tmp_path / "mixed.h5"
    simkit.run(lambda x: {"v": [1, "a", 2.5][x]}, simkit.explore(x=range(3)), output=path, workers=0).close()
    with h5py.File(path, "r+") as file:
        (mask,) = [name for name in file["lambda/results"] if name.startswith("v") and name != "v"]
        file[f"lambda/results/{mask}"][1] = 9
    with simkit.open(path) as traj:
        for read in (lambda: traj["v"], lambda: traj.runs[1].v):
            with pytest.raises(Damaged, match="v is damaged: a row is of type 9 of 3"):
                read()
    with h5py.File(path, "r+") as file:
        del file[f"lambda/results/{mask}"]
    with (
        simkit.open(path) as traj,
        pytest.raises(Damaged, match="v is damaged: nothing tells of which of 3 types a row is"),
    ):
        traj["v"]


def test_groups_within_groups_do_not_fill_the_stack(tiny, tmp_path):
    """HDF5 visits them by recursion: twelve thousand ended the interpreter."""
    path = tmp_path / "deep.h5"
    path.write_bytes(tiny.read_bytes())
    with h5py.File(path, "r+") as file:
        group = file["lambda/results"]
        for _ in range(12_000):
            group = group.create_group("g")
    show = [sys.executable, "-m", "simkit", "show", str(path)]
    done = subprocess.run(show, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done
    assert "groups within groups, more than 1000 deep" in done.stderr


VERBS = """show FILE
show FILE --run 0
show FILE --provenance
list FILE
verify --file FILE
repair FILE
report FILE -o FILE.html
restore FILE FILE.out
export FILE FILE.csv
export FILE FILE.nc
export FILE FILE.parquet
export FILE FILE-out.h5
diff FILE FILE
merge FILE-merged.h5 FILE"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "tiny-001.h5"
    simkit.run(lambda x: {"t": "a", "s": float(x)}, simkit.explore(x=[1, 2]), output=path, workers=0).close()
    return path


def verbs(path):
    return [line.replace("FILE", str(path)).split() for line in VERBS.splitlines()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process's own peak")
@pytest.mark.parametrize("change", READ, ids=lambda change: change.__name__)
def test_no_verb_takes_more_memory_than_ten_times_the_file(tiny, copy, change):
    """Beyond a process in which each verb has looked at something small."""
    change(copy)
    codes, taken, said = growth(verbs(tiny), verbs(copy), copy.parent)
    assert set(codes) == {0, 4}, said
    assert taken <= 10 * copy.stat().st_size, (taken, said)


def test_what_was_recorded_is_read(whole):
    with simkit.open(whole) as traj:
        assert [len(text) for text in traj["t"]] == [BIG, *[2] * (RUNS - 1)]
        assert [len(words) for words in traj["l"]] == [1 + x % 3 for x in range(RUNS)]
        assert [len(array) for array in traj["r"]] == [BIG // 8, *range(1, RUNS)]
        assert [array.shape for array in traj["m"]] == [(1, 2)] * RUNS
        assert sorted(traj.where("x < 3").runs[2].to_dict()) == ["l", "m", "r", "s", "t", "x"]


def test_rows_that_are_chosen_often_are_no_attack(whole):
    with simkit.open(whole) as traj:
        runs = traj._selection.recorded.rows("r", np.zeros(400, np.int64))
        assert len(runs.variants[0][1].shapes) == 400
    for wrong in ([[0, 2 * 10**7], [1, 2 * 10**7]], [[5, 3]], [[-1, 3]], [[0, 2 * 10**7 + 1]]):
        with pytest.raises(Damaged, match="v is damaged"):
            check_pieces("v", np.array(wrong), 2 * 10**7, 8)


def test_texts_are_those_of_hdf5(whole):
    with h5py.File(whole) as file:
        dataset = file["study/results/t"]
        for rows in (slice(1, 4), slice(0, 0), 7, np.array([3, 5]), np.array([], int), [2], slice(None)):
            assert list(Texts(dataset)[rows]) == list(dataset.asstr()[rows]), rows


# Compressed values: nobody who only looks at a file asks for a thousand times its size


SHAPE = 10_000_000  # numbers: 80 MB of zeros
COMPRESSED = f"""
    import numpy as np
    from simkit import experiment

    @experiment
    def f():
        return {{"a": np.zeros({SHAPE}), "r": [np.zeros({SHAPE})], "s": 1.0}}
"""
PEAK = """
import sys
from pathlib import Path
from simkit.cli.main import main
codes = [main(line.split()) for line in sys.stdin.read().splitlines()]
status = Path("/proc/self/status").read_text()
print(codes, int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""
LOOKS = """show FILE
show FILE --run 0
show FILE --provenance
list FILE
verify --file FILE
repair FILE
report FILE
restore FILE out
export FILE out.csv
export FILE out.nc
export FILE out.parquet"""


@pytest.fixture(scope="module")
def zeros(shared):
    shared.file("sim_f.py", COMPRESSED)
    shared.file("pyproject.toml", "[tool.simkit]\ncompress = true\n")
    shared.ok("-n", "0")
    path = shared.path / "results" / "f-001.h5"
    assert path.stat().st_size < 1_000_000
    return path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process's own peak")
def test_whoever_looks_at_a_file_takes_no_thousand_times_its_size(zeros, tmp_path):
    words = LOOKS.replace("FILE", str(zeros))
    told = subprocess.run(
        [sys.executable, "-c", PEAK], input=words, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    codes, _, peak = told.stdout.splitlines()[-1].rpartition(" ")
    assert codes == "[0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4]", told.stdout + told.stderr
    assert int(peak) < 200 + (PLENTY >> 20)  # megabytes, with all that is imported
    assert "its values take 160 MB, " in told.stderr
    assert "name those that are to be written: --names " in told.stderr


def test_what_was_not_read_says_so(zeros, capsys):
    assert main(["show", str(zeros), "--run", "0"]) == 0
    told = capsys.readouterr().out
    assert "    a  not read: 80,000,000 bytes, more than 10 times the file\n" in told
    assert "    s  1.0\n" in told
    with simkit.open(zeros) as traj:
        assert "not read: 80,000,000 bytes, more than 10 times the file" in repr(traj.runs[0])
        assert traj.runs[0].s == 1.0
        assert traj["a"].shape == (1, SHAPE)  # whoever names it gets it
