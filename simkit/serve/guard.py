"""Who may ask the page for something, and what may a browser do with the answer?"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Bokeh styles its elements in the page; all else comes from files of this server, and nothing from elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_TOKEN = "token"
_KEPT = "private, max-age=31536000, immutable"  # scripts and styles, whose addresses tell their version


class Guard:
    """Lets through who has the token, asks for a host that is this server's, and only reads.

    Parameters
    ----------
    app
        What answers.
    token
        Comes with the first address, ``?token=…``, and from then on in a cookie that no other site can send.
    hosts
        Names that the server is known by besides this machine's own.
    port
        Cookies know no ports, so the cookie's name has it: pages on one machine keep their own.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str] = (), port: int = 0) -> None:
        self.app, self.token, self.cookie = app, token, f"simkit-{port}"
        self.hosts = {"localhost", "127.0.0.1", "::1", *(host.lower() for host in hosts)}
        self.is_open = bool(self.hosts & {"0.0.0.0", "::"})
        if self.is_open:
            self.hosts |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                is_kept = scope["path"].startswith("/static/") and message["status"] == 200
                headers.setdefault("cache-control", _KEPT if is_kept else "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._is_ours(headers.get("host", "")):
            return _refused(403, "this server is not called that: use the address that simkit serve printed")
        if scope["method"] not in ("GET", "HEAD"):
            return _refused(405, "this page only reads", {"allow": "GET"})
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get(_TOKEN)
        if given is not None and self._is_token(given):
            return self._admitted(scope, [(key, value) for key, value in query if key != _TOKEN])
        if not self._is_token(_cookie(headers.get("cookie", ""), self.cookie)):
            return _refused(403, "no token: open the address that simkit serve printed")
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this machine: another name may be an attacker's that points here."""
        match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:\d+)?", host)
        if match is None:
            return False
        name = match[1].strip("[]").lower()
        return name in self.hosts or (self.is_open and _is_address(name))

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self.token.encode())

    def _admitted(self, scope: Scope, rest: list[tuple[str, str]]) -> Response:
        """The same address without the token, which must not stay in the browser's history."""
        path = "/" + scope["path"].lstrip("/")  # never another host's
        answer = RedirectResponse(path + (f"?{urlencode(rest)}" if rest else ""), 303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
        return answer


def _cookie(header: str, name: str) -> str:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refused(code: int, words: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{words}\n", code, headers)
