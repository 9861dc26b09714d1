"""Ruptures from files: OpenQuake's NRML and CSV, ShakeMap's rupture.json, event.xml and fault.txt, or a few values as JSON."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
from lxml import etree

from citytwin.errors import InputError, TwinError
from citytwin.hazards.earthquake.files import content, number, parsed_json, xml
from citytwin.hazards.earthquake.source import Rupture, angles_of, derived, from_ring, mechanism_of

Array = npt.NDArray[np.float64]
EDGE_POINTS = 21
"""Points to which the edges of a complex fault are drawn."""
PROFILE_POINTS = 6
"""Points to which a profile of a kite surface is drawn."""


def read_rupture(path: Path) -> Rupture:
    """The rupture of a file, told by what is in it. Raises InputError that names the file and what is wrong."""
    try:
        text = content(path).lstrip()
        if text[:1] == b"<":
            root = xml(path)
            return _event(root, path) if root.tag == "earthquake" else _nrml(root, path)
        if text[:1] == b"{":
            return _json(parsed_json(path), path)
        if b"mesh" in text and b"mag" in text:
            return _csv(text.decode("utf-8", "replace"), path)
    except InputError as error:
        raise error if error.where else InputError(error.message, str(path), error.hint) from None
    except TwinError:
        raise
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"is no rupture that can be read: {error!r}", str(path)) from None
    raise InputError(
        "is no rupture", str(path), "allowed: NRML rupture, OpenQuake CSV, ShakeMap rupture.json or event.xml, JSON of values"
    )


def read_fault(path: Path, rupture: Rupture) -> Rupture:
    """`rupture` with the planes of a ShakeMap fault.txt: closed rings of lon, lat, depth, apart by lines of ">"."""
    rings: list[list[list[float]]] = [[]]
    for line in content(path).decode("utf-8", "replace").splitlines():
        entries = line.split("#")[0].split()
        if entries[:1] == [">"]:
            rings.append([])
        elif entries:
            if len(entries) < 3:
                raise InputError(f'a line has "{line.strip()}", not longitude, latitude, depth', str(path))
            rings[-1].append([number(v, "a corner of the fault", path) for v in entries[:3]])
    quads = np.concatenate([from_ring(r) for r in rings if r] or [np.empty((0, 4, 3))])
    if not len(quads):
        raise InputError("has no ring of a fault", str(path))
    return _with(quads, rupture.magnitude, rupture.hypocentre, rupture.rake, rupture.name)


def _with(quads: Array, magnitude: float, hypocentre: tuple[float, float, float], rake: float, name: str = "") -> Rupture:
    strike, dip = angles_of(quads)
    return Rupture(magnitude, hypocentre, quads, rake, dip, strike, False, name)


def _csv(text: str, path: Path) -> Rupture:
    """The first rupture of OpenQuake's CSV: `mesh` holds the longitudes, latitudes and depths of one surface or of several."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    row = next(csv.DictReader(lines), None)
    if row is None:
        raise InputError("has no rupture", str(path))
    magnitude, rake, lon, lat, depth = (number(row.get(k), k, path) for k in ("mag", "rake", "lon", "lat", "dep"))
    try:
        found = json.loads(row.get("mesh") or "[]")
        several = [found] if np.ndim(found[0][0][0]) == 0 else found
        quads = [_of_mesh(np.array(mesh, dtype=float)) for mesh in several]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise InputError(f"the mesh of the rupture cannot be read: {error}", str(path)) from None
    return _with(np.concatenate(quads), magnitude, (lon, lat, depth), rake)


def _of_mesh(mesh: Array) -> Array:
    """The quadrilaterals of one surface: longitudes, latitudes and depths of rows downward, or four corners of a plane."""
    if mesh.ndim != 3 or len(mesh) != 3:
        raise ValueError("it is not longitudes, latitudes and depths of rows")
    points = np.moveaxis(mesh, 0, 2)
    if points.shape[:2] == (1, 4):  # a plane: upper left, upper right, lower left, lower right
        points = points[0][[[0, 1], [2, 3]]]
    if len(points) == 1 or points.shape[1] == 1:
        return np.repeat(points.reshape(-1, 1, 3), 4, axis=1)
    return np.concatenate([_between(a, b) for a, b in itertools.pairwise(points)])


