"""Does docs/howto/page.md tell the truth?"""

from __future__ import annotations

import re

from written_pages import blocks, files


def test_the_page(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    ((name, source),) = files("howto/page.md").items()
    project.file(name, source)
    project.ok("-n", "0")
    with project.open("growth-001") as traj:
        assert list(traj.summary.by_rate.index) == [0.1, 0.2, 0.4]
        assert traj.summary.curves.kind == "bokeh"
        assert traj.describe("curves").comment == "A line for each start."
    _, _, report, export = (
        line for block in blocks("howto/page.md", "console") for line in block.splitlines()[:1]
    )
    for typed in (report, export):
        project.ok(*typed.replace("multiply", "growth").split()[2:])
    page = (project.path / "growth-001.html").read_text("utf-8")
    assert "A line for each start." in page
    assert re.search(r'<th class="number">rate</th>', page)
    assert project.has("crate/ro-crate-metadata.json", "crate/report.html", "crate/sources/sim_growth.py")
