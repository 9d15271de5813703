"""How does a trajectory become an RO-Crate: a folder that archives understand, such as Zenodo?

A Process Run Crate (https://w3id.org/ro/wfrun/process/0.5): the trajectory, the sources that made it, a report, and
``ro-crate-metadata.json``, which says in linked data what made what, when, from which parameters.
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simkit._version import __version__
from simkit.errors import SimkitError, shown_path
from simkit.inform.progress import has_unit
from simkit.provenance.restore import REQUIREMENTS, check_target, restore
from simkit.record.catalogue import files_of, writer_in
from simkit.serve.document import write
from simkit.serve.html import described
from simkit.serve.reading import Reading
from simkit.serve.runs import Replay

METADATA = "ro-crate-metadata.json"
CITATION = "CITATION.cff"
_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_SIMKIT = "https://pypi.org/project/simkit/"
_KINDS = {
    ".h5": "application/x-hdf5", ".html": "text/html", ".py": "text/x-python", ".txt": "text/plain",
    ".toml": "application/toml", ".cff": "application/yaml", ".json": "application/json",
}  # fmt: skip
Entity = dict[str, Any]


def write_crate(reading: Reading, folder: Path, replay: Replay, *, license: str = "") -> list[str]:
    """Write a crate to a new folder, or an empty one.

    Parameters
    ----------
    license
        An address or SPDX name; by default what ``CITATION.cff`` says.

    Returns
    -------
    list of str
        What is missing in it, for people.

    Raises
    ------
    SimkitError
        When the folder holds anything, when the trajectory is being written, or is not one whole file.
    """
    check_target(folder)
    _check_whole(reading.path)
    folder.mkdir(parents=True, exist_ok=True)
    trajectory = folder / reading.path.name
    shutil.copy2(reading.path, trajectory)
    write(reading, folder / "report.html", replay)
    remarks = _write_sources(reading, folder / "sources")
    citation = _citation(reading.path)
    if citation is not None:
        shutil.copy2(citation, folder / CITATION)
    else:
        remarks.append(f"no {CITATION} was found beside the project: it would name authors and a license")
    facts = _cited(citation)
    license = license or str(facts.get("license", ""))
    if not license:
        remarks.append("no license is named: say --license CC-BY-4.0, or name one in CITATION.cff")
    graph = list(_graph(reading, folder, facts, license))
    metadata = {
        "@context": f"{_CRATE}/context",
        "@graph": graph,
    }
    text = json.dumps(metadata, indent=2, ensure_ascii=False)
    (folder / METADATA).write_text(text, encoding="utf-8", errors="backslashreplace")
    return remarks


def _check_whole(path: Path) -> None:
    shown = shown_path(path)
    if writer := writer_in(path):
        raise SimkitError(f"{shown} is being written by {writer}: archive it when the study is over")
    if len(files_of(path)) > 1:
        raise SimkitError(
            f"{shown} is a set of shards: make one file of it, and archive that: simkit merge OUT.h5 {shown}"
        )
    if Path(f"{path}.wal").exists():
        raise SimkitError(
            f"{shown} has a log beside it that a killed study left: write it into the file: simkit repair {shown}"
        )


def _write_sources(reading: Reading, folder: Path) -> list[str]:
    sessions = reading.recorded.sessions
    if not sessions or not sessions[-1]["sources"]:
        return ["no sources are recorded, so none are in the crate"]
    folder.mkdir()
    restore(reading.recorded, sessions[-1], folder)
    return []


def _citation(path: Path) -> Path | None:
    """The nearest ``CITATION.cff`` in the folders above a trajectory."""
    return next((folder / CITATION for folder in path.parents if (folder / CITATION).is_file()), None)


def _cited(path: Path | None) -> Mapping[str, Any]:
    """What a citation file says; nothing where it can't be read."""
    import yaml

    if path is None:
        return {}
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SimkitError(f"{shown_path(path)}: cannot be read: {error}") from None
    return told if isinstance(told, dict) else {}