def _event(event: etree._Element, path: Path) -> Rupture:
    """ShakeMap's event.xml: a point; its plane is derived."""
    lon, lat, depth, magnitude = (number(event.get(k), k, path) for k in ("lon", "lat", "depth", "mag"))
    rake = event.get("rake")
    known = number(rake, "rake", path) if rake else None
    mechanism = {"SS": "strike-slip", "NM": "normal", "RS": "reverse"}.get(event.get("mech", "").upper(), "unknown")
    return derived(magnitude, (lon, lat, depth), mechanism if known is None else mechanism_of(known), known)


def _json(found: dict[str, Any], path: Path) -> Rupture:
    facts = found.get("metadata", found)
    lower = {str(k).lower(): v for k, v in facts.items()}

    def fact(*names: str, default: float | None = None) -> float:
        for name in names:
            if lower.get(name) is not None:
                return number(lower[name], name, path)
        if default is None:
            raise InputError(f"has no {names[0]}", str(path))
        return default

    magnitude = fact("mag", "magnitude")
    hypocentre = (fact("lon", "longitude"), fact("lat", "latitude"), fact("depth", "dep"))
    rake = fact("rake", default=float("nan"))
    if str(lower.get("mech", "")).upper() == "ALL" and rake == 0:  # what ShakeMap writes where it knows no mechanism
        rake = float("nan")
    quads = _polygons(found)
    if len(quads):
        return _with(quads, magnitude, hypocentre, rake, str(lower.get("locstring", "")))
    strike, dip = fact("strike", default=float("nan")), fact("dip", default=float("nan"))
    known_rake, known_strike, known_dip = (None if np.isnan(v) else v for v in (rake, strike, dip))
    return derived(magnitude, hypocentre, mechanism_of(rake), known_rake, known_strike, known_dip)


def _polygons(found: dict[str, Any]) -> Array:
    quads = [np.empty((0, 4, 3))]
    for feature in found.get("features", []):
        shape = feature["geometry"]
        polygons = {"MultiPolygon": shape["coordinates"], "Polygon": [shape["coordinates"]]}.get(shape["type"], [])
        quads += [from_ring(polygon[0]) for polygon in polygons]
    return np.concatenate(quads)


def _nrml(root: etree._Element, path: Path) -> Rupture:
    kinds = ("simpleFaultRupture", "complexFaultRupture", "singlePlaneRupture", "multiPlanesRupture", "griddedRupture",
             "kiteRupture")  # fmt: skip
    rupture = root if root.tag in kinds else next((e for e in root.iter() if e.tag in kinds), None)
    if rupture is None:
        raise InputError("has no rupture", str(path), "allowed: " + ", ".join(kinds))
    magnitude = number(rupture.findtext("magnitude"), "magnitude", path)
    rake = number(rupture.findtext("rake"), "rake", path)
    parts = [
        _simple(rupture, path),
        _complex(rupture, path),
        _planes(rupture, path),
        _points(rupture, path),
        _kites(rupture, path),
    ]
    quads = np.concatenate(parts)
    if not len(quads):
        named = rupture.find("sectionIndexes") is not None
        hint = "its sections stand in another file: write their surfaces into the rupture" if named else ""
        raise InputError(f"the {rupture.tag} has no surface", str(path), hint)
    place = rupture.find("hypocenter")
    if place is None:  # ruptures of fault models have none: the middle of the surface stands for it
        middle = quads.reshape(-1, 3).mean(axis=0)
        return _with(quads, magnitude, (float(middle[0]), float(middle[1]), float(middle[2])), rake)
    lon, lat, depth = (number(place.get(k), f"{k} of the hypocenter", path) for k in ("lon", "lat", "depth"))
    return _with(quads, magnitude, (lon, lat, depth), rake)


def _numbers(element: etree._Element | None, per: int, path: Path) -> Array:
    text = (element.findtext(".//posList") or "") if element is not None else ""
    values = [number(v, "a coordinate", path) for v in text.replace(",", " ").split()]
    if not values or len(values) % per:
        raise InputError(f"a posList has {len(values)} numbers", str(path), f"allowed: {per} for each point")
    return np.array(values).reshape(-1, per)


