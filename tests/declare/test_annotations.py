from __future__ import annotations

from typing import Annotated, NamedTuple, TypeVar

import pytest
from typing_extensions import TypeAliasType  # `type X = …`, before Python 3.12 too

import simkit
from simkit import Unit
from simkit.declare.annotations import Note, note, notes

T = TypeVar("T")
Rate = TypeAliasType("Rate", Annotated[float, "how often", Unit("Hz")])
Measured = TypeAliasType("Measured", Annotated[T, "as measured"], type_params=(T,))


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (float, Note(float)),
        (None, Note()),
        (Annotated[int, "how many"], Note(int, "how many")),
        (Annotated[float, "potential", Unit("mV")], Note(float, "potential", "mV")),
        (Annotated[float, Unit("mV"), "potential"], Note(float, "potential", "mV")),
        (Annotated[float, 3, Unit("s")], Note(float, "", "s")),
        (list[int], Note(list[int])),
        (Rate, Note(float, "how often", "Hz")),
        (Measured[float], Note(float, "as measured")),
        (TypeAliasType("Again", Rate), Note(float, "how often", "Hz")),
        (Annotated[Measured[int], "again", Unit("s")], Note(int, "again", "s")),
        (Annotated[Rate, "of spikes"], Note(float, "of spikes", "Hz")),
    ],
)
def test_an_annotation_tells_type_comment_and_unit(annotation, expected):
    assert note(annotation) == expected


def test_annotations_as_text_are_understood():
    def f(x: Annotated[float, "width", Unit("m")], y: int = 3) -> Annotated[float, "area"]: ...

    assert notes(f) == {"x": Note(float, "width", "m"), "y": Note(int), "return": Note(float, "area")}


def test_annotations_that_name_nothing_importable_are_no_error():
    def f(x: NoSuchType, y: int): ...  # noqa: F821

    assert set(notes(f)) == {"x", "y"}


class Outcome(NamedTuple):
    z: Annotated[float, "product", Unit("m2")]
    n: int


def test_comments_and_units_of_arguments_and_results_are_in_the_file(tmp_path):
    def f(
        x: Annotated[float, "width", Unit("m")], y: Annotated[float, "height", Unit("cm")] = 2.0
    ) -> Outcome:
        return Outcome(x * y, 1)

    traj = simkit.run(f, simkit.explore(x=[1.0, 2.0]), output=tmp_path / "f.h5")
    about = {name: (traj.describe(name).comment, traj.describe(name).unit) for name in "xyzn"}
    assert about == {"x": ("width", "m"), "y": ("height", "cm"), "z": ("product", "m2"), "n": ("", "")}


def test_a_single_result_carries_the_note_of_the_return(tmp_path):
    def f(x) -> Annotated[float, "square", Unit("m2")]:
        return x * x

    traj = simkit.run(f, simkit.explore(x=[1.0, 2.0]), output=tmp_path / "f.h5")
    assert (traj.describe("result").comment, traj.describe("result").unit) == ("square", "m2")


def test_comments_of_groups_and_derived_parameters_are_in_the_file(study):
    traj = study.run(
        '''
        from typing import Annotated
        from simkit import Unit, experiment, parameter

        @parameter
        class Neuron:
            """Integrate and fire."""
            tau: Annotated[float, "time constant", Unit("ms")] = 20.0

        @parameter
        def dt(neuron) -> Annotated[float, "", Unit("ms")]:
            """A tenth of it."""
            return neuron.tau / 10

        @experiment
        def f(neuron, dt):
            return dt
        '''
    )
    assert (traj.describe("neuron.tau").comment, traj.describe("neuron.tau").unit) == ("time constant", "ms")
    assert (traj.describe("dt").comment, traj.describe("dt").unit) == ("A tenth of it.", "ms")
    assert traj.parameters.dt == 2.0
