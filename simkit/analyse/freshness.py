"""Is what follows the runs as new as they are?"""

from __future__ import annotations

from simkit.record.constants import AFTER
from simkit.record.recorded import Recorded
from simkit.record.summary import read_state


def state_of_summary(recorded: Recorded) -> str:
    """What to know of the derived values before using them, or nothing."""
    states = {name: read_state(recorded.root, name) for name in recorded.root.get(AFTER, {})}
    failed = [name for name, state in states.items() if state["status"] != "done"]
    if failed:
        return f"after {', '.join(failed)} failed: traj.error({failed[0]!r}) tells why"
    old = [name for name, state in states.items() if state["runs"] != recorded.digest]
    return f"after {', '.join(old)}: older than the newest runs" if old else ""
