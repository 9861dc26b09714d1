"""What a city holds in figures and words: what is known, estimated and missing, where it lies and where it is from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from citytwin.city.model import City
from citytwin.city.tables import FORMS

PLAIN = {"key", "geometry", "estimated"}
OPTIONAL = {"name", "operator", "material", "year"}  # most things have none, and lack nothing


def describe_city(city: City) -> dict[str, Any]:
    """Everything `citytwin city info` says, as plain values: SI units, degrees for `bbox` (west, south, east, north)."""
    west, south, east, north = city.bounds
    said: dict[str, Any] = {
        "name": city.name, "synthetic": city.facts.synthetic, "made_by": city.facts.made_by, "identity": city.identity,
        "crs": city.facts.crs, "bbox": list(city.lonlat_bounds), "bounds": [west, south, east, north],
        "area_km2": (east - west) * (north - south) / 1e6,
        "tables": {name: _describe_table(name, city.table(name)) for name in city.tables},
        "highlights": _highlights(city), "ground": _describe_ground(city),
        "relations": {str(k): int(n) for k, n in city.relations["kind"].value_counts().sort_index().items()},
        "sources": [asdict(source) for source in city.facts.sources],
        "missing": list(city.facts.missing), "notes": list(city.facts.notes),
    }  # fmt: skip
    return said


def _describe_table(name: str, table: pd.DataFrame) -> dict[str, Any]:
    """Rows, and for each declared attribute how many rows have it from a source, from a rule, or not at all."""
    lists = table["estimated"].fillna("") if "estimated" in table else pd.Series("", index=table.index)
    codes, texts = pd.factorize(lists)
    attributes = {}
    for attribute in FORMS[name].attributes if name in FORMS else ():
        if attribute.name in PLAIN:
            continue
        guessed = np.array([attribute.name in str(text).split(",") for text in texts], dtype=bool)[codes]
        given = _given(table, attribute.name)
        attributes[attribute.name] = {
            "known": int((given & ~guessed).sum()), "estimated": int((given & guessed).sum()), "missing": int((~given).sum()),
        }  # fmt: skip
    return {"rows": len(table), "attributes": attributes}


def _given(table: pd.DataFrame, name: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if name not in table:
        return np.zeros(len(table), dtype=bool)
    column = table[name]
    given = column.notna()
    return np.asarray(given & (column != "") if not pd.api.types.is_numeric_dtype(column) else given, dtype=bool)


def _highlights(city: City) -> dict[str, Any]:
    """The few figures that people ask for first."""
    figures: dict[str, Any] = {}
    if "building" in city:
        building = city["building"]
        figures["buildings"] = len(building)
        for column in ("people", "dwellings"):
            if column in building:
                figures[column] = float(building[column].sum())
    if "road" in city:
        road = city["road"]
        figures["road_km"] = float(road["length"].sum() / 1000)
        figures["drivable_road_km"] = float(road.loc[road["drivable"].astype(bool), "length"].sum() / 1000)
    if "facility" in city:
        figures["facilities"] = {str(k): int(n) for k, n in city["facility"]["kind"].value_counts().sort_index().items()}
    if "waterway" in city:
        figures["waterway_km"] = float(gpd.GeoDataFrame(city["waterway"]).length.sum() / 1000)
    if "device" in city:
        figures["devices"] = {str(k): int(n) for k, n in city["device"]["kind"].value_counts().sort_index().items()}
    return figures


def _describe_ground(city: City) -> dict[str, Any] | None:
    if not city.has_ground:
        return None
    ground = city.ground
    height, width = ground.shape
    known = np.isfinite(ground.elevation)
    low, high = (float(f(ground.elevation[known])) if known.any() else float("nan") for f in (np.min, np.max))
    return {
        "cell_size": ground.cell_size, "height": height, "width": width, "layers": list(ground.layers), "lowest": low,
        "highest": high, "unknown_cells": int((~known).sum()),
    }  # fmt: skip


def in_words(said: dict[str, Any]) -> list[tuple[str, ...]]:
    """`describe_city` as rows of words for a person."""
    west, south, east, north = said["bbox"]
    figures = said["highlights"]
    rows: list[tuple[str, ...]] = [
        ("name", said["name"] + (" (made up)" if said["synthetic"] else "")), ("made by", said["made_by"]),
        ("CRS", said["crs"]), ("bbox", f"{west:.4f},{south:.4f},{east:.4f},{north:.4f}"),
        ("area", f"{said['area_km2']:.1f} km2"),
    ]  # fmt: skip
    for name, text in (("buildings", "{:,}"), ("people", "{:,.0f}"), ("dwellings", "{:,.0f}")):
        if name in figures:
            rows.append((name, text.format(figures[name])))
    if "road_km" in figures:
        rows.append(("roads", f"{figures['road_km']:,.1f} km, of them {figures['drivable_road_km']:,.1f} km drivable"))
    for name in ("facilities", "devices"):
        if figures.get(name):
            rows.append((name, ", ".join(f"{kind} {count}" for kind, count in figures[name].items())))
    rows += _ground_words(said["ground"])
    for name, table in said["tables"].items():
        rows.append((name, f"{table['rows']:,} rows{_attribute_words(table)}"))
    if said["relations"]:
        rows.append(("relations", ", ".join(f"{kind} {count:,}" for kind, count in said["relations"].items())))
    for source in said["sources"]:
        words = [source["name"], source["kind"], source["date"] and f"of {source['date']}", source["licence"], source["note"]]
        rows.append(("source", "; ".join(w for w in words if w)))
    rows += [("missing", text) for text in said["missing"]] + [("note", text) for text in said["notes"]]
    return rows


def _ground_words(ground: dict[str, Any] | None) -> list[tuple[str, ...]]:
    if ground is None:
        return [("ground", "missing")]
    size = f"{ground['width']:,} x {ground['height']:,} cells of {ground['cell_size']:g} m"
    return [("ground", f"{size}, {ground['lowest']:.0f} to {ground['highest']:.0f} m, layers {', '.join(ground['layers'])}")]


def _attribute_words(table: dict[str, Any]) -> str:
    """Which attributes are estimated or missing, in per cent of the rows."""
    rows = max(table["rows"], 1)
    parts = []
    for word in ("estimated", "missing"):
        named = [(a, c[word]) for a, c in table["attributes"].items() if c[word] and not (word == "missing" and a in OPTIONAL)]
        if named:
            parts.append(word + " " + ", ".join(f"{a} {100 * n / rows:.0f} %" for a, n in named))
    return "; " + "; ".join(parts) if parts else ""
