"""What is known of runs and sessions besides values: texts, notes, checkpoints, circumstances.

``info/001`` holds the facts of the first session as attributes, mappings as JSON. Long texts and the files of
the project stand in ``info/sources`` under the SHA-256 of their bytes, compressed; a session's attributes
``sources`` (by path) and ``texts`` (by the fact's name) tell which are its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError
from simkit.record.columns.layout import read
from simkit.record.columns.rows import TEXT, append, create_flat, read_rows
from simkit.record.columns.write import Sink
from simkit.record.format import MERGED
from simkit.record.inspection import Texts, check_amount
from simkit.values.batch import Batch, Checkpoint, Restored, RunReport, Status


def write_texts(runs: h5py.Group, kind: str, texts: Mapping[int, str]) -> None:
    """Add errors or logs by run number; those of earlier attempts stay."""
    if texts:
        words = [clean(text) for text in texts.values()]
        _append(runs.require_group(kind), {"run": ("i8", list(texts)), "text": (TEXT, words)})


def read_texts(runs: h5py.Group, kind: str, run: int, column: str = "text") -> list[str]:
    """What one column of the errors, logs or notes says of a run, the newest last."""
    if kind not in runs:
        return []
    entries = np.flatnonzero(runs[f"{kind}/run"][:] == run)
    return [str(text) for text in Texts(runs[f"{kind}/{column}"])[entries]] if len(entries) else []


def read_latest_texts(runs: h5py.Group, kind: str, wanted: Index) -> dict[int, str]:
    """The newest error or log of each run that is wanted and has one."""
    if kind not in runs or not len(wanted):
        return {}
    numbers = runs[f"{kind}/run"][:]
    newest = {int(numbers[i]): i for i in np.flatnonzero(np.isin(numbers, wanted)).tolist()}
    entries = sorted(newest.values())
    texts = Texts(runs[f"{kind}/text"])[entries]
    return {int(numbers[i]): str(text) for i, text in zip(entries, texts, strict=True)}


def write_notes(runs: h5py.Group, notes: Sequence[tuple[int, str, str]]) -> None:
    """Add remarks: run number, name of a result or nothing, text."""
    if notes:
        numbers, names, texts = zip(*notes, strict=True)
        columns = {"run": ("i8", numbers), "name": (TEXT, names), "text": (TEXT, list(map(clean, texts)))}
        _append(runs.require_group("notes"), columns)


_SAID = {"run": "i8", "step": "i8", "value": "f8", "stop": "i1", "asked": "i8", "told": "i8"}
# At "stop": of the run's rows before this one only the first ones count, as many as "step" says.
_TAKEN_BACK = -2


def read_reports(runs: h5py.Group) -> list[RunReport]:
    """All that runs reported and were answered, in the order in which it was heard, whether or not it counts."""
    return [report for report in _said(runs, None) if isinstance(report, RunReport)]


def read_counted(runs: h5py.Group, run: int | None = None) -> dict[int, list[RunReport]]:
    """What the last attempts of runs said, by run number, in order; of one run if it is given."""
    group = runs.get("report")
    rows = None if run is None or group is None else np.flatnonzero(group["run"][:] == run)
    return _counted(_said(runs, rows))


def _said(runs: h5py.Group, rows: Index | None) -> Iterator[RunReport | tuple[int, int]]:
    """Each row: what was said; or a run number, and how many of its rows before this one count."""
    group = runs.get("report")
    if group is None:
        return
    columns = [group[name][:] if rows is None else read_rows(group[name], rows) for name in _SAID]
    for run, step, value, stop, asked, told in zip(*(column.tolist() for column in columns), strict=True):
        if stop == _TAKEN_BACK:
            yield run, step
        else:
            yield RunReport(run, step, value if stop < 0 else None, stop=stop > 0, asked=asked, told=told)


def _counted(said: Iterable[RunReport | tuple[int, int]]) -> dict[int, list[RunReport]]:
    by_run: dict[int, list[RunReport]] = {}
    for one in said:
        if isinstance(one, RunReport):
            by_run.setdefault(one.run, []).append(one)
        else:
            del by_run.setdefault(one[0], [])[one[1] :]
    return by_run


def read_stops(runs: h5py.Group) -> dict[int, int]:
    """The step at which runs were told to stop, by run number."""
    return {run: one.step for run, counted in read_counted(runs).items() for one in counted if one.stop}


def take_back_reports(runs: h5py.Group, numbers: Index) -> None:
    """What these runs said so far counts no more."""
    if "report" in runs:
        said = np.intersect1d(runs["report/run"][:], numbers)
        _write_said(runs, [_taken_back(run, 0) for run in said.tolist()])


_Row = tuple[int, int, float, int, int, int]


def _row(report: RunReport) -> _Row:
    value = np.nan if report.value is None else report.value
    stop = int(report.stop) if report.waits else -1
    return report.run, report.step, value, stop, report.asked, report.told


def _taken_back(run: int, kept: int) -> _Row:
    return run, kept, np.nan, _TAKEN_BACK, -1, -1


def _write_said(runs: h5py.Group, rows: Sequence[_Row]) -> None:
    if rows:
        columns = zip(_SAID.items(), zip(*rows, strict=True), strict=True)
        _append(runs.require_group("report"), {name: (dtype, values) for (name, dtype), values in columns})


class ReportTable:
    """What the runs of an open file say of themselves while they go on, in the order in which it is heard.

    A run that is tried again says it again, from its start or its checkpoint on. What it repeats is not written; from
    where it differs on, what earlier attempts said is taken back, and so is what the last one did not come to.

    Attributes
    ----------
    counted
        What counts of each run that has said anything, and is not done.
    reached
        How many things the attempt under way has said.
    """

    def __init__(self, runs: h5py.Group) -> None:
        self.runs = runs
        self.counted: dict[int, list[RunReport]] = {}
        self.reached: dict[int, int] = {}
        numbers = runs["report/run"][:] if "report" in runs else np.empty(0, "i8")
        self.order = np.argsort(numbers, kind="stable")  # the rows that were there, by run
        self.recorded = numbers[self.order]

    def of(self, run: int) -> list[RunReport]:
        """What counts of a run."""
        if run not in self.counted:
            start, stop = np.searchsorted(self.recorded, [run, run + 1])
            said = _said(self.runs, self.order[start:stop]) if stop > start else ()
            self.counted[run] = _counted(said).get(run, [])
        return self.counted[run]

    def add(self, reports: Iterable[RunReport]) -> int:
        """Write what was said; how many rows that were."""
        rows = []
        for report in reports:
            counted, place = self.of(report.run), report.place
            self.reached[report.run] = place + 1
            if place < len(counted) and _row(counted[place])[:4] == _row(report)[:4]:
                continue
            rows += [*self._cut(report.run, place), _row(report)]
            counted.append(report)
        _write_said(self.runs, rows)
        return len(rows)

    def settle(self, batch: Batch) -> None:
        """Take back what runs that have ended did not come to; of one that died without a word, nobody knows."""
        if not self.counted and not len(self.recorded):
            return
        rows = []
        for run, status in zip(batch.runs.tolist(), batch.status.tolist(), strict=True):
            reached, died = self.reached.pop(run, None), status in (Status.CRASHED, Status.TIMEOUT)
            kept = reached if died else batch.reported.get(run, 0)
            rows += [] if kept is None else self._cut(run, kept)
            if status == Status.DONE:
                self.counted.pop(run, None)
        _write_said(self.runs, rows)

    def _cut(self, run: int, kept: int) -> list[_Row]:
        """Take back all but the first rows of a run; the row that says so, if there is anything to take back."""
        counted = self.of(run)
        if len(counted) <= kept:
            return []
        del counted[kept:]
        return [_taken_back(run, kept)]


def _append(group: h5py.Group, columns: Mapping[str, tuple[Any, Sequence[Any]]]) -> None:
    for name, (dtype, values) in columns.items():
        dataset = group[name] if name in group else create_flat(group, name, dtype)
        append(dataset, np.array(values, object) if dtype is TEXT else values)


def write_checkpoint(runs: h5py.Group, checkpoint: Checkpoint) -> None:
    """Replace a run's state, and add its new rows to those of earlier checkpoints."""
    vault, key = runs.require_group("checkpoint"), str(checkpoint.run)
    if checkpoint.first and key in vault:
        del vault[key]
    group = vault.require_group(key)
    if "state" in group:
        del group["state"]
    Sink(group, "state", 1, lambda: np.zeros(1, bool)).write(np.arange(1), checkpoint.state)
    series = group.require_group("series")
    for name, column in checkpoint.rows.items():
        start = int(series.attrs.get(name, 0))
        sink = Sink(series, name, start, lambda start=start: np.arange(start) >= 0)  # type: ignore[misc]
        sink.grow(start + column.n)
        sink.write(np.arange(start, start + column.n), column)
        series.attrs[name] = start + column.n


