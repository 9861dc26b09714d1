"""ShakeMap's grid.xml and uncertainty.xml: shaking that others worked out, read as it stands.

Columns are found by the index that `grid_field` gives, not by their order. Grid values are medians (exp of the mean of ln):
OpenQuake, by contrast, takes them as means and lowers them by half the variance. ShakeMap's deviation is a total one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lxml import etree

from citytwin.errors import InputError, MissingError
from citytwin.hazards.earthquake.files import number, xml
from citytwin.hazards.earthquake.models.model import BETWEEN_SHARE
from citytwin.hazards.earthquake.shaking import Shaking

Array = npt.NDArray[np.float64]
MEASURES = {n: n for n in ("PGA", "PGV", "MMI")} | {f"PSA{t:02d}": f"SA({t / 10})" for t in (3, 6, 10, 20, 30)}
"""Names in a grid -> measures."""
USUAL_DEVIATION = 0.65
"""Total standard deviation of ln taken where no uncertainty is given: about that of the NGA-West2 models (from knowledge)."""


@dataclass(frozen=True)
class ShakeMap:
    """A grid of shaking.

    event: attributes of the `event` element. lon, lat: float64, ascending, degrees. values: measure -> float64[lat, lon], ln
    of g or cm/s (MMI as it is). deviations: measure -> standard deviation of ln, likewise.
    """

    event: dict[str, str]
    lon: Array
    lat: Array
    values: dict[str, Array] = field(repr=False)
    deviations: dict[str, Array] = field(repr=False)

    @property
    def magnitude(self) -> float:
        """The event's magnitude, NaN if not given."""
        return float(self.event.get("magnitude", "nan"))

    @property
    def hypocentre(self) -> tuple[float, float, float]:
        """Longitude, latitude (degrees), depth (km), NaN if not given."""
        lon, lat, depth = (float(self.event.get(k, "nan")) for k in ("lon", "lat", "depth"))
        return lon, lat, depth

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that it has, felt intensity left out."""
        return tuple(m for m in self.values if m != "MMI")

    def at(self, lon: npt.ArrayLike, lat: npt.ArrayLike, measure: str) -> tuple[Array, Array]:
        """Ln of a measure and its standard deviation at places in degrees, bilinear; NaN outside the grid."""
        if measure not in self.values:
            raise MissingError(f"the ShakeMap has no {measure}", hint="it has " + ", ".join(self.values))
        places = np.column_stack([np.asarray(lat, dtype=float), np.asarray(lon, dtype=float)])

        def drawn(grid: Array) -> Array:
            return _drawn(grid, self.lat, self.lon, places, np.nan)

        value = drawn(self.values[measure])
        known = self.deviations.get(measure)
        return value, np.where(np.isnan(value), np.nan, USUAL_DEVIATION) if known is None else drawn(known)


def shaking_of_map(
    grid: ShakeMap, x: npt.ArrayLike, y: npt.ArrayLike, lon: npt.ArrayLike, lat: npt.ArrayLike, measures: tuple[str, ...]
) -> Shaking:
    """The map's shaking at places x, y (m) that stand at lon, lat (degrees). Raises InputError where one lies outside it.

    Its total deviation is split between and within events as the models' are where they give only a total.
    """
    values, deviations = (np.array(v) for v in zip(*(grid.at(lon, lat, m) for m in measures), strict=True))
    if np.isnan(values).any():
        out = int(np.isnan(values).any(axis=0).sum())
        box = f"{grid.lon[0]:g} to {grid.lon[-1]:g} east, {grid.lat[0]:g} to {grid.lat[-1]:g} north"
        raise InputError(f"{out} of {values.shape[1]} places lie outside the ShakeMap", hint=f"it covers {box}")
    between, within = deviations * BETWEEN_SHARE**0.5, deviations * (1 - BETWEEN_SHARE) ** 0.5
    return Shaking(tuple(measures), values, between, within, np.asarray(x, dtype=float), np.asarray(y, dtype=float))


def read_shakemap(path: Path, uncertainty: Path | None = None) -> ShakeMap:
    """A ShakeMap's grid.xml and, if given, its uncertainty.xml; either may be packed (.gz). Raises InputError."""
    event, lon, lat, fields, units = _read(path)
    values = {}
    for name, measure in MEASURES.items():
        if name in fields:
            values[measure] = _ln(fields[name], units[name], name, path)
    if not values:
        raise InputError("the grid has no PGA, PGV, PSA or MMI", str(path))
    found = [(fields, lon, lat)]
    if uncertainty is not None:
        _, other_lon, other_lat, other, _ = _read(uncertainty)
        found.append((other, other_lon, other_lat))
    deviations = {}
    for source, slon, slat in found:
        for name, measure in MEASURES.items():
            spread = source.get(f"STD{name}")
            if spread is not None and measure in values:
                deviations[measure] = _onto(spread, slon, slat, lon, lat)
    return ShakeMap(event, lon, lat, values, deviations)


