"""Exposure models of OpenQuake and GEM: assets with place, taxonomy, number, values and people, from NRML XML and CSV files.

Form: OpenQuake engine manual, "Exposure models": an XML file with assets inside, or naming CSV files, with cost types that are
given per asset row (aggregated), per building (per_asset) or per area (per_area); a CSV file alone is read by its header, where
the names of GEM's exposure repository are known too. Occupants are those of all buildings of a row together.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from lxml import etree

from citytwin import __version__
from citytwin.city import City, Facts, Ground
from citytwin.errors import InputError, nearest
from citytwin.io.importers.zones import make_zones, zone_keys

HEADINGS: dict[str, tuple[str, ...]] = {
    "key": ("asset_id", "id", "asset_ref", "assetid", "original_id"),
    "lon": ("lon", "longitude", "x"), "lat": ("lat", "latitude", "y"),
    "taxonomy": ("taxonomy", "buildingclass", "building_class", "vulnerability_class"),
    "number": ("number", "buildings", "num_buildings", "count"),
    "area": ("area", "total_area_sqm", "total_floor_area_sqm"),
    "dwellings": ("dwellings",), "area_each": ("area_per_dwelling_sqm",),
    "night": ("night", "occupants_per_asset_night", "occ_night", "occupants_night"),
    "day": ("day", "occupants_per_asset_day", "occ_day", "occupants_day"),
    "transit": ("transit", "occupants_per_asset_transit", "occ_transit", "occupants_transit"),
    "average": ("occupants", "occupants_per_asset", "occupants_per_asset_average", "occupants_avg", "avg_occupants",
                "total_occupants", "residents", "population"),
    "structural": ("structural", "cost_structural_usd", "cost_structural_eur", "structural_cost"),
    "nonstructural": ("nonstructural", "cost_nonstructural_usd", "cost_nonstructural_eur"),
    "contents": ("contents", "cost_contents_usd", "cost_contents_eur"),
    "total": ("total_repl_cost_usd", "total_repl_cost_eur", "total_repl_value", "value"),
    "use": ("occupancy", "use"), "vs30": ("vs30",), "levels": ("levels", "storeys", "stories", "num_floors"),
    "year": ("year", "age"),
}  # fmt: skip
"""What a column is called in files, in small letters; `value-` before any of them counts as not there."""

THEIRS = {"id": "key", "occupants_avg": "average", "residents": "average"}
"""What OpenQuake calls a column in the mapping that an XML file holds, where we say otherwise."""

USES = {"RES": "apartments", "COM": "commercial", "IND": "industrial", "EDU": "education", "GOV": "public", "AGR": "farm",
        "REL": "public", "ASS": "public", "MIX": "apartments", "HOS": "health"}  # fmt: skip

SHAPE = (5.0, 120.0)
"""Sides (m) between which the square lies that stands for a row."""

UNKNOWN_AREA = 150.0
"""m2 of floor of a building where nothing is said: an estimate."""

VALUES = ("structural", "nonstructural", "contents", "total")


@dataclass
class Exposure:
    """Rows of assets as they stand in files, numbers by column name, and how values and areas are meant."""

    rows: list[dict[str, str]] = field(default_factory=list)
    per: dict[str, str] = field(default_factory=dict)
    area_per: str = "aggregated"
    headings: dict[str, str] = field(default_factory=dict)


def read_exposure(path: Path, mapping: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The assets of one exposure file: key, lon, lat, taxonomy, number, and what else it says (SI; values of the whole row).

    mapping: our name -> the file's, where the header has other names. Raises InputError that names file and line.
    """
    found = Exposure(headings=dict(mapping or {}))
    start = _bytes(path)[:2048].lstrip()
    if start.startswith(b"<"):
        _read_xml(path, found)
    else:
        _read_csv(path, found)
    if not found.rows:
        raise InputError("holds no assets", str(path))
    return _table(found, path)


def _bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", str(path)) from error


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        return _bytes(path).decode("latin-1")


def _read_csv(path: Path, found: Exposure) -> None:
    lines = [line for line in io.StringIO(_text(path)) if not line.startswith("#")]
    separator = max(",;\t|", key=lines[0].count) if lines else ","
    for number, row in enumerate(csv.DictReader(lines, delimiter=separator), start=2):
        said = {str(k).strip(): (v or "").strip() for k, v in row.items() if k is not None}
        if any(said.values()):
            found.rows.append(said | {"": str(number)})


def _local(element: Any) -> str:
    return str(etree.QName(element).localname) if isinstance(element.tag, str) else ""


def _first(root: Any, name: str) -> Any:
    return next((e for e in root.iter() if _local(e) == name), None)


