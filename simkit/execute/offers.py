"""Which engines are there, and which one does a name mean?"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from simkit.errors import SimkitError, listed
from simkit.execute.transports import Executors, Pooled, Transport

SCHEDULERS = ("slurm", "sge", "pbs", "lsf")
NAMES = ("local", "dask", *SCHEDULERS, "mpi", "scoop")


@attrs.frozen
class Wish:
    """An engine as it was asked for.

    Attributes
    ----------
    name
        As in ``--engine``.
    source
        Who says so, for messages.
    workers
        How many runs shall be executed at once: by Dask on this machine, or by each worker of other engines.
    tables
        What ``[tool.simkit.engines]`` says, by name.
    offered
        Functions of plug-ins that return an executor, by name.
    rootdir
        The project's folder.
    """

    name: str
    source: str
    workers: int
    tables: Mapping[str, Mapping[str, Any]]
    offered: Mapping[str, Callable[..., Any]]
    rootdir: Path

    def transport(self) -> Transport | None:
        """What carries the tasks; nothing is started yet. None for processes of this machine.

        Raises
        ------
        SimkitError
            For an unknown name, with those that there are.
        """
        kind, _, rest = self.name.partition(":")
        table = self.tables.get(kind, {})
        if self.name == "local":
            return None
        if kind in ("dask", *SCHEDULERS) and (kind == "dask" or not rest):
            return self._by_dask(kind, rest, table)
        if self.name in ("mpi", "scoop"):
            from simkit.execute import launched

            return launched.mpi(self.workers) if self.name == "mpi" else launched.Scoop(self.workers)
        if kind in NAMES:
            raise self._unknown()
        make = self.offered.get(self.name)
        if make is None:
            make = self._function()
        table = self.tables.get(self.name, {})
        return Executors(
            self.name,
            lambda: Pooled.of(self._made(make, table), self.source, is_ours=True),
            share=self.workers,
        )

    def _by_dask(self, kind: str, address: str, table: Mapping[str, Any]) -> Transport:
        from simkit.execute import dask

        if address:
            return dask.connected(address, self.workers)
        if kind == "dask":
            return dask.local(self.workers, table)
        return dask.scheduled(kind, self.workers, table, self.rootdir)

    def _function(self) -> Callable[..., Any]:
        """``module:function``."""
        module, colon, name = self.name.partition(":")
        if not colon or not all(part.isidentifier() for part in (*module.split("."), name)):
            raise self._unknown()
        if str(self.rootdir) not in sys.path:
            sys.path.insert(0, str(self.rootdir))
        try:
            made: Callable[..., Any] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            msg = f"{self.source}: {type(error).__name__}: {error}"
            raise SimkitError(msg) from None
        return made

    def _unknown(self) -> SimkitError:
        known = (*NAMES, *self.offered)
        msg = (
            f"{self.source}: no engine {self.name!r}\n    there are: {listed(self.name, known)}, "
            "dask:ADDRESS, or module:function that returns an executor"
        )
        return SimkitError(msg)

    def _made(self, make: Callable[..., Any], table: Mapping[str, Any]) -> Any:
        try:
            return make(**table)
        except Exception as error:
            msg = f"{self.source}: {self.name} gave no executor: {type(error).__name__}: {error}"
            raise SimkitError(msg) from error