def read_checkpoints(runs: h5py.Group) -> dict[int, Restored]:
    """What runs that are not done committed last, by run number."""
    checkpoints = {}
    for run, group in runs.get("checkpoint", {}).items():
        lengths = group["series"].attrs
        series = {name: (read(group["series"], name, slice(0, int(n))),) for name, n in lengths.items()}
        checkpoints[int(run)] = Restored(read(group, "state", slice(0, 1)), series)
    return checkpoints


def forget_checkpoints(runs: h5py.Group, done: Index) -> None:
    """These runs need theirs no more."""
    vault = runs.get("checkpoint")
    for run in done.tolist() if vault is not None and len(vault) else ():
        if str(run) in vault:
            del vault[str(run)]


def clean(text: str) -> str:
    """Text as HDF5 strings hold it: NUL and lone surrogates shown as escapes."""
    if "\0" not in text and text.isprintable():
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


SOURCES = "sources"
_LONG = 1000  # characters from which on a text is compressed
_MAPPINGS = ("packages", "origins", "code", "git", SOURCES, "environment", "texts")


def numbers(info: h5py.Group) -> list[str]:
    """The names of the sessions' groups, in order."""
    return sorted((key for key in info if key.isdigit()), key=int)


def write_session(info: h5py.Group, facts: Mapping[str, Any]) -> h5py.Group:
    """Add a session: text, bytes, numbers, and mappings; `sources` maps paths to the files' bytes."""
    group = info.create_group(f"{len(numbers(info)) + 1:03d}", track_order=True)
    amend_session(group, facts)
    return group


