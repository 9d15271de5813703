"""What functions and groups ask for, and what they provide."""

from __future__ import annotations

import pytest

from simkit import SimkitError

HEAD = "import attrs\nfrom simkit import experiment, explore, fixture, parameter, product\n"


def problem(study, text, **options):
    """The message of what is wrong with an experiment."""
    with pytest.raises(SimkitError) as error:
        study.plan(HEAD + text, **options)
    return str(error.value)


# Arguments


def test_every_kind_of_argument_is_injected_and_stars_receive_nothing(study):
    text = HEAD + "@experiment\ndef f(a, /, b, *args, c, d=4, **more):\n    return [a, b, args, c, d, more]\n"
    assert study.call(text, a=1, b=2, c=3) == {"result": [1, 2, (), 3, 4, {}]}


# Providers


GROUP = """
@parameter
class Neuron:
    tau: float = 20.0
    n: int = 1
"""


def test_a_group_gives_its_fields(study):
    assert study.call(HEAD + GROUP + "@experiment\ndef f(neuron):\n    return neuron.tau\n") == {
        "result": 20.0
    }


def test_a_group_is_recorded_as_its_fields(study):
    text = HEAD + GROUP + "@experiment\ndef f(neuron):\n    return neuron.tau\n"
    assert study.run(text).constants() == {"neuron.tau": 20.0, "neuron.n": 1}


def test_an_unknown_field_names_those_there_are(study):
    text = GROUP + "@experiment\n@product({'neuron.tua': [1]})\ndef f(neuron):\n    return 1\n"
    message = problem(study, text)
    assert "'neuron' (sim_a.py:" in message
    assert "has no field 'tua'; did you mean 'tau'" in message
    assert "fields: tau, n" in message


def test_a_field_of_what_is_no_group_is_an_error(study):
    text = "@experiment\n@product({'dt.x': [1]})\ndef f(dt=3):\n    return 1\n"
    message = problem(study, text)
    assert "'dt.x' names a field of 'dt', which is no group" in message
    assert "@parameter class" in message


def test_two_providers_of_one_name_in_a_module_name_both_places(study):
    text = "@parameter\ndef dt():\n    return 1\n@fixture(name='dt')\ndef other():\n    return 2\n"
    message = problem(study, text + "@experiment\ndef f(dt):\n    return dt\n")
    assert "'dt' is provided a second time" in message
    assert "sim_a.py:6" in message
    assert "sim_a.py:3" in message
