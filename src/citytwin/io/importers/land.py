"""Land use, water surfaces, watercourses and the sea, with the roughness and imperviousness of each kind of land.

Manning's n lies inside the range that the HEC-RAS 2D User's Manual gives the class ("Creating Land Cover, Manning's n
Values, and % Impervious Layers", USACE Hydrologic Engineering Center); paved ground is Chow (1959), Open-Channel Hydraulics,
table 5-6. The impervious share is the middle of the range that defines the developed classes of the US National Land
Cover Database (open space < 20 %, low 20-49 %, medium 50-79 %, high 80-100 %). Buildings and streets are drawn on their own
(see `bands.py`), so these values stand for the ground between them.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from citytwin.io.importers import values
from citytwin.io.importers.buildings import listed

CLASSES: dict[str, tuple[float, float, tuple[str, ...]]] = {
    # class: (Manning's n, impervious share, OpenStreetMap values)
    "water": (0.035, 0.0, ("water", "reservoir", "basin", "riverbank", "bay", "strait", "salt_pond")),
    "paved": (0.016, 0.95, ("parking", "apron", "runway", "taxiway", "pedestrian", "garages", "depot", "highway", "footway",
                            "service", "railway_platform", "landing_site")),
    "town": (0.12, 0.65, ("commercial", "retail", "industrial", "railway", "port", "construction", "brownfield", "harbour",
                          "university", "hospital", "school", "college", "institutional", "fairground", "military",
                          "aerodrome", "marketplace", "religious", "education", "civic_admin")),
    "homes": (0.09, 0.35, ("residential", "garages_area", "resort", "holiday_village")),
    "park": (0.04, 0.10, ("park", "garden", "recreation_ground", "village_green", "cemetery", "grave_yard", "allotments",
                          "playground", "pitch", "golf_course", "sports_centre", "dog_park", "flowerbed", "stadium", "track",
                          "greenfield", "plant_nursery", "camp_site", "zoo", "common", "kindergarten")),
    "farm": (0.035, 0.0, ("farmland", "farm", "farmyard", "greenhouse_horticulture", "vineyard", "orchard")),
    "grass": (0.035, 0.0, ("grass", "meadow", "grassland", "fell", "tundra", "nature_reserve", "heath_grass", "winter_sports")),
    "scrub": (0.10, 0.0, ("scrub", "heath", "shrubbery")),
    "forest": (0.14, 0.0, ("forest", "wood")),
    "wetland": (0.07, 0.0, ("wetland", "marsh", "mud")),
    "bare": (0.025, 0.15, ("bare_rock", "scree", "rock", "sand", "beach", "shingle", "quarry", "landfill", "stone", "cliff")),
    "ice": (0.025, 0.0, ("glacier",)),
}  # fmt: skip
KIND_OF = {value: kind for kind, (_, _, accepted) in CLASSES.items() for value in accepted}
UNKNOWN = (0.05, 0.10)  # Manning's n and impervious share where OpenStreetMap says nothing
WIDTHS = {"river": 15.0, "canal": 10.0, "stream": 2.0, "ditch": 1.0, "drain": 1.0, "tidal_channel": 5.0}  # m, a rough guess
TAGS = ("landuse", "natural", "leisure", "aeroway", "amenity", "highway", "area:highway", "railway")


def make_land(raw: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Table `land`, the largest areas first, so that what is drawn later lies inside. In the CRS of `raw`."""
    value = pd.Series(pd.NA, index=raw.index, dtype="str")
    for tag in TAGS:
        value = value.fillna(raw[tag].where(raw[tag].isin(KIND_OF)))
    known = raw[value.notna()].assign(kind=value[value.notna()], area=raw.geometry.area)
    known = known.sort_values(["area", "key"], ascending=[False, True]).reset_index(drop=True)
    group = known["kind"].map(KIND_OF)
    columns = {
        "key": known["key"], "kind": known["kind"], "class": group,
        "manning": group.map({k: v[0] for k, v in CLASSES.items()}),
        "impervious": group.map({k: v[1] for k, v in CLASSES.items()}),
    }  # fmt: skip
    return gpd.GeoDataFrame(columns, geometry=known.geometry, crs=raw.crs)


def make_water(raw: gpd.GeoDataFrame, sea: BaseGeometry | None) -> gpd.GeoDataFrame:
    """Table `water`: rivers, lakes, basins, and the sea where the coastline crosses the city."""
    kind = raw["water"].fillna(raw["waterway"]).fillna(raw["landuse"]).fillna("water").replace({"riverbank": "river"})
    table = gpd.GeoDataFrame(
        {"key": raw["key"], "kind": kind, "name": raw["name"].fillna("")}, geometry=raw.geometry, crs=raw.crs
    ).reset_index(drop=True)
    if sea is not None and not sea.is_empty:
        row = gpd.GeoDataFrame({"key": ["sea"], "kind": ["sea"], "name": [""]}, geometry=[sea], crs=raw.crs)
        table = gpd.GeoDataFrame(pd.concat([table, row], ignore_index=True), crs=raw.crs)
    return table


def make_waterways(raw: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Table `waterway`; a width that is not tagged is a guess by kind. Lines run downstream, as OpenStreetMap draws them."""
    width = values.each(raw["width"], values.metres)
    guess = np.isnan(width)
    columns = {
        "key": raw["key"], "kind": raw["waterway"], "name": raw["name"].fillna(""),
        "width": np.where(guess, raw["waterway"].map(WIDTHS).fillna(1.0), width),
        "tunnel": (raw["tunnel"].fillna("no") != "no").to_numpy(), "estimated": listed({"width": guess}, len(raw)),
    }  # fmt: skip
    return gpd.GeoDataFrame(columns, geometry=raw.geometry, crs=raw.crs).reset_index(drop=True)


def make_sea(coastline: gpd.GeoDataFrame, box: shapely.Polygon) -> BaseGeometry | None:
    """The sea inside `box`: OpenStreetMap draws coastlines with the land on the left and the sea on the right."""
    lines = shapely.intersection(coastline.geometry.to_numpy(), box)
    lines = shapely.get_parts(lines[~shapely.is_empty(lines)])
    lines = lines[shapely.get_type_id(lines) == 1]
    if not len(lines):
        return None
    faces = shapely.get_parts(shapely.polygonize([shapely.unary_union([*lines, box.exterior])]))
    if not len(faces):
        return None
    points, owner = shapely.get_coordinates(lines, return_index=True)
    same = owner[:-1] == owner[1:]
    a, b = points[:-1][same], points[1:][same]
    along = (b - a) / np.maximum(np.hypot(*(b - a).T), 1e-9)[:, None]
    right = (a + b) / 2 + np.column_stack([along[:, 1], -along[:, 0]])
    left = (a + b) / 2 - np.column_stack([along[:, 1], -along[:, 0]])
    tree = shapely.STRtree(faces)
    votes = np.zeros(len(faces))
    for side, sign in ((right, 1.0), (left, -1.0)):  # one metre to each side of each piece of coast
        i, j = tree.query(shapely.points(side), predicate="within")
        np.add.at(votes, j, sign * np.hypot(*(b - a).T)[i])
    return shapely.union_all(faces[votes > 0]) if (votes > 0).any() else None
