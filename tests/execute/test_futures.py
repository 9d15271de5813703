"""Runs through an executor: no run reaches the transport, what it loses is done again, nobody innocent is blamed."""

from __future__ import annotations

import os
import pickle
import signal
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from processes import WAITING, check_ctrl_c, guards_below, kill_all, wrong_values

import simkit
from simkit.declare.external import descendants
from simkit.declare.space import product
from simkit.errors import SimkitError
from simkit.execute import futures
from simkit.execute.agenda import Worklist
from simkit.execute.futures import Futures
from simkit.execute.mailbox import Mailbox
from simkit.execute.tasks import Reply, Task, execute, parted
from simkit.execute.transports import Executors, Pooled
from simkit.testing import engines
from simkit.testing.engines import by_executor, executed, job_of, squares
from simkit.values.batch import Status


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize("check", [*engines.CHECKS, *engines.SUPERVISED])
def test_an_executor_passes_the_public_checks_one_after_the_other(check, pool, tmp_path):
    check(by_executor(pool, tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", engines.SUPERVISED)
def test_a_worker_that_executes_two_runs_at_once_passes_them_too(check, tmp_path):
    with ThreadPoolExecutor(1) as executor:
        check(by_executor(executor, tmp_path, share=2))


def renewable(folder):
    """Makes engines of a pool that is made anew when it breaks; the pools that were made."""
    pools = []

    def make():
        pools.append(ProcessPoolExecutor(2))
        return Pooled.of(pools[-1], "test", is_ours=True)

    return Executors("pool", make), pools


def images(x):
    return {"y": np.full((300, 1000), float(x))}


@pytest.mark.parametrize("is_here", [True, False])
def test_what_the_owners_machine_gives_needs_no_engine_to_carry_it(is_here, pool, tmp_path, monkeypatch):
    """Replies of a guard elsewhere come through the engine; the arrays are the same, and nothing is left behind."""
    if not is_here:
        monkeypatch.setattr(Mailbox, "open", lambda self: None)
    transport = Executors("pool", lambda: Pooled.of(pool, "test", is_ours=False))
    carried, take = [], transport.finished
    monkeypatch.setattr(transport, "finished", lambda seconds: [*map(noted, take(seconds))])

    def noted(outcome):
        carried.append(len(outcome[1]))
        return outcome

    space = product(x=range(30))
    engine = Futures(job_of(images, space), transport, folder=tmp_path)
    sums = {}
    for batch in executed(engine, Worklist(range(30), space.at)):
        sums.update({run: float(y.sum()) for run, y in engines.results_of(batch, "y").items()})
    memory = engine.mailbox.memory
    assert memory.exists() == is_here
    assert not engine.close().problems
    assert not memory.exists()
    assert sums == {run: run * 300_000.0 for run in range(30)}
    assert (sum(carried) < 100_000) == is_here, carried


def outcome(engine, n, space, hear=lambda batch: None):
    status, errors = {}, {}
    for batch in executed(engine, Worklist(range(n), space.at)):
        assert not status.keys() & {*batch.runs.tolist()}
        status.update(zip(batch.runs.tolist(), batch.status.tolist(), strict=True))
        errors.update(batch.errors)
        hear(status)
    assert not engine.close().problems
    return status, errors


@pytest.mark.parametrize("victim", ["guard", "pool", "worker"])
def test_a_killed_guard_pool_or_worker_costs_no_run(victim, tmp_path, pytestconfig):
    """Each time at another moment, three times a study; ``--deaths 20`` is the long version: seven studies."""

    def slow(x):
        import time

        time.sleep(0.005)
        return x

    transport, pools = renewable(tmp_path)
    space, killed, before = product(x=range(300)), [], 0

    def kill(status):
        number = len(killed) - before
        if len(status) > 60 * (number + 1) and number < 3:
            workers = list(pools[-1]._processes)
            victims = workers if victim == "worker" else guards_below(workers)
            if victims:
                killed.append(victims[0])
                kill_all([victims[0], *(descendants(victims[0]) if victim == "pool" else ())])

    try:
        for before in range(0, pytestconfig.getoption("--deaths"), 3):
            engine = Futures(job_of(slow, space), transport, folder=tmp_path)
            status, errors = outcome(engine, 300, space, kill)
            assert len(killed) == before + 3
            assert errors == {}
            assert status == dict.fromkeys(range(300), Status.DONE)
    finally:
        transport.close()
    if victim == "worker":  # none is made anew for one that is killed when nothing is left to do
        assert 1 < len(pools) <= 1 + len(killed)
    else:
        assert len(pools) == 1


def test_a_run_that_kills_its_guard_is_found(tmp_path, pool):
    """Not only its process: it is lost three times, at last alone."""

    def deadly(x):
        if x == 13:
            nursery = os.getppid()
            with open(f"/proc/{nursery}/stat") as file:
                os.kill(int(file.read().rpartition(")")[2].split()[1]), 9)
        return x

    space = product(x=range(40))
    status, errors = outcome(by_executor(pool, tmp_path)(job_of(deadly, space)), 40, space)
    assert {run for run, word in status.items() if word != Status.DONE} == {13}
    assert errors[13].startswith(
        "what executed this run was lost 3 times, at last while nothing else was executed:"
    )
    assert "SIGKILL" in errors[13]
    assert len(status) == 40


class Weighing:
    """An executor that notes what was handed over and not read yet, in bytes of the replies."""

    def __init__(self, pool, width):
        self.pool, self._max_workers = pool, width
        self.events, self.sizes = [], {}

    def submit(self, function, argument):
        number = len(self.sizes)
        self.sizes[number] = 0
        self.events.append((number, 1))
        future = self.pool.submit(function, argument)
        read = future.result

        def result(timeout=None):
            reply = read(timeout)
            self.sizes[number] = len(reply)
            self.events.append((number, -1))
            return reply

        future.result = result
        return future

    @property
    def most(self):
        """The most that was under way at once."""
        under_way = np.cumsum([sign * self.sizes[number] for number, sign in self.events])
        return int(under_way.max())


def test_bytes_under_way_are_bounded_however_many_workers_there_are(pool, tmp_path, monkeypatch):
    """300 results of a megabyte by what says that it has 10 workers; a task has 16 MB of them at most."""
    monkeypatch.setattr(futures, "_FLIGHT", 24_000_000)
    monkeypatch.setattr(Mailbox, "open", lambda self: None)  # all of them come through the executor
    executor, space = Weighing(pool, 10), product(x=range(300))

    def megabyte(x):
        return {"y": np.full(125_000, float(x))}

    engine = by_executor(executor, tmp_path)(job_of(megabyte, space))
    sums = {}
    for batch in executed(engine, Worklist(range(300), space.at)):
        sums.update({run: float(y.sum()) for run, y in engines.results_of(batch, "y").items()})
    assert not engine.close().problems
    assert sums == {run: run * 125_000.0 for run in range(300)}
    assert sum(executor.sizes.values()) > 300_000_000
    assert executor.most < 24_000_000 + 18_000_000


def test_a_run_is_told_of_no_mpi_job_that_its_worker_is_part_of(tmp_path, monkeypatch):
    names = [f"{prefix}RANK" for prefix in ("OMPI_COMM_WORLD_", "PMIX_", "PMI_", "MPI4PY_", "PRTE_")]
    for name in (*names, "MY_OMPI_RANK"):
        monkeypatch.setenv(name, "1")

    def told(x):
        return {"y": ",".join(sorted(name for name in os.environ if name.endswith("RANK")))}

    space, told_of = product(x=[1]), {}
    with ThreadPoolExecutor(1) as executor:
        engine = by_executor(executor, tmp_path)(job_of(told, space))
        for batch in executed(engine, Worklist(range(1), space.at)):
            told_of |= engines.results_of(batch, "y")
        engine.close()
    assert told_of == {0: "MY_OMPI_RANK"}


class Refusing:
    """An executor whose calls all fail."""

    _max_workers = 2

    def __init__(self, error):
        self.error = error

    def submit(self, function, argument):
        future = Future()
        future.set_exception(self.error)
        return future


GONE = "engine Refusing does not answer any more: "
LACKING = "No module named 'simkit'"
UNABLE = f"engine Refusing: its workers can't execute simkit's tasks: ModuleNotFoundError: {LACKING}\n    install the"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError(LACKING), UNABLE),
        (BrokenExecutor("dead"), GONE + "BrokenExecutor: dead\n    what is committed is safe; type the same"),
        (OSError("no route"), GONE + "OSError: no route\n    what is committed is safe; type the same"),
    ],
)
def test_an_engine_that_never_answers_is_the_culprit(error, words, tmp_path):
    space = product(x=[0.0, 1.0])
    engine = by_executor(Refusing(error), tmp_path)(job_of(squares, space))
    with pytest.raises(SimkitError) as caught:
        list(executed(engine, Worklist(range(2), space.at)))
    assert str(caught.value).startswith(words)
    assert not engine.close(now=True).problems


