"""What a worker process does: its output, its fixtures, its start."""

from __future__ import annotations

import os
import re
import struct
import threading
from multiprocessing import Pipe
from pathlib import Path

import pytest

from simkit.execute.processes.worker import read_frame, send_frame

# Output


@pytest.mark.parametrize("way", [["-n", "2"], ["-n", "1", "--start-method", "spawn"]])
def test_the_output_of_a_run_is_its_log(project, way):
    project.file(
        "sim_talk.py",
        """
        import logging, os, subprocess, sys, warnings
        from simkit import experiment, product

        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
        say = sys.stdout.write  # taken before a worker redirects anything

        @experiment
        @product(i=range(300))
        def talk(i):
            if i % 3 == 0:
                return
            print("print", i)
            logging.info("log %d", i)
            os.write(1, b"raw %d\\n" % i)
            print("error", i, file=sys.stderr)
            say(f"early {i}\\n")
            if i % 100 == 1:
                os.system(f"echo shell {i}")
                subprocess.run(["sh", "-c", f"echo child {i} >&2"])
            if i % 100 == 2:
                print("no newline", i, "é", end="")
            if i == 50:
                raise ValueError("after talking")
        """,
    )
    result = project.simkit(*way)
    assert result.code == 1
    assert "print 1\n" not in result.out
    assert "log 1\n" not in result.err
    traj = project.open("talk-001")
    for i in range(300):
        expected = []
        if i % 3:
            expected = [f"print {i}", f"INFO log {i}", f"raw {i}", f"error {i}", f"early {i}"]
            expected += [f"shell {i}", f"child {i}"] * (i % 100 == 1)
            expected += [f"no newline {i} é"] * (i % 100 == 2)
        assert sorted(traj.log(i).splitlines()) == sorted(expected), i
    assert traj.log(1).splitlines()[:3] == ["print 1", "INFO log 1", "raw 1"]
    assert traj.status[50] == "failed"


