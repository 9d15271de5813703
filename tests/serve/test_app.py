"""What the page answers: lists, a trajectory, a run, figures, tables; hostile texts are texts."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import json
import re
import sys
from html import unescape
from urllib.parse import quote, urlencode

import h5py
import numpy as np
import pandas as pd
import pytest
from pages import HOSTILE, client, page_of, ring

import simkit
from simkit.serve.document import document
from simkit.serve.files import one_of
from simkit.serve.reading import Reader
from simkit.serve.state import state_of


def text(answer) -> str:
    assert answer.status_code == 200, answer.text
    return answer.text


def rows(page: str) -> list[list[str]]:
    """The cells of the table of runs."""
    body = page[page.index('class="runs"') :]
    body = body[body.index("<tbody>") : body.index("</tbody>")]
    lines = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [unescape(re.sub("<[^>]*>", "", cell)).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", line)]
        for line in lines
    ]


def data(answer) -> dict[str, dict]:
    """The columns of a figure's named sources."""
    models: dict[str, dict] = {}

    def look(thing):
        if isinstance(thing, dict):
            if thing.get("name") == "ColumnDataSource" and thing["attributes"].get("name"):
                entries = thing["attributes"]["data"]["entries"]
                models[thing["attributes"]["name"]] = dict(entries)
            for value in thing.values():
                look(value)
        elif isinstance(thing, list):
            for value in thing:
                look(value)

    look(json.loads(text(answer)))
    return models


def numbers(column) -> np.ndarray:
    """A column as Bokeh sends it."""
    if isinstance(column, list):
        return np.array(column)
    return np.frombuffer(gzip.decompress(base64.b64decode(column["array"]["data"])), column["dtype"]).reshape(
        column["shape"]
    )


def test_the_list_names_each_trajectory_and_how_far_it_is(visit):
    page = text(visit("/"))
    assert "ring.h5" in page
    assert "Rate of a ring network." in page
    assert "complete" in page
    assert "42 of 48" in page
    assert 'aria-label="42 of 48 runs done, 6 not"' in page


def test_an_empty_folder_says_how_to_begin(tmp_path):
    assert "No trajectory yet in" in text(client([tmp_path])("/"))


def test_a_file_that_turns_up_later_is_listed(tmp_path):
    ask = client([tmp_path])
    text(ask("/"))
    (tmp_path / "text.h5").write_text("no trajectory")
    simkit.run(
        ring, simkit.product(drive=[1.0], weight=[1.0], rule=["hebb"]), output=tmp_path / "late.h5"
    ).close()
    page = text(ask("/"))
    assert "late.h5" in page
    assert "text.h5" not in page


def test_the_list_opens_only_what_has_changed(tmp_path, monkeypatch):
    def g(x):
        return x

    for name in ("a", "b", "c"):
        simkit.run(g, simkit.product(x=[1, 2]), output=tmp_path / f"{name}.h5").close()
    ask = client([tmp_path])
    assert text(ask("/")).count(">2 of 2<") == 3
    opened = []
    monkeypatch.setattr(
        "simkit.serve.app.state_of", lambda reading: (opened.append(reading.path.name), state_of(reading))[1]
    )
    simkit.run(g, simkit.product(x=[1, 2, 3]), into=tmp_path / "b.h5").close()
    page = text(ask("/"))
    assert (page.count(">2 of 2<"), page.count(">3 of 3<")) == (2, 1)
    assert opened == ["b.h5"]


def test_a_damaged_file_costs_its_line_and_no_other(tmp_path):
    def g(x):
        return x

    for name in ("good", "bad"):
        simkit.run(g, simkit.product(x=[1, 2]), output=tmp_path / f"{name}.h5").close()
    (tmp_path / "cut.h5").write_bytes((tmp_path / "good.h5").read_bytes()[:4000])
    with h5py.File(tmp_path / "bad.h5", "r+") as file:
        file["g/runs/status"][1] = 77
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    ask = client([tmp_path])
    page = text(ask("/"))
    assert "2 of 2" in page
    assert page.count('class="warn"') == 2
    assert ("cut.h5" in page, "foreign.h5" in page) == (True, False)
    assert ask("/view?t=cut.h5").status_code == 400
    answer = ask("/view?t=bad.h5")
    assert answer.status_code in (400, 500)
    assert "That did not work" in answer.text