def test_other_versions_on_a_worker_are_an_error_that_lists_them(tmp_path, pool):
    transport = Executors("pool", lambda: Pooled.of(pool, "test", is_ours=False))
    versions = {"numpy": "0.1", "attrs": "", "no-such-package": "3"}
    engine = Futures(job_of(squares, product(x=[0.0])), transport, folder=tmp_path, packages=versions)
    with pytest.raises(SimkitError, match="engine pool: the study can't be executed on ") as caught:
        list(executed(engine, Worklist(range(1), product(x=[0.0]).at)))
    assert f"numpy {np.__version__}, the owner has 0.1" in str(caught.value)
    assert "no-such-package not installed, the owner has 3" in str(caught.value)
    engine.close(now=True)


def test_what_is_no_executor_is_refused():
    with pytest.raises(
        SimkitError, match=r"engine=3: 3 is no executor: give what has submit\(function, argument\)"
    ):
        simkit.run(squares, product(x=[0.0]), engine=3)


# Whole studies

OURS = """
    from concurrent.futures import ProcessPoolExecutor

    def make():
        return ProcessPoolExecutor(2)
"""

STUDY = """
    import numpy as np
    from simkit import experiment, fixture, product

    @fixture(scope="experiment")
    def tool():
        open("set-up", "a").write("x")
        yield 2
        open("torn-down", "a").write("x")
        print("tool closed")

    @experiment
    @product(x=range(200))
    def study(x, rng, tool, factor: float = 0.5):
        if x == 150:
            raise ValueError("odd")
        return {"y": x * factor * tool, "draws": rng.random(3), "ragged": np.arange(x % 5), "word": f"run {x}"}
"""