def amend_session(group: h5py.Group, facts: Mapping[str, Any]) -> None:
    """Add facts to a session."""
    texts: dict[str, str] = json.loads(group.attrs.get("texts", "{}"))
    for name, fact in facts.items():
        value: Any = fact
        if name == SOURCES:
            value = {path: _keep(group.parent, data) for path, data in fact.items()}
        if isinstance(value, Mapping):
            value = json.dumps(value)
        if isinstance(value, str):  # HDF5 has neither halves of characters, as in odd file names, nor NUL
            value = value.encode(errors="backslashreplace").decode().replace("\0", "\\0")
        data = value.encode() if isinstance(value, str) else value
        if isinstance(data, bytes) and (len(data) > _LONG or value is data):
            texts[name] = _keep(group.parent, data)
        else:
            group.attrs[name] = value
    if texts:
        group.attrs["texts"] = json.dumps(texts)


def _keep(info: h5py.Group, data: bytes) -> str:
    """Store a text unless it is there; its digest."""
    digest = hashlib.sha256(data).hexdigest()
    store = info.require_group(SOURCES)
    if digest in store:
        return digest
    text = as_text(data).encode()
    dtype = h5py.string_dtype("utf-8", max(1, len(text)))
    # One element, since HDF5 compresses neither scalars nor text of variable length.
    dataset = store.create_dataset(
        digest, data=np.array([text], dtype), dtype=dtype, chunks=(1,), compression="gzip"
    )
    if text != data:
        dataset.attrs["encoding"] = "latin-1"
    return digest


