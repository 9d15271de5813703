"""The automata example: is the simulator right, is what it gives recorded, is the picture drawn?"""

import importlib.util
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import matplotlib.image
import numpy as np
import pytest

import simkit

Python = Callable[..., str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "automata"
RULES = [10, 30, 90, 110, 184, 190]


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def develop(state: list[int], rule: int, steps: int) -> list[list[int]]:
    """The same automaton by looking up neighbourhoods, written as text, in a table."""
    neighbourhoods = ["111", "110", "101", "100", "011", "010", "001", "000"]
    table = dict(zip(neighbourhoods, f"{rule:08b}", strict=True))
    rows = ["".join(map(str, state))]
    while len(rows) < steps:
        ring = rows[-1][-1] + rows[-1] + rows[-1][0]
        rows.append("".join(table[ring[i : i + 3]] for i in range(len(state))))
    return [[int(cell) for cell in row] for row in rows]


@pytest.fixture(scope="module")
def folder(python: Python, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, run once."""
    target = tmp_path_factory.mktemp("study") / "automata"
    shutil.copytree(EXAMPLE, target, ignore=shutil.ignore_patterns("results", "__pycache__"))
    python(target, "-m", "simkit", "-n", "2")
    return target


@pytest.fixture(scope="module")
def simulator() -> ModuleType:
    return module(EXAMPLE / "automaton.py")


@pytest.mark.parametrize("rule", range(256))
def test_each_rule_equals_a_table_lookup(simulator: ModuleType, rule: int) -> None:
    draw = random.Random(rule)
    for cells in (3, 10, 61):
        state = [draw.randrange(2) for _ in range(cells)]
        pattern = simulator.cellular_automaton(np.array(state), rule, 40)
        assert pattern.tolist() == develop(state, rule, 40)


@pytest.mark.parametrize(
    ("neighbourhood", "state"),
    [("111", 0), ("110", 1), ("101", 1), ("100", 0), ("011", 1), ("010", 1), ("001", 1), ("000", 0)],
)
def test_rule_110_is_the_table_of_the_paper(simulator: ModuleType, neighbourhood: str, state: int) -> None:
    cells = np.array([0, *map(int, neighbourhood), 0])

    assert simulator.cellular_automaton(cells, 110, 2)[1, 2] == state


def test_the_simulator_leaves_its_input_alone_and_knows_nothing_of_simkit(simulator: ModuleType) -> None:
    state = np.array([0, 1, 1, 0, 1])
    simulator.cellular_automaton(state, 30, 5)

    assert state.tolist() == [0, 1, 1, 0, 1]
    assert "import simkit" not in (EXAMPLE / "automaton.py").read_text("utf-8")
    assert "from simkit" not in (EXAMPLE / "automaton.py").read_text("utf-8")


def test_six_rules_are_recorded_from_one_random_state(folder: Path) -> None:
    with simkit.open(folder / "results" / "automata-001.h5") as traj:
        state = traj.parameters.initial_state
        assert traj["rule_number"].tolist() == RULES
        assert (traj.parameters.initial, traj.parameters.cells, traj.parameters.steps) == ("random", 400, 250)
        assert traj.parameters.seed == 100042
        assert set(state.tolist()) == {0, 1}
        assert 150 < state.sum() < 250
        assert traj["pattern"].shape == (6, 250, 400)
        for run, rule in zip(traj.runs, RULES, strict=True):
            assert run.pattern.tolist() == develop(state.tolist(), rule, 250)


def test_a_single_cell_grows_the_triangle_of_rule_90(python: Python, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "single.h5"
    python(
        folder,
        "-m",
        "simkit",
        "sim_automata.py::automata",
        "--set",
        "initial=single",
        "--output",
        str(output),
    )

    with simkit.open(output) as traj:
        pattern = traj.where(rule_number=90)["pattern"][0]
    assert np.flatnonzero(pattern[0]).tolist() == [200]
    assert np.flatnonzero(pattern[8]).tolist() == [192, 208]
    assert [int(row.sum()) for row in pattern[:8]] == [1, 2, 2, 4, 2, 4, 4, 8]


def test_another_seed_is_another_state_and_the_same_seed_the_same(
    python: Python, folder: Path, tmp_path: Path
) -> None:
    states = []
    for number, seed in enumerate((1, 2, 1)):
        output = tmp_path / f"{number}.h5"
        python(folder, "-m", "simkit", "-n", "0", "--set", f"seed={seed}", "--output", str(output))
        with simkit.open(output) as traj:
            states.append(traj.parameters.initial_state.tolist())

    assert states[0] == states[2]
    assert states[0] != states[1]


def test_the_picture_shows_each_pattern_in_its_panel(python: Python, folder: Path, tmp_path: Path) -> None:
    trajectory, picture = folder / "results" / "automata-001.h5", tmp_path / "all.png"
    printed = python(folder, "plot_automata.py", str(trajectory), str(picture))
    plot = module(EXAMPLE / "plot_automata.py")

    pixels = matplotlib.image.imread(picture)[:, :, :3].mean(axis=2)
    height, width = pixels.shape
    assert "6 patterns of automata-001.h5" in printed
    with simkit.open(trajectory) as traj:
        figure = plot.draw(traj)
        figure.canvas.draw()
        assert [panel.get_title() for panel in figure.axes] == [f"rule {rule}" for rule in RULES]
        for panel, pattern in zip(figure.axes, traj["pattern"], strict=True):
            box = panel.get_position()
            top, bottom = round((1 - box.y1) * height) + 4, round((1 - box.y0) * height) - 4
            left, right = round(box.x0 * width) + 4, round(box.x1 * width) - 4
            shown = pixels[top:bottom, left:right]
            assert (right - left) / (bottom - top) == pytest.approx(400 / 250, rel=0.03)
            assert shown.std() > 0.1
            assert 1 - shown.mean() == pytest.approx(pattern.mean(), abs=0.03)
    plot.plt.close(figure)


def test_the_analysis_without_arguments_draws_the_newest(python: Python, folder: Path) -> None:
    python(folder, "plot_automata.py")

    with (folder / "results" / "automata-001.png").open("rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
