"""Where things of a scenario lie on the raster: cells of points and polygons, faces that a line crosses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely
import shapely.geometry.base

from citytwin.city import City, Ground
from citytwin.errors import InputError

I64 = npt.NDArray[np.int64]

SEA = ("sea", "ocean", "bay", "strait", "fjord", "harbour")
"""Kinds of water surface that take whatever runs into them."""


def without_sea(city: City, ground: Ground) -> Ground:
    """The ground without the open sea: where no sea level is given, water leaves freely at the shore."""
    if "water" not in city or "kind" not in city.table("water"):
        return ground
    water = city.table("water")
    shapes = water.geometry.to_numpy()[water["kind"].isin(SEA).to_numpy()]
    sea = cells_in(ground, shapely.union_all(shapes)) if len(shapes) else np.zeros(ground.shape, np.bool_)
    elevation = np.where(sea, np.float32(np.nan), ground.elevation)
    if np.isnan(elevation).all():
        return ground
    return Ground(ground.west, ground.north, ground.cell_size, {**ground.layers, "elevation": elevation})


def outlet_at(city: City, ground: Ground, place: tuple[float, float], where: str) -> tuple[int, int] | None:
    """As `cell_at`, but None for a place in the open sea: what is pumped there is gone."""
    found = int(ground.rows(*city.from_lonlat(*place)))
    at_sea = found >= 0 and np.isnan(ground.elevation.reshape(-1)[found])
    return None if at_sea else cell_at(city, ground, place, where)


def cell_at(city: City, ground: Ground, place: tuple[float, float], where: str) -> tuple[int, int]:
    """Row and column of the cell at `place` (lon, lat). Raises InputError outside the ground."""
    x, y = city.from_lonlat(*place)
    found = int(ground.rows(x, y))
    if found < 0 or np.isnan(ground.elevation.reshape(-1)[found]):
        west, south, east, north = city.lonlat_bounds
        raise InputError(f"{list(place)} is not on the simulated ground", where,
                         f"the ground spans {west:.4f} ... {east:.4f} east, {south:.4f} ... {north:.4f} north")  # fmt: skip
    return divmod(found, ground.shape[1])


def line_of(city: City, along: Sequence[tuple[float, float]]) -> shapely.LineString:
    """A line in metres of a list of lon, lat."""
    lon, lat = zip(*along, strict=True)
    return shapely.LineString(np.column_stack(city.from_lonlat(lon, lat)))


def polygon_of(city: City, corners: Sequence[tuple[float, float]]) -> shapely.Polygon:
    """A polygon in metres of a list of lon, lat."""
    lon, lat = zip(*corners, strict=True)
    return shapely.Polygon(np.column_stack(city.from_lonlat(lon, lat)))


def cells_in(ground: Ground, shape: shapely.geometry.base.BaseGeometry) -> npt.NDArray[np.bool_]:
    """Mask (height, width) of the cells whose centre lies in `shape`."""
    x, y = ground.centres()
    west, south, east, north = shape.bounds
    columns, rows = np.flatnonzero((x >= west) & (x <= east)), np.flatnonzero((y >= south) & (y <= north))
    mask = np.zeros(ground.shape, np.bool_)
    if columns.size and rows.size:
        shapely.prepare(shape)
        inner = shapely.contains_xy(shape, *np.meshgrid(x[columns], y[rows]))
        mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = inner
    return mask


def cells_along(ground: Ground, line: shapely.LineString) -> tuple[I64, I64]:
    """Rows and columns of the cells that `line` passes through, each once."""
    steps = np.arange(0.0, line.length + ground.cell_size / 4, ground.cell_size / 4)
    points = shapely.line_interpolate_point(line, steps)
    found = np.unique(ground.rows(shapely.get_x(points), shapely.get_y(points)))
    rows, columns = np.divmod(found[found >= 0], ground.shape[1])
    return rows, columns


def faces_crossed(ground: Ground, line: shapely.LineString) -> tuple[tuple[I64, I64], tuple[I64, I64]]:
    """West faces and north faces, each as rows and columns of their cells, that `line` crosses.

    A face is crossed where the line from one cell's centre to the next cell's meets `line`. Every way from cell to cell
    across the line leads over such a face, so a wall on them leaks nowhere.
    """
    rows, columns = cells_along(ground, line)
    height, width = ground.shape
    near = np.zeros((height, width), np.bool_)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            near[np.clip(rows + down, 0, height - 1), np.clip(columns + right, 0, width - 1)] = True
    x, y = ground.centres()
    row, column = (a.astype(np.int64) for a in np.nonzero(near))
    out = []
    for down, right in ((0, 1), (1, 0)):
        r, c = row[(row >= down) & (column >= right)], column[(row >= down) & (column >= right)]
        ends = np.stack([np.stack([x[c - right], y[r - down]], axis=1), np.stack([x[c], y[r]], axis=1)], axis=1)
        hit = shapely.intersects(shapely.linestrings(ends), line) if r.size else np.zeros(0, np.bool_)
        out.append((r[hit], c[hit]))
    return out[0], out[1]
