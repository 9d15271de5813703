"""Quantities from the command line and from TOML: numbers and units, and nothing that runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.collect.conversion import convert
from simkit.collect.text import Typed, Unfit, quantity, quantity_stretch
from simkit.errors import SimkitError

brian2 = pytest.importorskip("brian2", reason="an extra: pip install simkit[brian2]")


ms, mV, nA, Quantity = brian2.ms, brian2.mV, brian2.nA, brian2.Quantity


def typed(text, kind=Quantity):
    return convert(Typed(text), "neuron.tau", kind, f"--set neuron.tau={text}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20*ms", 20 * ms),
        (" 20 * ms ", 20 * ms),
        ("-0.1*mV", -0.1 * mV),
        ("1e-3*second", 1e-3 * brian2.second),
        ("2*mV/ms", 2 * mV / ms),
        ("3*(mV + volt)", 3 * (mV + brian2.volt)),
        ("ms", 1 * ms),
        ("4*ms**2", 4 * ms**2),
        ("+5*Hz", 5 * brian2.Hz),
        ("20*msecond", 20 * ms),
    ],
)
def test_numbers_and_units(text, value):
    found = typed(text)
    assert type(found) is Quantity
    assert found == value
    assert brian2.get_dimensions(found) == brian2.get_dimensions(value)


def test_a_list_is_an_array():
    found = typed("[1*ms, 2*ms]")
    assert (found == [1, 2] * ms).all()
    assert found.shape == (2,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("20", "neuron.tau is a quantity, and 20 has no unit: write it with one, as in 20*ms"),
        ("20*msec", "no unit of Brian2 is called 'msec'; did you mean 'msecond'?"),
        ("20ms", "write a number and its unit, as in 20*ms"),
        ("", "write a number and its unit"),
        ("fast", "no unit of Brian2 is called 'fast'"),
        ("1*ms + 1*mV", "Cannot calculate"),
        ("1*ms/0", "neuron.tau: "),
        ("[1*ms, 2*mV]", "neuron.tau: "),
        ("__import__('os').system('true')", "not \"__import__('os').system('true')\""),
        ("ms.__class__", "not 'ms.__class__'"),
        ("(lambda: ms)()", "not '(lambda: ms)()'"),
        ("2**9999999*ms", "an exponent is a number up to 100"),
        ("True*ms", "not 'True'"),
        ("'a'*ms", "not \"'a'\""),
    ],
)
def test_mistakes_name_the_option_and_the_cure(text, words):
    with pytest.raises(SimkitError) as error:
        typed(text)
    assert str(error.value).startswith(f"--set neuron.tau={text}: ")
    assert words in str(error.value)


@given(st.text("0123456789.*/+-() []ems,_\"'abV", max_size=20))
def test_no_text_does_anything_but_mean_a_quantity_or_be_refused(text):
    try:
        found = typed(text)
    except SimkitError:
        return
    assert isinstance(found, Quantity)


def test_toml_and_defaults_of_other_types_stay_as_they_are():
    assert convert("20*ms", "label", str, "here") == "20*ms"
    assert convert("20*ms", "neuron.tau", Quantity, "config.toml") == 20 * ms


def test_the_command_and_the_configuration_give_quantities(project):
    project.file(
        "sim_f.py",
        """
        from brian2 import Quantity, mV, ms
        from simkit import experiment, parameter, product

        @parameter
        class Neuron:
            tau: Quantity = 20 * ms
            rest: Quantity = -70 * mV

        @experiment
        @product(x=[1, 2])
        def f(x, neuron, w=1 * mV):
            return {"half": neuron.tau / 2, "v": w * x + neuron.rest}
        """,
    )
    project.file("pyproject.toml", '[tool.simkit.parameters]\nneuron.rest = "-65*mV"\n')
    project.ok("-n", "0", "--set", "neuron.tau=10*ms", "--product", "w=1*mV, 2*mV")
    traj = project.open("f-001")
    assert traj.parameters.neuron.tau == 10 * ms
    assert traj.parameters.neuron.rest == -65 * mV
    assert (traj["half"] == [5] * 4 * ms).all()
    assert traj["v"][3] == 4 * mV - 65 * mV
    failed = project.simkit("--set", "neuron.tau=10")
    assert failed.code == 4
    assert "simkit: --set neuron.tau=10: neuron.tau is a quantity, and 10 has no unit" in failed.err


MILLIVOLTS = [0.0, 0.005, 0.01]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:10:3*mV", MILLIVOLTS),
        ("0:10:3 mV", MILLIVOLTS),
        ("0 : 10 : 3 * mV", MILLIVOLTS),
        ("0*mV:10*mV:3", MILLIVOLTS),
        ("0 mV:0.01 volt:3", MILLIVOLTS),
        ("linspace(0, 10, 3)*mV", MILLIVOLTS),
        ("np.linspace(0,10,3) mV", MILLIVOLTS),
        ("linspace(0*mV, 10*mV, 3)", MILLIVOLTS),
        ("arange(0*mV, 15*mV, 5*mV)", MILLIVOLTS),
        ("geomspace(1,100,3) mV", [0.001, 0.01, 0.1]),
        ("logspace(0,2,3)*mV", [0.001, 0.01, 0.1]),
        ("0:10:3 mV/ms", [0.0, 5.0, 10.0]),
        ("5*mV", []),
        ("[1, 2] mV", []),
    ],
)
def test_a_range_of_quantities(text, values):
    assert [float(value) for value in quantity_stretch(text, "v")] == pytest.approx(values, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0:10:3", "v is a quantity, and 0:10:3 has no unit: write it with one, as in 0:10:3*mV"),
        ("0:10 mV", "0:10 mV is no range: write FROM:TO:NUMBER and a unit, as in 0:10:11*mV"),
        ("0*mV:10*mV:3*mV", "has its unit more than once: write 0:10:11*mV, or 0*mV:10*mV:11"),
        ("0*mV:10*ms:3", "its ends have different units"),
        ("0*mV:10:3", "its ends have different units"),
        ("0:10:2.5 mV", "cannot be interpreted as an integer"),
        ("0:10:3 mv", "no unit of Brian2 is called 'mv'; did you mean 'mV'?"),
        ("linspace(0,1)*mV", "it has three numbers: from, to, how many"),
        ("logspace(0*mV,1*mV,3)", "a range: 0:10:11*mV, 0*mV:10*mV:11, or linspace(0,10,11)*mV"),
    ],
)
def test_what_is_no_range_of_quantities_is_said(text, words):
    with pytest.raises(Unfit) as error:
        quantity_stretch(text, "v")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("20 ms", 0.02), ("20*ms", 0.02), ("1/2 ms", 0.0005), ("-3 mV/ms", -3.0), ("2**2 ms", 0.004)],
)
def test_a_blank_before_a_unit_multiplies(text, value):
    assert float(quantity(text, "v")) == pytest.approx(value, rel=1e-15)
