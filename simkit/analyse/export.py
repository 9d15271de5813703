"""Write a trajectory's runs for other programs."""

from __future__ import annotations

import csv
import datetime
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.notes import info
from simkit.analyse.selection import Selection, data_of, mask_of
from simkit.analyse.tables import (
    TableBlocks,
    as_names,
    magnitude,
    numbers_of,
    table_names,
    times_in_pandas_units,
)
from simkit.declare.forms import objects
from simkit.errors import SimkitError, TooMuch, check_replaceable, shown_path
from simkit.inform.progress import has_unit, size
from simkit.record.catalogue import bytes_of
from simkit.record.copy import extract, is_whole
from simkit.record.inspection import PLENTY

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


_BLOCK_BYTES = 8 << 20  # of an array that is read and written at once
_SCALARS = (bool, int, float, complex, str, np.generic, datetime.date, datetime.timedelta)


def cell_problem(selection: Selection, name: str) -> str:
    """Why a column can't stand in the cells of a text table; empty if it can."""
    if _is_large_array(selection, name):
        return f"an array per run, {_kind(selection, name)}"
    column = numbers_of(selection, name)[0]
    if column.ndim > 1:
        return f"an array per run, {_kind(selection, name)}"
    if column.dtype.kind != "O" or all(isinstance(value, _SCALARS) for value in _values(column)):
        return ""
    return f"more than a scalar per run, {_kind(selection, name)}"


def _is_large_array(selection: Selection, name: str) -> bool:
    """Whether a column takes so much memory that it is not read to see that it does not fit."""
    if name not in selection or selection.is_value(name):
        return False
    return selection.recorded.row_bytes(name) * len(selection) > PLENTY


def list_problem(selection: Selection, name: str) -> str:
    """Why a column can't stand in a typed table, whose cells are scalars, text or lists; empty if it can."""
    column = numbers_of(selection, name)[0]
    if column.dtype.kind == "c" or column.dtype.char in "gS":
        return f"it has no {column.dtype} numbers"
    if column.dtype.kind in "mM" and times_in_pandas_units(data_of(column)).dtype == object:
        return f"it has no times like these, {column.dtype}"
    if column.dtype.kind != "O":
        return f"more than one dimension per run, {_kind(selection, name)}" if column.ndim > 2 else ""
    values = _values(column)
    if all(type(value) is str for value in values):
        return ""
    if any(map(has_unit, values)):
        return f"quantities in no common array, {_kind(selection, name)}"
    if all(isinstance(value, np.ndarray) and value.ndim == 1 for value in values):
        dtypes = {value.dtype for value in values}
        if len(dtypes) == 1 and next(iter(dtypes)).kind in "biuf":
            return ""
    return f"not one type of numbers, text or lists in all runs, {_kind(selection, name)}"


def cube_problem(selection: Selection, name: str, array: xr.Variable) -> str:
    """Why an array can't stand in a netCDF file; empty if it can. Numbers are not read for that."""
    if not is_netcdf_name(name):
        return "netCDF has no such names"
    if array.dtype.kind == "c" or array.dtype.char in "geGS":
        return f"it has no {array.dtype} numbers"
    if array.dtype.kind == "M":
        years = array.values[~np.isnat(array.values)].astype("M8[Y]").astype(int) + 1970
        return "its times are of the years 1 to 9999" if ((years < 1) | (years > 9999)).any() else ""
    if array.dtype.kind != "O":
        return ""
    values = [value for value in array.values.flat if value is not None]
    if all(type(value) is str for value in values) or all(isinstance(v, (bool, np.bool_)) for v in values):
        return ""
    return f"no arrays of one shape and type, {_kind(selection, name)}"


def is_netcdf_name(name: str) -> bool:
    """Whether netCDF can hold a name: at most 256 bytes, no slash or control character, no space at the end."""
    is_begun = name[:1].isalnum() or name[:1] == "_" or name[:1] > "\x7f"
    return is_begun and len(name.encode()) <= 256 and not re.search(r"[\x00-\x1f\x7f/]|\s$", name)


def _values(column: Any) -> list[Any]:
    """What is present, without ``None``."""
    present = data_of(column)[~mask_of(column)]
    return [value for value in present.tolist() if value is not None]


def _kind(selection: Selection, name: str) -> str:
    recorded = selection.recorded
    return recorded.kind(name) if name in selection else ""