def test_the_state_counts_runs_by_status(visit):
    state = visit("/state.json?t=ring.h5").json()
    assert state["word"] == "complete"
    assert state["counts"] == {"done": 42, "failed": 6}
    assert (state["runs"], state["done"], state["failed"]) == (48, 42, 6)
    assert state["node_id"].endswith("::ring")
    assert len(state["strip"]) == 48
    assert state["strip"][-1] == [0.0, 1.0, 0.0]
    assert state["rate"] == 0
    page = text(visit("/state?t=ring.h5"))
    assert "42 done" in page
    assert "6 failed" in page
    assert re.search(r"read at <time>\d\d:\d\d:\d\d</time>", page)


def test_a_trajectory_shows_its_figures_parameters_results_and_failures(visit):
    page = text(visit("/view?t=ring.h5"))
    for kind in ("line", "heatmap", "scatter", "histogram", "parallel"):
        assert f'id="figure-{kind}"' in page
    assert "external drive" in page
    assert "nA" in page
    assert "population rate" in page
    assert "4 values: 0.0, 1.0, 2.0, 3.0" in page
    failures = page[page.index('id="part-failures"') : page.index('id="part-about"')]
    assert "FloatingPointError" in failures
    assert failures.count("<tr>") == 2  # a head and one kind: the neurons' numbers differ only
    assert "pages.py:" in failures


def test_the_table_shows_what_is_recorded(visit):
    cells = rows(text(visit("/view?t=ring.h5")))
    assert len(cells) == 25
    assert cells[0][:7] == ["0", "done", "0.0", "1.0", "hebb", "1.0", HOSTILE]
    assert cells[5][:6] == ["5", "done", "0.0", "2.0", "hebb", "2.0"]
    last = rows(text(visit("/view?t=ring.h5&page=1")))
    assert len(last) == 23
    assert last[-1][:7] == ["47", "failed", "3.0", "3.0", "oja", "", ""]


@pytest.mark.parametrize(
    ("sort", "runs"),
    [("-rate", [44, 45, 40]), ("rate", [0, 1, 2]), ("-run", [47, 46, 45]), ("-rule", [2, 3, 6])],
)
def test_the_table_is_sorted_on_the_server_missing_values_last(visit, sort, runs):
    cells = rows(text(visit(f"/view?t=ring.h5&sort={sort}")))
    assert [int(line[0]) for line in cells[:3]] == runs
    last = rows(text(visit(f"/view?t=ring.h5&sort={sort}&page=1")))
    if "rate" in sort:
        assert {line[1] for line in last[-6:]} == {"failed"}


def test_a_condition_chooses_runs_for_the_table_the_figures_and_the_download(visit):
    where = "drive >= 2 and rule == 'hebb'"
    page = text(visit(f"/view?t=ring.h5&where={where}"))
    assert "12 of 48 match" in page
    assert {line[4] for line in rows(page)} == {"hebb"}
    points = data(visit(f"/plot?t=ring.h5&kind=scatter&where={where}&a=drive&b=rate"))["runs"]
    assert sorted(numbers(points["run"]).tolist()) == [24, 25, 28, 29, 32, 33, 36, 37, 40, 41, 44, 45]
    answer = visit(f"/table.csv?t=ring.h5&where={where}")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["run"] for line in lines] == [
        "24",
        "25",
        "28",
        "29",
        "32",
        "33",
        "36",
        "37",
        "40",
        "41",
        "44",
        "45",
    ]
    assert {line["rule"] for line in lines} == {"hebb"}
    assert "attachment" in answer.headers["content-disposition"]


