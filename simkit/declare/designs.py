"""Designs of sensitivity analysis: points in blocks, from which one learns what a result depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import BLOCK_NUMBER, ROLE, Array, Index, Values
from simkit.declare.sampling import (
    Distribution,
    Marginal,
    OneOf,
    Sampled,
    Sequence,
    balance,
    checked_method,
    checked_seed,
    choices,
    count,
    marginals,
    written,
)
from simkit.declare.space import Space
from simkit.errors import SimkitError, caller


def saltelli(
    n: int,
    points: Mapping[str, Any] | None = None,
    /,
    *,
    second_order: bool = False,
    seed: int = 0,
    **axes: Any,
) -> Space:
    """The points from which ``traj.sensitivity(result)`` tells Sobol's sensitivity indices.

    Parameters
    ----------
    n
        How many blocks; a block has ``d + 2`` points, where d is the number of names, and ``2 d + 2`` with
        ``second_order``. A larger ``n`` keeps the first blocks.
    points
        Names with dots, as for `sample`.
    second_order
        Whether interactions of two names shall be told, too; it may be asked for later, then only the
        additional points are run.
    seed
        As for `sample`.
    **axes
        A pair, a list or a distribution for each name, as for `sample`.

    Returns
    -------
    Space
        ``n`` blocks of ``d + 2`` points, or ``2 d + 2`` with ``second_order``.

    Raises
    ------
    SimkitError
        As for `sample`, and for fewer than two names.

    Notes
    -----
    A block is two rows A and B of scrambled Sobol points, and for each name the row A with this name's value
    from B (and for second order B with the value from A): in this order A, A with x from B, …, B, which is
    that of SALib. Each run's ``traj["block"]`` and ``traj["role"]`` are recorded. The role is 0 for A, i for A
    with the i-th name from B, -i for B with it from A, and d + 1 for B.

    References
    ----------
    Saltelli et al. (2010), Variance based sensitivity analysis of model output,
    doi:10.1016/j.cpc.2009.09.018.

    Examples
    --------
    >>> len(saltelli(256, x=(0, 1), y=(-1, 1)))
    1024
    """
    blocks, given = count("saltelli", n, "blocks"), marginals("saltelli", points, axes)
    _check_several("saltelli", given)
    checked_method("sobol", blocks)
    if not isinstance(second_order, bool):
        msg = f"{caller()}: second_order={second_order!r}: give True or False"
        raise SimkitError(msg)
    rows = Sequence("sobol", blocks, 2 * len(given), checked_seed(seed))
    design = {"kind": "saltelli", **_written_axes(given), "seed": int(seed)}
    words = written(f"saltelli({n}", given, f"second_order={second_order}, seed={seed}")
    remarks = (*balance("sobol", blocks), *choices(given))
    return Space(Sampled(given, Saltelli(rows, len(given), second_order), words, remarks, design))


def morris(
    n: int,
    points: Mapping[str, Any] | None = None,
    /,
    *,
    levels: int = 4,
    seed: int = 0,
    **axes: Any,
) -> Space:
    """The points from which ``traj.sensitivity(result)`` tells which names matter at all, by Morris' method.

    Parameters
    ----------
    n
        How many blocks; a block has ``d + 1`` points, where d is the number of names. 10 to 50 are usual. A
        larger ``n`` keeps the first blocks.
    points
        Names with dots, as for `sample`.
    levels
        How many values each name takes, an even number: 0, 1/3, 2/3 and 1 of the way through a pair, or of
        the probability of a distribution.
    seed
        As for `sample`.
    **axes
        As for `sample`; a distribution must have ends, for the grid begins and ends there.

    Returns
    -------
    Space
        ``n`` blocks of ``d + 1`` points.

    Raises
    ------
    SimkitError
        As for `sample`, for fewer than two names, and for a distribution without ends.

    Notes
    -----
    A block begins at a random point of the grid, and changes one name after the other by half the levels, in
    random order. Each run's ``traj["block"]`` and ``traj["role"]`` are recorded; the role is 0 for the first
    point of a block, i where the i-th name was raised, and -i where it was lowered.

    References
    ----------
    Morris (1991), Factorial sampling plans for preliminary computational experiments,
    doi:10.1080/00401706.1991.10484804.

    Examples
    --------
    >>> len(morris(20, x=(0, 1), y=(-1, 1)))
    60
    """
    blocks, given = count("morris", n, "blocks"), marginals("morris", points, axes)
    _check_several("morris", given)
    if isinstance(levels, bool) or not isinstance(levels, (int, np.integer)) or levels < 2 or levels % 2:
        msg = f"{caller()}: levels={levels!r}: give an even number from 2 on"
        raise SimkitError(msg)
    for name, one in given.items():
        if isinstance(one, Distribution) and not one.has_ends:
            msg = (
                f"{caller()}: {name}={one.words} has no ends, and morris() begins and ends there\n"
                f"    give a pair, or cut the tails off: scipy.stats.truncate(…, lb=…, ub=…)"
            )
            raise SimkitError(msg)
    design = {"kind": "morris", **_written_axes(given), "levels": int(levels), "seed": checked_seed(seed)}
    words = written(f"morris({n}", given, f"levels={levels}, seed={seed}")
    return Space(
        Sampled(given, Morris(blocks, len(given), int(levels), int(seed)), words, choices(given), design)
    )


def _check_several(verb: str, given: Mapping[str, Marginal]) -> None:
    if len(given) < 2:
        msg = f"{caller()}: {verb}() tells names apart: give it two at least, and not only {', '.join(given)}"
        raise SimkitError(msg)


def _written_axes(given: Mapping[str, Marginal]) -> dict[str, Any]:
    """The axes as lists, in order, since JSON objects are compared without it."""
    words = [one.all_words if isinstance(one, OneOf) else one.words for one in given.values()]
    return {"names": list(given), "axes": words}


@attrs.frozen(eq=False)
class Saltelli:
    """Blocks of points that swap one name's value between two rows; see `saltelli`.

    Attributes
    ----------
    rows
        A and B side by side.
    """

    rows: Sequence
    dimensions: int
    second_order: bool

    @property
    def roles(self) -> Array:
        """The roles of a block's points in order, shape ``(width,)``."""
        names = np.arange(1, self.dimensions + 1)
        swapped = (names, -names) if self.second_order else (names,)
        return np.concatenate([[0], *swapped, [self.dimensions + 1]])

    def __len__(self) -> int:
        return len(self.rows) * len(self.roles)

    def at(self, index: Index) -> Array:
        """The points at these positions, shape ``(len(index), dimensions)``."""
        d, roles = self.dimensions, self.roles
        block, place = np.divmod(index, len(roles))
        rows, role = self.rows.at(block), roles[place][:, None]
        is_swapped = np.abs(role) == np.arange(1, d + 1)
        from_b = (is_swapped & (role > 0)) | (~is_swapped & (role < 0)) | (role == d + 1)
        return np.where(from_b, rows[:, d:], rows[:, :d])

    def marks(self, index: Index) -> dict[str, Values]:
        """Block and role of these points."""
        block, place = np.divmod(index, len(self.roles))
        return {BLOCK_NUMBER: Values(block, native=True), ROLE: Values(self.roles[place], native=True)}


