"""What does Sumatra's own process do? It reads one entry as JSON, and prints what became of it as JSON.

It runs as a script with the folder of Sumatra's project as working directory, and imports nothing of simkit.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib
import json
import mimetypes
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


def main() -> None:
    """Answer one request."""
    entry = json.load(sys.stdin)
    answers, sys.stdout = sys.stdout, sys.stderr  # what Sumatra prints is no answer
    try:
        _part("projects")  # slow; the turn is short
        with turn():
            answer = checked() if entry.get("check") else entered(entry)
    except Exception as error:  # noqa: BLE001 - whatever Sumatra raises costs no more than its record
        answer = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, end="")


@contextmanager
def turn() -> Iterator[None]:
    """One at a time: Sumatra rewrites its project file, and who reads it meanwhile finds half of it."""
    if fcntl is None:
        yield
        return
    with open(".smt/simkit.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def checked() -> dict[str, str]:
    """Whether the project accepts the code."""
    project = _part("projects").load_project(".")
    try:
        project.update_code(project.default_repository.get_working_copy())
    except _part("projects").UncommittedModificationsError as error:
        return {"changed": str(error)}
    return {"accepted": project.name}


def entered(entry: dict[str, Any]) -> dict[str, str]:
    """Add a record."""
    project = _part("projects").load_project(".")
    copy = project.default_repository.get_working_copy()
    policy, project.on_changed = project.on_changed, "store-diff"  # it was checked before the runs
    version, diff = project.update_code(copy)
    project.on_changed = policy
    record = _part("records").Record(
        _part("programs").PythonExecutable(path=sys.executable), project.default_repository, entry["main"], version,
        _part("launch").SerialLaunchMode(), project.data_store,
        _part("parameters").NTParameterSet(entry["parameters"]), [], entry["arguments"], label=entry["label"],
        reason=entry["reason"], diff=diff, on_changed=policy, input_datastore=project.input_datastore,
        timestamp=datetime.datetime.fromtimestamp(entry["started"], tz=datetime.UTC),
        timestamp_format=project.timestamp_format,
    )  # fmt: skip
    record.duration, record.outcome = entry["duration"], entry["outcome"]
    record.user = _part("users").get_user(copy) if entry["user"] else ""
    record.platforms = _part("launch").SerialLaunchMode().get_platform_information()
    record.dependencies = [_dependency(name, version) for name, version in entry["packages"].items()]
    record.output_data = [_key(entry["output"], record.datastore)]
    record.add_tag("_finished_")
    _save(project, record)
    project.save()
    return {"label": record.label}


def _save(project: Any, record: Any) -> None:
    """As `project.add_record`, but that tries again for a quarter of an hour whatever the error is."""
    for pause in (1, 2, 4, 8, 16, 0):
        try:
            project.save_record(record)
            break
        except Exception as error:
            if not (pause and "locked" in str(error)):  # by smtweb, or somebody's smt
                raise
            time.sleep(pause)
    project._most_recent = record.label  # what `smt comment` and `smt repeat last` take


def _part(name: str) -> Any:
    return importlib.import_module(f"sumatra.{name}")


def _dependency(name: str, version: str) -> Any:
    kind = importlib.import_module("sumatra.dependency_finder.python").Dependency
    try:
        path = str(metadata.distribution(name).locate_file(""))
    except metadata.PackageNotFoundError:
        path = ""
    return kind(name, path=path, version=version, diff="", source="importlib.metadata")


def _key(output: str, store: Any) -> Any:
    """The file as Sumatra knows data: path from the store's root, digest, time, size.

    As its `DataFile.generate_key` makes it, but without reading a large file into memory at once.
    """
    kind = importlib.import_module("sumatra.datastore.base").DataKey
    with open(output, "rb") as file:
        digest = hashlib.file_digest(file, "sha1").hexdigest()
    about = os.stat(output)
    created = datetime.datetime.fromtimestamp(about.st_ctime, tz=datetime.UTC).replace(microsecond=0)
    mimetype, encoding = mimetypes.guess_type(output)
    path = os.path.relpath(os.path.realpath(output), os.path.realpath(store.root))
    return kind(path, digest, created, mimetype=mimetype, encoding=encoding, size=about.st_size)


if __name__ == "__main__":
    main()
