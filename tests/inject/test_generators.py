"""Every generator that outlives a run is seeded for each, with numbers of its own, wherever the runs are executed."""

from __future__ import annotations

import random
import signal
import sys
from itertools import combinations
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from processes import values

import simkit
from simkit.inject import generators
from simkit.inject.generators import global_streams, seeded, stream_of
from simkit.inject.seeds import child_words, run_seeds, small_seed, small_seeds

HELPER = """
import os, random, signal
import numpy as np

def killed(x):
    if x == 8 and os.path.exists("kill"):
        os.remove("kill")
        os.kill(os.getpid(), signal.SIGKILL)

STREAM = np.random.default_rng(42)

class Noise:
    source = np.random.RandomState(7)

class Table:
    __slots__ = ("rng",)
    def __init__(self):
        self.rng = random.Random(3)

table = {"deep": [Table()]}

def stepped(rng=np.random.Generator(np.random.SFC64(1))):
    return rng.random()

def closed():
    rng = np.random.default_rng(5)
    return lambda: rng.random()

draw = closed()
bound = np.random.default_rng(6).random
SEQUENCE = np.random.SeedSequence(11)
BITS = np.random.Philox(12)
"""
KINDS = """
import random
import numpy as np
import helper
from helper import Noise, draw, stepped
from scipy import stats
from simkit import experiment, fixture, parameter, product

R = np.random.default_rng(42)
UNSEEDED = np.random.default_rng()
LEGACY = np.random.RandomState(1)
PYTHON = random.Random(1)

@parameter
def constant():
    return np.array([np.random.rand(), random.random(), R.random()])

@fixture(scope="experiment")
def handed():
    return np.random.default_rng(3)

@fixture(scope="experiment")
def network():
    return np.random.rand(3) + random.random()

@fixture(scope="experiment")
def noise(rng, random_state):
    return [rng.random(), float(random_state)]

@fixture
def drawn():
    return random.random()

@parameter
def varying(x):
    return np.random.rand()

FROZEN = stats.norm(0, 2)
OWN = stats.expon(scale=2)
OWN.random_state = np.random.default_rng(9)

@experiment
@(product(x=range(4)).repeat(2) + product(x=[8]))
def kinds(x, run, rng, seed, random_state, constant, handed, network, noise, drawn, varying):
    helper.killed(x)
    return {
        "scipy": stats.gamma(2).rvs(), "frozen": FROZEN.rvs(), "owned": OWN.rvs(),
        "given": stats.uniform.rvs(random_state=R), "small": stats.uniform.rvs(random_state=random_state),
        "rng": rng.random(), "state": random_state / 2**32, "own": np.random.default_rng(seed + 1).random(),
        "numpy": np.random.rand(), "python": random.random(), "gauss": random.gauss(0, 1),
        "normal": np.random.normal(), "module": R.random(), "unseeded": UNSEEDED.random(),
        "legacy": LEGACY.normal(), "random": PYTHON.gauss(0, 1), "helper": helper.STREAM.random(),
        "attribute": Noise.source.rand(), "slot": helper.table["deep"][0].rng.random(), "default": stepped(),
        "closure": draw(), "bound": helper.bound(), "handed": handed.random(), "fixture": drawn,
        "spawned": R.spawn(1)[0].random(),
        "sequence": np.random.default_rng(helper.SEQUENCE.spawn(1)[0]).random(),
        "bits": np.random.Generator(helper.BITS).random(),
        "network": network, "noise": noise,
    }
"""
SPIKING = """
import helper
from brian2 import Network, NeuronGroup, Synapses, ms, prefs, rand
from simkit import experiment, fixture, parameter, product

prefs.codegen.target = "numpy"

@parameter
def constant():
    return [float(rand()) for _ in range(3)]

@fixture(scope="experiment")
def network():
    cells = NeuronGroup(20, "v : 1")
    wired = Synapses(cells, cells, "w : 1")
    wired.connect(p=0.2)
    wired.w = "rand()"
    return [float(weight) for weight in wired.w[:]]

@experiment
@product(x=range(9))
def kinds(x, constant, network):
    helper.killed(x)
    still = NeuronGroup(3, "v : 1")
    still.v = "rand()"
    noisy = NeuronGroup(3, "dv/dt = -v/(10*ms) + xi*ms**-0.5 : 1", method="euler")
    Network(still, noisy).run(0.2 * ms)
    return {**{f"initial{i}": still.v[i] for i in range(3)}, "driven": noisy.v[0], "function": float(rand()),
            "network": network}
"""
LIBRARIES = """
import helper
import networkx as nx
import numpy as np
from deap import tools
from numba import njit
from simkit import experiment, fixture, product

@njit(cache=True)
def compiled():
    return np.random.rand()

@fixture(scope="experiment")
def network():
    return list(nx.gnp_random_graph(30, 0.3).edges)

@experiment
@product(x=range(9))
def kinds(x, network):
    helper.killed(x)
    (mutant,) = tools.mutGaussian([0.0] * 3, mu=0, sigma=1, indpb=1)
    return {
        "compiled": compiled(), "mutant": mutant[0], "blended": tools.cxBlend([0.0], [1.0], alpha=0.5)[0][0],
        "graph": nx.to_numpy_array(nx.gnp_random_graph(20, 0.5)).ravel().dot(2.0 ** np.arange(400) % 1e9),
        "placed": nx.random_layout(nx.path_graph(2))[0][0], "network": network,
    }
"""
TOGETHER = """
import helper
import numpy as np
from simkit import experiment, product

@experiment(vectorized=2)
@product(x=range(9))
def kinds(x, seed, random_state):
    for one in x:
        helper.killed(one)
    return {
        "own": np.array([np.random.default_rng(one).random() for one in seed]),
        "legacy": np.array([np.random.RandomState(one).rand() for one in random_state]),
    }
"""
WAYS = (
    ["-n", "0"], ["-n", "2"], ["-n", "1", "--start-method", "spawn"],
)  # fmt: skip
SHARED = ("network", "noise", "constant")  # what all runs have


