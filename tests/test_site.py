"""Is the built site whole? `.ci/run` builds it into `docs/_build`; elsewhere there may be nothing to test."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from browsers import Visit, chromium

SITE = Path(__file__).parents[1] / "docs" / "_build"
pytestmark = pytest.mark.skipif(not (SITE / "index.html").exists(), reason="sphinx-build docs docs/_build")
LOOKED_AT = [
    "index.html",
    "tutorial/index.html",
    "howto/pypet.html",
    "reference/command.html",
    "reference/api/simkit.Trajectory.html",
    "examples/brian2_network.html",
    "architecture.html",
]


class Links(HTMLParser):
    """The anchors of a page, and where its links and pictures lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = {name: value for name, value in attributes if value}
        self.anchors |= {told["id"]} if "id" in told else set()
        self.addresses += [told[name] for name in ("href", "src") if name in told]


def test_every_link_of_the_site_leads_somewhere():
    files = [file for file in SITE.rglob("*.html") if "_static" not in file.parts]
    pages = {file.resolve(): Links(file.read_text("utf-8")) for file in files}
    assert len(pages) > 60
    broken = []
    for file, links in pages.items():
        for address in links.addresses:
            if re.match(r"\w+:", address):  # of another site, which is not asked
                continue
            path, anchor = urldefrag(address)
            target = (file.parent / unquote(path.partition("?")[0])).resolve() if path else file
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                broken.append((file.relative_to(SITE.resolve()).as_posix(), address))
    assert broken == []


def test_what_programs_read_is_beside_the_pages():
    text = (SITE / "llms.txt").read_text("utf-8")
    pages = re.findall(r"\]\(([^)]+)\)", text)
    assert len(pages) > 15
    assert [page for page in pages if not (SITE / page).exists()] == []
    assert (SITE / "_downloads").exists() or (SITE / "reference/json-schema.json").exists()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and tells nobody."""

    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_pages_fit_into_a_desk_and_a_hand_without_errors(address):
    with chromium() as browser:
        for width in (1280, 390):
            visit = Visit(browser.new_page(viewport={"width": width, "height": 900}), address)
            visit.watch()
            for page in LOOKED_AT:
                visit.page.goto(address + page)
                too_wide = visit.page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert too_wide <= 0, (page, width)
            visit.check()
            visit.page.close()
