"""Facilities: the places that serve people, one row a site however many objects OpenStreetMap has for it.

Several objects of one kind become one site when one lies inside the other, when they have the same name within
`SAME_NAME` metres, or when one without a name lies within `SAME_PLACE` of another. The site's own evidence (name,
emergency, beds, ...) is what any of its objects says. `hospital.py` then judges which hospitals are hospitals.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from citytwin.io.importers import values
from citytwin.io.importers.buildings import listed
from citytwin.io.importers.hospital import judge

SAME_NAME, SAME_PLACE = 400.0, 60.0  # m
CHAINS = (
    "fuel",
    "pharmacy",
    "doctors",
    "telecom",
    "power_substation",
)  # one name for many places: merged within SAME_PLACE only

# kind: (tag, values); the first that fits names the object's kind
KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("hospital", "amenity", ("hospital",)), ("hospital", "healthcare", ("hospital",)),
    ("clinic", "amenity", ("clinic",)), ("clinic", "healthcare", ("clinic", "centre", "rehabilitation", "dialysis")),
    ("doctors", "amenity", ("doctors",)), ("doctors", "healthcare", ("doctor",)),
    ("pharmacy", "amenity", ("pharmacy",)), ("pharmacy", "healthcare", ("pharmacy",)),
    ("care_home", "amenity", ("nursing_home",)),
    ("care_home", "social_facility", ("nursing_home", "assisted_living", "group_home", "hospice")),
    ("shelter", "social_facility", ("shelter",)), ("shelter", "emergency", ("shelter", "disaster_help_point")),
    ("shelter", "amenity", ("refugee_site",)),
    ("school", "amenity", ("school",)), ("kindergarten", "amenity", ("kindergarten", "childcare")),
    ("university", "amenity", ("university", "college")),
    ("fire_station", "amenity", ("fire_station",)), ("police", "amenity", ("police",)),
    ("ambulance_station", "emergency", ("ambulance_station",)),
    ("townhall", "amenity", ("townhall",)), ("community_centre", "amenity", ("community_centre", "social_centre")),
    ("power_plant", "power", ("plant",)), ("power_substation", "power", ("substation",)),
    ("water_works", "man_made", ("water_works",)), ("wastewater_plant", "man_made", ("wastewater_plant",)),
    ("pumping_station", "man_made", ("pumping_station",)),
    ("fuel", "amenity", ("fuel",)), ("bus_station", "amenity", ("bus_station",)),
    ("railway_station", "railway", ("station", "halt")),
    ("telecom", "man_made", ("communications_tower",)), ("telecom", "tower:type", ("communication",)),
    ("hospital", "building", ("hospital",)),
)  # fmt: skip


def make_facilities(raw: gpd.GeoDataFrame, building: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Table `facility` (points) and notes on what was merged or not believed.

    raw: OpenStreetMap objects in the city's CRS; building: table `building`.
    """
    raw = raw.assign(kind=_kinds(raw))
    raw = raw[raw["kind"] != ""].reset_index(drop=True)
    sites = _sites(raw)
    sites, doubts = judge(sites)
    notes = [f"{len(raw) - len(sites)} objects of facilities were merged into another of the same site or left out", *doubts]
    beds = sites["beds"].fillna(sites["capacity:beds"]).fillna(sites["capacity"]).fillna(sites["capacity:persons"])
    said = sites["emergency"].fillna("")
    urgent = (said == "yes") | ((sites["kind"] == "hospital") & (said != "no"))
    guessed = {"kind": sites["demoted"].to_numpy(), "emergency": (urgent & (said != "yes")).to_numpy()}
    columns = {
        "key": sites["key"], "kind": sites["kind"], "name": sites["name"].fillna(""),
        "building": _building_of(sites, building), "capacity": values.each(beds, values.first_number),
        "emergency": urgent, "operator": sites["operator"].fillna(""), "estimated": listed(guessed, len(sites)),
    }  # fmt: skip
    table = gpd.GeoDataFrame(columns, geometry=_points(sites), crs=raw.crs)
    return table, [n for n in notes if not n.startswith("0 ")]


