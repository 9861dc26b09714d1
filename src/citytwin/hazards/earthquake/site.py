"""The ground under a place: Vs30 from a map, from the city's ground, or from the slope of the terrain."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.errors
import rasterio.warp
import rasterio.windows
import shapely
from rasterio._err import CPLE_BaseError
from scipy.ndimage import uniform_filter

from citytwin.city import City, Ground
from citytwin.city.roads import number
from citytwin.errors import InputError, MissingError, nearest
from citytwin.hazards.earthquake.site_models import is_site_model, vs30_of_sites

Array = npt.NDArray[np.float64]
BASELINE = 900.0
"""Length (m) over which slope is taken: the relation was made with terrain of 30 arc seconds."""
WATER = 600.0
"""Vs30 (m/s) that the relation's authors give to water."""
UNKNOWN = 400.0
"""Vs30 (m/s) where neither a map nor terrain tells: stiff soil, our choice."""
SLOWEST, FASTEST = 50.0, 3000.0
"""Vs30 (m/s) that a map may have; beyond these it does not know."""

TITLES = {"scenario": "the scenario", "map": "a map", "building": "the buildings table", "zone": "the zones table",
          "slope": "the slope of the terrain", "unknown": f"{UNKNOWN:g} m/s for want of anything"}  # fmt: skip

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


def vs30_of_map(path: Path, lon: npt.ArrayLike, lat: npt.ArrayLike, needed: bool = True) -> Array:
    """Vs30 (m/s) at places in degrees from a raster (GeoTIFF, GMT or NetCDF grid), NaN where it does not know.

    Only the part around the places is read. Raises InputError for a file that is no raster, that does not say where it lies,
    that covers none of the places though it is `needed`, or whose values cannot be metres a second.
    """
    lon, lat = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
    try:
        with rasterio.open(path) as raster:
            x, y = _on_raster(raster, path, lon, lat)
            column, row = (np.floor(v) for v in ~raster.transform * (x, y))
            inside = (column >= 0) & (column < raster.width) & (row >= 0) & (row < raster.height)
            if not inside.any():
                if needed:
                    raise InputError(f"the Vs30 map does not cover the city: {_lies(raster)}", str(path), _here(lon, lat))
                return np.full(lon.shape, np.nan)
            first, last = (np.array([f(row[inside]), f(column[inside])], dtype=int) for f in (np.min, np.max))
            part = rasterio.windows.Window.from_slices((first[0], last[0] + 1), (first[1], last[1] + 1))
            values = raster.read(1, window=part, masked=True).astype(float).filled(np.nan)
    except (rasterio.errors.RasterioError, CPLE_BaseError, OSError) as error:
        raise InputError(f"cannot read a Vs30 map: {str(error).splitlines()[0]}", str(path)) from None
    found = np.full(lon.shape, np.nan)
    found[inside] = values[(row[inside] - first[0]).astype(int), (column[inside] - first[1]).astype(int)]
    known = found[found > 0]
    if len(known) and not SLOWEST <= np.median(known) <= FASTEST:
        hint = f"{SLOWEST:g} to {FASTEST:g} m/s; that is the median of its values here"
        raise InputError(f"{np.median(known):g} is no Vs30", str(path), hint)
    return np.where((found >= SLOWEST) & (found <= FASTEST), found, np.nan)


def _on_raster(raster: Any, path: Path, lon: Array, lat: Array) -> tuple[Array, Array]:
    """Places in the coordinates of a raster; one that says none must lie in degrees."""
    if raster.crs is None:
        west, south, east, north = raster.bounds
        if not (-181 <= west < east <= 361 and -91 <= south < north <= 91):
            raise InputError("the Vs30 map does not say its coordinate system", str(path), "gdal_edit.py -a_srs writes it in")
        return np.where((lon < west) & (east > 180), lon + 360.0, lon), lat
    if raster.crs.is_geographic:
        return lon, lat
    x, y = rasterio.warp.transform("EPSG:4326", raster.crs, lon, lat)
    return np.asarray(x), np.asarray(y)


