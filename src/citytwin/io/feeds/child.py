"""Child processes that outlive a twin: ports, files that say who runs, asking them to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from citytwin.errors import OutsideError


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_port(host: str) -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def holder_of(port: int) -> str:
    """Who listens on `port`, in words, as far as we may know."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if (
                connection.laddr
                and connection.laddr.port == port
                and connection.status == psutil.CONN_LISTEN
                and connection.pid
            ):
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def lives(pid: int) -> bool:
    """Whether process `pid` runs."""
    try:
        return bool(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


async def answers(host: str, port: int) -> bool:
    """Whether somebody takes connections on `port`."""
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True


async def end(pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
    """End a process: ask, and after ten seconds insist."""
    for sign, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if child.poll() is not None if child is not None else not lives(pid):
                return
            await asyncio.sleep(0.02)


class Child:
    """A process that outlives the twin which started it, and is taken over by the next one. What the next one must know stands
    in `note`, a file in its `folder`, and `settings` names the
    file there that stands on its command line. `adopted`: it was taken over. `name`: what it is, in words.
    """

    name = "the process"
    note = ""
    settings = ""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).resolve()
        self.port = 0
        self.adopted = False
        self._pid = 0
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child.poll() is None if self._child is not None else lives(self._pid)

    @property
    def pid(self) -> int:
        """The process."""
        return self._pid

    async def stop(self) -> None:
        """End the process; what it holds stays in its folder."""
        if self._pid:
            await end(self._pid, self._child)
        self._pid, self._child = 0, None
        (self.folder / self.note).unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        """Whether process `pid` is one of this folder."""
        try:
            return bool(pid) and str(self.folder / self.settings) in psutil.Process(pid).cmdline()
        except psutil.Error:
            return False

    async def _until(self, ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Wait until the process just started is `ready`. Raises OutsideError where it ends, or does not get ready."""
        deadline = time.monotonic() + seconds
        while not await ready():
            if not self.alive:
                raise OutsideError(f"{self.name} ended at once: {self._last_words()}", str(self.folder))
            if time.monotonic() > deadline:
                raise OutsideError(f"{self.name} did not start in {seconds:.0f} s", str(self.folder))
            await asyncio.sleep(0.02)

    def _last_words(self) -> str:
        """What it wrote last, errors before all else."""
        try:
            lines = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        wrong = [line for line in lines[-50:] if "[FTL]" in line or "[ERR]" in line]
        return (wrong or lines or ["it wrote nothing"])[-1].split("] ", 2)[-1]
