"""Does a recorded trajectory hold runs of this plan?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from simkit.collect.code import changes
from simkit.collect.groups import leaves
from simkit.collect.plan import Plan
from simkit.collect.requests import MISSING, fields
from simkit.errors import Unstorable
from simkit.record.layout import PART_OF
from simkit.record.recorded import Recorded
from simkit.values.decode import decode
from simkit.values.same import digest


def fingerprint(plan: Plan) -> dict[str, Any]:
    """What must agree for runs to belong to one trajectory, the code aside."""
    constants: dict[str, str] = {}
    for node in plan.nodes.values():
        if node.kind == "constant":
            constants.update(_digests(node.name, node.value))
        elif node.kind == "group" and node.make is not None:
            defaults = {name: request.default for name, request in fields(node.make).items()}
            for name, default in defaults.items():
                if default is not MISSING and f"{node.name}.{name}" not in plan.nodes:
                    constants.update(_digests(f"{node.key}.{name}", default))
    return {"constants": constants, "explored": sorted(plan.space.names)}


def _digests(name: str, value: Any) -> dict[str, str]:
    found = {}
    for leaf, inner in leaves(name, value).items():
        try:
            found[leaf] = digest(inner)
        except Unstorable:
            found[leaf] = repr(inner)
    return found


@attrs.frozen
class Difference:
    """How a recorded trajectory differs from the plan; empty means that it can be continued."""

    other: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    code: tuple[str, ...] = ()

    @property
    def is_bridgeable(self) -> bool:
        """Whether the trajectory can be continued all the same: its points and seeds are of the same kind."""
        return not self.other

    def __bool__(self) -> bool:
        return bool(self.other or self.constants or self.code)

    @property
    def words(self) -> list[str]:
        """All differences, for people."""
        return [*self.other, *self.constants, *self.code]


def difference(plan: Plan, recorded: Recorded, seed: int | None) -> Difference:
    """Compare the plan with what is recorded."""
    if recorded.attributes["node_id"] != plan.node_id:
        return Difference((f"it belongs to {recorded.attributes['node_id']}",))
    if PART_OF in recorded.attributes:
        return Difference((f"it is only a part of {recorded.attributes[PART_OF]}",))
    known, now = json.loads(recorded.attributes["fingerprint"]), fingerprint(plan)
    if known["explored"] != now["explored"]:
        words = f"explored {', '.join(known['explored']) or 'nothing'}, now {', '.join(now['explored']) or 'nothing'}"
        return Difference((words,))
    root = int(recorded.attributes["root_seed"])
    other = (f"seed {root}, now {seed}",) if seed is not None and seed != root else ()
    sessions = recorded.sessions
    before = sessions[-1].get("code", {}) if sessions else {}
    changed = tuple(_changed_constants(plan, recorded, known["constants"], now["constants"]))
    return Difference(other, changed, tuple(changes(before, plan.code)))


def _changed_constants(
    plan: Plan, recorded: Recorded, known: Mapping[str, str], now: Mapping[str, str]
) -> list[str]:
    words = []
    for name in [*known, *(name for name in now if name not in known)]:
        if known.get(name) == now.get(name):
            continue
        before = (
            repr(decode(recorded.constant(name))[0])
            if name in recorded.names("parameters") and recorded.is_constant(name)
            else "not set"
        )
        node = plan.nodes.get(name)
        after = repr(node.value) if node is not None and node.kind == "constant" else "another value"
        words.append(f"{name} was {before}, now {after}")
    return words
