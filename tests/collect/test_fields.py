"""Groups of parameters, and groups within groups."""

from __future__ import annotations

import h5py
import pytest

import simkit
from simkit import SimkitError, product
from simkit.resume.continuing import fingerprint

HEAD = """
import attrs
from dataclasses import dataclass, field
from typing import Annotated
from simkit import Unit, experiment, explore, fixture, parameter, product
"""

MODEL = (
    HEAD
    + '''
@dataclass
class Kernel:
    """What a spike leaves behind."""
    tau1: Annotated[float, "rise time", Unit("ms")] = 2.0
    tau2: float = 5.0

@attrs.frozen
class Plastic:
    rate: float = 0.1
    kernel: Kernel = attrs.field(factory=Kernel)

@parameter
class Synaptic:
    """Synapses."""
    tau1: Annotated[float, "time constant", Unit("ms")] = 1.0
    plastic: Plastic = Plastic()

@parameter
class Model:
    """The model."""
    n: int = 10
    synaptic: Annotated[Synaptic, "excitatory"] = Synaptic()
    bare: Kernel

@dataclass
class Config:
    lr: Annotated[float, "learning rate"] = 0.1
    steps: int = 3

@experiment
def f(model, cfg: Config = Config()):
    kernel = model.synaptic.plastic.kernel
    kinds = [type(each).__name__ for each in (model, model.synaptic, model.synaptic.plastic, kernel, model.bare, cfg)]
    return {"tau1": model.synaptic.tau1, "tau2": kernel.tau2, "bare": model.bare.tau1, "lr": cfg.lr, "kinds": kinds}
'''
)
NAMES = [
    "model.n", "model.synaptic.tau1", "model.synaptic.plastic.rate", "model.synaptic.plastic.kernel.tau1",
    "model.synaptic.plastic.kernel.tau2", "model.bare.tau1", "model.bare.tau2", "cfg.lr", "cfg.steps",
]  # fmt: skip


def test_fields_of_any_depth_are_explored_given_described_and_a_group_in_the_file(study):
    space = product(
        {"model.synaptic.tau1": [1.0, 2.0], "model.synaptic.plastic.kernel.tau2": [7.0, 8.0]},
    )
    given = {"model.bare.tau1": 9, "cfg.lr": 0.5}
    traj = study.run(MODEL, space=space, set=given)
    assert traj["tau1"].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert traj["tau2"].tolist() == [7.0, 8.0, 7.0, 8.0]
    assert traj["bare"].tolist() == [9.0] * 4
    assert traj["lr"].tolist() == [0.5] * 4
    assert traj.runs[0].kinds == ["Model", "Synaptic", "Plastic", "Kernel", "Kernel", "Config"]
    assert sorted(traj.names("parameters")) == sorted(NAMES)
    assert sorted(traj.constants()) == sorted(set(NAMES) - set(traj.explored))
    assert traj.parameters.model.synaptic.plastic.rate == 0.1
    assert traj.runs[3].model.synaptic.plastic.kernel.tau2 == 8.0
    about = traj.describe("model.synaptic.tau1")
    assert (about.comment, about.unit, about.explored) == ("time constant", "ms", True)
    about = traj.describe("model.bare.tau1")
    assert (about.comment, about.unit, about.constant) == ("rise time", "ms", True)
    comments = [traj.describe(name).comment for name in ("model", "model.synaptic", "model.bare")]
    assert comments == ["The model.", "excitatory", "What a spike leaves behind."]
    assert traj.where("model.synaptic.tau1 == 2 and cfg.lr == 0.5")["run"].tolist() == [2, 3]
    assert traj.to_xarray()["tau2"].dims == traj.explored
    assert traj.replay(3)["tau2"] == 8.0
    path = traj.path
    traj.close()
    with h5py.File(path) as file:
        assert file["f/parameters/model/synaptic/plastic/kernel/tau2"][:].tolist() == [7.0, 8.0, 7.0, 8.0]
        assert file["f/parameters/cfg/lr"][()] == 0.5


