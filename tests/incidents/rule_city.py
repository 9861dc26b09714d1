"""A city of devices in zones, a view of it by hand, and a slow, obvious engine to compare with."""

from __future__ import annotations

import geopandas as gpd
import numpy as np

from citytwin.city import City, Facts
from citytwin.sim.registry import columns_with
from citytwin.state import State

KINDS = ("river_stage", "feeder_voltage", "air_temperature")


def rule_city(devices: int = 30, kinds: tuple[str, ...] = KINDS, zones: int = 3) -> City:
    """Devices of `kinds` in turn, keys dev-0, dev-1, ..., in zones zone-0, zone-1 ..."""
    keys = [f"dev-{i}" for i in range(devices)]
    frame = gpd.GeoDataFrame(
        {"key": keys, "kind": [kinds[i % len(kinds)] for i in range(devices)], "name": [f"Gauge {i}" for i in range(devices)],
         "zone": [f"zone-{i % zones}" for i in range(devices)]},
        geometry=gpd.points_from_xy(500_000 + 10.0 * np.arange(devices), np.full(devices, 5_000_000.0)), crs="EPSG:32631",
    )  # fmt: skip
    return City(Facts("Rulecity", "EPSG:32631"), {"device": frame})


class HandView:
    """A view whose numbers a test sets: `set(column, values)`, `heard_at`, `codes`, `run`."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.columns = columns_with(city.columns)
        self.state = State(city, self.columns)
        self.began = 0.0
        n = city.size("device")
        self.heard_at = np.full(n, -np.inf)
        self.codes = np.ones(n, dtype=np.uint8)
        self.run: dict[str, np.ndarray] = {}

    def set(self, column: str, values: object) -> None:
        self.state[column] = values

    def values(self, table: str, column: str) -> np.ndarray:
        return self.state[column]

    def heard(self) -> np.ndarray:
        return self.heard_at

    def status(self) -> np.ndarray:
        return self.codes

    def forecast(self, table: str, column: str, within: float | None, run: str, high: bool) -> np.ndarray | None:
        return self.run.get(column)
