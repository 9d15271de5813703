"""The page in a real browser: before, while and after a real study runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browsers import Visit, chromium, visiting

STUDY = """
    import time
    from pathlib import Path
    from typing import Annotated
    from simkit import experiment, product, Unit

    @experiment
    @product(x=[1.0, 2.0, 3.0, 4.0], y=[1.0, 2.0, 3.0])
    def f(x: float, y: Annotated[float, "<b>height</b>", Unit("m")], n: int = 3):
        '''Waits for the test after every fourth run.'''
        time.sleep(0.03)  # as much work as a batch has: none waits with another in one
        while not Path(f"go-{int(x)}").exists():
            time.sleep(0.01)
        if x == 2 and y > 1:
            raise ValueError(f"<script>alert('{y}')</script>")
        return {"z": x * y, "v": [x, y, x + y]}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@contextmanager
def served(project: Any, *arguments: str) -> Iterator[str]:
    """The address that ``simkit serve`` prints."""
    with project.under_way("serve", "--no-browser", "--port", "0", *arguments) as server:
        for line in server.stdout:
            if match := re.search(r"http://\S+", line):
                yield match[0]
                break
        else:
            pytest.fail(server.stderr.read())
        server.send_signal(signal.SIGINT)
        server.communicate()
        assert server.returncode == 0


def test_a_study_is_followed_from_its_first_runs_to_its_end(project, browser):
    project.file("sim_f.py", STUDY)
    project.file("go-1")
    with (
        project.under_way("-n", "2") as study,
        served(project, "results") as address,
        visiting(browser, address) as visit,
    ):
        visit.wait_for("#part-list", "f-001.h5")
        visit.page.get_by_role("link", name="f-001.h5").click()
        visit.until_drawn()
        visit.wait_for("#part-state", "3 done")
        assert visit.page.locator(".badge").inner_text() == "running"
        project.file("go-2")
        visit.wait_for("#part-state", "2 failed")
        project.file("go-3")
        project.file("go-4")
        study.communicate()
        visit.wait_for("#part-state", "complete")  # without a reload
        visit.wait_for("#part-table", "12.0")
        assert visit.page.locator(".runs tbody tr").count() == 12
        _filter_and_follow_a_failure(visit)
        visit.check()


def _filter_and_follow_a_failure(visit: Visit) -> None:
    page = visit.page
    page.fill("#where", "x >= 2 and y > 1")
    page.press("#where", "Enter")
    visit.wait_for("#part-table", "6 of 12 match")
    assert page.locator(".runs tbody tr").count() == 6
    page.get_by_role("link", name="z", exact=True).click()
    visit.wait_for("#part-table", "z ▲")
    first = page.locator(".runs tbody tr").first.inner_text()
    assert first.split()[0] == "7", first  # x = 3, y = 2 comes first; failed runs last
    page.locator(".runs tbody tr", has_text="failed").first.get_by_role("link").click()
    visit.until_drawn()
    assert "<script>alert('2.0')</script>" in page.locator("pre.error").inner_text()
    assert "sim_f.py" in page.locator("pre.error").inner_text()
    page.go_back()
    visit.wait_for("#part-table", "6 of 12 match")
    assert page.locator("#where").input_value() == "x >= 2 and y > 1"


def test_a_killed_study_is_told_and_what_was_committed_is_shown(project, browser):
    project.file("sim_f.py", STUDY)
    project.file("go-1")
    with (
        project.under_way("-n", "1") as study,
        served(project, "results") as address,
        visiting(browser, address) as visit,
    ):
        visit.page.get_by_role("link", name="f-001.h5").click()
        visit.wait_for("#part-state", "3 done")
        os.killpg(study.pid, signal.SIGKILL)
        study.communicate()
        visit.wait_for("#part-state", "The study was killed")
        assert visit.page.locator(".runs tbody tr").count() == 12
        visit.check()
        with project.under_way("-n", "1") as again:
            visit.wait_for("#part-state", "running")
            for name in ("go-2", "go-3", "go-4"):
                project.file(name)
            again.communicate()
        visit.wait_for("#part-state", "complete")
        visit.check()


@pytest.fixture(scope="module")
def finished(shared) -> Any:
    """A project with two studies that are over."""
    shared.file("sim_f.py", STUDY)
    for name in ("go-1", "go-2", "go-3", "go-4"):
        shared.file(name)
    shared.simkit("-n", "0")
    shared.simkit("-n", "0", "--set", "n=4")
    return shared


