"""Files that a stranger made: no verb writes outside of its folder, runs or fetches anything, or takes much memory."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from peaks import growth
from repositories import LIB

import simkit
from simkit import SimkitError
from simkit.cli.main import _VERBS, main
from simkit.record.inspection import PLENTY

SOURCE = """
from simkit import experiment, product

@experiment
@product(x=[1, 2])
def f(x, label="=1+1"):
    return {"z": 2.0 * x, "v": [x, x]}
"""


@pytest.fixture(scope="module")
def recorded(shared):
    """A file of simkit's own; the tests change copies of it."""
    shared.file("sim_f.py", SOURCE)
    shared.ok("-n", "0")
    return shared.path / "results" / "f-001.h5"


@pytest.fixture
def crafted(recorded, tmp_path, monkeypatch):
    """Changes a copy in a folder of its own, where the tests stand; what leaves the folder is seen."""
    home = tmp_path / "outer" / "home"
    home.mkdir(parents=True)
    (tmp_path / "outer" / "secret.txt").write_text("secret")
    (tmp_path / "outer" / "evil.py").write_text("import os; os.mkdir('ran')\n" + SOURCE)
    (home / "pyproject.toml").write_text("[tool.simkit]\n")
    monkeypatch.chdir(home)

    def craft(change):
        shutil.copy(recorded, home / "a.h5")
        with h5py.File(home / "a.h5", "r+") as file:
            change(file)
        return home / "a.h5"

    before = sorted(tmp_path.rglob("*"))
    yield craft
    outside = [path for path in tmp_path.rglob("*") if not path.is_relative_to(home) and path not in before]
    assert outside == []
    assert not list(tmp_path.rglob("ran"))