def test_the_command_sets_explores_lists_shows_continues_and_verifies_nested_fields(project):
    project.file("sim_f.py", MODEL)
    explored = ("--product", "model.synaptic.tau1=1,2", "--set", "cfg.lr=0.5")
    assert "2 done" in project.ok("-n", "2", *explored).out
    assert "nothing to do" in project.ok("-n", "2", *explored).out
    listed = project.ok("--parameters", *explored).out
    assert "model.synaptic.tau1                 explored: 1.0, 2.0 ms   time constant" in listed
    assert "model.synaptic.plastic.kernel.tau1  2.0 ms   rise time" in listed
    assert "cfg.lr                              0.5   learning rate   --set cfg.lr=0.5" in listed
    assert "cfg                                 group   default of experiment f (sim_f.py:" in listed
    assert "cfg.steps                           3\n" in listed
    shown = project.ok("show", "f").out
    assert "model.synaptic.tau1                 float ms, explored   time constant" in shown
    assert "model.synaptic.plastic.rate         = 0.1" in shown
    table = "[model.synaptic]\nplastic.kernel.tau2 = 4\n[cfg]\nsteps = 7\n"
    (project.path / "lab.toml").write_text(table)
    assert "1 done" in project.ok("--params", "lab.toml").out
    (project.path / "pyproject.toml").write_text(
        f"[tool.simkit]\n{table.replace('[', '[tool.simkit.parameters.')}"
    )
    assert "nothing to do" in project.ok().out  # the same values, whatever gives them
    assert "nothing to do" in project.ok("--params", "results/f-002.h5").out
    traj = project.open("f-002")
    assert (traj.parameters.cfg.steps, traj.parameters.model.synaptic.plastic.kernel.tau2) == (7, 4.0)
    project.file("sim_f.py", MODEL.replace("tau2: float = 5.0", "tau2: float = 6.0"))
    again = project.ok()
    assert "results/f-002.h5 is not continued: model.bare.tau2 was 5.0, now 6.0" in again.out
    verified = project.ok("verify", "results/f-002.h5").out
    assert "model.bare.tau2 is 6.0 in the code now; verified with 5.0, as recorded" in verified


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.synaptic.tau", ["'model.synaptic' (sim_a.py:", "no field 'tau'; did you mean 'tau1'?"]),
        (
            "model.synaptic.plastic.kernel.x",
            ["'model.synaptic.plastic.kernel' (sim_a.py:", "no field 'x'", "fields: tau1, tau2"],
        ),
        (
            "model.n.x",
            ["'model.n' (sim_a.py:", "has no fields, as it is no group: there is no 'x' in it"],
        ),
        ("cfg.l", ["'cfg' (default of experiment f", "has no field 'l'; did you mean 'lr'?"]),
    ],
)
def test_a_field_that_is_not_there_is_an_error_that_names_the_group(study, name, words):
    with pytest.raises(SimkitError) as error:
        study.plan(MODEL, outside={name: "1"})
    assert str(error.value).startswith(f"--set {name}=1: ")
    assert [word for word in words if word not in str(error.value)] == []
    study.write("sim_b.py", MODEL.replace("@experiment\n", f"@experiment\n@product({{'{name}': [1]}})\n"))
    with pytest.raises(SimkitError, match=words[0].partition(" ")[0]):
        study.collect("sim_b.py")


def test_text_becomes_what_the_nested_field_is(study):
    with pytest.raises(SimkitError, match=r"cfg\.lr is a float, and 'fast' is a str"):
        study.plan(MODEL, outside={"cfg.lr": simkit.collect.text.Typed("fast")})
    plan = study.plan(MODEL, outside={"cfg.lr": simkit.collect.text.Typed("1")})
    assert plan.nodes["cfg.lr"].value == 1.0
    assert type(plan.nodes["cfg.lr"].value) is float


REQUIRED = (
    HEAD
    + """
@attrs.frozen
class Inner:
    a: int
    b: int = 2

@parameter
class Outer:
    inner: Inner

@experiment
def f(outer):
    return [outer.inner.a, outer.inner.b]
"""
)


def test_a_nested_field_without_a_default_must_be_given(study):
    with pytest.raises(SimkitError, match=r"outer\.inner\.a has no value\n"):
        study.plan(REQUIRED)
    assert study.run(REQUIRED, set={"outer.inner.a": 5})["result"].tolist() == [[5, 2]]
    space = product({"outer.inner.a": [3, 4]})
    assert study.run(REQUIRED, space=space)["result"].tolist() == [[3, 2], [4, 2]]


PROVIDERS = (
    HEAD
    + '''
@parameter(name="model.synaptic")
class Synaptic:
    """Synapses."""
    tau1: float = 1.0
    tau2: float = 2.0

@parameter(name="model.dt")
def dt(scale: float = 0.5) -> Annotated[float, "time step", Unit("ms")]:
    return scale / 10

@parameter(name="model.deep.er")
class Deeper:
    a: int = 1

@experiment
def f(model):
    return [model.synaptic.tau1, model.dt, model.deep.er.a]
'''
)