@pytest.fixture(scope="module")
def address(finished) -> Iterator[str]:
    with served(finished, "results") as made:
        yield made


def view(visit: Visit, path: str) -> None:
    """Open an address of the page once its token is known."""
    visit.page.goto(visit.address.partition("?")[0].rstrip("/") + path)
    visit.until_drawn()


PAGES = (
    "/",
    "/view?t=f-001.h5",
    "/run?t=f-001.h5&run=4",
    "/provenance?t=f-001.h5",
    "/compare?t=f-001.h5&t=f-002.h5",
)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_follows_the_system_s_colours(browser, address, scheme, path):
    phone = {"viewport": {"width": 390, "height": 800}, "color_scheme": scheme}
    with visiting(browser, address, **phone) as visit:
        view(visit, path)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
        red = int(
            re.findall(r"\d+", visit.page.evaluate("getComputedStyle(document.body).backgroundColor"))[0]
        )
        assert red < 60 if scheme == "dark" else red > 200
        visit.check()


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """The source of axe-core, which finds what keyboards and screen readers stumble over."""
    if shutil.which("npm") is None:
        pytest.skip("no npm to install axe-core with")
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "install", "--silent", "--no-save", "--prefix", str(folder), "axe-core@4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install axe-core: {done.stderr.strip()[:200]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.mark.parametrize("path", [*PAGES, "/view?t=nowhere.h5"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_stands_in_the_way_of_a_screen_reader(browser, address, axe, scheme, path):
    with visiting(browser, address, color_scheme=scheme) as visit:
        view(visit, path)
        visit.page.evaluate(axe)
        for width in (1300, 390):
            visit.page.set_viewport_size({"width": width, "height": 800})
            found = visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            serious = [fault for fault in found["violations"] if fault["impact"] in ("serious", "critical")]
            told = [(fault["id"], [node["html"][:200] for node in fault["nodes"][:3]]) for fault in serious]
            assert not told, json.dumps([width, told], indent=1)


def test_the_keyboard_reaches_the_filter_and_the_runs(browser, address):
    with visiting(browser, address) as visit:
        view(visit, "/view?t=f-001.h5")
        page = visit.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content"
        names = []
        for _ in range(200):
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
            if names[-1] == "11":
                break
        assert "where" in names
        assert names[-1] == "11", names


def test_figures_script_is_there_before_a_trajectory_is_chosen(browser, address):
    script = "performance.getEntriesByType('resource').find((each) => each.name.includes('bokeh.min.js'))"
    with visiting(browser, address) as visit:
        visit.until(f"{script}?.responseEnd")
        assert visit.page.evaluate(f"{script}.transferSize") > 100_000
        view(visit, "/view?t=f-001.h5")
        assert visit.page.evaluate(f"{script}.transferSize") == 0  # it is the browser's own
        assert visit.page.locator("figure[data-plot]:not([data-drawn=light])").count() == 0
        visit.check()


def test_a_figure_is_saved_as_a_picture(browser, address):
    with visiting(browser, address) as visit:
        view(visit, "/view?t=f-001.h5")
        for kind, begins in (("svg", b"<svg"), ("png", b"\x89PNG")):
            with visit.page.expect_download() as download:
                visit.page.locator(f"#figure-line [data-save={kind}]").click()
            assert download.value.suggested_filename == f"z over x.{kind}"
            assert Path(download.value.path()).read_bytes().startswith(begins)
        visit.check()


def test_a_box_drawn_on_parallel_coordinates_chooses_runs(browser, address):
    with visiting(browser, address) as visit:
        view(visit, "/view?t=f-001.h5")
        canvas = visit.page.locator("#figure-parallel .canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        mouse = visit.page.mouse
        mouse.move(box["x"] + 5, box["y"] + 60)
        mouse.down()
        mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5, steps=4)
        mouse.up()
        visit.wait_for("#part-table", "of 12 match")
        assert re.fullmatch(r"[\d.]+ <= x <= [\d.]+", visit.page.locator("#where").input_value())
        visit.check()


def test_a_stranger_s_browser_sees_nothing(browser, address):
    with visiting(browser) as visit:
        answer = visit.page.goto(address.partition("?")[0])
        assert answer.status == 403
        assert "no token" in visit.page.content()
