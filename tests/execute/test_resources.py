from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from simkit.execute.resources import devices_of, patient

VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with the GPUs that its drivers are made to tell of."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(nvidia=0, amd=(), code=0):
        if nvidia:
            lines = "".join(f"echo 'GPU {i}: Tesla (UUID: GPU-{i})'\n" for i in range(nvidia))
            (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{lines}echo '  MIG 1g'\nexit {code}\n")
            (tmp_path / "nvidia-smi").chmod(0o755)
        for i, number in enumerate(amd):
            (tmp_path / "nodes" / str(i)).mkdir(parents=True)
            (tmp_path / "nodes" / str(i) / "gpu_id").write_text(f"{number}\n")
        return str(tmp_path / "nodes")

    return make


@pytest.mark.skipif(sys.platform == "win32", reason="the driver's program is a shell script here")
@pytest.mark.parametrize(
    ("told", "devices"),
    [
        ({}, ()),
        ({"nvidia": 3}, ("0", "1", "2")),
        ({"nvidia": 2, "code": 9}, ()),
        ({"amd": [0, 5231, 0, 77]}, ("0", "1")),
        ({"nvidia": 1, "amd": [5]}, ("0",)),
    ],
)
def test_auto_is_what_the_drivers_tell(machine, told, devices):
    assert devices_of("auto", machine(**told)) == devices


@pytest.mark.parametrize(
    ("name", "text", "devices"),
    [
        ("CUDA_VISIBLE_DEVICES", "2, 3", ("2", "3")),
        ("CUDA_VISIBLE_DEVICES", "GPU-8f,MIG-1", ("GPU-8f", "MIG-1")),
        ("CUDA_VISIBLE_DEVICES", "0,-1,1", ("0",)),
        ("CUDA_VISIBLE_DEVICES", "", ()),
        ("HIP_VISIBLE_DEVICES", "1", ("1",)),
        ("ROCR_VISIBLE_DEVICES", "4,6", ("0", "1")),
    ],
)
def test_auto_is_what_a_batch_system_has_given(machine, monkeypatch, name, text, devices):
    monkeypatch.setenv(name, text)
    assert devices_of("auto", machine()) == devices


def test_devices_may_be_named(machine):
    assert devices_of([1, "GPU-8f"], machine()) == ("1", "GPU-8f")
    assert devices_of((), machine()) == ()


def test_each_worker_sees_one_device_before_its_libraries_look(project):
    """Three workers share two; what the project imports sees it already where it is imported there."""
    project.file("pyproject.toml", '[tool.simkit]\ngpus = [3, "GPU-8f"]\n')
    project.file(
        "sim_a.py",
        """
        import os, time
        from simkit import experiment, product

        @experiment
        @product(x=range(3))
        def a(x):
            open(f"here-{x}", "w").close()
            while not all(os.path.exists(f"here-{i}") for i in range(3)):
                time.sleep(0.01)
            return {"gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "hip": os.environ.get("HIP_VISIBLE_DEVICES")}
        """,
    )
    project.ok("-n", "3")
    with project.open("a-001") as traj:
        assert sorted(traj["gpu"]) == ["3", "3", "GPU-8f"]
        assert traj["hip"].tolist() == traj["gpu"].tolist()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gpus = 2", 'gpus must be "auto" or a list of devices such as [0, 1], not 2'),
        ("gpus = [-1]", "gpus must be"),
        ("gpus = [true]", "gpus must be"),
        ("memory_on_retry = 0.5", "memory_on_retry must be a factor from 1 on such as 2.0, not 0.5"),
        ("memory_on_retry = true", "memory_on_retry must be"),
        ("memory_on_retri = 2", "did you mean 'memory_on_retry'?"),
    ],
)
def test_settings_that_can_not_be_are_errors(project, line, words):
    project.file("pyproject.toml", f"[tool.simkit]\n{line}\n")
    result = project.simkit("--co")
    assert (result.code, words in result.err) == (4, True), result.err


