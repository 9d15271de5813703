"""Where does the page listen, and how is it reached?"""

from __future__ import annotations

import getpass
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable

import attrs

from simkit.errors import SimkitError
from simkit.serve.app import Page, application
from simkit.serve.files import Catalogue
from simkit.serve.runs import Replay

try:
    import uvicorn
    from bokeh.settings import settings
except ImportError:
    msg = 'simkit serve needs a few packages more: pip install "simkit[page]"'
    raise SimkitError(msg) from None

_FIRST_PORT = 8800
_PORTS = 100


@attrs.frozen
class Listening:
    """A page that listens.

    Attributes
    ----------
    address
        What the browser opens; the token in it lets it in.
    tunnel
        The command that makes a page on a remote machine's own address reachable from here.
    """

    address: str
    tunnel: str


def serve(
    catalogue: Catalogue,
    replay: Replay,
    *,
    host: str,
    port: int | None,
    browse: bool,
    tell: Callable[[Listening], None],
) -> None:
    """Answer until Ctrl-C.

    Parameters
    ----------
    host, port
        Where to listen; without a port at the first that is free from 8800 on.
    browse
        Whether to open a browser.
    tell
        Is called once it listens.

    Raises
    ------
    SimkitError
        When the address is taken or is not this machine's.
    """
    settings.compression_level = 1  # figures go no farther than this machine, as a rule
    listener = _bound(host, port)
    number = int(listener.getsockname()[1])
    token = secrets.token_urlsafe(24)
    page = Page(catalogue, replay)
    guarded = application(page, token, hosts=(host,), port=number)
    config = uvicorn.Config(
        guarded, log_level="warning", access_log=False, server_header=False, lifespan="off"
    )
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    shown = f"[{name}]" if ":" in name else name
    listening = Listening(
        f"http://{shown}:{number}/?token={token}",
        f"ssh -L {number}:127.0.0.1:{number} {getpass.getuser()}@{socket.gethostname()}",
    )
    tell(listening)
    page.prepare()
    if browse:
        threading.Thread(target=webbrowser.open, args=(listening.address,), daemon=True).start()
    uvicorn.Server(config).run(sockets=[listener])


def _bound(host: str, port: int | None) -> socket.socket:
    """A listening socket."""
    ports = range(_FIRST_PORT, _FIRST_PORT + _PORTS) if port is None else (port,)
    problem: OSError | None = None
    for number in ports:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, number), family=family)
        except OSError as error:
            problem = error
    where = (
        f"{host}:{port}" if port is not None else f"{host}, ports {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1}"
    )
    msg = (
        f"cannot listen at {where}: {problem and problem.strerror}\n    choose others with --host and --port"
    )
    raise SimkitError(msg) from None