@attrs.frozen
class Exported:
    """What was written.

    Attributes
    ----------
    remarks
        What the file does not hold, or holds in another form.
    """

    path: Path
    remarks: tuple[str, ...] = ()


def export(
    selection: Selection,
    path: Path,
    names: str | Sequence[str] | None = None,
    *,
    force: bool = False,
    safe: bool = False,
) -> Exported:
    """Write a file of the kind that its name's ending tells; see `Trajectory.export`.

    Raises
    ------
    SimkitError
        For another ending, a file that exists, or values that the format can't hold.
    """
    write = _FORMATS.get(path.suffix.lower())
    if write is None:
        endings = ", ".join(_FORMATS)
        msg = (
            f"{shown_path(path)}: cannot export to {path.suffix or 'a name without ending'}: choose {endings}"
        )
        raise SimkitError(msg)
    if path.exists() and (path.suffix == ".h5" or not force):
        how = ": remove it yourself" if path.suffix == ".h5" else ": say so with --force (force=True)"
        msg = f"{shown_path(path)} exists{how}, or choose another name"
        raise SimkitError(msg)
    if not path.parent.is_dir():
        msg = f"{shown_path(path.parent)}: no such folder"
        raise SimkitError(msg)
    chosen = None if names is None else [selection.known(name) for name in as_names(names)]
    if chosen is None and path.suffix.lower() in (".nc", ".parquet"):
        _check_unnamed(selection)
    if safe:
        if path.suffix.lower() != ".csv":
            raise SimkitError(f"{shown_path(path)}: only text tables (.csv) need to be safe for spreadsheets")
        return Exported(path, tuple(_csv(selection, path, chosen, safe=True)))
    return Exported(path, tuple(write(selection, path, chosen)))


def _check_unnamed(selection: Selection) -> None:
    """Refuse to take much more memory than the file has bytes, as its compressed values would, where nobody named them.

    Raises
    ------
    TooMuch
        With what takes most.
    """
    recorded, names = selection.recorded, _varying(selection)
    sizes = {name: recorded.row_bytes(name) * len(selection) for name in names if name in selection}
    total, held = sum(sizes.values()), bytes_of(recorded.path)
    if total > max(PLENTY, 10 * held):
        most = max(sizes, key=lambda name: sizes[name])
        raise TooMuch(
            f"{shown_path(recorded.path)}: its values take {size(total)}, {total // held} times the file,"
            f" {most} {size(sizes[most])}\n    name those that are to be written: --names {','.join(names)}"
            " (names=[…]), or write a smaller trajectory (.h5)"
        )


