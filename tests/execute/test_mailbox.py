"""Files between owner and guards: taken once, and nothing waits for ever where nobody looks."""

from __future__ import annotations

import threading

from simkit.execute.mailbox import Mailbox, Withheld
from simkit.values.batch import Checkpoint
from simkit.values.encode import encode


def checkpoint(run, value, *, first=False):
    return Checkpoint(run, encode([{"state": {"value": value}, "added": {}}]), {}, first)


def test_a_checkpoint_is_handed_over_once_and_its_run_waits_until_it_is_taken(tmp_path):
    mailbox, handed = Mailbox.beside(tmp_path), []
    thread = threading.Thread(
        target=lambda: handed.append(mailbox.hand_over(checkpoint(3, 1.5), lambda: False))
    )
    thread.start()
    taken = []
    while not taken:
        for one in mailbox.checkpoints():
            assert handed == []
            taken.append(one)
    thread.join()
    assert handed == [True]
    assert [one.run for one in taken] == [3]
    assert list(mailbox.checkpoints()) == []
    mailbox.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_problem_once(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    mailbox = Mailbox.beside(blocked)
    assert not mailbox.hand_over(checkpoint(0, 1), lambda: False)
    assert mailbox.problem.startswith("checkpoints wait for the end of their run: ")
    assert not mailbox.hand_over(checkpoint(0, 2), lambda: False)
    mailbox.halt()  # nobody can be told: no error
    assert not mailbox.is_halted()


def test_an_owner_that_does_not_look_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr("simkit.execute.mailbox._ANSWER", 0.0)
    mailbox = Mailbox.beside(tmp_path)
    assert not mailbox.hand_over(checkpoint(0, 1), lambda: False)
    assert "does not see" in mailbox.problem
    assert list(mailbox.checkpoints()) == []


def test_halting_and_giving_up(tmp_path):
    mailbox = Mailbox.beside(tmp_path / "not" / "there")
    assert not mailbox.is_halted()
    mailbox.halt()
    assert mailbox.is_halted()
    assert not mailbox.is_stopped()
    mailbox.halt(now=True)
    assert mailbox.is_stopped()


def test_what_is_withheld_is_that_of_pending_runs_since_their_last_attempt():
    withheld = Withheld()
    told = [
        checkpoint(0, 1, first=True),
        checkpoint(1, 1, first=True),
        checkpoint(1, 2),
        checkpoint(2, 1, first=True),
    ]
    again = [checkpoint(2, 5, first=True), checkpoint(2, 6)]
    for one in (*told, *again):
        withheld.take(one)
    assert list(withheld.of_pending({0})) == [*told[1:3], *again]