def _onto(grid: Array, lon: Array, lat: Array, wanted_lon: Array, wanted_lat: Array) -> Array:
    if np.array_equal(lon, wanted_lon) and np.array_equal(lat, wanted_lat):
        return grid
    rows, columns = np.meshgrid(wanted_lat, wanted_lon, indexing="ij")
    return _drawn(grid, lat, lon, np.column_stack([rows.ravel(), columns.ravel()]), None).reshape(rows.shape)


def _drawn(grid: Array, lat: Array, lon: Array, places: Array, outside: float | None) -> Array:
    """A grid at places (lat, lon), linearly; `outside` beyond its edges, None to go on as within."""
    from scipy.interpolate import RegularGridInterpolator  # 10 MiB that nobody without a map needs

    drawn = RegularGridInterpolator((lat, lon), grid, bounds_error=False, fill_value=outside)
    return np.asarray(drawn(places))


def _ln(values: Array, unit: str, name: str, path: Path) -> Array:
    if name == "MMI":
        return values
    factor = {"%g": 0.01, "pctg": 0.01, "g": 1.0, "cm/s": 1.0, "cms": 1.0}.get(unit.strip().lower())
    if factor is None:
        if unit.strip().lower().startswith("ln"):
            return values
        raise InputError(f'{name} has the unit "{unit}"', str(path), "allowed: %g, g, cm/s, ln(g), ln(cm/s)")
    return np.asarray(np.log(np.maximum(values * factor, 1e-10)))


def _read(path: Path) -> tuple[dict[str, str], Array, Array, dict[str, Array], dict[str, str]]:
    root = xml(path)
    names, units = {}, {}
    for entry in root.iter("grid_field"):
        name = (entry.get("name") or "").upper()
        names[name] = int(number(entry.get("index"), "index of a grid_field", path)) - 1
        units[name] = entry.get("units") or ""
    data, specification = root.find("grid_data"), root.find("grid_specification")
    if data is None or not {"LON", "LAT"} <= set(names):
        raise InputError("is no ShakeMap grid: it lacks grid_data, LON or LAT", str(path))
    table = _numbers(data, len(names), path)
    lon, lat, shape = _axes(table[:, names["LON"]], table[:, names["LAT"]], specification, path)
    fields = {n: table[:, i].reshape(shape)[::-1] for n, i in names.items() if n not in ("LON", "LAT")}
    event = root.find("event")
    return dict(event.attrib) if event is not None else {}, lon, lat, fields, units  # type: ignore[arg-type]


def _numbers(data: etree._Element, columns: int, path: Path) -> Array:
    try:
        values = np.array((data.text or "").split(), dtype=float)
    except ValueError as error:
        raise InputError(f"grid_data has something that is no number: {error}", str(path)) from None
    if not values.size or values.size % columns:
        raise InputError(f"grid_data has {values.size} numbers, not a multiple of {columns} fields", str(path))
    return values.reshape(-1, columns)


def _axes(lon: Array, lat: Array, specification: etree._Element | None, path: Path) -> tuple[Array, Array, tuple[int, int]]:
    """Longitudes and latitudes, ascending, of rows that go from the north-west corner with longitude fastest."""
    wide = number(specification.get("nlon"), "nlon", path) if specification is not None else len(np.unique(lon))
    wide, high = int(wide), len(lon) // max(int(wide), 1)
    if wide < 2 or high < 2 or wide * high != len(lon):
        raise InputError(f"the grid has {len(lon)} rows, not {wide} times as many latitudes", str(path))
    across, down = lon[:wide].copy(), lat[::wide][::-1].copy()
    across[across < across[0]] += 360  # over the date line
    if np.any(np.diff(across) <= 0) or np.any(np.diff(down) <= 0):
        raise InputError("the grid does not go from its north-west corner with longitude fastest", str(path))
    return across, down, (high, wide)
