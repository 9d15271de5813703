from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from simkit import Run, SimkitError
from simkit.declare.external import CommandFailed, descendants

PYTHON = sys.executable
needs_groups = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")


@pytest.fixture
def run(tmp_path):
    return Run(workdir=tmp_path)


def is_alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def ends(process: int) -> bool:
    """Whether a process that was killed is gone, as soon as the system comes to it."""
    deadline = time.monotonic() + 300
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(process)


def test_a_program_runs_in_the_folder_of_the_run_and_gives_what_it_wrote(run, tmp_path, capfd):
    done = run.command([PYTHON, "-c", "import os, sys; print(os.getcwd()); print('odd', file=sys.stderr)"])
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path}{os.linesep}".encode()
    assert done.stderr.strip() == b"odd"
    shown = capfd.readouterr()
    assert (shown.out.strip(), shown.err.strip()) == (str(tmp_path), "odd")


def test_output_is_bytes_unless_text_is_asked_for(run):
    code = "import sys; sys.stdout.buffer.write(b'\\xff\\x00gr\\xc3\\xbc')"
    assert run.command([PYTHON, "-c", code]).stdout == b"\xff\x00gr\xc3\xbc"
    assert run.command([PYTHON, "-c", code], text=True).stdout == "\\xff\0grü"


def test_nothing_in_the_arguments_is_expanded(run, tmp_path):
    (tmp_path / "a.dat").touch()
    odd = ["*.dat", "$HOME", "~", "a b", "", "; rm -rf x", "ü"]
    done = run.command([PYTHON, "-c", "import sys; print(ascii(sys.argv[1:]))", *odd])
    assert done.stdout.decode().strip() == ascii(odd)


def test_numbers_and_paths_are_arguments_with_all_their_digits(run):
    values = [1, 0.1, 1 / 3, np.float64(1e-300), np.int64(7), Path("x")]
    done = run.command([PYTHON, "-c", "import sys; print(' '.join(sys.argv[1:]))", *values])
    assert done.stdout.split() == [b"1", b"0.1", b"0.3333333333333333", b"1e-300", b"7", b"x"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("ls -l", r"as a list, such as \['ls', '-l'\]"),
        (b"ls", "as a list"),
        (Path("solver"), "as a list"),
        ([], "the list is empty"),
        (["ls", None], "argument 1 is None"),
        (["ls", True], "argument 1 is True"),
        (["ls", [1, 2]], r"argument 1 is \[1, 2\]"),
        (["ls\0"], "null byte"),
        (["nosuchprogram"], "no program 'nosuchprogram' along PATH; write ./NAME"),
        (["./nosuchprogram"], "no program './nosuchprogram' in the run's folder"),
    ],
)
def test_what_can_not_be_started_is_an_error_that_says_why(run, arguments, words):
    with pytest.raises(SimkitError, match=words):
        run.command(arguments)
    assert run.commands == ()


@needs_groups
@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"#!/bin/sh\n", 0o644, "may not be executed: chmod"),
        (b"#!/no/such/shell\n", 0o755, "is there, but what its first line"),
        (b"\x7fno program", 0o755, "no program for this machine"),
    ],
)
def test_a_file_that_is_no_program_is_told_from_one_that_is_not_there(run, tmp_path, content, mode, words):
    (tmp_path / "solver").write_bytes(content)
    (tmp_path / "solver").chmod(mode)
    with pytest.raises(SimkitError, match=words):
        run.command(["./solver"])


def test_another_exit_code_than_zero_is_an_error_with_the_last_words(run):
    code = "import sys; print('\\n'.join(map(str, range(100))), file=sys.stderr); sys.exit(3)"
    with pytest.raises(subprocess.CalledProcessError) as error:
        run.command([PYTHON, "-c", code])
    assert error.value.returncode == 3
    first, *last = str(error.value).splitlines()
    assert first.endswith("exit code 3")
    assert last == ["…", *map(str, range(88, 100))]
    assert run.command([PYTHON, "-c", "raise SystemExit(3)"], check=False).returncode == 3


@needs_groups
def test_a_program_that_a_signal_ended_is_said_so(run):
    with pytest.raises(subprocess.CalledProcessError, match="killed by SIGSEGV"):
        run.command(["sh", "-c", "kill -SEGV $$"])
    (command,) = run.commands
    assert command.exit_code == -11


def test_exit_codes_and_times_are_kept_also_of_those_that_failed(run):
    run.command([PYTHON, "-c", ""])
    with pytest.raises(subprocess.CalledProcessError):
        run.command([PYTHON, "-c", "raise SystemExit(2)"])
    one, two = run.commands
    assert (one.arguments, one.exit_code) == ((PYTHON, "-c", ""), 0)
    assert two.exit_code == 2
    assert one.seconds > 0