def test_parquet_holds_the_types(visit):
    frame = pd.read_parquet(io.BytesIO(visit("/table.parquet?t=ring.h5").content))
    assert len(frame) == 48
    assert frame["rate"].dtype == np.float64
    assert frame["rate"].isna().sum() == 6


def test_lines_are_means_with_standard_deviations_of_the_runs_that_agree(visit):
    points = data(visit("/plot?t=ring.h5&kind=line&z=rate&x=drive&hue=rule&at.weight=1"))["points"]
    assert points["line"] == ["hebb"] * 4 + ["oja"] * 3  # oja fails at 3
    assert numbers(points["x"]).tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert numbers(points["y"]).tolist() == [2, 12, 22, 32, 2, 12, 22]
    assert numbers(points["count"]).tolist() == [2] * 7
    assert numbers(points["deviation"]).tolist() == [0] * 7
    averaged = data(visit("/plot?t=ring.h5&kind=line&z=rate&x=drive&hue=&at.weight=&at.rule=0"))["points"]
    assert numbers(averaged["y"]).tolist() == [2, 12, 22, 32]
    assert numbers(averaged["count"]).tolist() == [6, 6, 6, 6]
    np.testing.assert_allclose(numbers(averaged["deviation"]), np.std([1, 1, 2, 2, 3, 3], ddof=1))


def test_a_heatmap_leaves_cells_without_a_result_blank(visit):
    cells = data(visit("/plot?t=ring.h5&kind=heatmap&z=rate&x=drive&y=rule&at.weight=0"))["cells"]
    image = numbers(cells["image"][0])
    np.testing.assert_array_equal(image, [[1, 11, 21, 31], [1, 11, 21, np.nan]])


def test_a_box_on_a_figure_becomes_a_condition(visit):
    told = visit(
        "/brush?t=ring.h5&kind=scatter&a=drive&b=rate&x0=0.5&x1=2.5&y0=-99&y1=99&where=weight==1"
    ).json()
    assert told["where"] == "weight==1 and 0.5 <= drive <= 2.5"
    named = ["drive", "weight", "rule", "rate"]
    place = named.index("rule")
    told = visit(f"/brush?t=ring.h5&kind=parallel&x0={place - 0.2}&x1={place + 0.2}&y0=0.5&y1=1.1").json()
    assert told["where"] == "rule in ['oja']"
    assert "24 of 48 match" in text(visit(f"/view?t=ring.h5&where={told['where']}"))
    for box in ("x0=0&x1=1&y0=0&y1=a", "x0=0&x1=1&y0=0&y1=inf", "x0=0"):
        assert "a box has the numbers" in visit(f"/brush?t=ring.h5&kind=scatter&{box}").text


def test_a_run_shows_what_it_got_gave_wrote_and_how_to_replay_it(visit):
    page = text(visit("/run?t=ring.h5&run=24"))
    assert "ring[24]" in page
    assert "simkit replay 24" in page
    assert "21.0" in page
    assert "population rate" in page
    assert "drive=2.0" in page
    assert "noted" in page
    assert 'data-plot="/plot?t=ring.h5&amp;kind=array&amp;run=24&amp;name=trace"' in page
    line = data(visit("/plot?t=ring.h5&kind=array&run=24&name=trace"))["line 0"]
    np.testing.assert_allclose(numbers(line["y"]), np.linspace(0, 2, 50))


def test_a_failed_run_shows_its_traceback_and_its_log(visit):
    page = text(visit("/run?t=ring.h5&run=39"))
    assert "Why it failed" in page
    assert "FloatingPointError" in page
    assert "pages.py" in page
    assert "drive=3.0" in page


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def with_files(tmp_path_factory):
    """Asks the page of a trajectory ``f.h5`` whose one run attached files, ran a program and reported steps."""

    def f(x: int, run, workdir) -> int:
        contents = {
            "a/trace.dat": b"0123",
            "photo.PNG": PNG,
            "drawing.svg": b"<svg/>",
            "ü&.html": b"<script>",
        }
        for name, data in contents.items():
            path = workdir / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            run.attach(name)
        run.command([sys.executable, "-c", "print('<i>from the program</i>')"])
        run.report(0.5, 1)
        return x

    folder = tmp_path_factory.mktemp("files")
    simkit.run(f, simkit.product(x=[1]), output=folder / "f.h5", workers=0, check=True).close()
    return client([folder])