def _read_xml(path: Path, found: Exposure) -> None:
    try:
        root = etree.fromstring(_bytes(path), etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    except etree.XMLSyntaxError as error:
        raise InputError(f"is not XML: {error.msg}", str(path)) from error
    model = _first(root, "exposureModel")
    assets = _first(root, "assets")
    if model is None or assets is None:
        raise InputError("holds no exposure model", str(path))
    found.per |= {e.get("name", ""): e.get("type", "aggregated") for e in root.iter() if _local(e) == "costType"}
    area = next((e for e in root.iter() if _local(e) == "area" and e.get("type")), None)
    found.area_per = area.get("type", "aggregated") if area is not None else found.per.get("area", "aggregated")
    fields = {e.get("oq", ""): e.get("input", "") for e in root.iter() if _local(e) == "field" and e.get("oq")}
    found.headings = {THEIRS.get(theirs, theirs): ours for theirs, ours in fields.items()} | found.headings
    inside = [e for e in assets if _local(e) == "asset"]
    found.rows += [_asset(e) for e in inside]
    for name in (assets.text or "").split() if not inside else []:
        _read_csv(path.parent / name, found)


def _asset(element: Any) -> dict[str, str]:
    row = {k: v for k, v in element.attrib.items()}
    row[""] = str(element.sourceline)
    for part in element.iter():
        kind = _local(part)
        if kind == "location":
            row |= {"lon": part.get("lon", ""), "lat": part.get("lat", "")}
        elif kind == "cost":
            row[part.get("type", "")] = part.get("value", "")
        elif kind == "occupancy":
            row[part.get("period", "night")] = part.get("occupants", "")
        elif kind == "tags":
            row |= dict(part.attrib)
    return row


def _heading(found: Exposure, name: str, known: Mapping[str, str]) -> str | None:
    """The file's name of the column that we call `name`."""
    said = found.headings.get(name)
    if said is not None:
        if said.lower() not in known:
            raise InputError(f'no column "{said}"', hint=nearest(said, known.values()))
        return known[said.lower()]
    return next((known[h] for h in HEADINGS.get(name, (name,)) if h in known), None)


def _table(found: Exposure, path: Path) -> pd.DataFrame:
    frame = pd.DataFrame(found.rows)
    lines = frame.pop("")
    known = {str(c).lower().removeprefix("value-"): str(c) for c in frame.columns}
    known |= {str(c).lower(): str(c) for c in frame.columns}

    def column(name: str) -> pd.Series[Any] | None:
        heading = _heading(found, name, known)
        return frame[heading].fillna("") if heading is not None else None

    def numbers(name: str) -> pd.Series[Any]:
        said = column(name)
        if said is None:
            return pd.Series(np.nan, index=frame.index)
        values = pd.to_numeric(said.replace("", np.nan), errors="coerce")
        wrong = (said != "") & (said.str.lower() != "nan") & values.isna()
        if wrong.any():
            line = lines[wrong].iloc[0]
            raise InputError(f'{name} "{said[wrong].iloc[0]}" is not a number', f"{path} line {line}")
        return values.astype(float)

    out = pd.DataFrame({"lon": numbers("lon"), "lat": numbers("lat")})
    if out.isna().any(axis=None):
        bad = out.isna().any(axis=1)
        hint = f"columns: {', '.join(map(str, frame.columns[:12]))}"
        raise InputError("an asset has no place (lon, lat)", f"{path} line {lines[bad].iloc[0]}", hint)
    taxonomy = column("taxonomy")
    if taxonomy is None:
        raise InputError("no column of taxonomies", str(path), f"columns: {', '.join(map(str, frame.columns[:12]))}")
    count = numbers("number").fillna(1.0)
    key = column("key")
    keys = key if key is not None else pd.Series([f"a{n}" for n in range(len(frame))], index=frame.index)
    out.insert(0, "key", keys.where(keys != "", pd.Series([f"a{n}" for n in range(len(frame))], index=frame.index)))
    out["taxonomy"], out["number"] = taxonomy, count
    _more(found, out, numbers, column, count)
    claimed = {_heading(found, name, known) for name in HEADINGS}
    for name in frame.columns:
        if name not in claimed and name not in out and name not in ("geometry", "estimated", "zone"):
            out[name] = frame[name].fillna("")
    return out


def _more(found: Exposure, out: pd.DataFrame, numbers: Any, column: Any, count: pd.Series[Any]) -> None:
    """Area, people and values of whole rows, use and what else buildings may have."""
    area = numbers("area").fillna(numbers("area_each") * numbers("dwellings"))
    out["floor_area"] = area * count if found.area_per == "per_asset" else area
    each = pd.Series(np.nan, index=out.index)
    for name in VALUES:
        value = numbers(name)
        kind = found.per.get(name, "aggregated")
        if kind == "per_asset":
            value = value * count
        elif kind == "per_area":
            value = value * area * (count if found.area_per == "per_asset" else 1.0)
        if value.notna().any():
            out[f"value_{name}"] = value
            if name in ("structural", "nonstructural"):
                each = value if each.isna().all() else each + value.fillna(0.0)
    whole = out.get("value_total")
    out["value"] = each if each.notna().any() or whole is None else whole
    people = {name: numbers(name) for name in ("night", "day", "transit", "average")}
    night = people["night"].fillna(people["average"])
    out["people"] = night.fillna(people["transit"]).fillna(people["day"])
    out["people_night"], out["people_day"], out["people_transit"] = night, people["day"], people["transit"]
    for name in ("vs30", "levels", "year"):  # told by the way: what is no number there is not known
        said = column(name)
        value = pd.to_numeric(said, errors="coerce").astype(float) if said is not None else pd.Series(np.nan)
        if value.notna().any():
            out[name] = value
    use = column("use")
    said = out["taxonomy"].str.upper()
    parts = said if use is None else use.str.upper().where(use != "", said)
    out["use"] = [next((u for k, u in USES.items() if k in str(text)), "other") for text in parts]


def exposure_city(
    paths: Sequence[Path], name: str, mapping: Mapping[str, str] | None = None, zone_by: str = "", crs: int | None = None,
    ground: Any = None,
) -> City:  # fmt: skip
    """A city of assets: tables building and zone. A square stands for each row; zones are those of a column, else a grid.

    ground: called with the CRS and the extent (west, south, east, north in m), gives the Ground or None.
    """
    assets = pd.concat([read_exposure(p, mapping) for p in paths], ignore_index=True)
    if not assets["key"].is_unique:
        seen = assets.groupby("key").cumcount()
        assets["key"] = assets["key"].where(seen == 0, assets["key"] + "~" + seen.astype(str))
    place = gpd.GeoSeries(gpd.points_from_xy(assets.pop("lon"), assets.pop("lat")), crs="EPSG:4326")
    metric = pyproj.CRS.from_epsg(crs) if crs else pyproj.CRS(place.estimate_utm_crs())
    point = shapely.get_coordinates(place.to_crs(metric).to_numpy())
    if not np.isfinite(point).all():
        raise InputError("an asset lies where its coordinate system cannot place it", name, "look at lon and lat")
    building = squares(assets, point, metric)
    extent = shapely.box(*building.total_bounds)
    zone = _zones(building, zone_by, extent)
    facts = Facts(name, f"EPSG:{metric.to_epsg()}", made_by=f"citytwin {__version__}")
    facts.notes.append("a square stands for each row of the exposure model; its outline is not the buildings' own")
    made: Ground | None = ground(metric, building.total_bounds) if ground is not None else None
    return City(facts, {"building": building, "zone": zone}, made)


def squares(assets: pd.DataFrame, point: Any, crs: pyproj.CRS) -> gpd.GeoDataFrame:
    """A table of buildings: a square for each asset, round `point` (n, 2) in metres of `crs`."""
    estimated = pd.Series("", index=assets.index)
    lacking = assets["floor_area"].isna()
    assets["floor_area"] = assets["floor_area"].fillna(UNKNOWN_AREA * assets["number"])
    estimated[lacking] = "floor_area"
    side = np.clip(np.sqrt(assets["floor_area"] / np.maximum(assets["number"], 1.0)), *SHAPE).to_numpy() / 2
    shapes = shapely.box(point[:, 0] - side, point[:, 1] - side, point[:, 0] + side, point[:, 1] + side)
    assets["estimated"] = estimated
    kept = assets.loc[:, [c for c in assets if c in ("key", "taxonomy", "use", "estimated") or assets[c].notna().any()]]
    return gpd.GeoDataFrame(kept, geometry=shapes, crs=crs)


def _zones(building: gpd.GeoDataFrame, zone_by: str, extent: Any) -> gpd.GeoDataFrame:
    if zone_by:
        if zone_by not in building:
            raise InputError(f'no column "{zone_by}"', "--zone-by", nearest(zone_by, building.columns))
        building["zone"] = building[zone_by].astype(str)
        hull = building.dissolve("zone").geometry.convex_hull
        names = hull.index.astype(str)
        zone = gpd.GeoDataFrame({"key": names, "name": names}, geometry=hull.to_numpy(), crs=building.crs)
    else:
        nowhere = gpd.GeoDataFrame({"boundary": [], "admin_level": [], "place": [], "name": []}, geometry=[], crs=building.crs)
        zone = make_zones(nowhere, building, extent)
        building["zone"] = zone_keys(zone, shapely.centroid(building.geometry.to_numpy()))
    sums = building.groupby("zone")["people"].sum() if "people" in building else pd.Series(dtype=float)
    zone["people"] = zone["key"].map(sums).fillna(0.0)
    return zone