def columns(project, name):
    """All that was drawn, by name."""
    with project.open(name) as traj:
        names = [key for key in (*traj.results, *traj.parameters) if key not in traj.explored]
        return {key: np.asarray(traj[key]).tolist() for key in names}


def drawn_everywhere(project):
    """What the study ``kinds`` drew, the same wherever and in whichever parts its nine runs are executed."""
    for way in WAYS:
        result = project.ok("--fresh", "--seed", "8", *way)
        assert "warning" not in result.out, result.out
    first = columns(project, "kinds-001")
    for number in range(1, len(WAYS)):
        assert columns(project, f"kinds-{number + 1:03}") == first, WAYS[number]
    # In parts, one run alone, and the rest later: the same numbers.
    project.ok("--seed", "8", "--fresh", "sim_kinds.py::kinds[4]", "-n", "1")
    project.ok("--seed", "8", "-n", "2")
    assert columns(project, f"kinds-{len(WAYS) + 1:03}") == first
    # Begun, killed, and finished later.
    project.ok("--seed", "8", "--fresh", "sim_kinds.py::kinds[0:4]", "-n", "0")
    project.file("kill", "")
    assert project.simkit("-n", "0").code == -signal.SIGKILL
    project.ok("-n", "2", "--start-method", "spawn")
    assert columns(project, f"kinds-{len(WAYS) + 2:03}") == first
    # In three shards, merged.
    for shard in range(3):
        project.ok("--seed", "8", "--shard", f"{shard}/3", "--output", "results/set.h5", "-n", str(shard))
    project.ok("merge", "results/whole.h5", "results/set.h5")
    assert columns(project, "whole") == first
    verified = project.simkit("verify", "results/whole.h5")
    assert verified.code == 0, verified.out
    assert "9 runs the same" in verified.out
    return first, result.out


def test_all_kinds_draw_the_same_everywhere_and_nothing_twice(project):
    project.file("helper.py", HELPER)
    project.file("sim_kinds.py", KINDS)
    first, out = drawn_everywhere(project)
    assert "seeded for each run from its seed: " in out
    own = {name: column for name, column in first.items() if name not in SHARED}
    drawn = [value for column in own.values() for value in column]
    assert len(set(drawn)) == len(drawn), "two generators, or two runs, drew the same"
    assert not set(np.ravel(first["constant"])) & set(drawn)


