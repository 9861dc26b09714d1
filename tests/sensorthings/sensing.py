"""A SensorThings service over a small city with a history, in one process and without a broker."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fastapi
import httpx
import numpy as np

from citytwin.server import errors
from citytwin.server.places import Places
from citytwin.server.sensorthings import routes
from citytwin.state import Arrivals
from citytwin.twin import Twin

BEGIN = 1_792_000_000.0  # 2026-10-14T17:46:40Z


class Client:
    """An HTTP client that talks to an application in this process."""

    def __init__(self, app: fastapi.FastAPI) -> None:
        self.app = app
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


class Service:
    """A client of the service at `/sensorthings/v1.1`."""

    def __init__(self, client: Client, twin: Any) -> None:
        self.client, self.twin = client, twin

    def get(self, path: str, status: int = 200, **options: Any) -> Any:
        asked = {f"${k}": v for k, v in options.items()}
        answer = self.client.get(f"/sensorthings/v1.1/{path}", params=asked)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content and "json" in answer.headers["content-type"] else answer.text

    def values(self, path: str, **options: Any) -> list[dict[str, Any]]:
        return self.get(path, **options)["value"]

    def ids(self, path: str, **options: Any) -> list[int]:
        return [e["@iot.id"] for e in self.values(path, **options)]

    def post(self, path: str, body: Any, status: int = 201) -> int:
        answer = self.client.post(f"/sensorthings/v1.1/{path}", json=body)
        assert answer.status_code == status, answer.text
        return int(answer.headers["location"].split("(")[-1][:-1]) if status == 201 else 0

    def send(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.client.request(method, f"/sensorthings/v1.1/{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def clear(self) -> None:
        """Delete all that is there, as the conformance suite does before it begins."""
        for name in (
            "Observations",
            "FeaturesOfInterest",
            "Datastreams",
            "Sensors",
            "ObservedProperties",
            "HistoricalLocations",
            "Locations",
            "Things",
        ):
            while found := self.ids(name, top="1000", select="id"):
                for id in found:
                    self.send("DELETE", f"{name}({id})")


def commit(twin: Any, row: Any, time: Any, value: Any, first: int = 1) -> None:
    """Put readings into the history of a twin that does not run."""
    n = len(row)
    store, _ = twin.kept()
    sequence = np.arange(first, first + n, dtype=np.int64)
    batch = Arrivals(
        np.asarray(row, np.int32),
        np.asarray(time, float),
        np.asarray(value, float),
        np.asarray(time, float),
        np.zeros(n, np.uint8),
        sequence,
        np.zeros(n, np.int32),
    )
    store.commit(batch, int(sequence[-1]))


def opened(folder: Path) -> tuple[fastapi.FastAPI, Any]:
    """An application that serves only SensorThings of an open twin."""
    twin = Twin.open(folder)
    app = fastapi.FastAPI()
    errors.install(app)
    app.router.routes += routes.routes
    app.state.served = SimpleNamespace(twin=twin, places=Places(twin.city))
    return app, twin


def closed(app: fastapi.FastAPI, twin: Any) -> None:
    routes.close(app)
    twin.records.close()
    twin._lock.release()


def served(made: Path, folder: Path, readings: bool) -> Iterator[Service]:
    shutil.copytree(made, folder)
    app, twin = opened(folder)
    if readings:
        hours = np.arange(48)
        for row in range(6):
            commit(twin, np.full(48, row), BEGIN + hours * 3600.0, row * 100.0 + hours, 1 + row * 48)
    client = Client(app)
    yield Service(client, twin)
    client.close()
    closed(app, twin)
