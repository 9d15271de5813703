# ruff: noqa: E501 - a file of a study stands on one line
"""Whose results are these: what a function carries is compared with its code."""

from __future__ import annotations

import builtins
import importlib
import io
import os
import re
import sqlite3
import sys
import warnings

import pytest

import simkit
from simkit import explore

HEAD = (
    "import functools, logging, os, random, sys\nimport numpy as np\nfrom simkit import experiment, explore\n"
)


def values(function):
    """The results of a study of two points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a first run is told of has tests of its own
        traj = simkit.run(function, explore(x=[1, 2]))
    found = traj["r"].tolist()
    traj.close()
    return found


@pytest.fixture(autouse=True)
def _names_of_python():
    """What a case puts among them goes with it."""
    before = set(vars(builtins))
    yield
    for name in set(vars(builtins)) - before:
        delattr(builtins, name)


@pytest.fixture
def load(study):
    """Load a file of a study; what it opens is closed at the end, or another test would be told of it."""
    modules = []

    def loaded(source):
        if "brian2" in source:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of its parsers
                importlib.import_module("brian2")
        study.write("sim_a.py", HEAD + source)
        modules.append(study.module("sim_a.py"))
        return modules[-1]

    yield loaded
    for module in modules:
        kept = getattr(vars(module).get("f"), "__defaults__", None) or ()
        for one in [
            *vars(module).values(),
            *(item for each in kept if isinstance(each, list) for item in each),
        ]:
            if isinstance(one, io.IOBase):
                one.close()


def files(study):
    return len(list((study.root / "results").glob("*.h5")))


# What makes one function twice, `f(3)` and `f(5)`: each must give 3·x and 5·x.
MADE = {
    "a closure": "def f(k):\n    def g(x):\n        return {'r': x * k}\n    return g\n",
    "a lambda": "def f(k):\n    return lambda x: {'r': x * k}\n",
    "lambdas in a dict": "F = {3: lambda x: {'r': x * 3}, 5: lambda x: {'r': x * 5}}\ndef f(k):\n    return F[k]\n",
    "a decorator's argument": "def scale(k):\n    def deco(g):\n        @functools.wraps(g)\n        def w(x):\n            return {'r': g(x)['r'] * k}\n        return w\n    return deco\ndef f(k):\n    @scale(k)\n    def g(x):\n        return {'r': x}\n    return g\n",
    "a decorated function of the module": "def scale(k):\n    def deco(g):\n        @functools.wraps(g)\n        def w(x):\n            return {'r': g(x)['r'] * k}\n        return w\n    return deco\ndef g(x):\n    return {'r': x}\ndef f(k):\n    return scale(k)(g)\n",
    "a function in a closure": "def f(k):\n    def h(x):\n        return x * k\n    def g(x):\n        return {'r': h(x)}\n    return g\n",
    "another function in a closure": "def three(x):\n    return 3 * x\ndef five(x):\n    return 5 * x\ndef f(k):\n    h = {3: three, 5: five}[k]\n    def g(x):\n        return {'r': h(x)}\n    return g\n",
    "a default of an inner helper": "def f(k):\n    def h(x, k=k):\n        return x * k\n    def g(x):\n        return {'r': h(x)}\n    return g\n",
    "a bound object": "class Model:\n    def __init__(self, k):\n        self.k = k\n    def step(self, x):\n        return x * self.k\ndef f(k):\n    step = Model(k).step\n    def g(x):\n        return {'r': step(x)}\n    return g\n",
    "a partial function": "def mul(k, x):\n    return k * x\ndef f(k):\n    h = functools.partial(mul, k)\n    def g(x):\n        return {'r': h(x)}\n    return g\n",
    "an array": "def f(k):\n    a = np.full(3, k)\n    def g(x):\n        return {'r': x * int(a[1])}\n    return g\n",
    "an attribute of the function": "def f(k):\n    def g(x):\n        return {'r': x * g.k}\n    g.k = k\n    return g\n",
    "executed text": "def f(k):\n    names = globals()\n    exec(f'def g(x): return {{\"r\": x * {k}}}', names)\n    return names['g']\n",
    "a class in a closure": "def f(k):\n    class M:\n        q = k\n    def g(x):\n        return {'r': x * M.q}\n    return g\n",
    "a class of a call": "def f(k):\n    M = type('M', (), {'q': k})\n    def g(x):\n        return {'r': x * M.q}\n    return g\n",
    "an instance of a class in a closure": "def f(k):\n    class M:\n        q = k\n    m = M()\n    def g(x):\n        return {'r': x * m.q}\n    return g\n",
    "a made dataclass": "from dataclasses import make_dataclass\ndef f(k):\n    M = make_dataclass('M', [('q', int, k)])\n    def g(x):\n        return {'r': x * M().q}\n    return g\n",
    "a polynomial": "def f(k):\n    p = np.poly1d([k, 0])\n    def g(x):\n        return {'r': int(p(x))}\n    return g\n",
    "a global": "K = 0\ndef g(x):\n    return {'r': x * K}\ndef f(k):\n    global K\n    K = k\n    return g\n",
    "a global that a helper reads": "K = 0\ndef h(x):\n    return x * K\ndef g(x):\n    return {'r': h(x)}\ndef f(k):\n    global K\n    K = k\n    return g\n",
    "an item of a global": "P = {'k': 0}\ndef g(x):\n    return {'r': x * P['k']}\ndef f(k):\n    P['k'] = k\n    return g\n",
    "an object at module level": "class Model:\n    k = 0\n    def step(self, x):\n        return x * self.k\nM = Model()\ndef g(x):\n    return {'r': M.step(x)}\ndef f(k):\n    M.k = k\n    return g\n",
    "an object with parts that can't be compared": "class Model:\n    def __init__(self):\n        self.k, self.rows = 0, (i for i in [1])\nM = Model()\ndef g(x):\n    return {'r': x * M.k}\ndef f(k):\n    M.k = k\n    return g\n",
    "a list of objects": "class Model:\n    k = 0\nM = [Model(), object()]\ndef g(x):\n    return {'r': x * M[0].k}\ndef f(k):\n    M[0].k = k\n    return g\n",
    "an attribute of a class": "class Model:\n    k = 0\ndef g(x):\n    return {'r': x * Model.k}\ndef f(k):\n    Model.k = k\n    return g\n",
    "a function in a table": "T = {}\ndef g(x):\n    return {'r': T['h'](x)}\ndef f(k):\n    T['h'] = lambda x: x * k\n    return g\n",
    "the environment": "def g(x):\n    return {'r': x * int(os.environ['K'])}\ndef f(k):\n    os.environ['K'] = str(k)\n    return g\n",
    "the environment through getenv": "from os import getenv\ndef g(x):\n    return {'r': x * int(getenv('K', '1'))}\ndef f(k):\n    os.environ['K'] = str(k)\n    return g\n",
    "the command line": "def g(x):\n    return {'r': x * int(sys.argv[1])}\ndef f(k):\n    sys.argv[1:] = [str(k)]\n    return g\n",
    "a made module": "import types\ndef f(k):\n    m = types.ModuleType('m')\n    m.k = k\n    def g(x):\n        return {'r': x * m.k}\n    return g\n",
    "a made module in a table": "import types\ndef f(k):\n    m = types.ModuleType('m')\n    m.k = k\n    t = {'a': [m]}\n    def g(x):\n        return {'r': x * t['a'][0].k}\n    return g\n",
    "a made module that can be imported": "import types\ndef f(k):\n    m = sys.modules['made'] = types.ModuleType('made')\n    m.k = k\n    def g(x):\n        return {'r': x * m.k}\n    return g\n",
    "a function of a made module": "import types\ndef f(k):\n    m = types.ModuleType('m')\n    exec(f'K = {k}\\ndef h(x):\\n    return x * K\\n', m.__dict__)\n    h = m.h\n    def g(x):\n        return {'r': h(x)}\n    return g\n",
    "a made module at module level": "import types\nm = types.ModuleType('m')\ndef g(x):\n    return {'r': m.h(x)}\ndef f(k):\n    m.h = lambda x: x * k\n    return g\n",
    "a module of a file executed by hand": "import runpy\nfrom pathlib import Path\ndef f(k):\n    at = Path(__file__).with_name('late.txt')\n    at.write_text(f'K = {k}\\ndef h(x):\\n    return x * K\\n')\n    h = runpy.run_path(str(at))['h']\n    def g(x):\n        return {'r': h(x)}\n    return g\n",
    "an attribute that a library was given": "import textwrap\ntextwrap.k = 0\ndef f(k):\n    textwrap.k = k\n    def g(x):\n        return {'r': x * textwrap.k}\n    return g\n",
    "text in memory": "import io\ndef f(k):\n    m = io.StringIO(str(k))\n    def g(x):\n        return {'r': x * int(m.getvalue())}\n    return g\n",
    "a place in an open file": "from pathlib import Path\nat = Path(__file__).with_name('at.txt')\nat.write_text('0123456789')\ndef f(k, files=[]):\n    files.append(at.open())\n    m = files[-1]\n    m.seek(k)\n    def g(x):\n        return {'r': x * m.tell()}\n    return g\n",
    "the bytes of a view": "def f(k):\n    m = memoryview(bytearray([k]))\n    def g(x):\n        return {'r': x * m[0]}\n    return g\n",
    "a pattern that is bound later": "import re\nP = None\ndef g(x):\n    return {'r': x * int(P.pattern)}\ndef f(k):\n    global P\n    P = re.compile(str(k))\n    return g\n",
    "a class that is called": "def f(k):\n    class M:\n        def __call__(self, x):\n            return x * k\n    m = M()\n    def g(x):\n        return {'r': m(x)}\n    return g\n",
    "a private attribute of a class": "def f(k):\n    class M:\n        _q = k\n    def g(x):\n        return {'r': x * M._q}\n    return g\n",
    "a base of a class": "def base(k):\n    class B:\n        q = k\n    return B\ndef f(k):\n    class M(base(k)):\n        pass\n    def g(x):\n        return {'r': x * M.q}\n    return g\n",
    "a class of a class": "def f(k):\n    class Kind(type):\n        @property\n        def q(cls):\n            return k\n    class M(metaclass=Kind):\n        pass\n    def g(x):\n        return {'r': x * M.q}\n    return g\n",
    "a descriptor": "class Q:\n    def __init__(self, k):\n        self.k = k\n    def __get__(self, instance, owner):\n        return self.k\ndef f(k):\n    class M:\n        q = Q(k)\n    def g(x):\n        return {'r': x * M.q}\n    return g\n",
    "a partial method": "def f(k):\n    class M:\n        def mul(self, k, x):\n            return k * x\n        q = functools.partialmethod(mul, k)\n    def g(x):\n        return {'r': M().q(x)}\n    return g\n",
    "a default of a named tuple": "from collections import namedtuple\ndef f(k):\n    M = namedtuple('M', 'q', defaults=[k])\n    def g(x):\n        return {'r': x * M().q}\n    return g\n",
    "a default of a dataclass with slots": "from dataclasses import dataclass\ndef f(k):\n    @dataclass(slots=True)\n    class M:\n        q: int = k\n    def g(x):\n        return {'r': x * M().q}\n    return g\n",
    "what makes a default of a dataclass": "from dataclasses import dataclass, field\ndef f(k):\n    @dataclass\n    class M:\n        q: list = field(default_factory=lambda: [k])\n    def g(x):\n        return {'r': x * M().q[0]}\n    return g\n",
    "a default of attrs": "import attrs\ndef f(k):\n    @attrs.define\n    class M:\n        q: int = k\n    def g(x):\n        return {'r': x * M().q}\n    return g\n",
    "an attribute of a number": "class Number(float):\n    pass\ndef f(k):\n    m = Number(1)\n    m.k = k\n    def g(x):\n        return {'r': x * m.k}\n    return g\n",
    "a number that does not show itself": "class Angle(int):\n    def __repr__(self):\n        return 'some angle'\ndef f(k):\n    m = Angle(k)\n    def g(x):\n        return {'r': int(x * m)}\n    return g\n",
    "an attribute of a member": "import enum\nclass Kind(enum.Enum):\n    A = 1\ndef f(k):\n    Kind.A.k = k\n    m = Kind.A\n    def g(x):\n        return {'r': x * m.k}\n    return g\n",
    "an attribute of a generator": "class Source(random.Random):\n    k = 0\ndef f(k):\n    m = Source(1)\n    m.k = k\n    def g(x):\n        return {'r': x * m.k}\n    return g\n",
    "functions in a table that can't be changed": "from types import MappingProxyType\ndef f(k):\n    m = MappingProxyType({'h': lambda x: x * k})\n    def g(x):\n        return {'r': m['h'](x)}\n    return g\n",
    "a lock that is held": "import threading\ndef f(k):\n    m = threading.Lock()\n    if k == 5:\n        m.acquire()\n    def g(x):\n        return {'r': x * (5 if m.locked() else 3)}\n    return g\n",
    "a name among Python's own": "import builtins\ndef g(x):\n    return {'r': x * K17}\ndef f(k):\n    builtins.K17 = k\n    return g\n",
    "a function among Python's own": "import builtins\ndef h(x):\n    return h17(x)\ndef g(x):\n    return {'r': h(x)}\ndef f(k):\n    builtins.h17 = lambda x: x * k\n    return g\n",
    "an object among Python's own": "import builtins\nclass M:\n    pass\ndef f(k):\n    builtins.M17 = M()\n    M17.k = k\n    def g(x):\n        return {'r': x * M17.k}\n    return g\n",
    "a name that no statement gives": "def g(x):\n    return {'r': x * globals()['K']}\ndef f(k):\n    globals()['K'] = k\n    return g\n",
    "a name that no statement gives, evaluated": "def h(x):\n    return eval('x * K')\ndef g(x):\n    return {'r': h(x)}\ndef f(k):\n    setattr(sys.modules[__name__], 'K', k)\n    return g\n",
    "an object that no statement gives": "class M:\n    pass\ndef g(x):\n    return {'r': x * vars(sys.modules[__name__])['m'].k}\ndef f(k):\n    globals()['m'] = M()\n    globals()['m'].k = k\n    return g\n",
    "an attribute of a logger": "log = logging.getLogger('a17')\ndef g(x):\n    return {'r': x * log.k}\ndef f(k):\n    log.k = k\n    return g\n",
    "a table of a logger": "log = logging.getLogger('b17')\nlog.about = {}\ndef g(x):\n    return {'r': x * log.about['k']}\ndef f(k):\n    log.about['k'] = k\n    return g\n",
    "what a logger adds": "def f(k):\n    log = logging.LoggerAdapter(logging.getLogger('c17'), {'k': k})\n    def g(x):\n        return {'r': x * log.extra['k']}\n    return g\n",
    "a database": "import sqlite3\nC = sqlite3.connect(':memory:', isolation_level=None)\nC.execute('create table t (k)')\nC.execute('insert into t values (0)')\ndef g(x):\n    return {'r': x * C.execute('select k from t').fetchone()[0]}\ndef f(k):\n    C.execute('update t set k = ?', (k,))\n    return g\n",
    "a database that is closed over": "import sqlite3\ndef f(k, kept=[]):\n    C = sqlite3.connect(':memory:')\n    kept.append(C)\n    C.execute('create table t (k)')\n    C.execute('insert into t values (?)', (k,))\n    def g(x):\n        return {'r': x * C.execute('select k from t').fetchone()[0]}\n    return g\n",
    "a change that is not committed": "import sqlite3\nC = sqlite3.connect(':memory:')\nC.execute('create table t (k)')\nC.execute('insert into t values (0)')\nC.commit()\ndef g(x):\n    return {'r': x * C.execute('select k from t').fetchone()[0]}\ndef f(k):\n    C.execute('update t set k = ?', (k,))\n    return g\n",
    "a compiled function": "import numba\ndef f(k):\n    @numba.njit\n    def h(x):\n        return x * k\n    def g(x):\n        return {'r': h(x)}\n    return g\n",
    "options of a compiled function": "import numba\ndef h(x):\n    return x\ndef f(k):\n    h5 = numba.njit(h, fastmath=k == 5)\n    def g(x):\n        return {'r': x * (5 if h5.targetoptions['fastmath'] else 3)}\n    return g\n",
    "a compiled function of arrays": "import numba\ndef f(k):\n    @numba.vectorize\n    def h(x):\n        return x * k\n    def g(x):\n        return {'r': int(h(x))}\n    return g\n",
    "a formula": "import sympy\nfrom sympy.core.cache import clear_cache\ndef f(k, made=[]):\n    clear_cache()\n    e = sympy.Symbol('y') * k\n    [hash(e) and e.is_real for _ in made]\n    made.append(e)\n    def g(x):\n        return {'r': int(e.subs('y', x))}\n    return g\n",
    "an assumption of a formula": "import sympy\ndef f(k):\n    e = sympy.Symbol('y', positive=k == 5)\n    def g(x):\n        return {'r': x * (5 if e.is_positive else 3)}\n    return g\n",
    "a function made of a formula": "import sympy\ndef f(k):\n    h = sympy.lambdify('y', sympy.Symbol('y') * k)\n    def g(x):\n        return {'r': h(x)}\n    return g\n",
    "values in time": "from brian2 import TimedArray, ms\ndef f(k):\n    T = TimedArray([k, 1], dt=1 * ms)\n    def g(x):\n        return {'r': int(x * T(0 * ms))}\n    return g\n",
    "a step of values in time": "from brian2 import TimedArray, ms\ndef f(k):\n    T = TimedArray([3, 5], dt=(6 - k) * ms)\n    def g(x):\n        return {'r': int(x * T(1.5 * ms))}\n    return g\n",
    "a dimension of values in time": "from brian2 import TimedArray, ms, mV\ndef f(k):\n    T = TimedArray([1.0] * (mV if k == 5 else ms), dt=1 * ms)\n    def g(x):\n        return {'r': x * (5 if T.dim is mV.dim else 3)}\n    return g\n",
}  # fmt: skip


@pytest.fixture(autouse=True)
def closed_databases(monkeypatch):
    """From CPython 3.13 on a connection that is left open is warned of, in whatever test comes next."""
    opened, connect = [], sqlite3.connect

    def connected(*given, **named):
        opened.append(connect(*given, **named))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connected)
    yield
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("kind", MADE)
def test_each_gets_its_own_results(load, monkeypatch, kind):
    monkeypatch.setattr(sys, "argv", ["script.py"])
    monkeypatch.setenv("K", "0")
    make = load(MADE[kind]).f
    assert [values(make(k)) for k in (3, 5, 3)] == [[3, 6], [5, 10], [3, 6]]


@pytest.mark.parametrize("kind", [k for k in MADE if k != "executed text"])
def test_the_same_value_continues_its_file(study, load, monkeypatch, kind):
    monkeypatch.setattr(sys, "argv", ["script.py"])
    monkeypatch.setenv("K", "0")
    make = load(MADE[kind]).f
    assert [values(make(3)) for _ in range(2)] == [[3, 6], [3, 6]]
    assert files(study) == 1


# What is no input, whatever becomes of it.
NO_INPUT = {
    "a table of what is known": "KNOWN = {}\ndef g(x):\n    KNOWN[x] = x\n    return {'r': KNOWN[x]}\n",
    "a closed-over table": "def f():\n    known = {}\n    def g(x):\n        known[x] = x\n        return {'r': known[x]}\n    return g\ng = f()\n",
    "a closed-over list": "def f():\n    made = []\n    def g(x):\n        made.append(x)\n        return {'r': x}\n    return g\ng = f()\n",
    "a closed-over count": "def f():\n    n = 0\n    def g(x):\n        nonlocal n\n        n += 1\n        return {'r': x}\n    return g\ng = f()\n",
    "a count": "N = 0\ndef g(x):\n    global N\n    N += 1\n    return {'r': x}\n",
    "a cache": "@functools.lru_cache\ndef h(x):\n    return x\ndef g(x):\n    return {'r': h(x)}\n",
    "a logger": "log = logging.getLogger('a')\ndef g(x):\n    log.setLevel(10 + x)\n    return {'r': x}\n",
    "a generator of random numbers": "R = random.Random(1)\nQ = np.random.default_rng(2)\ndef g(x):\n    R.random(), Q.random()\n    return {'r': x}\n",
    "a space": "S = explore(x=[1, 2])\ndef g(x):\n    return {'r': x + 0 * len(S)}\n",
    "a file that is written": "from pathlib import Path\nLOG = Path(__file__).with_name('log.txt').open('a')\ndef g(x):\n    print(x, file=LOG, flush=True)\n    return {'r': x}\n",
    "a closed-over lock": "import threading\ndef f():\n    lock = threading.Lock()\n    def g(x):\n        with lock:\n            return {'r': x}\n    return g\ng = f()\n",
    "a table that a method fills": "def f():\n    known = {}\n    class M:\n        def __call__(self, x):\n            known[x] = x\n            return known[x]\n    m = M()\n    def g(x):\n        return {'r': m(x)}\n    return g\ng = f()\n",
    "a function that is chosen by type": "def f():\n    @functools.singledispatch\n    def h(x):\n        return x\n    def g(x):\n        return {'r': h(x)}\n    return g\ng = f()\n",
    "a global of the name of a local": "k = 1\ndef g(x):\n    k = x\n    return {'r': k}\n",
}


@pytest.mark.parametrize("kind", NO_INPUT)
def test_what_runs_themselves_leave_is_no_input(study, load, kind):
    module = load(NO_INPUT[kind])
    assert [values(module.g) for _ in range(2)] == [[1, 2], [1, 2]]
    module.k = 7
    assert values(module.g) == [1, 2]
    assert files(study) == 1


# What only its own library can look into: `f(k)` gives k·x once, and nobody can tell whether the next gives the same.
UNKNOWN = {
    "rows (generator)": "def f(k):\n    rows = (k for _ in [1, 2])\n    def g(x):\n        return {'r': x * next(rows)}\n    return g\n",
    "rows (generator), bound later": "rows = None\ndef g(x):\n    return {'r': x * next(rows)}\ndef f(k):\n    global rows\n    rows = (k for _ in [1, 2])\n    return g\n",
    "m (ReferenceType)": "import weakref\nclass M:\n    pass\ndef f(k, kept=[]):\n    kept.append(M())\n    kept[-1].k = k\n    m = weakref.ref(kept[-1])\n    def g(x):\n        return {'r': x * m().k}\n    return g\n",
    "m (ContextVar)": "import contextvars\ndef f(k):\n    m = contextvars.ContextVar('m', default=k)\n    def g(x):\n        return {'r': x * m.get()}\n    return g\n",
    "m (TextIOWrapper)": "from pathlib import Path\nat = Path(__file__).with_name('at.txt')\ndef f(k, files=[]):\n    files.append(at.open('w+'))\n    m = files[-1]\n    m.write(str(k))\n    def g(x):\n        m.seek(0)\n        return {'r': x * int(m.read())}\n    return g\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_can_not_be_compared_starts_anew_and_says_so(study, load, kind):
    make, what = load(UNKNOWN[kind]).f, re.escape(kind.partition(",")[0])
    for k in (3, 5):
        with pytest.warns(UserWarning, match=f"g depends on what can't be compared.*: {what}"):
            traj = simkit.run(make(k), explore(x=[1, 2]))
        assert traj["r"].tolist() == [k, 2 * k]
        traj.close()
    assert files(study) == 2


def test_objects_that_hold_each_other_a_thousand_deep_start_anew(load):
    text = "def f(k):\n    chain = [k]\n    for _ in range(1000):\n        chain = [chain]\n    def g(x):\n        one = chain\n        while type(one) is list:\n            one = one[0]\n        return {'r': x * one}\n    return g\n"  # fmt: skip
    make = load(text).f
    assert [values(make(k)) for k in (3, 5)] == [[3, 6], [5, 10]]


def test_a_command_does_not_compare_what_its_import_makes(project):
    """A time or a folder at module level differs in each process; what the code says of it is the same."""
    project.file(
        "sim_a.py",
        """
        import os, time
        from simkit import experiment, product

        STARTED = time.time(), os.getpid()

        @experiment
        @product(x=[1, 2])
        def f(x):
            return {"r": x if STARTED else 0}
        """,
    )
    project.ok()
    assert "2 of 2" in project.ok().out
    assert not project.has("results/f-002.h5")


def test_a_command_compares_the_environment_that_the_code_names(project):
    project.file(
        "sim_a.py",
        """
        import os
        from simkit import experiment, product

        K = int(os.environ.get("FACTOR", "3"))

        @experiment
        @product(x=[1, 2])
        def f(x):
            return {"r": x * K}
        """,
    )
    project.ok()
    os.environ["FACTOR"] = "5"
    try:
        out = project.ok().out
    finally:
        del os.environ["FACTOR"]
    assert "the environment variable FACTOR was unset, now set" in out
    assert project.open("f-002")["r"].tolist() == [5, 10]


def test_a_global_that_a_script_set_is_not_continued_by_the_command(project):
    project.file(
        "sim_a.py",
        """
        from simkit import experiment, product

        K = 3

        @experiment
        @product(x=[1, 2])
        def f(x):
            return {"r": x * K}
        """,
    )
    project.file("script.py", "import simkit, sim_a\nsim_a.K = 5\nprint(simkit.run(sim_a.f)['r'].tolist())\n")
    assert project.python("script.py").out.splitlines()[-1] == "[5, 10]"
    assert "K was 5, now 3" in project.ok().out
    assert project.open("f-002")["r"].tolist() == [3, 6]
