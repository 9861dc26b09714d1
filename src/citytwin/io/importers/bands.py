"""The other layers of the ground: roughness, imperviousness, and the shares of buildings and water in each cell.

Shares are counted on a grid FINER times finer than the ground. A share of street or building lets no water in; the
roughness of a cell is the mean of its parts: land around, streets (Chow 1959, rough asphalt 0.016) and water.
"""

from __future__ import annotations

from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio.features
import shapely
from rasterio.transform import from_origin

from citytwin.io.importers.land import CLASSES, UNKNOWN
from citytwin.io.importers.terrain import Frame, Grid

FINER = 4
STRIP = 256  # rows of the ground at a time
LANE = 3.25  # m, width of a traffic lane
PATHS = ("footway", "path", "cycleway", "steps", "bridleway", "track", "via_ferrata")
ASPHALT, OPEN_WATER = CLASSES["paved"][0], CLASSES["water"][0]


def make_bands(
    frame: Frame, land: gpd.GeoDataFrame, building: gpd.GeoDataFrame, road: gpd.GeoDataFrame, water: gpd.GeoDataFrame,
    waterway: gpd.GeoDataFrame,
) -> dict[str, Grid]:  # fmt: skip
    """Layers manning, impervious, building and water on `frame`; tables in the frame's CRS."""
    built = share(frame, building.geometry.to_numpy())
    street = share(frame, _streets(road))
    open_air = waterway[~waterway["tunnel"].to_numpy(dtype=bool)]
    beds = shapely.buffer(open_air.geometry.to_numpy(), np.maximum(open_air["width"].to_numpy() / 2, 0.3), quad_segs=2)
    wet = share(frame, np.concatenate([water.geometry.to_numpy(), beds]))
    rough = _painted(frame, land, "manning", UNKNOWN[0])
    sealed = _painted(frame, land, "impervious", UNKNOWN[1])
    hard = np.clip(built + street, 0, 1)
    soil = np.clip(1 - wet - street, 0, 1)
    total = soil + street + wet
    manning = (soil * rough + street * ASPHALT + wet * OPEN_WATER) / total
    impervious = np.clip(hard + (1 - hard) * sealed, 0, 1) * (1 - wet)
    return {
        "manning": manning.astype(np.float32), "impervious": impervious.astype(np.float32), "building": built, "water": wet,
    }  # fmt: skip


def _streets(road: gpd.GeoDataFrame) -> npt.NDArray[np.object_]:
    """The paved surface of the streets on the ground."""
    paved = road[~road["class"].isin(PATHS) & ~road["bridge"].to_numpy(dtype=bool) & ~road["tunnel"].to_numpy(dtype=bool)]
    return np.asarray(shapely.buffer(paved.geometry.to_numpy(), paved["lanes"].to_numpy() * LANE / 2, quad_segs=2))


def _strips(frame: Frame) -> Iterator[tuple[int, int, shapely.Polygon]]:
    west, _, east, north = frame.bounds
    for first in range(0, frame.height, STRIP):
        last = min(first + STRIP, frame.height)
        yield first, last, shapely.box(west, north - last * frame.cell_size, east, north - first * frame.cell_size)


def share(frame: Frame, shapes: npt.NDArray[np.object_]) -> Grid:
    """Share of each cell that `shapes` cover."""
    result = np.zeros((frame.height, frame.width), dtype=np.float32)
    shapes = shapes[~shapely.is_empty(shapes)]
    if not len(shapes):
        return result
    tree = shapely.STRtree(shapes)
    size = frame.cell_size / FINER
    for first, last, box in _strips(frame):
        rows = np.sort(tree.query(box))
        if not len(rows):
            continue
        fine = rasterio.features.rasterize(
            shapes[rows], out_shape=((last - first) * FINER, frame.width * FINER), fill=0, default_value=1, dtype="uint8",
            transform=from_origin(frame.west, frame.north - first * frame.cell_size, size, size),
        )  # fmt: skip
        down = sum(fine[row::FINER] for row in range(FINER))  # at most FINER squared: a byte holds it
        result[first:last] = sum(down[:, column::FINER] for column in range(FINER)) / np.float32(FINER**2)
    return result


def _painted(frame: Frame, land: gpd.GeoDataFrame, column: str, unknown: float) -> Grid:
    """A value of `land` at the middle of each cell; what comes later in the table (the smaller) lies on top."""
    if not len(land):
        return np.full((frame.height, frame.width), unknown, dtype=np.float32)
    return np.asarray(
        rasterio.features.rasterize(
            zip(land.geometry.to_numpy(), land[column].to_numpy(dtype=np.float32), strict=True),
            out_shape=(frame.height, frame.width), fill=unknown, dtype="float32", transform=frame.transform,
        )
    )  # fmt: skip