def test_a_run_shows_its_files_programs_and_reports(with_files):
    page = text(with_files("/run?t=f.h5&run=0"))
    assert "a/trace.dat" in page
    assert "4 B" in page
    assert hashlib.sha256(b"0123").hexdigest() in page
    assert "exited with 0" in page or "exit code 0" in page, page[page.index("Programs") :][:300]
    assert "&lt;i&gt;from the program&lt;/i&gt;" in page
    assert re.search(r'Step.*<td class="number">1</td><td class="number">0.5</td>', page, re.DOTALL)
    assert "ü&amp;.html" in page
    pictures = re.findall(r'<img class="picture" src="([^"]*)"', page)
    assert len(pictures) == 1, pictures  # none of a drawing, which may hold scripts
    answer = with_files(unescape(pictures[0]))
    assert (answer.headers["content-type"], answer.content) == ("image/png", PNG)


@pytest.mark.parametrize(
    ("name", "data"), [("a/trace.dat", b"0123"), ("drawing.svg", b"<svg/>"), ("ü&.html", b"<script>")]
)
def test_a_file_is_saved_as_it_is_and_never_opened_as_a_page(with_files, name, data):
    answer = with_files(f"/file?{urlencode({'t': 'f.h5', 'run': 0, 'name': name})}")
    assert answer.content == data
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (
        answer.headers["content-disposition"] == f"attachment; filename*=utf-8''{quote(name.split('/')[-1])}"
    )


@pytest.mark.parametrize("name", ["trace.dat", "../f.h5", "/etc/passwd", "", "a/../a/trace.dat"])
def test_only_files_of_the_run_are_given(with_files, name):
    answer = with_files(f"/file?{urlencode({'t': 'f.h5', 'run': 0, 'name': name})}")
    assert answer.status_code == 400
    assert "run 0 of f has no file" in answer.text
    assert "a/trace.dat" in answer.text
    assert with_files("/file?t=f.h5&run=1&name=a/trace.dat").status_code == 400


@pytest.mark.parametrize(
    "address",
    ["/", "/view?t=ring.h5", "/run?t=ring.h5&run=24", "/run?t=ring.h5&run=39", "/provenance?t=ring.h5"],
)
def test_html_in_a_file_is_shown_as_text(visit, address):
    page = text(visit(address))
    assert "<img" not in page
    assert "onerror=alert(1)>" not in page


def test_html_in_names_is_shown_as_text(folder, tmp_path):
    """An experiment, a result and a file by names that simkit would not give."""
    hostile = "<img src=x onerror=alert(1)>.h5"
    (tmp_path / hostile).write_bytes((folder / "ring.h5").read_bytes())
    with h5py.File(tmp_path / hostile, "r+") as file:
        file.move("ring/results/rate", f"ring/results/{HOSTILE}")
        file.move("ring", HOSTILE)
        file[HOSTILE].attrs["node_id"] = file[HOSTILE].attrs["doc"] = HOSTILE
    ask = client([tmp_path])
    t = quote(hostile)
    for address in ("/", f"/view?t={t}", f"/run?t={t}&run=1", f"/provenance?t={t}", f"/state?t={t}"):
        page = text(ask(address))
        assert "&lt;img src=x" in page
        assert "<img src=x" not in page, address
    assert HOSTILE in unescape(text(ask(f"/view?t={t}")))