def test_a_study_is_the_same_by_an_executor_and_on_this_machine(project):
    project.file("sim_study.py", STUDY)
    project.file("ours.py", OURS)
    project.simkit("--seed", "5", "-n", "2")
    result = project.simkit("--seed", "5", "--fresh", "--engine", "ours:make")
    assert result.code == 1, result.out + result.err
    assert "199 done, 1 failed" in result.out
    here, there = project.open("study-001"), project.open("study-002")
    assert there.status.tolist() == here.status.tolist()
    assert wrong_values(there, here) == []
    assert there.info.sessions[-1]["engine"] == "ours:make"
    # A worker that came too late for a run has set nothing up.
    assert (project.path / "torn-down").read_text() == (project.path / "set-up").read_text()
    assert here.info.sessions[-1]["printed"] == there.info.sessions[-1]["printed"] == "tool closed\n"


STAGES = """
    import numpy as np
    from simkit import each, experiment, product

    @experiment(vectorized=True)
    @product(n=range(3), w=[0.5, 1.5])
    def build(n, w, seed):
        return {"weights": np.outer(w, np.arange(3)) + n, "drawn": seed % 1000}

    @experiment
    @each(build, where="w > 1")
    @product(drive=[1.0, 2.0])
    def simulate(build, drive, rng):
        return {"rate": drive * build.weights.sum() + build.n, "noise": rng.random()}

    @experiment
    @each(simulate, by="drive")
    def compare(simulate):
        return {"mean": simulate["rate"].mean(), "runs": len(simulate)}
"""


