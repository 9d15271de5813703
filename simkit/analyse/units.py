"""Quantities as plain numbers and the name of their unit, for what knows no units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory


def magnitude(trajectory: Trajectory, name: str, values: Any) -> tuple[Any, str]:
    """A name's values without their unit, and the unit: the quantity's own, else the declared one."""
    if hasattr(values, "magnitude") and hasattr(values, "units"):  # pint
        return np.asanyarray(values.magnitude), str(values.units)
    if hasattr(values, "dim") and hasattr(values, "get_best_unit"):  # Brian2, whose numbers are SI
        return np.asarray(values), str(type(values)(1.0, dim=values.dim).get_best_unit())
    if hasattr(values, "unit"):  # astropy, or a quantity of a package that is not installed here
        return np.asarray(values), str(values.unit)
    return values, declared_unit(trajectory, name)


def declared_unit(trajectory: Trajectory, name: str) -> str:
    """The unit that stands beside a name in the file."""
    return trajectory._recorded.about(name).unit if name in trajectory else ""
