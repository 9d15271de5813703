"""What a process needs to execute an experiment's runs, and how it gets that from the owner."""

from __future__ import annotations

import copyreg
import functools
import importlib
import io
import operator
import pickle
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np

from simkit.collect.captures import Captures
from simkit.collect.code import changes
from simkit.collect.collection import Candidate, resolve
from simkit.collect.config import Outside, Settings
from simkit.collect.effects import effects
from simkit.collect.modules import load
from simkit.collect.plan import Plan, node_id
from simkit.collect.signatures import levels
from simkit.collect.sources import Sources
from simkit.declare.forms import Array, axes
from simkit.declare.plugins import OWN
from simkit.declare.space import Space, outline
from simkit.declare.tags import Tag, tag_of
from simkit.errors import SimkitError, shown_path
from simkit.inject.contact import Beat, Save, never
from simkit.inject.injector import Injector, OnError

Method = Literal["fork", "spawn", "forkserver"]
Beside = Callable[[pickle.PickleBuffer], object] | None


@attrs.frozen(eq=False)
class Job:
    """An experiment ready to be executed; its points come with each `Portion`.

    Attributes
    ----------
    root
        The root seed.
    shared
        The parameters that do not vary, by node key.
    parameters
        The names that no result may take.
    outside
        What was laid on top of the code's values when the plan was made.
    seeds
        By run number, where they do not derive from the root seed.
    most_failures
        After how many failures a process starts no further run; 0 is no limit.
    """

    plan: Plan
    root: int
    shared: Mapping[str, Any]
    parameters: tuple[str, ...]
    outside: Mapping[str, Outside] = attrs.field(factory=dict)
    seeds: Array | None = None
    most_failures: int = 0

    def injector(
        self,
        *,
        on_error: OnError | None = None,
        is_interrupt: Callable[[Beat], bool] = never,
        save: Save | None = None,
        aside: str | None = None,
    ) -> Injector:
        """The experiment compiled in this process."""
        kind: Callable[..., Injector] = Injector
        if self.plan.vectorized is not None:
            from simkit.inject.vectorized import VectorInjector

            kind = VectorInjector
        return kind(
            self.plan, self.root, self.shared,
            parameters=self.parameters, seeds=self.seeds, on_error=on_error,
            is_interrupt=is_interrupt, most_failures=self.most_failures, save=save, aside=aside,
        )  # fmt: skip


# Makes the job in a worker, with the objects that its points refer to: called once there, and picklable where
# workers are not forked.
Source = Callable[[], tuple[Job, "Declared"]]


@attrs.frozen(eq=False)
class Recipe:
    """Collect the experiment from its file again; shared values and declared objects come from the owner.

    Raises
    ------
    SimkitError
        When called, if the file holds other code by now than the owner runs.
    """

    path: Path
    rootdir: Path
    function: str
    code: Mapping[str, str]
    captures: Captures
    payload: bytes  # a job without its plan, the names of the points, and the declared objects

    def __call__(self) -> tuple[Job, Declared]:
        """Make the job."""
        with effects().apart(is_one=True), effects().collecting():
            return self._made()

    def _made(self) -> tuple[Job, Declared]:
        module = load(self.path, self.rootdir)
        inside = levels(self.path, self.rootdir, module)  # classes of theirs are in the payload
        import dill

        job, space, compress, stream, declared, suppliers = dill.loads(self.payload)
        function = getattr(module, self.function)
        candidate = Candidate(
            function, tag_of(function) or Tag(), self.path, module, node_id(self.path, function, self.rootdir)
        )
        settings = Settings(self.rootdir, outside=job.outside, reshape=lambda *_: space, compress=compress)
        plan = resolve(candidate, inside, settings)
        different = changes(self.code, plan.code)
        if different:
            msg = f"{shown_path(self.path)} changed while the study was starting: {'; '.join(different)}"
            raise SimkitError(msg)
        unequal = tuple(plan.captures.others(self.captures))
        plan = attrs.evolve(plan.supplied(suppliers), stream_name=stream, unequal=unequal)
        return attrs.evolve(job, plan=plan), Declared(declared)


