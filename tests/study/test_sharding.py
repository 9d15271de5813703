"""Sets of shards: one set, made by tasks that know nothing of each other."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from conftest import clean_environment
from processes import SIGTERM, WAITING, check_ctrl_c, wrong_values

import simkit
from simkit.cli.main import main
from simkit.record.file.locks import WriterLock
from simkit.record.recorded import Recorded
from simkit.values.decode import ABSENT
from simkit.values.encode import encode

STUDY = """
import numpy as np
import pandas as pd
from simkit import experiment, product

@experiment
@product(x=range(20), y=[0.5, 1.5, "a", None, (1, 2)], k=[1, 2])
def study(x, y, k, rng, run, scale=2.0):
    run.add(z=x * scale, noise=rng.normal(), flag=x > 3, text=f"{x}-{y}", ragged=np.arange(x % 7),
            matrix=np.full((2, 3), float(x)), table=pd.DataFrame({"a": np.arange(x % 3)}),
            mixed=x if x % 2 else float(x), tree={"a": x, "b": [x] * (x % 3)})
    if x % 5 == 0:
        run.add(sometimes=x)
        run.note(f"a multiple: {x}")
    print("computing", x)
"""

SMALL = """
from simkit import experiment, explore

@experiment
@explore(x=range(12))
def study(x, rng, bad=-1, tau=1.0):
    if x == bad:
        raise ValueError("bad")
    return {"z": x * tau, "noise": rng.normal()}
"""


def verb(project, *arguments):
    """The command within this process: its exit code."""
    with contextlib.chdir(project.path):
        return main(list(arguments))


def digests(trajectory, section):
    """Types and bits of each run's value, by name; nothing where it is absent."""
    rows = np.arange(len(trajectory))
    with contextlib.closing(Recorded.open(trajectory.path)) as recorded:
        return {
            name: [
                "" if value is ABSENT else encode([value]).digest()
                for value in recorded.values(recorded.rows(name, rows))
            ]
            for name in recorded.names(section)
        }


def done(project, file="study-001"):
    with project.open(file) as trajectory:
        return np.flatnonzero(trajectory.status == "done").tolist()


