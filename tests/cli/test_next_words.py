"""What a newcomer types next, and reads."""

from __future__ import annotations

import json
import re
import shlex
import sys
from types import SimpleNamespace

import pytest

import simkit
from simkit import product
from simkit.cli.main import main
from simkit.inform.terminal import Lines

QUEUE = """
    from simkit import experiment, parameter, product

    @parameter
    class Server:
        mu: float = 1.0
        capacity: int = 100

    @experiment
    @product(lam=[0.5, 0.8], k=[1, 2]).repeat(2)
    def queue(lam: float, k: int, server, customers: int = 3):
        return {"wait": lam / server.mu + k * customers}
"""


@pytest.fixture
def recorded(study, capsys):
    study.write("sim_queue.py", QUEUE)
    assert main(["-n", "0", "-q"]) == 0
    capsys.readouterr()
    return study


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "mu=1.5"], "--set mu=1.5: queue does not use 'mu'; did you mean 'server.mu'?"),
        (["--set", "server=1.5"], "'server' is a group (sim_queue.py:4): give its fields, as in server.mu=1.5"),
        (["--set", "server=none"], "    fields: server.mu, server.capacity"),
        (["--set", "server="], "'server' is a group"),
        (["--explore", "lam=0.1"], "the declared space explores it, and the one that replaces it does not"),
        (["--sample", "4", "k=1,2"], "experiment queue needs 'lam', but nothing provides it"),
        (["--product", "lam=0.1", "0.2"], "folder: 0.2\n    several values of a parameter are joined by commas"),
        (["--product", "lam=0.1,", "0.2,", "3"], "several values of a parameter are joined by commas"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_with_what_was_meant(recorded, capsys, arguments, words):
    assert main(arguments) == 4
    assert words in capsys.readouterr().err


def test_into_is_named_only_where_it_can_continue_the_file(recorded, capsys):
    assert main(["--product", "server.mu=1,2", "--co"]) == 0
    told = capsys.readouterr().out
    assert "does not continue results/queue-001.h5: begins the next one" in told
    assert main(["--set", "server.mu=2", "--co"]) == 0
    assert "this does: simkit --into results/queue-001.h5 --set server.mu=2\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "shaping",
    [
        ["--set", "server.mu=2"],
        ["--params", "values.toml"],
        ["--set", "server.mu=2", "--product", "k=1,2,3"],
        ["--set", "server.mu=2", "--explore", "lam=0.5,0.9", "k=1,4", "--repeat", "2"],
        ["--set", "server.mu=2", "--sample", "3", "lam=0:1", "k=1,2", "--repeat", "2"],
        ["--set", "server.mu=2", "--repeat", "3"],
    ],
)
def test_a_command_that_is_suggested_gives_the_values_and_points_that_were_typed(recorded, capsys, shaping):
    recorded.write("values.toml", "[server]\nmu = 2.0\n")
    assert main([*shaping, "--co"]) == 0
    listed = re.search(r"this does: simkit (.*)\n", capsys.readouterr().out)[1]
    assert main(["-n", "0", *shaping]) == 0
    told = re.search(r"keep its done runs and go on:  simkit (.*)\n", capsys.readouterr().out)[1]
    assert listed == told
    assert main(["-n", "0", *shlex.split(told)]) == 0
    old, new = (simkit.open(f"results/queue-00{i}.h5").to_dataframe() for i in (1, 2))
    points = [name for name in ("lam", "k", "trial") if name in new]
    wanted, got = ({*table[points].itertuples(index=False, name=None)} for table in (new, old))
    assert wanted <= got


def test_the_table_of_a_file_has_its_trials_and_stands_apart(recorded, capsys):
    assert main(["show", "queue"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(i for i, line in enumerate(lines) if "trial" in line)
    assert (lines[head - 1], lines[head].split()) == ("", ["lam", "k", "trial", "wait"])


def test_points_that_are_gone_are_told_in_good_grammar(recorded, capsys):
    assert main(["-n", "0", "--product", "lam=0.5", "--product", "k=1"]) == 0
    words = "6 recorded runs are not declared any more, and stay in the file: traj.where(declared=True) leaves them out"
    assert words in capsys.readouterr().out


def test_an_argument_whose_default_hides_a_group_is_set_as_a_whole(study):
    plan = study.plan(
        "from simkit import experiment, parameter\n\n@parameter\nclass Server:\n    mu: float = 1.0\n\n"
        "@experiment\ndef f(server: float = 3.0):\n    return server\n",
        outside={"server": 1.5},
    )
    assert plan.nodes["server"].value == 1.5


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("df", "write trajectory.to_dataframe()"),
        ("query", "write trajectory.where(…)"),
        ("keys", "write trajectory.columns"),
        ("groupby", "a table has it, trajectory.to_dataframe().groupby"),
        ("loc", "a table has it, trajectory.to_dataframe().loc"),
        ("z", 'a column is trajectory["z"]'),
    ],
)
def test_words_of_tables_are_answered_with_where_they_are(record, word, answer):
    traj = record(lambda x: {"z": x}, product(x=[1, 2]))
    with pytest.raises(AttributeError) as error:
        getattr(traj, word)
    assert answer in str(error.value)


