"""Power and water networks as far as OpenStreetMap shows them, and the relations through which failures spread.

Relations made here; what rests on nearness alone (`feeds`, `serves`) has true in the column `estimated`:
`feeds` power_bus or water_node -> building (nearest source of supply) and power_bus -> facility that stands in no building;
`depends_on` power_bus or water_node -> the facility it stands in (same key); `serves` hospital, fire station, police ->
zone (nearest to the zone's middle); `contains` building -> facility.
"""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely
from scipy.spatial import cKDTree

from citytwin.city import RELATION_FIELDS
from citytwin.io.importers import values
from citytwin.io.importers.osm import Lines
from citytwin.io.importers.roads import cut, draw

POWER = {"plant": "plant", "substation": "substation", "transformer": "transformer"}
WATER = {
    "water_works": "works", "reservoir_covered": "reservoir", "water_tower": "tank", "pumping_station": "pump",
}  # fmt: skip
YARD = 40.0  # m: a line that ends this near a substation ends in it
SUPPLY = ("substation", "transformer")
SERVING = ("hospital", "fire_station", "police")


def make_power(lines: Lines, raw: gpd.GeoDataFrame, crs: pyproj.CRS) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Tables `power_bus` and `power_line`. raw: OpenStreetMap objects of layer facility in the city's CRS."""
    site = raw[raw["power"].isin(POWER)].drop_duplicates("key").reset_index(drop=True)
    bus = gpd.GeoDataFrame(
        {"key": site["key"], "kind": site["power"].map(POWER), "voltage": values.each(site["voltage"], values.volts),
         "name": site["name"].fillna("")},
        geometry=shapely.point_on_surface(site.geometry.to_numpy()), crs=crs,
    )  # fmt: skip
    x, y = (
        np.asarray(v, dtype=float)
        for v in pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(lines.lon, lines.lat)
    )
    pieces = cut(lines)
    drawn, length = draw(pieces, lines, x, y)
    ends = np.concatenate([pieces.first, pieces.last])
    keys, extra = _ends(ends, lines, x, y, site, bus)
    voltage = values.each(lines.table["voltage"], values.volts)[pieces.way]
    half = len(pieces.way)
    line = gpd.GeoDataFrame(
        {"key": lines.table["key"].to_numpy(dtype=object)[pieces.way] + pd.Series(pieces.number).map("-{}".format).to_numpy(),
         "from_bus": keys[:half], "to_bus": keys[half:], "voltage": voltage, "length": length,
         "kind": lines.table["power"].to_numpy(dtype=object)[pieces.way]},
        geometry=drawn, crs=crs,
    )  # fmt: skip
    loops = (line["from_bus"] == line["to_bus"]).to_numpy()
    bus = gpd.GeoDataFrame(pd.concat([bus, extra], ignore_index=True), crs=crs) if len(extra) else bus
    return bus, gpd.GeoDataFrame(line[~loops].reset_index(drop=True), crs=crs)


def _ends(
    ends: npt.NDArray[np.int64], lines: Lines, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64],
    site: gpd.GeoDataFrame, bus: gpd.GeoDataFrame,
) -> tuple[npt.NDArray[np.object_], gpd.GeoDataFrame]:  # fmt: skip
    """Bus key of each line end, a substation's where one is near; and the buses that are nothing but a line's end."""
    node, first, back = np.unique(lines.node[ends], return_index=True, return_inverse=True)
    place: Any = shapely.points(x[ends[first]], y[ends[first]])
    keys = np.array([f"n{n}" for n in node], dtype=object)
    own = np.ones(len(node), dtype=bool)
    if len(site) and len(node):
        (i, j), _ = shapely.STRtree(site.geometry.to_numpy()).query_nearest(
            place, max_distance=YARD, return_distance=True, all_matches=False
        )
        keys[i] = site["key"].to_numpy(dtype=object)[j]
        own[i] = False
    own &= ~np.isin(keys, bus["key"].to_numpy(dtype=object))
    extra = gpd.GeoDataFrame({"key": keys[own], "kind": "bus", "voltage": np.nan, "name": ""}, geometry=place[own], crs=bus.crs)
    return keys[back], extra


def make_water_nodes(raw: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Table `water_node`: works, reservoirs, tanks and pumps of the drinking water. Elevation is filled by the builder."""
    site = raw[raw["man_made"].isin(WATER)].drop_duplicates("key").reset_index(drop=True)
    return gpd.GeoDataFrame(
        {"key": site["key"], "kind": site["man_made"].map(WATER), "elevation": np.nan, "name": site["name"].fillna("")},
        geometry=shapely.point_on_surface(site.geometry.to_numpy()), crs=raw.crs,
    )  # fmt: skip


def make_relations(tables: dict[str, gpd.GeoDataFrame]) -> pd.DataFrame:
    """All relations of a built city, without doubles."""
    building, facility, zone = tables["building"], tables["facility"], tables["zone"]
    bus, water = tables["power_bus"], tables["water_node"]
    supply = bus[bus["kind"].isin(SUPPLY)]
    outside = facility[(facility["building"] == "") & ~facility["kind"].isin(["power_plant", "power_substation"])]
    parts = [
        _nearest("feeds", "power_bus", supply, "building", building),
        _nearest("feeds", "power_bus", supply, "facility", outside),
        _nearest("feeds", "water_node", water[water["kind"] != "pump"], "building", building),
        _same("power_bus", bus, facility), _same("water_node", water, facility),
        *[_nearest("serves", "facility", facility[facility["kind"] == kind], "zone", zone) for kind in SERVING],
    ]  # fmt: skip
    housed = facility[facility["building"] != ""]
    parts.append(_rows("contains", "building", housed["building"], "facility", housed["key"]))
    whole = pd.concat(parts, ignore_index=True).drop_duplicates(ignore_index=True)
    return whole.assign(estimated=whole["kind"].isin(["feeds", "serves"]))


def _nearest(kind: str, source: str, sources: gpd.GeoDataFrame, target: str, targets: gpd.GeoDataFrame) -> pd.DataFrame:
    if not len(sources) or not len(targets):
        return _rows(kind, source, [], target, [])
    tree = cKDTree(shapely.get_coordinates(sources.geometry.to_numpy()))
    near = tree.query(shapely.get_coordinates(shapely.centroid(targets.geometry.to_numpy())))[1]
    return _rows(kind, source, sources["key"].to_numpy()[near], target, targets["key"])


def _same(table: str, nodes: gpd.GeoDataFrame, facility: gpd.GeoDataFrame) -> pd.DataFrame:
    shared = nodes["key"][nodes["key"].isin(facility["key"])]
    return _rows("depends_on", table, shared, "facility", shared)


def _rows(kind: str, source: str, from_keys: Any, target: str, to_keys: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"from_key": np.asarray(from_keys, dtype=object), "to_key": np.asarray(to_keys, dtype=object)})
    return frame.assign(kind=kind, from_table=source, to_table=target)[list(RELATION_FIELDS)].astype("str")
