"""Options, verbs and exit codes."""

from __future__ import annotations

import re

from simulations import THREE

import simkit


def test_help_version_and_wrong_options(project):
    assert project.ok("--version").out == f"simkit {simkit.__version__}\n"
    text = project.ok("--help").out
    options = "-n -k --co --where -x --maxfail --set --params --product --explore --repeat --seed --output"
    for option in f"{options} --fresh --pdb --parameters -q -v -s --durations --start-method".split():
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), option
    assert "exit codes: 0 the selection is complete" in text
    assert "show FILE" in text
    wrong = project.simkit("--frehs")
    assert wrong.code == 4
    assert "--frehs" in wrong.err


def test_several_experiments_are_run_in_order_and_one_failure_makes_the_exit_code(project):
    project.file("sim_three.py", THREE.replace('{"a": x}', "1 / 0"))
    result = project.simkit()
    assert result.code == 1
    order = re.findall(r"^(sim_three\.py::\w+)  \d runs?  ", result.out, re.M)
    assert order == ["sim_three.py::lorenz", "sim_three.py::lorenz_slow", "sim_three.py::rossler"]
    assert re.search(r"=+ 4 done, 2 failed in", result.out) or re.search(
        r"=+ 2 failed, 4 done in", result.out
    )
    assert project.open("lorenz_slow-001")["b"].tolist() == [1, 2, 3]