def _lies(raster: Any) -> str:
    west, south, east, north = rasterio.warp.transform_bounds(raster.crs or "EPSG:4326", "EPSG:4326", *raster.bounds)
    return f"it lies at {west:.2f} ... {east:.2f} east, {south:.2f} ... {north:.2f} north"


def _here(lon: Array, lat: Array) -> str:
    return f"the city lies at {np.median(lon):.2f} east, {np.median(lat):.2f} north"


@dataclass
class Speeds:
    """Vs30 of a city: what the scenario says (a number, a map or a site model), what its tables say, else slopes.

    used: number of places by where their value is from, over all that was asked.
    """

    city: City
    said: float | Path | None = None
    used: dict[str, int] = field(default_factory=dict)

    def at(self, x: npt.ArrayLike, y: npt.ArrayLike, buildings: bool = False) -> Array:
        """Vs30 (m/s) at places x, y (m). buildings: whether the first places are the city's buildings, which may say it."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        found = np.full(len(x), np.nan)
        own = number(self.city.table("building"), "vs30") if buildings else np.empty(0)
        sources = {"scenario": self._scenario, "map": lambda x, y: self._map(x, y, buildings), "building": None,
                   "zone": self._zone, "slope": lambda x, y: vs30_by_slope(self.city, x, y)}  # fmt: skip
        for name, source in sources.items():
            lacking = np.flatnonzero(np.isnan(found))
            if source is not None and len(lacking):
                found[lacking] = source(x[lacking], y[lacking])
            elif source is None:
                found[: len(own)] = np.where(np.isnan(found[: len(own)]), own, found[: len(own)])
            self._count(name, int(np.isfinite(found[lacking]).sum()))
        self._count("unknown", int(np.isnan(found).sum()))
        return np.where(np.isnan(found), UNKNOWN, found)

    def words(self) -> str:
        """Where it is from, in words: "slope of the terrain at 93 %, map at 7 % of places"."""
        total = sum(self.used.values())
        shares = sorted(self.used.items(), key=lambda u: -u[1])
        return ", ".join(f"{TITLES[name]} at {100.0 * count / total:.3g} %" for name, count in shares) + " of places"

    def _count(self, name: str, count: int) -> None:
        if count:
            self.used[name] = self.used.get(name, 0) + count

    def _scenario(self, x: Array, y: Array) -> Array:
        return np.full(len(x), self.said if isinstance(self.said, float) else np.nan)

    def _map(self, x: Array, y: Array, needed: bool) -> Array:
        if not isinstance(self.said, Path):
            return np.full(len(x), np.nan)
        read = vs30_of_sites if is_site_model(self.said) else vs30_of_map
        return read(self.said, *self.city.to_lonlat(x, y), needed)

    def _zone(self, x: Array, y: Array) -> Array:
        found = np.full(len(x), np.nan)
        if "zone" in self.city and "vs30" in self.city.table("zone"):
            zone = self.city.table("zone")
            place, inside = shapely.STRtree(zone.geometry.to_numpy()).query(shapely.points(x, y), predicate="intersects")
            found[place[::-1]] = number(zone, "vs30")[inside[::-1]]
        return found


def vs30_by_slope(city: City, x: npt.ArrayLike, y: npt.ArrayLike, region: str = "active") -> Array:
    """Vs30 (m/s) at places x, y (m) from the slope of the city's ground; NaN where it has none."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if not city.has_ground:
        return np.full(len(x), np.nan)
    cell = city.ground.rows(x, y)
    slope = slope_of(city.ground).reshape(-1)
    proxy = vs30_from_slope(np.nan_to_num(slope[cell], nan=0.01), region)
    return np.where((cell >= 0) & np.isfinite(slope[cell]), proxy, np.nan)
