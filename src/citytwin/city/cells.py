"""Which cells of the ground a thing touches: found once, then asked every step what the water is there.

Simulators that put buildings, roads and other things on the ground raster share this. A `Touch` is a ragged table in flat
arrays: entry k says that thing `row[k]` touches cell `cell[k]`; entries are sorted by thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city.ground import Ground

if TYPE_CHECKING:
    from citytwin.city.model import City

Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

BATCH = 20_000  # things handled at once, to bound memory
SMALL = 4  # cells


@dataclass(frozen=True)
class Touch:
    """Entries (row, cell) sorted by row, for `size` things. A thing outside the ground has no entry."""

    row: Rows
    cell: Rows
    size: int

    def highest(self, values: Values, least: float = 0.0) -> Values:
        """The highest of `values` (one per cell) over each thing's cells; at least `least`, also where it has none."""
        return self.highest_entry(values[self.cell], least)

    def highest_entry(self, values: Values, least: float = 0.0) -> Values:
        """The highest of `values` (one per entry) for each thing; at least `least`. NaN counts as nothing."""
        out = np.full(self.size, least)
        if len(self.row):
            starts = np.flatnonzero(np.diff(self.row, prepend=-1))
            out[self.row[starts]] = np.fmax(np.fmax.reduceat(values, starts), least)
        return out

    def mean(self, values: Values) -> Values:
        """The mean of `values` (one per cell) over each thing's cells; NaN where it has none."""
        known = np.isfinite(values[self.cell])
        rows = self.row[known]
        total = np.bincount(rows, weights=values[self.cell[known]], minlength=self.size)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / np.bincount(rows, minlength=self.size), dtype=np.float64)

    def only(self, keep: Marks) -> Touch:
        """The entries marked in `keep`."""
        return Touch(self.row[keep], self.cell[keep], self.size)


def along(ground: Ground, lines: npt.ArrayLike) -> Touch:
    """The cells that each line runs through, met by points at most half a cell apart, ends included."""
    geometry = np.asarray(lines, dtype=object)
    dense = shapely.segmentize(geometry, ground.cell_size / 2)
    point, row = shapely.get_coordinates(dense, return_index=True)
    cell = ground.rows(point[:, 0], point[:, 1])
    return _unique(row.astype(np.int64), cell, ground.size, len(geometry))


def channels(city: City) -> Rows:
    """Cells of mapped watercourses and open water, where water stands though nothing is flooded."""
    lines = city.table("waterway").geometry.to_numpy() if "waterway" in city else np.zeros(0, dtype=object)
    water = np.flatnonzero(city.ground.layer("water").ravel() > 0.5)
    return np.unique(np.concatenate([along(city.ground, lines).cell, water]))


def _unique(row: Rows, cell: Rows, cells: int, size: int) -> Touch:
    inside = cell >= 0
    pairs = row[inside] * cells + cell[inside]
    pairs = np.sort(pairs[np.diff(pairs, prepend=-1) != 0])  # neighbours along a line are mostly in the same cell
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]
    return Touch(pairs // cells, pairs % cells, size)


def ends(ground: Ground, lines: npt.ArrayLike) -> Touch:
    """The cells that hold the two ends of each line."""
    geometry = np.asarray(lines, dtype=object)
    point = np.stack([shapely.get_point(geometry, 0), shapely.get_point(geometry, -1)], axis=1).ravel()
    row = np.repeat(np.arange(len(geometry), dtype=np.int64), 2)
    return _unique(row, ground.rows(shapely.get_x(point), shapely.get_y(point)), ground.size, len(geometry))


@dataclass(frozen=True)
class Footprints:
    """Cells under and around areas or points.

    `under`: which entries of `touch` are under the thing. `rise`: how much higher (m) the ground of an entry's cell is than
    the mean ground under its thing (0 under it, and where the ground is unknown).
    """

    touch: Touch
    under: Marks
    rise: Values

    def against(self, depth: Values) -> Values:
        """Depth of the water against the thing (m), for each entry, from the `depth` (m) in each entry's cell.

        Under the thing it is the depth there. Water beside it reaches the thing as deep as it is itself, and no higher than
        its level: a river in its bed below a house does not flood it, nor does a film of rain on the slope above.
        """
        return np.maximum(np.where(self.under, depth, np.minimum(depth, depth + self.rise)), 0.0)

    def depth(self, depth: Values) -> Values:
        """Deepest water against each thing (m), from the depth in every cell of the ground."""
        return self.touch.highest_entry(self.against(depth[self.touch.cell]))


def around(ground: Ground, things: npt.ArrayLike) -> Footprints:
    """Cells under each thing (their centre inside it, or the one that holds its inner point) and up to one cell around it.

    A cell is around a thing when its centre is at most one cell size away from it (from its bounding box, where that is at
    most `SMALL` cells wide and high).
    """
    geometry = np.asarray(things, dtype=object)
    parts = [_around(ground, geometry[i : i + BATCH], i) for i in range(0, len(geometry), BATCH)]
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return Footprints(Touch(nothing, nothing, 0), np.zeros(0, dtype=np.bool_), np.zeros(0))
    row, cell, under = (np.concatenate(p) for p in zip(*parts, strict=True))
    touch = Touch(row, cell, len(geometry))
    elevation = ground.elevation.ravel().astype(np.float64)
    level = touch.only(under).mean(elevation)
    rise = np.where(under, 0.0, np.nan_to_num(elevation[cell] - level[row]))
    return Footprints(touch, under, rise)


def _around(ground: Ground, areas: npt.NDArray[np.object_], offset: int) -> tuple[Rows, Rows, Marks]:
    height, width = ground.shape
    size = ground.cell_size
    box = shapely.bounds(areas)
    box = np.where(np.isfinite(box), box, ground.west - 10 * size)  # empty geometry: outside, so without entries
    left = np.floor((box[:, 0] - ground.west) / size).astype(np.int64) - 1
    right = np.floor((box[:, 2] - ground.west) / size).astype(np.int64) + 1
    top = np.floor((ground.north - box[:, 3]) / size).astype(np.int64) - 1
    bottom = np.floor((ground.north - box[:, 1]) / size).astype(np.int64) + 1
    wide, count = right - left + 1, (right - left + 1) * (bottom - top + 1)
    row = np.repeat(np.arange(len(areas), dtype=np.int64), count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    ix, iy = left[row] + number % wide[row], top[row] + number // wide[row]
    x, y = ground.west + (ix + 0.5) * size, ground.north - (iy + 0.5) * size
    inner = shapely.point_on_surface(areas)
    at = ground.rows(shapely.get_x(inner), shapely.get_y(inner))
    cell = iy * width + ix
    under = shapely.contains_xy(areas[row], x, y) | (cell == at[row])
    near = (x >= box[row, 0] - size) & (x <= box[row, 2] + size) & (y >= box[row, 1] - size) & (y <= box[row, 3] + size)
    large = np.flatnonzero(near & ~under & np.any(box[:, 2:] - box[:, :2] > SMALL * size, axis=1)[row])
    near[large] = shapely.dwithin(areas[row[large]], shapely.points(x[large], y[large]), size)
    keep = (near | under) & (ix >= 0) & (ix < width) & (iy >= 0) & (iy < height)
    return row[keep] + offset, cell[keep], under[keep]