@attrs.frozen(eq=False)
class Morris:
    """Blocks of points that change one name after the other; see `morris`."""

    blocks: int
    dimensions: int
    levels: int
    seed: int

    def __len__(self) -> int:
        return self.blocks * (self.dimensions + 1)

    def at(self, index: Index) -> Array:
        """The points at these positions, shape ``(len(index), dimensions)``."""
        points = np.empty((len(index), self.dimensions))
        for rows, place, block in self._by_block(index):
            points[rows] = self.block(block)[0][place]
        return points

    def marks(self, index: Index) -> dict[str, Values]:
        """Block and role of these points."""
        roles = np.empty(len(index), np.int64)
        for rows, place, block in self._by_block(index):
            roles[rows] = self.block(block)[1][place]
        number = index // (self.dimensions + 1)
        return {BLOCK_NUMBER: Values(number, native=True), ROLE: Values(roles, native=True)}

    def _by_block(self, index: Index) -> list[tuple[Array, Index, int]]:
        """Which of the points each block holds, and their places in it."""
        numbers, place = np.divmod(index, self.dimensions + 1)
        which = [(numbers == number, number) for number in np.unique(numbers).tolist()]
        return [(rows, place[rows], number) for rows, number in which]

    def block(self, number: int) -> tuple[Array, Array]:
        """The points of a block, shape ``(d + 1, d)``, and their roles, shape ``(d + 1,)``."""
        d, half = self.dimensions, self.levels // 2
        rng = np.random.default_rng([self.seed, number])
        lowest, is_lowered, order = rng.integers(half, size=d), rng.integers(2, size=d), rng.permutation(d)
        changed = np.zeros((d + 1, d), np.int64)  # whether a name has been changed yet
        for step, name in enumerate(order.tolist(), 1):
            changed[step:, name] = 1
        level = lowest + half * (changed ^ is_lowered)
        sign = np.where(is_lowered, -1, 1)
        return level / (self.levels - 1), np.concatenate([[0], (order + 1) * sign[order]])