def test_very_long_output_keeps_its_beginning_and_its_end(project):
    project.file(
        "sim_long.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[0, 1])
        def long(x):
            print("first", x)
            if x == 0:
                print("0123456789" * 100_000)
            print("last", x)
        """,
    )
    project.ok()
    traj = project.open("long-001")
    log = traj.log(0)
    assert log.startswith("first 0\n0123456789")
    assert log.endswith("0123456789\nlast 0\n")
    assert len(log) < 200_000
    assert re.search(r"… \d+ bytes of output cut here …", log)
    assert traj.log(1) == "first 1\nlast 1\n"


def test_a_run_that_closes_or_redirects_its_streams_does_no_harm(project):
    project.file(
        "sim_close.py",
        """
        import contextlib, io, os, sys
        from simkit import experiment, product

        @experiment
        @product(x=[0, 1, 2])
        def close(x):
            if x == 0:
                with contextlib.redirect_stdout(io.StringIO()):
                    print("swallowed")
                print("told")
            if x == 1:
                sys.stdout.close()
            if x == 2:
                os.write(2, b"alive")
            return x
        """,
    )
    result = project.ok("-n", "1")
    traj = project.open("close-001")
    assert traj["result"].tolist() == [0, 1, 2]
    assert [traj.log(i) for i in range(3)] == ["told\n", "", "alive"]
    assert "swallowed" not in result.out


# Starting


def test_a_worker_that_cannot_start_says_why(project):
    project.file(
        "sim_owner.py",
        """
        import multiprocess
        from simkit import experiment, product

        if multiprocess.current_process().name != "MainProcess":
            raise RuntimeError("not in here")

        @experiment
        @product(x=[1])
        def owner(x):
            return x
        """,
    )
    result = project.simkit("-n", "2", "--start-method", "spawn")
    assert result.code == 4
    assert "a worker could not start" in result.err
    assert "RuntimeError: not in here" in result.err
    assert "this is a bug" not in result.err
    project.ok("-n", "0")
    assert project.open("owner-001")["result"].tolist() == [1]


def test_fixtures_are_torn_down_in_their_scope_in_every_worker(project):
    project.file(
        "sim_fix.py",
        """
        import os
        from pathlib import Path
        from simkit import experiment, fixture, product

        @fixture(scope="experiment")
        def shared():
            with open(f"shared-{os.getpid()}", "a") as file:
                file.write("up ")
            yield os.getpid()
            with open(f"shared-{os.getpid()}", "a") as file:
                file.write("down ")

        @fixture
        def own(i, shared, workdir):
            (workdir / "data").write_text(str(i))
            yield workdir / "data"
            Path(f"down-{i}").write_text((workdir / "data").read_text())

        @experiment
        @product(i=range(6))
        def fix(i, own, shared):
            if i == 4:
                raise ValueError("torn down all the same")
            return {"path": str(own), "same": shared == os.getpid()}
        """,
    )
    assert project.simkit("-n", "2").code == 1
    traj = project.open("fix-001")
    done = traj.where(status="done")
    assert done["same"].tolist() == [True] * 5
    assert [(project.path / f"down-{i}").read_text() for i in range(6)] == [str(i) for i in range(6)]
    counts = [path.read_text() for path in project.path.glob("shared-*")]
    assert counts
    assert set(counts) == {"up down "}
    assert not any(os.path.exists(path) for path in done["path"])
    kept = re.search(r"working directory is kept: (.+)\)", traj.error(4))
    assert kept is not None
    assert Path(kept[1], "data").read_text() == "4"


def test_what_shared_fixtures_print_is_recorded_and_shown(project):
    project.file(
        "sim_table.py",
        """
        from simkit import experiment, fixture, product

        @fixture(scope="experiment")
        def table():
            print("reading the table")
            yield [1, 2]
            print("closing the table")

        @experiment
        @product(i=[0, 1])
        def look_up(i, table):
            return table[i]
        """,
    )
    told = project.ok("-n", "2").out
    assert "sim_table.py::look_up: fixtures printed when they were torn down\n    closing the table\n" in told
    assert told.count("closing the table") == 1  # though each worker prints it
    with project.open("look_up-001") as traj:
        assert "reading the table" in traj.log(0) + traj.log(1)
        assert traj.info.sessions[-1]["printed"] == "closing the table\n"
    provenance = project.ok("show", "look_up", "--provenance").out
    assert re.search("printed +closing the table\n", provenance)


DRAWN = """
    import sys
    from simkit import experiment, explore

    TEXTS = {
        "bar": ("".join(f"\\rstep {i}" for i in range(300)) + "\\ndone\\n", "step 299\\ndone\\n"),
        "without an end": ("".join(f"\\r{i} %" for i in range(101)), "100 %"),
        "cleared": ("\\rstep 1\\rstep 2\\r      \\rready\\n", "ready\\n"),
        "blank at last": ("\\rstep 1\\rstep 2\\r      \\r", "step 2\\r"),
        "windows": ("one\\r\\ntwo\\r\\n", "one\\r\\ntwo\\r\\n"),
        "before and after": ("begin\\nx\\ry\\nend", "begin\\ny\\nend"),
        "very long": ("".join(f"\\r{i:0100}" for i in range(5000)) + "\\nlast\\n", f"{4999:0100}\\nlast\\n"),
        "words": ("\\ré 1\\ré 2\\n", "é 2\\n"),
    }

    @experiment
    @explore(kind=list(TEXTS))
    def drawn(kind):
        sys.stderr.write(TEXTS[kind][0])
        return TEXTS[kind][1]
    """


def test_of_a_progress_bar_the_log_keeps_the_last_state(project):
    project.file("sim_drawn.py", DRAWN)
    project.ok("-n", "1")
    traj = project.open("drawn-001")
    for i, kind in enumerate(traj["kind"].tolist()):
        assert traj.log(i) == traj["result"][i], kind


SIZES = [0, 1, 4, 16_383, 16_384, 16_385, 65_536, 1_000_003]


@pytest.mark.parametrize("is_read", [False, True])
def test_messages_are_those_of_a_connection_of_any_size(is_read):
    """Each way the other end is Python's own; longer ones than a pipe takes at once come in parts."""
    ours, theirs = Pipe()
    messages = [os.urandom(size) for size in SIZES]

    def send():
        for message in messages:
            if is_read:
                theirs.send_bytes(message)
            else:
                send_frame(theirs, memoryview(message) if len(message) > 4 else message)

    sender = threading.Thread(target=send)
    sender.start()
    got = [read_frame(ours) if is_read else ours.recv_bytes() for _ in messages]
    sender.join()
    assert got == messages


@pytest.mark.skipif(os.name != "posix", reason="pipes are no files")
@pytest.mark.parametrize("sent", [b"", b"\0", struct.pack("!i", 3), struct.pack("!i", 3) + b"ab"])
def test_a_message_that_is_cut_short_is_the_end(sent):
    ours, theirs = Pipe()
    os.write(theirs.fileno(), sent)
    theirs.close()
    with pytest.raises(EOFError):
        read_frame(ours)


@pytest.mark.skipif(os.name != "posix", reason="pipes are no files")
def test_the_length_of_very_long_messages_is_understood():
    ours, theirs = Pipe()
    os.write(theirs.fileno(), struct.pack("!iQ", -1, 3) + b"abcd")
    assert read_frame(ours) == b"abc"
