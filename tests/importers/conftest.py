"""A small made town as files: OpenStreetMap XML, terrain, population; every importer test builds from these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

WEST, SOUTH = 10.0, 50.0
STEP_X, STEP_Y = 1 / 71700, 1 / 111240  # degrees a metre, near enough at 50 degrees north


class Map:
    """Writes OpenStreetMap objects placed in metres from the south-west corner."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[float, float], int] = {}
        self.tagged: dict[int, dict[str, str]] = {}
        self.ways: list[tuple[int, list[int], dict[str, str]]] = []
        self.relations: list[tuple[int, list[tuple[int, str]], dict[str, str]]] = []

    def node(self, x: float, y: float, **tags: str) -> int:
        number = self.nodes.setdefault((x, y), len(self.nodes) + 1)
        if tags:
            self.tagged[number] = _spelled(tags)
        return number

    def way(self, points: list[tuple[float, float]], **tags: str) -> int:
        self.ways.append((len(self.ways) + 1, [self.node(*p) for p in points], _spelled(tags)))
        return len(self.ways)

    def square(self, x: float, y: float, side: float, **tags: str) -> int:
        return self.way([(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)], **tags)

    def relation(self, members: list[tuple[int, str]], **tags: str) -> None:
        self.relations.append((len(self.relations) + 1, members, _spelled({"type": "multipolygon"} | tags)))

    def text(self) -> str:
        lines = ['<?xml version="1.0"?>', '<osm version="0.6">', '<meta osm_base="2026-01-02T03:04:05Z"/>']
        for (x, y), number in self.nodes.items():
            lon, lat = WEST + x * STEP_X, SOUTH + y * STEP_Y
            lines.append(f'<node id="{number}" lon="{lon:.7f}" lat="{lat:.7f}">{_tags(self.tagged.get(number, {}))}</node>')
        for number, refs, tags in self.ways:
            lines.append(f'<way id="{number}">{"".join(f"<nd ref={chr(34)}{r}{chr(34)}/>" for r in refs)}{_tags(tags)}</way>')
        for number, members, tags in self.relations:
            text = "".join(f'<member type="way" ref="{w}" role="{role}"/>' for w, role in members)
            lines.append(f'<relation id="{number}">{text}{_tags(tags)}</relation>')
        return "\n".join([*lines, "</osm>"])

    def write(self, path: Path) -> Path:
        path.write_text(self.text(), encoding="utf-8")
        return path


def _spelled(tags: dict[str, str]) -> dict[str, str]:
    return {key.replace("__", ":"): value for key, value in tags.items()}


def _tags(tags: dict[str, str]) -> str:
    return "".join(f"<tag k={quoteattr(k)} v={quoteattr(v)}/>" for k, v in tags.items())


@pytest.fixture
def town() -> Map:
    """A crossroads, twelve houses along it, a block of flats, a stream under the main road, a hospital."""
    town = Map()
    town.way([(0, 500), (500, 500), (1000, 500)], highway="primary", name="Main Street", maxspeed="50", lanes="2")
    town.way([(500, 0), (500, 500), (500, 1000)], highway="residential", name="Cross Street")
    for n in range(12):
        town.square(60 + 70 * n, 530, 12, building="house")
    town.square(700, 300, 30, building="apartments", building__levels="5")
    town.square(200, 200, 60, building="hospital", amenity="hospital", name="Town Hospital", emergency="yes")
    town.way([(300, 950), (300, 500), (300, 20)], waterway="stream", name="Brook")
    town.square(0, 0, 400, landuse="forest")
    town.node(500, 505, highway="traffic_signals")
    return town


@pytest.fixture
def write_raster(tmp_path: Path) -> Callable[..., Path]:
    """Writes a GeoTIFF of values over the town; `west`, `north` in degrees."""

    def write(name: str, values: Any, west: float = 9.98, north: float = 50.02, size: float = 0.0005, **more: Any) -> Path:
        values = np.asarray(values, dtype=np.float32)
        form = {"driver": "GTiff", "height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": "float32"}
        form |= {"crs": "EPSG:4326", "transform": from_origin(west, north, size, size)} | more
        with rasterio.open(tmp_path / name, "w", **form) as out:
            out.write(values, 1)
        return tmp_path / name

    return write


@pytest.fixture
def slope(write_raster: Callable[..., Path]) -> Path:
    """Terrain that falls from north to south, with a bank across the town where the main road runs."""
    rows = np.arange(100)[:, None]
    values = np.repeat(200.0 - rows, 100, axis=1)
    values[31:33] += 6.0
    return write_raster("slope.tif", values)
