"""Fetching a place asks the services in the right way, and says plainly when they fail. The services are a local server."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest

from citytwin.city import read_city
from citytwin.cli import main
from citytwin.errors import InputError, MissingError, OutsideError
from citytwin.io.importers.fetch import fetch_place

Write = Callable[..., Path]


class Services(ThreadingHTTPServer):
    """Answers in the shape of Nominatim, Overpass, a bucket of terrain tiles and one of population tiles."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.busy = 0
        self.status = 200

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Services

    def do_GET(self) -> None:
        url = urlparse(self.path)
        self.server.asked.append(self.path)
        if url.path == "/search":
            place = parse_qs(url.query)["q"][0]
            found = [{"name": "Town", "boundingbox": ["50.0", "50.009", "10.0", "10.014"], "lat": "50", "lon": "10"}]
            self.send(200, json.dumps(found if place == "Town" else []).encode())
        elif url.path in self.server.files:
            self.send(200, self.server.files[url.path])
        else:
            self.send(404, b"none")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(parse_qs(body)["data"][0])
        if self.server.busy:
            self.server.busy -= 1
            self.send(429, b"busy")
        else:
            self.send(self.server.status, self.server.files["/map"])

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Silence."""


@pytest.fixture
def services(town: Any, write_raster: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    server = Services()
    server.files["/map"] = town.text().encode()
    dem = write_raster("remote.tif", np.full((200, 200), 300.0), west=10.0, north=50.1, size=0.0005)
    server.files["/dem/N50E010.tif"] = dem.read_bytes()
    people = write_raster("people.tif", np.full((200, 200), 2.0), west=10.0, north=50.1, size=0.0005)
    with zipfile.ZipFile(tmp_path / "people.zip", "w") as archive:
        archive.write(people, "people.tif")
    server.files["/people/R4_C20.zip"] = (tmp_path / "people.zip").read_bytes()
    monkeypatch.setenv("CITYTWIN_NOMINATIM_URL", f"{server.address}/search")
    monkeypatch.setenv("CITYTWIN_OVERPASS_URL", f"{server.address}/interpreter")
    monkeypatch.setenv("CITYTWIN_DEM_URL", server.address + "/dem/{ns}{lat:02d}{ew}{lon:03d}.tif")
    monkeypatch.setenv("CITYTWIN_POPULATION_URL", server.address + "/people/R{row}_C{column}.zip")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_place_becomes_a_city_folder(services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["city", "fetch", "Town", str(tmp_path / "city"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    made = read_city(tmp_path / "city")
    assert len(made["building"]) == 14
    assert np.nanmin(made.ground.elevation) == pytest.approx(300) == np.nanmax(made.ground.elevation)
    assert "/dem/N49E009.tif" in services.asked  # the margin reaches into the next tile, which this server lacks
    assert made["building"]["people"].sum() > 0
    assert any("Copernicus" in s["licence"] for s in said["sources"])
    assert any("[bbox:50.000000,10.000000,50.009000,10.014000]" in q for q in services.asked)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_busy_service_is_asked_again(services: Services, tmp_path: Path) -> None:
    services.busy = 2
    fetched = fetch_place("Town", tmp_path / "files", patience=0.01)
    assert fetched.osm.stat().st_size > 1000
    assert fetched.population is not None


def test_a_service_that_stays_busy_is_named(services: Services, tmp_path: Path) -> None:
    services.busy = 99
    with pytest.raises(OutsideError, match="429"):
        fetch_place("Town", tmp_path / "files", patience=0.01)


def test_a_service_that_gives_up_half_way_is_not_believed(services: Services, tmp_path: Path) -> None:
    services.files["/map"] = b"<osm><remark> runtime error: Query timed out </remark></osm>"
    with pytest.raises(OutsideError, match="gave up: runtime error"):
        fetch_place("Town", tmp_path / "files")


def test_an_unknown_place_is_missing(services: Services, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match='no place "Atlantis"'):
        fetch_place("Atlantis", tmp_path / "files")


def test_a_place_without_terrain_and_population_is_still_fetched(services: Services, tmp_path: Path) -> None:
    fetched = fetch_place("Somewhere", tmp_path / "files", box=(-170.0, -10.0, -169.99, -9.99))
    assert fetched.dem == []
    assert fetched.population is None


def test_a_box_too_large_for_a_free_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Geofabrik"):
        fetch_place("World", tmp_path / "files", box=(0.0, 40.0, 10.0, 50.0))


def test_no_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CITYTWIN_NOMINATIM_URL", "http://127.0.0.1:9/search")
    assert main(["city", "fetch", "Town", str(tmp_path / "city")]) == 3
    assert "is there a network?" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
