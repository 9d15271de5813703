"""What is an object, whatever it says of itself? No study is held up by one that raises at every question."""

from __future__ import annotations

import ast
import os
import weakref
from collections import namedtuple
from dataclasses import make_dataclass
from textwrap import dedent
from unittest.mock import Mock

import attrs
import numpy as np
import pytest
from commands import IMPORTED

from simkit.declare.reflection import (
    bases_of,
    declared_fields,
    doc_of,
    is_a,
    is_declared,
    module_of,
    own_attributes,
    package_of,
    pretends,
    qualname_of,
    slots_of,
    tuple_fields,
)

HOSTILE = """
    import functools, types, weakref
    from unittest.mock import MagicMock
    import numpy as np

    NAMES = '''repr str format lt le eq ne gt ge hash bool getattribute getattr dir len iter next contains getitem
    call enter exit copy deepcopy reduce reduce_ex array array_ufunc array_function index int float fspath
    instancecheck subclasscheck get'''.split()

    class Worse(BaseException):
        pass

    def raising(error):
        def answer(*_, **__):
            raise error("asked")
        return {f"__{name}__": answer for name in NAMES}

    def of_class(error):
        def answer(self):
            raise error("asked")
        return property(answer)

    def kind(error, *bases):
        return type("Hostile", bases, {**raising(error), "__class__": of_class(error)})

    Meta = type("Meta", (type,), raising(RuntimeError))
    OfMeta = type.__new__(Meta, "OfMeta", (), {})

    class Named(type):
        @property
        def __module__(cls):
            raise RuntimeError("module")
        @property
        def __dict__(cls):
            raise RuntimeError("dict")

    class NoModule:
        pass
    NoModule.__module__ = None

    def gone():
        class Gone:
            pass
        return weakref.proxy(Gone())

    def cells(one):
        array = np.empty(1, object)
        array[0] = one
        return array

    def lying(told):
        return type("Lying", (), {"__class__": property(lambda self: told)})()

    def hostile():
        errors = (RuntimeError, OSError, RecursionError, MemoryError, KeyError, SystemExit, Worse)
        told = (dict, list, str, type, np.ndarray, types.FunctionType, types.ModuleType)
        empty = [kind(RuntimeError, base)() for base in (dict, list, tuple, str, int, float, set, bytes, ValueError)]
        return [
            *(kind(error)() for error in errors), *map(lying, told), *empty, gone(), OfMeta, object.__new__(OfMeta),
            Named("OfNamed", (), {}), Named("OfNamed", (), {})(), NoModule, NoModule(), MagicMock(spec=dict),
            kind(RuntimeError, types.ModuleType)("m"), functools.partial(gone, gone()), {"a": [gone()]},
            (OfMeta, gone()), cells(kind(RuntimeError)()), types.SimpleNamespace(a=gone(), b=OfMeta),
        ]
    """

AROUND = """
    from hostile import hostile
    from simkit import experiment, explore

    ALL = hostile()
    TABLE = {number: one for number, one in enumerate(ALL)}
    (
        A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17, A18, A19, A20, A21, A22, A23,
        A24, A25, A26, A27, A28, A29, A30, A31, *REST,
    ) = ALL

    class Holder:
        held = ALL
        def __init__(self):
            self.ones = ALL

    HOLDER = Holder()

    def helper(one=A0, *, other=A30, third=A24):
        return 1

    def closing(ones):
        def inner():
            return len(ones) > 30
        return inner

    CLOSED = closing(ALL)
    helper.more = A26

    @experiment
    @explore(x=[1, 2])
    def study(x):
        TABLE[x] = ALL[x + 10]
        HOLDER.last = ALL[x]
        used = [
            A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17, A18, A19, A20, A21, A22,
            A23, A24, A25, A26, A27, A28, A29, A30, A31, REST,
        ]
        return {"z": x * helper() * CLOSED()}
    """


def test_objects_that_raise_at_every_question_may_stand_around_a_study(project):
    project.file("hostile.py", HOSTILE)
    project.file("sim_around.py", AROUND)
    for workers in ("0", "1"):
        project.ok("-n", workers, "--fresh")
    assert project.open("study-002")["z"].tolist() == [1, 2]
    project.ok("-n", "0")  # looked at again, and compared


