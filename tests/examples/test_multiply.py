"""The multiply example through the command: is the file what the README promises?"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import simkit

Python = Callable[..., str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "multiply"
X, Y = [1.0, 2.0, 3.0, 4.0], [6.0, 7.0, 8.0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "multiply", ignore=shutil.ignore_patterns("results")))


@pytest.mark.parametrize("workers", ["0", "1", "2"])
def test_both_files_give_the_outer_product(python: Python, folder: Path, workers: str) -> None:
    python(folder, "-m", "simkit", "-n", workers)

    assert sorted(path.name for path in (folder / "results").iterdir()) == [
        "multiply-001.h5",
        "multiply_added-001.h5",
    ]
    for name in ("multiply", "multiply_added"):
        with simkit.open(folder / "results" / f"{name}-001.h5") as traj:
            assert traj["x"].tolist() == np.repeat(X, 3).tolist()
            assert traj["y"].tolist() == np.tile(Y, 4).tolist()
            assert traj["z"].dtype == np.float64
            assert np.array_equal(traj["z"].reshape(4, 3), np.outer(X, Y))
            assert traj.status.tolist() == ["done"] * 12


def test_added_and_returned_are_recorded_the_same(python: Python, folder: Path) -> None:
    python(folder, "-m", "simkit", "-n", "0")

    columns = []
    for name in ("multiply", "multiply_added"):
        with h5py.File(folder / "results" / f"{name}-001.h5") as file:
            found: dict[str, list[float]] = {}
            for section in ("parameters", "results"):
                file[name][section].visititems(
                    lambda key, node, section=section, found=found: (
                        found.update({f"{section}/{key}": node[()].tolist()})
                        if isinstance(node, h5py.Dataset)
                        else None
                    )
                )
            columns.append(found)

    assert columns[0] == columns[1]
    assert columns[0]["results/z"] == np.outer(X, Y).ravel().tolist()


def test_one_file_of_the_two_can_be_named(python: Python, folder: Path) -> None:
    python(folder, "-m", "simkit", "sim_multiply_added.py::multiply_added")

    assert [path.name for path in (folder / "results").iterdir()] == ["multiply_added-001.h5"]


def test_the_reading_script_shows_column_run_and_selection(python: Python, folder: Path) -> None:
    python(folder, "-m", "simkit", "-n", "0")

    printed = python(folder, "read.py")

    assert "[ 6.  7.  8. 12. 14. 16. 18. 21. 24. 24. 28. 32.]" in printed
    assert "run 3: 2.0 * 6.0 = 12.0" in printed
    assert "z where x > 2 and y == 7: [21. 28.]" in printed
    assert re.search(r"^11 +4\.0 +8\.0 +32\.0$", printed, re.MULTILINE)


def test_the_functions_stay_ordinary_functions(python: Python, folder: Path) -> None:
    code = "from sim_multiply import multiply; print(multiply(2, 3))"

    assert python(folder, "-c", code) == "{'z': 6}\n"


def test_the_stack_in_the_readme_gives_the_order_of_the_paper(python: Python, folder: Path) -> None:
    source = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text("utf-8"), re.DOTALL)
    assert source is not None
    (folder / "sim_stacked.py").write_text(source[1], "utf-8")

    python(folder, "-m", "simkit", "-n", "0", "sim_stacked.py")

    with simkit.open(folder / "results" / "multiply_x_fastest-001.h5") as traj:
        assert traj["x"].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]
        assert traj["y"].tolist() == [6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8]
        assert traj["z"].tolist() == [6, 12, 18, 24, 7, 14, 21, 28, 8, 16, 24, 32]
