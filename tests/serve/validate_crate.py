"""Executed by a Python that has roc-validator and rocrate: prints what is wrong with a crate, as JSON.

usage: validate_crate.py CRATE required|recommended

The validator asks w3id.org for the JSON-LD context; here it gets the one that the package rocrate brings along, so
that no network is needed.
"""

import io
import json
import sys
from importlib.resources import files

import requests
from requests.adapters import HTTPAdapter

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


def send(self, request, **_):
    """Answer for the context; nothing else is there."""
    if request.url != CONTEXT:
        raise requests.ConnectionError(f"no network in this test: {request.url}")
    answer = requests.Response()
    answer.status_code, answer.url, answer.request = 200, request.url, request
    answer.headers["content-type"] = "application/ld+json"
    answer.raw = io.BytesIO((files("rocrate") / "data" / "ro-crate.jsonld").read_bytes())
    return answer


HTTPAdapter.send = send

from rocrate_validator import models, services  # noqa: E402 - after what it fetches with is replaced

settings = services.ValidationSettings(
    rocrate_uri=sys.argv[1],
    profile_identifier="process-run-crate-0.5",
    requirement_severity=models.Severity[sys.argv[2].upper()],
    no_cache=True,
)
result = services.validate(settings)
print(
    json.dumps(
        [
            [issue.severity.name, str(issue.message), str(issue.violatingEntity)]
            for issue in result.get_issues()
        ]
    )
)