def test_words_that_no_table_has_and_columns_of_runs(record):
    traj = record(lambda x: {"z": x}, product(x=[1, 2]))
    assert not hasattr(traj, "nonsense")
    with pytest.raises(AttributeError, match=r"a column is traj\['z'\], a run's value traj.runs\[3\].z"):
        _ = traj.runs.z
    with pytest.raises(AttributeError, match=r"'Runs' object has no attribute 'nonsense'$"):
        _ = traj.runs.nonsense


def test_a_plot_without_a_name_draws_the_only_number(record):
    pytest.importorskip("matplotlib").use("agg")
    axes = record(lambda x: {"z": float(x), "many": [x] * x}, product(x=[1, 2])).plot()
    assert axes.get_ylabel() == "z"
    several = record(lambda x: {"a": x, "b": x}, product(x=[1, 2]))
    with pytest.raises(simkit.SimkitError, match="name a result that is a number per run: a, b"):
        several.plot()


def test_what_is_known_of_a_trajectory_is_shown_in_a_line(record):
    assert "sessions=(1: …)" in repr(record(lambda x: x, product(x=[1])).info)


NOTHING = """
    from simkit import experiment, product

    @experiment
    @product(x=[1, 2, 3])
    def quiet(x):
        print(x * x)

    @experiment
    @product(x=[1, 2, 3, 4])
    def falls(x):
        if x == 2:
            raise ValueError("two")
        return x

    @experiment
    def last(x=1):
        return x
"""


def test_runs_that_gave_nothing_and_those_that_were_left_out_are_told(study, capfd):
    study.write("sim_a.py", NOTHING)
    assert main(["-n", "0", "-x"]) == 1
    told = capfd.readouterr().out
    give = 'return a number, or a dict such as {"z": z}, or call run.add(z=z)'
    assert (
        f"sim_a.py::quiet: no run returned anything, so nothing but parameters is recorded: {give}\n" in told
    )
    assert "sim_a.py::falls: stopped after 1 failure (-x): 2 of 4 runs were not executed\n" in told
    assert "sim_a.py::last: not begun, the session was stopped before\n" in told
    assert main(["-n", "0", "--maxfail", "1", "-k", "falls", "--json"]) == 1
    (ended,) = [json.loads(line) for line in capfd.readouterr().out.splitlines() if '"ended"' in line]
    assert ended["remarks"] == [
        "sim_a.py::falls: stopped after 1 failure (-x): 2 of 3 runs were not executed"
    ]
    assert main(["-n", "0", "-k", "falls"]) == 1
    assert "stopped" not in capfd.readouterr().out


def test_a_selected_run_that_is_done_says_how_it_is_seen_and_executed_again(recorded, capsys):
    assert main(["sim_queue.py::queue[3]"]) == 0
    told = capsys.readouterr().out
    assert (
        "run 3 is done; simkit show results/queue-001.h5 --run 3 shows run 3, --pdb executes it again" in told
    )
    assert main(["sim_queue.py::queue[2:4]"]) == 0
    assert "all 2 selected runs are done; simkit show results/queue-001.h5 --run 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("explore(x=[1])", "(explore is a word of simkit's: write from simkit import explore at the top of the file)"),
        ("simkit.Unit('mV')", "(write import simkit at the top of the file)"),
        ("import numpi", f"(simkit runs in {sys.executable}: a package has to be installed there"),
        ("import os.nothing", None),
        ("nothing(1)", None),
    ],
)  # fmt: skip
def test_a_name_that_is_missing_is_answered_where_it_is_imported_and_in_a_run(study, capsys, line, words):
    study.write(
        "sim_top.py", f"from simkit import experiment\n{line}\n\n@experiment\ndef f(x=1):\n    return x\n"
    )
    study.write(
        "sim_run.py", f"from simkit import experiment\n\n@experiment\ndef g(x=1):\n    {line}\n    return x\n"
    )
    assert main(["-n", "0"]) == 4
    told = capsys.readouterr().out
    assert "NameError" in told or "ModuleNotFoundError" in told
    if words is None:
        assert not re.search("simkit runs in|write ", told)
    else:
        assert (told.count(f"\n{words}"), told.count(f"    {words}")) == (1, 1)


def test_a_list_with_a_unit_behind_it_is_an_axis(study, capsys):
    pytest.importorskip("brian2")
    study.write(
        "sim_v.py",
        "from brian2 import mV\nfrom simkit import experiment\n\n@experiment\ndef f(v=1*mV):\n    return v\n",
    )
    assert main(["--product", "v=[0, 10]*mV", "--co", "-v"]) == 0
    assert re.findall(r"\[\d\]  v=(.+)", capsys.readouterr().out) == ["0. * volt", "10. * mvolt"]


def test_a_pipe_is_told_how_far_a_study_is_once_per_count(capsys):
    plan, lines = SimpleNamespace(node_id="sim_a.py::f"), Lines()
    for done in (0, 0, 1, 1, 1, 2):
        lines.draw(SimpleNamespace(plan=plan, done=done, total=2, percent=50 * done, pace=""))
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["1/2", "2/2"]


def test_a_group_is_no_column(recorded):
    with (
        simkit.open("queue") as traj,
        pytest.raises(KeyError, match=r"queue has no 'server'; it is a group of server.mu, server.capacity"),
    ):
        _ = traj["server"]
