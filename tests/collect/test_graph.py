# ruff: noqa: E501 - a file of a study stands on one line
"""Whatever way code is reached, a change of it is seen; and what is not reached is no change."""

from __future__ import annotations

import os
import sys

import pytest

from simkit.collect.code import changes

HEAD = "from simkit import experiment, product\n"
GO = "def go(x):\n    return x\n"
ADDS = ("return x\n", "return x + 1\n")  # how `go` changes


@pytest.fixture
def changed(study, monkeypatch):
    """What changes for ``f`` when a file does, as two commands in processes of their own would find it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    clock = iter(range(10**18, 10**19, 10**9))
    before = {*sys.modules}

    def code(files):
        for name in {*sys.modules} - before:
            if str(getattr(sys.modules[name], "__file__", None) or study.root).startswith(str(study.root)):
                del sys.modules[name]
        for name, text in files.items():
            time = next(clock)
            os.utime(study.write(name, text), ns=(time, time))
        (item,) = study.collect("sim_a.py::f")
        return item.plan.code

    def changed(files, file, old, new):
        assert old in files[file]
        return changes(code(files), code({**files, file: files[file].replace(old, new, 1)}))

    yield changed
    for name in {*sys.modules} - before:
        if str(getattr(sys.modules[name], "__file__", None) or study.root).startswith(str(study.root)):
            del sys.modules[name]


def sim(body, above="", decorators="@experiment\n"):
    return f"{HEAD}{above}\n{decorators}def f(x=1):\n    {body}\n"


# How `h.go`, or a class `h.C` with a method `go`, or a constant `K` is reached; which text in which file changes.
REACHED = {
    "import within a function": {
        "sim_a.py": sim("return go(x)", "from h import go"),
        "h.py": "def go(x):\n    from k import go\n    return go(x)\n",
        "k.py": GO,
    },
    "import within a method": {
        "sim_a.py": sim(
            "return C().run(x)",
            "class C:\n    def run(self, x):\n        import k as kk\n        return kk.go(x)",
        ),
        "k.py": GO,
    },
    "two functions that import other things under one name": {
        "sim_a.py": sim(
            "return one(x)",
            "def two(x):\n    from j import go\n    return go(x)\ndef one(x):\n    from k import go\n    return go(x)\ndef three(x):\n    from j import go\n    return go(x)",
        ),
        "j.py": "def go(x):\n    return 0\n",
        "k.py": GO,
    },
    "re-exported by a package": {
        "sim_a.py": sim("return go(x)", "from lib import go"),
        "lib/__init__.py": "from .k import go\n",
        "lib/k.py": GO,
    },
    "re-exported twice, renamed": {
        "sim_a.py": sim("return lib.run(x)", "import lib"),
        "lib/__init__.py": "from lib.inner import walk as run\n",
        "lib/inner/__init__.py": "from .k import go as walk\n",
        "lib/inner/k.py": GO,
    },
    "star import of a package": {
        "sim_a.py": sim("return go(x)", "from lib import *"),
        "lib/__init__.py": "from .k import *\n",
        "lib/k.py": GO,
    },
    "attribute of a package": {
        "sim_a.py": sim("return lib.k.go(x)", "import lib.k"),
        "lib/__init__.py": "",
        "lib/k.py": GO,
    },
    "a package without a file": {
        "sim_a.py": sim("return k.go(x)", "from space import k"),
        "space/k.py": GO,
    },
    "a package handed on as a whole": {
        "sim_a.py": sim("return use(lib, x)", "import lib\ndef use(m, x):\n    return m.k.go(x)"),
        "lib/__init__.py": "from . import k\n",
        "lib/k.py": GO,
    },
    "getattr of a module": {
        "sim_a.py": sim("return getattr(k, 'g' + 'o')(x)", "import k"),
        "k.py": GO,
    },
    "globals()": {
        "sim_a.py": sim("return call(x)", "from k import call"),
        "k.py": GO + "def call(x):\n    return globals()['g' + 'o'](x)\n",
    },
    "sys.modules": {
        "sim_a.py": sim("return call(x)", "from k import call"),
        "k.py": "import sys\n" + GO + "def call(x):\n    return getattr(sys.modules[__name__], 'go')(x)\n",
    },
    "optional import": {
        "sim_a.py": sim("return go(x)", "try:\n    from k import go\nexcept ImportError:\n    go = None"),
        "k.py": GO,
    },
    "optional import of a module": {
        "sim_a.py": sim(
            "return k.go(x) if k else 0", "try:\n    import k\nexcept ImportError:\n    k = None"
        ),
        "k.py": GO,
    },
    "import under a condition": {
        "sim_a.py": sim(
            "return go(x)", "FAST = True\nif FAST:\n    from k import go\nelse:\n    from j import go"
        ),
        "k.py": GO,
        "j.py": GO,
    },
    "a module's __getattr__": {
        "sim_a.py": sim("return lib.go(x)", "import lib"),
        "lib/__init__.py": "def __getattr__(name):\n    from lib.k import go\n    return go\n",
        "lib/k.py": GO,
    },
    "import_module of a text": {
        "sim_a.py": sim("return importlib.import_module('k').go(x)", "import importlib"),
        "k.py": GO,
    },
    "import_module of a part of a package": {
        "sim_a.py": sim("return load('k').go(x)", "from models import load"),
        "models/__init__.py": "from importlib import import_module\ndef load(name):\n    return import_module(f'{__name__}.{name}')\n",
        "models/k.py": GO,
    },
    "import_module beside a module": {
        "sim_a.py": sim("return load('k').go(x)", "from models.loading import load"),
        "models/__init__.py": "",
        "models/loading.py": "import importlib\ndef load(name):\n    return importlib.import_module('.' + name, __package__)\n",
        "models/k.py": GO,
    },
    "import_module of a name that is explored": {
        "sim_a.py": HEAD
        + "import importlib\n@experiment\n@product(m=['k', 'j'])\ndef f(m, x=1):\n    return importlib.import_module(m).go(x)\n",
        "k.py": GO,
        "j.py": GO,
    },
    "a registry": {
        "sim_a.py": sim("return REG['go'](x)", "from k import REG"),
        "k.py": "REG = {}\ndef reg(g):\n    REG[g.__name__] = g\n    return g\n@reg\n" + GO,
    },
    "a registry in a file of its own": {
        "sim_a.py": sim("return REG['go'](x)", "import k\nfrom registry import REG"),
        "registry.py": "REG = {}\ndef reg(name):\n    def keep(g):\n        REG[name] = g\n        return g\n    return keep\n",
        "k.py": "from registry import reg\n@reg('go')\n" + GO,
    },
    "an object as a registry": {
        "sim_a.py": sim("return R.all[0](x)", "from k import R"),
        "k.py": "class Registry:\n    def __init__(self):\n        self.all = []\n    def __call__(self, g):\n        self.all.append(g)\n        return g\nR = Registry()\n@R\n"
        + GO,
    },
    "a list that a later statement fills": {
        "sim_a.py": sim("return ALL[0](x)", "from k import ALL"),
        "k.py": "ALL = []\n" + GO + "ALL.append(go)\n",
    },
    "partial": {
        "sim_a.py": sim("return p()", "from functools import partial\nfrom k import go\np = partial(go, 2)"),
        "k.py": GO,
    },
    "partial from another file": {
        "sim_a.py": sim("return p()", "from j import p"),
        "j.py": "from functools import partial\nimport k\np = partial(getattr(k, 'g' + 'o'), 2)\n",
        "k.py": GO,
    },
    "wrapped by a decorator": {
        "sim_a.py": sim("return go(x)", "from k import go"),
        "deco.py": "import functools\ndef deco(g):\n    @functools.wraps(g)\n    def w(*a):\n        return g(*a)\n    return w\n",
        "k.py": "from deco import deco\n@deco\n" + GO,
    },
    "cached": {
        "sim_a.py": sim("return go(x)", "from k import go"),
        "k.py": "import functools\n@functools.lru_cache\n" + GO,
    },
    "a context manager": {
        "sim_a.py": sim("with h(x) as y:\n        return y", "from j import h"),
        "j.py": "from contextlib import contextmanager\nfrom k import go\n@contextmanager\ndef h(x):\n    yield go(x)\n",
        "k.py": GO,
    },
    "a default of a dataclass": {
        "sim_a.py": sim("return P().g(x)", "from j import P"),
        "j.py": "from dataclasses import dataclass\nfrom typing import Callable\nfrom k import go\n@dataclass\nclass P:\n    g: Callable = go\n",
        "k.py": GO,
    },
    "a default factory": {
        "sim_a.py": sim("return P().g", "from j import P"),
        "j.py": "import attrs, k\n@attrs.define\nclass P:\n    g: int = attrs.field(factory=lambda: k.go(3))\n",
        "k.py": GO,
    },
    "a lambda in a dict": {
        "sim_a.py": sim("return F['b'](x)", "from k import F"),
        "k.py": "F = {'a': lambda x: 0, 'b': lambda x: (\n    x\n)}\ndef go(x):\n    return x\n",
    },
    "a ufunc": {
        "sim_a.py": sim("return u(x)", "from j import u"),
        "j.py": "import numpy as np\nimport k\nu = np.frompyfunc(getattr(k, 'go'), 1, 1)\n",
        "k.py": GO,
    },
    "vectorize": {
        "sim_a.py": sim("return u(x)", "from j import u"),
        "j.py": "import numpy as np\nfrom k import go\nu = np.vectorize(go)\n",
        "k.py": GO,
    },
    "a pattern on a class": {
        "sim_a.py": sim("match x:\n        case k.C(go=y):\n            return y", "import k"),
        "k.py": "class C:\n    __match_args__ = ('go',)\n    def go(self, x):\n        return x\n",
    },
    "singledispatch": {
        "sim_a.py": sim("return run(x)", "from k import run"),
        "k.py": "from functools import singledispatch\n@singledispatch\ndef run(x):\n    return 0\n@run.register\ndef _(x: int):\n    return x\n",
    },
    "singledispatch in another file": {
        "sim_a.py": sim("return run(x)", "import k\nfrom j import run"),
        "j.py": "from functools import singledispatch\n@singledispatch\ndef run(x):\n    return 0\n",
        "k.py": "from j import run\n@run.register\ndef _(x: int):\n    return x\n",
    },
    "__init_subclass__": {
        "sim_a.py": sim("return B.subs['C']().go(x)", "from k import B"),
        "k.py": "class B:\n    subs = {}\n    def __init_subclass__(c):\n        B.subs[c.__name__] = c\nclass C(B):\n    def go(self, x):\n        return x\n",
    },
    "__subclasses__": {
        "sim_a.py": sim("return B.__subclasses__()[0]().go(x)", "import k\nfrom j import B"),
        "j.py": "class B:\n    pass\n",
        "k.py": "from j import B\nclass C(B):\n    def go(self, x):\n        return x\n",
    },
    "a metaclass that keeps its classes": {
        "sim_a.py": sim("return M.all[0]().go(x)", "from k import M"),
        "k.py": "class M(type):\n    all = []\n    def __init__(c, *a):\n        M.all.append(c)\nclass C(metaclass=M):\n    def go(self, x):\n        return x\n",
    },
    "a factory of classes": {
        "sim_a.py": sim("return make('C')().go(x)", "from models import make"),
        "models/__init__.py": "from .factory import make\n",
        "models/factory.py": "from . import k\ndef make(name):\n    return getattr(k, name)\n",
        "models/k.py": "class C:\n    def go(self, x):\n        return x\n",
    },
    "a method of a base": {
        "sim_a.py": sim("return D().go(x)", "from j import D"),
        "j.py": "import k\nclass D(k.C):\n    pass\n",
        "k.py": "class C:\n    def go(self, x):\n        return x\n",
    },
    "a member of an enumeration": {
        "sim_a.py": sim("return E.A.value(x)", "from j import E"),
        "j.py": "import enum, functools, k\nclass E(enum.Enum):\n    A = functools.partial(k.go)\n",
        "k.py": GO,
    },
    "a function set from another file": {
        "sim_a.py": sim("return h.hook(x)", "import h, k"),
        "h.py": "hook = None\n",
        "k.py": "import h\n" + GO + "h.hook = go\n",
    },
    "a closure of a factory": {
        "sim_a.py": sim("return run(x)", "from j import make\nimport k\nrun = make(k.go)"),
        "j.py": "def make(g):\n    def run(x):\n        return g(x)\n    return run\n",
        "k.py": GO,
    },
}


@pytest.mark.parametrize("kind", REACHED)
def test_a_change_is_seen(changed, kind):
    files = REACHED[kind]
    old = "    x\n" if kind == "a lambda in a dict" else "return x\n"
    assert changed(
        files,
        "k.py" if "k.py" in files else next(n for n in files if n.endswith("k.py")),
        old,
        old.replace("x\n", "x + 1\n"),
    )


@pytest.mark.parametrize("decorator", ["run.register", "dispatch"])
def test_the_type_that_a_function_is_chosen_by_is_code(changed, decorator):
    library = "from functools import singledispatch\n@singledispatch\ndef run(x):\n    return 0\ndispatch = run.register\n"
    files = {
        "sim_a.py": sim("return run(x)", "import k\nfrom j import run"),
        "j.py": library,
        "k.py": f"from j import run, dispatch\n@{decorator}\ndef _(x: int) -> int:\n    return 1\n",
    }
    assert changed(files, "k.py", "x: int", "x: float")
    assert not changed(files, "k.py", "-> int", "-> float")


# A constant and the statements that make it what it is.
FILLED = {
    "an item": "P = {}\nP['k'] = 1\n",
    "a method": "P = {'k': 0}\nP.update(k=1)\n",
    "a loop": "P = {}\nfor i in range(3):\n    P['k'] = 1\n",
    "a condition": "P = {}\nif P is not None:\n    P['k'] = 1\n",
    "an attribute": "class P:\n    k = 0\nP.k = 1\n",
    "setattr": "class P:\n    k = 0\nsetattr(P, 'k', 1)\n",
    "a global statement": "P = None\ndef fill():\n    global P\n    P = {'k': 1}\nfill()\n",
    "a function's argument": "P = None\ndef fill(k):\n    global P\n    P = {'k': k}\nfill(1)\n",
    "a function that fills it": "P = {}\ndef fill(p, k):\n    p['k'] = k\nfill(P, 1)\n",
    "a function that calls one": "P = {}\ndef fill(k):\n    P['k'] = k\ndef start(k):\n    fill(k)\nstart(1)\n",
    "globals()": "P = 0\nglobals()['P'] = 1\n",
    "exec": "P = 0\nexec('P = 1')\n",
    "delete": "P = {'k': 0, 'j': 1}\ndel P['j']; P['k'] = 1\n",
    "in a with": "import contextlib\nP = {}\nwith contextlib.suppress(KeyError):\n    P['k'] = 1\n",
    "augmented": "P = [0]\nP += [1]\n",
    "unpacked": "P, Q = 0, 1\n(P, Q) = 1, 2\n",
}


@pytest.mark.parametrize("kind", FILLED)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_statements_that_fill_a_constant_belong_to_it(changed, kind, elsewhere):
    text = FILLED[kind]
    last = text.rindex("1")
    files = {"k.py": text, "sim_a.py": sim("return k.P", "import k") if elsewhere else sim("return P", text)}
    file = "k.py" if elsewhere else "sim_a.py"
    whole = files[file]
    start = whole.index(text)
    edited = whole[: start + last] + "5" + whole[start + last + 1 :]
    assert changed(files, file, whole, edited)


@pytest.mark.parametrize(
    "setting",
    [
        "h.K = 1",
        "setattr(h, 'K', 1)",
        "vars(h)['K'] = 1",
        "h.__dict__.update(K=1)",
        "h.P['k'] = 1",
        "P['k'] = 1",
        "h.fill(1)",
        "name = 'K'; setattr(h, name, 1)",
    ],
)
@pytest.mark.parametrize("setter", ["p.py", "simconf.py"])
def test_another_file_may_set_a_constant(changed, setting, setter):
    files = {
        "sim_a.py": sim("return h.K, h.P", "import h" + (", p" if setter == "p.py" else "")),
        "h.py": "K = 0\nP = {}\ndef fill(k):\n    P['k'] = k\n",
        setter: f"import h\nfrom h import P\n{setting}\n",
    }
    assert changed(files, setter, " 1" if " 1" in setting else "1", " 5" if " 1" in setting else "5")


NO_CHANGE = {
    "annotations": ("sim_a.py", "def go(x, y=1):", "def go(x: float, y: 'int' = 1) -> float:"),
    "an annotated constant": ("sim_a.py", "K = 1", "K: int = 1"),
    "an annotated local": ("sim_a.py", "z = x", "z: float = x"),
    "an annotated field": ("sim_a.py", "n = 3", "n: int = 3"),
    "a function that nothing calls": ("k.py", "return 0", "return 9"),
    "a function of the same name in a module that is not used": ("j.py", "return x", "return 9"),
    "a class that nothing uses": ("k.py", "free = 1", "free = 2"),
    "what only the main program does": ("sim_a.py", "P['main'] = 1", "P['main'] = 2"),
    "a global of the name of a local": ("sim_a.py", "local = 1", "local = 2"),
    "a printed constant": ("sim_a.py", "print(go, K)", "print(go, K, 2)"),
    "another sim file": ("sim_b.py", "return 1", "return 2"),
}


@pytest.mark.parametrize("kind", NO_CHANGE)
def test_what_is_not_reached_is_no_change(changed, kind):
    above = (
        "from k import go as went\nimport j\nK = 1\nP = {}\nlocal = 1\n"
        "class C:\n    n = 3\n"
        "def go(x, y=1):\n    z = x\n    local = z\n    return K * local + went(z) + C.n\n"
        "def unused():\n    return j.go(1)\n"
        "if __name__ == '__main__':\n    P['main'] = 1\n"
        "if K > 3:\n    print(go, K)\n"
    )
    files = {
        "sim_a.py": sim("return go(x), P", above),
        "sim_b.py": HEAD + "@experiment\ndef g():\n    return 1\n",
        "k.py": GO + "def other():\n    return 0\nclass Free:\n    free = 1\n",
        "j.py": GO,
    }
    assert changed(files, *NO_CHANGE[kind]) == []
