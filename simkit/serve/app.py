"""Which address of the page answers what?"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import math
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import quote

import attrs

from simkit.analyse.bokeh import LIGHT, Theme
from simkit.analyse.diff import diff
from simkit.errors import SimkitError, listed, shown_path
from simkit.inform.progress import briefly
from simkit.record.catalogue import bytes_of, version_of, writer_in
from simkit.record.inspection import unasked
from simkit.serve import figures
from simkit.serve.arrays import picture
from simkit.serve.figures import THEMES
from simkit.serve.files import Catalogue, Entry
from simkit.serve.guard import Guard
from simkit.serve.reading import Reader, Reading
from simkit.serve.runs import (
    Replay,
    attached,
    detail,
    failures,
    kind_of_picture,
    table,
    value_of_run,
)
from simkit.serve.sessions import difference, sessions
from simkit.serve.state import StudyState, state_of
from simkit.serve.summary import additions

try:
    import bokeh.server
    from bokeh.embed import json_item
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.requests import Request
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    from simkit.serve.html import DescribedName, address_query, described, environment, prepare
except ImportError:
    msg = 'simkit serve needs a few packages more: pip install "simkit[page]"'
    raise SimkitError(msg) from None

_HERE = Path(__file__).parent
_BOKEH = Path(bokeh.server.__file__).parent / "static" / "js" / "bokeh.min.js"
_MOST_COMPARED = 8
_BLOCK = 1 << 20  # bytes of a download that are sent at once
_BYTES = "application/octet-stream"
_TABLES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


def application(page: Page, token: str, *, hosts: tuple[str, ...] = (), port: int = 0) -> Guard:
    """The page of some trajectories, as an ASGI application.

    Parameters
    ----------
    token
        What whoever asks must know.
    hosts, port
        What the server is called besides localhost, and where it listens.
    """
    routes = [
        Route("/", page.answer(page.everything)),
        Route("/view", page.answer(page.view)),
        Route("/state", page.answer(page.state)),
        Route("/state.json", page.answer(page.state_json)),
        Route("/run", page.answer(page.run)),
        Route("/log", page.answer(page.log)),
        Route("/file", page.answer(page.file)),
        Route("/plot", page.answer(page.plot)),
        Route("/brush", page.answer(page.brush)),
        Route("/provenance", page.answer(page.provenance)),
        Route("/source", page.answer(page.source)),
        Route("/compare", page.answer(page.compare)),
        Route("/table.{ending}", page.answer(page.download)),
        Route("/favicon.ico", page.icon),
        Route(f"/static/bokeh/{_BOKEH.name}", page.bokeh),
        Mount("/static", StaticFiles(directory=_HERE / "static")),
    ]
    handlers: Any = {404: page.missing}
    made = Starlette(routes=routes, exception_handlers=handlers)
    return Guard(GZipMiddleware(made, minimum_size=2000, compresslevel=3), token, hosts, port)


Answer = Callable[[Mapping[str, str]], Response]


class Page:
    """Answers by opening a file, reading, and closing it.

    Parameters
    ----------
    replay
        Gives the command that replays a run.
    """

    def __init__(self, catalogue: Catalogue, replay: Replay) -> None:
        self.catalogue, self.replay, self.reader = catalogue, replay, Reader()
        self.templates = environment()
        self.states: dict[Entry, StudyState] = {}
        self.thread = ThreadPoolExecutor(1, "simkit-page")  # each thread would keep memory of its own

    def prepare(self) -> None:
        """Begin with what the first visitor will ask for, while the browser starts: the newest file and its figures."""
        self.thread.submit(self._prepare)

    @unasked()
    def _prepare(self) -> None:
        with suppress(Exception):  # whoever asks for it is told
            prepare()
            _compressed()
            entry = self.catalogue.entries()[0]
            with self.reader.reading(entry) as reading:
                self.states[entry] = state_of(reading)
                choice, _ = _choice(reading, {})
                self._tables(reading, choice, "", 0)
                for kind in choice.kinds(reading):
                    _figure(reading, choice, kind, LIGHT)

    def answer(self, method: Callable[[Request], Response]) -> Callable[[Request], Any]:
        """An address's method, in the page's thread; what a user can mend is told with a 400."""

        @unasked()
        def told(request: Request) -> Response:
            try:
                return method(request)
            except SimkitError as error:
                return self.refused(str(error), 400)
            except OSError as error:
                return self.refused(f"the file could not be read: {error}", 400)
            except HTTPException:
                raise
            except Exception as error:  # noqa: BLE001 - what else a damaged file leads to: the page goes on
                traceback.print_exc()
                return self.refused(f"the file is damaged, or simkit has a fault: {_named(error)}", 500)

        async def answered(request: Request) -> Response:
            return await asyncio.get_running_loop().run_in_executor(self.thread, told, request)

        return answered

    def refused(self, words: str, code: int) -> Response:
        """An error, as a page."""
        return self.html("error.html", code, words=words)

    async def missing(self, request: Request, error: HTTPException) -> Response:
        """No such address."""
        return self.refused(f"there is no {request.url.path}", 404)

    async def bokeh(self, request: Request) -> Response:
        """The script that draws figures; a figure is waited for no shorter than this is."""
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return FileResponse(_BOKEH)
        headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
        return Response(_compressed(), media_type="text/javascript", headers=headers)

    async def icon(self, request: Request) -> Response:
        """No picture, and no error in the console for it."""
        return Response(status_code=204)

    def html(self, template: str, code: int = 200, **values: Any) -> Response:
        """A page."""
        text = self.templates.get_template(template).render(values)
        return HTMLResponse(text.encode(errors="replace"), code)

    @contextmanager
    def opened(self, request: Request) -> Iterator[tuple[Entry, Reading]]:
        """The trajectory that an address names."""
        entry = self.catalogue.entry(request.query_params.get("t", ""))
        with self.reader.reading(entry) as reading:
            yield entry, reading

    def state_of_entry(self, entry: Entry) -> StudyState | str:
        """How far it is, or why it can't be read; a file that nobody writes is not opened again."""
        known = self.states.get(entry)
        if known and known.version == version_of(entry.path) and not (known.writer or writer_in(entry.path)):
            return known
        try:
            with self.reader.reading(entry) as reading:
                self.states[entry] = state_of(reading)
        except Exception as error:  # noqa: BLE001 - one that can't be read costs a line, and no other its own
            return str(error) if isinstance(error, (SimkitError, OSError)) else f"damaged: {_named(error)}"
        return self.states[entry]

    # Pages

    def everything(self, request: Request) -> Response:
        """The list of trajectories."""
        entries = self.catalogue.entries()
        states = [(entry, self.state_of_entry(entry), bytes_of(entry.path)) for entry in entries]
        return self.html(
            "list.html", entries=states, places=[shown_path(place) for place in self.catalogue.places]
        )

    def view(self, request: Request) -> Response:
        """A trajectory: how far it is, its figures, its runs."""
        query = dict(request.query_params)
        with self.opened(request) as (entry, reading):
            choice, problem = _choice(reading, query)
            sort, page = query.get("sort", ""), _whole(query.get("page", "0"))
            return self.html(
                "view.html",
                entry=entry,
                reading=reading,
                state=state_of(reading),
                choice=choice,
                problem=problem,
                kinds=choice.kinds(reading),
                measures=figures.measures(reading),
                columns=[*reading.columns, "seconds"],
                sort=sort,
                **self._tables(reading, choice, sort, page),
                several=len(self.catalogue.entries()) > 1,
                link=_Link(entry.key, {**choice.query(), "sort": sort}),
            )

    def _tables(self, reading: Reading, choice: figures.Choice, sort: str, page: int) -> dict[str, Any]:
        return {
            "table": table(reading, choice.where, sort, page),
            "failures": failures(reading),
            "additions": reading.kept("additions", lambda: additions(reading)),
            "about": reading.kept("about", lambda: _about(reading)),
        }

    def state(self, request: Request) -> Response:
        """How far a trajectory is, as a part of a page."""
        with self.opened(request) as (entry, reading):
            return self.html("state.html", state=state_of(reading), entry=entry)

    def state_json(self, request: Request) -> Response:
        """The same for programs."""
        with self.opened(request) as (_, reading):
            return Response(json.dumps(state_of(reading).as_json()), media_type="application/json")

    def run(self, request: Request) -> Response:
        """One run."""
        with self.opened(request) as (entry, reading):
            told = detail(reading, _whole(request.query_params.get("run", "0")), self.replay)
            return self.html(
                "run.html", entry=entry, reading=reading, run=told, runs=len(reading), state=state_of(reading)
            )

    def log(self, request: Request) -> Response:
        """What a run wrote, all of it."""
        with self.opened(request) as (_, reading):
            run = reading.checked_run(_whole(request.query_params.get("run", "0")))
            text = reading.trajectory.log(run)
            data = io.BytesIO(text.encode(errors="replace"))
            return _download(data, f"{reading.name}-{run}.log", "text/plain; charset=utf-8")

    def file(self, request: Request) -> Response:
        """A file that a run attached."""
        run, name = _whole(request.query_params.get("run", "0")), request.query_params.get("name", "")
        with self.opened(request) as (_, reading):
            files = attached(reading, run)
            if name not in files:
                there = listed(name, list(files))
                raise SimkitError(f"run {run} of {reading.name} has no file {name!r}\n    there: {there}")
            data = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is sent
            for block in reading.recorded.attached_blocks(files[name]):
                data.write(block.data)
            return _download(data, PurePosixPath(name).name, kind_of_picture(name) or _BYTES)

    def provenance(self, request: Request) -> Response:
        """The sessions of a trajectory."""
        with self.opened(request) as (entry, reading):
            return self.html(
                "provenance.html",
                entry=entry,
                reading=reading,
                sessions=sessions(reading),
                state=state_of(reading),
            )

    def source(self, request: Request) -> Response:
        """A recorded source, as text."""
        digest = request.query_params.get("digest", "")
        with self.opened(request) as (entry, reading):
            text = reading.trajectory.info.source(digest)
            return self.html(
                "source.html", entry=entry, reading=reading, text=text, digest=digest, state=state_of(reading)
            )

    def compare(self, request: Request) -> Response:
        """Two trajectories' differences; several side by side."""
        keys = request.query_params.getlist("t")[:_MOST_COMPARED]
        entries = [self.catalogue.entry(key) for key in dict.fromkeys(keys)]
        if len(entries) < 2:
            msg = "choose two trajectories or more to compare them"
            raise SimkitError(msg)
        sides, told = [], []
        for entry in entries:
            with self.reader.reading(entry) as reading:
                choice, _ = _choice(reading, {})
                kinds = [kind for kind in choice.kinds(reading) if kind in ("line", "scatter")][:1]
                sides.append((entry, state_of(reading), kinds, _constants(reading)))
        if len(entries) == 2:
            with self.reader.reading(entries[0]) as one, self.reader.reading(entries[1]) as other:
                found = diff(one.recorded, other.recorded)
                told = [difference(change) for change in found.changes]
                return self.html("compare.html", sides=sides, found=found, changes=told, apart=_apart(sides))
        return self.html("compare.html", sides=sides, found=None, changes=told, apart=_apart(sides))

    # Parts of pages

    def plot(self, request: Request) -> Response:
        """A figure, as BokehJS takes it."""
        query = dict(request.query_params)
        theme = THEMES.get(query.get("theme", ""), LIGHT)
        with self.opened(request) as (_, reading):
            if query.get("kind") == "summary":
                return JSONResponse(_kept_figure(reading, query.get("name", ""), theme))
            if query.get("kind") == "array":
                name, run = query.get("name", ""), _whole(query.get("run", "0"))
                item = json.dumps(json_item(picture(value_of_run(reading, run, name), name, theme))).encode()
            else:
                item = _figure(reading, figures.chosen(reading, query), query.get("kind", ""), theme)
            return Response(item, media_type="application/json")

    def brush(self, request: Request) -> Response:
        """The condition that selects the runs in a box."""
        query = dict(request.query_params)
        with self.opened(request) as (_, reading):
            choice = figures.chosen(reading, query)
            told = figures.condition(reading, choice, query.get("kind", ""), _box(query))
            joined = " and ".join(
                f"({part})" if " or " in part else part for part in (choice.where, told) if part
            )
            return JSONResponse({"where": joined})

    def download(self, request: Request) -> Response:
        """The runs that match, as a table."""
        ending = request.path_params["ending"]
        if ending not in _TABLES:
            raise HTTPException(404)
        with self.opened(request) as (_, reading), tempfile.TemporaryDirectory(prefix="simkit-") as folder:
            chosen = reading.trajectory.where(reading.matching(request.query_params.get("where", "")))
            path = Path(folder) / f"{reading.name}.{ending}"
            chosen.export(path, list(reading.columns))
            data = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is sent
            with open(path, "rb") as written:
                shutil.copyfileobj(written, data)
            return _download(data, path.name, _TABLES[ending])


