"""Where do runs happen: in the owner's process, or in processes that may die?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from simkit.execute.agenda import Agenda, Feed, Pace
from simkit.execute.job import Job, Method, for_workers, start_method
from simkit.execute.resources import Gpus, devices_of
from simkit.inject.contact import STOP, Beat, Save, always, local_beat
from simkit.inject.desk import clear, spool
from simkit.inject.injector import OnError
from simkit.values.batch import Batch, Checkpoint, RunReport, Teardown


class Engine(Protocol):
    """Executes what agendas hand out."""

    def run(
        self, agenda: Agenda, stop: Callable[[], bool]
    ) -> Iterator[Batch | Checkpoint | RunReport | None]:
        """Batches, checkpoints and reports as they come, in any order; None when nothing came for a while.

        It ends when the agenda hands out nothing and nothing is under way; it may be called again then.
        Whoever takes a checkpoint commits it before asking for more, and answers a question: its run waits until
        then.

        Parameters
        ----------
        stop
            Asked again and again whether no further run shall start.

        Raises
        ------
        SimkitError
            When the engine itself fails: no run is to blame, and none is lost but those under way.
        """

    def crew(self) -> tuple[int, int]:
        """How many workers there are, and how many of them have something to do."""

    def halt(self) -> None:
        """Let no further run start; called from a signal handler."""

    def close(self, *, now: bool = False) -> Teardown:
        """Tear down what the runs shared, and end all processes.

        Parameters
        ----------
        now
            Give up the runs under way, too.
        """


class Here:
    """Executes runs in this process, in order: what kills a run kills the study.

    Parameters
    ----------
    beat
        Says which run is under way, for a handler of signals.
    is_interrupt
        As in `Injector`; by default Ctrl-C raises KeyboardInterrupt in the caller.
    save
        Given a run's checkpoint or report while the run waits.
    """

    def __init__(
        self,
        job: Job,
        *,
        beat: Beat | None = None,
        on_error: OnError | None = None,
        is_interrupt: Callable[[Beat], bool] = always,
        save: Save | None = None,
    ) -> None:
        self.beat = local_beat() if beat is None else beat
        self.aside = spool()
        self.injector = job.injector(
            on_error=on_error, is_interrupt=is_interrupt, save=save, aside=self.aside
        )
        self.together = job.plan.vectorized

    def run(
        self, agenda: Agenda, stop: Callable[[], bool]
    ) -> Iterator[Batch | Checkpoint | RunReport | None]:
        """Batches of executed runs, in order."""
        feed, pace = Feed(agenda), Pace(self.together)
        while not (stop() or self.beat[STOP]):
            portion = feed.take(pace.size)
            if portion is None:
                return
            start = time.perf_counter()
            batch = self.injector.batch(portion, self.beat)
            pace.heard(len(batch.runs), time.perf_counter() - start, batch.nbytes)
            feed.put_back(portion, len(batch.runs))
            if len(batch.runs):
                yield agenda.settle(batch)

    def crew(self) -> tuple[int, int]:
        """No worker but the owner."""
        return 0, 0

    def halt(self) -> None:
        """Let no further run start."""
        self.beat[STOP] = 1.0

    def close(self, *, now: bool = False) -> Teardown:
        """Tear down the fixtures."""
        problem = self.injector.close()
        clear(self.aside)
        return Teardown((problem,) if problem else ())


def processes(
    job: Job, workers: int, *, method: Method | None = None, show_output: bool = False, gpus: Gpus = ()
) -> Engine:
    """Supervised processes on this machine: a run that kills its process costs one run.

    Parameters
    ----------
    method
        How they are started; by default fork where it is safe, else spawn.
    show_output
        Leave on the terminal what the runs print, instead of recording it.
    gpus
        The devices of which each worker sees one, or ``auto``.
    """
    from simkit.execute.processes.pool import Pool  # with what starts and watches processes

    method = start_method(method)
    source, declared = for_workers(job, method)
    return Pool(
        source, declared, workers,
        method=method, limits=job.plan.limits, show=show_output, isolate=job.plan.isolate,
        devices=devices_of(gpus),
        together=job.plan.vectorized,
    )  # fmt: skip
