"""``simkit verify --file``: is the file itself undamaged?"""

from __future__ import annotations

import h5py

STUDY = """
import numpy as np
from simkit import experiment, product

@experiment
@product(x=range(20))
def f(x):
    return {"z": x, "a": np.full(3000, x)}
"""


def test_a_file_is_compared_with_its_checksums(project):
    project.file("sim_f.py", STUDY)
    project.ok("-n", "0")
    path = project.path / "results" / "f-001.h5"
    result = project.ok("verify", "--file", "results/f-001.h5")
    assert result.out.startswith("results/f-001.h5: undamaged, ")
    with h5py.File(path) as file:
        at = file["f/results/a"].id.get_chunk_info(0).byte_offset + 30_000
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    result = project.simkit("verify", "--file", "results/f-001.h5")
    assert result.code == 1, result.err
    first, second, third = result.out.splitlines()
    assert first.startswith("results/f-001.h5: 1 damaged block, at byte ")
    assert second.startswith("    f: a can't be read of ")
    assert third == "computed again, and only these, by:  simkit --into results/f-001.h5"
    for verb in (["show", "results/f-001.h5", "--run", "1"], ["export", "results/f-001.h5", "part.h5"]):
        result = project.simkit(*verb)
        assert result.code == 4, (verb, result.out, result.err)
        assert "results/f-001.h5 is damaged near byte " in result.err
    result = project.ok("-n", "0")
    assert "results/f-001.h5 was damaged: " in result.out
    assert "the damaged file is kept as results/f-001.h5.damaged" in result.out
    assert project.ok("verify", "--file", "results/f-001.h5").out.startswith("results/f-001.h5: undamaged, ")
    assert (project.open("f-001")["a"][:, 0] == range(20)).all()
    assert "20 of 20 are done already" in project.ok("-n", "0").out
