"""How do tests start ``simkit`` many hundred times without importing it each time?

A server that has imported what each command imports, and has done nothing else, forks for each command; another one has
imported pandas as well, for the verbs that do. A command is a process of its own, at the head of its own session, with
its own folder, environment, streams and end; only its start is spared. ``pytest --exec`` starts each by exec, as a
user's shell does, and so do systems without pidfds.
"""

from __future__ import annotations

import atexit
import gc
import json
import math
import os
import runpy
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from importlib import import_module
from typing import Any

SIGNAL_AT = (
    "TESTS_SIGNAL_AT"  # in a command's environment: "NUMBER@CALL …", moments that no clock finds twice
)

IMPORTED = (
    "simkit.cli.hashes",
    "simkit.cli.main",
    "simkit.cli.command",
    "simkit.cli.verbs",
    "simkit.analyse.open",
    "simkit.analyse.show",
    "simkit.analyse.trajectory",
    "simkit.execute.launched",
    "simkit.execute.processes.pool",
    "simkit.provenance.circumstances",
    "simkit.provenance.git",
    "simkit.study.bookkeeping",
    "simkit.study.rounds",
    "simkit.study.session",
    "simkit.record.file.transaction",
)
TABLES = ("pandas", "simkit.analyse.tables", "simkit.cli.verbs.show", "simkit.cli.verbs.export")
MAKE_TABLES = {"show", "export", "report"}


class Server:
    """The tests' side of the server."""

    def __init__(self, *modules: str) -> None:
        self.line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-P", __file__, *modules, str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, cwd="/",  # pipes, as each command has: Python remembers that they can't seek
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        theirs.close()

    def ask(self, request: dict[str, Any], streams: tuple[int, ...] = ()) -> Any:
        """Send a request, and the descriptors of the command's streams."""
        with self.lock:
            socket.send_fds(self.line, [json.dumps(request).encode()], streams)
            reply = self.line.recv(1000)
        if not reply:
            raise RuntimeError(self.process.communicate()[1].decode())
        return json.loads(reply)


@cache
def server(*more: str) -> Server:
    """One that has imported these modules as well, for each process that executes tests; it ends with that."""
    return Server(*IMPORTED, *more)


class Forked(subprocess.Popen[str]):
    """``python -m simkit …`` by the server, which is its parent: it alone can reap it."""

    def _execute_child(self, words: list[str], *details: Any) -> None:
        cwd, env = details[4:6]
        streams = details[9], details[12], details[14]  # the child's ends of the pipes
        self.server = server(*(TABLES if MAKE_TABLES & {*words[3:4]} else ()))
        try:
            self.pid = self.server.ask({"words": words, "cwd": str(cwd), "env": env}, streams)
        finally:
            for stream in streams:
                os.close(stream)
        self._child_created = True

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if flags == 0:
            descriptor = os.pidfd_open(self.pid)
            select.select([descriptor], [], [])
            os.close(descriptor)
        pid, status = self.server.ask({"reap": self.pid})
        return pid, status

    def _internal_poll(self, _deadstate: Any = None) -> int | None:
        with self._waitpid_lock:
            if self.returncode is None:
                pid, status = self._try_wait(os.WNOHANG)
                if pid == self.pid:
                    self._handle_exitstatus(status)
        return self.returncode


def _serve(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for each command; in its process, return what it was asked for."""
    while True:
        message, streams, _, _ = socket.recv_fds(line, 1 << 20, 3)
        if not message:
            os._exit(0)
        request = json.loads(message)
        if "reap" in request:
            reply: Any = os.waitpid(request["reap"], os.WNOHANG)
        else:
            reply = os.fork()
            if reply == 0:
                return request, streams
            for stream in streams:
                os.close(stream)
        line.send(json.dumps(reply).encode())


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Take the place of a command that was started by exec."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update({**request["env"], "PYTHONHASHSEED": "0"})
    sys.orig_argv[:] = request["words"]
    sys.argv[1:] = request["words"][3:]
    sys.path.insert(0, request["cwd"])
    time.tzset()
    tempfile.tempdir = None  # what the environment said was remembered
    sys.modules["numpy.random"].seed()  # Python's own generator does so itself
    if moments := os.environ.pop(SIGNAL_AT, ""):
        _arrange(moments)


def _arrange(moments: str) -> None:
    """Have this process signalled at the so-manieth call of a function, but none that it forks."""
    process, calls = os.getpid(), 0
    waiting = [tuple(map(int, moment.split("@"))) for moment in moments.split()]

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        if event != "call":
            return
        calls += 1
        if not waiting or os.getpid() != process:
            sys.setprofile(None)
        elif calls >= waiting[0][1]:
            os.killpg(process, waiting.pop(0)[0])  # as Ctrl-C at a terminal reaches all of its processes

    sys.setprofile(count)
    atexit.register(sys.setprofile, None)  # behind that Python itself ends, and no handler is called any more


def _leave(code: int) -> None:
    """End as an interpreter does, but for the objects: to give each back would copy the server's memory."""
    sys.stdout.flush()
    sys.stderr.flush()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    line_number = int(sys.argv.pop())
    for module in sys.argv[1:]:
        import_module(module)
    del sys.argv[1:]
    # That a study is not done after ten seconds says more of the load than of simkit.
    lines = import_module("simkit.inform.terminal").Lines
    lines.first = lines.interval = math.inf
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=line_number) as asked:
        command = _serve(asked)
    _become(*command)
    try:
        runpy.run_module("simkit", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if type(end.code) is int:
            _leave(end.code)
        raise
