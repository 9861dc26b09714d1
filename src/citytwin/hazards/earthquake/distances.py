"""Distances from a rupture to many places, as ground-motion models ask for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import prange

from citytwin.hazards.earthquake.source import Rupture, ToMetres, turned
from citytwin.sim.jit import kernel, parallel

Array = npt.NDArray[np.float64]
DIRECTIONS = tuple(float(d) for d in range(0, 180, 30))
"""Strikes (degrees) over which distances are averaged where a rupture's direction is unknown."""


@dataclass(frozen=True)
class Distances:
    """Distances to n places, km, float64[n].

    rrup: to the rupture; rjb: to its surface projection (Joyner-Boore); rx: from the upper edge's line, positive on the side
    that it dips to; ry0: beyond its ends; repi, rhypo: from epicentre and hypocentre.
    """

    rrup: Array
    rjb: Array
    rx: Array
    ry0: Array
    repi: Array
    rhypo: Array


def from_rupture(rupture: Rupture, x: npt.ArrayLike, y: npt.ArrayLike, to_metres: ToMetres) -> Distances:
    """Distances to places x, y (m) in the coordinates that `to_metres` gives, the places at the surface.

    A derived rupture of unknown direction counts as the mean over directions, all places off its hanging wall.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if rupture.derived and np.isnan(rupture.strike):
        each = [from_rupture(turned(rupture, strike), x, y, to_metres) for strike in DIRECTIONS]
        rrup, rjb = (np.mean([getattr(d, name) for d in each], axis=0) for name in ("rrup", "rjb"))
        return Distances(rrup, rjb, -rjb, np.zeros_like(rjb), each[0].repi, each[0].rhypo)
    quads, hypocentre = rupture.local(to_metres)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    flat = triangles * np.array([1.0, 1.0, 0.0])
    across, along, length = _along_strike(quads, x, y)
    repi = np.hypot(x - hypocentre[0], y - hypocentre[1])
    return Distances(
        rrup=_to_triangles(x, y, triangles) / 1000,
        rjb=_to_triangles(x, y, flat) / 1000,
        rx=across / 1000,
        ry0=np.maximum(np.maximum(-along, along - length), 0) / 1000,
        repi=repi / 1000,
        rhypo=np.hypot(repi, hypocentre[2]) / 1000,
    )


def _along_strike(quads: Array, x: Array, y: Array) -> tuple[Array, Array, float]:
    """Generalised coordinates across and along the upper edges (m), and the edges' length along strike.

    GC2 of Spudich and Chiou 2015 (USGS Open-File Report 2015-1028): coordinates of the segments weighted by how near they
    are, so that a bent or broken trace has one pair of coordinates; plain strike coordinates for one segment.
    """
    begin, end = quads[:, 0, :2], quads[:, 1, :2]
    step = end - begin
    lengths = np.hypot(step[:, 0], step[:, 1])
    keep = lengths > 1.0
    if not keep.any():  # a cloud of points: no strike
        return np.full(len(x), -1e3), np.zeros(len(x)), 0.0
    begin, step, lengths = begin[keep], step[keep] / lengths[keep, None], lengths[keep]
    mean = (step * lengths[:, None]).sum(axis=0)
    mean = mean / max(float(np.hypot(*mean)), 1e-9)
    offset = (begin - begin[0]) @ mean
    across, along = _coordinates(x, y, begin, step, lengths, offset)
    return across, along, float((offset + lengths * (step @ mean)).max())


@parallel
def _coordinates(x: Array, y: Array, begin: Array, step: Array, lengths: Array, offset: Array) -> tuple[Array, Array]:
    n, segments = len(x), len(lengths)
    across, along = np.empty(n), np.empty(n)
    for i in prange(n):
        weight, t_sum, u_sum, on = 0.0, 0.0, 0.0, -1
        for s in range(segments):
            dx, dy = x[i] - begin[s, 0], y[i] - begin[s, 1]
            u = dx * step[s, 0] + dy * step[s, 1]
            t = dx * step[s, 1] - dy * step[s, 0]
            if abs(t) < 1e-3:
                if -1e-3 <= u <= lengths[s] + 1e-3:
                    on = s
                    break
                w = abs(1.0 / (u - lengths[s]) - 1.0 / u)
            else:
                w = (np.arctan((lengths[s] - u) / t) - np.arctan(-u / t)) / t
            weight += w
            t_sum += w * t
            u_sum += w * (u + offset[s])
        if on >= 0:
            across[i] = 0.0
            along[i] = (x[i] - begin[on, 0]) * step[on, 0] + (y[i] - begin[on, 1]) * step[on, 1] + offset[on]
        else:
            across[i], along[i] = t_sum / weight, u_sum / weight
    return across, along


@parallel
def _to_triangles(x: Array, y: Array, triangles: Array) -> Array:
    """Distance (m) from each place at the surface to the nearest of triangles float64[k, 3, 3]."""
    n = len(x)
    found = np.empty(n)
    for i in prange(n):
        least = np.inf
        for k in range(triangles.shape[0]):
            least = min(least, _to_triangle(x[i], y[i], triangles[k]))
        found[i] = np.sqrt(least)
    return found


@kernel
def _to_triangle(x: float, y: float, triangle: Array) -> float:
    """Squared distance from (x, y, 0): to the plane where its foot lies within, else to the nearest edge."""
    a, b, c = triangle[0], triangle[1], triangle[2]
    least = min(_to_edge(x, y, a, b), _to_edge(x, y, b, c), _to_edge(x, y, c, a))
    e0, e1, e2 = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    f0, f1, f2 = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    n0, n1, n2 = e1 * f2 - e2 * f1, e2 * f0 - e0 * f2, e0 * f1 - e1 * f0
    size = n0 * n0 + n1 * n1 + n2 * n2
    if size < 1e-6:
        return float(least)
    p0, p1, p2 = x - a[0], y - a[1], -a[2]
    v = (n0 * (p1 * f2 - p2 * f1) + n1 * (p2 * f0 - p0 * f2) + n2 * (p0 * f1 - p1 * f0)) / size
    w = (n0 * (e1 * p2 - e2 * p1) + n1 * (e2 * p0 - e0 * p2) + n2 * (e0 * p1 - e1 * p0)) / size
    if v >= 0 and w >= 0 and v + w <= 1:
        off = p0 * n0 + p1 * n1 + p2 * n2
        least = min(least, off * off / size)
    return float(least)


@kernel
def _to_edge(x: float, y: float, a: Array, b: Array) -> float:
    d0, d1, d2 = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    p0, p1, p2 = x - a[0], y - a[1], -a[2]
    long = d0 * d0 + d1 * d1 + d2 * d2
    share = 0.0
    if long > 0:
        share = min(max((p0 * d0 + p1 * d1 + p2 * d2) / long, 0.0), 1.0)
    q0, q1, q2 = p0 - share * d0, p1 - share * d1, p2 - share * d2
    return float(q0 * q0 + q1 * q1 + q2 * q2)