GIVEN = """
    from hostile import hostile
    from simkit import experiment, product

    @experiment
    @product(i=range(len(hostile())), way=["returned", "named", "added", "appended", "noted", "raised", "held"])
    def study(i, way, run):
        one = hostile()[i]
        run.note("here")
        match way:
            case "returned":
                return one
            case "named":
                return {"z": i, "one": one}
            case "added":
                run.add(one=one)
            case "appended":
                run.append(one=one)
            case "noted":
                run.note(z=one)
            case "raised":
                raise ValueError(one)
            case "held":
                return {"z": {"one": [one, {i: one}]}}
    """


def test_objects_that_raise_at_every_question_cost_the_runs_that_give_them(project):
    project.file("hostile.py", HOSTILE)
    project.file("sim_given.py", GIVEN)
    ended = project.simkit("-n", "0", "-q")
    assert ended.code == 1, ended.err
    assert "bug in simkit" not in ended.err
    traj = project.open("study-001")
    assert set(traj.status) <= {"done", "failed"}
    failed = traj.where("status == 'failed'")
    assert len(failed) > 150
    assert all(failed.error(int(number)) for number in failed.index)


CLAIMED = ("__attrs_attrs__", "__dataclass_fields__", "_fields", "__doc__")
CLAIMS = ("property(lambda self: {}['gone'])", "None", "5", "['a']", "{'a': 1}", "object()", "Raising()")
CLAIMING = """
    from simkit import experiment, parameter, product

    class Raising:
        def __get__(self, instance, owner):
            raise SystemExit(7)

    class K(BASE):
        ATTRIBUTE = CLAIM

    @experiment
    def default(k=K()): return 1

    @experiment
    @product(k=[K(), K()])
    def axis(k): return 1

    @experiment
    def returned(x=1): return K()

    @experiment
    def annotated(k: K = 1) -> K: return k

    @parameter
    def k(): return K()
    k.__doc__ = "said"

    @experiment
    def derived(k): return 1
    """


@pytest.mark.parametrize("attribute", CLAIMED)
def test_a_class_that_claims_fields_which_it_has_not_is_no_bug(project, attribute):
    base = "tuple" if attribute == "_fields" else "object"
    for number, claim in enumerate(CLAIMS):
        source = CLAIMING.replace("BASE", base).replace("ATTRIBUTE", attribute).replace("CLAIM", claim)
        project.file(f"sim_{number}.py", source)
    ended = project.simkit("-n", "0", "-q")
    assert ended.code == 4, ended.err
    assert "bug in simkit" not in ended.err
    assert "Traceback" not in ended.err


INSTALLED = """
    from lab import hostile
    import os, sys, typing
    from simkit import Unit, adaptive, each, experiment, explore, fixture, hookimpl, parameter, product

    H = hostile()[int(os.environ["WHICH"])]
    PLACE
    """
