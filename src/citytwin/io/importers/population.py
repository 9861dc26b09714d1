"""People onto buildings: from a raster or a table, or by a rule where there is neither.

From a file, the people of each cell, polygon or point go to the homes in it in proportion to their floor area (dasymetric
mapping; Mennis 2003, The Professional Geographer 55(1)), whole people, every source's total kept. People of a source with
no home go to any building in it, else to the nearest home. Without a file: dwellings times household size, then scaled
so that areas and towns whose population OpenStreetMap states have it.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import rasterio.warp
import shapely
from scipy.spatial import cKDTree

from citytwin.errors import InputError, MissingError, nearest
from citytwin.io.importers import values
from citytwin.io.importers.assets import read_table

HOUSEHOLD = 2.3  # people a household: EU-28, 2015, Eurostat lfst_hhantych
UNDER_15, OVER_64 = 0.149, 0.213  # shares of the EU's residents, 1 January 2023, Eurostat demo_pjanind
COLUMNS = (
    "population", "pop", "people", "residents", "inhabitants", "pop_total", "total_population", "tot_p", "totpop", "asukkaita",
    "einwohner", "inwoners", "habitants", "poblacion", "popolazione", "value", "count", "total", "vaesto", "he_vakiy",
    "aantal_inwoners", "insgesamt", "obs_value",
)  # fmt: skip
BELIEVED = (0.25, 4.0)  # a stated population this many times the rule's is taken; beyond, the extract cuts the place
MOST_A_PIXEL = 1e7  # people (or people per km2): more is a nodata value that nobody declared
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Residents:
    """People in each building, where they are a guess, how many came from a source, and words about it."""

    people: Numbers
    estimated: bool
    notes: list[str]


def people_from_file(
    path: Path, building: gpd.GeoDataFrame, extent: shapely.Polygon, column: str = "", density: bool = False
) -> Residents:
    """People of `path` (raster, or table with polygons or points) on `building`; `density`: values are people per km2.

    Raises MissingError, InputError (elsewhere, no CRS, no column of people).
    """
    if not path.exists():
        raise MissingError("no such file", str(path))
    if path.suffix.lower() in (".tif", ".tiff", ".asc", ".vrt", ".img", ".zip"):
        source, count, owner = _raster(path, building, extent, density)
    else:
        source, count, owner = _table(path, building, extent, column, density)
    if not len(count) or count.sum() <= 0:
        raise InputError("has no people inside the city", str(path), "is it another place, or another column?")
    people, moved = spread(count, owner, source, building)
    notes = [f"{count.sum():.0f} people of {path.name} laid on the floor area of homes"]
    if moved:
        notes.append(f"{moved:.0f} of them live where the map has no home, and were moved to the nearest")
    return Residents(people, False, notes)


def spread(
    count: Numbers, owner: npt.NDArray[np.int64], place: npt.NDArray[np.float64], building: gpd.GeoDataFrame
) -> tuple[Numbers, float]:
    """People in each building, and how many had to move to the nearest home.

    count: people of each source. owner: source of each building, -1 for none. place: x, y of each source's middle.
    """
    floor = building["floor_area"].to_numpy(dtype=float)
    homes = np.where(building["dwellings"].to_numpy(dtype=float) > 0, floor, 0.0)
    if homes.sum() <= 0:
        homes = floor
    has = owner >= 0
    room = np.bincount(owner[has], homes[has], len(count))
    weight = np.where(has & (room[owner] > 0), homes, np.where(has, floor, 0.0))
    room = np.bincount(owner[has], weight[has], len(count))
    rate = np.divide(count, room, out=np.zeros(len(count)), where=room > 0)
    people = np.where(has, weight * rate[owner], 0.0)
    lost = np.flatnonzero((room <= 0) & (count > 0))
    group = owner.copy()
    if len(lost):
        candidates = np.flatnonzero(homes > 0)
        centre = shapely.get_coordinates(shapely.centroid(building.geometry.to_numpy()[candidates]))
        to = candidates[cKDTree(centre).query(place[lost])[1]]
        np.add.at(people, to, count[lost])
    return whole(people, group), float(count[lost].sum())


def whole(people: Numbers, group: npt.NDArray[np.int64]) -> Numbers:
    """Whole people, each group's total rounded (largest remainders)."""
    order = np.lexsort((-(people - np.floor(people)), group))
    floor, g = np.floor(people)[order], group[order]
    first = np.concatenate([[True], g[1:] != g[:-1]]) if len(g) else np.empty(0, bool)
    starts = np.flatnonzero(first)
    if not len(starts):
        return people
    size = np.diff(np.append(starts, len(g)))
    total, base = np.add.reduceat(people[order], starts), np.add.reduceat(floor, starts)
    rank = np.arange(len(g)) - np.repeat(starts, size)
    floor += rank < np.repeat(np.round(total) - base, size)
    result = np.empty(len(people))
    result[order] = floor
    return result