def verb(*arguments):
    """The command in this process: its exit code and all that it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(arguments)
    return code, said.getvalue()


def edit(name, change):
    """Change a fact of the session that is a mapping."""

    def craft(file):
        attributes = file["f/info/001"].attrs
        texts = json.loads(attributes.get("texts", "{}"))
        if name in texts:
            mapping = json.loads(file[f"f/info/sources/{texts.pop(name)}"].asstr()[0])
            attributes["texts"] = json.dumps(texts)
        else:
            mapping = json.loads(attributes.get(name, "{}"))
        change(mapping)
        attributes[name] = json.dumps(mapping)

    return craft


def add_source(path, text="import os\n", digest=None):
    """A further source under this path."""

    def craft(file):
        key = digest or hashlib.sha256(text.encode()).hexdigest()
        if key not in file["f/info/sources"]:
            file["f/info/sources"].create_dataset(key, data=np.array([text.encode()], f"S{len(text)}"))
        edit("sources", lambda sources: sources.update({path: key}))(file)

    return craft


PATHS = [
    "../evil2.py", "a/../../evil2.py", "/tmp/evil2.py", "//host/share/evil.py", ".git/config", ".git/hooks/x.py",
    "a/.git/config.py", ".bashrc", ".pth.py", "a/.hidden/b.py", "a//b.py", "a/./b.py", "a/b.py/", "C:\\evil.py",
    "C:evil.py", "a\\..\\evil.py", "con.py", "a/NUL", "a/lpt1.py", "a.py.", "a.py ", "dir /a.py", "a\x00.py",
    "a\n.py", "a\x1b[2J.py", "a\u202epy.py", "evil.pth", "evil.sh", "Makefile", "setup.cfg", "a?.py",
    "x/pyproject.toml",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_but_that_of_a_source_is_restored(crafted, path):
    file = crafted(add_source(path))
    code, said = verb("restore", str(file), "then")
    assert code == 4
    assert "the file was tampered with" in said
    assert not (file.parent / "then").exists() or not list((file.parent / "then").rglob("*"))
    assert "\x1b" not in said


@pytest.mark.parametrize("digest", ["0" * 64, "../../x", "f" * 12])
def test_a_source_is_restored_only_under_its_own_digest(crafted, digest):
    code, said = verb("restore", str(crafted(add_source("a.py", digest="0" * 64))), "then")
    assert (code, "does not fit its digest" in said) == (4, True)
    code, said = verb("restore", str(crafted(edit("sources", lambda s: s.update({"a.py": digest})))), "then")
    assert code == 4


def test_a_link_in_the_folder_leads_nowhere(crafted):
    file = crafted(lambda file: None)
    (file.parent / "then").mkdir()
    assert verb("restore", str(file), "then")[0] == 0
    (file.parent / "linked").symlink_to(file.parent.parent)
    assert verb("restore", str(file), "linked")[0] == 4


def linked(path, target):
    """A change of the working tree that makes a link."""
    head = f"diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n"
    return f"{head}@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"


def removed(path, text):
    lines = text.splitlines()
    head = f"diff --git a/{path} b/{path}\ndeleted file mode 100644\n--- a/{path}\n+++ /dev/null\n"
    return f"{head}@@ -1,{len(lines)} +0,0 @@\n" + "".join(f"-{line}\n" for line in lines)


@pytest.mark.parametrize(
    "git", ["--upload-pack=x", "HEAD", "main", "A" * 40, "a" * 39, "-" * 40, "0" * 40 + "\n"]
)
def test_only_a_commit_is_checked_out(repo, git):
    path = repo.init().run()[0].path
    with h5py.File(path, "r+") as file:
        edit("git", lambda facts: facts.update(commit=git))(file)
    code, said = verb("restore", str(path), "then", "--git", str(repo.folder))
    assert (code, "is none: the file was tampered with" in said) == (4, True)
    assert not (repo.folder / "then").exists()


def with_changes(file, changes):
    """Make this what differs from the commit."""
    add_source("changes", changes)(file)
    edit("sources", lambda sources: [sources.pop(name, None) for name in ("changes", "pyproject.toml")])(file)
    texts = json.loads(file["f/info/001"].attrs.get("texts", "{}"))
    texts["diff"] = hashlib.sha256(changes.encode()).hexdigest()
    file["f/info/001"].attrs["texts"] = json.dumps(texts)


@pytest.mark.parametrize(
    ("links", "source"),
    [
        ({"requirements.txt": "../outside"}, ""),
        ({"requirements.txt": "lib.py", "requirements-recorded.txt": "../outside"}, ""),
        ({"requirements.txt": "lib.py", "requirements-recorded.txt": ".git/config"}, ""),
        ({"pyproject.toml": "../outside"}, ""),
        ({"a.py": "../outside"}, "a.py"),
        ({"a.py": ".git/config"}, "a.py"),
        ({"a.py": ".git/hooks/pre-commit"}, "a.py"),
        ({"a": ".git/hooks"}, "a/b.py"),
        ({"a": "c", "c": ".git"}, "a/config.py"),
        ({"a": "."}, "a"),
        ({"*": "..", "lib?": ".."}, ""),
    ],
)
def test_recorded_changes_make_no_links(repo, links, source):
    """A link would be there before what is written beside it, or through it."""
    path = repo.init().run()[0].path
    changes = (
        removed("pyproject.toml", (repo.folder / "pyproject.toml").read_text())
        if "pyproject.toml" in links
        else ""
    )
    changes += "".join(linked(*link) for link in links.items()) + added("beside.txt", "made\n")
    with h5py.File(path, "r+") as file:
        with_changes(file, changes)
        if source:
            add_source(source, "# [core]\n")(file)
    code, said = verb("restore", str(path), "then", "--git", str(repo.folder))
    assert code in (0, 4), said
    then = repo.folder / "then"
    assert (then / "beside.txt").read_text() == "made\n"  # the changes were made
    assert not [path for path in then.rglob("*") if path.is_symlink()]
    for name in links:
        assert f"{name}: a link or a submodule among what differed; it is not made" in said
    assert not (repo.folder / "outside").exists()
    assert not [path for path in (then / ".git").rglob("*") if path.is_file() and is_ours(path)]


def added(path, text, mode="100644"):
    head = f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n"
    return f"{head}@@ -0,0 +1,{text.count(chr(10))} @@\n" + "".join(
        f"+{line}\n" for line in text.splitlines()
    )


def test_recorded_changes_make_no_submodules_nor_turn_files_into_links(repo):
    """What was a file, or a link of the project's own, stays what it is in the commit."""
    (repo.folder / "own").symlink_to("lib.py")
    repo.init(committed=False).git("add", "own")
    repo.git("add", "sim_a.py", "lib.py", "pyproject.toml")
    repo.commit("first")
    path = repo.run()[0].path
    sub = added("sub", f"Subproject commit {'1' * 40}\n", "160000")
    tail = "\\ No newline at end of file\n"
    other = f"diff --git a/own b/own\n--- a/own\n+++ b/own\n@@ -1 +1 @@\n-lib.py\n{tail}+../outside\n{tail}"
    turned = removed("lib.py", (repo.folder / "lib.py").read_text()) + linked("lib.py", "../outside")
    with h5py.File(path, "r+") as file:
        with_changes(file, sub + other.replace("b/own\n---", "b/own\nindex 0..1 120000\n---") + turned)
    code, said = verb("restore", str(path), "then", "--git", str(repo.folder))
    assert code == 0, said
    then = repo.folder / "then"
    assert (then / "own").readlink().name == "lib.py"
    assert not (then / "lib.py").is_symlink()
    assert not (then / "sub").exists()
    assert [word for word in ("sub", "own", "lib.py") if f"{word}: a link or a submodule among" in said] == [
        "sub", "own", "lib.py",
    ]  # fmt: skip
    assert repo.git("status", "--porcelain", "-uno", folder=then) == ""


