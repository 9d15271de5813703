"""A real browser before the page, and a real server behind it."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest

# Headless, and silent: without these Chromium asks Google's hosts for updates.
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
PATIENCE = 60_000  # milliseconds


@attrs.define
class Visit:
    """A browser's window, and what went wrong or out in it."""

    page: Any
    address: str = ""
    problems: list[str] = attrs.field(factory=list)
    hosts: set[str] = attrs.field(factory=set)

    def watch(self) -> None:
        """Note errors, and whom the page asks for something."""
        self.page.on(
            "console", lambda message: message.type == "error" and self.problems.append(message.text)
        )
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.set_default_timeout(PATIENCE)

    def until_drawn(self) -> None:
        """Wait until all figures are drawn."""
        self.page.locator("body[data-drawn]").wait_for(state="attached")

    def wait_for(self, selector: str, text: str) -> None:
        """Wait until an element says something."""
        self.page.locator(selector, has_text=re.compile(text)).first.wait_for(state="attached")

    def until(self, expression: str) -> Any:
        """Wait until JavaScript gives something true; Playwright's own waiting is `eval`, which the page forbids."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not (value := self.page.evaluate(expression)):
            assert time.monotonic() < deadline, expression
            self.page.wait_for_timeout(20)
        return value

    def check(self) -> None:
        """Nothing went wrong, and nobody but the page's own server was asked."""
        assert not self.problems, self.problems
        assert self.hosts <= {urlsplit(self.address).netloc, ""}, self.hosts  # "": data and blobs


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright, which brings none of its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="in the extra test")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=_FLAGS.split())
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Any, address: str = "", **settings: Any) -> Iterator[Visit]:
    """A window of its own, without any cookie."""
    context = browser.new_context(**{"viewport": {"width": 1300, "height": 900}, **settings})
    visit = Visit(context.new_page(), address)
    visit.watch()
    if address:
        visit.page.goto(address)
    yield visit
    context.close()