def _raster(
    path: Path, building: gpd.GeoDataFrame, extent: shapely.Polygon, density: bool
) -> tuple[Numbers, Numbers, npt.NDArray[np.int64]]:
    try:
        raster = rasterio.open(_inside_zip(path))
    except rasterio.errors.RasterioIOError as error:
        raise InputError("is not a raster that can be read", str(path)) from error
    with raster:
        if raster.crs is None:
            raise InputError("has no coordinate reference system", str(path))
        crs = building.crs.to_wkt()
        window = _window(raster, crs, extent)
        if window is None:
            raise InputError("lies elsewhere than the city", str(path))
        value = raster.read(1, window=window, masked=True).astype(float).filled(0.0)
        transform, source = raster.window_transform(window), raster.crs
    iy, ix = np.nonzero((value > 0) & (value < MOST_A_PIXEL))
    place = np.column_stack(rasterio.warp.transform(source, crs, *(list(v) for v in rasterio.transform.xy(transform, iy, ix))))
    inside = shapely.contains_xy(extent, place)
    count = value[iy, ix] * (_pixel_km2(transform, source, crs, extent) if density else 1.0)
    number = np.full(value.shape, -1, dtype=np.int64)
    number[iy[inside], ix[inside]] = np.arange(inside.sum())
    row, column = _pixels_of(building, transform, source)
    valid = (row >= 0) & (column >= 0) & (row < value.shape[0]) & (column < value.shape[1])
    owner = np.where(valid, number[np.where(valid, row, 0), np.where(valid, column, 0)], -1)
    return place[inside], count[inside], owner


def _pixels_of(building: gpd.GeoDataFrame, transform: Any, source: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row and column of the pixel that holds each building's middle."""
    centre = shapely.get_coordinates(shapely.centroid(building.geometry.to_numpy()))
    x, y = (np.asarray(v) for v in rasterio.warp.transform(building.crs.to_wkt(), source, centre[:, 0], centre[:, 1]))
    inverse = ~transform
    column = np.floor(inverse.a * x + inverse.b * y + inverse.c).astype(np.int64)
    return np.floor(inverse.d * x + inverse.e * y + inverse.f).astype(np.int64), column


def _window(raster: Any, crs: str, extent: shapely.Polygon) -> rasterio.windows.Window | None:
    """The whole pixels of `raster` around `extent`, None where they do not meet."""
    box = rasterio.warp.transform_bounds(crs, raster.crs, *extent.bounds, densify_pts=21)
    window = rasterio.windows.from_bounds(*box, transform=raster.transform)
    left, top = max(int(np.floor(window.col_off)), 0), max(int(np.floor(window.row_off)), 0)
    right = min(int(np.ceil(window.col_off + window.width)), raster.width)
    bottom = min(int(np.ceil(window.row_off + window.height)), raster.height)
    return rasterio.windows.Window(left, top, right - left, bottom - top) if left < right and top < bottom else None


def _inside_zip(path: Path) -> str:
    """The name by which GDAL reads the first GeoTIFF in a zip file; any other path as it is."""
    if path.suffix.lower() != ".zip":
        return str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name.lower().endswith((".tif", ".tiff"))]
    except zipfile.BadZipFile as error:
        raise InputError("is a damaged zip file", str(path), "fetch the file again") from error
    if not found:
        raise InputError("holds no GeoTIFF", str(path))
    return f"zip://{path.resolve()}!{found[0]}"


def _pixel_km2(transform: object, source: object, crs: str, extent: shapely.Polygon) -> float:
    x, y = extent.centroid.x, extent.centroid.y
    xs, ys = rasterio.warp.transform(crs, source, [x, x + 100, x], [y, y, y + 100])
    area = abs((xs[1] - xs[0]) * (ys[2] - ys[0]) - (xs[2] - xs[0]) * (ys[1] - ys[0]))  # of 100 m x 100 m, in source units
    return float(abs(transform.a * transform.e) / area * 0.01)  # type: ignore[attr-defined]


def _table(
    path: Path, building: gpd.GeoDataFrame, extent: shapely.Polygon, column: str, density: bool
) -> tuple[Numbers, Numbers, npt.NDArray[np.int64]]:
    frame = read_table(path)
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError("has no places", str(path), "name the columns lon and lat, or give a file with geometry")
    frame = frame.to_crs(building.crs)
    count = pd.to_numeric(frame[_column(frame, column, path)], errors="coerce").fillna(0.0).clip(lower=0).to_numpy(dtype=float)
    shapes = frame.geometry.to_numpy()
    keep = (count > 0) & shapely.intersects(shapes, extent) & ~shapely.is_missing(shapes)
    shapes, count = shapes[keep], count[keep]
    centre = shapely.centroid(building.geometry.to_numpy())
    area = shapely.area(shapes)
    if density:
        count = count * area / 1e6
    place = shapely.get_coordinates(shapely.centroid(shapes))
    owner = np.full(len(building), -1, dtype=np.int64)
    if not len(shapes):
        return place, count, owner
    if (area > 0).all():
        count = count * shapely.area(shapely.intersection(shapes, extent)) / area
        i, j = shapely.STRtree(shapes).query(centre, predicate="intersects")
        owner[i] = j
    else:
        owner[:] = cKDTree(place).query(shapely.get_coordinates(centre))[1]
    return place, count, owner


