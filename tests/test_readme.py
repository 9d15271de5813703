"""Does the README tell the truth?"""

import doctest
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from written_pages import normalised

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """What the command shows a user, with its exit code checked."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "simkit", *arguments],
        cwd=folder,
        env=environment,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how Linux tells that the other side is closed
        pass
    finally:
        os.close(ours)
    text = shown.decode("utf-8").replace("\r\n", "\n")
    assert process.wait(timeout=600) == 0, text
    return text


@pytest.fixture
def study(tmp_path: Path) -> Path:
    source = blocks("python")[0]
    first, _, code = source.partition("\n")
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / first.removeprefix("# ")).write_text(code, "utf-8")
    return folder


def test_the_example_gives_the_output_shown(study: Path) -> None:
    console = blocks("console")[0]
    typed, _, shown = console.partition("\n")
    assert typed.startswith("$ simkit")

    assert normalised(on_a_terminal(study, *typed.split()[2:])) == normalised(shown)
    assert [path.name for path in study.glob("results/*")] == ["multiply-001.h5"]


def test_the_file_reads_as_shown(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(study, "-n", "0")
    monkeypatch.chdir(study)
    (session,) = blocks("pycon")
    test = doctest.DocTestParser().get_doctest(session, {}, "README", "README.md", 0)

    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append, clear_globs=False)

    assert result.attempted == 4
    assert result.failed == 0, "".join(said)
    test.globs["traj"].close()


def test_the_claims_about_a_second_time_hold(study: Path) -> None:
    on_a_terminal(study, "-n", "0")
    assert "nothing to do" in on_a_terminal(study, "-n", "0")

    file = study / "sim_multiply.py"
    file.write_text(file.read_text("utf-8").replace("4.0]", "4.0, 5.0]"), "utf-8")

    assert "3 done" in on_a_terminal(study, "-n", "0")
    assert [path.name for path in study.glob("results/*")] == ["multiply-001.h5"]


def test_set_up_is_two_single_line_commands() -> None:
    commands = "".join(blocks("sh")).splitlines()

    assert len(commands) == 2
    assert all(line.startswith("python3 -m venv .venv && .venv/bin/pip install -q ") for line in commands)
    assert commands[0].endswith(" && .venv/bin/simkit examples/multiply")
    assert commands[1].endswith(" && .venv/bin/python -m pytest -q")
    script = Path(__file__).parents[1] / ".ci" / "run"  # which a source distribution does not have
    assert not script.exists() or commands[1] in script.read_text("utf-8").splitlines()


def test_it_is_a_screen_with_three_pictures_and_a_table_of_seven_others() -> None:
    assert README.count("\n") < 80
    assert README.count("[![") == 3
    (header,) = re.findall(r"^\| \| simkit \|.*", README, re.MULTILINE)
    others = re.findall(r"\b(pypet|pipefunc|xyzpy|signac|hydra|sacred|Mesa)\b[^|]* \d+\.\d+", header)
    assert len(others) == 7
    assert re.search(r"on \d+ \w+ 20\d\d", README)


def test_every_link_leads_to_a_file() -> None:
    root = Path(__file__).parents[1]
    links = re.findall(r"\]\(([^)#]+)\)", README)

    assert "examples/README.md" in links
    assert [link for link in links if not (root / link).exists()] == []


def test_the_list_of_examples_is_complete() -> None:
    folder = Path(__file__).parents[1] / "examples"
    listed = re.findall(r"\]\(([^)]+)\)", (folder / "README.md").read_text("utf-8"))

    assert sorted(listed) == sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_each_page_is_there() -> None:
    root = Path(__file__).parents[1]
    pages = re.findall(r"\]\(([^)]+\.md)\)", README)
    assert len(pages) >= 8
    assert all((root / page).is_file() for page in pages)
