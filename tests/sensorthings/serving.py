"""The real server as a process, with a made-up city, for those tests that another program's client could have written."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

START = "from citytwin.cli import entry; entry()"
PATH = "/sensorthings/v1.1"


class Door:
    """An HTTP client of a SensorThings service. `root`: the address of the service."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._client = httpx.Client(timeout=60)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._client.request(method, path if path.startswith("http") else f"{self.root}/{path}", **more)

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: Any) -> int:
        """The id of what was made."""
        answer = self.request("POST", path, json=body)
        assert answer.status_code == 201, f"{path}: {answer.status_code} {answer.text}"
        return int(answer.headers["location"].rsplit("(", 1)[1].rstrip(")"))

    def clear(self) -> None:
        """Delete all there is, in the order in which the conformance suite does."""
        for name in ("Observations", "FeaturesOfInterest", "Datastreams", "Sensors", "ObservedProperties",
                     "HistoricalLocations", "Locations", "Things"):  # fmt: skip
            while found := self.get(f"{name}?$select=id&$top=1000")["value"]:
                for each in found:
                    answer = self.request("DELETE", f"{name}({each['@iot.id']})")
                    assert answer.status_code == 200, answer.text

    def close(self) -> None:
        self._client.close()


def served(city: Path, log: Path) -> Iterator[Door]:
    """A server of `city` on a free port of this machine, until the test ends."""
    with log.open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-c", START, "serve", str(city), "--port", "0", "--mqtt-port", "0"], stdout=words, stderr=words
        )
    try:
        door = Door(f"{_address(process, log)}{PATH}")
        yield door
        door.close()
    finally:
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"http://\S+:\d+", log.read_text())
        if found:
            return found[0].replace("localhost", "127.0.0.1")
        time.sleep(0.05)
    raise AssertionError(log.read_text())
