"""A place's files from public services: OpenStreetMap (Nominatim, Overpass), Copernicus DEM, GHSL population.

Each address is a template that an environment variable replaces (a mirror, a service of one's own, a test's server):
CITYTWIN_NOMINATIM_URL, CITYTWIN_OVERPASS_URL, CITYTWIN_DEM_URL, CITYTWIN_POPULATION_URL. The raw objects are kept (not a graph
or a table of features), so that a fetched city is built by the same reader as one from files.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from citytwin import __version__
from citytwin.errors import InputError, MissingError, OutsideError

Told = Callable[[float, str], None]
Box = tuple[float, float, float, float]
SERVICES = {
    "CITYTWIN_NOMINATIM_URL": "https://nominatim.openstreetmap.org/search",
    "CITYTWIN_OVERPASS_URL": "https://overpass-api.de/api/interpreter",
    "CITYTWIN_DEM_URL": "https://copernicus-dem-30m.s3.amazonaws.com/"
    "Copernicus_DSM_COG_10_{ns}{lat:02d}_00_{ew}{lon:03d}_00_DEM/Copernicus_DSM_COG_10_{ns}{lat:02d}_00_{ew}{lon:03d}_00_DEM.tif",
    "CITYTWIN_POPULATION_URL": "https://jeodpp.jrc.ec.europa.eu/ftp/jrc-opendata/GHSL/GHS_POP_GLOBE_R2023A/"
    "GHS_POP_E2020_GLOBE_R2023A_4326_3ss/V1-0/tiles/GHS_POP_E2020_GLOBE_R2023A_4326_3ss_V1_0_R{row}_C{column}.zip",
}
LICENCES = {
    "terrain": "Copernicus DEM GLO-30, (c) DLR e.V. 2010-2014 and (c) Airbus Defence and Space GmbH 2014-2018, provided under "
    "COPERNICUS by the European Union and ESA",
    "population": "GHS-POP R2023A, (c) European Union, CC BY 4.0",
}
MOST_KM2 = 2500.0  # of one Overpass question; beyond, an extract is kinder to a free service
AROUND = 0.01  # degrees of terrain around the box, as the builder wants a margin
BUSY = (429, 502, 503, 504)
TRIES = 3
GHSL_WEST, GHSL_NORTH, GHSL_TILE = -180.0079, 89.0996, 10.0  # degrees: corner of tile R1_C1, side of a tile
QUERY = """[out:xml][timeout:300][bbox:{south:.6f},{west:.6f},{north:.6f},{east:.6f}];
(node;way;relation[type=multipolygon];relation[boundary=administrative][admin_level~"^(6|7|8|9|10)$"];);
(._;>;);
out;
"""


@dataclass(frozen=True)
class Fetched:
    """Files of a place: what `citytwin.io.importers.build.Plan` asks for."""

    name: str
    box: Box
    osm: Path
    dem: list[Path] = field(default_factory=list)
    population: Path | None = None
    licences: Mapping[str, str] = field(default_factory=dict)


def fetch_place(
    place: str, folder: Path, box: Box | None = None, population: bool = True, told: Told = lambda share, words: None,
    patience: float = 5.0,
) -> Fetched:  # fmt: skip
    """Download the files of `place` (a name, or anything with `box`) into `folder`.

    patience: seconds before a busy service is asked again. Raises InputError (too large), MissingError (no such place),
    OutsideError (no network, service failed).
    """
    folder.mkdir(parents=True, exist_ok=True)
    agent = {"User-Agent": f"citytwin/{__version__} (city digital twin)"}
    limits = httpx.Timeout(30.0, read=330.0)
    with httpx.Client(headers=agent, timeout=limits, follow_redirects=True) as client:
        service = _Service(client, patience)
        name, found = (place, box) if box else service.locate(place)
        _check_size(found)
        told(0.1, "fetching OpenStreetMap")
        osm = service.openstreetmap(found, folder / "openstreetmap.osm")
        told(0.5, "fetching terrain")
        dem = list(service.terrain(found, folder))
        told(0.8, "fetching population")
        people = service.population(found, folder) if population else None
    licences = {path.name: LICENCES["terrain"] for path in dem}
    licences |= {people.name: LICENCES["population"]} if people else {}
    return Fetched(name, found, osm, dem, people, licences)


def _address(variable: str) -> str:
    return os.environ.get(variable) or SERVICES[variable]


def _check_size(box: Box) -> None:
    west, south, east, north = box
    size = (east - west) * math.cos(math.radians((south + north) / 2)) * (north - south) * 111.32**2
    if not 0 < size <= MOST_KM2:
        hint = "name a smaller place, give --bbox, or take an extract (Geofabrik) and use citytwin city build"
        raise InputError(
            f"{size:.0f} km2 are more than {MOST_KM2:.0f}", f"box {west:.3f},{south:.3f},{east:.3f},{north:.3f}", hint
        )


class _Service:
    """Questions to the services over one HTTP client."""

    def __init__(self, client: httpx.Client, patience: float) -> None:
        self.client = client
        self.patience = patience

    def locate(self, place: str) -> tuple[str, Box]:
        """Name and box of a place."""
        url = _address("CITYTWIN_NOMINATIM_URL")
        answer = self._ask(lambda: self.client.get(url, params={"q": place, "format": "jsonv2", "limit": 1}))
        try:
            found = answer.json()
            if not found:
                raise MissingError(f'no place "{place}"', url, "add the country, or give --bbox west,south,east,north")
            south, north, west, east = (float(v) for v in found[0]["boundingbox"])
            return str(found[0].get("name") or place), (west, south, east, north)
        except (ValueError, KeyError, TypeError) as error:
            raise OutsideError("the service answered something else than a place", url) from error

    def openstreetmap(self, box: Box, path: Path) -> Path:
        """Everything on the map inside `box`, as OpenStreetMap XML."""
        url = _address("CITYTWIN_OVERPASS_URL")
        west, south, east, north = box
        question = QUERY.format(west=west, south=south, east=east, north=north)
        self._keep("POST", url, path, data={"data": question})
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - 2000, 0))
            tail = file.read().decode(errors="replace")
        if "<remark>" in tail:
            remark = tail.split("<remark>", 1)[1].split("</remark>", 1)[0].strip()
            raise OutsideError(f"the service gave up: {remark}", url, "try again later, or a smaller --bbox")
        return path

    def terrain(self, box: Box, folder: Path) -> Iterator[Path]:
        """The terrain tiles of one degree that meet `box` and a little around it; there are none at sea."""
        pad = (-AROUND, -AROUND, AROUND, AROUND)
        west, south, east, north = (math.floor(v + p) for v, p in zip(box, pad, strict=True))
        for lat in range(south, north + 1):
            for lon in range(west, east + 1):
                marks: dict[str, Any] = {
                    "ns": "N" if lat >= 0 else "S",
                    "lat": abs(lat),
                    "ew": "E" if lon >= 0 else "W",
                    "lon": abs(lon),
                }
                url = _address("CITYTWIN_DEM_URL").format(**marks)
                path = folder / f"terrain_{marks['ns']}{abs(lat):02d}{marks['ew']}{abs(lon):03d}.tif"
                if self._keep("GET", url, path, optional=True):
                    yield path

    def population(self, box: Box, folder: Path) -> Path | None:
        """The population tile around the middle of `box`; None where there is none."""
        lon, lat = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        row, column = int((GHSL_NORTH - lat) // GHSL_TILE) + 1, int((lon - GHSL_WEST) // GHSL_TILE) + 1
        url = _address("CITYTWIN_POPULATION_URL").format(row=row, column=column)
        path = folder / f"population_R{row}_C{column}{Path(url).suffix or '.tif'}"
        return path if self._keep("GET", url, path, optional=True) else None

    def _keep(self, method: str, url: str, path: Path, optional: bool = False, **question: Any) -> bool:
        """Stream an answer into `path`; False where an optional file does not exist."""

        def ask() -> httpx.Response:
            with self.client.stream(method, url, **question) as answer:
                if answer.is_success:
                    with path.open("wb") as file:
                        for block in answer.iter_bytes():
                            file.write(block)
                return answer

        answer = self._ask(ask, optional)
        return answer.is_success

    def _ask(self, ask: Callable[[], httpx.Response], optional: bool = False) -> httpx.Response:
        """Ask, again after a pause where the service is busy. Raises OutsideError."""
        for attempt in range(TRIES):
            try:
                answer = ask()
            except httpx.HTTPError as error:
                where = str(error.request.url) if getattr(error, "_request", None) else ""
                hint = "is there a network? Without one, use citytwin city build with files"
                raise OutsideError(f"no answer: {error or type(error).__name__}", where, hint) from error
            if answer.is_success or (optional and answer.status_code in (403, 404)):
                return answer
            if answer.status_code not in BUSY or attempt == TRIES - 1:
                break
            time.sleep(self.patience * (attempt + 1))
        raise OutsideError(
            f"the service answered {answer.status_code} {answer.reason_phrase}", str(answer.url), "try again later"
        )
