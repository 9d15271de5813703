"""Runs as labelled arrays of xarray's, read when they are touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from simkit.analyse.grid import Axis, Placement, placed, placement
from simkit.analyse.notes import info as info_of
from simkit.analyse.selection import Selection, data_of, mask_of, missing, run_label
from simkit.analyse.tables import as_names, magnitude, numbers_of, times_in_pandas_units
from simkit.declare.forms import TRIAL, Array, Index, objects
from simkit.errors import SimkitError
from simkit.values.batch import WORDS
from simkit.values.decode import as_array

try:
    import xarray as xr
    from xarray.backends import BackendArray, BackendEntrypoint
    from xarray.core.indexing import (
        ExplicitIndexer,
        IndexingSupport,
        LazilyIndexedArray,
        explicit_indexing_adapter,
    )
except ImportError:
    msg = 'to_xarray() and .nc files need xarray: pip install "simkit[xarray]"'
    raise SimkitError(msg) from None


_EXACT = 2**53  # floats hold all integers up to here


def dataset(selection: Selection, names: str | Sequence[str] | None) -> xr.Dataset:
    """The named parameters and results over the axes of the grid."""
    chosen = None if names is None else as_names(names)
    for name in chosen or ():
        if name not in selection.run_names:
            selection.known(name)
    source: Any = selection
    return xr.open_dataset(source, engine=_Backend, names=chosen)


class _Backend(BackendEntrypoint):
    """What xarray asks for when it opens a trajectory as it opens a file: it then caches what was read."""

    open_dataset_parameters = ("filename_or_obj", "drop_variables", "names")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        names: Sequence[str] | None = None,
    ) -> xr.Dataset:
        """All that varies as arrays that are read later, constants as they are."""
        made = _Variables(filename_or_obj, placement(filename_or_obj)).all(names)
        return made if drop_variables is None else made.drop_vars(drop_variables)


_UNITS = [(unit, 1) for unit in ("s", "ms", "us", "ns")]  # of times that can be read when they are touched


class _Variables:
    """Makes the variables of one trajectory."""

    def __init__(self, selection: Selection, place: Placement) -> None:
        self.selection, self.place, self.rows = selection, place, place.rows()
        self.recorded = selection.recorded
        self.dims = tuple(self.label(axis, axis.name) for axis in place.axes)

    def label(self, axis: Axis, name: str) -> str:
        """What a coordinate of an axis is called: a parameter by its name, run numbers and trials beside these."""
        return name if axis.is_parameter else run_label(name, self.selection)

    def all(self, names: Sequence[str] | None) -> xr.Dataset:
        """The dataset: results are data; parameters, run numbers and statuses coordinates."""
        coordinates = {key: v for axis in self.place.axes for key, v in self.of_axis(axis).items()}
        coordinates.update(self.of_runs())
        data: dict[str, xr.Variable] = {}
        parameters = self.recorded.names("parameters")
        for name in [*parameters, *self.recorded.names("results")] if names is None else names:
            if name not in coordinates:
                (coordinates if names is None and name in parameters else data)[name] = self.variable(name)
        return xr.Dataset(data, coordinates, self.facts())

    def facts(self) -> dict[str, Any]:
        """What is known of the trajectory as a whole."""
        info = info_of(self.recorded)
        created = info.created.isoformat(timespec="seconds")
        seed = info.root_seed if info.root_seed < 2**63 else str(info.root_seed)
        return {
            "experiment": info.node_id, "doc": info.doc, "created": created, "root_seed": seed,
            "trajectory": str(self.selection.recorded.path),
        }  # fmt: skip

    def of_axis(self, axis: Axis) -> dict[str, xr.Variable]:
        """An axis' coordinates: the parameter that spans it, and those that move with it."""
        dim = self.label(axis, axis.name)
        coordinates = {}
        for name, values in axis.coordinates.items():
            plain, unit = magnitude(self.selection, name, values)
            array = _plain(filled(plain))
            inner = [f"{name}_dim_{i}" for i in range(array.ndim - 1)]
            about = self.about(name, unit) if axis.is_parameter else {}
            coordinates[self.label(axis, name)] = xr.Variable((dim, *inner), array, about)
        return coordinates

    def of_runs(self) -> dict[str, xr.Variable]:
        """Which run stands in each cell (-1: none), and what became of it."""
        there, rows = self.rows >= 0, np.maximum(self.rows, 0)
        numbers = self.selection.runs
        words = np.array([*WORDS, "none"])
        codes = self.selection.run_column("status").astype(np.int64)
        cells = np.where(there, codes[rows], len(WORDS)) if len(codes) else rows
        coordinates = {run_label("status", self.selection): xr.Variable(self.dims, words[cells])}
        if not any(axis.name == "run" and not axis.is_parameter for axis in self.place.axes):
            runs = np.where(there, numbers[rows], -1) if len(codes) else rows
            coordinates[run_label("run", self.selection)] = xr.Variable(self.dims, runs)
        elif self.selection.has_run_column(TRIAL):
            trials = self.selection.run_column(TRIAL)
            coordinates[run_label(TRIAL, self.selection)] = xr.Variable(self.dims, trials)
        return coordinates

    def about(self, name: str, unit: str = "") -> dict[str, str]:
        """Unit and comment, in the words of the CF conventions, which label xarray's plots."""
        if name not in self.selection:
            return {}
        comment = self.recorded.about(name).comment
        facts = {"units": unit or self.selection.unit(name), "comment": comment}
        return {key: text for key, text in {**facts, "long_name": comment.partition("\n")[0]}.items() if text}

    def variable(self, name: str) -> xr.Variable:
        """A constant as it is, or a column that is read when it is touched."""
        if name not in self.selection:
            return xr.Variable(self.dims, filled(placed(self.selection.array(name), self.rows)))
        if self.recorded.is_constant(name):
            values, unit = magnitude(self.selection, name, self.selection.parameter(name))
            array = _constant(values)
            inner = [f"{name}_dim_{i}" for i in range(array.ndim)]
            return xr.Variable(inner, _plain(array), self.about(name, unit))
        array, unit = self.column(name)
        inner = [f"{name}_dim_{i}" for i in range(array.ndim - len(self.dims))]
        return xr.Variable((*self.dims, *inner), array, self.about(name, unit))

    def column(self, name: str) -> tuple[Any, str]:
        """A column's array over the grid, unread if its type is known beforehand; and its unit."""
        probe = self.recorded.column(name, slice(0, 0))
        known = bool(probe.variants)
        values, unit = magnitude(
            self.selection, name, as_array(probe) if known else self.selection.array(name)
        )
        if values.dtype.kind in "mM" and np.datetime_data(values.dtype) not in _UNITS:
            times = numbers_of(self.selection, name)[0]
            return _times(filled(placed(times, self.rows))), unit
        runs = self.selection.runs
        holes = bool((self.rows < 0).any()) or not self.recorded.present(name)[runs].all()
        if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and holes:
            values = data_of(numbers_of(self.selection, name)[0])
        lazy = _Lazy(self.selection, name, self.rows, values.shape[1:], _with_holes(values, holes))
        return LazilyIndexedArray(lazy), unit


