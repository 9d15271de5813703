"""Processes that are forked where everything is ready end as any other does."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from simkit.execute.processes.fork import Fork, can_fork

if not can_fork():
    pytest.skip("processes are forked like that on Linux only", allow_module_level=True)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("target", "code"), [(str, 0), (sys.exit, 1), (_stop, -signal.SIGKILL)])
def test_the_exit_code_of_a_child(target, code, capfd):
    child = Fork(target)
    child.join()
    assert child.exitcode == code
    assert not child.is_alive()


def test_a_child_waits_for_its_threads_and_flushes_what_it_printed(capfd):
    def target():
        threading.Thread(target=lambda: print("late", end="")).start()

    Fork(target).join()
    assert capfd.readouterr().out == "late"


def test_waiting_for_a_child_may_end_before_it():
    ours, theirs = os.pipe()
    child = Fork(lambda: os.read(ours, 1))
    child.join(0.0)
    assert child.is_alive()
    os.write(theirs, b"x")
    child.join(600)
    assert child.exitcode == 0
    os.close(ours)
    os.close(theirs)
