"""An experiment over the runs of another one, by the command: order, continuing, what is missing, kills."""

from __future__ import annotations

import shutil
import signal

import numpy as np
import pytest
from processes import kill_group, recorded_runs, wrong_values

import simkit

NETWORKS = """
import numpy as np
from simkit import each, experiment, parameter, product

FACTOR = {2: 1.0, 3: 1.0, 4: 1.0}

@experiment
@product(factor=[1.0, 1.2])
def report(build, level, factor):
    return {"networks": len(build), "above": int((build["mean"] > level * factor).sum())}

@experiment
@each("build", where="size < 4")
@product(drive=[0.5, 1.0])
def simulate(build, drive, rng, gain: float = 2.0):
    assert build.weights.shape == (build.size, build.size)
    return {"rate": gain * drive * build.weights.sum(), "noise": rng.normal()}

@experiment
@product(size=[2, 3, 4], kind=["a", "b"])
def build(size, kind, bad: str = ""):
    if kind == bad:
        raise ValueError(f"no network of kind {kind}")
    return {"weights": np.full((size, size), FACTOR[size] + ord(kind)), "mean": FACTOR[size] * size}

@parameter
def level(build):
    return float(build["mean"].mean())
"""

ABSENT = """
from simkit import each, experiment
@each("results/built-001.h5")
@experiment
def use(build{default}):
    return 1
"""


