"""A city of nothing but devices, and arrivals made by hand."""

from __future__ import annotations

import geopandas as gpd
import numpy as np

from citytwin.city import City, Facts
from citytwin.state import Arrivals

KINDS = ("river_stage", "rain_gauge", "air_temperature", "noise", "traffic_intensity")


def device_city(devices: int = 20, kinds: tuple[str, ...] = KINDS) -> City:
    """Devices of `kinds` in turn, keys device-0, device-1, ..., on a grid of 100 m."""
    keys = [f"device-{i}" for i in range(devices)]
    x, y = 500_000 + 100.0 * (np.arange(devices) % 50), 5_000_000 + 100.0 * (np.arange(devices) // 50)
    table = gpd.GeoDataFrame(
        {"key": keys, "kind": [kinds[i % len(kinds)] for i in range(devices)], "name": keys, "zone": ""},
        geometry=gpd.points_from_xy(x, y), crs="EPSG:32631",
    )  # fmt: skip
    return City(Facts("Devices", "EPSG:32631"), {"device": table})


def arrivals(row, time, value, arrived=None, sequence=None) -> Arrivals:
    """Arrivals from lists; arrived when they say they were measured, places 1, 2, ... unless said otherwise."""
    n = len(row)
    return Arrivals(
        np.array(row, dtype=np.int32), np.array(time, dtype=float), np.array(value, dtype=float),
        np.array(time if arrived is None else arrived, dtype=float), np.zeros(n, dtype=np.uint8),
        np.array(range(1, n + 1) if sequence is None else sequence, dtype=np.int64), np.zeros(n, dtype=np.int32),
    )  # fmt: skip