@pytest.mark.parametrize(
    "text", [SPIKING, TOGETHER, LIBRARIES], ids=["brian2", "vectorized", "networkx, DEAP, numba"]
)
def test_other_libraries_and_calls_draw_the_same_everywhere_and_nothing_twice(project, text):
    project.file("helper.py", HELPER)
    project.file("sim_kinds.py", text)
    first, _ = drawn_everywhere(project)
    drawn = [value for name, column in first.items() if name not in SHARED for value in column]
    assert len(set(drawn)) == len(drawn) >= 18
    for name in SHARED:
        one, *others = first.get(name, [None])
        assert all(other == one for other in others), name


COPIED = """
import random
import numpy as np
from simkit import experiment, explore

MADE = {kind.__name__: kind for kind in (np.random.default_rng, np.random.RandomState, random.Random)}

@experiment
@explore({name: [make(5), make(5), make(6), make(5)] for name, make in MADE.items()}, one=[MADE["default_rng"](5)] * 4,
         sequence=[np.random.SeedSequence(5)] * 4)
def copied(default_rng, RandomState, Random, one, sequence, own=np.random.default_rng(7), old=random.Random(7)):
    spawned = np.random.default_rng(sequence.spawn(1)[0])
    each = default_rng, RandomState, Random, one, spawned, own, old
    return {"drawn": [float(getattr(each, "rand", each.random)()) for each in each]}
"""


@pytest.mark.parametrize("workers", ["0", "1", "2"])
def test_a_generator_that_is_a_parameter_is_each_runs_own_at_its_recorded_state(project, workers):
    """What a run draws does not depend on who drew before; equal points draw the same."""
    project.file("sim_copied.py", COPIED)
    project.ok("-n", workers)
    kinds = np.random.default_rng, np.random.RandomState, random.Random
    five, six = ([float(kind(seed).random()) for kind in kinds] for seed in (5, 6))
    (child,) = np.random.SeedSequence(5).spawn(1)
    rest = [
        five[0],
        np.random.default_rng(child).random(),
        np.random.default_rng(7).random(),
        random.Random(7).random(),
    ]
    with project.open("copied-001") as traj:
        assert list(traj["drawn"]) == [[*five, *rest], [*five, *rest], [*six, *rest], [*five, *rest]]
        assert traj.runs[2].Random.random() == six[2]  # as it was before the run
    assert "4 runs the same" in project.ok("verify", "copied", "-n", "0").out


DRAWS = """
import random
import numpy as np
from simkit import experiment, product

R = np.random.default_rng(42)

@experiment
@product(x=range(200))
def pairs(x, rng, seed, random_state):
    legacy = np.random.RandomState(random_state)
    return {"a": rng.random(20), "b": np.random.rand(20), "c": [random.random() for _ in range(20)],
            "d": R.random(20), "e": legacy.rand(20)}
"""


def test_generators_are_uncorrelated_within_runs_and_between_neighbours(project):
    project.file("sim_pairs.py", DRAWS)
    project.ok("-n", "0", "--seed", "1")
    with project.open("pairs-001") as traj:
        drawn = {name: np.array(list(traj[name]), float) for name in "abcde"}
    for (one, left), (other, right) in combinations(drawn.items(), 2):
        for shift in (0, 1):
            pair = left[shift:].ravel(), right[: len(right) - shift].ravel()
            assert abs(np.corrcoef(*pair)[0, 1]) < 0.08, (one, other, shift)
    for name, column in drawn.items():
        assert abs(np.corrcoef(column[1:].ravel(), column[:-1].ravel())[0, 1]) < 0.08, name
    inside = float(np.mean(drawn["b"] ** 2 + drawn["c"] ** 2 < 1))
    assert abs(4 * inside - np.pi) < 0.15


def test_words_are_those_of_numpys_seed_sequence():
    seeds = run_seeds(5, "f", np.arange(20))
    for name in ("random", "numpy.random", "R"):
        import zlib

        for seed, words in zip(seeds.tolist(), child_words(seeds, name), strict=True):
            sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))
            assert sequence.generate_state(4, np.uint64).tolist() == words.tolist()
    assert small_seeds(seeds).tolist() == [small_seed(seed) for seed in seeds.tolist()]