def test_html_in_an_address_is_shown_as_text(visit):
    for address in (
        f"/view?t=ring.h5&where={HOSTILE}",
        f"/view?t={HOSTILE}",
        f"/run?t=ring.h5&run={HOSTILE}",
        f"/{HOSTILE}",
    ):
        answer = visit(address)
        assert "<img" not in answer.text
        assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').system('touch /tmp/x')",
        "drive.__class__",
        "(lambda: 1)()",
        "[x for x in y]",
        "drive = 1",
    ],
)
def test_a_condition_with_code_is_refused_and_the_page_says_so(visit, code):
    answer = visit(f"/view?t=ring.h5&where={code}")
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert "48" in answer.text
    assert visit(f"/plot?t=ring.h5&kind=line&where={code}").status_code == 400
    assert visit(f"/table.csv?t=ring.h5&where={code}").status_code == 400


def test_only_listed_files_are_opened(visit, folder, tmp_path):
    simkit.run(
        ring, simkit.product(drive=[1.0], weight=[1.0], rule=["hebb"]), output=tmp_path / "other.h5"
    ).close()
    for path in (
        "../ring.h5",
        "/etc/passwd",
        str(folder / "ring.h5"),
        str(tmp_path / "other.h5"),
        "",
        "ring.h5::nope",
    ):
        answer = visit(f"/view?t={path}")
        assert answer.status_code == 400
        assert "no trajectory" in answer.text
        assert "there: ring.h5" in answer.text
    assert visit("/static/../app.py").status_code == 404
    assert visit("/static/%2e%2e/app.py").status_code == 404
    assert visit("/static/bokeh/..%2f..%2f..%2fsettings.py").status_code == 404


def test_what_is_not_there_is_an_error_that_says_what_is(visit):
    answer = visit("/run?t=ring.h5&run=48")
    assert (answer.status_code, "ring has 48 runs: no run 48" in answer.text) == (400, True)
    assert visit("/run?t=ring.h5&run=-1").status_code == 400
    assert "rate" in visit("/view?t=ring.h5&z=rte").text
    assert visit("/view?t=ring.h5&sort=nope").status_code == 400
    assert visit("/plot?t=ring.h5&kind=nope").status_code == 400
    assert visit("/nowhere").status_code == 404
    assert visit("/table.exe?t=ring.h5").status_code == 404


def test_provenance_tells_the_session_and_shows_its_sources_as_text(visit):
    page = text(visit("/provenance?t=ring.h5"))
    assert "Session 1" in page
    assert "root seed" in page
    digest = re.search(r"digest=([0-9a-f]{64})", page)
    assert digest, page
    assert "def ring(" in text(visit(f"/source?t=ring.h5&digest={digest[1]}"))
    assert visit("/source?t=ring.h5&digest=ffff").status_code == 400


def test_provenance_shows_what_changed_in_the_code_line_by_line(project):
    source = """
        from simkit import experiment, product
        @experiment
        @product(x=[1.0, 2.0])
        def f(x):
            return x + {term}
    """
    project.file("sim_f.py", source.format(term=1))
    project.ok("-n", "0")
    project.file("sim_f.py", source.format(term="2  # <b>two</b>"))
    project.ok("-n", "0", "--into", "results/f-001.h5", "--product", "x=1.0,2.0,3.0")
    page = text(client([project.path / "results"])("/provenance?t=f-001.h5"))
    assert "What changed since session 1" in page
    assert re.search(r'<span class="minus">-\s+return x \+ 1</span>', page)
    assert re.search(r'<span class="plus">\+\s+return x \+ 2  # &lt;b&gt;two&lt;/b&gt;</span>', page)


