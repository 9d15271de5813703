"""How a process that shares no memory with the owner makes the job."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import dill

from simkit.collect.code import changes
from simkit.collect.collection import Found, Request, resolve
from simkit.collect.modules import load
from simkit.collect.plan import Plan, node_id
from simkit.collect.providers import levels
from simkit.collect.resolve import Outside
from simkit.collect.sources import Sources
from simkit.declare.codec import OWN
from simkit.declare.tags import Tag, tag_of
from simkit.errors import SimkitError
from simkit.execute.job import Job, Source
from simkit.inject.injector import Injector


@attrs.frozen(eq=False)
class Recipe:
    """Collect the experiment from its file again; the points and shared values come from the owner.

    Raises
    ------
    SimkitError
        When called, if the file holds other code by now than the owner runs.
    """

    path: Path
    rootdir: Path
    experiment: str
    outside: Mapping[str, Outside]
    code: Mapping[str, str]
    root: int
    payload: bytes  # the space and the shared values
    compress: bool

    def __call__(self) -> Job:
        """Make the job."""
        module = load(self.path, self.rootdir)
        inside = levels(self.path, self.rootdir, module)  # classes of theirs are in the payload
        space, shared, parameters = dill.loads(self.payload)
        function = getattr(module, self.experiment)
        found = Found(
            function, tag_of(function) or Tag(), self.path, module, node_id(self.path, function, self.rootdir)
        )
        request = Request(outside=self.outside, reshape=lambda *_: space)
        plan = resolve(found, inside, request, self.rootdir, compress=self.compress)
        different = changes(self.code, plan.code)
        if different:
            msg = f"{self.path} changed while the study was starting: {'; '.join(different)}"
            raise SimkitError(msg)
        return Job(Injector(plan, self.root, shared, parameters=parameters), space)


@attrs.frozen(eq=False)
class Parcel:
    """The experiment itself: for functions of a script or a notebook, which no file can give again."""

    payload: bytes

    def __call__(self) -> Job:
        """Make the job."""
        plan, root, shared, parameters, codecs = dill.loads(self.payload)
        for codec in codecs:
            OWN.add(codec)
        return Job(Injector(plan, root, shared, parameters=parameters), plan.space)


def portable(
    plan: Plan,
    root: int,
    shared: Mapping[str, Any],
    parameters: tuple[str, ...],
    outside: Mapping[str, Outside],
) -> Source:
    """A source that can be sent to another process.

    Raises
    ------
    SimkitError
        When something that the experiment needs can't be sent.
    """
    try:
        if plan.module == "__main__" or getattr(sys.modules.get(plan.module), "__file__", None) is None:
            codecs = tuple(OWN.by_name.values())
            bare = attrs.evolve(plan, code={}, afters=(), sources=Sources())
            return Parcel(dill.dumps((bare, root, dict(shared), parameters, codecs), recurse=True))
        payload = dill.dumps((plan.space, dict(shared), parameters), recurse=True)
    except Exception as error:  # noqa: BLE001 - pickling raises anything
        cure = "run it with -n 0, or with --start-method fork"
        raise SimkitError(
            f"{plan.node_id}: cannot be sent to a worker process: {error}\n    {cure}"
        ) from None
    return Recipe(plan.path, plan.rootdir, plan.name, outside, plan.code, root, payload, plan.compress)
