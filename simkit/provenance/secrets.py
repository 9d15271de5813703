"""What may not get into a record?"""

from __future__ import annotations

import re

# The part of a URL that says who asks, as in https://user:token@host, and what follows a question mark.
_WHO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@'\"]*(?:@[^\s/@'\"]*)*@(?=[^\s/])")
_QUERY = re.compile(r"(?P<url>[A-Za-z][A-Za-z0-9+.-]*://[^\s?'\"]+)\?[^\s'\"]*")


def without_credentials(text: str) -> str:
    """A text whose URLs name no user, password, token or query."""
    return _QUERY.sub(r"\g<url>", _WHO.sub(r"\g<scheme>", text))