def test_two_files_are_compared_and_more_stand_side_by_side(tmp_path):
    def f(x: float, n: int = 1) -> dict[str, float]:
        return {"same": x, "other": x * n}

    for n in (20, 30, 40):
        simkit.run(f, simkit.product(x=[1.0, 2.0]), output=tmp_path / f"n{n}.h5", set={"n": n}).close()
    ask = client([tmp_path])
    pair = text(ask("/compare?t=n20.h5&t=n30.h5"))
    assert re.search(r"<th scope=\"row\">n</th><td><code>20</code></td><td><code>30</code></td>", pair)
    assert "2 points in both" in pair
    assert re.search(r">same</th><td class=\"number\">0</td>", pair)
    farthest = r">other</th><td class=\"number\">2</td><td><code>40.0</code> \(run 1\) and <code>60.0</code>"
    assert re.search(farthest, pair)
    three = text(ask("/compare?t=n20.h5&t=n30.h5&t=n40.h5"))
    assert three.count('data-plot="/plot?') == 3
    assert len(set(re.findall(r'<figure[^>]* id="([^"]*)"', three))) == 3
    assert "choose two trajectories or more" in ask("/compare?t=n20.h5").text
    assert ask("/compare?t=n20.h5&t=n20.h5").status_code == 400


def test_several_experiments_in_a_file_are_listed_one_by_one(tmp_path):
    def other(x):
        return x

    simkit.run(
        ring, simkit.product(drive=[1.0], weight=[1.0], rule=["hebb"]), output=tmp_path / "two.h5"
    ).close()
    simkit.run(other, simkit.product(x=[1.0, 2.0]), output=tmp_path / "two.h5").close()
    ask = client([tmp_path / "two.h5"])
    page = text(ask("/"))
    assert "two.h5::ring" in page
    assert "two.h5::other" in page
    assert "result" in text(ask("/view?t=two.h5::other"))


def test_a_log_of_100_megabytes_is_shown_by_its_end(tmp_path):
    def f(x):
        print("first line")
        print(("y" * 99 + "\n") * 1_000_000, end="")
        print("<b>last line</b>")
        return x

    simkit.run(f, simkit.product(x=[1]), output=tmp_path / "f.h5", workers=1).close()
    ask = client([tmp_path])
    page = text(ask("/run?t=f.h5&run=0"))
    assert "&lt;b&gt;last line&lt;/b&gt;" in page
    assert "first line" not in page
    assert len(page) < 200_000
    log = ask("/log?t=f.h5&run=0")
    assert log.headers["content-type"] == "text/plain; charset=utf-8"
    assert "attachment" in log.headers["content-disposition"]


def test_a_set_of_shards_is_shown_as_it_grows_and_archived_as_one_file(project):
    project.file(
        "sim_f.py",
        """
        from simkit import experiment, product
        @experiment
        @product(x=[1.0, 2.0, 3.0, 4.0])
        def f(x):
            if x == 4:
                raise ValueError("of a shard")
            return {"z": 10 * x}
        """,
    )
    project.ok("-n", "0", "--shard", "0/2")
    ask = client([project.path / "results"])
    assert "2 done" in text(ask("/state?t=f-001.h5"))
    version = ask("/state.json?t=f-001.h5").json()["version"]
    assert [line[1] for line in rows(text(ask("/view?t=f-001.h5")))] == ["done", "done", "pending", "pending"]
    assert project.simkit("-n", "0", "--shard", "1/2").code == 1
    state = ask("/state.json?t=f-001.h5").json()
    assert (state["counts"], state["version"] != version) == ({"done": 3, "failed": 1}, True)
    page = text(ask("/view?t=f-001.h5"))
    assert [line[3] for line in rows(page)] == ["10.0", "20.0", "30.0", ""]
    assert "of a shard" in page
    assert "f-001.h5" in text(ask("/"))
    project.ok("report", "results/f-001.h5", "-o", "set.html")
    assert "of a shard" in (project.path / "set.html").read_text()
    refused = project.simkit("export", "results/f-001.h5", "crate/")
    assert (refused.code, "simkit merge OUT.h5 results/f-001.h5" in refused.err) == (4, True)


def test_nothing_to_plot_is_no_error(tmp_path):
    def silent(x):
        return None

    simkit.run(silent, simkit.product(x=["a"]), output=tmp_path / "s.h5").close()
    ask = client([tmp_path])
    page = text(ask("/view?t=s.h5"))
    assert "1 done" in page
    figures = re.findall(r'data-plot="([^"]*)"', page)
    for address in figures:
        text(ask(unescape(address)))


