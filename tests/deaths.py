"""Dask's processes die while studies are executed, one after the other in one cluster: for tests of its engines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from processes import guards_below, kill_all

from simkit.declare.external import descendants
from simkit.declare.space import product
from simkit.execute.agenda import Worklist
from simkit.execute.futures import Futures
from simkit.testing.engines import executed, job_of
from simkit.values.batch import Status


def check_that_no_innocent_is_blamed(cluster: Any, folder: Path, victims: Sequence[str]) -> None:
    """One of these processes in each study, then none; each run is executed once, and no run is blamed."""

    def slow(x: int) -> int:
        import time

        time.sleep(0.005)
        return x

    space = product(x=range(200))
    for victim in (*victims, "nobody"):
        status: dict[int, int] = {}
        errors: dict[int, str] = {}
        killed: list[int] = []
        engine = Futures(job_of(slow, space), cluster, folder=folder)
        for batch in executed(engine, Worklist(range(200), space.at)):
            assert not status.keys() & {*batch.runs.tolist()}
            status.update(zip(batch.runs.tolist(), batch.status.tolist(), strict=True))
            errors.update(batch.errors)
            if len(status) > 50 and not killed and victim != "nobody":
                killed += processes_of(victim, cluster)
                kill_all(killed)
        assert not engine.close().problems
        assert (victim == "nobody") != bool(killed)
        assert errors == {}
        assert status == dict.fromkeys(range(200), Status.DONE)


def processes_of(victim: str, cluster: Any) -> list[int]:
    """The process of a Dask worker, all those of a guarded child, or the scheduler's."""
    client = cluster.pooled.executor._client
    if victim == "scheduler":
        return [client.run_on_scheduler(os.getpid)]
    workers = list(client.run(os.getpid).values())
    if victim == "worker":
        return workers[:1]
    guard = guards_below(workers)[0]
    return [guard, *descendants(guard)]