HUNGRY = """
    import os, signal
    from pathlib import Path
    from simkit import experiment, product

    @experiment(memory="{memory} MB", retries={retries})
    @product(x=range(4))
    def a(x, run):
        with open("tries", "a") as file:
            file.write(f"{{x}} ")
        if x == 2:
            try:
                bytearray({wanted} << 20)
            except MemoryError:
                {otherwise}
        return x
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of memory")
@pytest.mark.parametrize(
    ("factor", "retries", "otherwise", "status"),
    [
        (2.0, 2, "raise", "done"),
        (2.0, 1, "raise", "failed"),
        (1.0, 2, "raise", "failed"),
        (2.0, 2, "os.kill(os.getpid(), signal.SIGKILL)", "done"),
        (2.0, 2, "run.command(['sh', '-c', 'kill -KILL $$'])", "done"),
        (2.0, 2, "raise ValueError from None", "failed"),
    ],
)
def test_a_run_that_had_too_little_memory_gets_more(project, factor, retries, otherwise, status):
    """Twice, 2,000 MB are 8,000 MB: what it asks for is between the last two."""
    project.file("pyproject.toml", f"[tool.simkit]\nmemory_on_retry = {factor}\n")
    project.file("sim_a.py", HUNGRY.format(memory=2000, retries=retries, wanted=5000, otherwise=otherwise))
    result = project.simkit("-n", "1")
    assert result.code == (0 if status == "done" else 1), result.out + result.err
    with project.open("a-001") as traj:
        assert traj.status.tolist() == ["done", "done", status, "done"]
    assert (project.path / "tries").read_text().split().count("2") == retries + 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of memory")
def test_others_keep_to_their_limit_after_it(project):
    """Four runs of one worker: only the one that is tried again gets more."""
    project.file("pyproject.toml", "[tool.simkit]\nmemory_on_retry = 4.0\n")
    project.file(
        "sim_a.py",
        """
        import resource
        from simkit import experiment, product

        @experiment(memory="2 GB", retries=1)
        @product(x=range(4))
        def a(x):
            limit = resource.getrlimit(resource.RLIMIT_AS)[0]
            if x == 1 and limit == 2 * 10**9:
                raise MemoryError
            return limit
        """,
    )
    project.ok("-n", "1")
    with project.open("a-001") as traj:
        assert traj["result"].tolist() == [2 * 10**9, 8 * 10**9, 2 * 10**9, 2 * 10**9]


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's scheduler can be told so")
WHO_WAITS = """
    import os
    from simkit import adaptive, experiment

    class Points:
        def __init__(self):
            self.left, self.policies = list(range(6)), []

        def ask(self):
            self.policies.append(os.sched_getscheduler(0))
            return {"x": self.left.pop()} if self.left else None

        def tell(self, point, results):
            self.policies.append(os.sched_getscheduler(0))

        def result(self):
            return {"first": self.policies[0], "last": self.policies[-1]}

    def points():
        return Points()

    @experiment
    @adaptive(points)
    def policy(x):
        if x == 2:
            os.kill(os.getpid(), 9)
        return {"worker": os.sched_getscheduler(0)}
"""


@linux
def test_the_owner_waits_for_a_processor_while_workers_compute_and_they_do_not(project):
    project.file("sim_a.py", WHO_WAITS)
    assert project.simkit("-n", "2").code == 1
    with project.open("policy-001") as traj:
        assert traj.status.tolist().count("crashed") == 1
        done = traj.where(status="done")["worker"]
        assert done.tolist() == [os.SCHED_OTHER] * 5  # a worker that takes a dead one's place, too
        assert traj.summary.last == os.SCHED_BATCH
        assert traj.summary.first == os.SCHED_OTHER  # before there are workers


@linux
def test_a_thread_is_patient_for_a_while_only():
    with patient():
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
        with patient():
            pass
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@linux
def test_what_the_user_chose_stays():
    def chosen():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        with patient():
            pass
        return os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as pool:  # whose thread it is that has it
        assert pool.submit(chosen).result() == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@linux
def test_a_system_that_does_not_allow_it_is_left_as_it_is(monkeypatch):
    def refused(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    with patient():
        pass
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