@pytest.fixture
def small(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_study.py", SMALL)
    return project


def test_by_shard_0_of_3_and_then_auto_a_study_is_bit_by_bit_the_unsharded_one(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_study.py", STUDY)
    project.ok("--seed", "11", "-n", "2", "--output", "whole.h5")
    project.ok("--shard", "0/3", "--seed", "11", "-n", "0")
    assert done(project) == list(range(66))
    project.ok("--shard", "auto/5", "-n", "2")
    whole, sharded = project.open("whole.h5"), project.open("study-001")
    assert len(whole) == len(sharded) == 200
    for section in ("parameters", "results"):
        assert sorted(sharded.names(section)) == sorted(whole.names(section))
        assert digests(sharded, section) == digests(whole, section)
    assert sharded.seeds.tolist() == whole.seeds.tolist()
    assert sharded.log(100) == whole.log(100) == "computing 10\n"
    assert [sharded.notes(i) for i in range(0, 200, 9)] == [whole.notes(i) for i in range(0, 200, 9)]
    assert sharded.to_dataframe(["z", "sometimes", "text"]).equals(
        whole.to_dataframe(["z", "sometimes", "text"])
    )
    files = sorted((project.path / "results/study-001.shards").glob("*.h5"))
    assert len(files) == 6  # the first third, and the others cut where five parts end
    assert sharded.source(70)[0] == "study-001.shards/0001.h5"


def test_any_number_of_shards_continues_any_other(small):
    whole = verb(small, "-n", "0", "--seed", "3", "--output", "whole.h5", "-q")
    assert whole == 0
    for shard in ("1/2", "0/5", "4/7", "2/5"):
        assert verb(small, "-n", "0", "--seed", "3", "--shard", shard, "-q") == 0
    assert done(small) == [0, 1, 4, 5, 6, 7, 8, 9, 10, 11]
    assert verb(small, "-n", "0", "-q") == 0  # without shards
    assert done(small) == list(range(12))
    sharded, one = small.open("study-001"), small.open("whole.h5")
    assert wrong_values(sharded, one) == wrong_values(one, sharded) == []


def test_of_a_file_that_was_left_behind_the_runs_that_were_not_begun_are_divided(small):
    assert verb(small, "sim_study.py::study[0:3]", "-n", "0", "--shard", "0/1", "-q") == 0
    for i in (2, 3):
        assert verb(small, "-n", "0", "--shard", f"{i}/4", "-q") == 0
    assert done(small) == [0, 1, 2, 6, 7, 8, 9, 10, 11]
    assert verb(small, "-n", "0", "--shard", "1/4", "-q") == 0
    assert done(small) == list(range(12))
    bounds = [(len(small.open(f"study-001.shards/000{i}")), i) for i in range(4)]
    assert [n for n, _ in bounds] == [12, 3, 3, 3]  # the first keeps the room that it had


def test_a_stretch_that_another_task_has_is_left_to_it(small, capsys):
    assert verb(small, "-n", "0", "--shard", "0/3") == 0
    lock = WriterLock(small.path / "results/study-001.shards/0001.h5")
    assert verb(small, "-n", "0", "--shard", "1/3") == 0
    told = capsys.readouterr().out
    assert "runs 4 to 7 left to another task" in told
    assert f"is being written by process {os.getpid()}" in told
    assert verb(small, "-n", "0", "--shard", "auto/3") == 0
    assert done(small) == [0, 1, 2, 3, 8, 9, 10, 11]
    lock.release()  # as when it dies
    assert verb(small, "-n", "0", "--shard", "auto/3") == 0
    assert done(small) == list(range(12))


def test_a_stretch_of_a_task_that_died_on_another_machine_is_free_after_a_while(small, capsys):
    """Though nobody here can tell whether its process lives; job 4711_1 started again need not wait."""
    for number in range(3):  # run 4 n of each stretch is done
        first = f"sim_study.py::study[{4 * number}]"
        assert verb(small, first, "-n", "0", "--shard", f"{number}/3", "-q") == 0
    holder = "process 12 on node-far (job 4711_1)"
    job = {"SLURM_JOB_ID": "4711_1", "SLURM_RESTART_COUNT": "1"}
    for number, environment, seconds in ((1, {}, 400), (2, job, 0)):
        lock = small.path / f"results/study-001.shards/000{number}.h5.lock"
        lock.write_text(f"{holder}\nborn 5\nstart 0\n")
        capsys.readouterr()
        assert verb(small, "-n", "0", "--shard", f"{number}/3") == 0
        out = capsys.readouterr().out
        assert f"runs {4 * number} to {4 * number + 3} left to another task" in out
        assert f"000{number}.h5 is being written by {holder}" in out
        assert verb(small, "show", "results/study-001.h5") == 0
        assert f"{holder} is writing it" in capsys.readouterr().out
        now = lock.stat().st_mtime
        os.utime(lock, (now, now - seconds))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            assert verb(small, "-n", "0", "--shard", f"{number}/3") == 0
        assert not lock.exists()
    assert verb(small, "-n", "0", "--shard", "auto/3") == 0
    assert done(small) == list(range(12))


def test_failed_runs_are_tried_again(small):
    small.file("sim_study.py", SMALL.replace("bad=-1", "bad=5"))
    assert [verb(small, "-n", "0", "--shard", f"{i}/3") for i in range(3)] == [0, 1, 0]
    trajectory = small.open("study-001")
    assert "ValueError: bad" in trajectory.error(5)
    assert trajectory.where("status == 'failed'")["x"].tolist() == [5]
    assert verb(small, "-n", "0", "--lf") == 1
    small.file("sim_study.py", SMALL.replace("bad=-1", "bad=5").replace("x == bad", "x == bad + 100"))
    small.ok("-n", "0", "--into", "results/study-001.h5")
    trajectory = small.open("study-001")
    assert (trajectory.status == "done").all()
    table = trajectory.to_dataframe(names=["z"], info=True)
    assert table["attempt"].tolist() == [1] * 5 + [3] + [1] * 6


def test_a_set_grows_at_its_end(small):
    assert verb(small, "-n", "0", "--shard", "0/2", "-q") == 0
    small.file("sim_study.py", SMALL.replace("range(12)", "range(15)"))
    for shard in ("1/2", "0/2"):  # of the fifteen now
        small.ok("-n", "0", "--shard", shard, "-q")
    with small.open("study-001") as trajectory:
        assert trajectory["x"].tolist() == list(range(15))
        assert (trajectory.status == "done").all()
    small.file("sim_study.py", SMALL.replace("range(12)", "[0, 7, *range(1, 17)]"))
    refused = small.simkit("-n", "0")
    assert refused.code == 4
    told = refused.err
    assert "is a set of shards, and it grows at its end only: run 1 has another point now" in told
    assert "simkit merge results/study-001-plain.h5 results/study-001.h5" in told
    assert verb(small, "merge", "results/study-002.h5", "results/study-001.h5") == 0
    small.ok("-n", "0")
    assert small.open("study-002")["x"].tolist() == [*range(15), 7, 15, 16]


def test_another_constant_begins_another_set(small, capsys):
    assert verb(small, "-n", "0", "--shard", "0/2", "-q") == 0
    for i in range(2):
        assert verb(small, "-n", "0", "--shard", f"{i}/2", "--set", "tau=3", "-q") == 0
    assert small.open("study-002")["z"].tolist() == [3.0 * x for x in range(12)]
    assert done(small) == list(range(6))
    capsys.readouterr()
    assert verb(small, "-n", "0", "--into", "results/study-001.h5", "--set", "tau=5") == 4
    assert "is a set of shards, and constants changed: tau was 1.0, now 5.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fresh"], "each task would begin a set of its own"),
        (["--output", "plain.h5"], "a set of shards needs a file of its own, this one holds others"),
        (["--into", "plain.h5"], "it is one plain file, which shards can't share"),
        (["--repeat", "0"], "--repeat 0"),
    ],
)
def test_what_shards_can_not_do(small, capsys, options, words):
    assert verb(small, "-n", "0", "--output", "plain.h5", "-q") == 0
    assert verb(small, "-n", "0", "--shard", "0/2", *options) == 4
    assert words in capsys.readouterr().err
    assert not small.has("results")