@pytest.mark.parametrize("name", ["$$x$$", r"\(x\)"])
def test_what_looks_like_a_formula_is_drawn_as_text(tmp_path, name):
    def f(word: str) -> float:
        return 1.0

    simkit.run(f, simkit.product(word=[name, "b"]), output=tmp_path / "f.h5").close()
    told = text(client([tmp_path])("/plot?t=f.h5&kind=scatter&a=word&b=result"))
    assert json.dumps(name)[1:-1] not in told


POINTS = {
    "drawn": simkit.sample(200, a=(0, 1), b=(0, 1), c=["red", "green"], seed=1),
    "drawn by method": simkit.sample(64, a=(0, 1), b=(0, 1), seed=1) * simkit.product(c=["red", "green"]),
    "listed": simkit.explore(a=[1.0, 2.0, 3.0], b=[5.0, 2.0, 9.0], c=["red", "green", "red"]),
    "grid": simkit.product(a=[1.0, 2.0], b=[1.0, 2.0], c=["red", "green"]),
    "half a grid": simkit.product(a=range(9), b=range(9), c=["red", "green"]).where("a < b"),
    "zip by method": simkit.explore(a=np.arange(40.0), b=-np.arange(40.0))
    * simkit.product(c=["red", "green"]),
}


@pytest.mark.parametrize(
    ("points", "is_grid"), list(zip(POINTS, [False, False, False, True, True, True], strict=True))
)
def test_lines_are_drawn_where_points_are_a_grid_and_dots_where_they_are_scattered(tmp_path, points, is_grid):
    def f(a, b, c):
        return a * b

    simkit.run(f, POINTS[points], output=tmp_path / "f.h5").close()
    page = text(client([tmp_path])("/view?t=f.h5"))
    assert ('id="figure-line"' in page, 'id="figure-scatter"' in page) == (is_grid, True)


def test_truth_values_are_words_and_missing_complex_numbers_are_blank(tmp_path):
    def f(x, on):
        if x == 2:
            raise ValueError("no")
        return {"z": complex(x, 1), "y": float(x), "good": x > 0}

    space = simkit.product(x=[0, 1, 2], on=[True, False])
    simkit.run(f, space, output=tmp_path / "f.h5").close()
    ask = client([tmp_path])
    lines = data(ask("/plot?t=f.h5&kind=line&z=y&x=x&hue=on"))["points"]["line"]
    assert lines == ["false", "false", "true", "true"]
    names = rows(text(ask("/view?t=f.h5&sort=-run")))
    assert names[0] == ["5", "failed", "2", "false", "", "", "", names[0][-1]]
    assert names[2][4] == "(1+1j)"
    assert "3 values: 0, 1, 2" in text(ask("/view?t=f.h5"))


def test_a_quantity_shows_its_unit_once(tmp_path):
    brian2 = pytest.importorskip("brian2", reason="in the extra brian2")

    def f(x, tau=20 * brian2.ms):
        return x

    simkit.run(f, simkit.product(x=[1, 2]), output=tmp_path / "f.h5").close()
    assert re.search(r"<code>20\. \* msecond</code></td><td></td>", text(client([tmp_path])("/view?t=f.h5")))


def test_what_another_program_changed_is_a_page_that_says_so(folder, tmp_path, capsys):
    (tmp_path / "ring.h5").write_bytes((folder / "ring.h5").read_bytes())
    with h5py.File(tmp_path / "ring.h5", "r+") as file:
        del file["ring/runs/status"]
    ask = client([tmp_path])
    assert "another program has changed it" in text(ask("/"))
    for address in (
        "/view?t=ring.h5",
        "/run?t=ring.h5&run=1",
        "/plot?t=ring.h5&kind=line",
        "/table.csv?t=ring.h5",
    ):
        answer = ask(address)
        assert answer.status_code == 400
        assert "ring.h5: another program has changed it" in answer.text
        assert "take the file as it was before" in answer.text
    assert capsys.readouterr().err == ""


