"""Land and water of a made city: a coast, a river that meanders down to it, a floodplain with a low part, and hills.

All heights are metres above mean sea level. Lengths scale with the plan's radius, so that a village and a metropolis both
lie by a river of fitting size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.spatial import cKDTree
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from citytwin.city.synthetic.plan import Floats, Plan

BANK_SLOPE = 0.0009  # fall of the valley floor along the river, m/m: a lowland river
BANK_AT_SEA = 1.8  # height of the river's banks at the mouth, m above mean sea level


@dataclass(frozen=True)
class Waves:
    """A smooth random field: the sum of plane waves, about between -1 and 1."""

    kx: Floats
    ky: Floats
    phase: Floats
    weight: Floats

    def __call__(self, x: Floats, y: Floats) -> Floats:
        """The field at points x, y."""
        total = np.zeros(np.broadcast(x, y).shape)
        for kx, ky, phase, weight in zip(self.kx, self.ky, self.phase, self.weight, strict=True):
            total += weight * np.sin(kx * x + ky * y + phase)
        return total


def waves(rng: np.random.Generator, shortest: float, longest: float, count: int = 9) -> Waves:
    """Random plane waves with wavelengths between `shortest` and `longest` metres; long waves weigh more."""
    length = np.exp(np.linspace(np.log(longest), np.log(shortest), count))
    angle = rng.uniform(0, 2 * np.pi, count)
    weight = length / np.sqrt((length**2).sum())
    return Waves(
        2 * np.pi / length * np.cos(angle), 2 * np.pi / length * np.sin(angle), rng.uniform(0, 2 * np.pi, count), weight
    )


def smooth(value: Floats) -> Floats:
    """Zero below 0, one above 1, and a smooth step between."""
    v = np.clip(value, 0.0, 1.0)
    return np.asarray(v * v * (3 - 2 * v))


@dataclass
class Terrain:
    """The shape of the land.

    river: centreline (k, 2) from inland to the sea; upstream: metres of river between each point and the mouth, negative
    beyond it; width: its width (m). sea, stream_bed: water surfaces; low: centre of the low part of the floodplain.
    """

    plan: Plan
    coast_waves: Floats
    hills: Waves
    river: Floats
    upstream: Floats
    width: Floats
    valley: float
    low: Floats
    low_size: tuple[float, float]
    depth: float
    sea: Polygon
    channel: BaseGeometry
    basins: BaseGeometry
    tree: cKDTree

    @property
    def wet(self) -> BaseGeometry:
        """All water: sea, river and harbour basins."""
        return shapely.union_all([self.sea, self.channel, self.basins])

    def bed(self, upstream: Floats) -> Floats:
        """Height of the river bed, falling without end towards the sea."""
        return self.bank(upstream) - self.depth

    def bank(self, upstream: Floats) -> Floats:
        """Height of the banks beside the river."""
        return np.asarray(BANK_AT_SEA + BANK_SLOPE * upstream)

    def coast(self, t: Floats) -> Floats:
        """How far inland (m, from the centre; negative is towards the sea) the coast lies at `t` metres along it."""
        return coast_line(self.plan, self.coast_waves, t)

    def elevation(self, x: Floats, y: Floats) -> Floats:
        """Height of the ground at points x, y, river bed and sea floor included."""
        n, t = self.plan.axes(x, y)
        from_coast = n - self.coast(t)
        distance, at = self.tree.query(np.stack([x, y], axis=-1), workers=1)
        upstream, half = self.upstream[at], self.width[at] / 2
        dry = np.maximum(distance - half, 0.0)
        land = self._land(x, y, from_coast, dry, self._valley_floor(n))
        sea = -np.minimum(0.6 + 0.012 * np.maximum(-from_coast, 0.0), 25.0)
        ground = np.where(from_coast > 0, land, sea)
        bed = self.bed(upstream)
        side = np.clip((distance - 0.7 * half) / (0.3 * half), 0.0, 1.0)  # the bed is flat, its sides slope up to the banks
        channel = bed + side * (np.maximum(ground, bed) - bed)
        return np.where(distance < half, np.minimum(channel, ground), ground)

    def _valley_floor(self, n: Floats) -> Floats:
        """Metres of river from the mouth to where it passes `n` metres inland; smooth over the whole land, as n is."""
        inland = self.plan.axes(*self.river.T)[0]
        return np.asarray(np.interp(n, inland[::-1], self.upstream[::-1]))

    def _land(self, x: Floats, y: Floats, from_coast: Floats, dry: Floats, upstream: Floats) -> Floats:
        radius, valley = self.plan.radius, self.valley
        floor = self.bank(np.maximum(upstream, 0.0)) + 0.2 + 1.6 * np.minimum(dry / valley, 1.0) ** 2
        rise = np.maximum(dry - valley, 0.0)
        height = np.clip(0.035 * radius, 18.0, 260.0)
        relief = 0.5 + 0.5 * np.clip(self.hills(x, y), -1, 1)
        hills = height * smooth(rise / (0.75 * radius)) * smooth(from_coast / (0.55 * radius)) * (0.12 + 0.88 * relief**1.6)
        land = floor + 0.012 * np.minimum(rise, 0.4 * radius) + hills
        beach = 0.7 + 0.03 * from_coast
        land = beach + (land - beach) * smooth(from_coast / 90.0)
        along = np.hypot((x - self.low[0]) / self.low_size[0], (y - self.low[1]) / self.low_size[1])
        levee = 0.7 * np.exp(-((dry / 22.0) ** 2))
        near = np.exp(-(along**2))
        return np.asarray(land - 2.3 * near * smooth(dry / 60.0) + levee * np.exp(-((along / 1.6) ** 2)))


def coast_line(plan: Plan, coefficients: Floats, t: Floats) -> Floats:
    """Distance inland of the coast at `t` along it: a base line, waves, and a bay where the river comes out."""
    amplitude, length, phase = coefficients[:-1].T
    wiggle = (amplitude[:, None] * np.sin(2 * np.pi * np.ravel(t)[None] / length[:, None] + phase[:, None])).sum(axis=0)
    bay, mouth, spread = coefficients[-1]
    shore = -0.36 * plan.radius + wiggle + bay * np.exp(-(((np.ravel(t) - mouth) / spread) ** 2))
    return np.asarray(shore.reshape(np.shape(t)))


def make_terrain(plan: Plan) -> Terrain:
    """Draw coast, river, harbour and hills."""
    rng, radius = plan.stream("terrain"), plan.radius
    width = float(np.clip(62.0 * (radius / 3400.0) ** 0.5, 16.0, 170.0))
    river_nt, mouth = _course(plan, rng, width)
    coefficients = np.stack([
        np.array([0.055, 0.03, 0.012, 0.006]) * radius,
        np.array([2.6, 1.1, 0.5, 0.23]) * radius * rng.uniform(0.85, 1.15, 4),
        rng.uniform(0, 2 * np.pi, 4),
    ], axis=1)  # fmt: skip
    coefficients = np.vstack([coefficients, [0.13 * radius, mouth, 0.17 * radius]])
    river = plan.place(river_nt[:, 0], river_nt[:, 1])
    steps = np.hypot(*np.diff(river, axis=0).T)
    from_source = np.concatenate([[0.0], np.cumsum(steps)])
    at_sea = river_nt[:, 0] <= coast_line(plan, coefficients, river_nt[:, 1])
    upstream = from_source[int(np.argmax(at_sea))] - from_source
    widths = width * (1 + 1.3 * np.exp(-np.maximum(upstream, 0.0) / (0.18 * radius)))
    sea = _sea(plan, coefficients)
    channel = _channel(river, widths)
    low_at = int(np.argmin(np.abs(upstream - (upstream.max() * 0.30))))
    side = rng.choice([-1.0, 1.0])
    valley = max(0.17 * radius, 90.0)
    heading = river[min(low_at + 3, len(river) - 1)] - river[low_at]
    heading = heading / np.hypot(*heading)
    low = river[low_at] + side * np.array([-heading[1], heading[0]]) * (width / 2 + 0.55 * valley)
    basins = _basins(plan, coefficients, mouth, width, rng)
    return Terrain(
        plan, coefficients, waves(plan.stream("hills"), 0.25 * radius, 1.6 * radius), river, upstream, widths, valley, low,
        (0.8 * valley, 0.8 * valley), float(np.clip(0.055 * width, 1.6, 6.0)) + 1.0, sea, channel, basins, cKDTree(river),
    )  # fmt: skip


def _course(plan: Plan, rng: np.random.Generator, width: float) -> tuple[Floats, float]:
    """The river's centreline as metres (inland, along), source first, and where along the coast it comes out."""
    radius = plan.radius
    far = max(abs(b) for b in plan.bounds) * 1.5
    n = np.arange(far, -0.85 * radius, -max(4.0, radius / 700))
    phase = rng.uniform(0, 2 * np.pi, 3)

    def bends(n: Floats) -> Floats:
        wide = 0.10 * radius * np.sin(2 * np.pi * n / (1.55 * radius) + phase[0])
        small = 0.035 * radius * np.sin(2 * np.pi * n / (0.62 * radius) + phase[1])
        return np.asarray(wide + small * (0.6 + 0.4 * np.sin(n / radius + phase[2])))

    t = bends(n) - bends(np.zeros(1))[0] + 0.055 * radius + width
    mouth_n = -0.3 * radius
    t = np.where(n < mouth_n, np.interp(mouth_n, n[::-1], t[::-1]), t)  # straight on, out to sea
    return np.stack([n, t], axis=1), float(np.interp(mouth_n, n[::-1], t[::-1]))


