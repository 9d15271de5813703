"""Every engine executes what agendas hand out: lists, endless ones, in any order, with losses on the way."""

from __future__ import annotations

import os
import pickle
import random
import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from faulty import FAULTS, SLOWING

import simkit
from simkit.declare.space import product
from simkit.execute.agenda import Agenda, Feed, Worklist
from simkit.execute.engine import Here, processes
from simkit.execute.job import Declared, Job, portable
from simkit.execute.processes.worker import packed, unpacked
from simkit.inject.contact import STOP, always, local_beat
from simkit.record.file.store import Store
from simkit.record.writer import Writer
from simkit.resume.points import explored_columns
from simkit.testing import engines
from simkit.testing.engines import Doubling, executed, job_of, results_of, squares
from simkit.values.batch import Batch, Checkpoint, Portion, Status, Teardown


class Elsewhere:
    """An engine as for a cluster: bytes go out, bytes come back, in any order; every third message is lost."""

    def __init__(self, job: Job) -> None:
        self.declared = Declared.of(job.plan.space)
        message = pickle.dumps(portable(job, self.declared))
        self.remote, self.known = pickle.loads(message)()
        self.injector = self.remote.injector()
        self.sent = self.lost = 0
        self.halted = False
        self.random = random.Random(1)

    def submit(self, portion: Portion) -> bytes | None:
        """What another machine does, or None where the answer never arrives."""
        request = self.declared.dumps(packed(portion))
        self.sent += 1
        if self.sent % 3 == 0:
            self.lost += 1
            return None
        return pickle.dumps(self.injector.batch(unpacked(self.known.loads(request)), local_beat()))

    def run(self, agenda: Agenda, stop: Callable[[], bool]) -> Iterator[Batch | Checkpoint | None]:
        feed = Feed(agenda)
        while not (stop() or self.halted):
            portions = [portion for _ in range(4) if (portion := feed.take(7)) is not None]
            if not portions:
                return
            answers = [(portion, self.submit(portion)) for portion in portions]
            self.random.shuffle(answers)
            yield None
            for portion, answer in answers:
                if answer is None:
                    feed.put_back_singly(portion)
                    continue
                batch = pickle.loads(answer)
                feed.put_back(portion, len(batch.runs))
                yield agenda.settle(batch)

    def halt(self) -> None:
        self.halted = True

    def close(self, *, now: bool = False) -> Teardown:
        return Teardown()


MAKERS = {
    "here": Here,
    "one process": lambda job: processes(job, 1),
    "two processes": lambda job: processes(job, 2),
    "spawned": lambda job: processes(job, 1, method="spawn"),
    "elsewhere": Elsewhere,
}


@pytest.mark.parametrize("check", engines.CHECKS)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_an_engine_passes_the_public_checks(make, check):
    check(make)


@pytest.mark.parametrize("check", engines.SUPERVISED)
@pytest.mark.parametrize(
    "make", [MAKERS["two processes"], MAKERS["spawned"]], ids=["two processes", "spawned"]
)
def test_an_engine_of_processes_passes_the_checks_that_kill(make, check):
    check(make)


def test_a_trajectory_grows_while_runs_are_recorded(tmp_path):
    """Points that follow from results: each portion's points are written before its runs are executed."""
    job = job_of(squares, product(x=[0.0]))

    class Recorded(Doubling):
        def take(self, count):
            portion = super().take(count)
            if portion is not None:
                start, stop = int(portion.runs[0]), int(portion.runs[-1]) + 1
                writer.grow(stop)
                plan = job.plan.with_space(simkit.explore(x=portion.points["x"].array.tolist()))
                writer.points(start, explored_columns(plan, {}, np.arange(stop - start)))
            return portion

    agenda, engine = Recorded(lag=5), processes(job, 2)
    store = Store(tmp_path / "squares-001.h5", durable=False)
    writer = Writer(store, "squares", 0)
    writer.describe({"node_id": job.plan.node_id, "root_seed": "1", "fingerprint": "{}", "explored": '["x"]'})
    writer.session({})
    for batch in executed(engine, agenda, lambda: len(agenda.results) >= 60):
        writer.put(batch)
    writer.commit()
    assert not engine.close().problems
    store.close(failed=False)

    with simkit.open(tmp_path / "squares-001.h5") as traj:
        done = traj.where(status="done")
        assert len(done) == len(agenda.results) >= 60
        assert np.array_equal(done["y"], done["x"] ** 2 + 0.5)
        assert np.array_equal(traj["x"][5:60], 2 * traj["y"][:55] % 1.0)


