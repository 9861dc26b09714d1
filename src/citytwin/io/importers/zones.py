"""Zones: the districts that results are summed over, and which of them each thing lies in.

Administrative areas are taken where one level of them tiles the city (holds TILES of its buildings, in at least LEAST
areas); the finest such level wins. Else named suburbs that tile it; else a grid of squares, marked estimated.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

LEVELS = ("10", "9", "8", "7", "6")
TILES, LEAST, MOST = 0.95, 3, 500
SQUARES = 60  # squares wanted of a made grid, about
SMALLEST, LARGEST = 250.0, 5000.0  # m, side of a square


def make_zones(boundary: gpd.GeoDataFrame, building: gpd.GeoDataFrame, extent: shapely.Polygon) -> gpd.GeoDataFrame:
    """Table `zone` in the CRS of `building`, without people. `extent`: the city's extent, for the grid."""
    place = shapely.point_on_surface(building.geometry.to_numpy())
    admin = boundary[boundary["boundary"] == "administrative"]
    candidates = [admin[admin["admin_level"] == level] for level in LEVELS]
    candidates.append(boundary[boundary["place"].notna() & (boundary["boundary"] != "administrative")])
    for areas in candidates:
        areas = areas[shapely.intersects(areas.geometry.to_numpy(), extent)]
        if LEAST <= len(areas) <= MOST and len(place):
            zone = gpd.GeoDataFrame(
                {"key": areas["key"], "name": areas["name"].fillna(""), "estimated": ""},
                geometry=areas.geometry,
                crs=building.crs,
            ).sort_values("key", ignore_index=True)
            owner = zone_rows(zone, place)
            if (owner >= 0).mean() >= TILES:
                return _only_used(zone, owner)
    return _grid(place, extent, building)


def _only_used(zone: gpd.GeoDataFrame, owner: npt.NDArray[np.int64]) -> gpd.GeoDataFrame:
    """Without neighbours that hold nothing of the city (a border commune of the next country)."""
    share = np.bincount(owner[owner >= 0], minlength=len(zone)) / max(len(owner), 1)
    return gpd.GeoDataFrame(zone[share > 1e-4].reset_index(drop=True), crs=zone.crs)


def _grid(place: npt.NDArray[np.object_], extent: shapely.Polygon, building: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    west, south, east, north = extent.bounds
    side = float(np.clip(np.sqrt((east - west) * (north - south) / SQUARES), SMALLEST, LARGEST))
    side = float(np.ceil(side / 50) * 50)
    across, down = int(np.ceil((east - west) / side)), int(np.ceil((north - south) / side))
    iy, ix = np.divmod(np.arange(across * down), across)
    x, y = west + ix * side, north - iy * side
    zone = gpd.GeoDataFrame(
        {
            "key": [f"grid-{r}-{c}" for r, c in zip(iy + 1, ix + 1, strict=True)],
            "name": [f"{_letters(int(r))}{c + 1}" for r, c in zip(iy, ix, strict=True)], "estimated": "geometry,name",
        },
        geometry=shapely.box(x, y - side, x + side, y), crs=building.crs,
    )  # fmt: skip
    if not len(place):
        return zone
    return gpd.GeoDataFrame(zone.iloc[np.unique(zone_rows(zone, place, True))].reset_index(drop=True), crs=zone.crs)


def _letters(number: int) -> str:
    return (_letters(number // 26 - 1) if number >= 26 else "") + chr(65 + number % 26)


def zone_rows(zone: gpd.GeoDataFrame, place: npt.NDArray[np.object_], nearest: bool = False) -> npt.NDArray[np.int64]:
    """Row of the zone that holds each point, -1 (or the nearest zone) for a point in none."""
    rows = np.full(len(place), -1, dtype=np.int64)
    if not len(zone) or not len(place):
        return rows
    tree = shapely.STRtree(zone.geometry.to_numpy())
    i, j = tree.query(place, predicate="intersects")
    rows[i[::-1]] = j[::-1]
    lost = np.flatnonzero(rows < 0)
    if nearest and len(lost):
        rows[lost] = tree.nearest(place[lost])
    return rows


def zone_keys(zone: gpd.GeoDataFrame, place: npt.NDArray[np.object_]) -> pd.Series:
    """Key of the zone of each point; of a point in none, the nearest zone's."""
    rows = zone_rows(zone, place, nearest=True)
    keys = np.append(zone["key"].to_numpy(dtype=object), "")
    return pd.Series(keys[rows], dtype="str")