def _whole_file(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside the file first, so that it is never there in part; a link to one stays a link."""
    check_replaceable(path)
    path = Path(os.path.realpath(path))
    aside = path.with_name(f".{path.name}.part")
    try:
        write(aside)
        os.replace(aside, path)
    except OSError as error:
        msg = f"{shown_path(path)}: could not be written: {error.strerror or error}"
        raise SimkitError(msg) from None
    finally:
        aside.unlink(missing_ok=True)


def _refuse(selection: Selection, path: Path, names: Sequence[str], problems: Mapping[str, str]) -> None:
    """An error that names what does not fit, and the names that do."""
    if not problems:
        return
    shown = "\n".join(f"    {name}: {why}" for name, why in problems.items())
    rest = [name for name in names if name not in problems]
    cures = ([".nc holds arrays"] if path.suffix != ".nc" else []) + [".h5 holds everything"]
    only = f"export the others with --names {','.join(rest)}; " if rest else ""
    msg = (
        f"{path.suffix} cannot hold all of {selection.recorded.name}:\n{shown}\n    {only}{', '.join(cures)}"
    )
    raise SimkitError(msg)


def _varying(selection: Selection) -> list[str]:
    """All that differs between runs, as a table shows it first."""
    first = table_names(selection)
    names = [*selection.names_in("parameters"), *selection.names_in("results")]
    others = [name for name in names if name not in first and not selection.about(name).constant]
    return [*first, *others]


def _remark_on_constants(selection: Selection, names: Sequence[str]) -> list[str]:
    constants = [name for name in selection.constants if name not in names]
    return [f"constants are not in the table: {', '.join(constants)}"] if constants else []


def _pieces(selection: Selection, wanted: Sequence[str], names: Sequence[str] | None) -> TableBlocks:
    """The wanted columns; with trials where these tell rows apart, and what became of each run."""
    trial = ["trial"] if names is None and selection.has_run_column("trial") else []
    return TableBlocks(selection, wanted, [*trial, "status", "seconds"])


def _texts(frame: pd.DataFrame) -> list[str]:
    """The columns of a table that may hold text."""
    return [name for name in frame.columns if str(frame[name].dtype) in ("object", "str", "string")]


def _without_formula(value: Any) -> Any:
    """Text that a spreadsheet shows rather than computes."""
    return (
        f"'{value}"
        if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r", "\n")
        else value
    )


def _csv(selection: Selection, path: Path, names: Sequence[str] | None, *, safe: bool = False) -> list[str]:
    wanted = _varying(selection) if names is None else names
    large = {
        name: f"an array per run, {_kind(selection, name)}"
        for name in wanted
        if _is_large_array(selection, name)
    }
    _refuse(selection, path, wanted, large)
    pieces = _pieces(selection, wanted, names)
    problems = {name: cell_problem(pieces.few, name) for name in wanted}
    _refuse(selection, path, wanted, {name: why for name, why in problems.items() if why})
    sample = pieces.sample
    texts = _texts(sample)
    # The csv module quotes a line feed, but not a carriage return, which ends a row for readers all the same.
    returns = any("\r" in str(text) for name in texts for text in (name, *sample[name]))
    quoting = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as file:
            for number, piece in enumerate(pieces):
                timed = _with_times(piece, sample)
                shown = _without_formulas(timed, texts) if safe else timed
                shown.to_csv(file, quoting=quoting, header=number == 0)

    _whole_file(path, write)
    units = [f"{name} in {unit}" for name, unit in sample.attrs["units"].items()]
    remarks = _remark_on_constants(selection, wanted) if names is None else []
    return remarks + ([f"units are not in the table: {', '.join(units)}"] if units else [])


def _without_formulas(frame: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
    """A table whose texts and names a spreadsheet shows rather than computes."""
    shown = {name: objects([*map(_without_formula, frame[name])]) for name in texts}  # numbers as they are
    return frame.assign(**shown).rename(columns=_without_formula)


def _with_times(piece: pd.DataFrame, sample: pd.DataFrame) -> pd.DataFrame:
    """A piece of a table with times as text, of as many digits as any time in the whole table needs."""
    import pandas as pd

    texts: dict[Any, Any] = {}
    for name in piece.columns:
        if piece[name].dtype.kind in "mM":
            texts[name] = pd.concat([sample[name], piece[name]]).astype(str)[len(sample) :]
    return piece.assign(**texts)


def _parquet(selection: Selection, path: Path, names: Sequence[str] | None) -> list[str]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        msg = '.parquet files need pyarrow: pip install "simkit[parquet]"'
        raise SimkitError(msg) from None
    wanted = _varying(selection) if names is None else names
    pieces = _pieces(selection, wanted, names)
    problems = {name: list_problem(pieces.few, name) for name in wanted}
    _refuse(selection, path, wanted, {name: why for name, why in problems.items() if why})
    sample = pieces.sample
    try:
        table = pa.Table.from_pandas(sample, preserve_index=True)  # a column for those that know no index
        table = table.select([sample.index.name, *sample.columns])
        durations = {
            field.name: field.type.unit for field in table.schema if pa.types.is_duration(field.type)
        }
        schema = table.schema.with_metadata(
            {**(table.schema.metadata or {}), **_facts(selection, {**sample.attrs["units"], **durations})}
        )

        def write(aside: Path) -> None:
            with pq.ParquetWriter(aside, schema) as file:
                for piece in pieces:
                    file.write_table(pa.Table.from_pandas(piece, schema, preserve_index=True))

        _whole_file(path, write)
    except pa.ArrowException as error:
        msg = f"{shown_path(path)}: {error}"
        raise SimkitError(msg) from None
    constants = [name for name in selection.constants if name not in wanted]
    return [f"constants are in the file's metadata: {', '.join(constants)}"] if constants else []


def _facts(selection: Selection, units: Mapping[str, str]) -> dict[str, str]:
    """What is known besides the columns and their units, for a schema's metadata: texts, mappings as JSON.

    Parquet has no durations: who does not know Arrow's, as DuckDB, reads integers, and finds their unit here.
    """
    made = info(selection.recorded)
    constants = {name: _bare(selection, name) for name in selection.constants}
    of_constants = {name: unit for name, (_, unit) in constants.items() if unit}
    return {
        "experiment": made.name,
        "node_id": made.node_id,
        "root_seed": str(made.root_seed),
        "created": made.created.isoformat(),
        "constants": json.dumps({name: _as_json(value) for name, (value, _) in constants.items()}),
        "units": json.dumps({**of_constants, **units}),
    }


def _bare(selection: Selection, name: str) -> tuple[Any, str]:
    """A constant without its unit, and the unit."""
    return magnitude(selection, name, selection.parameter(name))


def _as_json(value: Any) -> Any:
    """A value as JSON has it; what it does not have, infinity among it, as Python writes it."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufU":
        value = value.tolist()
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value


def _netcdf(selection: Selection, path: Path, names: Sequence[str] | None) -> list[str]:
    from simkit.analyse.xarray import dataset

    made, remarks = _netcdf_constants(selection, dataset(selection, names))
    wanted = [str(name) for name in made.variables if name in selection]
    problems = {name: cube_problem(selection, name, made.variables[name]) for name in wanted}
    _refuse(selection, path, wanted, {name: why for name, why in problems.items() if why})
    plain, more = _netcdf_missing(made)
    _whole_file(path, lambda aside: _to_netcdf(plain, aside))
    return remarks + more


def _netcdf_constants(selection: Selection, made: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Constants that are no numbers or text, as attributes in words."""
    constants = [str(n) for n in made.variables if n in selection and selection.about(str(n)).constant]
    words = [name for name in constants if made[name].dtype.kind in "Oc" and is_netcdf_name(name)]
    plain = made.drop_vars(words).assign_attrs({name: repr(made[name].item()) for name in words})
    return plain, [f"constants kept as text attributes: {', '.join(words)}"] if words else []


def _netcdf_missing(made: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Missing truth values as NaN, missing text as nothing."""
    remarks = []
    for name, variable in made.variables.items():
        if variable.dtype.kind != "O":
            continue
        here = [value for value in variable.values.flat if value is not None]
        is_text = not here or isinstance(here[0], str)
        filled = ["" if v is None else v for v in variable.values.flat] if is_text else [
            float("nan") if v is None else float(v) for v in variable.values.flat
        ]  # fmt: skip
        made[name] = variable.copy(data=_reshaped(filled, variable.shape))
        if len(here) < variable.size:
            remarks.append(
                f"{name}: {'missing text is empty' if is_text else 'true, false, missing are 1, 0, NaN'}"
            )
    return made, remarks


def _reshaped(values: list[Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.array(values, str if not values or isinstance(values[0], str) else float).reshape(shape)


def _to_netcdf(made: xr.Dataset, path: Path) -> None:
    try:
        with _in_blocks(made) as written:
            written.to_netcdf(path)
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        msg = f".nc: {error}"
        raise SimkitError(msg) from None


@contextmanager
def _in_blocks(made: xr.Dataset) -> Iterator[xr.Dataset]:
    """Large arrays as Dask's, read and written in blocks of runs; each at once where Dask is not installed."""
    large = {name: made[name] for name in made.data_vars if made[name].nbytes > 2 * _BLOCK_BYTES}
    try:
        import dask
    except ImportError:
        large = {}
    if not large:
        yield made
        return
    with dask.config.set({"array.chunk-size": _BLOCK_BYTES, "scheduler": "synchronous"}):
        yield made.assign({name: array.chunk(_whole_runs(array)) for name, array in large.items()})


def _whole_runs(array: xr.DataArray) -> dict[Any, int | str]:
    """How Dask divides an array that stands over the axes of the grid: no run's part of it."""
    return {dim: -1 if str(dim).startswith(f"{array.name}_dim_") else "auto" for dim in array.dims}


def _trajectory(selection: Selection, path: Path, names: Sequence[str] | None) -> list[str]:
    recorded, runs = selection.recorded, selection.runs
    everything = [*selection.names_in("parameters"), *selection.names_in("results")]
    wanted = everything if names is None else [*dict.fromkeys((*selection.recorded.explored, *names))]
    if names is not None:  # without its points and constants nobody could tell what the results are of
        wanted += [name for name in selection.constants if name not in wanted]
    extract(recorded, runs, wanted, path)
    if is_whole(recorded, runs, wanted):
        return []
    remarks = ["a part of a trajectory: simkit reads it, but does not continue it"]
    return remarks + (
        ["its summary is left out, it tells of all runs"] if selection.names_in("summary") else []
    )


_FORMATS: dict[str, Callable[[Selection, Path, Sequence[str] | None], list[str]]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".nc": _netcdf,
    ".h5": _trajectory,
}
