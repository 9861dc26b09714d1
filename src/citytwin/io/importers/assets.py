"""Assets from tables: CSV, GeoParquet, Parquet, GeoJSON, GeoPackage, Shapefile, with a mapping of their columns to ours."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyproj

from citytwin import columns
from citytwin.city import FORMS
from citytwin.errors import InputError, MissingError, nearest

LON = ("lon", "lng", "long", "longitude", "x_lon")
LAT = ("lat", "latitude", "y_lat")
FALLBACK: dict[str, Any] = {"text": "", "number": float("nan"), "whole": 0, "yes": False}


def read_table(path: Path, lon: str = "", lat: str = "", crs: str = "") -> pd.DataFrame:
    """Any table; a GeoDataFrame where it has geometry or columns of coordinates (WGS 84 unless `crs` says otherwise).

    Raises MissingError, InputError.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError("no such file", str(path))
    frame: Any = None
    try:
        frame = _read(path)
    except (TypeError, ValueError, OSError, RuntimeError) as error:  # pyogrio, pyarrow and pandas: not a table they know
        hint = "allowed: .csv, .parquet, .geojson, .gpkg, .shp"
        raise InputError(f"cannot be read: {str(error).splitlines()[0][:160]}", str(path), hint) from error
    if isinstance(frame, gpd.GeoDataFrame) and frame.geometry.notna().any():
        if frame.crs is None and not crs:
            raise InputError("has no coordinate reference system", str(path), "give it one, or say crs=EPSG:... in the mapping")
        result: pd.DataFrame = gpd.GeoDataFrame(frame.set_crs(crs, allow_override=True) if crs else frame)
        return result
    return _placed(pd.DataFrame(frame), path, lon, lat, crs)


def _placed(frame: Any, path: Path, lon: str, lat: str, crs: str) -> pd.DataFrame:
    """`frame` with points made of its columns of coordinates, or as it is where it has none."""
    names = {str(c).strip().casefold(): c for c in frame.columns}
    across = names.get(lon.casefold()) if lon else next((names[n] for n in LON if n in names), None)
    up = names.get(lat.casefold()) if lat else next((names[n] for n in LAT if n in names), None)
    if across is None or up is None:
        if lon or lat:
            raise InputError(f'has no column "{lon or lat}"', str(path), nearest(lon or lat, names))
        return pd.DataFrame(frame)
    x, y = (pd.to_numeric(frame[c], errors="coerce") for c in (across, up))
    points = gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(x, y), crs=crs or 4326)
    result: pd.DataFrame = gpd.GeoDataFrame(points[x.notna() & y.notna()].reset_index(drop=True))
    return result


def _read(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".txt", ".tsv"):
        return pd.read_csv(path, sep=None, engine="python", encoding="utf-8-sig")
    if suffix in (".parquet", ".geoparquet", ".pq"):
        try:
            return gpd.read_parquet(path)
        except ValueError:
            return pd.read_parquet(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of several layers the first is taken
        return gpd.read_file(path)


def read_mapping(text: str) -> dict[str, str]:
    """A mapping written as "key=id,kind=type", or the name of a file with one such entry a line."""
    if text and Path(text).is_file():
        text = ",".join(
            line for line in Path(text).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")
        )
    found = {}
    for entry in filter(None, (e.strip() for e in text.split(","))):
        ours, sign, theirs = entry.partition("=")
        if not sign or not ours.strip() or not theirs.strip():
            raise InputError(f'"{entry}" is not a mapping', "--map", "write ours=theirs, as in key=id,kind=type,lon=x,lat=y")
        found[ours.strip()] = theirs.strip()
    return found


def read_assets(table: str, path: Path, mapping: Mapping[str, str], crs: pyproj.CRS) -> pd.DataFrame:
    """The rows of `path` in the form of city table `table`, in the city's CRS.

    mapping: our attribute -> their column; `lon`, `lat` (or `x`, `y` with `crs`) name coordinates, `=text` a constant.
    Columns that are not mapped are kept under their own name. Raises InputError with the nearest name.
    """
    if table not in FORMS:
        raise InputError(f'no table "{table}"', "--assets", nearest(table, FORMS))
    places = {name: mapping[name] for name in ("lon", "lat", "x", "y", "crs") if name in mapping}
    frame = read_table(
        path, places.get("lon", places.get("x", "")), places.get("lat", places.get("y", "")), places.get("crs", "")
    )
    form = FORMS[table]
    if form.geometry and not isinstance(frame, gpd.GeoDataFrame):
        raise InputError("has no places", str(path), "map lon= and lat=, or give a file with geometry")
    if isinstance(frame, gpd.GeoDataFrame):
        frame = frame.to_crs(crs)
    frame = _renamed(frame, {k: v for k, v in mapping.items() if k not in places}, path)
    if "key" not in frame:
        frame["key"] = [f"{path.stem}-{n + 1}" for n in range(len(frame))]
    frame["key"] = frame["key"].astype("str")
    if frame["key"].duplicated().any():
        double = frame["key"][frame["key"].duplicated()].iloc[0]
        raise InputError(f'key "{double}" is there more than once', str(path), "map key= to a column that tells rows apart")
    _check_kinds(table, frame, path)
    return _typed(table, frame)


def _renamed(frame: pd.DataFrame, mapping: Mapping[str, str], path: Path) -> pd.DataFrame:
    names = [str(c) for c in frame.columns]
    for theirs in mapping.values():
        if not theirs.startswith("=") and theirs not in names:
            raise InputError(f'has no column "{theirs}"', str(path), nearest(theirs, names))
    renamed = frame.rename(columns={theirs: ours for ours, theirs in mapping.items() if theirs in names})
    renamed = renamed.loc[:, ~renamed.columns.duplicated()]
    return renamed.assign(**{ours: theirs[1:] for ours, theirs in mapping.items() if theirs.startswith("=")})


def _check_kinds(table: str, frame: pd.DataFrame, path: Path) -> None:
    if table != "device" or "kind" not in frame:
        return
    known = columns.shipped().kinds
    for kind in frame["kind"].astype("str").unique():
        if kind not in known:
            raise InputError(f'no device kind "{kind}"', str(path), nearest(kind, known))


def _typed(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """With every attribute that the table's form names, of its type; what the file lacks is empty or NaN."""
    for attribute in FORMS[table].attributes:
        if attribute.name not in frame:
            frame[attribute.name] = FALLBACK[attribute.kind]
        elif attribute.kind == "number":
            frame[attribute.name] = pd.to_numeric(frame[attribute.name], errors="coerce").astype(float)
        elif attribute.kind == "text":
            frame[attribute.name] = frame[attribute.name].fillna("").astype("str")
    return frame


def join_assets(own: pd.DataFrame | None, assets: pd.DataFrame) -> pd.DataFrame:
    """A city's table with the assets: a row with a known key takes its place, others come after."""
    if own is None or not len(own):
        return assets.reset_index(drop=True)
    rest = own[~own["key"].isin(assets["key"])]
    joined = pd.concat([rest, assets], ignore_index=True)
    return gpd.GeoDataFrame(joined, crs=own.crs) if isinstance(own, gpd.GeoDataFrame) else joined
