"""A project folder, and the real command in it."""

from __future__ import annotations

import compileall
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

import attrs
import pytest
from commands import Forked
from hypothesis import settings
from simulations import MULTIPLY
from studies import Study

import simkit
from simkit.collect.effects import effects
from simkit.declare.plugins import OWN

TIMEOUT = 600  # that a command hangs; how long one takes says more of the load
Record = Callable[..., simkit.Trajectory]

# How long an example takes says more of the machine's load than of simkit. The same tree gives the same verdict:
# new examples are looked for by the long form (--hypothesis-profile=long).
settings.register_profile("simkit", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("long", deadline=None, derandomize=False, max_examples=500)
settings.load_profile("simkit")

# What started the tests may ignore these, as nohup does, and programs inherit that.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (getattr(signal, "SIGHUP", 0), signal.SIG_DFL),
):
    if number and signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

# Tests change a module within the second and size by which Python tells a stale .pyc.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The long versions of the fault suites."""
    group = parser.getgroup("simkit")
    group.addoption("--kills", type=int, default=8, help="how many kill -9 in tests/faults/test_kill.py")
    group.addoption(
        "--mutations", type=int, default=30, help="how many damaged files in tests/record/test_damage.py"
    )
    group.addoption(
        "--exec", action="store_true", help="start each command by exec, and import simkit anew in it"
    )
    group.addoption(
        "--signals", type=int, default=24, help="how many signals in tests/faults/test_signals.py"
    )
    group.addoption(
        "--deaths", type=int, default=3, help="how many processes of engines are killed in tests/execute"
    )
    group.addoption("--cuts", type=int, default=24, help="how many power cuts in tests/faults/test_power.py")


def pytest_configure(config: pytest.Config) -> None:
    """How commands are started; no process compiles simkit for itself."""
    Project.by_exec = config.getoption("--exec")
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(os.path.dirname(simkit.__file__), quiet=2)


@attrs.frozen
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


def clean_environment() -> dict[str, str]:
    """This process's environment without what pytest adds, on a terminal of 100 columns."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return {**kept, "COLUMNS": "100"}


class Project:
    """A folder with a user's files; commands run in it in processes of their own."""

    by_exec = False  # each command, as a user's shell does

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.opened: list[simkit.Trajectory] = []
        self.started: list[subprocess.Popen[str]] = []

    def file(self, name: str, source: str = "") -> Path:
        """Write a file below the project; the source is dedented."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source), encoding="utf-8")
        return path

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``python …`` at the head of a process group of its own."""
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        settings = {"cwd": self.path, "env": clean_environment(), **streams, **options}
        is_plain = command[:2] == ("-m", "simkit") and options.keys() <= {"cwd"} and hasattr(os, "pidfd_open")
        kind = Forked if is_plain and not self.by_exec else subprocess.Popen
        self.started.append(kind([sys.executable, *command], text=True, start_new_session=True, **settings))
        return self.started[-1]

    @contextmanager
    def under_way(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The command while it runs; what is left of it when the test fails is killed."""
        with self.start("-m", "simkit", *arguments) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def python(self, *command: str, stdin: str = "", **options: Any) -> Result:
        """Run ``python …`` to its end."""
        with self.start(*command, **options) as process:
            try:
                out, err = process.communicate(stdin, timeout=TIMEOUT)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return Result(process.returncode, out, err)

    def simkit(self, *arguments: str, stdin: str = "", **options: Any) -> Result:
        """Run the command to its end."""
        return self.python("-m", "simkit", *arguments, stdin=stdin, **options)

    def ok(self, *arguments: str, **options: Any) -> Result:
        """Run the command, which must succeed."""
        result = self.simkit(*arguments, **options)
        assert result.code == 0, result.out + result.err
        return result

    def open(self, file: str, name: str | None = None) -> simkit.Trajectory:
        """Open ``results/<file>.h5``, or another file by its path; closed when the test ends."""
        path = self.path / file if file.endswith(".h5") else self.path / "results" / f"{file}.h5"
        self.opened.append(simkit.open(path, name))
        return self.opened[-1]

    def close(self) -> None:
        """Close what was opened."""
        while self.opened:
            self.opened.pop().close()

    def end(self) -> None:
        """Close what was opened, and kill what a test that failed has left running."""
        self.close()
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def until(self, happened: Callable[[], Any], patience: float = 300) -> Any:
        """Poll until something true comes, and return it; after ``patience`` seconds the test fails."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if found := happened():
                return found
            time.sleep(0.01)
        pytest.fail(f"waited {patience} s in vain; there: {sorted(p.name for p in self.path.iterdir())}")

    def has(self, *names: str) -> bool:
        """Whether all these files are there."""
        return all((self.path / name).exists() for name in names)

    def text(self, name: str) -> str:
        """What a file says; nothing as long as nobody has written it, though it may be there."""
        return (self.path / name).read_text() if self.has(name) else ""


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What a study made this process know, codecs and libraries as they were when new, no later test meets."""
    by_type, by_name, new = dict(OWN.by_type), dict(OWN.by_name), dict(effects().fresh)
    yield
    OWN.by_type, OWN.by_name, effects().fresh = by_type, by_name, new


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project named ``study``."""
    made = Project(tmp_path / "study")
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One project for all tests of a module, for those that only read."""
    made = Project(tmp_path_factory.mktemp("shared") / "study")
    yield made
    made.end()


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """An empty study folder; what is imported from it is forgotten afterwards."""
    root = tmp_path / "study"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(sys.modules)
    yield Study(root)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(root)):
            del sys.modules[name]
    sys.modules.update({name: module for name, module in before.items() if name not in sys.modules})


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """Runs a function over a space and opens what was recorded."""
    opened, number = [], count(1)

    def recorded(function: Any, space: simkit.Space | None = None, **options: Any) -> simkit.Trajectory:
        opened.append(simkit.run(function, space, output=tmp_path / f"traj-{next(number)}.h5", **options))
        return opened[-1]

    yield recorded
    for trajectory in opened:
        trajectory.close()


@pytest.fixture
def multiply(project: Project) -> Project:
    """A project with the first example."""
    project.file("sim_multiply.py", MULTIPLY)
    return project


@pytest.fixture
def go(tmp_path):
    """Run an experiment into one file; the trajectory is closed when the test ends."""
    opened = []

    def run(function, file="f.h5", **options):
        opened.append(simkit.run(function, output=tmp_path / file, **{"seed": 3, **options}))
        return opened[-1]

    yield run
    for traj in opened:
        traj.close()
