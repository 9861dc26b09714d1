"""Rows of a table as plain features in longitude and latitude (key, geometry, attributes), and GeoJSON files of tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from citytwin.city import City
from citytwin.errors import OutsideError

PART = 5_000  # rows at a time, so that a large table never lies in memory as text


@dataclass
class Feature:
    """One row: its `key`, its `geometry` as GeoJSON text (None: it has no place), its known attributes."""

    key: str
    geometry: str | None
    attributes: dict[str, Any]


def features(city: City, table: str, rows: npt.NDArray[np.int64] | None = None) -> Iterator[Feature]:
    """The things of `table` in its order, or those in `rows`. Raises MissingError."""
    frame = city.table(table)
    chosen = np.arange(len(frame), dtype=np.int64) if rows is None else rows
    shape = frame.geometry.name if isinstance(frame, gpd.GeoDataFrame) else None
    names = [str(c) for c in frame.columns if c != shape]
    for begin in range(0, len(chosen), PART):
        part = frame.iloc[chosen[begin : begin + PART]]
        told = [None] * len(part) if shape is None else _geojson(city, part[shape].to_numpy())
        columns = [[_plain(v) for v in part[n].to_numpy(dtype=object)] for n in names]
        for geometry, values in zip(told, zip(*columns, strict=True), strict=True):
            said = {n: v for n, v in zip(names, values, strict=True) if v is not None}
            yield Feature(str(said["key"]), geometry, said)


def _geojson(city: City, shapes: npt.NDArray[np.object_]) -> list[str | None]:
    def turned(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        degrees = np.column_stack(city.to_lonlat(points[:, 0], points[:, 1])).astype(np.float64)
        return degrees.round(7)

    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    out: npt.NDArray[np.object_] = np.full(len(shapes), None, dtype=object)
    out[there] = shapely.to_geojson(shapely.transform(shapes[there], turned))
    return list(out)


def _plain(value: Any) -> Any:
    """A value as JSON can say it; None for what is not known."""
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)) or value is pd.NaT:
        return None
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(v) for v in value]
    return str(value)


def geojson_lines(city: City, table: str, rows: npt.NDArray[np.int64] | None = None) -> Iterator[bytes]:
    """A table as a GeoJSON FeatureCollection (RFC 7946), in pieces."""
    yield b'{"type":"FeatureCollection","features":['
    first = True
    for each in features(city, table, rows):
        geometry = None if each.geometry is None else msgspec.Raw(each.geometry.encode())
        said = {"type": "Feature", "id": each.key, "geometry": geometry, "properties": each.attributes}
        yield (b"" if first else b",\n") + msgspec.json.encode(said)
        first = False
    yield b"]}\n"


def write_geojson(city: City, folder: Path) -> list[Path]:
    """One GeoJSON file for each table that has places, in `folder`; their paths. Raises OutsideError."""
    placed = [t for t in city.tables if isinstance(city.table(t), gpd.GeoDataFrame)]
    out = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for table in placed:
            out.append(write_pieces(folder / f"{table}.geojson", geojson_lines(city, table)))
    except OSError as error:
        raise OutsideError(f"cannot be written: {error.strerror}", str(folder)) from error
    return out


def write_pieces(path: Path, pieces: Iterator[bytes]) -> Path:
    """Write `pieces` into `path`, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as out:
            out.writelines(pieces)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path
