from __future__ import annotations

import enum
import gc
import sys
from pathlib import Path

import numpy as np
import pytest

from simkit import Run, SimkitError
from simkit.declare.workplace import rendered

VALUES = {"tau": 0.1, "neuron.tau": 20, "N": 3, "label": "a b"}


class Kind(enum.Enum):
    FAST = "fast"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tau = $tau", "tau = 0.1"),
        ("${tau}s ${neuron.tau}$N", "0.1s 203"),
        ("$neuron.tau", None),
        ("cost: $$5, $$tau", "cost: $5, $tau"),
        ("'$label'\r\n", "'a b'\r\n"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_names_are_replaced_as_in_string_template(text, expected):
    if expected is None:
        with pytest.raises(SimkitError, match="no parameter 'neuron'"):
            rendered(text, VALUES, "in.txt")
    else:
        assert rendered(text, VALUES, "in.txt") == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.3333333333333333"), (np.float64(0.1), "0.1"), (np.float32(0.1), "0.1"), (10**30, "1" + "0" * 30),
        (True, "True"), (np.int8(3), "3"), (np.array(2.5), "2.5"), (Path("a/b"), str(Path("a/b"))), (Kind.FAST, "fast"),
        (float("inf"), "inf"), ("ü", "ü"),
    ],
)  # fmt: skip
def test_values_have_all_their_digits(value, text):
    assert rendered("$x", {"x": value}, "in.txt") == text


@pytest.mark.parametrize("value", [np.zeros(3), [1, 2], {"a": 1}, None, object()])
def test_values_without_a_certain_text_are_an_error(value):
    with pytest.raises(
        SimkitError, match=r"in.txt:2: parameter 'x' is a .*\n    say how: run.template\(…, x="
    ):
        rendered("\n$x", {"x": value}, "in.txt")


def test_a_missing_name_is_an_error_with_the_line_and_the_nearest():
    with pytest.raises(SimkitError) as error:
        rendered("a\nb = ${neuron.tua}", VALUES, "in.txt")
    assert str(error.value).startswith("in.txt:2: no parameter 'neuron.tua'; did you mean 'neuron.tau'?")
    with pytest.raises(SimkitError, match=r"in.txt:1: a dollar sign without a name: write \$\$"):
        rendered("5 $ and", VALUES, "in.txt")


def test_a_template_is_written_into_the_folder_of_the_run(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    (home / "in.txt").write_bytes(b"$x\r\n\xff$y")
    run = Run(workdir=tmp_path / "work", parameters={"x": 1})
    (tmp_path / "work").mkdir()
    assert run.template("in.txt", "deep/out.txt", y=2) == tmp_path / "work" / "deep" / "out.txt"
    assert (tmp_path / "work" / "deep" / "out.txt").read_bytes() == b"1\r\n\xff2"
    with pytest.raises(SimkitError, match=r"in.tx: No such file.*; did you mean 'in.txt'\?"):
        run.template("in.tx", "out.txt")
    with pytest.raises(SimkitError, match="deep: "):
        run.template("in.txt", "deep", y=2)


def test_a_run_that_only_collects_has_a_folder_that_ends_with_it():
    run = Run()
    folder = Path(
        run.command([sys.executable, "-c", "import os; print(os.getcwd())"], text=True).stdout.strip()
    )
    assert folder.is_dir()
    del run
    gc.collect()
    assert not folder.exists()