def _sea(plan: Plan, coefficients: Floats) -> Polygon:
    far = 2.2 * max(abs(b) for b in plan.bounds)
    t = np.arange(-far, far, max(8.0, plan.radius / 250))
    shore = plan.place(coast_line(plan, coefficients, t), t)
    return Polygon(np.vstack([shore, plan.place([-far, -far], [far, -far])]))


def _channel(river: Floats, widths: Floats) -> BaseGeometry:
    """The river's surface: the union of short stretches, each as wide as the river is there."""
    pick = np.unique(np.append(np.arange(0, len(river), 6), len(river) - 1))
    pieces = shapely.linestrings(np.stack([river[pick[:-1]], river[pick[1:]]], axis=1))
    surface = shapely.union_all(shapely.buffer(pieces, (widths[pick[:-1]] + widths[pick[1:]]) / 4, quad_segs=6))
    return shapely.simplify(surface, 0.8)


def _basins(plan: Plan, coefficients: Floats, mouth: float, width: float, rng: np.random.Generator) -> BaseGeometry:
    """Harbour basins cut into the land on one side of the mouth, open to the sea."""
    size = float(np.clip(plan.radius / 3400, 0.25, 1.6))
    side = -1.0 if plan.seed % 2 else 1.0
    boxes = []
    for k in range(3 if plan.radius > 900 else 1):
        t = mouth + side * (0.26 * plan.radius + k * 300 * size)
        n = float(coast_line(plan, coefficients, np.array([t]))[0])
        deep, half = rng.uniform(300, 480) * size, rng.uniform(45, 60) * size
        boxes.append(Polygon(plan.place([n - 300, n - 300, n + deep, n + deep], [t - half, t + half, t + half, t - half])))
    return shapely.union_all(boxes)


def port_side(plan: Plan) -> float:
    """On which side of the mouth (along the coast) the port lies: 1 or -1."""
    return -1.0 if plan.seed % 2 else 1.0


def distance_to_coast(terrain: Terrain, x: Floats, y: Floats) -> Floats:
    """Metres inland from the coast, measured straight inland; negative at sea."""
    n, t = terrain.plan.axes(x, y)
    return np.asarray(n - terrain.coast(t))


__all__ = ["Terrain", "Waves", "coast_line", "distance_to_coast", "make_terrain", "port_side", "smooth", "waves"]