def test_stages_and_calls_of_many_runs_are_the_same_by_an_executor(project):
    project.file("sim_stages.py", STAGES)
    project.file("ours.py", OURS)
    project.ok("--seed", "5", "-n", "0")
    out = project.ok("--seed", "5", "--fresh", "--engine", "ours:make").out
    assert "14 done" in out, out
    for name in ("build", "simulate", "compare"):
        here, there = project.open(f"{name}-001"), project.open(f"{name}-002")
        assert there.status.tolist() == ["done"] * len(here)
        assert [wrong for wrong in wrong_values(there, here) if ".file[" not in wrong] == []


def test_another_file_on_a_worker_is_an_error_that_says_what_differs(project):
    project.file("sim_study.py", STUDY)
    change = """
        from pathlib import Path
        from concurrent.futures import ProcessPoolExecutor

        def make():
            path = Path(__file__).with_name("sim_study.py")
            text = path.read_text().replace("x * factor * tool", "x * factor - tool")
            path.write_text(text.replace("yield 2", "yield 3"))
            return ProcessPoolExecutor(2)
    """
    project.file("ours.py", change)
    result = project.simkit("--engine", "ours:make")
    assert result.code == 4, result.out + result.err
    assert "engine ours:make: the study can't be executed on " in result.err
    assert "sim_study.py changed while the study was starting" in result.err
    assert "study" in result.err
    assert "tool" in result.err


def test_a_script_hands_over_its_executor_for_several_studies(project):
    source = """
        from concurrent.futures import ProcessPoolExecutor
        import simkit

        def square(x):
            return x * x

        with ProcessPoolExecutor(2) as executor:
            for start in (0, 10, 20):
                traj = simkit.run(square, simkit.product(x=range(start, start + 10)), engine=executor, fresh=True)
                assert traj["result"].tolist() == [x * x for x in range(start, start + 10)]
            assert executor.submit(abs, -1).result() == 1
        print("fine")
    """
    project.file("script.py", source)
    result = project.python("script.py")
    assert result.out == "fine\n", result.err


def test_a_strategy_asks_through_an_executor(tmp_path, pool):
    def climb():
        best = 0.0
        for _ in range(4):
            columns = yield simkit.explore(x=best + np.arange(3.0))
            best = float(columns["y"].max())
        return best

    @simkit.experiment
    @simkit.adaptive(climb)
    def rising(x):
        return {"y": x + 1}

    traj = simkit.run(rising, engine=pool, output=tmp_path / "a.h5")
    assert traj.summary["result"] == 12.0
    traj.close()


class Impatient:
    """Asks for three points, and stops whatever reports anything."""

    def __init__(self):
        self.left, self.heard = [3.0, 2.0, 1.0], []

    def ask(self):
        return {"x": self.left.pop()} if self.left else None

    def tell(self, point, results):
        self.heard.append((point["x"], results["steps"]))

    def report(self, point, value, step):
        self.heard.append((point["x"], step, value))

    def should_stop(self, point):
        return True

    def result(self):
        return {"heard": len(self.heard)}


