"""Main roads: radials from the old town and rings around it, bent by the land, with bridges where they meet the river.

The faces between them are the city's neighbourhoods, each with a district kind that says how it is built.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from citytwin.city.synthetic.districts import KINDS, name_faces, settle_kinds
from citytwin.city.synthetic.plan import Floats, Plan
from citytwin.city.synthetic.terrain import Terrain, waves

STEP = 28.0  # m between points of a main road before it is bent


@dataclass
class Frame:
    """Main roads and what lies between them.

    roads, classes, bridges: linework with OpenStreetMap classes. faces, kinds, names: neighbourhoods.
    urban: the land that may be built on. shore: water with the strip of land beside it.
    """

    roads: list[LineString]
    classes: list[str]
    bridges: list[bool]
    faces: list[Polygon]
    kinds: list[str]
    names: list[str]
    urban: BaseGeometry
    shore: BaseGeometry
    wet: BaseGeometry


def make_frame(plan: Plan, terrain: Terrain) -> Frame:
    """Draw the main roads and divide the city into neighbourhoods."""
    wet = terrain.wet
    strip = float(np.clip(plan.radius / 130, 14, 30))
    shore = shapely.simplify(shapely.buffer(shapely.buffer(wet, 3 * strip, quad_segs=4), -2 * strip, quad_segs=4), 2.0)
    urban = shapely.difference(_envelope(plan), shore)
    urban = max(shapely.get_parts(urban), key=lambda p: p.area) if False else urban
    lines, classes = _lattice(plan)
    roads: list[LineString] = []
    kept: list[str] = []
    bridges: list[bool] = []
    box = shapely.box(*plan.bounds)
    spans: list[tuple[LineString, str]] = []
    for line, kind in zip(lines, classes, strict=True):
        dry = shapely.intersection(shapely.difference(line, shore), box if kind in ("motorway", "primary") else urban)
        for part in _parts(dry):
            if part.length > 2 * strip:
                roads.append(part)
                kept.append(kind)
                bridges.append(False)
        spans += [(part, kind) for part in _parts(shapely.intersection(line, shore))]
    for span, kind in _bridges(spans, terrain, strip):
        roads.append(span)
        kept.append(kind)
        bridges.append(True)
    for part in _parts(shapely.intersection(shapely.boundary(shore), _envelope(plan))):
        if part.length > 4 * strip:
            roads.append(part)
            kept.append("tertiary")
            bridges.append(False)
    faces = _faces(plan, roads, bridges, urban, shore)
    kinds = settle_kinds(plan, terrain, faces)
    return Frame(roads, kept, bridges, faces, kinds, name_faces(plan, faces, kinds), urban, shore, wet)


def _parts(shape: BaseGeometry) -> list[LineString]:
    merged = shapely.line_merge(shapely.multilinestrings([p for p in shapely.get_parts(shape) if p.geom_type == "LineString"]))
    return [p for p in shapely.get_parts(merged) if p.geom_type == "LineString"]


def _envelope(plan: Plan) -> Polygon:
    """The outline within which the city may be built: a circle that has grown unevenly."""
    rng = plan.stream("envelope")
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    bulge = sum(rng.uniform(0.02, 0.06) * np.sin(k * angle + rng.uniform(0, 6.28)) for k in (2, 3, 4, 5, 7))
    reach = plan.radius * (1.1 + bulge)
    return Polygon(np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1))


def _spacing(plan: Plan) -> float:
    return float(np.clip(plan.radius / 5.5, 190.0, 800.0))


def _lattice(plan: Plan) -> tuple[list[LineString], list[str]]:
    """Radials and rings before water is considered, each with its class."""
    rng, spacing = plan.stream("lattice"), _spacing(plan)
    out = 1.13 * plan.radius
    radii = [0.62 * spacing]
    while radii[-1] < out:
        radii.append(radii[-1] + spacing * rng.uniform(0.85, 1.2) * (1 + 0.06 * len(radii)))
    count = 6 if plan.radius < 700 else 7
    angles = (np.arange(count) + rng.uniform(-0.22, 0.22, count)) * 2 * np.pi / count + rng.uniform(0, 2 * np.pi)
    far = 2.2 * max(abs(b) for b in plan.bounds)
    lines = [(np.array([[0.35 * radii[0], a], [far, a]]), "primary") for a in angles]
    motorway = int(np.argmin(np.abs(np.array(radii) - 0.80 * plan.radius))) if plan.radius > 1500 else -1
    for k, radius in enumerate(radii[:-1]):
        while 2 * np.pi * radius / len(angles) > 1.55 * spacing:
            nearer = np.sort(np.mod(angles, 2 * np.pi))
            between = nearer + np.diff(np.append(nearer, nearer[0] + 2 * np.pi)) * rng.uniform(0.42, 0.58, len(nearer))
            level = "secondary" if len(angles) <= 2 * count else "tertiary"
            lines += [(np.array([[radius, a], [out, a]]), level) for a in between]
            angles = np.concatenate([nearer, between])
        kind = "motorway" if k == motorway else ("secondary" if k % 2 == 0 else "tertiary")
        lines.append((np.array([[radius, 0.0], [radius, 2 * np.pi]]), kind))
    bend = _bend(plan)
    return [LineString(bend(_densify(ends))) for ends, _ in lines], [kind for _, kind in lines]


def _densify(ends: Floats) -> Floats:
    """Points x, y along a radial or ring given by (radius, angle) of its two ends."""
    (r0, a0), (r1, a1) = ends
    length = abs(r1 - r0) + max(r0, r1) * abs(a1 - a0)
    share = np.linspace(0, 1, max(8, int(length / STEP)))
    radius, angle = r0 + (r1 - r0) * share, a0 + (a1 - a0) * share
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


class _bend:  # noqa: N801  (reads as the verb it is)
    """Bends straight radials and round rings as the land and history would."""

    def __init__(self, plan: Plan) -> None:
        rng = plan.stream("bend")
        self.wide = [waves(rng, 0.7 * plan.radius, 2.4 * plan.radius, 4) for _ in range(2)]
        self.small = [waves(rng, 350, 900, 4) for _ in range(2)]
        self.radius = plan.radius

    def __call__(self, points: Floats) -> Floats:
        x, y = points.T
        shift = [0.05 * self.radius * w(x, y) + min(16.0, 0.02 * self.radius) * s(x, y)
                 for w, s in zip(self.wide, self.small, strict=True)]  # fmt: skip
        return np.asarray(points + np.stack(shift, axis=1))


def _bridges(spans: list[tuple[LineString, str]], terrain: Terrain, strip: float) -> list[tuple[LineString, str]]:
    """Those crossings of the shore that are worth a bridge: short, from bank to bank, and not next to another."""
    centreline = LineString(terrain.river)
    order = {"motorway": 0, "primary": 1, "secondary": 2, "tertiary": 3}
    chosen: list[tuple[LineString, str]] = []
    places: list[float] = []
    apart = float(np.clip(terrain.plan.radius / 9, 130, 420))
    for span, kind in sorted(spans, key=lambda s: (order[s[1]], s[0].length)):
        straight = LineString([span.coords[0], span.coords[-1]])
        crossing = shapely.intersection(straight, centreline)
        if crossing.is_empty or crossing.geom_type != "Point":
            continue
        at = centreline.project(crossing)
        row = int(np.argmin(np.hypot(terrain.river[:, 0] - crossing.x, terrain.river[:, 1] - crossing.y)))
        wide = terrain.width[row] + 2 * strip
        if terrain.upstream[row] < 0 or straight.length > 1.75 * wide + 20 or any(abs(at - p) < apart for p in places):
            continue
        chosen.append((straight, kind))
        places.append(at)
    return chosen


def _faces(plan: Plan, roads: list[LineString], bridges: list[bool], urban: BaseGeometry, shore: BaseGeometry) -> list[Polygon]:
    """Neighbourhoods: what main roads, shores and the city's outline enclose."""
    land = [r for r, b in zip(roads, bridges, strict=True) if not b]
    noded = shapely.union_all([*land, shapely.boundary(urban)], grid_size=0.05)
    faces = [f for f in shapely.get_parts(shapely.polygonize(shapely.get_parts(noded))) if f.area > 2500]
    inside = [f for f in faces if shapely.contains(urban, f.representative_point())]
    return sorted(inside, key=lambda f: (round(float(np.hypot(*f.centroid.coords[0])), 1), round(f.area, 1)))


__all__ = ["KINDS", "Frame", "make_frame"]
