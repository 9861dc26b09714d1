"""The ground under a place: Vs30 from a map, from the city's ground, or from the slope of the terrain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.errors
import rasterio.warp
from scipy.ndimage import map_coordinates, uniform_filter

from citytwin.city import City, Ground
from citytwin.errors import InputError, MissingError, nearest

Array = npt.NDArray[np.float64]
BASELINE = 900.0
"""Length (m) over which slope is taken: the relation was made with terrain of 30 arc seconds."""
WATER = 600.0
"""Vs30 (m/s) that the relation's authors give to water."""
UNKNOWN = 400.0
"""Vs30 (m/s) where neither a map nor terrain tells: stiff soil, our choice."""

_SPEEDS = np.array([180.0, 240.0, 300.0, 360.0, 490.0, 620.0, 760.0])
_SLOPES = {
    "active": np.array([3e-4, 3.5e-3, 0.010, 0.018, 0.05, 0.10, 0.14]),
    "stable": np.array([2e-5, 2e-3, 4e-3, 7.2e-3, 0.013, 0.018, 0.025]),
}


def vs30_from_slope(slope: npt.ArrayLike, region: str = "active") -> Array:
    """Vs30 (m/s) that a slope (m/m) of the terrain makes likely; `region`: active or stable crust.

    Table 2 of Wald and Allen 2007, BSSA 97(5), 1379-1395 (stable) and of Allen and Wald 2009, BSSA 99(2A), 935-943 (active):
    log-log between the bounds of the classes, from 180 m/s to 760 m/s at the last bound, on to 900 m/s as in the last class.
    Raises MissingError for another region.
    """
    if region not in _SLOPES:
        raise MissingError(f'no slope relation for "{region}" crust', hint=nearest(region, _SLOPES))
    bounds, speeds = np.log(_SLOPES[region]), np.log(_SPEEDS)
    steep = np.log(np.maximum(np.asarray(slope, dtype=float), 1e-9))
    last = (speeds[-1] - speeds[-2]) / (bounds[-1] - bounds[-2])
    beyond = speeds[-1] + last * (steep - bounds[-1])
    found = np.where(steep > bounds[-1], beyond, np.interp(steep, bounds, speeds))
    return np.asarray(np.clip(np.exp(found), 180.0, 900.0))


def slope_of(ground: Ground, baseline: float = BASELINE) -> Array:
    """Slope (m/m) of the terrain at each cell, float64[height, width], taken over `baseline` metres; NaN off the ground."""
    elevation = ground.elevation.astype(float)
    known = np.isfinite(elevation)
    cells = max(round(baseline / ground.cell_size), 1)
    weight = uniform_filter(known.astype(float), cells, mode="nearest")
    with np.errstate(invalid="ignore"):
        smooth = uniform_filter(np.where(known, elevation, 0.0), cells, mode="nearest") / np.maximum(weight, 1e-9)
    if min(elevation.shape) < 2:
        return np.where(known, 0.0, np.nan)
    down, across = np.gradient(smooth, ground.cell_size)
    return np.where(known, np.hypot(down, across), np.nan)


def vs30_of_map(path: Path, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Array:
    """Vs30 (m/s) at places in degrees from a raster (GeoTIFF, GMT or NetCDF grid), NaN outside. Raises InputError."""
    lon, lat = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
    try:
        with rasterio.open(path) as raster:
            x, y = lon, lat
            if raster.crs is not None and not raster.crs.is_geographic:
                x, y = (np.asarray(v) for v in rasterio.warp.transform("EPSG:4326", raster.crs, lon, lat))
            values = raster.read(1).astype(float)
            if raster.nodata is not None:
                values[values == raster.nodata] = np.nan
            column, row = ~raster.transform * (x, y)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise InputError(f"cannot read a Vs30 map: {error}", str(path)) from None
    found = map_coordinates(values, [np.asarray(row) - 0.5, np.asarray(column) - 0.5], order=0, cval=np.nan)
    return np.where(found > 0, found, np.nan)


def vs30_at(city: City, x: npt.ArrayLike, y: npt.ArrayLike, region: str = "active", vs30_map: Path | None = None) -> Array:
    """Vs30 (m/s) at places x, y (m): from `vs30_map` where it knows, else the slope of the city's ground, else `UNKNOWN`."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    found = np.full(len(x), np.nan)
    if vs30_map is not None:
        found = vs30_of_map(vs30_map, *city.to_lonlat(x, y))
    if city.has_ground and np.isnan(found).any():
        cell = city.ground.rows(x, y)
        slope = slope_of(city.ground).reshape(-1)
        proxy = np.where(cell >= 0, vs30_from_slope(np.nan_to_num(slope[cell], nan=0.01), region), np.nan)
        proxy = np.where((cell >= 0) & np.isfinite(slope[cell]), proxy, np.nan)
        found = np.where(np.isnan(found), proxy, found)
    return np.where(np.isnan(found), UNKNOWN, found)
