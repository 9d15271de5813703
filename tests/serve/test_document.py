"""The report: one file that tells everything and asks nobody."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest
from browsers import chromium, visiting
from pages import HOSTILE, ring

import simkit

STUDY = """
    import numpy as np
    from typing import Annotated
    from simkit import Unit, experiment, product, report

    @experiment
    @product(x=[1.0, 2.0, 3.0], kind=["a", "b"])
    def f(x: Annotated[float, "the <b>first</b>", Unit("m")], kind: str, n: Annotated[int, "how many"] = 3):
        '''Multiply.

        Because we can.
        '''
        if x == 3 and kind == "b":
            raise ValueError("<i>too much</i>")
        return {"z": x * n, "v": np.linspace(0, x, 30)}

    @report(f)
    def drawn(trajectory):
        "In matplotlib."
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        figure, axes = plt.subplots()
        axes.plot(trajectory["z"])
        return figure

    @report(f)
    def others(trajectory):
        frame = trajectory.to_dataframe().groupby("kind")[["z"]].mean()
        live = trajectory.where(kind="a").plot.line("z", backend="bokeh")
        return {"means": frame, "words": "<u>z</u> grows", "live": live}
"""


@pytest.fixture(scope="module")
def study(shared):
    """A study with a report of its own, run and reported."""
    shared.file("sim_f.py", STUDY)
    assert shared.simkit("-n", "0", "--reason", "to see").code == 1  # a run failed
    shared.ok("report", "results/f-001.h5")
    return shared


@pytest.fixture(scope="module")
def page(study) -> str:
    return (study.path / "f-001.html").read_text()


def test_it_says_what_was_run_and_why(page):
    told = ("Multiply.", "Because we can.", "to see", "6 runs", "5 done", "1 failed", "how many")
    for words in (*told, "3 values: 1.0, 2.0, 3.0"):
        assert words in page
    assert "simkit restore results/f-001.h5 DIR" in page
    assert "simkit verify results/f-001.h5" in page
    assert "sim_f.py" in page
    assert re.search(r"numpy \d", page)


def test_it_shows_what_report_functions_gave(page):
    assert 'alt="drawn"' in page
    assert "In matplotlib." in page
    assert '<th class="number">kind</th>' in page
    assert "&lt;u&gt;z&lt;/u&gt; grows" in page


def test_it_shows_a_line_for_each_result_and_pictures_of_arrays(page):
    captions = [unescape(text) for text in re.findall(r"<figcaption>(.*?)</figcaption>", page)]
    assert "z over x, a line for each kind." in captions
    assert [text for text in captions if text.startswith("v of run 0: x=1.0  kind='a'")]
    assert len(captions) <= 12 + 2


def test_html_in_a_file_is_shown_as_text(page):
    assert "&lt;i&gt;too much&lt;/i&gt;" in page
    assert "the &lt;b&gt;first&lt;/b&gt;" in page
    assert "<i>too" not in page


def test_it_is_one_small_file_that_may_load_nothing(page):
    assert len(page) < 5_000_000
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_it_opens_with_the_network_off(study):
    with chromium() as browser, visiting(browser) as visit:
        visit.page.context.set_offline(True)
        visit.page.goto((study.path / "f-001.html").as_uri())
        visit.page.locator(".figures canvas, .figures .bk-Canvas").first.wait_for(state="attached")
        assert visit.page.evaluate("Bokeh.documents.length") >= 3
        assert not visit.problems, visit.problems
        assert visit.hosts <= {""}


def test_a_report_is_replaced_and_nothing_else(study):
    study.ok("report", "results/f-001.h5")
    study.file("mine.html", "<p>mine</p>")
    refused = study.simkit("report", "results/f-001.h5", "-o", "mine.html")
    assert (refused.code, "mine.html exists and is no report" in refused.err) == (4, True)
    assert (study.path / "mine.html").read_text() == "<p>mine</p>"
    study.ok("report", "results/f-001.h5", "-o", "mine.html", "--force")
    assert study.simkit("report", "nope.h5").code == 4


def report_of(study, trajectory_file) -> str:
    study.ok("report", str(trajectory_file), "-o", "out.html", "--force")
    return (study.path / "out.html").read_text()


def test_at_most_a_dozen_figures_the_best_explained_first(study, tmp_path):
    names = [f"r{i}" for i in range(15)]

    def many(x: float, noise: int) -> dict[str, float]:
        rng = np.random.default_rng(int(100 * x) + noise)
        return {"random": rng.random(), **dict.fromkeys(names, x)}

    space = simkit.product(x=np.linspace(0, 1, 12), noise=[1, 2, 3])
    simkit.run(many, space, output=tmp_path / "m.h5").close()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", report_of(study, tmp_path / "m.h5"))
    assert len(captions) == 12
    assert captions[0].startswith("r0 over x")
    assert not [text for text in captions if text.startswith("random")]


def test_scattered_points_are_drawn_over_what_explains_them(study, tmp_path):
    rng = np.random.default_rng(0)
    points = [{"a": float(a), "b": float(b)} for a, b in rng.random((40, 2))]

    def sampled(a: float, b: float) -> float:
        return b**2

    simkit.run(sampled, simkit.explore(points), output=tmp_path / "s.h5").close()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", report_of(study, tmp_path / "s.h5"))
    assert captions[0] == "result over b, a point per run."
    assert "All at once, coloured by result." in captions


def test_nothing_but_failures_is_a_report_too(study, tmp_path):
    space = simkit.product(drive=[3.0], weight=[1.0], rule=["oja"])
    simkit.run(ring, space, output=tmp_path / "f.h5").close()
    page = report_of(study, tmp_path / "f.h5")
    assert "1 run failed" in page
    assert "FloatingPointError" in page
    assert HOSTILE not in page
    assert "<script>" not in page  # no figure, no script
