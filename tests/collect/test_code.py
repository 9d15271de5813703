"""The code version: what counts as another program, and what does not."""

from __future__ import annotations

import os
import sys

import pytest

from simkit.collect.code import changes
from simkit.collect.syntax import normal_form

SIM = '''
from simkit import experiment, parameter, product
import helper
from helper import scale as scaled

WIDTHS = [1, 2]
FACTOR = 2
LEFT, RIGHT = 1, 2

class Model:
    """A model."""

    def step(self, x):
        return FACTOR * x

@parameter
def dt(n=1):
    return 0.1 * n

def unused():
    return 1

@experiment
@product(x=WIDTHS)
def f(x, dt):
    """Simulate."""
    # a comment
    return Model().step(scaled(x)) + helper.shift(dt) + LEFT
'''

HELPER = """
from simkit import product

BASE = 3

def scale(x):
    return x * BASE

def shift(x):
    return x + deep(x)

def deep(x):
    return 1

def unrelated():
    return 0
"""


@pytest.fixture
def code(study):
    """The code version of ``f`` with some text replaced, as a new process would find it."""

    def version(old="", new="", *, file="sim_a.py", sim=SIM, helper=HELPER):
        texts = {"sim_a.py": sim, "helper.py": helper}
        assert old in texts[file]
        texts[file] = texts[file].replace(old, new, 1) if old else texts[file]
        for name in list(sys.modules):
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(study.root)):
                del sys.modules[name]
        for name, text in texts.items():
            path = study.write(name, text)
            version.clock += 1_000_000_000
            os.utime(path, ns=(version.clock, version.clock))
        sys.dont_write_bytecode = True
        (item,) = study.collect("sim_a.py::f")
        return item.plan.code

    version.clock = 10**18
    before = sys.dont_write_bytecode
    yield version
    sys.dont_write_bytecode = before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another one"),
        ('"""Simulate."""', '"""Do it."""'),
        ('    """Simulate."""\n', ""),
        ('    """A model."""\n\n', ""),
        ("return FACTOR * x", "return (FACTOR\n            * x)"),
        ("@product(x=WIDTHS)\n", "@product(x=[1, 2, 3])\n"),
        ("@product(x=WIDTHS)\n", "@product(x=WIDTHS).repeat(3)\n"),
        ("@product(x=WIDTHS)\n", "@product(x=WIDTHS)\n@product()\n"),
        ("@product(x=WIDTHS)\n", "@(product(x=WIDTHS) + product(x=[9]))\n"),
        ("@product(x=WIDTHS)\n", "@product(x=WIDTHS).where(lambda x: x > 0)\n"),
        ("@experiment\n@product(x=WIDTHS)\n", "@product(x=WIDTHS)\n@experiment\n"),
        ("@product(x=WIDTHS)\n", "@GRID\n"),
        ("WIDTHS = [1, 2]", "WIDTHS = [1, 2, 3, 4]"),
        ("def unused():\n    return 1", "def unused():\n    return 2"),
        ("import helper\n", "import helper\nimport math\n"),
        ("@parameter\n", "@parameter()\n"),
    ],
)
def test_comments_docstrings_layout_decorators_and_the_space_are_no_change(code, old, new):
    sim = SIM.replace("class Model", "GRID = product(x=[1, 2])\n\nclass Model")
    assert changes(code(sim=sim), code(old, new, sim=sim)) == []


@pytest.mark.parametrize(
    "new", ["@grid(x=[1, 2, 3])\n", "@grid(x=WIDTHS).repeat(3)\n", "@(grid() * grid(x=[9]))\n"]
)
def test_a_space_is_no_code_by_whichever_name_its_function_was_imported(code, new):
    sim = SIM.replace("class Model", "from simkit import product as grid\n\nclass Model")
    before = code(sim=sim)
    assert changes(before, code("@product(x=WIDTHS)\n", "@grid(x=WIDTHS)\n", sim=sim)) == []
    assert changes(before, code("@product(x=WIDTHS)\n", new, sim=sim)) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("helper.shift(dt) + LEFT", "helper.shift(dt) - LEFT", "sim_a.py::f changed"),
        ("def f(x, dt)", "def f(x, dt, y=1)", "sim_a.py::f changed"),
        ("return FACTOR * x", "return FACTOR + x", "sim_a.py::Model changed"),
        ("FACTOR = 2", "FACTOR = 3", "sim_a.py::FACTOR changed"),
        ("LEFT, RIGHT = 1, 2", "LEFT, RIGHT = 3, 2", "sim_a.py::LEFT changed"),
        ("return 0.1 * n", "return 0.2 * n", "sim_a.py::dt changed"),
    ],
)
def test_the_experiment_its_providers_and_what_they_reach_count(code, old, new, words):
    assert changes(code(), code(old, new)) == [words]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("return x * BASE", "return x + BASE", ["helper.py::scale changed"]),
        ("BASE = 3", "BASE = 4", ["helper.py::BASE changed"]),
        ("return x + deep(x)", "return x - deep(x)", ["helper.py::shift changed"]),
        ("return 1", "return 2", ["helper.py::deep changed"]),
        ("return 0", "return 9", []),
        ("def scale(x):\n", 'def scale(x):\n    """Scale."""\n    # now told\n', []),
    ],
)
def test_what_is_reached_in_another_file_of_the_project_counts(code, old, new, expected):
    assert changes(code(), code(old, new, file="helper.py")) == expected


