"""The road graph: ways cut where they share a node, one row of `road` between two rows of `junction`.

Lengths are on the ellipsoid (WGS 84), so that they do not depend on the map projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely
from scipy.spatial import cKDTree

from citytwin.io.importers import values
from citytwin.io.importers.buildings import listed
from citytwin.io.importers.osm import Lines

# Open to motor vehicles as a through road. `service` (driveways, parking aisles, alleys) stays in the graph, not drivable:
# with it the totals are lengths of parking lots, not of streets.
DRIVABLE = (
    "motorway", "motorway_link", "trunk", "trunk_link", "primary", "primary_link", "secondary", "secondary_link", "tertiary",
    "tertiary_link", "unclassified", "residential", "living_street", "road",
)  # fmt: skip
# Not (yet, or any more) a way that anybody moves on.
NO_ROAD = (
    "construction", "proposed", "planned", "abandoned", "disused", "razed", "demolished", "dismantled", "no", "platform",
    "raceway", "corridor", "elevator", "via_ferrata", "rest_area", "services", "bus_stop", "traffic_island", "trailhead",
    "escape",
)  # fmt: skip
CLOSED = ("no", "private", "forestry", "agricultural", "military", "emergency", "customers", "delivery")
# Speed (km/h) and lanes over both directions where no tag says: built-up values (Vienna Convention practice; OSRM's car profile
# takes the same order of classes), marked estimated.
DEFAULT_SPEED = {
    "motorway": 110.0, "motorway_link": 60.0, "trunk": 90.0, "trunk_link": 50.0, "primary": 60.0, "primary_link": 40.0,
    "secondary": 50.0, "secondary_link": 40.0, "tertiary": 50.0, "tertiary_link": 40.0, "unclassified": 50.0, "road": 40.0,
    "residential": 30.0, "living_street": 10.0, "service": 15.0, "track": 15.0, "busway": 40.0, "cycleway": 15.0,
}  # fmt: skip
WALK = 5.0  # km/h on everything else
ONE_LANE = ("service", "track", "living_street", "path", "footway", "cycleway", "steps", "pedestrian", "bridleway")
SIGNAL_REACH = 25.0  # m from a traffic light (often drawn at the stop line) to its junction


@dataclass
class Graph:
    """Tables `road` and `junction`; `removed`: metres of way outside the city's extent."""

    road: gpd.GeoDataFrame
    junction: gpd.GeoDataFrame
    removed: float


@dataclass
class Pieces:
    """Pieces of ways between two cuts."""

    way: npt.NDArray[np.int64]  # row of the way of each piece
    first: npt.NDArray[np.int64]  # position of its first node among all nodes
    last: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]  # 0, 1, 2, ... along its way


def make_roads(ways: Lines, signals: gpd.GeoDataFrame, inside: shapely.Polygon, crs: pyproj.CRS) -> Graph:
    """Tables `road` and `junction` from OpenStreetMap ways.

    signals: traffic lights (points in `crs`). inside: the city's extent in `crs`; pieces that do not touch it are left out.
    """
    ways = _wanted(ways)
    tags = ways.table
    to_city = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
    x, y = to_city.transform(ways.lon, ways.lat)
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    pieces = cut(ways, shapely.contains_xy(inside, x, y))
    lines, length = draw(pieces, ways, x, y)
    keep = shapely.intersects(inside, lines) & (length > 0)
    removed = float(length[~keep].sum())
    pieces = Pieces(pieces.way[keep], pieces.first[keep], pieces.last[keep], pieces.number[keep])
    lines, length = lines[keep], length[keep]
    direction = _direction(tags).take(pieces.way)
    back = direction < 0
    lines[back] = shapely.reverse(lines[back])
    begin, end = np.where(back, pieces.last, pieces.first), np.where(back, pieces.first, pieces.last)
    said = tags.take(pieces.way).reset_index(drop=True)
    key = said["key"] + "-" + pd.Series(pieces.number).astype("str")
    columns: dict[str, Any] = {"key": key, "name": said["name"].fillna(said["ref"]).fillna(""), "class": said["highway"]}
    columns |= {"from_junction": _node_keys(ways.node[begin]), "to_junction": _node_keys(ways.node[end]), "length": length}
    road = gpd.GeoDataFrame(columns | _attributes(said, direction), geometry=lines, crs=crs)
    return Graph(road, _junctions(ways, np.concatenate([begin, end]), x, y, signals, crs), removed)


def _node_keys(node: npt.NDArray[np.int64]) -> pd.Series:
    return pd.Series([f"n{n}" for n in node.tolist()], dtype="str")


def _wanted(ways: Lines) -> Lines:
    """Without the ways that are not, not yet or no longer there."""
    keep = ~ways.table["highway"].isin(NO_ROAD).to_numpy() & (np.diff(ways.start) >= 2)
    return ways.select(np.flatnonzero(keep))