# Here


def test_here_a_keyboard_interrupt_is_the_callers_unless_a_signal_is_handled():
    def interrupted(x):
        if x == 2:
            raise KeyboardInterrupt
        return x

    space = product(x=[0, 1, 2, 3])
    engine = Here(job_of(interrupted, space))
    with pytest.raises(KeyboardInterrupt):
        list(engine.run(Worklist(range(4), space.at), lambda: False))

    beat = local_beat()
    job = job_of(interrupted, space)
    engine = Here(job, beat=beat, is_interrupt=lambda beat: bool(beat[STOP]))
    status = {}
    for batch in executed(engine, Worklist(range(4), space.at)):
        status.update(zip(batch.runs.tolist(), batch.status.tolist(), strict=True))
    assert status == {0: Status.DONE, 1: Status.DONE, 2: Status.FAILED, 3: Status.DONE}


def test_a_batch_that_is_stopped_before_its_first_run_is_empty_and_knows_of_no_other():
    def drawing(x):
        return np.random.rand()

    space = product(x=range(6))
    agenda, beat = Worklist(range(6), space.at), local_beat()
    injector = job_of(drawing, space).injector()
    portions = [agenda.take(n) for n in (3, 1, 2)]
    first = injector.batch(portions[0], beat)
    beat[STOP] = 1.0
    stopped = [injector.batch(portion, beat) for portion in portions[1:]]
    assert [len(batch.runs) for batch in (first, *stopped)] == [3, 0, 0]
    assert not any(batch.warnings for batch in stopped)
    beat[STOP] = 0.0
    assert injector.batch(portions[2], beat).runs.tolist() == [4, 5]


# Processes


def test_runs_of_a_lost_portion_are_done_again_and_only_the_culprit_is_blamed():
    def deadly(x):
        if x == 37:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"y": x}

    space = product(x=range(200))
    engine = processes(job_of(deadly, space), 2)
    status: dict[int, int] = {}
    for batch in executed(engine, Worklist(range(200), space.at, workers=2)):
        assert not set(batch.runs.tolist()) & set(status)
        status.update(zip(batch.runs.tolist(), batch.status.tolist(), strict=True))
        if 37 in batch.errors:
            assert "SIGKILL" in batch.errors[37]
    assert not engine.close().problems
    assert {run for run, word in status.items() if word != Status.DONE} == {37}
    assert len(status) == 200


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_large_points_reach_busy_workers(method):
    """More than a pipe takes: neither side may wait for the other."""
    images = np.arange(60 * 40_000, dtype=float).reshape(60, 40_000)
    words = ["word " * 20_000 + str(i) for i in range(60)]
    space = simkit.explore(x=images, label=words)

    def big(x, label):
        assert not x.flags.writeable
        return {"y": x.sum(), "text": label, "all": x}

    engine = processes(job_of(big, space), 2, method=method)
    values, texts = {}, {}
    for batch in executed(engine, Worklist(range(60), space.at, workers=2)):
        assert (batch.status == Status.DONE).all(), batch.errors
        values.update(results_of(batch, "y"))
        texts.update(results_of(batch, "text"))
    assert not engine.close().problems
    assert [values[run] for run in range(60)] == images.sum(1).tolist()
    assert [texts[run] for run in range(60)] == words


# Whole studies


def test_without_workers_only_exceptions_are_survived_but_all_of_them(project):
    source = FAULTS
    for i in (37, 60, 90, 120):
        source = source.replace(f"i == {i}:", "False:")
    project.file("sim_faulty.py", source)
    result = project.simkit("-n", "0")
    assert result.code == 1, result.err
    traj = project.open("faulty-001")
    status = {i: word for i, word in enumerate(traj.status.tolist()) if word != "done"}
    assert status == {20: "failed", 150: "failed", 170: "failed"}
    assert "Odd: strange" in traj.error(170)


def test_innocent_neighbours_draw_what_they_draw_without_a_fault(project):
    project.file("sim_faulty.py", FAULTS)
    project.simkit("--seed", "6", "-n", "2")
    project.file("sim_faulty.py", FAULTS.replace("    fault(i)\n", ""))
    project.ok("--seed", "6", "-n", "0")
    faulty, sound = project.open("faulty-001"), project.open("faulty-002")
    kept = faulty.status == "done"
    assert kept.sum() == 193
    assert np.array_equal(faulty["draw"][kept], sound["draw"][kept])


