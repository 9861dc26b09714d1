"""Where an earthquake broke: magnitude, mechanism, hypocentre and the rupture plane, given or derived from magnitude."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyproj

from citytwin.errors import InputError, MissingError, nearest

Array = npt.NDArray[np.float64]
ToMetres = Callable[[npt.ArrayLike, npt.ArrayLike], tuple[Array, Array]]
"""Longitude and latitude (degrees) to x and y (m), as `City.from_lonlat`."""

MECHANISMS = {"strike-slip": (0.0, 90.0), "normal": (-90.0, 50.0), "reverse": (90.0, 40.0), "unknown": (float("nan"), 90.0)}
"""Rake and dip (degrees) where none is given; dips after Kaklamanos, Baise and Boore 2011, Earthquake Spectra 27(4)."""

SCALINGS = {
    "wells-coppersmith": {
        "strike-slip": (-2.57, 0.62, -0.76, 0.27),
        "reverse": (-2.42, 0.58, -1.61, 0.41),
        "normal": (-1.88, 0.50, -1.14, 0.35),
        "unknown": (-2.44, 0.59, -1.01, 0.32),
    },
    "thingbaijam": {
        "strike-slip": (-2.943, 0.681, -0.543, 0.261),
        "reverse": (-2.693, 0.614, -1.669, 0.435),
        "normal": (-1.722, 0.485, -0.829, 0.323),
        "interface": (-2.412, 0.583, -0.880, 0.366),
        "unknown": (-2.943, 0.681, -0.543, 0.261),
    },
}
"""Log10 of length and of width (km) = a + b * magnitude, as (a, b of length, a, b of width): Wells and Coppersmith 1994, BSSA
84(4), table 2A (subsurface length, width); Thingbaijam, Mai and Goda 2017, BSSA 107(5), table 1."""


@dataclass(frozen=True)
class Rupture:
    """An earthquake's rupture.

    magnitude: moment magnitude. hypocentre: longitude, latitude (degrees), depth (km). rake: degrees, NaN where unknown.
    quads: float64[q, 4, 3], corners (lon, lat, depth in km): the upper edge along strike, then the lower edge back.
    strike: degrees, NaN where unknown (then `quads` is a plane of unknown direction, see `distances.from_rupture`).
    derived: the plane comes from scaling with magnitude, not from data.
    """

    magnitude: float
    hypocentre: tuple[float, float, float]
    quads: Array
    rake: float = float("nan")
    dip: float = 90.0
    strike: float = float("nan")
    derived: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        lon, lat, depth = self.hypocentre
        if not (0 < self.magnitude <= 10):
            raise InputError(f"magnitude {self.magnitude:g} of the earthquake", hint="allowed: above 0, up to 10")
        if not (-180 <= lon <= 360 and -90 <= lat <= 90):
            raise InputError(f"hypocentre at {lon:g}, {lat:g} is not longitude, latitude in degrees")
        if not (-10 <= depth <= 800):
            raise InputError(f"hypocentre at a depth of {depth:g} km", hint="allowed: -10 to 800 km")
        if self.quads.ndim != 3 or self.quads.shape[1:] != (4, 3):
            raise InputError(f"a rupture has quadrilaterals of 4 corners, not shape {self.quads.shape}")

    @property
    def top_depth(self) -> float:
        """Depth of the upper edge, km, not above ground."""
        return max(float(self.quads[:, :, 2].min()), 0.0)

    @property
    def width(self) -> float:
        """Width down the dip, km: the area over the length of the upper edge, however many rows of quadrilaterals there are."""
        metres = self.local(around(self.hypocentre[0], self.hypocentre[1]))[0]
        upper, lower = metres[:, :2].mean(axis=1), metres[:, 2:].mean(axis=1)
        down = np.linalg.norm(upper - lower, axis=1)
        along = np.linalg.norm(metres[:, 1] - metres[:, 0], axis=1)
        below = {tuple(edge) for edge in np.round(self.quads[:, [3, 2]], 6).reshape(-1, 6)}
        first = np.array([tuple(edge) not in below for edge in np.round(self.quads[:, :2], 6).reshape(-1, 6)])
        top = float(along[first].sum())
        return float((down * along).sum() / top / 1000) if top > 0 else float(down.mean() / 1000)

    def local(self, to_metres: ToMetres) -> tuple[Array, Array]:
        """Corners float64[q, 4, 3] and hypocentre float64[3] in metres: x, y, depth."""
        x, y = to_metres(self.quads[:, :, 0], self.quads[:, :, 1])
        hx, hy = to_metres(self.hypocentre[0], self.hypocentre[1])
        return np.stack([x, y, self.quads[:, :, 2] * 1000], axis=2), np.array([hx, hy, self.hypocentre[2] * 1000], dtype=float)


def around(lon: float, lat: float) -> ToMetres:
    """A projection that keeps distances from `lon`, `lat`: for what lies outside a city's own coordinates."""
    crs = pyproj.CRS.from_proj4(f"+proj=aeqd +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m")
    turn = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)

    def to_metres(lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Array, Array]:
        x, y = turn.transform(np.asarray(lon, dtype=float), np.asarray(lat, dtype=float))
        return np.asarray(x), np.asarray(y)

    return to_metres


def mechanism_of(rake: float) -> str:
    """The mechanism that a rake (degrees) means: strike-slip within 30 degrees of horizontal."""
    if np.isnan(rake):
        return "unknown"
    if abs(rake) <= 30 or abs(rake) >= 150:
        return "strike-slip"
    return "reverse" if rake > 0 else "normal"