@attrs.frozen(eq=False)
class Parcel:
    """The experiment itself: for functions that no file can give again, as in a script or a notebook."""

    payload: bytes

    def __call__(self) -> tuple[Job, Declared]:
        """Make the job."""
        import dill

        job, declared, codecs = dill.loads(self.payload)
        for codec in codecs:
            OWN.add(codec)
        return job, Declared(declared)


def portable(job: Job, declared: Declared) -> Source:
    """A source that can be sent to another process; it holds none of the points.

    Raises
    ------
    SimkitError
        When something that the experiment needs can't be sent.
    """
    declared_space = job.plan.space
    plan, elements = job.plan, declared.elements
    feeds = [feed.bare for feed in declared_space.feeds.values()]
    space = outline(declared_space.names, declared_space.optional, feeds)
    suppliers = plan.suppliers
    try:
        if not _is_in_its_file(plan):
            codecs = tuple(OWN.by_name.values())
            bare = attrs.evolve(
                plan, space=space, code={}, afters=(), strategy=None, sources=Sources(), over=None
            )
            whole = attrs.evolve(job, plan=bare, shared=dict(job.shared), outside={})
            return Parcel(_with_code((whole, elements, codecs)))
        rest = attrs.evolve(job, plan=None, shared=dict(job.shared))  # type: ignore[arg-type]  # made anew
        payload = _with_code((rest, space, plan.compress, plan.stream_name, elements, suppliers))
    except Exception as error:  # noqa: BLE001 - pickling raises anything
        cure = "run it with -n 0, or with --start-method fork"
        raise SimkitError(
            f"{plan.node_id}: cannot be sent to a worker process: {error}\n    {cure}"
        ) from None
    return Recipe(plan.path, plan.rootdir, plan.function.__name__, plan.code, plan.captures, payload)


def _is_in_its_file(plan: Plan) -> bool:
    """Whether importing the file gives the experiment: no script, no notebook, no function within another."""
    module = sys.modules.get(plan.module)
    is_importable = plan.module != "__main__" and getattr(module, "__file__", None) is not None
    return is_importable and getattr(module, plan.function.__name__, None) is plan.function


def for_workers(job: Job, method: Method) -> tuple[Source, Declared]:
    """What workers make the job from, and what the owner packs their messages with."""
    declared = Declared.of(job.plan.space)
    return (lambda: (job, declared)) if method == "fork" else portable(job, declared), declared


class Declared:
    """The objects among the declared points that a run shall get as they are: they travel as their numbers.

    Parameters
    ----------
    elements
        Known on both sides: a worker is forked from the owner, or gets them with its job.
    """

    def __init__(self, elements: Sequence[Any] = ()) -> None:
        self.elements = elements
        self.numbers = {id(element): number for number, element in enumerate(elements)}

    @classmethod
    def of(cls, space: Space) -> Declared:
        """Those of a space; numbers, texts and arrays are copied on the way, whatever they stand in."""
        columns = (values.array for _, values in axes(space.form) if values.array.dtype == object)
        return cls([element for column in columns for element in column if not _is_copied(element)])

    def dumps(self, message: Any, beside: Beside = None) -> bytes:
        """Pickle a message.

        Parameters
        ----------
        beside
            Called with each buffer; where it gives false, the buffer travels beside the message.
        """
        return pickled(message, beside, self.numbers)

    def loads(self, data: bytes | memoryview, buffers: Sequence[Any] = ()) -> Any:
        """What `dumps` pickled."""
        if not self.elements and len(data) > _SHORT:
            return pickle.loads(data, buffers=buffers)
        return _Unpickler(io.BytesIO(data), self.elements, buffers).load()


def pickled(message: Any, beside: Beside = None, numbers: Mapping[int, int] | None = None) -> bytes:
    """Pickle what goes to another process; arrays keep their byte order.

    Parameters
    ----------
    beside
        Called with each buffer; where it gives false, the buffer travels beside the message.
    numbers
        Those of objects that the other process has, by their ids.
    """
    file = io.BytesIO()
    if numbers:
        pickler: pickle.Pickler = _Pickler(file, numbers, beside)
    else:
        pickler = pickle.Pickler(file, 5, buffer_callback=beside)  # older protocols lose byte order
    pickler.dispatch_table = _reductions()
    pickler.dump(message)
    return file.getvalue()