def test_providers_with_dotted_names_make_a_group_together(study):
    traj = study.run(PROVIDERS)
    assert traj["result"].tolist() == [[1.0, 0.05, 1]]
    constants = {
        "scale": 0.5, "model.synaptic.tau1": 1.0, "model.synaptic.tau2": 2.0, "model.dt": 0.05, "model.deep.er.a": 1,
    }  # fmt: skip
    assert traj.constants() == constants
    assert (traj.describe("model.dt").comment, traj.describe("model.dt").unit) == ("time step", "ms")
    assert traj.describe("model.synaptic").comment == "Synapses."
    space = product({"model.synaptic.tau1": [3.0, 4.0]}, scale=[1.0, 2.0])
    traj = study.run(PROVIDERS, space=space, set={"model.deep.er.a": 7})
    assert [row[::2] for row in traj["result"].tolist()] == [[3.0, 7]] * 2 + [[4.0, 7]] * 2
    assert traj["model.dt"].tolist() == [0.1, 0.2, 0.1, 0.2]
    assert traj.constants() == {"model.synaptic.tau2": 2.0, "model.deep.er.a": 7}
    assert traj.replay(3)["result"] == [4.0, 0.2, 7]
    with pytest.raises(SimkitError, match=r"'model\.synaptic' \(sim_a.py:\d+\) has no field 'tau3'"):
        study.run(PROVIDERS, set={"model.synaptic.tau3": 1})


def test_a_group_made_of_providers_can_not_be_changed(study):
    text = PROVIDERS.replace("    return [", "    model.dt = 3\n    return [")
    with pytest.raises(AttributeError, match="'dt': parameters cannot be changed"):
        study.call(text)


def test_a_provider_gives_a_field_of_a_class(study):
    text = (
        HEAD
        + """
@parameter(name="model.synaptic")
class Synaptic:
    tau1: float = 1.0

@parameter
class Model:
    synaptic: object
    n: int = 2

@experiment
def f(model):
    return [model.synaptic.tau1, model.n]
"""
    )
    assert study.run(text)["result"].tolist() == [[1.0, 2]]
    space = product({"model.synaptic.tau1": [3.0, 4.0]})
    traj = study.run(text, space=space, set={"model.n": 5})
    assert traj["result"].tolist() == [[3.0, 5], [4.0, 5]]
    assert traj.constants() == {"model.n": 5}
    study.write("sim_b.py", text.replace("    synaptic: object\n", ""))
    with pytest.raises(SimkitError, match="has no field 'synaptic'"):
        study.collect("sim_b.py")


OWN = """
@parameter(name="model")
def evolved(model, k: int = 2):
    return attrs.evolve(model, n=model.n * k, synaptic=attrs.evolve(model.synaptic, tau1=4.0))
"""


def test_a_provider_evolves_the_group_of_its_own_name(study):
    inside = MODEL.partition("@dataclass\nclass Config")[0]
    study.write("simconf.py", inside)
    text = (
        HEAD
        + OWN
        + """
@experiment
def f(model):
    return [model.n, model.synaptic.tau1, model.synaptic.plastic.rate]
"""
    )
    assert study.run(text)["result"].tolist() == [[20, 4.0, 0.1]]
    space = product({"model.synaptic.plastic.rate": [0.5, 0.6]})
    traj = study.run(text, space=space, set={"model.n": 3})
    assert traj["result"].tolist() == [[3, 4.0, 0.5], [3, 4.0, 0.6]]
    assert traj["model.synaptic.plastic.rate"].tolist() == [0.5, 0.6]
    assert traj["model.synaptic.tau1"].tolist() == [4.0, 4.0]
    assert traj.replay(1)["result"] == [3, 4.0, 0.6]


def test_a_default_that_an_explored_field_replaces_does_not_tell_trajectories_apart(study):
    explored = MODEL.replace("@experiment\n", "@experiment\n@product({'model.bare.tau1': [1.0]})\n")
    known = fingerprint(study.plan(explored))["constants"]
    study.write("sim_b.py", explored.replace("= 2.0", "= 3.0"))
    other = fingerprint(study.collect("sim_b.py")[0].plan)["constants"]
    assert {name for name in known if known[name] != other[name]} == {"model.synaptic.plastic.kernel.tau1"}
    assert "model.bare.tau1" not in known


def test_fields_that_others_are_computed_from_are_recorded_with_them(study):
    text = (
        HEAD
        + """
@dataclass
class Half:
    a: float = 1.0
    half: float = field(init=False)
    def __post_init__(self):
        self.half = self.a / 2

@attrs.frozen
class Twice:
    a: float = 1.0
    twice: float = attrs.field()
    @twice.default
    def _(self):
        return 2 * self.a

@parameter
class Group:
    half: Half = Half()
    twice: Twice = Twice()
    fixed: int = 1

@experiment
def f(group):
    return [group.half.half, group.twice.twice]
"""
    )
    for name, results, computed in (
        ("half", [[1.0, 2.0], [2.0, 2.0]], [1.0, 2.0]),
        ("twice", [[0.5, 4.0], [0.5, 8.0]], [4.0, 8.0]),
    ):
        traj = study.run(text, space=product({f"group.{name}.a": [2.0, 4.0]}))
        assert traj["result"].tolist() == results
        assert traj[f"group.{name}.{name}"].tolist() == computed
        assert traj.replay(1)["result"] == results[1]