@pytest.fixture
def networks(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_net.py", NETWORKS)
    return project


def test_stages_are_run_in_the_order_of_their_needs_and_each_run_tells_where_it_came_from(networks):
    out = networks.ok("-n", "2").out
    lines = [line.partition("  ")[0] for line in out.splitlines() if "::" in line]
    assert lines == ["sim_net.py::build", "sim_net.py::report", "sim_net.py::simulate"]
    traj, build = networks.open("simulate-001"), networks.open("build-001")
    assert traj.explored == ("size", "kind", "drive")
    assert traj["build.run"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert set(traj["build.file"]) == {"results/build-001.h5"}
    assert len(set(traj["build.digest"].tolist())) == 4
    weights = build["weights"]
    for run in traj:
        assert run.rate == 2.0 * run.drive * weights[run.build.run].sum()
    grid = traj.to_xarray()["rate"]
    assert dict(grid.sizes) == {"size": 2, "kind": 2, "drive": 2}
    assert float(grid.sel(size=3, kind="b", drive=0.5)) == 9 * (1.0 + ord("b"))
    frame = traj.to_dataframe().merge(build.to_dataframe(), left_on="build.run", right_index=True)
    assert (frame["size_x"] == frame["size_y"]).all()
    report = networks.open("report-001")
    assert (report["networks"].tolist(), report["above"].tolist(), report.parameters.level) == (
        [6, 6],
        [2, 2],
        3.0,
    )
    assert report.parameters.build.runs.tolist() == [0, 1, 2, 3, 4, 5]
    again = networks.ok("-n", "2").out
    assert [line for line in again.splitlines() if "are done already" in line] == [
        "sim_net.py::build  0 runs to do: 6 of 6 are done already",
        "sim_net.py::report  0 runs to do: 2 of 2 are done already",
        "sim_net.py::simulate  0 runs to do: 8 of 8 are done already",
    ]


def test_only_what_depends_on_changed_runs_is_computed_again(networks):
    networks.ok("-n", "0", "-k", "build or simulate")
    before = networks.open("simulate-001")["noise"].tolist()
    networks.file("sim_net.py", NETWORKS.replace("3: 1.0", "3: 1.5"))
    out = networks.ok("-n", "0", "-k", "build or simulate").out
    assert "continuing results/simulate-001.h5: 8 of 12 runs are done" in out
    assert "sim_net.py::simulate  4 runs" in out
    assert "4 recorded runs are not declared any more" in out
    traj = networks.open("simulate-001")
    assert traj["noise"].tolist()[:8] == before
    now = traj.where(declared=True)
    assert now["build.file"].tolist() == ["results/build-001.h5"] * 4 + ["results/build-002.h5"] * 4
    assert now["rate"].tolist() == [
        2 * drive * size**2 * (factor + ord(kind))
        for size, factor in ((2, 1.0), (3, 1.5))
        for kind in "ab"
        for drive in (0.5, 1.0)
    ]


def test_a_source_that_is_computed_anew_and_comes_out_the_same_makes_nothing_stale(networks):
    networks.ok("-n", "0", "-k", "build or simulate")
    networks.ok("-n", "0", "-k", "build", "--fresh")
    out = networks.ok("-n", "0", "-k", "simulate").out
    assert "0 runs to do: 8 of 8 are done already" in out


def test_a_source_that_grows_adds_runs(networks):
    networks.ok("-n", "0", "-k", "build or simulate")
    networks.file("sim_net.py", NETWORKS.replace('["a", "b"]', '["a", "b", "c"]'))
    out = networks.ok("-n", "2", "-k", "build or simulate").out
    assert "sim_net.py::simulate  4 runs" in out
    assert networks.open("simulate-001")["kind"].tolist()[8:] == ["c"] * 4


def test_one_that_is_selected_alone_takes_the_newest_source_and_says_so(networks):
    result = networks.simkit("-n", "0", "-k", "simulate")
    assert result.code == 4
    assert "each(build, where='size < 4'): no run of build is recorded yet" in result.out.replace(
        "'build'", "build"
    )
    assert "run it first: simkit " in result.out
    networks.ok("-n", "0", "-k", "build")
    out = networks.ok("-n", "0", "sim_net.py::simulate", "--where", "size == 2 and drive > 0.6").out
    assert "sim_net.py::simulate  2 runs" in out
    assert "build: 4 runs of results/build-001.h5" in out.replace("'build'", "build")
    traj = networks.open("simulate-001")
    assert traj.where(status="done")["build.run"].tolist() == [0, 1]


def test_a_source_with_failures_stops_what_depends_on_it_unless_that_is_allowed(networks):
    result = networks.simkit("-n", "0", "--set", "bad=b", "-k", "build or simulate")
    assert result.code == 1
    assert "results/build-001.h5 is not complete: 2 failed" in result.out  # of those where size < 4
    assert "complete it:                  simkit sim_net.py::build" in result.out
    assert not networks.has("results/simulate-001.h5")
    result = networks.simkit("-n", "0", "-k", "simulate")
    assert result.code == 4
    assert "simkit --allow-incomplete" in result.out
    out = networks.ok("-n", "0", "-k", "simulate", "--allow-incomplete").out
    assert "2 failed of results/build-001.h5 are left out" in out
    assert networks.open("simulate-001")["kind"].tolist() == ["a"] * 4
    mended = networks.simkit("-n", "0", "--set", "bad=", "-k", "build or simulate")
    assert mended.code == 0, mended.out
    traj = networks.open("simulate-001").where(declared=True)
    assert traj["kind"].tolist() == ["a", "a", "b", "b"] * 2


def test_a_strategy_or_an_after_of_the_source_with_other_arguments_leaves_its_runs_the_same(project):
    text = """
    from simkit import adaptive, after, each, experiment, explore

    def ask(ngen=2):
        for i in range(ngen):
            yield explore(x=[i])

    @experiment
    @adaptive(ask)
    def build(x):
        return {"z": x}

    @after(build)
    def total(trajectory, scale=1.0):
        return {"total": scale * trajectory["z"].sum()}

    @experiment
    @each(build)
    def use(build):
        return build.z
    """
    project.file("sim_f.py", text)
    assert "4 done" in project.ok("-n", "0").out
    out = project.ok("-n", "0", "--set", "ngen=3", "--set", "scale=2.0").out
    assert "sim_f.py::use  1 run " in out
    assert "not declared any more" not in out
    assert project.open("use-001")["result"].tolist() == [0, 1, 2]


OVER_A_FILE = """
from pathlib import Path
from simkit import each, experiment, product

@experiment
@product(size=[2, 3, 4], kind=["a", "b"])
def build(size, kind):
    if kind == "b" and (Path(__file__).parent / "broken").exists():
        raise ValueError("broken")
    return {"mean": 2 * size}

@experiment
@each(FILE)
def single(build):
    return build.mean

@experiment
@each(FILE, where="size < 4")
def small(build):
    return build.mean

@experiment
@each(FILE, by="kind")
def groups(build):
    return len(build)
"""


@pytest.mark.parametrize(
    ("name", "lacking", "gave", "new"),
    [("single", 3, [4, 6, 8], 3), ("small", 2, [4, 6], 2), ("groups", 3, [3], 1)],
)
@pytest.mark.parametrize("file", ["study.h5", "results/build-001.h5"])
def test_an_incomplete_source_in_a_file_is_refused_with_what_completes_it_or_allowed(
    project, name, lacking, gave, new, file
):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_next.py", OVER_A_FILE.replace("FILE", repr(file)))
    project.file("broken")
    output = ("--output", file) if file == "study.h5" else ()
    stage = (f"sim_next.py::{name}", "-n", "0")
    assert project.simkit("sim_next.py::build", "-n", "0", *output).code == 1
    result = project.simkit(*stage)
    assert result.code == 4
    complete = " ".join(["simkit", "sim_next.py::build", *output])
    assert f"{file} is not complete: {lacking} failed\n" in result.out
    assert f"complete it:                  {complete}\n" in result.out
    assert "go on with those that are done: simkit --allow-incomplete\n" in result.out
    out = project.ok(*stage, "--allow-incomplete").out
    assert f"{lacking} failed of {file} are left out" in out
    assert project.open(f"{name}-001")["result"].tolist() == gave
    project.close()
    (project.path / "broken").unlink()
    project.ok(*complete.split()[1:], "-n", "0")
    assert f"sim_next.py::{name}  {new} run" in project.ok(*stage).out  # the others hold what they held
    traj = project.open(f"{name}-001").where(declared=True)
    assert sorted(traj["result"].tolist()) == sorted(2 * gave)


def test_a_parameter_of_all_runs_is_computed_again_where_the_runs_it_asks_for_changed(networks):
    networks.ok("-n", "0", "-k", "build or report")
    networks.file(
        "sim_net.py",
        NETWORKS.replace("size=[2, 3, 4]", "size=[2, 3, 4, 5]").replace("4: 1.0", "4: 1.0, 5: 9.0"),
    )
    networks.ok("-n", "0", "-k", "build")
    out = networks.ok("-n", "0", "-k", "report").out
    assert "build.digest changed: the runs of build (sim_net.py:" in out
    report = networks.open("report-002")
    assert (report["networks"].tolist(), report.parameters.level) == ([8, 8], 13.5)


def test_all_stages_in_one_file_and_by_shards(networks):
    networks.ok("-n", "2", "--output", "all.h5")
    traj = simkit.open(networks.path / "all.h5", "simulate")
    with traj:
        assert set(traj["build.file"]) == {"all.h5::build"}
        assert traj.status.tolist() == ["done"] * 8
    assert "8 runs the same" in networks.ok("verify", "all.h5", "simulate").out
    networks.ok("-n", "0", "-k", "build")
    for i in range(3):
        networks.ok("-n", "0", "-k", "simulate", "--shard", f"{i}/3")
    networks.ok("merge", "merged.h5", "results/simulate-001.h5")
    with simkit.open(networks.path / "merged.h5") as merged:
        assert merged["build.run"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert merged["rate"].tolist() == simkit.open(networks.path / "all.h5", "simulate")["rate"].tolist()
    out = networks.ok("-n", "0", "-k", "simulate", "--into", "merged.h5").out
    assert "0 runs to do: 8 of 8 are done already" in out


def test_trajectories_over_different_sources_merge_as_different_points(networks):
    networks.ok("-n", "0", "-k", "build or simulate")
    networks.file("sim_net.py", NETWORKS.replace("3: 1.0", "3: 1.5"))
    networks.ok("-n", "0", "-k", "build or simulate", "--fresh")
    result = networks.simkit("merge", "both.h5", "results/simulate-001.h5", "results/simulate-002.h5")
    assert result.code == 4
    assert "run 0 of results/simulate-002.h5 is done in results/simulate-001.h5 too" in result.err
    assert "(4 such runs)" in result.err
    networks.ok(
        "merge", "both.h5", "results/simulate-001.h5", "results/simulate-002.h5", "--duplicates", "first"
    )
    with simkit.open(networks.path / "both.h5") as both:
        assert len(both) == 12
        assert len(np.unique(both["build.digest"])) == 6
    assert "12 runs the same" in networks.ok("verify", "both.h5").out


def test_a_source_that_is_gone_or_was_changed_is_said_by_verify(networks):
    networks.ok("-n", "0", "-k", "build or simulate")
    assert "8 runs the same" in networks.ok("verify", "simulate", "-n", "2").out
    file = networks.path / "results" / "build-001.h5"
    shutil.move(file, networks.path / "away.h5")
    result = networks.simkit("verify", "simulate")
    assert result.code == 4
    assert "build was made from results/build-001.h5, which is not there any more" in result.err
    networks.file("sim_net.py", NETWORKS.replace("2: 1.0", "2: 0.5"))
    networks.ok("-n", "0", "-k", "build")
    result = networks.simkit("verify", "simulate", "--runs", "1")
    assert result.code == 4
    assert "build was made from run 0 of results/build-001.h5, where something else stands now" in result.err


@pytest.mark.parametrize("points", [["--explore", "size=1,2"], ["--sample", "2", "size=0:1"]])
@pytest.mark.parametrize("source", ['"results/gone-001.h5"', '"results/gone-001.h5", by="kind"'])
def test_a_source_that_is_gone_is_not_needed_where_others_take_the_place_of_its_points(
    project, points, source
):
    text = f"from simkit import each, experiment\n@experiment\n@each({source})\ndef f(size, kind='a'): return size\n"
    project.file("sim_f.py", text)
    result = project.simkit("-n", "0")
    assert result.code == 4
    assert "sim_f.py:3: each('results/gone-001.h5'" in result.err
    assert "2 done" in project.ok("-n", "0", *points).out
    result = project.simkit(
        "-n", "0", "--product", "kind=a,b"
    )  # points that are added leave those of the source
    assert result.code == 4
    assert "there is no file results/gone-001.h5" in result.err


def test_a_circle_names_the_files(project):
    project.file("sim_a.py", 'from simkit import each, experiment\n@experiment\n@each("b")\ndef a(b): pass\n')
    project.file("sim_b.py", 'from simkit import each, experiment\n@experiment\n@each("a")\ndef b(a): pass\n')
    result = project.simkit()
    assert result.code == 4
    assert "sim_a.py::a\n    needs the runs of sim_b.py::b\n    needs the runs of sim_a.py::a" in result.err


def test_options_that_shape_points_leave_those_of_a_source_alone(networks):
    networks.ok("-n", "0", "-k", "build")
    out = networks.ok("--co", "-k", "simulate", "--product", "drive=1,2,3", "--repeat", "2").out
    assert "sim_net.py::simulate  24 runs" in out
    result = networks.simkit("-k", "simulate", "--product", "size=1,2")
    assert result.code == 4
    assert "'size' comes with the runs of" in result.err
    out = networks.ok("--parameters", "-k", "simulate").out
    assert "build  each of the runs of sim_net.py::build" in out


def test_list_knows_what_would_be_continued(networks):
    networks.ok("-n", "0")
    out = networks.ok("list").out
    assert out.count("simkit continues it") == 3


SLOW = """
import time
from pathlib import Path
import numpy as np
from simkit import each, experiment, product

@experiment
@product(n=range(1, 25))
def build(n, rng):
    wait("build", n)
    return {"values": rng.normal(size=n)}

def wait(stage, n):
    time.sleep(0.02)
    while n > 12 and Path(f"hold-{stage}").exists():
        time.sleep(0.01)

@experiment
@each(build)
@product(scale=[1, 2])
def use(build, scale, rng):
    wait("use", len(build.values))
    return {"sum": scale * build.values.sum(), "noise": rng.normal()}

@experiment
@each(use, by="scale")
def gather(use, scale):
    return {"total": use["sum"].sum(), "runs": len(use)}
"""


@pytest.mark.parametrize("stage", ["build", "use"])
def test_a_study_that_is_killed_in_either_stage_is_completed_as_if_undisturbed(project, tmp_path, stage):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_slow.py", SLOW)
    project.ok("-n", "2", "--seed", "7")
    whole = {name: project.open(f"{name}-001") for name in ("build", "use", "gather")}
    kept = tmp_path / "kept"
    shutil.move(project.path / "results", kept)
    project.file(f"hold-{stage}")
    process = project.start("-m", "simkit", "-n", "2", "--seed", "7")
    file = project.path / "results" / f"{stage}-001.h5"
    project.until(lambda: file.exists() and len(recorded_runs(file)) > 5)
    kill_group(process, project.path)
    (project.path / f"hold-{stage}").unlink()
    assert len(recorded_runs(file)) < len(whole[stage])
    project.ok("-n", "2", "--seed", "7")
    for name, reference in whole.items():
        with simkit.open(project.path / "results" / f"{name}-001.h5") as again:
            assert again.status.tolist() == ["done"] * len(reference)
            assert wrong_values(again, reference) == []


def test_ctrl_c_in_the_first_stage_leaves_the_second_alone(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_slow.py", SLOW)
    project.file("hold-build")
    process = project.start("-m", "simkit", "-n", "1")
    file = project.path / "results" / "build-001.h5"
    project.until(lambda: file.exists() and len(recorded_runs(file)) > 2)
    process.send_signal(signal.SIGINT)
    (project.path / "hold-build").unlink()
    printed = "".join(process.communicate())
    assert process.returncode == 2, printed
    assert not project.has("results/use-001.h5")


@pytest.mark.parametrize("source", ["over(simkit.open('old.h5'))", "over('old.h5')"])
def test_a_source_in_a_file_is_no_input_by_whichever_name_each_is_called(project, source):
    project.file(
        "sim_old.py",
        "from simkit import experiment, product\n"
        "@experiment\n@product(x=[1.0, 2.0, 3.0])\ndef old(x):\n    return 2 * x\n",
    )
    project.file(
        "sim_next.py",
        "import simkit\nfrom simkit import each as over\n"
        f"@simkit.experiment\n@{source}\ndef after(old):\n    return old.result\n",
    )
    project.ok("sim_old.py", "-n", "0", "--output", "old.h5", "--product", "x=1.0,2.0")
    project.ok("sim_next.py", "-n", "0")
    project.ok("sim_old.py", "-n", "0", "--output", "old.h5")
    assert "sim_next.py::after  1 run " in project.ok("sim_next.py", "-n", "0").out
    assert project.open("after-001")["result"].tolist() == [2.0, 4.0, 6.0]


@pytest.mark.parametrize("default", ["", "=None"])
def test_a_source_in_a_file_that_is_missing_is_said_with_what_is_there(project, default):
    project.file("sim_next.py", ABSENT.format(default=default))
    project.file("results/build-001.h5")
    result = project.simkit("sim_next.py")
    assert result.code == 4
    assert "sim_next.py:3: each('results/built-001.h5'): there is no file results/built-001.h5" in result.err
    assert "did you mean 'results/build-001.h5'?\n    there: results/build-001.h5" in result.err
    assert "provides" not in result.err


@pytest.mark.parametrize("text", ["size,kind\n2,a\n", ""])
def test_a_source_in_a_file_of_another_kind_is_said(project, text):
    project.file("sim_next.py", ABSENT.format(default=""))
    project.file("results/built-001.h5", text)
    result = project.simkit("sim_next.py")
    assert result.code == 4
    said = "sim_next.py:3: each('results/built-001.h5'): results/built-001.h5: not a trajectory file"
    assert said in result.err
    assert "provides" not in result.err