def _with_code(message: Any) -> bytes:
    """The same with the functions and classes that a message needs: no module of the other process has them."""
    import dill  # only where something is sent: it takes as long to import as a small study runs

    file = io.BytesIO()
    pickler = dill.Pickler(file, 5, recurse=True)
    pickler.reducer_override = _override  # dill has its own way for arrays, which loses their order, too
    pickler.dump(message)
    return file.getvalue()


def _override(thing: Any) -> Any:
    kind = type(thing)
    if kind not in (np.ndarray, np.ma.MaskedArray) or thing.dtype.isnative or thing.dtype.hasobject:
        return NotImplemented
    if kind is np.ndarray and thing.dtype.names is None:
        return _turned, (thing.astype(thing.dtype.newbyteorder("=")), thing.dtype.str)
    return _reductions()[kind](thing)


def _turned(array: Array, dtype: str) -> Array:
    return array.astype(dtype)


def _reductions() -> dict[Any, Any]:
    return {**copyreg.dispatch_table, np.ndarray: _reduced, np.ma.MaskedArray: _reduced_masked}


_SHORT = 4096  # bytes; what a buffer of its own saves on longer arrays is more than what this takes


def _reduced(array: Array) -> Any:
    """A short array of numbers as its bytes: NumPy's own way costs four times as much, which is most of a message."""
    dtype, flags = array.dtype, array.flags
    if dtype.kind in "mM" and not dtype.isnative:  # whose byte order NumPy's own way loses
        return np.ndarray.view, (array.view(np.dtype("i8").newbyteorder(dtype.byteorder)), dtype.str)
    if array.nbytes > _SHORT or dtype.isbuiltin != 1 or dtype.kind not in "iufcb" or not flags.c_contiguous:
        return array.__reduce_ex__(5)
    octets = bytearray(array.tobytes()) if flags.writeable else array.tobytes()
    if array.ndim == 1 and len(array):
        return np.frombuffer, (octets, dtype.char)
    return _array, (octets, dtype.char, array.shape)


def _reduced_masked(array: Any) -> Any:
    """A masked array; in another byte order its parts, since NumPy's own way loses the order of times."""
    dtype, data = array.dtype, array.data
    if dtype.isnative or dtype.names is not None or dtype.hasobject or type(data) is not np.ndarray:
        return array.__reduce_ex__(5)
    return np.ma.MaskedArray, (data, np.ma.getmaskarray(array), None, False, True, 0, array.fill_value)


def _array(octets: bytes | bytearray, char: str, shape: tuple[int, ...]) -> Array:
    return np.frombuffer(octets, char).reshape(shape)


@functools.cache
def _lasting(module: str, name: str) -> Any:
    """What stands in a module of simkit's or NumPy's: pickle looks for it longer than it reads a short message."""
    return operator.attrgetter(name)(importlib.import_module(module))


_COPIED = {str, bytes, int, float, complex, bool, type(None)}


def _is_copied(element: Any) -> bool:
    if type(element) is np.ndarray:
        return bool(element.dtype != object)
    return type(element) in _COPIED or isinstance(element, np.generic)


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, numbers: Mapping[int, int], beside: Beside) -> None:
        super().__init__(file, 5, buffer_callback=beside)
        self.numbers = numbers

    def persistent_id(self, element: Any) -> int | None:
        return self.numbers.get(id(element))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, elements: Sequence[Any], buffers: Sequence[Any]) -> None:
        super().__init__(file, buffers=buffers)
        self.elements = elements

    def persistent_load(self, number: int) -> Any:
        return self.elements[number]

    def find_class(self, module: str, name: str) -> Any:
        stays = module.startswith(("simkit.", "numpy"))  # a user's module may be loaded anew
        return _lasting(module, name) if stays else super().find_class(module, name)


def start_method(wanted: Method | None = None) -> Method:
    """Fork where it is safe, else spawn: a fork has none of the threads that may hold a lock, or be waited for."""
    if wanted is not None:
        return wanted
    is_safe = threading.active_count() == 1 and not any(name in sys.modules for name in _THREADED)
    return "fork" if sys.platform == "linux" and is_safe else "spawn"


_THREADED = ("jax", "tensorflow")  # their threads are not Python's, and a fork of theirs hangs
