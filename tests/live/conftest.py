"""A small city with devices, and a twin that lives in it."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest

from citytwin.city import City, Facts, write_city

KINDS = ("river_stage", "rain_gauge", "air_temperature", "noise", "traffic_intensity")


def small_city(devices: int = 20) -> City:
    """A city of nothing but devices, five kinds in turn, on a grid of 100 m."""
    keys = [f"device-{i}" for i in range(devices)]
    x, y = 500_000 + 100.0 * (np.arange(devices) % 50), 5_000_000 + 100.0 * (np.arange(devices) // 50)
    table = gpd.GeoDataFrame(
        {"key": keys, "kind": [KINDS[i % len(KINDS)] for i in range(devices)], "name": keys, "zone": ""},
        geometry=gpd.points_from_xy(x, y), crs="EPSG:32631",
    )  # fmt: skip
    return City(Facts("Small", "EPSG:32631"), {"device": table})


@pytest.fixture
def city_folder(tmp_path):
    folder = tmp_path / "small"
    write_city(small_city(), folder)
    return folder