@attrs.frozen
class _Link:
    """Addresses of a trajectory that keep what was chosen."""

    key: str
    query: Mapping[str, str]

    def __call__(self, path: str = "view", **changes: Any) -> str:
        """An address with some choices changed."""
        values = {"t": self.key, **self.query, **{name: str(value) for name, value in changes.items()}}
        return f"/{path}?{address_query(values)}"


def _figure(reading: Reading, choice: figures.Choice, kind: str, theme: Theme) -> bytes:
    """A figure of the runs, as BokehJS takes it."""

    def made() -> bytes:
        return json.dumps(json_item(figures.drawn(reading, choice, kind, theme))).encode()

    item: bytes = reading.kept(("figure", *choice.query().items(), kind, theme), made)
    return item


def _kept_figure(reading: Reading, name: str, theme: Theme) -> dict[str, Any]:
    """A figure of the summary, as BokehJS takes it."""
    for each in additions(reading):
        if each.name == name and each.is_figure:
            return each.item(theme)
    msg = f"{reading.name} has no figure {name!r} in its summary"
    raise SimkitError(msg)


@cache
def _compressed() -> bytes:
    """Bokeh's script as it is sent: compressed once, not for each visitor."""
    return gzip.compress(_BOKEH.read_bytes(), 6)


def _download(data: IO[bytes], name: str, kind: str) -> Response:
    """Bytes to be saved under a name; the trajectory is closed while they go out."""
    data.seek(0)
    headers = {
        "content-disposition": f"attachment; filename*=utf-8''{quote(name, safe='', errors='replace')}"
    }
    return StreamingResponse(_blocks(data), media_type=kind, headers=headers)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _blocks(data: IO[bytes]) -> Iterator[bytes]:
    with data:
        yield from iter(partial(data.read, _BLOCK), b"")


