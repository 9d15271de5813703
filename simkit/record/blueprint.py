"""One merged experiment before a byte is copied: what agrees, and which run goes where."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from simkit.declare.axes import Array
from simkit.record.agreement import Agreement, agreement
from simkit.record.placing import Placement, Places
from simkit.record.survey import Source, Survey, survey


@attrs.frozen(eq=False)
class Blueprint:
    """One experiment before a byte is copied.

    Attributes
    ----------
    in_place
        Whether the first source is the target as it was.
    """

    group: str
    surveys: tuple[Survey, ...]
    agreed: Agreement
    placements: tuple[Placement, ...]
    status: Array
    in_place: bool
    remarks: tuple[str, ...]


def blueprint(group: str, sources: Sequence[Source], duplicates: str) -> Blueprint:
    """Compare the sources and place their runs.

    Raises
    ------
    SimkitError
        When they don't agree, one is being written, or duplicates are errors and a run is done twice.
    """
    surveys = [survey(attrs.evolve(source, held=False)) for source in sources]
    agreed = agreement(surveys)
    places = Places(agreed, duplicates)
    for one in surveys:
        recorded = attrs.evolve(one.source, held=False).open()
        try:
            places.place(one, recorded)
        finally:
            recorded.close()
    placements = tuple(placement for _, placement in places.taken)
    in_place = sources[0].held
    remarks = [*agreed.remarks, *_remarks(surveys, placements, in_place=in_place)]
    surveys = [attrs.evolve(one, source=source) for one, source in zip(surveys, sources, strict=True)]
    return Blueprint(group, tuple(surveys), agreed, placements, places.status, in_place, tuple(remarks))


def _remarks(surveys: Sequence[Survey], placements: Sequence[Placement], *, in_place: bool) -> list[str]:
    words = []
    for one, placement in zip(surveys, placements, strict=True):
        if placement.left:
            words.append(f"{one.source}: {placement.left} done runs were done before, and are left out")
    summaries = [str(one.source) for one in surveys[int(in_place) :] if one.has_summary]
    if summaries:
        words.append(f"the summary of {', '.join(summaries)} tells of that file's runs alone: left out")
    return words