def test_new_and_removed_pieces_are_told(code):
    sim = SIM.replace("+ LEFT", "+ RIGHT_OF(x)").replace(
        "class Model", "def RIGHT_OF(x):\n    return x\n\nclass Model"
    )
    assert changes(code(), code(sim=sim)) == [
        "sim_a.py::LEFT is not used any more",
        "sim_a.py::RIGHT_OF is new",
        "sim_a.py::f changed",
    ]


def test_an_axis_that_the_code_uses_too_counts(code):
    sim = SIM.replace("+ LEFT", "+ len(WIDTHS)")
    assert changes(code(sim=sim), code("WIDTHS = [1, 2]", "WIDTHS = [1, 2, 3]", sim=sim)) == [
        "sim_a.py::WIDTHS changed"
    ]


USE = """
from simkit import experiment
{}

@experiment
def f():
    {}
"""


@pytest.mark.parametrize(
    ("above", "body"),
    [
        ("import helper as h", "return h.scale(1)"),
        ("from helper import *", "return scale(1)"),
        ("from helper import scale", "return [scale(i) for i in [1]]"),
        ("from helper import scale", "from helper import scale as s\n    return s(1)"),
        ("import helper", "import helper as h\n    return h.scale(1)"),
        ("import helper\ndef g(call=helper.scale):\n    return call(1)", "return g()"),
        ("import helper\ntable = {'scale': helper.scale}", "return table['scale'](1)"),
        ("from helper import scale", "return eval('sc' + 'ale')(1)"),
        ("import helper", "return eval('helper.' + 'scale')(1)"),
        ("import helper", "exec('r = helper.' + 'scale(1)')"),
        ("import helper", "return getattr(helper, 'sc' + 'ale')(1)"),
        ("import helper", "return vars(helper)['sc' + 'ale'](1)"),
        ("import helper\nif True:\n    def g():\n        return helper.scale(1)", "return g()"),
    ],
)
def test_a_helper_is_found_however_it_is_reached(code, above, body):
    sim = USE.format(above, body)
    assert changes(code(sim=sim), code("x * BASE", "x + BASE", file="helper.py", sim=sim)) == [
        "helper.py::scale changed"
    ]


def test_a_users_decorator_is_code(code):
    sim = SIM.replace("@experiment", "@experiment\n@doubled").replace(
        "class Model", "def doubled(f):\n    return f\n\nclass Model"
    )
    assert changes(code(sim=sim), code("    return f\n", "    return f  or 2\n", sim=sim)) == [
        "sim_a.py::doubled changed"
    ]


def test_code_of_simconf_counts_if_it_provides_something(code, study):
    study.write("simconf.py", "from simkit import parameter\n@parameter\ndef size(k=3):\n    return 5\n")
    sim = SIM.replace("def f(x, dt)", "def f(x, dt, size)")
    before = code(sim=sim)
    assert "simconf.py::size" in before
    assert "simconf.py::size" not in code()


def test_installed_packages_do_not_count(code):
    sim = SIM.replace("import helper\n", "import helper\nimport numpy as np\n").replace(
        "+ LEFT", "+ np.mean([1])"
    )
    assert {key.partition("::")[0] for key in code(sim=sim)} == {"sim_a.py", "helper.py"}


@pytest.mark.parametrize("text", ["def f(:", "match = ("])
def test_what_this_python_can_not_parse_is_compared_letter_by_letter(text):
    assert normal_form(text) == text


def test_aliases_of_simkits_decorators_do_not_count():
    plain = normal_form("def f(x):\n    return x\n")
    for decorators in (
        "@simkit.experiment",
        "@sk.experiment()",
        "@experiment\n@product(x=[1]) \n@explore(y=[2]).repeat(3)",
    ):
        assert normal_form(decorators + "\ndef f(x):\n    return x\n") == plain


def test_a_local_name_is_not_the_modules_one_of_that_name(code):
    sim = SIM.replace("WIDTHS = [1, 2]", "WIDTHS = [1, 2]\nx = 1\nstate = 2\nk = 3\nhelp = 4\n")
    body = "    state = [k for k in range(2)]\n    g = lambda help: help + x\n    return Model()"
    sim = sim.replace("    return Model()", body)
    before = code(sim=sim)
    assert not {"sim_a.py::x", "sim_a.py::state", "sim_a.py::k", "sim_a.py::help"} & set(before)
    declared = sim.replace("    state = [", "    global state\n    state = [").replace(
        "    g = ", "    y = k + state; g = "
    )
    assert {"sim_a.py::state", "sim_a.py::k"} < set(code(sim=declared))


def test_the_locals_of_a_function_are_not_all_of_its_module(code):
    sim = SIM.replace("WIDTHS = [1, 2]", "WIDTHS = [1, 2]\nk = 3\n")
    inner = sim.replace("    return Model()", "    got = locals()\n    return Model()")
    assert "sim_a.py::k" not in code(sim=inner)
    assert "sim_a.py::k" in code(sim=inner.replace("locals()", "globals()"))