def _graph(reading: Reading, folder: Path, cited: Mapping[str, Any], license: str) -> Iterator[Entity]:
    """All that is said, entity by entity."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path: path.relative_to(folder).as_posix() for path in files}
    authors = list(_authors(cited))
    sessions = reading.recorded.sessions
    actions = [_action(reading, number, facts) for number, facts in enumerate(sessions, 1)]
    yield {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": _CRATE},
        "about": {"@id": "./"},
    }
    doc = (
        str(reading.recorded.attributes["doc"]).strip() or f"Runs of {reading.recorded.attributes['node_id']}"
    )
    yield _without_gaps(
        {
            "@id": "./",
            "@type": "Dataset",
            "name": str(cited.get("title") or f"{reading.name}: {doc.splitlines()[0]}"),
            "description": doc,
            "datePublished": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
            "license": _license_of(license),
            "conformsTo": {"@id": _PROFILE},
            "author": _references(
                author["@id"] for author in authors if not author["@id"].startswith("#affiliation")
            ),
            "hasPart": [{"@id": name} for name in names.values()],
            "mentions": _references(action["@id"] for action in actions),
        }
    )
    yield {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    if license:
        yield {
            "@id": _license_of(license)["@id"],
            "@type": "CreativeWork",
            "name": license,
            "description": license,
        }
    for path, name in names.items():
        yield _file(reading, path, name)
    yield from authors
    yield from actions
    yield from _context(reading, sessions)


def _references(ids: Iterable[str]) -> Any:
    """Entities by their ids; one stands for itself."""
    references = [{"@id": id} for id in ids]
    return references[0] if len(references) == 1 else references


def _without_gaps(entity: Entity) -> Entity:
    return {key: value for key, value in entity.items() if value not in ("", [], None, {})}


def _license_of(license: str) -> Entity:
    """A license by its address; SPDX has one for each of its names."""
    if not license:
        return {}
    return {"@id": license if "://" in license else f"https://spdx.org/licenses/{license}"}


def _authors(cited: Mapping[str, Any]) -> Iterator[Entity]:
    """The authors that a citation file names, and where they work."""
    for number, author in enumerate(cited.get("authors") or (), 1):
        if not isinstance(author, dict):
            continue
        parts = (author.get("given-names"), author.get("family-names"))
        name = str(author.get("name") or " ".join(filter(None, parts)))
        kind = "Organization" if "name" in author else "Person"
        where = f"#affiliation-{number}" if author.get("affiliation") else ""
        entity = {"@id": author.get("orcid") or f"#author-{number}", "@type": kind, "name": name}
        yield _without_gaps({**entity, "affiliation": {"@id": where} if where else ""})
        if where:
            yield {"@id": where, "@type": "Organization", "name": str(author["affiliation"])}


def _file(reading: Reading, path: Path, name: str) -> Entity:
    """A file of the crate."""
    entity: Entity = {
        "@id": name,
        "@type": "File",
        "name": path.name,
        "contentSize": str(path.stat().st_size),
        "encodingFormat": _KINDS.get(path.suffix, "application/octet-stream"),
    }
    if name == _instrument(reading):
        git = (reading.recorded.sessions[-1].get("git") or {}) if reading.recorded.sessions else {}
        entity |= {
            "@type": ["File", "SoftwareSourceCode"],
            "description": f"the experiment {reading.recorded.attributes['node_id']}",
            "programmingLanguage": {"@id": "#python"},
            "softwareRequirements": {"@id": _SIMKIT},
            "codeRepository": str(git.get("remote") or ""),
            "url": str(git.get("remote") or ""),
            "version": str(
                git.get("commit") or reading.recorded.sessions[-1]["sources"][name.removeprefix("sources/")]
            ),
        }
    elif name == reading.path.name:
        entity["description"] = (
            "all runs with their parameters and results, one dataset per name (HDF5, simkit)"
        )
        entity["conformsTo"] = {"@id": "#format"}
    elif path.suffix == ".html":
        entity["description"] = "what was run and what came out, for people"
    elif path.name == REQUIREMENTS:
        entity["description"] = "the versions of the packages that the runs used"
    return _without_gaps(entity)


def _instrument(reading: Reading) -> str:
    """What executed: the source of the experiment where it is recorded, else simkit."""
    source = str(reading.recorded.attributes["node_id"]).partition("::")[0]
    sessions = reading.recorded.sessions
    return f"sources/{source}" if sessions and source in sessions[-1]["sources"] else _SIMKIT


def _action(reading: Reading, number: int, facts: Mapping[str, Any]) -> Entity:
    """A session: what it executed, with which parameters, what came of it."""
    ended = facts.get("ended")
    outcome = str(facts.get("outcome", ""))
    is_whole = ended is not None and "failed" not in outcome and "interrupted" not in outcome
    return _without_gaps(
        {
            "@id": f"#session-{number}",
            "@type": "CreateAction",
            "name": f"Session {number} of {reading.name}: {outcome or 'not ended'}",
            "description": str(facts.get("command", "")),
            "instrument": {"@id": _instrument(reading)},
            "object": _references(map(_parameter_id, reading.trajectory.names("parameters"))),
            "result": {"@id": reading.path.name},
            "startTime": _moment(facts.get("started")),
            "endTime": _moment(ended),
            "agent": {"@id": _agent_id(facts)},
            "actionStatus": f"http://schema.org/{'Completed' if is_whole else 'Failed'}ActionStatus",
            "error": "" if is_whole else outcome or "the session did not end",
        }
    )


def _agent_id(facts: Mapping[str, Any]) -> str:
    return f"#user-{facts.get('user', 'unknown')}"


def _parameter_id(name: str) -> str:
    return f"#parameter-{name}"


def _moment(seconds: Any) -> str:
    if seconds is None:
        return ""
    return datetime.datetime.fromtimestamp(float(seconds), datetime.UTC).isoformat(timespec="seconds")


def _context(reading: Reading, sessions: Sequence[Mapping[str, Any]]) -> Iterator[Entity]:
    """Parameters, software and people that the other entities name."""
    for name in reading.trajectory.names("parameters"):
        yield _parameter(reading, name)
    last = sessions[-1] if sessions else {}
    simkit = {
        "@id": _SIMKIT,
        "@type": "SoftwareApplication",
        "name": "simkit",
        "url": "https://pypi.org/project/simkit/",
    }
    yield {**simkit, "softwareVersion": str(last.get("simkit", __version__))}
    python = {
        "@id": "#python",
        "@type": "ComputerLanguage",
        "name": "Python",
        "url": "https://www.python.org/",
    }
    yield _without_gaps({**python, "version": str(last.get("python", ""))})
    yield {"@id": "#format", "@type": "CreativeWork", "name": "a trajectory of simkit's, in HDF5"}
    for agent in dict.fromkeys(map(_agent_id, sessions)):
        yield {"@id": agent, "@type": "Person", "name": agent.removeprefix("#user-")}


def _parameter(reading: Reading, name: str) -> Entity:
    (row,) = described(reading, [name])
    value: Any = row.text
    if reading.trajectory.describe(name).constant:
        constant = reading.trajectory.parameters[name]
        plain = (
            constant.item() if hasattr(constant, "item") and getattr(constant, "ndim", 1) == 0 else constant
        )
        value = plain if type(plain) in (bool, int, float, str) and not has_unit(constant) else row.text
    entity = {"@id": _parameter_id(name), "@type": "PropertyValue", "name": name, "value": value}
    return _without_gaps({**entity, "unitText": row.unit, "description": row.comment})
