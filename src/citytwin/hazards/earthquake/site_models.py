"""Vs30 at points, as OpenQuake's site models say it (CSV or NRML): each place takes that of the nearest point."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from citytwin.errors import InputError
from citytwin.hazards.earthquake.files import content, number, xml

Array = npt.NDArray[np.float64]
REACH = 10.0
"""Kilometres from the nearest point beyond which a site model does not know: our choice."""
EARTH = 6371.0
_NAMES = {"lon": ("lon", "longitude", "x"), "lat": ("lat", "latitude", "y"), "vs30": ("vs30", "vs_30", "vs30_m_s")}


def is_site_model(path: Path) -> bool:
    """Whether a file is one of points (CSV, XML) and not a raster, by its ending."""
    return path.name.lower().removesuffix(".gz").endswith((".csv", ".xml"))


def vs30_of_sites(path: Path, lon: npt.ArrayLike, lat: npt.ArrayLike, needed: bool = True) -> Array:
    """Vs30 (m/s) at places in degrees, of the nearest point within `REACH`, NaN where there is none.

    Raises InputError for a file that is no site model, or that lies at none of the places though it is `needed`.
    """
    points = _read(path)
    distance, nearest = cKDTree(_on_globe(points[:, 0], points[:, 1])).query(_on_globe(lon, lat))
    near = distance * EARTH <= REACH
    if needed and not near.any():
        (west, south), (east, north) = points[:, :2].min(axis=0).tolist(), points[:, :2].max(axis=0).tolist()
        lies = f"it lies at {west:.2f} ... {east:.2f} east, {south:.2f} ... {north:.2f} north"
        raise InputError(f"no point of the site model lies within {REACH:g} km", str(path), lies)
    return np.where(near, points[nearest, 2], np.nan)


def _on_globe(lon: npt.ArrayLike, lat: npt.ArrayLike) -> Array:
    x, y = (np.radians(np.asarray(v, dtype=float)) for v in (lon, lat))
    return np.column_stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)])


def _read(path: Path) -> Array:
    """Longitude, latitude (degrees) and Vs30 (m/s) of the points, float64[n, 3]."""
    if content(path)[:200].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        rows = [_point({str(k): str(v) for k, v in site.attrib.items()}, path) for site in xml(path).iter("site")]
    else:
        text = content(path).decode("utf-8-sig", "replace")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        rows = [_point(row, path) for row in csv.DictReader(io.StringIO("\n".join(lines)))]
    if not rows:
        raise InputError("holds no site", str(path), "columns lon, lat, vs30, or a siteModel in NRML")
    return np.array(rows)


def _point(row: Mapping[str, str | None], path: Path) -> tuple[float, float, float]:
    said = {str(k).strip().lower(): v for k, v in row.items() if k}
    found = []
    for name, names in _NAMES.items():
        column = next((n for n in names if n in said), None)
        if column is None:
            raise InputError(f'no column "{name}"', str(path), "a site model has lon, lat, vs30")
        found.append(number((said[column] or "").strip(), name, path))
    if not 30 <= found[2] <= 5000:
        raise InputError(f"{found[2]:g} is no Vs30", str(path), "30 to 5000 m/s")
    return found[0], found[1], found[2]
