"""Which trajectories are to be merged with which, and may they be?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from simkit.errors import SimkitError, shown_path
from simkit.record.recorded import Recorded, experiments
from simkit.record.survey import Source


def is_listed(target: Path, files: Sequence[str | os.PathLike[str]]) -> bool:
    """Whether the target is one of the sources."""
    return any(os.path.realpath(_split(file)[0]) == os.path.realpath(target) for file in files)


def _split(file: str | os.PathLike[str]) -> tuple[Path, str]:
    """A file, and the experiment after ``::``."""
    path, _, name = os.fspath(file).partition("::")
    return Path(path), name


def source_sets(target: Path, files: Sequence[str | os.PathLike[str]]) -> dict[str, list[Source]]:
    """Which sources make which experiment: groups of one name, or those that were named."""
    named = any(_split(file)[1] for file in files)
    sets: dict[str, list[Source]] = {}
    seen: set[tuple[str, str]] = set()
    for file in files:
        path, name = _split(file)
        groups = experiments(path)
        if named and not name and len(groups) > 1:
            msg = (
                f"{shown_path(path)} holds several experiments: name one of {', '.join(groups)} as FILE::NAME"
            )
            raise SimkitError(msg)
        held = os.path.realpath(path) == os.path.realpath(target)
        if held and named and len(groups) > 1:
            msg = f"{shown_path(path)} holds other experiments too: merge into a new file"
            raise SimkitError(msg)
        for group in [name] if name else groups:
            if (os.path.realpath(path), group) in seen:
                msg = f"{shown_path(path)} is named twice"
                raise SimkitError(msg)
            seen.add((os.path.realpath(path), group))
            Recorded.open(path, group).close()  # says so if it is not there
            key = next(iter(sets), group) if named else group
            sets.setdefault(key, []).append(Source(path, group, held))
    _check_common(sets, [_split(file)[0] for file in files])
    return sets


def _check_common(sets: dict[str, list[Source]], paths: Sequence[Path]) -> None:
    """Each file must have an experiment in common with another."""
    shared = {source.path for sources in sets.values() if len(sources) > 1 for source in sources}
    for path in paths:
        if len(set(paths)) > 1 and path not in shared:
            mine = [group for group, sources in sets.items() if any(s.path == path for s in sources)]
            others = [group for group in sets if group not in mine]
            msg = (
                f"{shown_path(path)} holds {', '.join(mine) or 'no experiment'}, "
                f"the other files {', '.join(others)}\n    only trajectories of one experiment can be merged"
            )
            raise SimkitError(msg)
    if not sets:
        msg = "no trajectory is in these files"
        raise SimkitError(msg)


def check_shard(target: Path, sets: dict[str, list[Source]]) -> None:
    """Someone who writes ``simkit merge study-001.shard-*.h5`` has forgotten to say where to."""
    stem, _, part = target.stem.partition(".shard-")
    if part and any(s.held for sources in sets.values() for s in sources):
        whole = shown_path(target.with_name(stem))
        msg = (
            f"{shown_path(target)} is itself a shard: the merged file comes first\n"
            f"    simkit merge {whole}.h5 {whole}.shard-*.h5"
        )
        raise SimkitError(msg)