def cut(ways: Lines, inside: npt.NDArray[np.bool_] | None = None) -> Pieces:
    """Pieces between ends of ways and nodes that are used more than once, and where ways leave `inside` (a flag a node)."""
    _, inverse, count = np.unique(ways.node, return_inverse=True, return_counts=True)
    marked = count[inverse] > 1
    del inverse, count
    marked[ways.start[:-1]] = True
    marked[ways.start[1:] - 1] = True
    if inside is not None:
        leaves = inside[:-1] != inside[1:]
        marked |= ~inside & (np.append(leaves, False) | np.insert(leaves, 0, False))
    at = np.flatnonzero(marked)
    owner = np.searchsorted(ways.start, at, side="right") - 1
    same = owner[:-1] == owner[1:]
    way = owner[:-1][same]
    begins = np.concatenate([[True], way[1:] != way[:-1]]) if len(way) else np.empty(0, bool)
    run = np.arange(len(way))
    number = run - np.maximum.accumulate(np.where(begins, run, 0)) if len(way) else run
    return Pieces(way, at[:-1][same], at[1:][same], number)


def draw(
    pieces: Pieces, ways: Lines, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]:
    """The line of each piece in city coordinates, and its length in metres on the ellipsoid."""
    size = pieces.last - pieces.first + 1
    start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    at = np.arange(start[-1]) - np.repeat(start[:-1], size) + np.repeat(pieces.first, size)
    lines: Any = shapely.linestrings(np.column_stack([x[at], y[at]]), indices=np.repeat(np.arange(len(size)), size))
    geod = pyproj.Geod(ellps="WGS84")
    step = geod.inv(ways.lon[:-1], ways.lat[:-1], ways.lon[1:], ways.lat[1:])[2] if len(ways.lon) > 1 else np.empty(0)
    along = np.concatenate([[0.0], np.cumsum(step)])
    return lines, along[pieces.last] - along[pieces.first]


def _direction(tags: pd.DataFrame) -> npt.NDArray[np.float64]:
    """1 only along the way, -1 only against it, 0 both: as tagged; else roundabouts and motorways are one-way."""
    told = values.each(tags["oneway"], values.direction)
    implied = tags["junction"].isin(["roundabout", "circular"]) | tags["highway"].isin(["motorway"])
    return np.where(np.isnan(told), implied.to_numpy().astype(float), told)


def _attributes(said: pd.DataFrame, direction: npt.NDArray[np.float64]) -> dict[str, object]:
    kind = said["highway"]
    closed = said["motorcar"].fillna(said["motor_vehicle"]).fillna(said["vehicle"]).fillna(said["access"]).isin(CLOSED)
    limit = values.each(said["maxspeed"], values.speed)
    for other in ("maxspeed:type", "zone:maxspeed"):
        limit = np.where(np.isnan(limit), values.each(said[other], values.speed), limit)
    usual = kind.map(DEFAULT_SPEED).fillna(WALK).to_numpy(dtype=float) / 3.6
    both = values.each(said["lanes"], values.lanes)
    sides = np.nan_to_num(values.each(said["lanes:forward"], values.lanes)) + np.nan_to_num(
        values.each(said["lanes:backward"], values.lanes)
    )
    both = np.where(np.isnan(both) & (sides > 0), sides, both)
    narrow = kind.isin(ONE_LANE).to_numpy()
    wide = kind.isin(["motorway", "trunk"]).to_numpy()
    rule = np.where(narrow, 1.0, np.where(direction != 0, np.where(wide, 2.0, 1.0), 2.0))
    return {
        "drivable": (kind.isin(DRIVABLE) & ~closed).to_numpy(),
        "lanes": np.where(np.isnan(both), rule, both), "speed": np.where(np.isnan(limit), usual, limit),
        "oneway": direction != 0, "bridge": (said["bridge"].fillna("no") != "no").to_numpy(),
        "tunnel": (said["tunnel"].fillna("no") != "no").to_numpy(),
        "layer": np.nan_to_num(values.each(said["layer"], values.first_number)),
        "estimated": listed({"lanes": np.isnan(both), "speed": np.isnan(limit)}, len(said)),
    }  # fmt: skip


def _junctions(
    ways: Lines, at: npt.NDArray[np.int64], x: npt.NDArray[np.float64], y: npt.NDArray[np.float64],
    signals: gpd.GeoDataFrame, crs: pyproj.CRS,
) -> gpd.GeoDataFrame:  # fmt: skip
    """Table `junction`: the ends of all roads; traffic lights at the junction's node or within SIGNAL_REACH of it."""
    node, first, degree = np.unique(ways.node[at], return_index=True, return_counts=True)
    place = np.column_stack([x[at[first]], y[at[first]]])
    lit = np.zeros(len(node), dtype=bool)
    real = np.flatnonzero(degree >= 3)
    if len(signals) and len(real):
        lamp = shapely.get_coordinates(signals.geometry.to_numpy())
        distance, near = cKDTree(place[real]).query(lamp, distance_upper_bound=SIGNAL_REACH)
        lit[real[near[np.isfinite(distance)]]] = True
    columns = {"key": _node_keys(node), "signals": lit}
    return gpd.GeoDataFrame(columns, geometry=shapely.points(place), crs=crs)
