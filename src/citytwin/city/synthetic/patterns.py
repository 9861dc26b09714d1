"""Patterns of local streets within one neighbourhood: organic, grid, curved, open."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from citytwin.city.synthetic.districts import District
from citytwin.city.synthetic.plan import Floats

Lines = npt.NDArray[np.object_]
EMPTY: Lines = np.empty(0, dtype=object)
ALONGSIDE = 0.34  # of a block: a local street nearer to a main road than this, and beside it, is left out


def local_streets(
    face: Polygon, district: District, joins: BaseGeometry, bars: BaseGeometry, rng: np.random.Generator
) -> Lines:
    """Street lines inside `face`, noded among each other; they end on the roads `joins` and keep away from `bars`."""
    lines = _organic(face, district, rng) if district.pattern == "organic" else _woven(face, district, rng)
    open_ground = shapely.difference(face, shapely.buffer(bars, MOTORWAY_STRIP)) if not bars.is_empty else face
    inside = shapely.get_parts(shapely.intersection(lines, open_ground))
    inside = inside[shapely.get_type_id(inside) == 1]
    if not len(inside):
        return EMPTY
    edges = shapely.get_parts(shapely.union_all(inside, grid_size=0.05))
    near = shapely.distance(shapely.line_interpolate_point(edges, 0.5, normalized=True), face.exterior)
    length = shapely.length(edges)
    limit = ALONGSIDE * min(district.block)
    edges = edges[(near > limit) | ((length < 1.9 * limit) & (near > 0.2 * length))]
    keep = rng.uniform(0, 1, len(edges)) > _LEFT_OUT[district.pattern]
    return _prune(edges[keep], joins, 0.45 * min(district.block), 1.3 * max(district.block), open_ground)


MOTORWAY_STRIP = 32.0  # m on either side of a motorway that no local street enters
_LEFT_OUT = {"organic": 0.05, "grid": 0.05, "curved": 0.11, "open": 0.04, "none": 0.12}


def _frame(face: Polygon) -> tuple[Floats, Floats, float, float]:
    """Centre, direction of the longer side, and size of the smallest rectangle around `face`."""
    corners = np.asarray(shapely.get_coordinates(shapely.minimum_rotated_rectangle(face)))[:4]
    if len(corners) < 4:
        corners = np.asarray(shapely.get_coordinates(shapely.box(*face.bounds)))[:4]
    sides = np.diff(corners[[0, 1, 2]], axis=0)
    lengths = np.hypot(*sides.T)
    longer = int(np.argmax(lengths))
    return corners.mean(axis=0), sides[longer] / max(lengths[longer], 1e-9), float(lengths[longer]), float(lengths[1 - longer])


def _woven(face: Polygon, district: District, rng: np.random.Generator) -> Lines:
    """Two families of lines, straight for a grid, swinging for a garden suburb."""
    centre, heading, long, short = _frame(face)
    normal = np.array([-heading[1], heading[0]])
    swing = {"grid": 0.035, "curved": 0.30, "open": 0.10, "none": 0.30}[district.pattern]
    lines = []
    for axis, across, reach, width, spacing in (
        (heading, normal, long, short, district.block[0]), (normal, heading, short, long, district.block[1]),
    ):  # fmt: skip
        count = max(1, round(width / spacing))
        offsets = (np.arange(count) + 0.5 + rng.uniform(-0.14, 0.14, count)) * width / count - width / 2
        steps = np.linspace(-0.6 * reach, 0.6 * reach, max(3, int(1.2 * reach / 24)))
        waved = np.sin(steps[None] / rng.uniform(1.1, 1.9) / max(district.block) * 2.2 + rng.uniform(0, 6.3))
        waved = waved + 0.5 * np.sin(steps[None] / max(district.block) * 3.7 + rng.uniform(0, 6.3, (count, 1)))
        side = offsets[:, None] + swing * spacing * waved
        points = centre + steps[None, :, None] * axis + side[..., None] * across
        lines.append(np.asarray(shapely.linestrings(points)))
    return np.concatenate(lines)


def _organic(face: Polygon, district: District, rng: np.random.Generator) -> Lines:
    """Lanes between irregular plots: the edges of a Voronoi diagram of unevenly set points."""
    west, south, east, north = face.bounds
    size = district.block[0]
    x, y = np.meshgrid(np.arange(west - size, east + 2 * size, size), np.arange(south - size, north + 2 * size, size))
    points = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-0.40, 0.40, (x.size, 2)) * size
    points[:, 0] += np.where((np.arange(x.size) // x.shape[1]) % 2, size / 2, 0)
    edges = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), only_edges=True))
    return np.asarray(edges)


def _prune(edges: Lines, joins: BaseGeometry, stub: float, rural: float, ground: BaseGeometry) -> Lines:
    """Without loose ends: those inside that are shorter than `stub`, those at the city's rim shorter than `rural`."""
    for _ in range(4):
        if not len(edges):
            return edges
        ends = np.round(np.concatenate([_end(edges, 0), _end(edges, -1)]), 1)
        _, inverse, count = np.unique(ends, axis=0, return_inverse=True, return_counts=True)
        point = shapely.points(ends)
        joined = shapely.distance(point, joins) < 0.2
        rim = shapely.distance(point, shapely.boundary(ground)) < 0.2
        loose = ((count[inverse.ravel()] == 1) & ~joined).reshape(2, -1)
        limit = np.where((loose & rim.reshape(2, -1)).any(axis=0), rural, stub)
        drop = (loose.any(axis=0) & (shapely.length(edges) < limit)) | loose.all(axis=0)
        if not drop.any():
            return edges
        edges = edges[~drop]
    return edges


def _end(edges: Lines, which: int) -> Floats:
    return np.asarray(shapely.get_coordinates(shapely.get_point(edges, which)))