PLACES = {
    "the answer of a condition": "@experiment\n@(product(x=[1, 2]).where(lambda x: H))\ndef f(x): return x",
    "the condition": "@experiment\n@(product(x=[1, 2]).where(H))\ndef f(x): return x",
    "an annotation": "@experiment\ndef f(x: H = 1) -> H: return x",
    "a note": "@experiment\ndef f(x: typing.Annotated[int, H] = 1): return x",
    "a unit": "@experiment\ndef f(x: typing.Annotated[int, Unit(H)] = 1): return x",
    "a signature": "def f(x=1): return x\nf.__signature__ = H\nf = experiment(f)",
    "what a function wraps": "def f(x=1): return x\nf.__wrapped__ = H\nf = experiment(f)",
    "a name": "@parameter(name=H)\ndef a(): return 1\n@experiment\ndef f(x=1): return x",
    "the name of a result": "@experiment\ndef f(x=1): return {H: x}",
    "a module": "sys.modules.update(strange=H, torch=H, brian2=H)\n@experiment\ndef f(x=1): return x",
    "the name of a module": "try: sys.modules[H] = sys\nexcept BaseException: pass\n@experiment\ndef f(x=1): return x",
    "the path": "sys.path.append(H)\n@experiment\ndef f(x=1): return x",
    "standard output": "sys.stdout = H\n@experiment\ndef f(x=1): return x",
    "standard error": "sys.stderr = H\n@experiment\ndef f(x=1): return x",
    "the environment": "os.environ = H\n@experiment\ndef f(x=1): return x",
    "a run's streams": "@experiment\n@product(x=[1, 2])\ndef f(x): sys.stdin = sys.stdout = H; return x",
    "a run's environment": "@experiment\n@product(x=[1, 2])\ndef f(x): os.environ = H; return x",
    "a line of a syntax error": "raise SyntaxError('no', (H, H, H, H))",
    "a remark on an error": "@experiment\ndef f(x=1): e = ValueError(1); e.__notes__ = H; raise e",
    "runs of an experiment": "@experiment\ndef f(x=1): return x\n@experiment\n@each(f, where=H)\ndef g(f): return 1",
    "codecs": "@hookimpl\ndef simkit_codecs(): return H\n@experiment\ndef f(x=1): return x",
}
KINDS = (0, 6, 9, 17, 24)  # of `hostile`: they differ in what they break
COMMANDS = """
import importlib, os, sys
for name in {modules}:
    importlib.import_module(name)
from simkit.cli.main import main
sys.path.append("site-packages")
codes = {{}}
for place in range({places}):
    for which in {kinds}:
        os.environ["WHICH"] = str(which)
        child = os.fork()
        if not child:
            code = 99
            try:
                code = main(["-n", "0", f"sim_{{place}}.py", "--output", f"{{place}}-{{which}}.h5"])
            finally:
                os._exit(code)
        codes[place, which] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_objects_of_installed_packages_are_no_bugs_wherever_they_stand(project):
    """The last frames of what they raise are an installed package's, or Python itself raises in simkit's."""
    project.file("site-packages/lab.py", HOSTILE)
    for number, source in enumerate(PLACES.values()):
        project.file(f"sim_{number}.py", dedent(INSTALLED).replace("PLACE", source))
    commands = COMMANDS.format(modules=IMPORTED, places=len(PLACES), kinds=KINDS)
    ended = project.python("-c", commands)
    codes = ast.literal_eval(ended.out.splitlines()[-1])
    assert len(codes) == len(PLACES) * len(KINDS)
    wrong = {pair: code for pair, code in codes.items() if code not in (0, 1, 4)}
    assert not wrong, ([[*PLACES][place] for place, _ in wrong], wrong, ended.err[-3000:])


ERRORS = {
    "length": "def __len__(self): raise ValueError('len')",
    "truth": "def __bool__(self): raise ValueError('bool')",
    "attributes": "def __getattribute__(self, name): raise ValueError('no')",
    "attributes that exit": "def __getattribute__(self, name): raise SystemExit(7)",
    "attributes without end": "def __getattribute__(self, name): return getattr(self, name)",
    "class": "@property\n    def __class__(self): raise SystemExit(7)",
    "text": "def __str__(self): raise SystemExit(7)",
    "equality": "def __eq__(self, other): raise SystemExit(7)\n    __hash__ = None",
}
ODD = "from simkit import adaptive, after, experiment, explore, fixture, parameter\nclass Odd(Exception):\n    {}\n"
RAISING = {
    "run": "@experiment\n@explore(i=[1, 2])\ndef f(i):\n    raise Odd('x')\n",
    "many": "@experiment(vectorized=True)\n@explore(i=[1, 2])\ndef f(i):\n    raise Odd('x')\n",
    "derived": "@parameter\ndef p(i):\n    raise Odd('x')\n@experiment\n@explore(i=[1])\ndef f(i, p):\n    pass\n",
    "shared": "@fixture(scope='experiment')\ndef p():\n    raise Odd('x')\n@experiment\ndef f(p):\n    pass\n",
    "end": "@fixture\ndef p():\n    yield 1\n    raise Odd('x')\n@experiment\ndef f(p):\n    pass\n",
    "strategy": "def s():\n    yield explore(i=[1])\n    raise Odd('x')\n"
    "@experiment\n@adaptive(s)\ndef f(i):\n    pass\n",
    "after": "@experiment\ndef f():\n    pass\n@after(f)\ndef g(trajectory):\n    raise Odd('x')\n",
    "import": "raise Odd('x')\n",
}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_that_raises_when_it_is_looked_at_is_a_failure_like_others(project, kind):
    for place, code in RAISING.items():
        project.file(f"sim_{place}.py", ODD.format(ERRORS[kind]) + code)
    failed = project.simkit("-n", "0")
    assert failed.code in (1, 4), failed.out + failed.err
    for place in RAISING:
        assert f"sim_{place}.py" in failed.out + failed.err
    for place in ("run", "many", "derived", "end"):
        assert f"FAILED sim_{place}.py::f" in failed.out
    project.file("sim_run.py", ODD.format(ERRORS[kind]) + WHERE)
    refused = project.simkit("sim_run.py", "-n", "0")
    assert refused.code == 4, refused.out + refused.err
    assert ": the function of where() raised Odd" in refused.err
    for said in (failed, refused):
        assert "lost sys.stderr" not in said.err
        assert "simkit/inject" not in said.out + said.err


WHERE = "def odd(i): raise Odd('x')\n@experiment\n@(explore(i=[1, 2]).where(odd))\ndef f(i):\n    pass\n"


def test_a_remark_is_text(project):
    project.file(
        "sim_remark.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[0, 1, 2, 3])
        def study(x, run):
            run.note(*[["fine"], [5], [], [b"x"]][x], **[{}, {}, {"z": None}, {}][x])
            return x
        """,
    )
    ended = project.simkit("-n", "0")
    assert (ended.code, "bug in simkit" in ended.err) == (1, False)
    assert "run.note() takes text, not a value of type int" in ended.out
    assert project.open("study-001").notes(0) == ["fine"]


