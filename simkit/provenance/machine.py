"""Which machine is this, who works on it, and what limits the computation?"""

from __future__ import annotations

import getpass
import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path

# Nothing else of the environment is recorded: it is where people keep their tokens.
_RECORDED = re.compile(
    r"(OMP|MKL|OPENBLAS|BLIS|GOTO|NUMEXPR|VECLIB|NUMBA)_(\w+_)?(NUM_THREADS|MAXIMUM_THREADS|PROC_BIND|PLACES|DYNAMIC)"
    r"|CUDA_VISIBLE_DEVICES|CUDA_DEVICE_ORDER|HIP_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES"
    r"|SLURM_(JOB_ID|JOBID|ARRAY_JOB_ID|ARRAY_TASK_ID|JOB_PARTITION|JOB_NODELIST|JOB_NUM_NODES|NTASKS|CPUS_PER_TASK|PROCID)"
    r"|PBS_(JOBID|ARRAYID|NODENUM)|JOB_ID|SGE_TASK_ID|LSB_JOBID|LSB_JOBINDEX|PYTHONHASHSEED|CONDA_DEFAULT_ENV"
)


def machine(*, user: bool) -> dict[str, str | int]:
    """Python, system, processor, memory in bytes, host, and whose session this is unless that is unwanted."""
    found: dict[str, str | int] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "memory": _memory(),
        "host": platform.node(),
    }
    if user:
        found["user"] = _user()
    return {name: fact for name, fact in found.items() if fact}


def environment() -> dict[str, str]:
    """The few variables that say how many threads, which graphics cards and which cluster job these are."""
    return {name: os.environ[name] for name in sorted(os.environ) if _RECORDED.fullmatch(name)}


def brian2() -> Mapping[str, str]:
    """Brian2's code generation, as far as it is set in this process; empty where it isn't used."""
    package = sys.modules.get("brian2")
    if package is None:
        return {}
    try:
        device = type(package.get_device()).__name__
        return {"brian2_codegen": str(package.prefs["codegen.target"]), "brian2_device": device}
    except Exception:  # noqa: BLE001 - half imported, or another version: not worth a run
        return {}


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return os.environ.get("PROCESSOR_IDENTIFIER") or platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1].strip() if model else platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a number without a name, as in a container
        return str(os.getuid()) if hasattr(os, "getuid") else ""
