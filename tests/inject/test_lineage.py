"""What runs fork: children end by signals, end where they return, and give nothing back for the run."""

from __future__ import annotations

import signal

import pytest
from faulty import is_alive

KINDS = """
    import concurrent.futures, multiprocessing, os, signal, subprocess, sys, threading

    import simkit
    from simkit import experiment, explore, fixture

    FORK = multiprocessing.get_context("fork")

    def twice(x):
        return 2 * x

    def called(pipe):
        pipe.send(simkit.call(twice, x=4))

    def waited(pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def returns(folder):
        pid = os.fork()
        return waited(pid) if pid else -1

    def is_not_waited_for(folder):
        return 0 if os.fork() else -1

    def exits(folder):
        pid = os.fork()
        return waited(pid) if pid else sys.exit(3)

    def exits_with_words(folder):
        pid = os.fork()
        return waited(pid) if pid else sys.exit("out of luck")

    def raises(folder):
        pid = os.fork()
        return waited(pid) if pid else 1 / 0

    def forks_again(folder):
        pid = os.fork()
        if not pid:
            inner = os.fork()
            return waited(inner) if inner else -1
        return waited(pid)

    def keeps_the_folder(folder):
        (folder / "kept").write_text("")
        pid = os.fork()
        return (waited(pid), (folder / "kept").exists()) if pid else -1

    def in_a_thread(folder):
        codes = []
        def work():
            pid = os.fork()
            codes.append(waited(pid) if pid else os._exit(4))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return codes[0]

    def pool(folder):
        with FORK.Pool(2) as pool:
            return sum(pool.map(twice, [1, 2, 3]))

    def executor(folder):
        with concurrent.futures.ProcessPoolExecutor(2, FORK) as pool:
            return sum(pool.map(twice, [1, 2, 3]))

    def terminated(folder):
        process = FORK.Process(target=signal.pause)
        process.start()
        process.terminate()
        process.join()
        return process.exitcode

    def hung_up(folder):
        process = FORK.Process(target=signal.pause)
        process.start()
        os.kill(process.pid, signal.SIGHUP)
        process.join()
        return process.exitcode

    def interrupted_program(folder):
        program = "import signal; print(flush=True); signal.pause()"
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        return process.wait()

    def own_handler(folder):
        before = signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
        process = FORK.Process(target=signal.pause)
        process.start()
        process.terminate()
        process.join()
        signal.signal(signal.SIGTERM, before)
        return process.exitcode

    def reads_input(folder):
        return subprocess.run(["cat"], check=True, capture_output=True).stdout

    def makes_a_run(folder):
        ours, theirs = FORK.Pipe()
        process = FORK.Process(target=called, args=(theirs,))
        process.start()
        answer = ours.recv()
        process.join()
        return answer["result"]

    KINDS = (
        returns, is_not_waited_for, exits, exits_with_words, raises, forks_again, keeps_the_folder, in_a_thread,
        pool, executor, terminated, hung_up, interrupted_program, own_handler, reads_input, makes_a_run,
    )
    NAMED = {kind.__name__: kind for kind in KINDS}

    @fixture
    def folder(workdir):
        return workdir

    @experiment
    @explore(kind=list(NAMED))
    def stepwise(kind, folder):
        return {"r": NAMED[kind](folder)}

    PLAIN = [name for name in NAMED if name != "keeps_the_folder"]

    @experiment
    @explore(kind=PLAIN)
    def straight(kind):
        return {"r": NAMED[kind](None)}
    """

RIGHT = {
    "returns": 0,
    "is_not_waited_for": 0,
    "exits": 3,
    "exits_with_words": 1,
    "raises": 1,
    "forks_again": 0,
    "keeps_the_folder": (0, True),
    "in_a_thread": 4,
    "pool": 12,
    "executor": 12,
    "terminated": -signal.SIGTERM,
    "hung_up": -signal.SIGHUP,
    "interrupted_program": -signal.SIGINT,
    "own_handler": 7,
    "reads_input": b"",
    "makes_a_run": 8,
}


@pytest.mark.parametrize(
    "way", [["-n", "0"], ["-n", "2"], ["-n", "1", "--start-method", "spawn"]], ids=" ".join
)
def test_children_of_a_run_are_no_runs(project, way):
    project.file("sim_children.py", KINDS)
    project.ok(*way)
    for name, right in (
        ("stepwise", RIGHT),
        ("straight", {k: v for k, v in RIGHT.items() if k != "keeps_the_folder"}),
    ):
        traj = project.open(f"{name}-001")
        assert dict(zip(traj["kind"].tolist(), traj["r"].tolist(), strict=True)) == right