GENERATORS = {
    "generator": lambda: np.random.default_rng(1),
    "bits": lambda: np.random.SFC64(1),
    "legacy": lambda: np.random.RandomState(1),
    "legacy_pcg": lambda: np.random.RandomState(np.random.PCG64(1)),
    "sequence": lambda: np.random.SeedSequence(1),
    "python": lambda: random.Random(1),
}
DRAW = {
    "generator": lambda g: (g.random(), g.spawn(1)[0].random(), g.integers(7, dtype=np.int32)),
    "bits": lambda b: b.random_raw(),
    "legacy": lambda r: (r.normal(), r.rand()),
    "legacy_pcg": lambda r: (r.normal(), r.rand()),
    "sequence": lambda s: s.spawn(1)[0].generate_state(2).tolist(),
    "python": lambda r: (r.gauss(0, 1), r.random()),
}


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_seeded_generator_comes_back_to_where_it_was(kind):
    generator, undisturbed = GENERATORS[kind](), GENERATORS[kind]()
    assert DRAW[kind](generator) == DRAW[kind](undisturbed)
    stream = stream_of(kind, generator)
    drawn = []
    for seed in (3, 4, 3):
        with seeded([stream], seed):
            drawn.append([DRAW[kind](generator) for _ in range(3)])
    assert drawn[0] == drawn[2] != drawn[1]
    assert DRAW[kind](generator) == DRAW[kind](undisturbed)


def test_the_callers_generators_are_put_back(project, monkeypatch):
    monkeypatch.chdir(project.path)
    random.seed(1)
    np.random.seed(1)
    expected = random.Random(1).random(), np.random.RandomState(1).rand()

    def draws(x):
        return random.random() + np.random.rand()

    simkit.run(draws, simkit.explore(x=[1, 2, 3]), output="draws.h5", workers=0)
    assert (random.random(), np.random.rand()) == expected


def test_global_streams_are_named_once():
    names = [stream.name for stream in global_streams()]
    assert len(set(names)) == len(names)
    assert names[-1] == "numpy.random"


def test_compiled_functions_of_numba_are_seeded(project):
    pytest.importorskip("numba", reason="numba's own generators need numba")
    project.file(
        "sim_numba.py",
        """
        import random
        import numpy as np
        from numba import njit
        from simkit import experiment, product

        @njit
        def drawn():
            return np.random.rand(), np.random.normal(), random.random()

        @experiment
        @product(x=range(6))
        def compiled(x):
            return {"z": list(drawn()), "g": np.random.rand()}
        """,
    )
    project.ok("-n", "2", "--seed", "3")
    project.ok("-n", "0", "--seed", "3", "--fresh")
    found = [values(project.open(f"compiled-00{n}"), "z") for n in (1, 2)]
    assert found[0] == found[1]
    assert len({value for row in found[0] for value in row[1:]}) == 18