def test_runs_that_become_slow_in_a_batch_are_shared_with_the_other_worker(project):
    project.file("sim_waiting.py", SLOWING)  # 30 fast runs make large batches; then each is slow
    with project.under_way("-n", "2") as process:
        project.until(lambda: len({p.read_text() for p in project.path.glob("pid-[345]?")}) == 2)
        assert len(list(project.path.glob("pid-[345]?"))) == 2
        project.file("go")
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    assert project.open("waiting-001")["i2"].tolist() == [i * i for i in range(60)]


def unruly(x):
    """Draws unseen, leaves things behind, warns, fails: whatever a run may do to the next one."""
    import os
    import warnings

    import numpy

    found = os.environ.get("LEFT_BEHIND", "nothing")
    if x % 7 == 3:
        os.environ["LEFT_BEHIND"] = str(x)
    if x % 5 == 2:
        warnings.warn("unruly", stacklevel=1)
    if x % 6 == 5:
        raise ValueError(f"at {x}")
    drawn = vars(numpy.random)["r" + "and"]() if x % 4 == 1 else 0.0
    return {"found": found, "drawn": float(drawn)}


def given(batch):
    """What the runs of a batch gave, by number: status, error, results."""
    columns = {name: results_of(batch, name) for name in batch.results}
    return {
        run: (
            status,
            batch.errors.get(run, "").splitlines()[-1:],
            {n: c[run] for n, c in columns.items() if status == Status.DONE},
        )
        for run, status in zip(batch.runs.tolist(), batch.status.tolist(), strict=True)
    }


@pytest.mark.filterwarnings("default:unruly")
def test_however_batches_are_cut_and_stopped_each_run_is_as_alone():
    space = product(x=range(24))
    job = job_of(unruly, space)
    alone = {}
    for run in range(24):
        portion = Worklist(np.array([run]), space.at).take(1)
        alone |= given(job.injector().batch(portion, local_beat()))
    assert [status for status, _, _ in alone.values()].count(Status.FAILED) == 4
    assert len({results["drawn"] for _, _, results in alone.values() if results}) > 3
    chance = random.Random(17)
    for _ in range(30):
        injector, beat, feed, seen = job.injector(), local_beat(), Feed(Worklist(range(24), space.at)), {}
        while (portion := feed.take(chance.randrange(1, 9))) is not None:
            beat[STOP] = float(chance.random() < 0.3)
            batch = injector.batch(portion, beat)
            assert not (beat[STOP] and len(batch.runs))
            feed.put_back(portion, len(batch.runs))
            seen |= given(batch)
            assert sum(count for _, count in batch.heard) == sum(run % 5 == 2 for run in batch.runs.tolist())
        assert seen == alone


def test_the_failure_that_ends_a_study_is_kept_where_its_batch_is_done_again():
    def leaving(x):
        import os

        os.environ["LEFT_BEHIND"] = "1"
        raise ValueError("told")

    injector, beat = job_of(leaving, product(x=range(5)), most_failures=1).injector(), local_beat()
    batch = injector.batch(Worklist(range(5), product(x=range(5)).at).take(5), beat)
    assert [*batch.errors] == [0]
    assert beat[STOP]


COUNTS = []


def test_what_the_first_run_is_told_of_is_kept_where_its_batch_is_done_again():
    def leaving(x):
        import os

        os.environ["LEFT_BEHIND"] = "1"
        COUNTS.append(x)

    batch = (
        job_of(leaving, product(x=range(3)))
        .injector()
        .batch(Worklist(range(3), product(x=range(3)).at).take(1), local_beat())
    )
    assert "changed_global" in dict(batch.warnings)


def test_after_ctrl_c_in_a_run_the_next_has_a_folder_of_its_own():
    space, folders = product(x=range(3)), []

    def working(x, run):
        run.command(["true"])
        folders.append(run.command(["pwd"]).stdout.strip())
        if len(folders) == 2:
            raise KeyboardInterrupt

    injector = job_of(working, space).injector(is_interrupt=always)
    agenda = Worklist(range(3), space.at)
    injector.batch(agenda.take(1), local_beat())
    with pytest.raises(KeyboardInterrupt):
        injector.batch(agenda.take(1), local_beat())
    injector.batch(agenda.take(1), local_beat())
    assert len(set(folders)) == 3
    assert not os.path.exists(folders[2])