def _simple(rupture: etree._Element, path: Path) -> Array:
    """A trace at the surface and a dip: quadrilaterals between the upper and the lower depth, across the mean strike."""
    found = [np.empty((0, 4, 3))]
    geod = pyproj.Geod(ellps="WGS84")
    for geometry in rupture.iter("simpleFaultGeometry"):
        trace = _numbers(geometry, 2, path)
        dip, upper, lower = (number(geometry.findtext(k), k, path) for k in ("dip", "upperSeismoDepth", "lowerSeismoDepth"))
        if len(trace) < 2 or not 0 < dip <= 90 or not 0 <= upper < lower:
            raise InputError("a simple fault needs two points, a dip of 0 to 90 and a lower depth below the upper", str(path))
        strike = geod.inv(*trace[0], *trace[-1])[0]
        edges = []
        for depth in (upper, lower):
            out = depth / np.tan(np.radians(dip)) * 1000
            lon, lat, _ = geod.fwd(trace[:, 0], trace[:, 1], np.full(len(trace), strike + 90), np.full(len(trace), out))
            edges.append(np.column_stack([lon, lat, np.full(len(trace), depth)]))
        found.append(_between(*edges))
    return np.concatenate(found)


def _between(upper: Array, lower: Array) -> Array:
    """Quadrilaterals between two edges of as many points."""
    corners = [[upper[i], upper[i + 1], lower[i + 1], lower[i]] for i in range(len(upper) - 1)]
    return np.array(corners)


def _complex(rupture: etree._Element, path: Path) -> Array:
    """Edges from top to bottom, each drawn to as many points evenly along its length."""
    found = [np.empty((0, 4, 3))]
    for geometry in rupture.iter("complexFaultGeometry"):
        edges = []
        for tag in ("faultTopEdge", "intermediateEdge", "faultBottomEdge"):
            edges += [_evenly(_numbers(edge, 3, path), EDGE_POINTS) for edge in geometry.findall(tag)]
        found += [_between(a, b) for a, b in itertools.pairwise(edges)]
    return np.concatenate(found)


def _evenly(points: Array, count: int) -> Array:
    """A line of `points` (lon, lat, depth in km) drawn to `count` points evenly along it."""
    east = np.diff(points[:, 0]) * np.cos(np.radians(points[:-1, 1]))
    steps = np.sqrt((east * 111.2) ** 2 + (np.diff(points[:, 1]) * 111.2) ** 2 + np.diff(points[:, 2]) ** 2)
    long = np.concatenate([[0.0], np.cumsum(steps)])
    even = np.linspace(0, long[-1], count)
    return np.column_stack([np.interp(even, long, column) for column in points.T])


def _kites(rupture: etree._Element, path: Path) -> Array:
    """Kite surfaces: profiles along strike, each from top to bottom."""
    found = [np.empty((0, 4, 3))]
    for surface in rupture.iter("kiteSurface"):
        profiles = [_evenly(_numbers(p, 3, path), PROFILE_POINTS) for p in surface.findall("profile")]
        for left, right in itertools.pairwise(profiles):
            found += [_between(*(np.array([left[k], right[k]]) for k in (row, row + 1))) for row in range(PROFILE_POINTS - 1)]
    return np.concatenate(found)


def _planes(rupture: etree._Element, path: Path) -> Array:
    """Planes by their four corners."""
    quads = []
    for plane in rupture.iter("planarSurface"):
        corners = []
        for tag in ("topLeft", "topRight", "bottomRight", "bottomLeft"):
            corner = plane.find(tag)
            if corner is None:
                raise InputError(f"a planarSurface has no {tag}", str(path))
            corners.append([number(corner.get(k), f"{k} of {tag}", path) for k in ("lon", "lat", "depth")])
        quads.append(corners)
    return np.array(quads).reshape(-1, 4, 3)


def _points(rupture: etree._Element, path: Path) -> Array:
    """A cloud of points: each a quadrilateral without size."""
    quads = [np.empty((0, 4, 3))]
    for surface in rupture.iter("griddedSurface"):
        quads.append(np.repeat(_numbers(surface, 3, path)[:, None, :], 4, axis=1))
    return np.concatenate(quads)
