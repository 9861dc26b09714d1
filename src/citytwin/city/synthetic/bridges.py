"""Bridges: where main roads meet the river, and where the banks would be too far from each other without one."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import LineString, Point
from shapely.geometry.base import BaseGeometry

from citytwin.city.synthetic.terrain import Terrain

Span = tuple[LineString, str]
ORDER = {"motorway": 0, "primary": 1, "secondary": 2, "tertiary": 3}


def choose_bridges(
    spans: list[Span], terrain: Terrain, shore: BaseGeometry, envelope: BaseGeometry, strip: float
) -> list[Span]:
    """Bridges from bank to bank: the short ones among `spans`, roads over the shore, and new ones where gaps are wide."""
    centreline = LineString(terrain.river)
    rim = shapely.boundary(shore)
    chosen: list[Span] = []
    places: list[float] = []
    apart = float(np.clip(terrain.plan.radius / 9, 110, 420))
    for span, kind in sorted(spans, key=lambda s: (ORDER[s[1]], s[0].length)):
        straight = LineString([span.coords[0], span.coords[-1]])
        at = _crossing(straight, centreline, rim, terrain, strip)
        if at is not None and all(abs(at - p) > apart for p in places):
            chosen.append((straight, kind))
            places.append(at)
    return chosen + _more(places, centreline, rim, envelope, terrain, strip)


def _crossing(straight: LineString, centreline: LineString, rim: BaseGeometry, terrain: Terrain, strip: float) -> float | None:
    """Where along the river a straight line crosses it once, from rim to rim and not too slanting; None if it does not."""
    ends = shapely.distance(shapely.points(np.asarray(straight.coords)), rim)
    crossing = shapely.intersection(straight, centreline)
    if not isinstance(crossing, Point) or crossing.is_empty or ends.max() > 0.5:
        return None
    row = int(np.argmin(np.hypot(terrain.river[:, 0] - crossing.x, terrain.river[:, 1] - crossing.y)))
    wide = terrain.width[row] + 2 * strip
    if terrain.upstream[row] < 0 or straight.length > 1.4 * wide + 15:
        return None
    return float(centreline.project(crossing))


def _more(
    places: list[float], centreline: LineString, rim: BaseGeometry, envelope: BaseGeometry, terrain: Terrain, strip: float
) -> list[Span]:
    """Straight bridges across the river within the city where the next one is more than a walk away."""
    walk = float(np.clip(0.2 * terrain.plan.radius, 180.0, 900.0))
    found: list[Span] = []
    near = np.flatnonzero((terrain.upstream > 0.08 * terrain.plan.radius) & (terrain.upstream < 2.2 * terrain.plan.radius))
    for row in near[::-1]:
        at = float(centreline.project(Point(terrain.river[row])))
        if any(abs(at - p) < walk for p in places) or not envelope.contains(Point(terrain.river[row])):
            continue
        heading = terrain.river[row + 1] - terrain.river[row - 1]
        across = np.array([-heading[1], heading[0]]) / np.hypot(*heading) * (terrain.width[row] / 2 + 2.5 * strip)
        line = LineString([terrain.river[row] - across, terrain.river[row] + across])
        hits = shapely.get_coordinates(shapely.intersection(line, rim))
        if len(hits) != 2:
            continue
        straight = LineString(hits)
        if _crossing(straight, centreline, rim, terrain, strip) is not None:
            found.append((straight, "secondary"))
            places.append(at)
    return found
