"""Main roads: radials from the old town and rings around it, bent by the land, with bridges where they meet the river.

The faces between them are the city's neighbourhoods, each with a district kind that says how it is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from citytwin.city.synthetic.bridges import choose_bridges
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
    strip = float(np.clip(plan.radius / 130, 10, 30))
    shore = shapely.simplify(shapely.buffer(shapely.buffer(wet, 3 * strip, quad_segs=4), -2 * strip, quad_segs=4), 2.0)
    envelope = _envelope(plan, terrain)
    urban = shapely.difference(envelope, shore)
    box = shapely.box(*plan.bounds)
    pieces: list[tuple[LineString, str, bool]] = []
    spans: list[tuple[LineString, str]] = []
    for line, kind in _lattice(plan):
        dry = shapely.intersection(shapely.difference(line, shore), box if kind in ("motorway", "primary") else urban)
        pieces += [(part, kind, False) for part in _parts(dry) if part.length > 2 * strip]
        spans += [(part, kind) for part in _parts(shapely.intersection(line, shore))]
    pieces += [(span, kind, True) for span, kind in choose_bridges(spans, terrain, shore, envelope, strip)]
    quays = _parts(shapely.intersection(shapely.boundary(shore), envelope))
    pieces += [(part, "tertiary", False) for part in quays if part.length > 4 * strip]
    roads, classes, bridges = (list(column) for column in zip(*pieces, strict=True))
    faces = _faces(roads, bridges, urban)
    kinds = settle_kinds(plan, terrain, faces)
    return Frame(roads, classes, bridges, faces, kinds, name_faces(plan, faces, kinds), urban, shore, wet)


def _parts(shape: BaseGeometry) -> list[LineString]:
    merged = shapely.line_merge(shapely.multilinestrings([p for p in shapely.get_parts(shape) if p.geom_type == "LineString"]))
    return [p for p in shapely.get_parts(merged) if p.geom_type == "LineString"]


def _envelope(plan: Plan, terrain: Terrain) -> Polygon:
    """The outline within which the city may be built: a circle that has grown unevenly, less far where hills are high."""
    rng = plan.stream("envelope")
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    bulge = sum(rng.uniform(0.02, 0.06) * np.sin(k * angle + rng.uniform(0, 6.28)) for k in (2, 3, 4, 5, 7))
    outward = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ray = outward[:, None] * (plan.radius * np.linspace(0.6, 1.15, 8))[None, :, None]
    height = np.mean(terrain.elevation(ray[..., 0], ray[..., 1]), axis=1)
    height = np.convolve(np.tile(np.maximum(height, 0.0), 3), np.ones(21) / 21, mode="same")[240:480]
    reach = plan.radius * (1.2 + bulge - 0.38 * np.clip(height / (0.026 * plan.radius + 12.0), 0, 1))
    return Polygon(reach[:, None] * outward)


def _spacing(plan: Plan) -> float:
    return float(np.clip(plan.radius / 5.5, 150.0, 800.0))


def _lattice(plan: Plan) -> list[tuple[LineString, str]]:
    """Radials and rings before water is considered, each with its class."""
    rng, spacing = plan.stream("lattice"), _spacing(plan)
    out = 1.35 * plan.radius
    radii = [0.62 * spacing]
    while radii[-1] < out:
        radii.append(radii[-1] + spacing * rng.uniform(0.85, 1.2) * (1 + 0.06 * len(radii)))
    count = 5 if plan.radius < 700 else 7
    angles = (np.arange(count) + rng.uniform(-0.22, 0.22, count)) * 2 * np.pi / count + rng.uniform(0, 2 * np.pi)
    far = 2.2 * max(abs(b) for b in plan.bounds)
    through = (0, count // 2)  # two of them meet in the middle of the old town, the others end at its edge
    lines = [(np.array([[1.0 if k in through else radii[0], a], [far, a]]), "primary") for k, a in enumerate(angles)]
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
    return [(LineString(bend(_densify(ends))), kind) for ends, kind in lines]


def _densify(ends: Floats) -> Floats:
    """Points x, y along a radial or ring given by (radius, angle) of its two ends."""
    (r0, a0), (r1, a1) = ends
    length = abs(r1 - r0) + max(r0, r1) * abs(a1 - a0)
    share = np.linspace(0, 1, max(8, int(length / STEP)))
    radius, angle = r0 + (r1 - r0) * share, a0 + (a1 - a0) * share
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _bend(plan: Plan) -> Callable[[Floats], Floats]:
    """What bends straight radials and round rings as the land and history would."""
    rng = plan.stream("bend")
    wide = [waves(rng, 0.7 * plan.radius, 2.4 * plan.radius, 4) for _ in range(2)]
    small = [waves(rng, 350, 900, 4) for _ in range(2)]

    def bend(points: Floats) -> Floats:
        x, y = points.T
        slight = min(16.0, 0.02 * plan.radius)
        shift = [0.05 * plan.radius * w(x, y) + slight * s(x, y) for w, s in zip(wide, small, strict=True)]
        return np.asarray(points + np.stack(shift, axis=1))

    return bend


def _faces(roads: list[LineString], bridges: list[bool], urban: BaseGeometry) -> list[Polygon]:
    """Neighbourhoods: what main roads, shores and the city's outline enclose."""
    land = [r for r, b in zip(roads, bridges, strict=True) if not b]
    noded = shapely.union_all([*land, shapely.boundary(urban)], grid_size=0.05)
    faces = [f for f in shapely.get_parts(shapely.polygonize(shapely.get_parts(noded))) if f.area > 2500]
    inside = [f for f in faces if shapely.contains(urban, f.representative_point())]
    return sorted(inside, key=lambda f: (round(float(np.hypot(*f.centroid.coords[0])), 1), round(f.area, 1)))


__all__ = ["KINDS", "Frame", "make_frame"]