class _Lazy(BackendArray):
    """A column over the grid that reads only the cells that are asked for."""

    def __init__(
        self, selection: Selection, name: str, rows: Index, inner: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.selection, self.name, self.rows, self.inner = selection, name, rows, inner
        self.shape, self.dtype = (*rows.shape, *inner), dtype

    def __getitem__(self, key: ExplicitIndexer) -> Any:
        return explicit_indexing_adapter(key, self.shape, IndexingSupport.OUTER, self.read)

    def __deepcopy__(self, _: object) -> _Lazy:
        return self  # it can't change

    def read(self, key: tuple[Any, ...]) -> Array:
        """Some cells; holes are missing."""
        depth = self.rows.ndim
        rows = _outer(self.rows, key[:depth])
        flat = np.reshape(rows, -1)
        here = np.flatnonzero(flat >= 0)
        rows_read = self.selection.recorded.rows(self.name, self.selection.runs[flat[here]])
        column = magnitude(self.selection, self.name, self.selection.dense(self.name, rows_read))[0]
        values = filled(column, self.dtype)
        if len(here) < len(flat):
            cells = missing((len(flat), *self.inner), self.dtype)
            cells[here] = values
            values = cells
        shaped = values.reshape((*np.shape(rows), *self.inner))
        return np.asarray(_outer(shaped, (slice(None),) * np.ndim(rows) + key[depth:]))


def _outer(array: Array, key: tuple[Any, ...]) -> Array:
    """Index each dimension by itself: by a number, a slice or an array of numbers."""
    for axis in reversed(range(len(key))):  # a number takes its dimension away: later ones first
        array = array[(slice(None),) * axis + (key[axis],)]
    return array


def filled(column: Any, dtype: np.dtype[Any] | None = None) -> Array:
    """A column as a plain array: absent numbers NaN, other absent values None."""
    data = data_of(column)
    if dtype is None:
        dtype = _with_holes(data, bool(mask_of(column).any()))
    array = np.asarray(data.astype(dtype, copy=False))
    mask = mask_of(column)
    if mask.any():
        array = array.copy()
        array[mask] = None if dtype.kind == "O" else np.nan
    return array


def _with_holes(values: Array, holes: bool) -> np.dtype[Any]:
    """The type that holds these values, and a missing one."""
    if not holes or values.dtype.kind in "fcmMO":
        return values.dtype
    if values.dtype.kind not in "iu":
        return np.dtype(object)
    small = values.dtype.itemsize < 8 or not values.size
    exact = small or (int(values.min()) >= -_EXACT and int(values.max()) <= _EXACT)
    return np.dtype("f8" if exact else object)


def _plain(array: Array) -> Array:
    """Text in an array of its own kind, times as `_times` has them; anything else as it is."""
    if array.dtype.kind in "mM":
        return _times(array)
    is_text = array.dtype == object and array.size and all(type(value) is str for value in array.flat)
    # An array of texts drops NULs at their ends.
    return array.astype(str) if is_text and not any(text.endswith("\0") for text in array.flat) else array


def _times(array: Array) -> Array:
    """Times in a unit that xarray has; in words where there is none that has them all."""
    fitting = times_in_pandas_units(array)
    if fitting.dtype != object:
        return fitting
    return np.array([str(time) for time in array.flat], str).reshape(array.shape)


def _constant(value: Any) -> Array:
    """A number, text or array of them; anything else is an object."""
    if not isinstance(value, (dict, set, bytes)) and value is not None:
        try:
            array = np.asarray(value)
        except ValueError:  # a list of lists of differing lengths
            array = np.empty(0, object)
        if array.dtype.kind in "biufcmMU" and not (
            isinstance(value, (list, tuple)) and array.dtype.kind == "U"
        ):
            return array
    return objects([value]).reshape(())
