"""A trajectory with all that the page shows, and a browser's requests to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from starlette.testclient import TestClient

import simkit
from simkit.serve.app import Page, application
from simkit.serve.files import Catalogue

TOKEN = "a-token-for-tests"
HOSTILE = "<img src=x onerror=alert(1)>"


class Out(NamedTuple):
    rate: Annotated[float, "population rate", simkit.Unit("Hz")]
    trace: np.ndarray
    word: str


def ring(
    run, drive: Annotated[float, "external drive", simkit.Unit("nA")], weight: float, rule: str, n: int = 20
) -> Out:
    """Rate of a ring network."""
    print(f"{HOSTILE} drive={drive}")
    if drive == 3.0 and rule == "oja":
        raise FloatingPointError(f"{HOSTILE} neuron {int(weight)} diverged")
    run.note(f"{HOSTILE} noted")
    return Out(10 * drive + weight, np.linspace(0, drive, 50), HOSTILE)


SPACE = simkit.product(drive=[0.0, 1.0, 2.0, 3.0], weight=[1.0, 2.0, 3.0], rule=["hebb", "oja"]).repeat(2)


Client = Callable[..., Any]


def page_of(places: list[Path]) -> Page:
    """The page of these files and folders."""
    return Page(Catalogue(places), lambda reading, run: f"simkit replay {run}")


def client(places: list[Path] | Page, cookie: str = TOKEN, host: str = "127.0.0.1:8800") -> Client:
    """A browser that knows the token."""
    page = places if isinstance(places, Page) else page_of(places)
    app = application(page, TOKEN, port=8800)
    browser = TestClient(app, base_url=f"http://{host}", follow_redirects=False, raise_server_exceptions=True)
    if cookie:
        browser.cookies.set("simkit-8800", cookie)

    def ask(address: str, method: str = "GET", **headers: str) -> Any:
        return browser.request(method, address, headers=headers)

    return ask