PROVIDERS = """
    import os
    from simkit import after, experiment, explore, fixture, parameter

    def forked():
        pid = os.fork()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else -1

    @parameter
    def constant():
        return forked()

    @fixture(scope="experiment")
    def shared():
        yield forked()
        forked()

    @fixture
    def own():
        yield forked()
        forked()

    @experiment
    @explore(x=[0, 1, 2])
    def f(x, constant, shared, own):
        return {"r": [constant, shared, own, x]}

    @after(f)
    def last(trajectory):
        return {"total": forked() + len(trajectory)}
    """


@pytest.mark.parametrize("way", ["0", "1"])
def test_what_is_forked_outside_of_the_experiment_ends_too(project, way):
    project.file("sim_providers.py", PROVIDERS)
    project.ok("-n", way)
    traj = project.open("f-001")
    assert traj["r"].tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 2]]
    assert traj.summary.total == 3


def test_a_child_of_simkit_run_does_not_go_on_with_the_script(project):
    project.file(
        "script.py",
        """
        import os
        import simkit

        def f(x):
            pid = os.fork()
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else 5

        traj = simkit.run(f, simkit.explore(x=[1, 2]))
        print("values", traj["result"].tolist(), simkit.call(f, x=3))
        """,
    )
    result = project.python("script.py")
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1:] == ["values [0, 0] {'result': 0}"]
    assert result.out.count("values") == 1


def test_a_worker_that_dies_is_not_held_by_its_children(project):
    project.file(
        "sim_dies.py",
        """
        import os, pathlib, signal
        from simkit import experiment, explore

        @experiment
        @explore(x=[0, 1])
        def dies(x):
            if x == 0:
                pid = os.fork()
                if not pid:
                    signal.pause()
                pathlib.Path("child").write_text(str(pid))
                os.kill(os.getpid(), signal.SIGKILL)
            return x
        """,
    )
    assert project.simkit("-n", "1").code == 1
    assert project.open("dies-001").status.tolist() == ["crashed", "done"]
    child = int((project.path / "child").read_text())
    project.until(lambda: not is_alive(child))


SAYS = """
    import os
    from simkit import experiment, explore

    @experiment
    @explore(x=[1, 2, 3])
    def f(x, run):
        run.append(step=x)
        run.checkpoint(at=x)
        pid = os.fork()
        if not pid:
            run.append(step=1000)
            SAID
            run.add(z=1000)
            return {"y": 1000}
        assert os.waitpid(pid, 0)[1] != 0
        run.report(x / 2, step=0)
        run.add(z=x)
        return {"y": 10 * x}
    """


@pytest.mark.parametrize("said", ["run.checkpoint(at=1000)", "run.report(1000.0, step=5)"])
@pytest.mark.parametrize("way", ["0", "1", "2"])
def test_what_a_child_says_of_the_run_is_an_error_of_its_own(project, way, said):
    """It has the owner's file, or the pipe to it: with ``-n 0`` it wrote there, and the file was damaged."""
    project.file("sim_says.py", SAYS.replace("SAID", said))
    ended = project.ok("-n", way)
    traj = project.open("f-001")
    logs = "".join(traj.log(i) for i in range(3))
    assert "for the run's own process" in (ended.err if way == "0" else logs)
    assert traj.status.tolist() == ["done"] * 3
    assert [traj.runs[i].step.tolist() for i in range(3)] == [[1], [2], [3]]
    assert traj["y"].tolist() == [10, 20, 30]
    assert traj["z"].tolist() == [1, 2, 3]
    assert [traj.reports(i) for i in range(3)] == [[(0, x / 2)] for x in (1, 2, 3)]
    assert "undamaged" in project.ok("verify", "--file", "results/f-001.h5").out


LEFT = """
    import multiprocessing, time
    from pathlib import Path
    from simkit import experiment, explore, fixture

    CONTEXT = multiprocessing.get_context("METHOD")

    def sleeping():
        process = CONTEXT.Process(target=time.sleep, args=(1000,), daemon=True)
        process.start()
        Path(f"{process.pid}.pid").write_text("")

    @fixture(scope="experiment")
    def shared():
        sleeping()

    @experiment(isolate=ISOLATED)
    @explore(x=[1, 2])
    def f(x, shared):
        sleeping()
        pool = CONTEXT.Pool(1)
        for pid in pool.map(abs, [x]):
            for child in multiprocessing.active_children():
                Path(f"{child.pid}.pid").write_text("")
        return x
    """


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("way", ["0", "1"])
def test_daemonic_children_end_with_the_study_as_with_any_program(project, way, method, isolated):
    project.file("sim_left.py", LEFT.replace("METHOD", method).replace("ISOLATED", str(isolated)))
    project.ok("-n", way)
    assert project.open("f-001")["result"].tolist() == [1, 2]
    children = [int(path.stem) for path in project.path.glob("*.pid")]
    assert len(children) >= 3
    project.until(lambda: not any(map(is_alive, children)))
