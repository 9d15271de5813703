"""``simkit report``: a trajectory as one HTML file, to be sent."""

from __future__ import annotations

import argparse
from pathlib import Path

from simkit.cli.verbs.serve import replayed
from simkit.cli.verbs.words import FILE, add_json, file_at
from simkit.errors import shown_path
from simkit.inform.progress import size
from simkit.record.inspection import unasked
from simkit.serve.files import one_of
from simkit.serve.reading import Reader


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit report``."""
    top = argparse.ArgumentParser(
        prog="simkit report",
        description="Write one HTML file that tells what was run, with which parameters, what came out, and how to "
        "make it again. It needs no network, and opens from a mail.",
    )
    add = top.add_argument
    add("file", metavar="FILE", help=FILE)
    add("-o", metavar="OUT.html", dest="out", help="by default the name of FILE, in this folder")
    add("--force", action="store_true", help="write over OUT even if it is no report")
    add_json(top)
    return top


@unasked()
def main(options: argparse.Namespace) -> int:
    """Write the report."""
    from simkit.serve.document import write

    entry = one_of(file_at(options.file))
    suffix = f"-{entry.name}" if "::" in options.file else ""
    out = Path(options.out or f"{entry.path.stem}{suffix}.html")
    with Reader().reading(entry) as reading:
        write(reading, out, replayed, force=options.force)
        runs, nbytes = len(reading), out.stat().st_size
    if options.json:
        options.json.emit("written", file=out.absolute(), runs=runs, bytes=nbytes, remarks=[])
    else:
        print(f"{shown_path(out)}   {size(nbytes)}")
    return 0