ODD = {
    "whole numbers that no float holds": lambda x: {"z": 2**62 + x},
    "no finite number": lambda x: {"z": [np.nan, np.inf, -np.inf][x % 3]},
    "complex": lambda x: {"z": complex(x, np.nan)},
    "texts": lambda x: {"z": f"<b>{x}</b>" + "y" * 5000, "empty": ""},
    "of many types": lambda x: {"z": [1, "a", None, 2.5][x % 4]},
    "always the same": lambda x: {"z": 1.0, "flag": True, "none": None},
    "only failures": lambda x: {"z": 1 // 0},
    "arrays": lambda x: {"z": np.full((9, 9), np.inf), "e": np.zeros((0, 5)), "table": pd.DataFrame({"a": [1] * 9})},
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_whatever_runs_gave_every_figure_that_is_offered_is_drawn(tmp_path, kind):
    def f(x):
        return ODD[kind](x)

    simkit.run(f, simkit.product(x=range(6)), output=tmp_path / "f.h5").close()
    ask = client([tmp_path])
    pages = [text(ask(f"/{path}?t=f.h5&run=1")) for path in ("view", "run", "state", "provenance")]
    pages += [
        text(ask(unescape(address))) for address in re.findall(r'href="(/view[^"]*sort=[^"]*)"', pages[0])
    ]
    for address in {address for page in pages for address in re.findall(r'data-plot="([^"]*)"', page)}:
        json.loads(
            text(ask(unescape(address))), parse_constant=lambda word: pytest.fail(f"{word} is no JSON")
        )
    with Reader().reading(one_of(str(tmp_path / "f.h5"))) as reading:
        assert len(document(reading, lambda reading, run: "")) < 5_000_000


def test_a_file_that_was_replaced_is_another_trajectory(tmp_path):
    for name, factor in (("f", 1.0), ("g", 100.0)):
        space = simkit.product(x=[1.0, 2.0, 3.0])
        simkit.run(lambda x, factor=factor: x * factor, space, output=tmp_path / f"{name}.h5").close()
    ask = client([tmp_path])
    assert rows(text(ask("/view?t=f.h5&sort=-result")))[0][3] == "3.0"
    (tmp_path / "g.h5").replace(tmp_path / "f.h5")
    page = text(ask("/view?t=f.h5&sort=-result"))
    assert rows(page)[0][3] == "300.0", rows(page)[0]
    assert ask("/view?t=g.h5").status_code == 400


def test_what_the_first_visitor_asks_for_is_there_before_and_drawn_anew_when_the_file_changes(
    tmp_path, monkeypatch
):
    def f(x):
        return {"z": 2.0 * x}

    def record(*values):
        simkit.run(f, simkit.explore(x=values), output=tmp_path / "f.h5", workers=0).close()

    record(1, 2, 3)
    page = page_of([tmp_path])
    page.prepare()
    page.thread.submit(int).result()  # the one thread: what was asked before is done
    visit = client(page)
    figure = unescape(re.search('data-plot="(.*?)"', text(visit("/view?t=f.h5")))[1]) + "&theme=light"
    with monkeypatch.context() as patch:
        patch.setattr("simkit.serve.figures.drawn", None)
        assert data(visit(figure))["points"]["word"] == ["1", "2", "3"]
    record(1, 2, 3, 4)
    assert data(visit(figure))["points"]["word"] == ["1", "2", "3", "4"]


def test_a_page_of_files_that_can_not_be_read_is_prepared_as_well(tmp_path):
    (tmp_path / "torn.h5").write_bytes(b"no HDF5")
    for folder in (tmp_path, tmp_path / "empty"):
        folder.mkdir(exist_ok=True)
        page = page_of([folder])
        page.prepare()
        assert "simkit" in text(client(page)("/"))