def size_of(magnitude: float, mechanism: str = "unknown", scaling: str = "wells-coppersmith") -> tuple[float, float]:
    """Length and width (km) of the rupture that `magnitude` makes likely. Raises MissingError for names there are not."""
    if scaling not in SCALINGS:
        raise MissingError(f'no scaling of ruptures "{scaling}"', hint=nearest(scaling, SCALINGS))
    if mechanism not in SCALINGS[scaling]:
        raise MissingError(f'no mechanism "{mechanism}" in {scaling}', hint=nearest(mechanism, SCALINGS[scaling]))
    a, b, c, d = SCALINGS[scaling][mechanism]
    return float(10 ** (a + b * magnitude)), float(10 ** (c + d * magnitude))


def derived(
    magnitude: float,
    hypocentre: tuple[float, float, float],
    mechanism: str = "unknown",
    rake: float | None = None,
    strike: float | None = None,
    dip: float | None = None,
    scaling: str = "wells-coppersmith",
    crust: float = 20.0,
    length: float | None = None,
    width: float | None = None,
) -> Rupture:
    """A plane through the hypocentre, its size after `scaling` unless given, the hypocentre at its middle.

    It reaches neither above the ground nor, unless the hypocentre does, below `crust` (km); what width is cut off is added to
    the length. hypocentre: longitude, latitude, depth (km). Angles in degrees, lengths in km. Without `strike` the plane's
    direction counts as unknown.
    """
    if mechanism not in MECHANISMS and mechanism != "interface":
        raise MissingError(f'no mechanism "{mechanism}"', hint=nearest(mechanism, MECHANISMS))
    if rake is not None and mechanism == "unknown":
        mechanism = mechanism_of(rake)
    usual_rake, usual_dip = MECHANISMS.get(mechanism, (90.0, 20.0))
    rake, dip = usual_rake if rake is None else rake, usual_dip if dip is None else dip
    if not 0 < dip <= 90:
        raise InputError(f"dip {dip:g} of the rupture", hint="allowed: above 0, up to 90 degrees")
    long, wide = size_of(magnitude, mechanism, scaling)
    depth, sine = hypocentre[2], float(np.sin(np.radians(dip)))
    room = max(crust, depth + wide * sine / 2) / sine
    if width is None and wide > room:
        long, wide = long * wide / room, room
    long, wide = length or long, width or wide
    top = max(depth - wide * sine / 2, 0.0)
    top = max(min(top, max(crust, depth) - wide * sine), 0.0)
    quad = _plane(hypocentre, strike or 0.0, dip, long, wide, top)
    known = float("nan") if strike is None else float(strike)
    return Rupture(magnitude, hypocentre, quad[None], float(rake), float(dip), known, True)


def turned(rupture: Rupture, strike: float) -> Rupture:
    """A derived rupture with its plane turned to `strike` (degrees)."""
    corners = rupture.quads[0]
    geod = pyproj.Geod(ellps="WGS84")
    long = float(geod.inv(corners[0, 0], corners[0, 1], corners[1, 0], corners[1, 1])[2]) / 1000
    top, bottom = float(corners[0, 2]), float(corners[2, 2])
    wide = (bottom - top) / float(np.sin(np.radians(rupture.dip)))
    return replace(rupture, strike=strike, quads=_plane(rupture.hypocentre, strike, rupture.dip, long, wide, top)[None])


def _plane(hypocentre: tuple[float, float, float], strike: float, dip: float, long: float, wide: float, top: float) -> Array:
    """Corners (lon, lat, depth in km) of a plane through the hypocentre, which halves it along strike."""
    geod = pyproj.Geod(ellps="WGS84")
    lon, lat, depth = hypocentre
    sine, cosine = np.sin(np.radians(dip)), np.cos(np.radians(dip))
    corners = []
    for along, down in ((-0.5, 0.0), (0.5, 0.0), (0.5, wide), (-0.5, wide)):
        deep = top + down * sine
        across = (deep - depth) / sine * cosine if sine > 0 else 0.0
        x, y, _ = geod.fwd(lon, lat, strike + 90, across * 1000)
        x, y, _ = geod.fwd(x, y, strike, along * long * 1000)
        corners.append((x, y, deep))
    return np.array(corners)


def from_ring(ring: npt.ArrayLike) -> Array:
    """Quadrilaterals float64[q, 4, 3] of a ring (lon, lat, depth in km): the upper edge, then the lower edge back.

    The form of ShakeMap's rupture.json and fault.txt; a closing point may be there or not. Raises InputError.
    """
    points = np.asarray(ring, dtype=float)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError("a rupture's ring has points of longitude, latitude and depth")
    if np.allclose(points[0], points[-1]):
        points = points[:-1]
    if len(points) < 4 or len(points) % 2:
        raise InputError(
            f"a rupture's ring has {len(points)} corners", hint="allowed: as many on the upper as on the lower edge"
        )
    half = len(points) // 2
    upper, lower = points[:half], points[half:][::-1]
    return np.array([[upper[i], upper[i + 1], lower[i + 1], lower[i]] for i in range(half - 1)])


def angles_of(quads: Array) -> tuple[float, float]:
    """Strike and dip (degrees) of quadrilaterals (lon, lat, depth in km): the means by area."""
    to_metres = around(float(quads[:, :, 0].mean()), float(quads[:, :, 1].mean()))
    x, y = to_metres(quads[:, :, 0], quads[:, :, 1])
    corners = np.stack([x, y, quads[:, :, 2] * 1000], axis=2)
    along, down = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    normal = np.cross(along, down).sum(axis=0)
    size = float(np.linalg.norm(normal))
    if size == 0:
        return float("nan"), 90.0
    mean = along.sum(axis=0)
    dip = float(np.degrees(np.arccos(min(abs(normal[2]) / size, 1.0))))
    return float(np.degrees(np.arctan2(mean[0], mean[1])) % 360), max(dip, 0.1)