def _column(frame: gpd.GeoDataFrame, asked: str, path: Path) -> str:
    """The column that holds people: the one asked for, else one with a usual name, else the only number."""
    names = {str(c).casefold(): str(c) for c in frame.columns if c != frame.geometry.name}
    if asked:
        if asked.casefold() not in names:
            raise InputError(f'has no column "{asked}"', str(path), nearest(asked, names.values()))
        return names[asked.casefold()]
    for name in COLUMNS:
        if name in names:
            return names[name]
    numbers = [
        n for n in names.values() if pd.api.types.is_numeric_dtype(frame[n]) and n.casefold() not in ("id", "fid", "index")
    ]
    if len(numbers) == 1:
        return numbers[0]
    raise InputError(
        "which column holds the people?", str(path), "say --population-column, one of: " + ", ".join(names.values())
    )


def people_by_rule(
    building: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame, place: gpd.GeoDataFrame, every: gpd.GeoDataFrame,
    household: float = HOUSEHOLD,
) -> Residents:  # fmt: skip
    """Dwellings times household size, scaled to the populations that OpenStreetMap states for areas, else for places.

    every: all buildings of the file (`key` and points), also those that the city's extent leaves out: of an area or place that
    the extent cuts, the share of its buildings inside counts.
    """
    rule = building["dwellings"].to_numpy(dtype=float) * household
    people, notes = rule.copy(), [f"people estimated: dwellings x {household:g}"]
    if not rule.sum():
        return Residents(people, True, notes)
    row = pd.Index(every["key"]).get_indexer(pd.Index(building["key"]))
    points = every.geometry.to_numpy()
    done = np.zeros(len(rule), dtype=bool)
    for name, stated, around in [*_stated_areas(boundary, place, points), *_stated_places(place, points)]:
        inside = around[row]
        population = stated * inside.sum() / around.sum()
        rest = inside & ~done
        wanted, ours = population - people[inside & done].sum(), rule[rest].sum()
        if ours > 0 and BELIEVED[0] <= wanted / ours <= BELIEVED[1]:
            people[rest] = rule[rest] * wanted / ours
            done |= inside
            part = (
                ""
                if inside.sum() == around.sum()
                else f", of which {inside.sum() / around.sum():.0%} of the buildings are inside"
            )
            notes.append(f"{name}: scaled to its stated population of {stated:.0f}{part}")
    if done.any() and rule[done].sum() > 0:  # what no statement covers is like what one does
        people[~done] = rule[~done] * people[done].sum() / rule[done].sum()
    return Residents(whole(people, np.zeros(len(people), dtype=np.int64)), True, notes)


Stated = list[tuple[str, float, npt.NDArray[np.bool_]]]


def _stated_areas(boundary: gpd.GeoDataFrame, place: gpd.GeoDataFrame, centre: npt.NDArray[np.object_]) -> Stated:
    """Areas with a population (their own, or of the place inside them that has their name), the smallest first."""
    known = values.each(place["population"], values.people)
    own = values.each(boundary["population"], values.people)
    found = []
    for row in np.argsort(boundary.geometry.area.to_numpy(), kind="stable"):
        area, name = boundary.geometry.to_numpy()[row], boundary["name"].iloc[row]
        population = own[row]
        if np.isnan(population) and isinstance(name, str):
            same = (place["name"] == name).to_numpy() & ~np.isnan(known)
            same[same] = shapely.intersects(area, place.geometry.to_numpy()[same])
            population = known[same].max() if same.any() else np.nan
        if population > 0:
            shapely.prepare(area)
            inside = shapely.intersects(area, centre)
            if inside.any():
                found.append((str(name), float(population), inside))
    return found


SIZES = {"city": 4000.0, "town": 2000.0, "village": 800.0, "suburb": 0.0, "hamlet": 300.0}  # m, reach of a place


def _stated_places(place: gpd.GeoDataFrame, centre: npt.NDArray[np.object_]) -> Stated:
    """Towns and villages with a population, and the buildings that are nearer to them than to any other, by their reach."""
    own = place[place["place"].map(SIZES).fillna(0) > 0].reset_index(drop=True)
    if not len(own) or not len(centre):
        return []
    reach = own["place"].map(SIZES).to_numpy(dtype=float)
    spot = shapely.get_coordinates(shapely.centroid(own.geometry.to_numpy()))
    at = shapely.get_coordinates(centre)
    best, owner = np.full(len(at), np.inf), np.full(len(at), -1)
    for row in range(len(own)):
        far = np.hypot(*(at - spot[row]).T) / reach[row]
        nearer = far < best
        best[nearer], owner[nearer] = far[nearer], row
    known = values.each(own["population"], values.people)
    return [(str(own["name"].iloc[r]), float(known[r]), owner == r) for r in range(len(own)) if known[r] > 0]
