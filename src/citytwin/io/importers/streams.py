"""Watercourses carved into the terrain, so that road banks, bridge decks and culverts do not dam them.

Along each line (drawn downstream) the bed never rises: it is the lowest terrain met so far (a breach, which drains every
pit above), but not more than `BREACH` below the least-squares fit of a falling profile to the terrain under the line, so
that one wrong low pixel does not dig a gorge (isotonic regression: Barlow, Bartholomew, Bremner and Brunk 1972,
Statistical Inference under Order Restrictions). Where the terrain stands above the bed it is cut down to it, never more
than `DEEPEST`; it is never raised. The cut runs through cells that share sides, because water moves from side to side.
Long tunnels are left out: a culvert passes under a road, a headrace tunnel under a mountain.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from scipy.optimize import isotonic_regression

from citytwin.io.importers.terrain import Frame, Grid

BREACH = 10.0  # m
LONG_TUNNEL = 250.0  # m
DEEPEST = 25.0  # m: a higher dam than this is a mistake of the map, or a mountain over a tunnel
UPHILL = 2.0  # m: a line whose end lies that much above its start, and fits better reversed, was drawn upstream


def carve_streams(elevation: Grid, frame: Frame, waterway: gpd.GeoDataFrame) -> int:
    """Cut the beds of `waterway` (frame's CRS) into `elevation`, in place. Returns the number of cells that were lowered."""
    before = elevation.copy()
    for line in _long_lines(waterway):
        cells = _cells_along(line, frame)
        if len(cells) > 1:
            _carve(elevation.reshape(-1), before.reshape(-1), cells)
    return int((elevation < before - 0.01).sum())


def _long_lines(waterway: gpd.GeoDataFrame) -> npt.NDArray[np.object_]:
    """Watercourses joined end to end in the direction they are drawn, the longest first."""
    buried = waterway["tunnel"].to_numpy(dtype=bool) & (waterway.geometry.length.to_numpy() > LONG_TUNNEL)
    lines = shapely.get_parts(waterway.geometry.to_numpy()[~buried])
    if not len(lines):
        return lines
    joined = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(lines), directed=True))
    return np.asarray(joined[np.argsort(-shapely.length(joined), kind="stable")])


def _cells_along(line: shapely.LineString, frame: Frame) -> npt.NDArray[np.int64]:
    """Rows of the cells that `line` runs through inside the frame, in order, each sharing a side with the next."""
    points = shapely.get_coordinates(shapely.segmentize(line, frame.cell_size / 3))
    ix = np.floor((points[:, 0] - frame.west) / frame.cell_size).astype(np.int64)
    iy = np.floor((frame.north - points[:, 1]) / frame.cell_size).astype(np.int64)
    new = np.concatenate([[True], (np.diff(ix) != 0) | (np.diff(iy) != 0)])
    ix, iy = ix[new], iy[new]
    corner = np.flatnonzero((np.diff(ix) != 0) & (np.diff(iy) != 0)) + 1
    iy, ix = np.insert(iy, corner, iy[corner - 1]), np.insert(ix, corner, ix[corner])
    inside = (ix >= 0) & (ix < frame.width) & (iy >= 0) & (iy < frame.height)
    return np.asarray((iy * frame.width + ix)[inside])


def _carve(flat: npt.NDArray[np.float32], before: npt.NDArray[np.float32], cells: npt.NDArray[np.int64]) -> None:
    ground = flat[cells].astype(float)
    known = ~np.isnan(ground)
    cells, ground = cells[known], ground[known]
    if len(cells) < 2:
        return
    fit = isotonic_regression(ground, increasing=False).x
    if ground[-1] > ground[0] + UPHILL:
        other = isotonic_regression(ground, increasing=True).x
        if ((other - ground) ** 2).sum() < ((fit - ground) ** 2).sum():
            cells, ground, fit = cells[::-1], ground[::-1], other[::-1]
    bed = np.maximum(np.minimum.accumulate(ground), fit - BREACH)
    bed = np.maximum(bed, before[cells] - DEEPEST)
    np.minimum.at(flat, cells, bed.astype(np.float32))