def as_text(data: bytes) -> str:
    """Bytes as text: in Latin-1, where any bytes are text and come back, they are if they are not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


class Sessions(Sequence[dict[str, Any]]):
    """The facts of each session, read when they are asked for; `packages` and `sources` are there in any case."""

    def __init__(self, info: h5py.Group) -> None:
        self.info, self.keys = info, numbers(info)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, number: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, number: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, number: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        return {"packages": {}, SOURCES: {}, **_read_session(self.info[self.keys[number]])}


def _read_session(group: h5py.Group) -> dict[str, Any]:
    facts = dict(group.attrs)
    for name, thing in group.items():  # where simkit 0.1 kept long texts
        if isinstance(thing, h5py.Dataset):
            facts[name] = thing.asstr()[()]
    for name, digest in json.loads(facts.pop("texts", "{}")).items():
        facts[name] = as_text(read_text(group.parent, digest))
    return {name: _decoded(name, value) for name, value in facts.items()}


def _decoded(name: str, value: Any) -> Any:
    if name in _MAPPINGS and isinstance(value, str):
        return _mapping(name, value)
    return value.item() if isinstance(value, np.generic) else value


def _mapping(name: str, text: str) -> dict[str, Any]:
    try:
        mapping = json.loads(text)
    except (ValueError, RecursionError):
        mapping = None
    if not isinstance(mapping, dict):
        raise SimkitError(f"what is recorded of a session's {name} can't be read: the file is damaged")
    return mapping


def read_fact(info: h5py.Group, number: int, name: str) -> bytes:
    """A long text of a session, exactly; empty if there is none."""
    digest = json.loads(info[numbers(info)[number - 1]].attrs.get("texts", "{}")).get(name)
    return b"" if digest is None else read_text(info, digest)


def read_text(info: h5py.Group, digest: str) -> bytes:
    """A recorded text by its digest, or by the first characters of it.

    Raises
    ------
    SimkitError
        When there is none, or several begin like that.
    """
    store = info.get(SOURCES, {})
    matching = [digest] if digest in store else [key for key in store if digest and key.startswith(digest)]
    if len(matching) != 1:
        few = ", ".join(sorted(key[:12] for key in matching or store)) or "none"
        many = "several sources begin with" if matching else "no source is recorded under"
        msg = f"{many} {digest!r}\n    there: {few}"
        raise SimkitError(msg)
    dataset = store[matching[0]]
    check_amount(dataset, dataset.dtype.itemsize)
    text: str = dataset.asstr()[0]
    return text.encode(str(dataset.attrs.get("encoding", "utf-8")))


def runs_digest(status: Array, started: Array) -> str:
    """A fingerprint of the runs: what became of each, and which attempt was done."""
    hasher = hashlib.blake2b(status.tobytes(), digest_size=16)
    hasher.update(started[status == Status.DONE].tobytes())
    return hasher.hexdigest()


class Origin(NamedTuple):
    """The file that a run was recorded in, and its number there.

    The file is named as it was when it was merged, relative to the folder of the merged one.
    """

    file: str
    run: int


_ORIGINS: dict[str, Any] = {
    "file": TEXT, "experiment": TEXT, "root_seed": TEXT, "created": "f8", "first_session": "u4", "sessions": "u4",
}  # fmt: skip


def read_origin(root: h5py.Group, run: int) -> Origin | None:
    """Where a run of a merged trajectory was recorded first; None if it was recorded here."""
    if "source" not in root["runs"] or not (number := int(root["runs/source"][run])):
        return None
    return Origin(str(root[f"info/{MERGED}/file"].asstr()[number - 1]), int(root["runs/source_run"][run]))


def read_origins(info: h5py.Group) -> list[dict[str, Any]]:
    """The files that a trajectory was merged from, and which of its sessions are theirs."""
    table = info.get(MERGED)
    if table is None:
        return []
    columns = {name: read_rows(table[name], slice(0, len(table[name]))) for name in _ORIGINS}
    return [{name: column[i] for name, column in columns.items()} for i in range(len(columns["file"]))]


def add_origins(info: h5py.Group, origins: Sequence[Mapping[str, Any]]) -> None:
    """Add files that runs were merged from."""
    _append(
        info.require_group(MERGED),
        {name: (dtype, [row[name] for row in origins]) for name, dtype in _ORIGINS.items()},
    )


def session_groups(root: h5py.Group) -> list[h5py.Group]:
    """What is told of each session, in order; other facts stand beside them under names."""
    return [group for name, group in root["info"].items() if name.isdigit()]
