"""A city of a few blocks, and a stand-in for the twin, so that the server is tested apart from brokers and devices."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely import LineString, Point, box

from citytwin.city import City, Facts, Ground, Source, read_city, write_city
from citytwin.io.stores.lock import FolderLock
from citytwin.state import State
from citytwin.twin import Twin

CRS = "EPSG:32631"
WEST, NORTH, CELL, WIDTH, HEIGHT = 378_000.0, 4_708_000.0, 10.0, 120, 80


def small_city() -> City:
    """1200 m by 800 m: a valley with a river, 40 houses, five streets, a hospital, a school, 12 devices."""
    x, y = np.meshgrid(np.arange(WIDTH) * CELL, np.arange(HEIGHT) * CELL)
    elevation = (1000.0 + np.abs(y - 400.0) * 0.05 + x * 0.004).astype(np.float32)
    south = NORTH - HEIGHT * CELL
    houses = [(WEST + 60 + 110 * i, south + 60 + 180 * j) for i in range(10) for j in range(4)]
    building = gpd.GeoDataFrame(
        {
            "key": [f"way/{n}" for n in range(40)], "name": ["Old mill" if n == 3 else None for n in range(40)],
            "use": ["house", "apartments", "commercial", "health"] * 10, "levels": 2.0, "height": 6.0, "floor_area": 400.0,
            "dwellings": 2.0, "people": np.arange(40.0), "people_under_15": 1.0, "people_over_64": 1.0,
            "zone": "centre", "estimated": "height",
        },
        geometry=[box(a, b, a + 20, b + 20) for a, b in houses], crs=CRS,
    )  # fmt: skip
    lines = [LineString([(WEST + 20, south + y), (WEST + 1180, south + y)]) for y in (40, 220, 400, 580, 760)]
    road = gpd.GeoDataFrame(
        {
            "key": [f"r{n}" for n in range(5)], "name": ["Avenida Meritxell", "Carrer Major", "", "Carrer de l'Església", ""],
            "class": ["primary", "residential", "secondary", "residential", "footway"], "drivable": [True] * 4 + [False],
            "from_junction": [f"j{n}a" for n in range(5)], "to_junction": [f"j{n}b" for n in range(5)], "length": 1160.0,
            "lanes": 2.0, "speed": 13.9, "oneway": False, "bridge": False, "tunnel": False, "estimated": "",
        },
        geometry=lines, crs=CRS,
    )  # fmt: skip
    ends = [Point(p) for line in lines for p in (line.coords[0], line.coords[-1])]
    junction = gpd.GeoDataFrame(
        {"key": [f"j{n}{side}" for n in range(5) for side in "ab"], "signals": False}, geometry=ends, crs=CRS
    )
    facility = gpd.GeoDataFrame(
        {
            "key": ["f1", "f2"], "name": ["Hospital de Meritxell", "School of the Valley"], "kind": ["hospital", "school"],
            "building": ["way/3", "way/8"], "capacity": [100.0, 200.0], "emergency": [True, False],
            "zone": "centre", "estimated": "",
        },
        geometry=[Point(*houses[3]), Point(*houses[8])], crs=CRS,
    )  # fmt: skip
    kinds = ["river_stage", "air_temperature", "noise", "parking_spot"]
    device = gpd.GeoDataFrame(
        {"key": [f"dev-{n}" for n in range(12)], "kind": [kinds[n % 4] for n in range(12)],
         "name": [f"Sensor {n}" for n in range(12)], "zone": "centre"},
        geometry=[Point(WEST + 90 * (n + 1), south + 400) for n in range(12)], crs=CRS,
    )  # fmt: skip
    whole = box(WEST, south, WEST + WIDTH * CELL, NORTH)
    zone = gpd.GeoDataFrame(
        {"key": ["centre"], "name": ["Centre"], "people": [780.0], "estimated": ""}, geometry=[whole], crs=CRS
    )
    land = gpd.GeoDataFrame(
        {"key": ["l1"], "kind": ["residential"], "manning": [0.05], "impervious": [0.5]}, geometry=[whole], crs=CRS
    )
    waterway = gpd.GeoDataFrame(
        {"key": ["w1"], "kind": ["river"], "name": ["Valira"], "width": [10.0], "estimated": ""},
        geometry=[LineString([(WEST, south + 390), (WEST + 1200, south + 390)])], crs=CRS,
    )  # fmt: skip
    household = pd.DataFrame({"key": ["h1", "h2"], "building": ["way/1", "way/2"], "people": [2, 3]})
    relations = pd.DataFrame(
        [("observes", "device", "dev-0", "waterway", "w1"), ("contains", "zone", "centre", "facility", "f1"),
         ("contains", "building", "way/3", "facility", "f1")],
        columns=["kind", "from_table", "from_key", "to_table", "to_key"],
    )  # fmt: skip
    facts = Facts("Petit Andorra", CRS, [Source("made for tests", "synthetic", "CC0")], ["gtfs"], ["a note"], "tests", True)
    tables: dict[str, pd.DataFrame] = {
        "building": building, "road": road, "junction": junction, "facility": facility, "device": device, "zone": zone,
        "land": land, "waterway": waterway, "household": household,
    }  # fmt: skip
    return City(facts, tables, Ground(WEST, NORTH, CELL, {"elevation": elevation}), relations)


def write_small_city(folder: Path) -> Path:
    write_city(small_city(), folder)
    return folder


class StandInTwin(Twin):
    """A twin that is never started: no broker, no door. `push` changes devices as readings would."""

    mqtt_port = 0  # type: ignore[assignment]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, read_city(folder), FolderLock(folder / "live" / "lock"))
        self.counts = {"GOOD": 0}
        self._changed: asyncio.Queue[np.ndarray[Any, Any]] = asyncio.Queue()

    def push(self, rows: list[int], values: list[float]) -> None:
        now = np.full(len(rows), time.time())
        self.devices.set(self.state, np.array(rows, dtype=np.int32), now, np.array(values, dtype=float))
        self.devices.status[rows] = 1
        self._changed.put_nowait(np.array(rows))

    def release(self) -> None:
        self.records.close()
        self._lock.release()

    def device_values(self) -> tuple[Any, Any, Any]:
        return self.devices.value.copy(), self.devices.status.copy(), self.devices.time.copy()

    def moved_since(self, batch: int) -> tuple[Any, Any, Any, int]:
        return np.empty(0, np.int64), np.empty(0), np.empty(0), 0

    async def changes(self) -> AsyncIterator[Any]:
        while True:
            yield await self._changed.get()

    def history(self, key: str, begin: float, end: float, points: int = 500) -> dict[str, Any]:
        return {"column": "river_level", "unit": "m", "time": [begin, end], "value": [1.0, float("nan")], "low": [1.0, 1.0],
                "high": [2.0, 2.0]}  # fmt: skip

    def state_at(self, seconds: float) -> State:
        state = self.state.fork()
        state.time = seconds
        return state

    def quality(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "recent": []}

    async def accept(self, lines: bytes) -> dict[str, Any]:
        accepted, refused = 0, {}
        for line in lines.splitlines():
            try:
                said = json.loads(line)
                self.push([self.city.row("device", said["device"])], [float(said["value"])])
                accepted += 1
            except (ValueError, KeyError, TypeError, Exception):
                refused["UNREADABLE"] = refused.get("UNREADABLE", 0) + 1
        return {"accepted": accepted, "refused": refused}
