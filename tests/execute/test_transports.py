"""What carries tasks to workers, and is made anew when it breaks."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor

from simkit.declare.space import product
from simkit.execute.agenda import Worklist
from simkit.execute.futures import Futures
from simkit.execute.transports import Executors, Pooled
from simkit.testing.engines import executed, job_of, squares
from simkit.values.batch import Status


class Owing:
    """An executor that breaks after its first task, and never says what became of the second."""

    def __init__(self):
        self.pool = ProcessPoolExecutor(1)
        self.tasks = 0

    def submit(self, function, task):
        self.tasks += 1
        if self.tasks == 1:
            return self.pool.submit(function, task)
        future = Future()
        if self.tasks > 2:
            future.set_exception(BrokenExecutor("it is gone"))
        return future

    def shutdown(self, **options):
        self.pool.shutdown(**options)


def transport_of(*executors):
    made = iter(executors)
    return Executors("test", lambda: Pooled.of(next(made)(), "test", is_ours=True))


def test_what_an_executor_still_owes_when_another_is_made_is_lost():
    transport = transport_of(Owing, Owing)
    transport.start()
    transport.submit(b"")
    owed, broken = transport.submit(b""), transport.submit(b"")
    outcomes = dict(transport.finished(60))
    assert transport.renew()
    while owed not in outcomes:
        outcomes.update(transport.finished(60))
    transport.close()
    assert isinstance(outcomes[broken], BrokenExecutor)
    assert str(outcomes[owed]) == "what should have executed it has broken"


def test_a_study_does_not_wait_for_what_nobody_executes(tmp_path):
    transport = transport_of(Owing, lambda: ProcessPoolExecutor(1))
    space = product(x=[float(i) for i in range(6)])
    engine = Futures(job_of(squares, space), transport, folder=tmp_path)
    status = {}
    for batch in executed(engine, Worklist(range(6), space.at)):
        status.update(zip(batch.runs.tolist(), batch.status.tolist(), strict=True))
    assert not engine.close().problems
    transport.close()
    assert status == dict.fromkeys(range(6), Status.DONE)