def test_what_runs_report_reaches_the_file_and_the_strategy_when_they_are_over(tmp_path, pool):
    """An executor can't talk back: no run is told to stop."""
    strategy = Impatient()

    @simkit.experiment
    @simkit.adaptive(lambda: strategy)
    def trained(x, run):
        steps = 0
        for step in range(4):
            run.report(x * step, step)
            steps += 1
            if run.should_stop():
                break
        return {"steps": steps}

    with simkit.run(trained, engine=pool, output=tmp_path / "a.h5") as traj:
        assert traj["steps"].tolist() == [4, 4, 4]
        for run, x in enumerate(traj["x"].tolist()):
            assert traj.reports(run) == [(step, x * step) for step in range(4)]
            heard = [one for one in strategy.heard if one[0] == x]
            assert heard == [*((x, step, x * step) for step in range(4)), (x, 4)]
            assert traj.replay(run, trained) == {"steps": 4}


def test_a_loop_of_a_scripts_own_and_a_script_as_it_is_go_through_an_executor(tmp_path, pool):
    with simkit.start(lambda x: {"y": 2 * x}, engine=pool, output=tmp_path / "a.h5") as study:
        assert study.run(simkit.explore(x=[1, 2]))["y"].tolist() == [2, 4]
        assert study.run(simkit.explore(x=[5]))["y"].tolist() == [10]
    model = tmp_path / "model.py"
    model.write_text("a = 1\nb = a + 1\n")
    with simkit.script(model, a=[3, 4], results=["b"], engine=pool, output=tmp_path / "b.h5") as traj:
        assert traj["b"].tolist() == [4, 5]


def test_files_of_runs_and_calls_of_many_runs_travel_too(tmp_path, pool):
    def written(run, workdir, x):
        (workdir / "small").write_bytes(bytes(x))
        (workdir / "large").write_bytes(bytes([x]) * (5 << 20))
        run.attach("*")

    with simkit.run(written, product(x=range(3)), engine=pool, output=tmp_path / "a.h5") as traj:
        for x in range(3):
            assert traj.files(x)["small"] == bytes(x)
            assert traj.files(x)["large"] == bytes([x]) * (5 << 20)

    @simkit.experiment(vectorized=True)
    @product(x=range(5000))
    def squared(x):
        if (x == 4321).any() and len(x) > 1:
            raise ValueError("one of many")
        if (x == 4321).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return {"y": x * x}

    with pytest.warns(UserWarning, match="not done"):
        traj = simkit.run(squared, engine=pool, output=tmp_path / "b.h5")
    done = traj.where("status == 'done'")
    assert len(done) == 4999
    assert traj.status[4321] == "crashed"
    assert np.array_equal(done["y"], done["x"] ** 2)
    traj.close()


def test_ctrl_c_finishes_what_runs_and_the_next_session_the_rest(project):
    project.file("sim_slow.py", WAITING)
    project.file("ours.py", OURS)
    with project.under_way("--engine", "ours:make") as process:
        check_ctrl_c(project, process)
    assert "40 of 40 runs" in project.ok("--engine", "ours:make").out


def test_the_guard_hears_that_its_worker_is_gone(tmp_path):
    """A worker that is killed leaves nothing behind."""

    def waiting(x):
        signal.pause()

    transport, pools = renewable(tmp_path)
    engine = Futures(job_of(waiting, product(x=[0])), transport, folder=tmp_path)
    batches = engine.run(Worklist(range(1), product(x=[0]).at), lambda: False)
    try:
        while not (guards := guards_below(list(pools[0]._processes))):
            next(batches)
    finally:
        engine.close(now=True)
        transport.close()
    for guard in guards:
        while Path(f"/proc/{guard}").exists():
            pass


def test_a_task_is_a_call_of_one_function_with_bytes():
    with ThreadPoolExecutor(1) as executor:
        answers = [executor.submit(execute, pickle.dumps(Task("a study"))).result() for _ in range(2)]
    reports = [parted(answer) for answer in answers]
    assert all(isinstance(report, Reply) for report in reports)
    assert reports[0].guard == reports[1].guard != ""