class Strange:
    __slots__ = ("a", "b")

    def __getattribute__(self, name):
        raise RuntimeError(name)


class Text(str):
    pass


class Described:
    __slots__ = {"a": "its meaning"}


class Meta(type):
    @property
    def __module__(cls):
        raise RuntimeError

    def __getattribute__(cls, name):
        raise RuntimeError(name)

    def __hash__(cls):
        raise RuntimeError


class OfMeta(metaclass=Meta):
    inner = 1


def test_a_class_is_what_python_made_it():
    assert is_a(True, int)
    assert not is_a(Mock(spec=dict), dict, list)
    assert pretends(Mock(spec=dict))
    assert not pretends(Mock)
    assert is_a(OfMeta, type)
    assert bases_of(OfMeta) == (OfMeta, object) or len(bases_of(OfMeta)) == 2
    assert is_declared(OfMeta, "inner")
    assert not is_declared(OfMeta, "outer")
    assert (module_of(OfMeta), qualname_of(OfMeta)) == (__name__, "OfMeta")


@attrs.define
class Fielded:
    """Said."""

    a: int = 1


class Claiming:
    __attrs_attrs__ = ("a",)
    __doc__ = 5


def test_fields_are_those_that_attrs_and_dataclasses_made():
    assert [field.name for field in declared_fields(Fielded)] == ["a"]
    assert [field.name for field in declared_fields(make_dataclass("Made", ["a", "b"]))] == ["a", "b"]
    assert declared_fields(make_dataclass("Empty", [])) == ()
    assert declared_fields(Claiming) is None
    assert declared_fields(int) is None
    assert tuple_fields(namedtuple("Named", "a b")) == ("a", "b")
    assert tuple_fields(tuple) is None
    assert tuple_fields(type("Claiming", (tuple,), {"_fields": (1, 2)})) is None
    assert (doc_of(Fielded), doc_of(Claiming), doc_of(is_a)) == ("Said.", "", is_a.__doc__)


def test_what_is_gone_is_no_error():
    proxy = weakref.proxy(Text("gone"))
    assert pretends(proxy)
    assert dict(own_attributes(proxy)) == {}
    assert package_of(proxy) == "weakref"


def test_packages_are_those_of_the_definition():
    assert [package_of(one) for one in (np, np.array, np.zeros(1), Mock(), 3, pytest.raises)] == [
        *("numpy", "builtins", "numpy", "unittest", "builtins", "_pytest"),
    ]


def test_slots_are_read_without_the_object():
    strange = Strange()
    object.__setattr__(strange, "b", 2)
    assert slots_of(strange) == {"b": 2}
    described = Described()
    described.a = 5
    assert slots_of(described) == {"a": 5}
    assert slots_of(3) == {}