def _whole(text: str) -> int:
    """A number in an address."""
    if not text.isdecimal() or len(text) > 15:
        msg = f"{text!r} is no number of a run or a page"
        raise SimkitError(msg)
    return int(text)


def _box(query: Mapping[str, str]) -> tuple[float, float, float, float]:
    """The corners of a box in an address."""
    try:
        x0, x1, y0, y1 = (float(query[key]) for key in ("x0", "x1", "y0", "y1"))
    except (KeyError, ValueError):
        x0 = x1 = y0 = y1 = math.nan
    if not all(map(math.isfinite, (x0, x1, y0, y1))):
        raise SimkitError("a box has the numbers x0, x1, y0 and y1")
    return x0, x1, y0, y1


def _choice(reading: Reading, query: Mapping[str, str]) -> tuple[figures.Choice, str]:
    """What an address asks for; without its condition where that can't be read, and why."""
    choice = figures.chosen(reading, query)
    try:
        reading.matching(choice.where)
    except SimkitError as error:
        return attrs.evolve(choice, where=""), str(error)
    return choice, ""


def _about(reading: Reading) -> dict[str, list[DescribedName]]:
    """Each section's names, and what is known of them."""
    of = reading.trajectory
    return {section: described(reading, of.names(section)) for section in ("parameters", "results")}


def _constants(reading: Reading) -> dict[str, str]:
    return {name: briefly(value) for name, value in reading.trajectory.constants().items()}


def _apart(sides: list[Any]) -> dict[str, list[str]]:
    """The constants that differ between trajectories."""
    names = dict.fromkeys(name for side in sides for name in side[3])
    rows = {name: [side[3].get(name, "") for side in sides] for name in names}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}
