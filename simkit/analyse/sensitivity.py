"""Which parameters does a result depend on, and how much?"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.selection import Selection
from simkit.analyse.tables import real_numbers
from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@attrs.frozen(eq=False, repr=False)
class Sensitivity:
    """How much a result depends on each explored parameter; made by `Trajectory.sensitivity`.

    Attributes
    ----------
    name
        The result.
    table
        A row for each parameter. After `saltelli`: ``S1``, the part of the result's variance that the
        parameter explains alone, ``ST``, the part in which it takes part at all, and half the width of their
        confidence intervals, ``S1_conf`` and ``ST_conf``. After `morris`: the elementary effects' mean
        ``mu``, mean magnitude ``mu_star`` and standard deviation ``sigma``, in the result's unit over the
        whole range of the parameter, and ``mu_star_conf``.
    interactions
        ``S2`` and ``S2_conf`` of each two parameters, where the design is of second order; else None.
    blocks
        How many blocks of the design were used.
    left_out
        The numbers of the blocks that were not: a run in them is not done, or its result is no number.
    """

    name: str
    table: pd.DataFrame
    interactions: pd.DataFrame | None
    blocks: int
    left_out: Index

    @property
    def words(self) -> str:
        """From how many blocks, and which ones were left out."""
        total = self.blocks + len(self.left_out)
        if not len(self.left_out):
            return f"{self.name}: all {total} blocks"
        numbers = ", ".join(map(str, self.left_out[:_MOST_NUMBERS].tolist()))
        more = len(self.left_out) - _MOST_NUMBERS
        rest = f", … ({more} more)" if more > 0 else ""
        which = (
            f"{len(self.left_out)} left out, in which a run is not done or gave no number: {numbers}{rest}"
        )
        return f"{self.name}: {self.blocks} of {total} blocks; {which}"

    @property
    def _tables(self) -> list[pd.DataFrame]:
        return [self.table, *([] if self.interactions is None else [self.interactions])]

    def _format(self, number: float) -> str:
        return f"{number:.3f}" if "S1" in self.table else f"{number:.3g}"  # effects have units

    def __repr__(self) -> str:
        shown = [table.to_string(float_format=self._format) for table in self._tables]
        return "\n\n".join([textwrap.fill(self.words, 110, subsequent_indent="    "), *shown])

    def _repr_html_(self) -> str:
        shown = [table.to_html(float_format=self._format) for table in self._tables]
        return "".join([f"<p>{self.words}</p>", *shown])

    def draw(self, axes: Axes, style: dict[str, Any]) -> None:
        """Bars of first and total order; or after `morris`, spread over mean magnitude of the effects."""
        if "S1" in self.table:
            self._bars(axes, style)
        else:
            self._effects(axes, style)
        if len(self.left_out):
            axes.annotate(
                f"{self.blocks} of {self.blocks + len(self.left_out)} blocks", (1, 1.01), xycoords="axes fraction",
                ha="right", va="bottom", fontsize="small", color="0.4",
            )  # fmt: skip

    def _bars(self, axes: Axes, style: dict[str, Any]) -> None:
        places = np.arange(len(self.table))
        looks = (("S1", "alone (first order)", -0.2), ("ST", "with others (total order)", 0.2))
        for column, label, shift in looks:
            look = {"height": 0.38, "capsize": 3, "error_kw": {"elinewidth": 1, "ecolor": "0.3"}, **style}
            errors = self.table[f"{column}_conf"].to_numpy()
            axes.barh(places + shift, self.table[column].to_numpy(), xerr=errors, label=label, **look)
        axes.set_yticks(places, [str(name) for name in self.table.index])
        axes.invert_yaxis()  # the first name on top
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_xlabel(f"part of the variance of {self.name}")
        axes.legend()

    def _effects(self, axes: Axes, style: dict[str, Any]) -> None:
        across, up = self.table["mu_star"].to_numpy(), self.table["sigma"].to_numpy()
        look = {"fmt": "o", "capsize": 3, "elinewidth": 1, **style}
        axes.errorbar(across, up, xerr=self.table["mu_star_conf"].to_numpy(), **look)
        for name, x, y in zip(self.table.index, across, up, strict=True):
            axes.annotate(str(name), (x, y), xytext=(5, 5), textcoords="offset points")
        axes.set_xlim(left=min(0.0, float(axes.get_xlim()[0])))
        axes.set_xlabel(f"mean magnitude of the effects on {self.name}")
        axes.set_ylabel("their standard deviation")


_MOST_NUMBERS = 60  # of blocks that are named
_SEED = 1  # of the bootstrap: the same question has the same answer


@attrs.frozen(eq=False)
class Block:
    """Results of a design, block by block.

    Attributes
    ----------
    values
        Mean over trials, shape ``(blocks, width)``; NaN where a trial is missing.
    roles
        The roles of the columns, shape ``(width,)``; of Morris' design without their signs.
    signs, first
        Of each value's run: the sign of its role, and the lowest run number; shape as that of the values.
    numbers
        The blocks' numbers.
    """

    values: Array
    roles: Array
    signs: Array
    first: Array
    numbers: Index

    @property
    def complete(self) -> Array:
        """Which blocks have all their results, shape ``(blocks,)``."""
        return np.asarray(np.isfinite(self.values).all(axis=1))


def sensitivity(
    selection: Selection, name: str, resamples: int = 100, confidence: float = 0.95
) -> Sensitivity:
    """Estimate sensitivity indices with SALib, from those blocks of the design that are complete.

    Raises
    ------
    SimkitError
        Without a design or a complete block, for a result that is no number or the same everywhere, when
        more was explored than the design, or without SALib.
    """
    design = _design(selection)
    values, _ = real_numbers(selection, name, "analysed")
    is_morris = design["kind"] == "morris"
    blocks = _blocks(selection, values, design, is_morris)
    complete = blocks.complete & (_in_order(blocks) if is_morris else True)
    left_out, used = blocks.numbers[~complete], int(complete.sum())
    if used < 2:
        msg = (
            f"{name}: {used} of {len(complete)} blocks are complete, and sensitivity needs two at least: "
            f"simkit runs what is missing"
        )
        raise SimkitError(msg)
    if np.ptp(blocks.values[complete]) == 0:
        msg = f"{name} is {blocks.values[complete].flat[0]:g} in all runs: it depends on nothing that was explored"
        raise SimkitError(msg)
    estimate = _effects if is_morris else _indices
    table, interactions = estimate(
        blocks, complete, design, {"num_resamples": resamples, "conf_level": confidence}
    )
    return Sensitivity(name, table, interactions, used, left_out)


def _design(selection: Selection) -> dict[str, Any]:
    recorded = selection.recorded
    designs = json.loads(recorded.attributes["fingerprint"]).get("designs", [])
    if len(designs) != 1:
        what = "by several designs" if designs else "by saltelli() or morris()"
        first = f"{recorded.name} was {'' if designs else 'not '}explored {what}"
        msg = f"{first}: sensitivity is told from the runs of one such design"
        raise SimkitError(msg)
    design: dict[str, Any] = designs[0]
    return design


def _blocks(selection: Selection, values: Array, design: dict[str, Any], is_morris: bool) -> Block:
    """Bring the results into the order of the design, and average over trials."""
    block, role = selection.run_column("block"), selection.run_column("role")
    belongs = block >= 0
    runs, values, block, role = (a[belongs] for a in (selection.runs, values, block, role))
    d = len(design["names"])
    roles = np.arange(0, d + 1 if is_morris else d + 2)
    if not is_morris and (role < 0).any():
        roles = np.concatenate([roles[:-1], -roles[1:-1], roles[-1:]])  # SALib's order
    place = np.argsort(roles)[np.searchsorted(np.sort(roles), np.abs(role) if is_morris else role)]
    numbers, row = np.unique(block, return_inverse=True)
    cell, shape = row * len(roles) + place, (len(numbers), len(roles))
    _check_unique(selection, runs, cell, design)
    count = np.bincount(cell, minlength=shape[0] * shape[1])
    with np.errstate(invalid="ignore"):
        mean = np.bincount(cell, values, len(count)) / count  # NaN where one of them is, or there is none
    first, signs = np.full(len(count), np.iinfo(np.int64).max), np.zeros(len(count), np.int64)
    np.minimum.at(first, cell, runs)
    signs[cell] = np.sign(role)
    return Block(mean.reshape(shape), roles, signs.reshape(shape), first.reshape(shape), numbers)


def _check_unique(selection: Selection, runs: Index, cell: Array, design: dict[str, Any]) -> None:
    """Besides trials, each point of the design has one run."""
    trials = selection.recorded.run_column("trial")
    trial = np.zeros(len(runs), np.int64) if trials is None else np.asarray(trials)[runs]
    order = np.lexsort((trial, cell))
    twice = (np.diff(cell[order]) == 0) & (np.diff(trial[order]) == 0)
    if twice.any():
        at = int(np.argmax(twice))
        one, other = sorted(int(runs[order[i]]) for i in (at, at + 1))
        others = [name for name in selection.recorded.explored if name not in design["names"]]
        cure = f"traj.where({others[0]}=…)" if others else f"traj.where('run != {other}')"
        msg = f"runs {one} and {other} are the same point of the design: choose between them with {cure}.sensitivity"
        raise SimkitError(msg)


def _in_order(blocks: Block) -> Array:
    """Which blocks of Morris' design begin with their first point."""
    return np.asarray(blocks.first.argmin(axis=1) == 0)