def test_git_starts_nothing_for_recorded_changes(repo, tmp_path):
    """The user's own settings may look for programs in the working tree, or have filters that fetch."""
    path = repo.init().run()[0].path
    mark = tmp_path / "ran"
    program = f'#!/bin/sh\necho "$0 $*" >> {mark}\ncat\n'
    for hook in ("post-index-change", "post-checkout", "reference-transaction", "fsmonitor"):
        with (tmp_path / "gitconfig").open("a") as settings:
            settings.write(f'[core]\nhooksPath = .hooks\nfsmonitor = .hooks/fsmonitor\n[filter "{hook}"]\n')
            settings.write(f"smudge = .hooks/{hook}\nclean = .hooks/{hook}\nrequired = false\n")
    changes = "".join(
        added(f".hooks/{hook}", program, "100755")
        for hook in ("post-index-change", "post-checkout", "reference-transaction", "fsmonitor")
    )
    changes += added(".gitattributes", "*.txt filter=fsmonitor\n") + added("a.txt", "text\n")
    with h5py.File(path, "r+") as file:
        with_changes(file, changes)
    code, said = verb("restore", str(path), "then", "--git", str(repo.folder))
    assert code == 0, said
    assert (repo.folder / "then/a.txt").read_text() == "text\n"
    assert not mark.exists(), mark.read_text()


def test_a_repository_that_came_with_a_file_is_not_taken(repo, tmp_path, monkeypatch):
    """An archive of a stranger's may hold a repository whose settings are programs."""
    path = repo.init().run()[0].path
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    code, said = verb("restore", str(path), "then", "--git")
    assert code == 4
    assert f"{elsewhere} is in no git repository; name the project's with --git=REPOSITORY" in said
    assert not (elsewhere / "then").exists()
    assert verb("restore", str(path), "then", "--git", str(repo.folder))[0] == 0


