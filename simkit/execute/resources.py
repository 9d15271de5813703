"""What may a worker take: threads, memory, one of the GPUs, and the processor from whom?"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeAlias

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def limit_threads() -> None:
    """One thread of linear algebra for each process, unless the user says otherwise."""
    if not any(name in os.environ for name in _THREADS):
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)


def limit_memory(nbytes: int | None) -> None:
    """Keep this process within that much address space, where the system can; it may be more at another time."""
    if nbytes is not None and resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = nbytes if hard < 0 else min(nbytes, hard)
        if wanted != soft:
            resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def lower_priority(steps: int) -> None:
    """Let other processes of this machine go first, where the system can."""
    if steps and hasattr(os, "nice"):
        os.nice(steps)


@contextmanager
def patient() -> Iterator[None]:
    """While entered, this thread waits until a processor is free, and takes none from whoever computes there.

    Linux lets a thread that was asleep go first: that of a pool would be woken by a worker's answer, and keep that
    worker from its next run. The share that it has of the processors is the same.
    """
    is_patient = False
    with suppress(OSError):  # where it isn't allowed, as in some containers
        if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            is_patient = True
    try:
        yield
    finally:
        if is_patient:
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


Gpus: TypeAlias = Literal["auto"] | Sequence[int | str]  # all that there are, or their numbers and names

# ROCm's libraries look at HIP's variable; its driver's own would number what is left anew.
_SEEN = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_DRIVER = "ROCR_VISIBLE_DEVICES"
_NODES = "/sys/class/kfd/kfd/topology/nodes"


def devices_of(gpus: Gpus, nodes: str = _NODES) -> tuple[str, ...]:
    """The devices that workers share, by number or name.

    Parameters
    ----------
    gpus
        ``"auto"`` is what this process may see: what a batch system has given to it, or what the drivers tell.
    nodes
        Where ROCm's driver tells what there is.
    """
    if gpus != "auto":
        return tuple(map(str, gpus))
    for name in _SEEN:
        if name in os.environ:
            return _listed(os.environ[name])
    if _DRIVER in os.environ:  # what is left has the first numbers
        return tuple(map(str, range(len(_listed(os.environ[_DRIVER])))))
    return tuple(map(str, range(_count_nvidia() or _count_amd(nodes))))


def _listed(text: str) -> tuple[str, ...]:
    devices = [word.strip() for word in text.split(",")]
    stop = next((i for i, word in enumerate(devices) if word in ("", "-1")), len(devices))  # as CUDA reads it
    return tuple(devices[:stop])


def _count_nvidia() -> int:
    try:
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in said.stdout.splitlines())


def _count_amd(nodes: str) -> int:
    count = 0
    for file in Path(nodes).glob("*/gpu_id"):
        with suppress(OSError):
            count += file.read_text().strip() not in ("", "0")  # 0 is a processor
    return count


def see(device: str) -> None:
    """From now on the libraries of this process see one device, by the number 0; before they look."""
    for name in _SEEN:
        os.environ[name] = device
