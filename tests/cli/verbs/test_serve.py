"""``simkit serve`` as a process: what it prints, where it listens, how it ends."""

from __future__ import annotations

import re
import signal
import socket
import urllib.request
from urllib.error import HTTPError

import pytest


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