def _kinds(raw: gpd.GeoDataFrame) -> npt.NDArray[np.object_]:
    kind = np.full(len(raw), "", dtype=object)
    for name, tag, accepted in reversed(KINDS):
        kind[raw[tag].isin(accepted).to_numpy()] = name
    minor = raw["substation"].isin(["minor_distribution", "distribution"]) & (raw.geometry.area == 0).to_numpy()
    kind[(kind == "power_substation") & minor.to_numpy()] = ""  # pole transformers are nodes of the network, no places
    return kind


def _points(frame: gpd.GeoDataFrame) -> npt.NDArray[np.object_]:
    return np.asarray(shapely.point_on_surface(frame.geometry.to_numpy()))


def _sites(raw: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """One row a site: the largest of its objects, its empty tags filled from the others; `area` of its largest, `objects`."""
    raw = raw.assign(area=raw.geometry.area, label=_label(raw["name"]))
    pairs = [_near_pairs(raw), _inside_pairs(raw)]
    i, j = (np.concatenate([p[side] for p in pairs]) for side in (0, 1))
    links = coo_array((np.ones(len(i)), (i, j)), shape=(len(raw), len(raw)))
    raw["site"] = connected_components(links, directed=False)[1]
    # An object that is a facility of its own right leads, before a mere building=hospital; then the largest.
    raw["rank"] = np.where(raw["amenity"].isna() & raw["healthcare"].isna() & (raw["kind"] == "hospital"), 1, 0)
    raw = raw.sort_values(["site", "rank", "area", "key"], ascending=[True, True, False, True])
    merged = raw.groupby("site", sort=False).first()  # the first that is not missing, tag by tag
    merged["objects"] = raw.groupby("site", sort=False).size()
    merged["geometry"] = raw.drop_duplicates("site").set_index("site").geometry
    merged["key"] = raw.drop_duplicates("site").set_index("site")["key"]
    merged["area"] = raw.groupby("site", sort=False)["area"].max()
    return gpd.GeoDataFrame(merged.sort_values(["kind", "key"]).reset_index(drop=True), geometry="geometry", crs=raw.crs)


def _label(name: pd.Series) -> pd.Series:
    return name.fillna("").str.casefold().str.replace(r"[\W_]+", " ", regex=True).str.strip()


def _near_pairs(raw: gpd.GeoDataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs of one kind with one name, or with a name missing and hardly apart."""
    place = shapely.get_coordinates(_points(raw))
    pairs = cKDTree(place).query_pairs(SAME_NAME, output_type="ndarray") if len(place) else np.empty((0, 2), dtype=np.intp)
    i, j = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    kind, label = raw["kind"].to_numpy(), raw["label"].to_numpy()
    apart = np.hypot(*(place[i] - place[j]).T)
    reach = np.where(np.isin(kind[i], CHAINS), SAME_PLACE, SAME_NAME)
    named = (label[i] == label[j]) & (label[i] != "") & (apart < reach)
    bare = ((label[i] == "") | (label[j] == "")) & (apart < SAME_PLACE)
    keep = (kind[i] == kind[j]) & (named | bare)
    return i[keep], j[keep]


def _inside_pairs(raw: gpd.GeoDataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs of one kind where the first lies in the area of the second; of two names, only where the area is a hospital's."""
    areas = np.flatnonzero(raw["area"].to_numpy() > 0)
    tree = shapely.STRtree(raw.geometry.to_numpy()[areas])
    i, j = tree.query(_points(raw), predicate="within")
    j = areas[j]
    kind, label = raw["kind"].to_numpy(), raw["label"].to_numpy()
    same = (kind[i] == kind[j]) & (i != j)
    one = (label[i] == label[j]) | (label[i] == "") | (label[j] == "") | (kind[i] == "hospital")
    return i[same & one].astype(np.int64), j[same & one].astype(np.int64)


def _building_of(sites: gpd.GeoDataFrame, building: gpd.GeoDataFrame) -> pd.Series:
    """Key of the building each site is in: the one around its point, else the largest inside its area, else empty."""
    found = np.full(len(sites), "", dtype=object)
    if len(building) and len(sites):
        key, size = building["key"].to_numpy(), building.geometry.area.to_numpy()
        tree = shapely.STRtree(building.geometry.to_numpy())
        i, j = shapely.STRtree(_points(building)).query(sites.geometry.to_numpy(), predicate="contains")
        order = np.argsort(size[j], kind="stable")
        found[i[order]] = key[j[order]]
        i, j = tree.query(_points(sites), predicate="within")
        found[i] = key[j]
    return pd.Series(found, dtype="str")