@pytest.mark.parametrize("program", ["ext::{mark} ext", "ssh://host/folder"])
def test_nothing_that_a_repository_names_is_started(repo, tmp_path, monkeypatch, program):
    """Hooks, filters, the program that fetches what is missing: also where one stands in it."""
    (repo.folder / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    repo.init(committed=False).git("add", ".gitattributes")
    repo.git("add", "sim_a.py", "lib.py", "pyproject.toml")
    repo.commit("first")
    path = repo.run()[0].path
    mark = tmp_path / "mark"
    mark.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    mark.chmod(0o755)
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-receive", "update"):
        (repo.folder / ".git/hooks" / hook).symlink_to(mark)
    for key in (
        "core.fsmonitor", "core.sshCommand", "core.pager", "core.askPass", "core.alternateRefsCommand",
        "uploadpack.packObjectsHook", "filter.evil.smudge", "filter.evil.clean", "filter.evil.process",
        "diff.evil.textconv", "diff.evil.command", "diff.external", "credential.helper", "alias.fetch",
    ):  # fmt: skip
        repo.git("config", key, str(mark))
    monkeypatch.chdir(repo.folder)
    code, said = verb("restore", str(path), "whole", "--git")
    assert (code, (repo.folder / "whole/lib.py").exists()) == (0, True), said
    for key, value in (
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "evil"), ("remote.evil.promisor", "true"),
        ("protocol.ext.allow", "always"), ("remote.evil.url", program.format(mark=mark)),
    ):  # fmt: skip
        repo.git("config", key, value)
    blob = repo.git("rev-parse", "HEAD:lib.py")
    (repo.folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    code, said = verb("restore", str(path), "then", "--git")
    assert (code, "could not be checked out from" in said) == (4, True)
    assert not (tmp_path / "ran").exists()


def test_a_restore_within_a_hook_works_in_its_own_folder(repo, monkeypatch):
    """Git tells a hook its repository by the environment: it was that one that was checked out anew."""
    path = repo.init().run()[0].path
    (repo.folder / "lib.py").write_text("# under way\n")
    repo.git("add", "lib.py")
    repo.commit("second")
    monkeypatch.setenv("GIT_DIR", str(repo.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repo.folder / ".git/index"))
    code, said = verb("restore", str(path), "then", "--git", str(repo.folder))
    assert code == 0, said
    monkeypatch.undo()
    assert (repo.folder / "then/lib.py").read_text() == LIB
    assert repo.git("symbolic-ref", "HEAD") == "refs/heads/main"


def is_ours(path):
    return path.read_bytes().startswith((b"# [core]", b"# as recorded by simkit"))


PACKAGES = [
    ("evil", "1\n--index-url http://x"), ("evil", "1\n./folder"), ("evil", "1 ; --hash"), ("evil", "1\r./x"),
    ("-r", "1"), ("evil\n./x", "1"), ("evil @ file:///x", "1"), ("evil", "@ file:///x"), ("../evil", "1"),
    ("evil", "1.0 "), ("evil", ["1"]), ("evil", "1\u2028./x"), ("e vil", "1"), ("evil", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "version"), PACKAGES)
def test_pip_sees_only_names_and_versions(crafted, name, version):
    file = crafted(edit("packages", lambda packages: packages.update({name: version})))
    assert verb("restore", str(file), "then")[0] == 0
    lines = (file.parent / "then" / "requirements.txt").read_text().splitlines()
    assert not [line for line in lines if "evil" in line or "./" in line or line.startswith("-")]
    assert all(line.startswith("#") or "==" in line or " @ " in line for line in lines)


@pytest.mark.parametrize(
    "origin",
    [
        "git+ssh://-oProxyCommand=x/y@abc", "git+ext::sh -c x@abc", "git+https://h/x@abc\n./y", "git+https://h/x@--upload",
        "evil+https://h/x@abc", "git+https://h/x@abc#egg=./y", "git+https://h/$(x)@abc",
    ],
)  # fmt: skip
def test_an_origin_that_simkit_does_not_record_is_left_to_hands(crafted, origin):
    def change(file):
        edit("packages", lambda packages: packages.update(mine="1.0"))(file)
        edit("origins", lambda origins: origins.update(mine=origin))(file)

    file = crafted(change)
    assert verb("restore", str(file), "then")[0] == 0
    lines = (file.parent / "then" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if "mine" in line] == ["# not from an index, install by hand: mine 1.0"]


@pytest.mark.parametrize("fact", ["simkit", "python"])
def test_no_version_begins_a_line_of_its_own(crafted, fact):
    file = crafted(lambda file: file["f/info/001"].attrs.__setitem__(fact, "1\n./folder"))
    assert verb("restore", str(file), "then")[0] == 0
    assert "./folder" not in (file.parent / "then" / "requirements.txt").read_text()


@pytest.mark.parametrize(
    "node_id", ["../evil.py::f", "a/../../evil.py::f", "{outer}/evil.py::f", "x\\..\\evil.py::f"]
)
def test_verify_imports_nothing_that_a_node_id_chooses(crafted, tmp_path, node_id):
    (tmp_path / "outer" / "simconf.py").write_text("import os; os.mkdir('ran')\n")
    try:
        chosen = node_id.replace("{outer}", str(tmp_path / "outer"))

        def change(file):
            file["f"].attrs["node_id"] = chosen
            file["f"].attrs["codecs"] = json.dumps(["mine"])

        file = crafted(change)
        with pytest.warns(UserWarning, match="'mine' is not known here"):
            code, said = verb("verify", str(file))
        assert (code, "call traj.replay(run, f) with the function" in said) == (4, True)
        with (
            pytest.warns(UserWarning, match="'mine' is not known here"),
            simkit.open(file) as trajectory,
            pytest.raises(SimkitError, match="outside of any project"),
        ):
            trajectory.replay(0)
    finally:
        (tmp_path / "outer" / "simconf.py").unlink()


def external_link(file):
    del file["f/results/z"]
    file["f/results/z"] = h5py.ExternalLink("../secret.txt", "/x")


def link_at_the_top(file):
    file["g"] = h5py.ExternalLink("../secret.txt", "/x")


def link_in_the_sessions(file):
    file["f/info/002"] = h5py.ExternalLink("../secret.txt", "/x")


def external_storage(name):
    def change(file):
        attributes = dict(file[name].attrs)
        dtype, shape = file[name].dtype, file[name].shape
        del file[name]
        made = file.create_dataset(name, shape, dtype, external=[("../secret.txt", 0, h5py.h5f.UNLIMITED)])
        made.attrs.update(attributes)

    return change


def virtual(source):
    def change(file):
        attributes = dict(file["f/results/z"].attrs)
        del file["f/results/z"]
        layout = h5py.VirtualLayout((2,), "f8")
        layout[:] = h5py.VirtualSource(source, "/z", (2,))
        file.create_virtual_dataset("f/results/z", layout).attrs.update(attributes)

    return change


VERBS = [("show", "a.h5"), ("show", "a.h5", "--run", "0"), ("export", "a.h5", "o.csv"), ("export", "a.h5", "o.h5"),
         ("diff", "a.h5", "a.h5"), ("merge", "m.h5", "a.h5"), ("show", "a.h5", "--provenance")]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        external_link, link_at_the_top, link_in_the_sessions, external_storage("f/results/z"),
        external_storage("f/runs/status"), external_storage("f/runs/seconds"), virtual("../secret.h5"),
        virtual("/etc/x.h5"), virtual("a.shards/../../secret.h5"), virtual("other.shards/0.h5"),
    ],
)  # fmt: skip
def test_nothing_outside_of_the_file_is_read(crafted, change):
    crafted(change)
    for arguments in VERBS:
        code, said = verb(*arguments)
        assert code == 4, (arguments, said)
        assert "refused, since simkit records nothing of the kind" in said
        assert "secret\n" not in said


