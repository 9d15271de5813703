"""``simkit serve`` as a process: what it prints, where it listens, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import urllib.request
from urllib.error import HTTPError

import pytest
from conftest import clean_environment


@pytest.fixture
def recorded(project):
    """A project with one trajectory."""
    project.file("sim_f.py", "from simkit import experiment\n@experiment\ndef f(x=1):\n    return x\n")
    project.ok("-n", "0")
    return project


def printed(server) -> list[str]:
    """The lines that it prints once it listens."""
    return [server.stdout.readline() for _ in range(4)]


def test_it_prints_one_address_that_lets_in_and_the_line_for_a_tunnel(recorded):
    with recorded.under_way("serve", "--no-browser", "--port", "0") as server:
        lines = printed(server)
        assert lines[0] == "serving results\n"
        address = re.fullmatch(r"    (http://127\.0\.0\.1:(\d+)/)\?token=(\S{20,})\n", lines[1])
        port = address[2]
        assert f"ssh -L {port}:127.0.0.1:{port} " in lines[2]
        with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(
            lines[1].strip()
        ) as answer:
            assert "f-001.h5" in answer.read().decode()
        with pytest.raises(HTTPError, match="403"):
            urllib.request.urlopen(address[1])
        server.send_signal(signal.SIGINT)
        out, err = server.communicate()
    assert (server.returncode, out, err) == (0, "", "")


def test_it_opens_the_browser_with_the_address_unless_told_not_to(recorded):
    recorded.file("browser.py", "import sys\nopen('opened', 'w').write(sys.argv[1])\n")
    browser = f"{sys.executable} {recorded.path / 'browser.py'} %s"
    with recorded.start(
        "-m", "simkit", "serve", "--port", "0", env={**clean_environment(), "BROWSER": browser}
    ) as server:
        address = printed(server)[1].strip()
        recorded.until(lambda: recorded.has("opened") and (recorded.path / "opened").read_text() == address)
        server.send_signal(signal.SIGINT)
        server.communicate()
    assert server.returncode == 0


STUDY = """
    import time
    from pathlib import Path
    from simkit import experiment, product

    @experiment
    @product(x=range(400))
    def f(x):
        while not Path(f"go-{x // 100}").exists():
            time.sleep(0.01)
        return {"z": 2 * x, "v": [float(x)] * 100}
"""


def test_a_study_is_told_right_at_each_moment_and_is_unharmed_when_the_page_is_killed(project):
    project.file("sim_f.py", STUDY)
    with (
        project.under_way("-n", "2") as study,
        project.under_way("serve", "--no-browser", "--port", "0", "results") as server,
    ):
        first = printed(server)[1].strip()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        browser.open(first).close()

        def state() -> dict:
            with browser.open(f"{first.partition('?')[0]}state.json?t=f-001.h5") as answer:
                return json.load(answer)

        project.until(lambda: project.has("results/f-001.h5"))
        seen = [state()["done"]]
        for stage in range(3):
            project.file(f"go-{stage}")
            while seen[-1] <= 100 * stage:  # more may be done, in a batch that waits for the next stage
                told = state()
                assert told["word"] == "running"
                assert sum(told["counts"].values()) == told["runs"] == 400
                seen.append(told["done"])
                assert (told["rate"] > 0) == (told["done"] > 0)
                if told["done"]:
                    assert told["left"] == pytest.approx((400 - told["done"]) / told["rate"])
                log = project.path / "results" / "f-001.h5.wal"
                assert not log.exists() or log.stat().st_size < 1_000_000
        assert seen == sorted(seen)  # what was told as done is done
        os.kill(server.pid, signal.SIGKILL)
        project.file("go-3")
        study.communicate()
    assert study.returncode == 0
    assert not project.has("results/f-001.h5.wal")
    with project.open("f-001") as traj:
        assert traj["z"].tolist() == list(range(0, 800, 2))


@pytest.mark.parametrize("port", ["70000", "-1", "x"])
def test_an_impossible_port_is_refused(recorded, port):
    result = recorded.simkit("serve", "--no-browser", f"--port={port}")
    assert (result.code, "--port" in result.err) == (4, True)


def test_it_says_when_the_address_is_taken(recorded):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = recorded.simkit("serve", "--no-browser", "--port", str(port))
    assert result.code == 4
    assert f"cannot listen at 127.0.0.1:{port}" in result.err
    assert "choose others with --host and --port" in result.err


def test_a_place_that_is_not_there_is_named(recorded):
    result = recorded.simkit("serve", "--no-browser", "nowhere/")
    assert (result.code, "no such file or folder: nowhere" in result.err) == (4, True)
