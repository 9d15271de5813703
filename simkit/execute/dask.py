"""How does Dask carry tasks: on this machine, in jobs of a cluster's scheduler, or where somebody else started it?

Dask's scheduler runs in a process of its own, which ends with the owner's: so nothing of Dask's that starts processes
runs in the process that holds the trajectory, and a script needs no guard for ``__main__``.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from simkit.errors import SimkitError, did_you_mean
from simkit.execute.tasks import with_this_simkit
from simkit.execute.transports import Executors, Pooled

# Each was found by a failure: an innocent run was blamed, or a second study in one cluster hung.
SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.deploy.lost-worker-timeout": "1h",
}
CALLS = {"pure": False, "retries": 0}  # else Dask takes two equal tasks for one, and tries a deadly one again
_CLASSES = {"slurm": "SLURMCluster", "sge": "SGECluster", "pbs": "PBSCluster", "lsf": "LSFCluster"}
_START = 120.0  # seconds for a scheduler to answer


def local(workers: int, table: Mapping[str, Any]) -> Executors:
    """Workers on this machine, each of which executes one run at a time."""
    _check_installed("dask", "distributed")
    wanted = {"kind": "dask", "n_workers": workers, "options": dict(table)}
    return Executors("dask", lambda: _started(wanted, workers))


def scheduled(kind: str, workers: int, table: Mapping[str, Any], rootdir: Path) -> Executors:
    """Workers in jobs of a cluster: one on each core.

    Raises
    ------
    SimkitError
        Where the table does not say what a job needs.
    """
    _check_installed(kind, "dask_jobqueue")
    options = {"log_directory": str(rootdir / "results" / "jobs"), **table}
    place = f"[tool.simkit.engines.{kind}]"
    for name in ("cores", "memory"):
        if name not in options:
            msg = f'engine {kind}: {place} says no {name}\n    write, for example, cores = 4 and memory = "16 GB"'
            raise SimkitError(msg)
    jobs, least, most = (options.pop(name, None) for name in ("jobs", "minimum", "maximum"))
    if (jobs is None) == (most is None):
        msg = f"engine {kind}: {place} must say how many jobs: jobs = 8, or minimum = 0 and maximum = 8"
        raise SimkitError(msg)
    cores = int(options["cores"])
    options.setdefault("processes", cores)
    scale = {"jobs": jobs} if jobs is not None else {"minimum_jobs": least or 0, "maximum_jobs": most}
    wanted = {"kind": kind, "options": options, "scale": scale}
    number = int(options["processes"]) * int(jobs if jobs is not None else most)
    return Executors(kind, lambda: _started(wanted, number), share=workers)


def connected(address: str, workers: int) -> Executors:
    """Workers of a Dask cluster that somebody else started."""
    _check_installed("dask", "distributed")
    return Executors(f"dask:{address}", lambda: _client(address, workers), share=workers)


def _check_installed(engine: str, package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        msg = f'engine {engine} needs the package {package}\n    pip install "simkit[dask]"'
        raise SimkitError(msg)


def _client(address: str, workers: int) -> Pooled:
    client = _connect(address, f"engine dask:{address}: no scheduler answers")
    crew = Crew(client)
    return Pooled(
        client.get_executor(**CALLS), crew.size, client.close, words=_dashboard(client.dashboard_link),
        may_cancel=False, alive=crew.size,
    )  # fmt: skip


def _connect(address: str, problem: str, *, direct: bool | None = None) -> Any:
    from distributed import Client

    try:
        _reach(address)
        return Client(address, set_as_default=False, timeout=30, name="simkit", direct_to_workers=direct)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        msg = f"{problem}: {type(error).__name__}: {error}"
        raise SimkitError(msg) from None


def _reach(address: str) -> None:
    """Have somebody at an address; a client that finds nobody lets the process wait at its end."""
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme in ("tcp", "tls"):
        with socket.create_connection(parse_host_port(place, 8786), 10):
            pass


def _dashboard(link: str | None) -> str:
    return f"dask dashboard: {link}" if link else ""


@attrs.define(eq=False)
class Crew:
    """How many tasks a cluster does at once; asked of its scheduler now and then."""

    client: Any
    number: int = 0
    asked: float = -1e9

    def size(self) -> int:
        """The present number."""
        if time.monotonic() - self.asked > 2:
            self.asked = time.monotonic()
            try:
                self.number = sum(self.client.nthreads().values())
            except Exception:  # noqa: BLE001 - it does not answer: its tasks will say so
                pass
        return self.number


# A scheduler of our own


def _started(wanted: Mapping[str, Any], number: int) -> Pooled:
    """Start a scheduler in a process of its own, and connect to it."""
    process = subprocess.Popen(
        with_this_simkit("from simkit.execute.dask import serve; serve()"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True,
    )  # fmt: skip
    try:
        facts = _introduced(process, wanted)
        problem = "Dask's scheduler was started, but does not answer"
        # Workers of this machine hand their results over themselves, not by way of the scheduler.
        client = _connect(facts["address"], problem, direct=wanted["kind"] == "dask" or None)
    except BaseException:
        _end(process)
        raise

    def close() -> None:
        client.close()
        _end(process)

    crew = Crew(client)
    return Pooled(
        client.get_executor(**CALLS), lambda: number, close, words=_dashboard(facts["dashboard"]),
        may_cancel=False, alive=crew.size, is_alive=lambda: process.poll() is None,
    )  # fmt: skip


def _introduced(process: subprocess.Popen[str], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Where the scheduler that was just started is to be found."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(wanted) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    facts: dict[str, Any] = json.loads(line or '{"problem": "its scheduler ended as it was started"}')
    if "problem" in facts:
        msg = f"engine {wanted['kind']}: {facts['problem']}"
        raise SimkitError(msg)
    return facts


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.close()
    except OSError:
        pass
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def serve() -> None:
    """Be the process of a scheduler, until the owner closes the line or is gone."""
    import dask

    wanted = json.loads(sys.stdin.readline())
    line = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nobody reads what workers print
    with dask.config.set(SETTINGS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a port that is taken: another is chosen
                cluster = _cluster(wanted)
        except Exception as error:  # noqa: BLE001 - the owner says it
            problem = _unknown(wanted) or f"{type(error).__name__}: {error}"
            print(json.dumps({"problem": problem}), file=line, flush=True)
            return
        facts = {"address": cluster.scheduler_address, "dashboard": cluster.dashboard_link}
        print(json.dumps(facts), file=line, flush=True)
        sys.stdin.read()
        _say_nothing()
        if wanted["kind"] == "dask":
            _hush(cluster)
        cluster.close()


def _hush(cluster: Any) -> None:
    """Let workers of this machine go without a word: some find that their scheduler does not listen any more."""
    from distributed.protocol.pickle import dumps

    message = {"op": "run", "function": dumps(_say_nothing)}
    try:
        cluster.sync(cluster.scheduler.broadcast, msg=message, on_error="ignore", callback_timeout=5)
    except Exception:  # noqa: BLE001 - they don't answer: then they say what they say
        pass


def _say_nothing() -> None:
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)


def _unknown(wanted: Mapping[str, Any]) -> str:
    """Which word of an engine's table Dask has none for, in words; nothing where it has one for all."""
    made = _class(wanted["kind"])
    classes = {each for whole in (made, *_given_on(made)) for each in whole.__mro__}
    known = {name for each in classes for name in inspect.signature(each.__init__).parameters}
    known |= {"jobs", "minimum", "maximum"}
    for name in wanted["options"]:
        if name not in known:
            place = f"[tool.simkit.engines.{wanted['kind']}] {name}"
            return f"{place}: Dask knows nothing of this name{did_you_mean(name, known)}"
    return ""


def _given_on(made: Any) -> tuple[Any, ...]:
    """The classes that get what a cluster's own does not take."""
    from distributed import Nanny, Worker

    return (made.job_cls,) if hasattr(made, "job_cls") else (Nanny, Worker)


def _class(kind: str) -> Any:
    if kind == "dask":
        from distributed import LocalCluster

        return LocalCluster
    import dask_jobqueue

    return getattr(dask_jobqueue, _CLASSES[kind])


def _cluster(wanted: Mapping[str, Any]) -> Any:
    options, made = wanted["options"], _class(wanted["kind"])
    if wanted["kind"] == "dask":
        return made(
            n_workers=wanted["n_workers"],
            **{"threads_per_worker": 1, "processes": True, "memory_limit": 0, **options},
        )
    cluster = made(**options)
    scale = wanted["scale"]
    (cluster.scale if "jobs" in scale else cluster.adapt)(**scale)
    return cluster
