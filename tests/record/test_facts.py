"""What ``info`` keeps of each session."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import h5py
import pytest

from simkit import SimkitError
from simkit.record.facts import (  # fmt: skip
    Sessions,
    amend_session,
    as_text,
    numbers,
    read_fact,
    read_text,
    write_session,
)


@pytest.fixture
def info(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w", track_order=True) as file:
        yield file.create_group("info", track_order=True)


TEXTS = [
    b"",
    b"x = 1\n",
    b"\xef\xbb\xbfbom = 1\r\n",
    "µ = 'é'\n".encode(),
    "é".encode("latin-1"),
    b"y" * 100_000,
]


@pytest.mark.parametrize("text", TEXTS, ids=len)
def test_sources_come_back_bit_for_bit_and_in_plain_hdf5(info, text):
    write_session(info, {"sources": {"a/b.py": text}})
    (session,) = Sessions(info)
    digest = session["sources"]["a/b.py"]
    assert digest == hashlib.sha256(text).hexdigest()
    assert read_text(info, digest) == text
    assert read_text(info, digest[:8]) == text
    dataset = info["sources"][digest]
    assert dataset.asstr()[0] == as_text(text)
    assert dataset.compression == "gzip"
    assert dataset.id.get_storage_size() <= max(100, len(text) // 50)


def test_what_two_sessions_share_is_kept_once(info):
    for changed in (b"one", b"two"):
        write_session(info, {"sources": {"same.py": b"same", "b.py": changed}, "code": {"k": "c" * 5000}})
    assert numbers(info) == ["001", "002"]
    assert len(info["sources"]) == 4  # same.py, b.py twice, code once
    first, second = Sessions(info)
    assert first["sources"]["same.py"] == second["sources"]["same.py"]
    assert first["sources"]["b.py"] != second["sources"]["b.py"]
    assert first["code"] == second["code"] == {"k": "c" * 5000}


def test_facts_of_all_kinds(info):
    facts = {
        "started": 1.5, "workers": 2, "command": "simkit {", "reason": "{}", "packages": {"numpy": "2"},
        "git": {"dirty": True, "changed": {"a\udce9": ".M"}}, "changed": "z" * 2000, "diff": b"",
    }  # fmt: skip
    group = write_session(info, facts)
    amend_session(group, {"ended": 2.5, "outcome": "1 done"})
    (session,) = Sessions(info)
    assert session == {**facts, "diff": "", "sources": {}, "ended": 2.5, "outcome": "1 done"}


def test_text_that_hdf5_does_not_take_is_no_reason_to_fail(info):
    write_session(info, {"command": "simkit \udce9.py", "reason": "a\0b"})
    (session,) = Sessions(info)
    assert session["command"] == "simkit \\udce9.py"
    assert session["reason"] == "a\\0b"


def test_a_patch_comes_back_bit_for_bit(info):
    patch = "-é\n".encode("latin-1") + b"+\xc3\n"
    write_session(info, {"diff": patch})
    write_session(info, {})
    assert read_fact(info, 1, "diff") == patch
    assert read_fact(info, 2, "diff") == b""


def test_an_unknown_digest_names_those_there_are(info):
    with pytest.raises(SimkitError, match="no source is recorded under 'ab'\n    there: none"):
        read_text(info, "ab")
    write_session(info, {"sources": {"a.py": b"1"}})
    digest = hashlib.sha256(b"1").hexdigest()
    with pytest.raises(SimkitError, match=f"there: {digest[:12]}"):
        read_text(info, "zz")
    with pytest.raises(SimkitError, match="under ''"):
        read_text(info, "")


def test_files_of_the_first_simkit_are_read_and_continued(info):
    """They had long texts as datasets beside the session's attributes, and no sources."""
    old = info.create_group("001", track_order=True)
    old.attrs.update({"started": 1.0, "packages": '{"numpy": "2.0"}', "command": "simkit"})
    old.create_dataset("code", data='{"sim_a.py::f": "def f(): pass"}', dtype=h5py.string_dtype())
    (session,) = Sessions(info)
    assert session["code"] == {"sim_a.py::f": "def f(): pass"}
    assert session["packages"] == {"numpy": "2.0"}
    assert session["sources"] == {}
    write_session(info, {"sources": {"a.py": b"1"}})
    assert [len(one["sources"]) for one in Sessions(info)] == [0, 1]
    assert numbers(info) == ["001", "002"]


def test_other_tools_read_the_sources(tmp_path, info):
    write_session(info, {"sources": {"a.py": b"print('hello')\n"}})
    info.file.flush()
    if shutil.which("h5dump") is None:
        pytest.skip("h5dump is not installed")
    told = subprocess.run(
        ["h5dump", os.fspath(tmp_path / "f.h5")], capture_output=True, text=True, check=True,
        env={**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE"},
    )  # fmt: skip
    assert "print('hello')" in told.stdout
