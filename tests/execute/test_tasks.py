"""What comes back from an engine's worker: replies with large arrays, by a file or through the line."""

from __future__ import annotations

import pickle
from multiprocessing import Pipe
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simkit
from simkit.execute import tasks, warden
from simkit.execute.mailbox import Mailbox
from simkit.execute.tasks import Reply, Task, joined, parted


@given(st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=4), max_size=4), st.text(max_size=20))
def test_a_reply_comes_back_with_all_that_lies_beside_it(batches, remark):
    reply = Reply(
        "here:1", batches=tuple(tuple(map(pickle.PickleBuffer, b)) for b in batches), remarks=(remark,)
    )
    again = parted(b"".join(joined(reply)))
    assert [[bytes(part) for part in batch] for batch in again.batches] == batches
    assert (again.guard, again.remarks) == ("here:1", (remark,))


@pytest.mark.parametrize("size", [10, warden._BESIDE + 10])
def test_a_large_reply_goes_through_a_file_where_there_is_room(tmp_path, monkeypatch, size):
    ours, theirs = Pipe()
    monkeypatch.setattr(warden, "SHARED", str(tmp_path))
    warden.answer(theirs, [b"ab", bytes(size)], None)
    path, reply = Path(ours.recv_bytes().decode()), ours.recv_bytes()
    if size == 10:
        assert reply == b"ab" + bytes(size)
        assert not list(tmp_path.iterdir())
    else:
        assert (reply, path.parent, path.read_bytes()) == (b"", tmp_path, b"ab" + bytes(size))
    assert warden.aside([b"no room"]) != ""
    monkeypatch.setattr(warden, "SHARED", str(tmp_path / "gone"))
    assert warden.aside([b"no room"]) == ""


def test_a_large_reply_is_left_in_the_owners_memory_where_that_is_seen(tmp_path):
    ours, theirs = Pipe()
    mailbox, array = attrs.evolve(Mailbox.beside(tmp_path), memory=tmp_path / "memory"), np.arange(300_000.0)
    reply = Reply("here:1", batches=((pickle.PickleBuffer(b"data"), pickle.PickleBuffer(array)),))
    mailbox.open()
    warden.answer(theirs, joined(reply), mailbox.memory)
    path, carried = ours.recv_bytes(), ours.recv_bytes()
    assert (path, len(carried) < 1000, len(list(mailbox.memory.iterdir()))) == (b"", True, 1)
    again = parted(carried)
    assert list(mailbox.memory.iterdir()) == []
    values = np.frombuffer(again.batches[0][1])
    assert (bytes(again.batches[0][0]), values.flags.writeable) == (b"data", False)
    assert np.array_equal(values, array)
    lost = parted(carried)  # nobody takes it twice
    assert lost.lost.startswith("its reply can't be read: ")
    mailbox.remove()
    assert not mailbox.memory.exists()
    warden.answer(theirs, joined(reply), mailbox.memory)  # another machine, or the owner is gone
    file = Path(ours.recv_bytes().decode())
    assert (ours.recv_bytes(), file.stat().st_size > array.nbytes) == (b"", True)
    file.unlink()


def test_what_a_task_gave_lies_in_memory_that_is_used_again(monkeypatch):
    monkeypatch.setattr(warden, "_ARENA", 20_000)
    arena, arrays = warden.Arena(), [np.full(1000, float(i)) for i in range(5)]
    for _ in range(2):  # there is room for two of them; others have memory of their own
        arena.used = 0
        copies = [arena.copied(memoryview(array).cast("B")) for array in arrays]
        assert [type(copy) for copy in copies] == [memoryview] * 2 + [bytes] * 3
        assert [np.frombuffer(copy).tolist() for copy in copies] == [array.tolist() for array in arrays]


def arrays(x, size):
    return {
        "large": np.full(size, x, float),
        "fortran": np.asfortranarray(np.full((size, 2), x)),
        "text": ["a" * size],
    }


def test_large_results_are_those_of_this_machine_and_a_strategy_may_write_to_them(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    def doubled():
        columns = yield simkit.explore(x=[1, 2, 3])
        columns["small"][:] = 0.0
        return True

    @simkit.experiment
    @simkit.adaptive(doubled)
    def small(x):
        return {"small": np.full(7000, float(x))}

    with ThreadPoolExecutor(1) as executor:
        space = simkit.product(x=range(6), size=[3, 9000, 200_000])
        here = simkit.run(arrays, space, output=tmp_path / "here.h5")
        there = simkit.run(arrays, space, engine=executor, output=tmp_path / "there.h5")
        for name in ("large", "fortran", "text"):
            for one, other in zip(here[name], there[name], strict=True):
                assert np.array_equal(one, other), name
        assert simkit.run(small, engine=executor, output=tmp_path / "small.h5").summary["result"]
    here.close()
    there.close()


@pytest.mark.parametrize(
    ("code", "lost", "problem"),
    [
        ("import os; os.kill(os.getpid(), 9)", "died: it was killed by SIGKILL", ""),
        ("raise SystemExit(3)", "", "before it was ready"),
    ],
)
def test_a_child_that_is_killed_while_it_starts_is_lost_and_one_that_can_not_start_is_a_problem(
    code, lost, problem, monkeypatch
):
    monkeypatch.setattr(tasks, "_CHILD", code)
    reply = parted(tasks.GuardedChild().ask(pickle.dumps(Task("a study"))))
    assert lost in reply.lost
    assert bool(lost) == bool(reply.lost)
    assert problem in reply.problem
    assert bool(problem) == bool(reply.problem)