@needs_groups
def test_a_hanging_program_is_killed_with_its_children(run, tmp_path):
    """The child is in the program's process group, the grandchild in one of its own."""
    code = f"""
import os, subprocess, time
child = subprocess.Popen(["sleep", "1000"])
other = subprocess.Popen(["sleep", "1000"], start_new_session=True)
open({str(tmp_path / "pids")!r}, "w").write(f"{{os.getpid()}} {{child.pid}} {{other.pid}}")
print("under way", flush=True)
time.sleep(1000)
"""
    with pytest.raises(subprocess.TimeoutExpired) as error:
        run.command([PYTHON, "-c", code], timeout=3)
    assert "killed after 3 s, its timeout" in str(error.value)
    assert error.value.output.strip() == b"under way"
    pids = list(map(int, (tmp_path / "pids").read_text().split()))
    assert len(pids) == 3
    assert all(map(ends, pids))


def test_a_program_has_as_long_as_its_timeout(run):
    assert run.command([PYTHON, "-c", "print(1)"], timeout="10min").stdout.strip() == b"1"
    with pytest.raises(SimkitError, match=r"run.command\(\): timeout='soon'"):
        run.command([PYTHON, "-c", ""], timeout="soon")


@needs_groups
def test_what_a_program_leaves_behind_ends_with_it(run, tmp_path):
    """It holds the program's output open, which would never end."""
    done = run.command(["sh", "-c", "sleep 1000 & echo $!"])
    assert ends(int(done.stdout))


@needs_groups
def test_ctrl_c_within_a_program_kills_it(tmp_path):
    code = f"""
import os, signal, threading, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from simkit import Run
run = Run(workdir={str(tmp_path)!r})
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    run.command(["sh", "-c", "echo $$ > pid; exec sleep 1000"])
except KeyboardInterrupt:
    print("interrupted", run.commands[0].exit_code)
"""
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "interrupted -9\n"
    assert ends(int((tmp_path / "pid").read_text()))


def test_the_environment_is_that_of_the_run_with_changes(run, monkeypatch):
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("GONE", "1")
    code = "import os; print(*(os.environ.get(name) for name in ('KEPT', 'GONE', 'NEW')))"
    done = run.command([PYTHON, "-c", code], env={"GONE": None, "NEW": 0.5})
    assert done.stdout.split() == [b"1", b"None", b"0.5"]
    assert os.environ["GONE"] == "1"
    with pytest.raises(SimkitError, match="env="):
        run.command([PYTHON], env={"X": ["a"]})


ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"


def test_input_is_nothing_or_bytes_or_a_file(run, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"from a file\xff")
    large = bytes(range(256)) * 4096
    assert run.command([PYTHON, "-c", ECHO]).stdout == b""
    assert run.command([PYTHON, "-c", ECHO], stdin="in.txt").stdout == b"from a file\xff"
    assert run.command([PYTHON, "-c", ECHO], stdin=large).stdout == large
    with pytest.raises(SimkitError, match=r"nothing.txt: No such file"):
        run.command([PYTHON, "-c", ECHO], stdin="nothing.txt")


def test_output_may_go_to_a_file_instead(run, tmp_path, capfd):
    done = run.command([PYTHON, "-c", "import sys; print(1); print(2, file=sys.stderr)"], stdout="out.txt")
    assert (done.stdout, done.stderr.strip()) == (None, b"2")
    assert (tmp_path / "out.txt").read_bytes().strip() == b"1"
    assert capfd.readouterr().out == ""
    with pytest.raises(SimkitError, match=r"no/out.txt: No such file"):
        run.command([PYTHON, "-c", ""], stdout="no/out.txt")


def test_large_output_on_both_streams_comes_whole_and_does_not_block(run):
    code = "import sys\nfor i in range(64):\n sys.stdout.write('o' * 50_000)\n sys.stderr.write('e' * 50_000)"
    done = run.command([PYTHON, "-c", code])
    assert (done.stdout, done.stderr) == (b"o" * 3_200_000, b"e" * 3_200_000)
    assert repr(done).startswith(f"<Finished {PYTHON} -c ")


def test_output_that_can_not_be_shown_is_returned_all_the_same(run, monkeypatch):
    closed = open(os.devnull, "w")  # noqa: SIM115
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stdout", stream)
        assert run.command([PYTHON, "-c", "print(1)"]).stdout.strip() == b"1"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_descendants_are_children_and_theirs():
    process = subprocess.Popen(["sh", "-c", "sleep 1000 & echo; wait"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        (child,) = descendants(process.pid)
        assert child in descendants(os.getpid())
        os.kill(child, 9)
        process.wait()


@needs_groups
@pytest.mark.parametrize("arguments", [["sh", "work.sh", "x"], ["./work.sh"]])
def test_a_file_of_the_project_is_not_in_the_runs_folder(tmp_path, monkeypatch, arguments):
    (tmp_path / "work.sh").write_text("#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((CommandFailed, SimkitError)) as error:
        Run().command(arguments)
    (note,) = error.value.__notes__
    named = next(name for name in arguments if "work" in name)
    assert note.startswith(f"(the program runs in the run's folder, and {named} lies in {tmp_path}: ")
    assert note.endswith("Path(__file__).with_name('work.sh'))")


@needs_groups
def test_a_command_that_fails_for_other_reasons_has_no_note(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandFailed) as error:
        Run().command(["sh", "-c", "exit 3"])
    assert not hasattr(error.value, "__notes__")
