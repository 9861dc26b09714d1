"""One server from start to stop: port, twin, application, signals."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from citytwin.errors import OutsideError
from citytwin.server.app import create_app

if TYPE_CHECKING:
    from citytwin.twin import Twin

PATIENCE = 3  # seconds that open connections have when the server stops


@dataclass(frozen=True)
class Listening:
    """Where a server listens and to whom it answers; see `citytwin.server.guard.Guard`."""

    host: str = "127.0.0.1"
    port: int = 8000
    mqtt_port: int = 1883
    names: Sequence[str] = ()
    origins: Sequence[str] = ()


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises OutsideError where the port is taken or the address is not ours."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(found[0], found[1])
    except (OSError, UnicodeError) as error:
        raise OutsideError(f'"{host}" is not an address', hint="as in --host 127.0.0.1") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(found[4])
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"stop the other program, or choose another: --port {port + 1}"
            raise OutsideError(f"port {port} is taken", hint=hint) from error
        raise OutsideError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to `serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


Beside = Callable[["Twin"], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def nothing(twin: Twin) -> AsyncIterator[None]:
    """Nothing runs beside the server."""
    yield


async def serve(folder: Path, where: Listening, beside: Beside = nothing, say: Callable[[str], None] = print) -> None:
    """Open the twin in `folder` and serve it until SIGINT or SIGTERM. `beside` runs along, a simulated fleet for example.

    Raises ConflictError where another twin has the folder, OutsideError where a port is taken.
    """
    from citytwin.twin import Twin

    task = asyncio.current_task()
    assert task is not None
    _on_signals(task.cancel)  # while it starts
    twin = Twin.open(folder)
    try:
        with contextlib.closing(bound(where.host, where.port)) as listener:
            await twin.start(mqtt_port=where.mqtt_port)
            async with beside(twin):
                await _serve(twin, folder, where, listener, say)
    except asyncio.CancelledError:
        say("stopped before it was ready")
    finally:
        await twin.stop()


def _on_signals(react: Callable[[], object]) -> None:
    """Let SIGINT and SIGTERM call `react`."""
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, react)


async def _serve(twin: Twin, folder: Path, where: Listening, listener: socket.socket, say: Callable[[str], None]) -> None:
    app = create_app(twin, folder, where.host, where.names, where.origins)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, ws="websockets-sansio", http="httptools", ws_max_size=2**16,
        ws_per_message_deflate=False, timeout_graceful_shutdown=PATIENCE, server_header=False, lifespan="on",
    )  # fmt: skip
    server = _Server(config)

    def asked() -> None:
        if server.should_exit:
            server.force_exit = True
        elif server.started:
            say("stopping")
        server.should_exit = True

    _on_signals(asked)
    told = asyncio.create_task(_announce(server, app, where, listener, say))
    try:
        await server.serve(sockets=[listener])
    finally:
        told.cancel()
    if not server.started:
        raise OutsideError("the server could not start", hint="the lines above say why")


async def _announce(
    server: uvicorn.Server, app: object, where: Listening, listener: socket.socket, say: Callable[[str], None]
) -> None:
    """Say the address once the server listens, and how the base map goes."""
    while not server.started:
        await asyncio.sleep(0.05)
    host = "localhost" if where.host in ("127.0.0.1", "::1") else where.host
    say(f"citytwin is at http://{host}:{listener.getsockname()[1]} (stop with Ctrl-C)")
    basemap = app.state.served.basemap  # type: ignore[attr-defined]
    await asyncio.sleep(1.0)
    if not basemap.status()["ready"] and basemap.problem is None:
        say("the base map is being made; the map appears when it is ready")
        with contextlib.suppress(Exception):
            await basemap.wait()
            say("the base map is ready")


def start_logging(verbose: bool = False) -> None:
    """Words of the server and of uvicorn on stderr."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format=form)
