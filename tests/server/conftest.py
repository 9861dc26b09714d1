"""One real server on a free loopback port for all tests of the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from standin_twin import StandInTwin, write_small_city

from citytwin.server.app import create_app
from citytwin.server.running import bound


@dataclass
class Running:
    """A server in a thread: `url`, its `twin`, its city `folder`; `call` runs something in its event loop."""

    url: str
    twin: Any
    folder: Path
    app: Any
    loop: asyncio.AbstractEventLoop

    def call(self, work: Callable[[], Any]) -> Any:
        async def done() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(10)

    @property
    def websocket(self) -> str:
        return self.url.replace("http", "ws", 1) + "/api/live"


def started(folder: Path) -> Iterator[Running]:
    """Serve `folder` in a thread until the generator ends."""
    listener = bound("127.0.0.1", 0)
    twin = StandInTwin(folder)
    app = create_app(twin, folder)  # type: ignore[arg-type]
    config = uvicorn.Config(
        app,
        log_config=None,
        ws="websockets-sansio",
        http="httptools",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for _ in range(100):
        try:
            if httpx.get(f"{url}/api/health").status_code == 200:
                break
        except httpx.TransportError:
            pass
        threading.Event().wait(0.05)
    yield Running(url, twin, folder, app, loops[0])
    server.should_exit = True
    thread.join(10)
    listener.close()
    twin.release()
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def city_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small city."""
    return write_small_city(tmp_path_factory.mktemp("served") / "petit")


@pytest.fixture(scope="session")
def server(city_folder: Path) -> Iterator[Running]:
    """The server that most tests talk to."""
    yield from started(city_folder)


@pytest.fixture(scope="session")
def client(server: Running) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client
