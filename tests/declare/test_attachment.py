from __future__ import annotations

import hashlib
import os
import tracemalloc

import pytest

from simkit import Run, SimkitError
from simkit.declare.attachment import odd_name


@pytest.fixture
def run(tmp_path):
    for name in ("a.dat", "b.dat", "c.txt", "out/d.dat", "out/deep/e.dat", ".hidden.dat", "out/.f.dat"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return Run(3, workdir=tmp_path)


def test_a_file_is_kept_as_it_is_now(run, tmp_path):
    assert run.attach("a.dat") == ["a.dat"]
    (tmp_path / "a.dat").write_bytes(b"later")
    assert run.files == {"a.dat": b"a.dat"}
    (one,) = run.attachments
    assert (one.size, one.sha256) == (5, hashlib.sha256(b"a.dat").hexdigest())


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.dat", ["a.dat", "b.dat"]),
        ("[ab].dat", ["a.dat", "b.dat"]),
        ("?.txt", ["c.txt"]),
        ("out/*", ["out/d.dat"]),
        ("out/**", ["out/d.dat", "out/deep/e.dat"]),
        ("**/*.dat", ["a.dat", "b.dat", "out/d.dat", "out/deep/e.dat"]),
        ("out/deep/e.dat", ["out/deep/e.dat"]),
        ("./a.dat", ["a.dat"]),
        ("out/../a.dat", ["a.dat"]),
    ],
)
def test_patterns_match_as_in_a_shell(run, pattern, names):
    assert run.attach(pattern) == names
    assert run.files == {name: name.encode() for name in names}


def test_a_hidden_file_needs_a_name(run):
    with pytest.raises(SimkitError, match=r"'.hidden.dat' is no name that a file can have on every system"):
        run.attach(".*.dat")
    assert run.attach(".hidden.dat", name="hidden.dat") == ["hidden.dat"]


def test_absolute_patterns_and_files_elsewhere_have_their_last_name(run, tmp_path, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "x.dat").write_bytes(b"x")
    assert run.attach(other / "*.dat") == ["x.dat"]
    assert run.attach(tmp_path / "out" / "*.dat") == ["out/d.dat"]


def test_a_name_with_brackets_is_that_file_if_it_is_there(run, tmp_path):
    (tmp_path / "x[1].dat").write_bytes(b"x")
    assert run.attach("x[1].dat") == ["x[1].dat"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("a.dta", r"there is no such file; did you mean 'a.dat'\?"),
        ("*.csv", "no file matches\n    in .*: .hidden.dat, a.dat, b.dat, c.txt, nothing.lnk, out, pipe"),
        ("out", r"it is a folder\n    attach the files in it: run.attach\('out/\*\*'\)"),
        ("", "give the path of a file, or a pattern"),
        ("\0", "give the path of a file"),
        (None, "give the path of a file"),
        (3, "give the path of a file"),
        ("nothing.lnk", "a link to nothing"),
        ("pipe", "it is no plain file"),
        ("/dev/zero", "it is no plain file"),
        ("x" * 300, "File name too long"),
        ("a.dat/b", "Not a directory"),
    ],
)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_can_not_be_attached_is_an_error_that_says_why(run, tmp_path, path, words):
    (tmp_path / "nothing.lnk").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SimkitError, match=words):
        run.attach(path)
    assert run.files == {}


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(run, tmp_path):
    (tmp_path / "a.dat").chmod(0)
    with pytest.raises(SimkitError, match="Permission denied"):
        run.attach("a.dat")


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_is_the_file_that_it_leads_to_and_no_pattern_runs_in_circles(run, tmp_path):
    (tmp_path / "link.dat").symlink_to("a.dat")
    (tmp_path / "out" / "round").symlink_to("..")
    assert run.attach("link.dat") == ["link.dat"]
    assert run.files == {"link.dat": b"a.dat"}
    assert run.attach("out/**") == ["out/d.dat", "out/deep/e.dat"]


def test_one_name_twice_is_one_file_or_an_error(run, tmp_path):
    run.attach("a.dat")
    assert run.attach("*.dat") == ["a.dat", "b.dat"]
    (tmp_path / "a.dat").write_bytes(b"other")
    with pytest.raises(SimkitError, match=r"'a.dat' is attached already in run 3, with another content"):
        run.attach("a.dat")
    assert run.attach("a.dat", name="late/a.dat") == ["late/a.dat"]
    assert run.files["late/a.dat"] == b"other"
    with pytest.raises(SimkitError, match="2 files match: they need own names"):
        run.attach("*.dat", name="x")


def test_a_large_file_is_copied_aside_in_parts(tmp_path):
    with open(tmp_path / "large", "wb") as file:
        for i in range(32):
            file.write(bytes([i]) * (1 << 20))
    run = Run(workdir=tmp_path)
    tracemalloc.start()
    run.attach("large")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
    (one,) = run.attachments
    assert (one.size, one.data) == (32 << 20, None)
    assert one.sha256 == hashlib.sha256((tmp_path / "large").read_bytes()).hexdigest()
    assert one.content == (tmp_path / "large").read_bytes()
    whole = one.whole()
    assert whole.content == (tmp_path / "large").read_bytes()
    assert not os.path.exists(one.path)


def test_many_small_files_do_not_fill_the_memory(tmp_path):
    run = Run(workdir=tmp_path)
    for i in range(8):
        (tmp_path / f"{i}").write_bytes(bytes([i]) * (1 << 20))
    run.attach("*")
    assert sum(one.size for one in run.attachments if one.data is not None) <= 4 << 20
    assert run.files == {f"{i}": bytes([i]) * (1 << 20) for i in range(8)}


def test_an_empty_file_is_a_file(tmp_path):
    (tmp_path / "empty").touch()
    run = Run(workdir=tmp_path)
    run.attach("empty")
    assert run.files == {"empty": b""}


@pytest.mark.parametrize(
    "name",
    ["", "/", "/etc/passwd", "../x", "a/../b", "a//b", "./a", ".git/config", "a/.b", "a.", "a ", "C:x", "a\\b",
     "a\nb", "a\x1b[2J", "con", "a/NUL.txt", "lpt1", "x" * 256, "ü" * 128, "\udc80", "a?b", "a/"],
)  # fmt: skip
def test_names_that_lead_elsewhere_or_are_none_on_some_system(name):
    assert odd_name(name)


@pytest.mark.parametrize(
    "name", ["a", "a.b", "a/b/c.dat", "grüße.txt", "a b", "x" * 255, "con1", "console", "[1]"]
)
def test_names_that_files_may_have(name):
    assert not odd_name(name)