def _indices(
    blocks: Block, complete: Array, design: dict[str, Any], settings: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Sobol's indices, of second order too where the design has it."""
    import pandas as pd

    names, second = design["names"], bool((blocks.roles < 0).any())
    analyze = _salib("sobol").analyze
    found = analyze(
        _problem(names), blocks.values[complete].ravel(), calc_second_order=second, seed=_SEED, **settings
    )
    columns = ("S1", "S1_conf", "ST", "ST_conf")
    table = pd.DataFrame({column: np.asarray(found[column]) for column in columns}, index=names)
    if not second:
        return table, None
    pairs = np.triu_indices(len(names), 1)
    index = pd.MultiIndex.from_tuples([(names[i], names[j]) for i, j in zip(*pairs, strict=True)])
    return table, pd.DataFrame({column: found[column][pairs] for column in ("S2", "S2_conf")}, index=index)


def _effects(
    blocks: Block, complete: Array, design: dict[str, Any], settings: dict[str, Any]
) -> tuple[pd.DataFrame, None]:
    """Morris' elementary effects; SALib sees from the points only which name went up or down."""
    import pandas as pd

    names = design["names"]
    order = np.argsort(blocks.first[complete], axis=1)
    values = np.take_along_axis(blocks.values[complete], order, axis=1)
    signs = np.take_along_axis(blocks.signs[complete], order, axis=1)
    steps = (order[:, :, None] == np.arange(1, len(names) + 1)) * signs[:, :, None]
    points = np.cumsum(steps, axis=1, dtype=float)
    found = _salib("morris").analyze(
        _problem(names), points.reshape(-1, len(names)), values.ravel(), num_levels=design["levels"],
        seed=_SEED, **settings,
    )  # fmt: skip
    columns = ("mu", "mu_star", "sigma", "mu_star_conf")
    return pd.DataFrame({column: np.asarray(found[column], float) for column in columns}, index=names), None


def _problem(names: list[str]) -> dict[str, Any]:
    return {"num_vars": len(names), "names": names, "bounds": [[0, 1]] * len(names)}


def _salib(method: str) -> Any:
    try:
        from importlib import import_module

        return import_module(f"SALib.analyze.{method}")
    except ImportError:
        msg = 'traj.sensitivity needs SALib: pip install "simkit[sensitivity]"'
        raise SimkitError(msg) from None