def test_a_set_has_a_file_that_the_user_names(small):
    for i in range(2):
        assert verb(small, "-n", "0", "--shard", f"{i}/2", "--output", "here.h5", "-q") == 0
    assert small.open("here.h5")["x"].tolist() == list(range(12))
    assert small.has("here.shards/0000.h5", "here.shards/0001.h5")


def test_a_missing_shard_is_pending_and_made_again(small):
    for i in range(3):
        assert verb(small, "-n", "0", "--shard", f"{i}/3", "-q") == 0
    before = small.open("study-001")["noise"]
    (small.path / "results/study-001.shards/0001.h5").unlink()
    trajectory = small.open("study-001")
    assert trajectory.where("status == 'pending'").index.tolist() == [4, 5, 6, 7]
    assert np.isnan(trajectory["z"]).tolist() == [4 <= i < 8 for i in range(12)]
    small.close()
    assert verb(small, "-n", "0", "--shard", "1/3", "-q") == 0
    assert np.array_equal(small.open("study-001")["noise"], before)


def test_all_files_of_a_set_are_compared_with_their_checksums(small, capsys):
    for i in range(3):
        assert verb(small, "--shard", f"{i}/3", "-n", "0", "-q") == 0
    shards = [small.path / f"results/study-001.shards/{i:04d}.h5" for i in range(3)]
    capsys.readouterr()
    assert verb(small, "verify", "study", "--file") == 0
    assert capsys.readouterr().out.count(": undamaged, ") == 4
    octets = bytearray(shards[1].read_bytes())
    for place in range(4096, len(octets) - 4096, 97):
        octets[place] ^= 0xFF
    shards[1].write_bytes(octets)
    assert verb(small, "verify", "study", "--file") == 1
    out = capsys.readouterr().out
    assert out.count(": undamaged, ") == 3
    assert "0001.h5: " in out
    assert "damaged block" in out
    assert "its runs are pending once it is moved away" in out
    os.truncate(shards[0], shards[0].stat().st_size // 2)
    assert verb(small, "verify", "study", "--file") == 4
    told = capsys.readouterr()
    assert "0000.h5" in told.err
    assert "0001.h5: " in told.out
    for shard in shards[:2]:
        shard.unlink()
    assert verb(small, "verify", "study", "--file") == 0


def test_what_follows_is_called_by_the_task_that_ends_last(small):
    small.file(
        "sim_study.py",
        SMALL
        + """
from simkit import after

@after(study)
def total(trajectory):
    return {"total": float(trajectory["z"].sum())}
""",
    )
    for i in range(3):
        assert "total" not in dir(small.open("study-001").summary) if i else True
        small.close()
        assert verb(small, "-n", "0", "--shard", f"{i}/3", "-q") == 0
    assert small.open("study-001").summary.total == 66


ONCE = """
import os
from simkit import experiment, explore

@experiment
@explore(x=range(200))
def study(x):
    with open("executed.txt", "a") as file:
        file.write(f"{x}\\n")
    return x
"""


def test_two_tasks_never_take_one_range_in_200_rounds(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_study.py", ONCE)
    command = ["-m", "simkit", "--shard", "auto/200", "-n", "0", "-q"]
    tasks = [project.start(*command, stdout=subprocess.DEVNULL) for _ in range(2)]
    told = [task.communicate()[1] for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], told
    executed = Counter(map(int, (project.path / "executed.txt").read_text().split()))
    assert executed == Counter(range(200))
    assert done(project) == list(range(200))
    shards = project.path / "results/study-001.shards"
    assert sorted(path.name for path in shards.iterdir()) == [f"{i:04d}.h5" for i in range(200)]


WALLTIME = """
import os, signal, time
from pathlib import Path
from simkit import experiment, explore

@experiment
@explore(x=range(6))
def study(x, run):
    if x == 2 and not Path("told").exists():
        Path("told").touch()
        os.kill(os.getpid(), signal.SIGTERM)
    return x
"""


def test_sigterm_before_the_walltime_ends_finishes_the_run_and_exits_2(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_study.py", WALLTIME)
    result = project.simkit("--shard", "0/1", "-n", "0")
    assert result.code == 2
    assert done(project) == [0, 1, 2]
    assert sorted(path.name for path in project.path.glob("results/*/*")) == ["0000.h5"]
    assert project.ok("--shard", "0/1", "-n", "0").out.count("3 done") == 2
    assert done(project) == list(range(6))


def test_sigterm_to_a_task_with_workers_finishes_their_runs_and_exits_2(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_slow.py", WAITING)
    with project.under_way("--shard", "auto/4", "-n", "2") as process:
        check_ctrl_c(project, process, SIGTERM)
    assert not list(project.path.glob("results/*/*.lock"))
    project.ok("--shard", "auto/4", "-n", "2")
    assert done(project, "slow-001") == list(range(40))


KILLED = """
import os, signal
from pathlib import Path
from simkit import experiment, explore

@experiment
@explore(x=range(8))
def study(x, run):
    step = (run.restore() or {}).get("step", 0)
    Path(f"began-{x}-{step}").touch()
    for step in range(step, 4):
        run.append(v=step)
        if (x, step) == (3, 2) and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        run.checkpoint(step=step + 1)
    run.add(end=x)
"""


def test_the_range_of_a_killed_task_is_free_and_goes_on_at_its_checkpoint(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_study.py", KILLED)
    assert project.simkit("--shard", "0/2", "-n", "0").code == -signal.SIGKILL
    assert project.open("study-001").where("status == 'done'")["x"].tolist() == [0, 1, 2]
    project.close()
    project.ok("--shard", "auto/4", "-n", "0")
    assert project.has("began-3-2")
    trajectory = project.open("study-001")
    assert trajectory["end"].tolist() == list(range(8))
    assert [list(v) for v in trajectory["v"]] == [[0, 1, 2, 3]] * 8


def test_a_worker_that_dies_costs_one_run(small):
    small.file(
        "sim_study.py",
        SMALL.replace("return {", "import os, signal\n    x == 7 and os.kill(os.getpid(), 9)\n    return {"),
    )
    assert small.simkit("--shard", "auto/4", "-n", "2").code == 1
    trajectory = small.open("study-001")
    assert trajectory.where("status == 'crashed'")["x"].tolist() == [7]
    assert (trajectory.status == "done").sum() == 11


SLURM = itertools.count(1)


def scripts(page):
    """The job scripts of the page, by their scheduler."""
    blocks = [block.partition("```")[0] for block in page.split("```bash\n")[1:]]
    return {block.split("\n")[1].split()[0]: block for block in blocks if block.startswith("#!")}


@pytest.mark.skipif(shutil.which("bash") is None, reason="job scripts are for bash")
@pytest.mark.parametrize(
    ("scheduler", "variable", "first"),
    [("#SBATCH", "SLURM_ARRAY_TASK_ID", 0), ("#$", "SGE_TASK_ID", 1), ("#PBS", "PBS_ARRAY_INDEX", 0)],
)
def test_the_job_scripts_of_the_page_run_as_pasted(small, scheduler, variable, first):
    page = os.path.join(os.path.dirname(__file__), "../../docs/howto/cluster.md")
    with open(page, encoding="utf-8") as file:
        script = scripts(file.read())[scheduler]
    small.file("simkit", f'#!/bin/bash\nexec "{sys.executable}" -m simkit "$@"\n').chmod(0o755)
    small.file("job.sh", script)
    environment = {**clean_environment(), "PATH": f"{small.path}:{os.environ['PATH']}"}
    environment |= {"SLURM_SUBMIT_DIR": str(small.path), "PBS_O_WORKDIR": str(small.path)}
    for task in (first, first + 19):
        ended = subprocess.run(
            ["bash", "job.sh"], cwd=small.path, env={**environment, variable: str(task)}, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert done(small)[-1] == 11
    assert 0 < len(done(small)) <= 2
    assert simkit.open(small.path / "results/study-001.h5")["x"].mask.any()


LOST = """
    import fcntl, os, subprocess
    from pathlib import Path
    from simkit import experiment, product

    @experiment
    @product(x=range(40))
    def lost(x):
        if x == 5:  # as if this task had stood still for minutes
            (lock,) = Path("results/lost-001.shards").glob("*.lock")
            os.unlink(lock)
            lock.write_text("process 1 on node-b\\nborn 1\\nstart 0\\n")
            fcntl.flock(os.open(lock, os.O_RDWR), fcntl.LOCK_EX)
            subprocess.run(["cp", "-r", lock.parent, "kept"], check=True)
        return x
"""


def test_a_task_whose_stretch_another_machine_has_taken_writes_nothing_more(project):
    """Not only at its next sign of life, which may be seconds away."""
    project.file("sim_lost.py", LOST)
    result = project.simkit("--shard", "0/1", "-n", "0")
    assert result.code == 1, result.out + result.err
    assert re.search(r"000\d\.h5 is being written by process 1 on node-b by now", result.err), result.err
    there, kept = project.path / "results" / "lost-001.shards", project.path / "kept"
    names = {file.name for file in kept.iterdir()}
    assert any(name.endswith(".lock") for name in names)
    for name in names:
        assert (there / name).read_bytes() == (kept / name).read_bytes(), name