class Numbers:
    """The little of a library's generator that is asked for: a number counted on from a seed."""

    def __init__(self):
        self.state = 0

    def seed(self, number):
        assert 0 <= number < 2**63
        self.state = number

    def draw(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state / 2**64

    def bytes(self):
        return np.frombuffer(self.state.to_bytes(8, "little"), np.uint8)

    def set_bytes(self, array):
        self.state = int.from_bytes(bytes(array), "little")


def stand_in(name):
    """A module with the functions of a library's that seed its generator, and one that draws from it."""
    library, numbers = ModuleType(name), Numbers()
    library.draw = numbers.draw
    if name == "torch":
        library.manual_seed, library.uint8 = numbers.seed, np.uint8
        library.tensor = np.array
        library.get_rng_state, library.set_rng_state = numbers.bytes, numbers.set_bytes
    else:
        library.random = SimpleNamespace(**{"set_seed" if name == "tensorflow" else "seed": numbers.seed})
    return library, numbers


library = ModuleType("none")


@pytest.mark.parametrize("name", ["torch", "tensorflow", "cupy"])
def test_the_global_generators_of_libraries_are_seeded_for_each_run(project, monkeypatch, name):
    monkeypatch.chdir(project.path)
    made, numbers = stand_in(name)
    monkeypatch.setitem(sys.modules, name, made)
    monkeypatch.setitem(globals(), "library", made)
    numbers.seed(7)

    def draws(x):
        return library.draw()

    whole = simkit.run(draws, simkit.explore(x=range(6)), seed=3, output="whole.h5")["result"].tolist()
    assert len(set(whole)) == 6
    assert numbers.state == 7 or name != "torch"  # the others can't be asked where they are
    numbers.seed(8)
    simkit.run(draws, simkit.explore(x=range(2)), seed=3, output="parts.h5")
    numbers.seed(9)
    parts = simkit.run(draws, simkit.explore(x=range(6)), seed=3, output="parts.h5")["result"].tolist()
    assert parts == whole


def test_a_generator_object_of_torch_is_seeded_for_each_run(project, monkeypatch):
    monkeypatch.chdir(project.path)
    made, _ = stand_in("torch")
    monkeypatch.setitem(sys.modules, "torch", made)
    kind = type(
        "Generator",
        (Numbers,),
        {
            "__module__": "torch",
            "manual_seed": Numbers.seed,
            "get_state": Numbers.bytes,
            "set_state": Numbers.set_bytes,
        },
    )
    own = kind()

    def draws(x):
        return own.draw()

    first = simkit.run(draws, simkit.explore(x=range(4)), seed=3, output="first.h5")["result"].tolist()
    assert own.state == 0
    own.seed(5)
    again = simkit.run(draws, simkit.explore(x=range(4)), seed=3, output="again.h5")["result"].tolist()
    assert again == first
    assert len(set(first)) == 4


PROXY = """
from simkit import experiment, product

class Proxy:
    __slots__ = ()
    def __getattr__(self, name):
        print("asked for", name)
        return Proxy()

    def __bool__(self):
        raise RuntimeError("asked for its truth")

device = Proxy()
devices = {"a": device, "b": [device]}

@experiment
@product(x=[1, 2])
def proxied(x):
    return x if device is devices["a"] else 0
"""


def test_an_object_that_answers_to_every_name_is_not_asked(project):
    project.file("sim_proxy.py", PROXY)
    result = project.ok("-n", "1")
    assert "asked" not in result.out + result.err
    assert "asked" not in project.ok("--co").out


def test_commands_say_nothing_of_brians_names_in_a_study(project):
    """Its device, which such a line brings, warns of each name that it has not."""
    pytest.importorskip("brian2", reason="it is about Brian2")
    study = "from brian2 import *\nfrom simkit import *\n\n@experiment\ndef starred(x=1):\n    return x\n"
    project.file("sim_starred.py", study)
    for command in (
        ["--co"],
        ["--parameters"],
        ["-n", "0"],
        ["-n", "1", "--fresh"],
        ["list"],
        ["verify", "starred"],
    ):
        result = project.ok(*command)
        assert result.err == ""
        assert "WARN" not in result.out.upper()


class Own(random.Random):
    pass


TWISTERS = {
    "python": (lambda: random.Random(3), lambda one: one.gauss(0, 1)),
    "a class of its own": (lambda: Own(3), lambda one: one.gauss(0, 1)),
    "legacy": (lambda: np.random.RandomState(3), np.random.RandomState.normal),
    "other bits": (lambda: np.random.RandomState(np.random.PCG64(3)), np.random.RandomState.normal),
}


@pytest.mark.parametrize("kind", TWISTERS)
@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(("before", "between"), [(0, 1), (1, 1), (1, 2), (2, 5), (3, 0)])
def test_a_state_holds_the_number_that_the_gaussian_method_keeps(
    monkeypatch, kind, is_known, before, between
):
    """How the numbers lie in memory may not be known: then the generators' own ways are taken."""
    if not is_known:
        for name in ("_is_pythons_known", "_is_numpys_known"):
            monkeypatch.setattr(generators, name, lambda: False)
    make, normal = TWISTERS[kind]
    generator, twin = make(), make()
    stream = stream_of("one", generator)
    for _ in range(before):
        assert normal(generator) == normal(twin)
    state = stream.state()
    assert not stream.has_left(state)
    for _ in range(between):
        normal(generator)
    assert stream.has_left(state) is bool(between)
    stream.restore(state)
    assert not stream.has_left(state)
    assert stream.state() == state
    assert [normal(generator) for _ in range(2000)] == [normal(twin) for _ in range(2000)]
    stream.seed(child_words(np.array([5], np.uint64), "one")[0])
    state, first = stream.state(), normal(generator)
    assert stream.has_left(state)
    stream.restore(state)
    assert normal(generator) == first


def test_it_is_known_how_generators_lie_in_memory():
    assert generators._is_pythons_known()
    assert generators._is_numpys_known()


def test_another_source_of_bits_may_take_the_place_of_a_generators():
    before = np.random.get_bit_generator()
    stream = next(stream for stream in global_streams() if stream.name == "numpy.random")
    state = stream.state()
    try:
        np.random.set_bit_generator(np.random.MT19937(8))
        assert stream.has_left(state)
        stream.restore(state)
        assert stream.state() == state
        np.random.set_bit_generator(np.random.PCG64(8))
        other = stream.state()
        drawn = np.random.normal()
        assert stream.has_left(other)
        stream.restore(other)
        assert np.random.normal() == drawn
    finally:
        np.random.set_bit_generator(before)


def test_another_source_may_have_the_same_numbers_and_one_that_the_gaussian_method_keeps():
    before = np.random.get_bit_generator()
    stream = next(stream for stream in global_streams() if stream.name == "numpy.random")
    try:
        np.random.set_bit_generator(np.random.MT19937(5))
        np.random.normal(size=2)  # the method makes two numbers at once
        state = stream.state()
        np.random.set_bit_generator(np.random.MT19937(5))
        np.random.normal()
        assert stream.has_left(state)
        stream.restore(state)
        drawn = np.random.normal()
        np.random.set_bit_generator(np.random.MT19937(5))
        assert np.random.normal(size=3)[2] == drawn
    finally:
        np.random.set_bit_generator(before)


STANDALONE = """
import re
from pathlib import Path
from brian2 import NeuronGroup, device, ms, run, set_device
from simkit import experiment, product

@experiment
@product(x=range(2))
def generated(x):
    set_device("cpp_standalone", build_on_run=False)
    cells = NeuronGroup(2, "v : 1")
    cells.v = "rand()"
    run(0.1 * ms)
    device.build(compile=False, run=False)
    program = Path(device.project_dir, "main.cpp").read_text()
    return {"seeds": " ".join(re.findall(r"seed\\((\\d+)", program)), "folder": str(device.project_dir)}
"""


COMPILED = """
from brian2 import NeuronGroup, ms, prefs, run, set_device
from simkit import experiment, product

prefs.codegen.cpp.extra_compile_args_gcc = ["-O0", "-w"]  # it is compiled far longer than it runs

@experiment
@product(x=range(2))
def compiled(x):
    set_device("cpp_standalone")
    cells = NeuronGroup(3, "dv/dt = -v / (10*ms) + 0.1*xi/ms**0.5 : 1", method="euler")
    cells.v = "rand()"
    run(0.3 * ms)
    return cells.v[:]
"""


def test_a_compiled_device_draws_each_runs_own_numbers_and_the_same_again(project):
    """Two runs side by side, each with a folder of its own; then one of them is compiled once more."""
    pytest.importorskip("brian2", reason="it is about Brian2")
    project.file("sim_compiled.py", COMPILED)
    project.ok("-n", "2", "--seed", "5")
    with project.open("compiled-001") as traj:
        first, second = traj["result"]
        assert not set(first) & set(second)
        assert len(set(first)) == 3
    assert not (project.path / "output").exists()
    project.ok("verify", "results/compiled-001.h5", "--runs", "1")


def test_the_program_of_a_device_that_a_run_sets_has_that_runs_seed(project):
    """What is generated tells it: to compile two of them takes a minute."""
    pytest.importorskip("brian2", reason="it is about Brian2")
    project.file("sim_generated.py", STANDALONE)
    project.ok("-n", "1", "--seed", "5")
    project.ok("-n", "0", "--seed", "5", "--fresh")
    seeds = []
    for number in (1, 2):
        with project.open(f"generated-00{number}") as traj:
            seeds.append(traj["seeds"].tolist())
            assert len(set(traj["folder"].tolist())) == 2
    assert seeds[0] == seeds[1]
    assert "" not in seeds[0]
    assert len(set(seeds[0])) == 2
    assert not (project.path / "output").exists()