def huge(name, shape, dtype="f8", **options):
    def change(file):
        attributes = dict(file[name].attrs) if name in file else {}
        if name in file:
            del file[name]
        file.create_dataset(name, shape, dtype, **options).attrs.update(attributes)

    return change


@pytest.mark.parametrize(
    "change",
    [
        huge("f/runs/status", (10**12,), "u1", chunks=(64,)),
        huge("f/results/z", (10**12,), chunks=(64,)),
        huge("f/results/z", (2, 10**10), chunks=(1, 64)),
        huge("f/results/z", (2,), "S2000000000", chunks=(1,)),
        huge("f/results/z", (2, 2**28), chunks=(1, 2**28)),
        huge("f/results/v", (2, 10**10), "i8", chunks=(1, 64)),
        huge("f/parameters/label", (), "S2000000000"),
        huge("f/runs/notes/run", (10**11,), "i8", chunks=(64,)),
        huge("f/info/sources/" + "0" * 64, (1,), "S2000000000", chunks=(1,)),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process's own peak")
def test_a_size_that_nothing_stands_for_takes_no_memory(crafted, recorded, change):
    """Ten times such a file is little; 64 MiB are never thought to be much."""
    file = crafted(change)
    small = [[str(recorded) if word == "a.h5" else word for word in words] for words in VERBS[:5]]
    codes, taken, said = growth(
        [words if words[0] != "export" else [*words, "--force"] for words in small],
        [[word.replace("o.", "p.") for word in words] for words in VERBS[:5]],
        file.parent,
    )
    assert codes == [4] * 5, said
    assert taken <= PLENTY, (taken, said)


def test_many_rows_that_are_pending_are_no_attack(tmp_path):
    path = tmp_path / "many.h5"

    def f(x):
        return {"v": np.zeros(1000)}

    simkit.run(f, simkit.product(x=range(300_000)).where("x < 3"), output=path).close()
    with simkit.open(path) as trajectory:
        assert trajectory["v"].shape == (3, 1000)


MOVING = set("\x1b\x07\r\x9b\u202e")
CONTROLS = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202e"


# Each verb with the words that show most of a file; `serve` answers a browser: tests/serve/test_app.py.
SHOWING = {
    "show": [("a.h5",), ("a.h5", "--run", "0"), ("a.h5", "--run", "1"), ("a.h5", "--provenance"), ("a.h5", CONTROLS),
             ("a.h5", "--json"), (CONTROLS,)],
    "export": [("a.h5", "o.csv"), ("a.h5", "o.h5"), ("a.h5", "o.nc"), ("a.h5", "o.parquet"), ("a.h5", "o/"),
               ("a.h5", "p.csv", "--names", CONTROLS), ("a.h5", f"{CONTROLS}.csv"),
               ("a.h5", "q.csv", "--where", CONTROLS)],
    "merge": [("m.h5", "a.h5"), ("m2.h5", "a.h5", CONTROLS), (f"{CONTROLS}.h5", "a.h5")],
    "verify": [("a.h5",), ("--file", "a.h5"), ("--file", CONTROLS), ("a.h5", "--where", CONTROLS)],
    "diff": [("a.h5", "a.h5"), ("a.h5", "whole.h5"), ("whole.h5", "a.h5"), ("a.h5", CONTROLS)],
    "restore": [("a.h5", "then"), ("a.h5", f"then{CONTROLS}"), (CONTROLS, "then2")],
    "repair": [("a.h5",), (".",), (CONTROLS,)],
    "watch": [("a.h5",), ("a.h5", "--json"), (CONTROLS,)],
    "report": [("a.h5", "-o", "a.html"), ("a.h5", "-o", f"{CONTROLS}.html"), (CONTROLS,)],
    "list": [("a.h5",), (), ("a.h5", "--json"), (CONTROLS,)],
    "rename": [("a.h5", f"v{CONTROLS}", "w"), ("a.h5", "z", f"u{CONTROLS}"), ("z", f"u{CONTROLS}"),
               (f"f{CONTROLS}", "g")],
}  # fmt: skip


def of_controls(file):
    """Every text of the file that a verb may show says more than it should."""
    file["f"].attrs["node_id"] = f"sim_f.py::f{CONTROLS}"
    file["f"].attrs["doc"] = CONTROLS
    for name in ("command", "host", "user", "platform", "cpu", "reason", "engine"):
        file["f/info/001"].attrs[name] = f"x{CONTROLS}"
    file["f/parameters/label"].attrs["comment"] = CONTROLS
    file["f/results/z"].attrs["unit"] = CONTROLS
    file["f/results"].move("v", f"v{CONTROLS}")
    edit("packages", lambda packages: packages.update({CONTROLS: CONTROLS}))(file)
    add_source(f"a{CONTROLS}.py")(file)


@pytest.mark.parametrize("name", [*SHOWING])
def test_no_verb_lets_a_file_or_a_word_move_the_cursor(crafted, recorded, name):
    shutil.copy(recorded, crafted(of_controls).with_name("whole.h5"))
    for arguments in SHOWING[name]:
        code, said = verb(name, *arguments)
        assert code != 3, (arguments, said)
        assert not MOVING & set(said), (arguments, said)


def test_every_verb_is_among_those_that_are_tried():
    tried = [*SHOWING, "serve"]
    assert sorted(tried) == sorted(_VERBS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--co",), ("--parameters",), ("--where", f"label == 'b{CONTROLS}'"), ("-k", CONTROLS), (CONTROLS,),
        (f"sim_f.py::{CONTROLS}",), (f"sim_f.py::f[label={CONTROLS}]",), ("--set", f"label={CONTROLS}", "--co"),
        ("--set", f"{CONTROLS}=1"), ("--product", f"label={CONTROLS}", "--co"), ("--params", "a.h5"),
        ("--params", CONTROLS), ("--into", "a.h5"), ("--into", CONTROLS), ("--seed", CONTROLS), ("--engine", CONTROLS),
        (f"--{CONTROLS}",), ("--timeout", CONTROLS), ("--shard", CONTROLS), ("-n", CONTROLS),
        ("-n", "0", "--output", f"o{CONTROLS}.h5"), ("-n", "0", "--output", "a.h5"), ("--sample", CONTROLS, "x=0:1"),
    ],
    ids=lambda words: " ".join(words).replace(CONTROLS, "…"),
)  # fmt: skip
def test_no_study_lets_a_file_or_a_word_move_the_cursor(crafted, arguments):
    home = crafted(of_controls).parent
    (home / "sim_f.py").write_text(SOURCE)
    done = subprocess.run(
        [sys.executable, "-m", "simkit", *arguments],
        check=False,
        cwd=home,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode in (0, 2, 4, 5), said
    assert not MOVING & set(said), said


WATCH = """
import os, sys

def seen(event, arguments):
    is_asked = event.split(".")[0] in ("socket", "urllib", "http", "ftplib", "smtplib")
    is_asked &= event not in ("socket.__new__", "socket.bind")
    is_asked &= not (event == "socket.connect" and isinstance(arguments[1], (str, bytes)))  # our own processes
    starts = event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.startfile")
    program = os.path.basename(os.fsdecode(arguments[0])) if starts else ""
    is_known = program.startswith("python") or program == "uname"  # by the standard library's `platform`
    if is_asked or (starts and not is_known):
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{event} {arguments!r}\\n")

sys.addaudithook(seen)
"""
ADDRESS = "http://127.0.0.1:9/x"


def of_addresses(file):
    """Every text of the file that could be taken for a place to fetch something from."""
    of_controls(file)
    file["f"].attrs["node_id"] = f"{ADDRESS}.py::f"
    file["f"].attrs["doc"] = f"![a]({ADDRESS}) <img src={ADDRESS}>"
    for name in ("command", "host", "user", "platform", "cpu", "reason", "engine"):
        file["f/info/001"].attrs[name] = ADDRESS
    file["f/info/001"].attrs["engine"] = "dask"
    edit("packages", lambda packages: packages.update(evil="1.0"))(file)
    edit("origins", lambda origins: origins.update(evil=f"git+{ADDRESS}@abc"))(file)
    edit("git", lambda git: git.update(commit="1" * 40, remote=ADDRESS, snapshot="2" * 40))(file)
    file["f/results/z"].attrs["codec"] = ADDRESS


@pytest.mark.parametrize("name", [*SHOWING])
@pytest.mark.parametrize("change", [of_addresses, edit("sources", dict.clear)], ids=["all", "few"])
def test_no_verb_fetches_anything_or_starts_another_program(crafted, recorded, tmp_path, name, change):
    """Sockets and programs of the verb's process and of those that it starts; only Python may be started."""
    home = crafted(change).parent
    shutil.copy(recorded, home / "whole.h5")
    (home / "watch").mkdir()
    (home / "watch/sitecustomize.py").write_text(WATCH)
    lines = [words for words in SHOWING[name] if CONTROLS not in "".join(words)]
    script = f"from simkit.cli.main import main\nprint([main(['{name}', *words]) for words in {lines!r}])"
    environment = {**os.environ, "PYTHONPATH": str(home / "watch"), "SEEN": str(home / "seen")}
    watched = "import socket; socket.getaddrinfo('localhost', 9)"  # that the hook hears is seen
    for code in (watched, script):
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert "[" in done.stdout
    assert [line.split(" ")[0] for line in (home / "seen").read_text().splitlines()] == ["socket.getaddrinfo"]


def test_no_object_lets_a_file_move_the_cursor(crafted):
    with simkit.open(crafted(of_controls)) as trajectory:
        for text in (repr(trajectory), repr(trajectory.runs[0]), repr(trajectory.results)):
            assert not MOVING & set(text)


def test_nothing_of_a_file_is_html_in_a_notebook(crafted):
    script = "<script>alert(1)</script>"

    def change(file):
        file["f/parameters/label"].attrs["comment"] = script
        file["f/results/z"].attrs["unit"] = script
        file["f/results"].move("v", "<img src=x onerror=alert(1)>")

    with simkit.open(crafted(change)) as trajectory:
        pages = [trajectory, trajectory.results, trajectory.runs[0], trajectory.parameters]
        html = "".join(page._repr_html_() for page in pages)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("name", ["packages", "sources", "origins", "git", "environment"])
@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[1]", "7"])
def test_facts_that_are_no_mappings_are_an_error(crafted, name, text):
    def change(file):
        attributes = file["f/info/001"].attrs
        texts = json.loads(attributes.get("texts", "{}"))
        texts.pop(name, None)
        attributes["texts"] = json.dumps(texts)
        if len(text) > 60_000:
            digest = hashlib.sha256(text.encode()).hexdigest()
            file["f/info/sources"].create_dataset(digest, data=np.array([text.encode()], f"S{len(text)}"))
            attributes["texts"] = json.dumps({**texts, name: digest})
        else:
            attributes[name] = text

    crafted(change)
    for arguments in (("show", "a.h5", "--provenance"), ("restore", "a.h5", "then")):
        code, said = verb(*arguments)
        assert (code, f"session's {name} can't be read" in said) == (4, True), said