def test_a_field_that_is_none_becomes_a_group_of_its_annotated_class(study):
    text = (
        HEAD
        + """
@dataclass
class Chain:
    inner: "Chain | None" = None
    k: int = 1

@parameter
class Group:
    chain: Chain = Chain()

@experiment
def f(group):
    return [group.chain.k, group.chain.inner and group.chain.inner.k]
"""
    )
    assert study.run(text)["result"].tolist() == [[1, None]]
    traj = study.run(text, space=product({"group.chain.inner.k": [3, 4]}))
    assert traj["result"].tolist() == [[1, 3], [1, 4]]
    assert traj.replay(1)["result"] == [1, 4]


def test_a_whole_group_is_explored_as_a_value_and_continued(study):
    study.write("sim_a.py", MODEL)
    module = study.module("sim_a.py")
    values = [module.Config(), module.Config(lr=0.2), module.Config(0.3, 4)]
    for n in (2, 3):
        traj = simkit.run(module.f, simkit.explore(cfg=values[:n]))
        assert traj["lr"].tolist() == traj["cfg.lr"].tolist() == [0.1, 0.2, 0.3][:n]
        assert [run.cfg for run in traj.runs] == values[:n]
        assert traj.replay(n - 1)["lr"] == traj["lr"][-1]
        assert (traj.path.name, len(traj.info.sessions)) == ("f-001.h5", n - 1)
        traj.close()


def test_a_whole_nested_group_of_a_parameter_class_is_explored_as_its_fields(study):
    text = MODEL.replace(
        "@experiment\n", "@experiment\n@explore({'model.synaptic': [Synaptic(tau1=3.0), Synaptic()]})\n"
    )
    traj = study.run(text)
    assert traj["model.synaptic.tau1"].tolist() == traj["tau1"].tolist() == [3.0, 1.0]
    assert "model.synaptic.tau1" not in traj.constants()
    assert "model.n" in traj.constants()


def test_each_run_gets_its_own_of_a_group_that_can_be_changed(study):
    text = MODEL.replace("    return {", "    cfg.lr += 1\n    return {") + "\n"
    traj = study.run(text, space=product({"cfg.steps": [1, 2, 3]}))
    assert traj["lr"].tolist() == [1.1, 1.1, 1.1]
    assert traj.constants()["cfg.lr"] == 0.1


def test_a_class_with_a_codec_of_its_own_is_a_value(study):
    text = (
        HEAD
        + """
import simkit
@dataclass
class Pair:
    a: int = 1

@simkit.hookimpl
def simkit_codecs():
    return [simkit.Codec("lab.Pair", Pair, lambda p: ({"a": p.a}, {}), lambda arrays, _: Pair(arrays["a"]))]

@experiment
def f(pair: Pair = Pair()):
    return pair.a
"""
    )
    traj = study.run(text)
    assert traj.names("parameters") == ["pair"]
    with pytest.raises(SimkitError, match=r"'pair\.a' names a field of 'pair', which is no group"):
        study.run(text, set={"pair.a": 2})


def test_an_instance_with_more_than_its_fields_can_not_be_recorded(study):
    text = HEAD + "@dataclass\nclass Config:\n    a: int = 1\nodd = Config()\nodd.b = 3\n"
    with pytest.raises(SimkitError, match="attribute 'b', which is no field of its class"):
        study.run(text + "@experiment\ndef f(cfg=odd):\n    return cfg.a\n")


def test_vectorized_runs_get_arrays_for_the_explored_fields_of_any_depth(study):
    text = MODEL.replace("@experiment\n", "@experiment(vectorized=True)\n").replace(
        'return {"tau1"', 'return {"x": model.synaptic.tau1 * kernel.tau2 * cfg.steps, "tau1"'
    )
    text = text.replace(', "kinds": kinds}', "}").replace(
        '"bare": model.bare.tau1, "lr": cfg.lr', '"n": cfg.steps'
    )
    names = {
        "model.synaptic.tau1": [1.0, 2.0],
        "model.synaptic.plastic.kernel.tau2": [7.0],
        "cfg.steps": [3, 4],
    }
    traj = study.run(text, space=product(names))
    assert traj["x"].tolist() == [21.0, 28.0, 42.0, 56.0]
    assert traj["n"].tolist() == [3, 4, 3, 4]
    assert "model.synaptic.plastic.rate" in traj.constants()
