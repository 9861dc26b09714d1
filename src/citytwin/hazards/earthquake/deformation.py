"""Ground that fails under buildings and mains: how far it moves, how likely, and what that does to them.

Where the city or the scenario says a class of susceptibility, FEMA's Hazus Earthquake Model Technical Manual, chapter 4:
P(liquefaction) = share (a PGA - b) / (K_M K_W), K_M = 0.0027 M^3 - 0.0267 M^2 - 0.2055 M + 2.9188, K_W = 0.022 d + 0.93 (d:
depth of water in ft); settlement by class; lateral spread E[PGD | PGA / PGA_t] K_D, K_D = 0.0086 M^3 - 0.0914 M^2 + 0.4698 M -
0.9835. Coefficients were read in IN-CORE's open service, not in the manual itself.

Where no class is said, the geospatial model of Zhu et al. (2017) stands in: the share of the ground that it expects to
liquefy is the probability, and displacement is that of the Hazus class which liquefies over such a share. That bridge is ours
and rough. Slopes: Newmark displacement of Jibson (2007) where they fail, probability as in `ground_failure`.

Buildings (same manual, as in simcenter-dlml 3.2, shallow foundations): P(extensive or worse | PGD) is lognormal, median 60 in
for spreading and 10 in for settlement, dispersion 1.256; a fifth of that is complete. The worse of the two counts. Combined
with shaking as independent: 1 - (1 - P_shaking)(1 - P_ground); slight and moderate damage by ground is not told apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from scipy.special import ndtr

from citytwin.city import City
from citytwin.city.roads import text
from citytwin.errors import InputError, nearest
from citytwin.hazards.earthquake import ground_failure as ground
from citytwin.hazards.earthquake.damage import Assets
from citytwin.hazards.earthquake.fragility import axis
from citytwin.hazards.earthquake.maps import FAR, to_water
from citytwin.hazards.earthquake.parameters import EarthquakeParameters
from citytwin.hazards.earthquake.shaking import Shaking

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

INCH, FOOT = 0.0254, 0.3048
CLASSES = ("very_low", "low", "moderate", "high", "very_high")
COLUMN = "liquefaction_susceptibility"
SETTLEMENT = np.array([0.0, 1.0, 2.0, 6.0, 12.0]) * INCH
"""m, expected where a class liquefies (Hazus)."""

SPREADING, SETTLING, DISPERSION = 60.0 * INCH, 10.0 * INCH, 1.256
COMPLETE = 0.2
"""Share of extensive or worse damage by ground failure that is complete."""

SHARE = np.array([ground.SUSCEPTIBILITY[c][3] for c in CLASSES])
THRESHOLD = np.array([ground.SUSCEPTIBILITY[c][2] for c in CLASSES])
EXTENSIVE = 3
STEP = 0.5
"""Places whose ground is so alike share a curve: in the geospatial model's exponent, in ln of the critical acceleration."""

MOST_TABLES = 1500


def magnitude_factors(magnitude: float) -> tuple[float, float]:
    """K_M of the probability and K_D of the displacement."""
    m = magnitude
    k_m = 0.0027 * m**3 - 0.0267 * m**2 - 0.2055 * m + 2.9188
    return k_m, max(0.0086 * m**3 - 0.0914 * m**2 + 0.4698 * m - 0.9835, 0.0)


def spread(ratio: npt.ArrayLike) -> F64:
    """Lateral spread (m) at PGA over the threshold, for magnitude 7.5: straight lines in inches, 100 in from 4 on."""
    x = np.asarray(ratio, dtype=np.float64)
    pieces = [x < 1, x < 2, x < 3, x < 4]
    return np.select(pieces, [0.0 * x, 12.0 * x - 12.0, 18.0 * x - 24.0, 70.0 * x - 180.0], 100.0) * INCH


def extensive(spreading: npt.ArrayLike, settling: npt.ArrayLike) -> F64:
    """Probability of extensive or worse damage at lateral spread and settlement (m): the worse of the two."""
    with np.errstate(divide="ignore"):
        wide, deep = (np.log(np.asarray(v, dtype=np.float64) / m) for v, m in ((spreading, SPREADING), (settling, SETTLING)))
    return np.asarray(ndtr(np.maximum(wide, deep) / DISPERSION), dtype=np.float64)


@dataclass(frozen=True)
class Soil:
    """What the ground of n places is like.

    grade (n,): index into `CLASSES`, -1 where the geospatial model is to say, -2 firm. exponent (n,): its X without shaking,
    -inf where nothing liquefies. critical (n,): critical acceleration of the slope (g), inf where it does not fail.
    """

    grade: I64
    exponent: F64
    critical: F64

    def at(self, rows: npt.ArrayLike) -> Soil:
        """Some of the places."""
        some = np.asarray(rows)
        return Soil(self.grade[some], self.exponent[some], self.critical[some])

    def mean(self, rows: I64) -> Soil:
        """One place for `rows` of one grade: the means of the exponent and of ln of the critical acceleration."""
        critical = np.exp(np.log(self.critical[rows]).mean(keepdims=True))
        return Soil(self.grade[rows[:1]], self.exponent[rows].mean(keepdims=True), critical)

    @property
    def firm(self) -> npt.NDArray[np.bool_]:
        """Where nothing can fail."""
        return np.asarray((self.grade < 0) & np.isneginf(self.exponent) & np.isposinf(self.critical), dtype=np.bool_)


@dataclass(frozen=True)
class Failing:
    """The law of one earthquake: probabilities and displacements from PGA (g), ln PGV (cm/s) and soil, all of one shape."""

    magnitude: float
    water_table: float

    def liquefied(self, soil: Soil, pga: F64, ln_pgv: F64) -> tuple[F64, F64, F64]:
        """Probability that a place liquefies, and settlement and spread (m) if it does."""
        k_m, k_d = magnitude_factors(self.magnitude)
        k_w = 0.022 * self.water_table / FOOT + 0.93
        a, b = (np.array([ground.SUSCEPTIBILITY[c][k] for c in CLASSES])[soil.grade] for k in (0, 1))
        by_class = np.clip((a * pga - b) / (k_m * k_w), 0.0, 1.0) * SHARE[soil.grade]
        with np.errstate(over="ignore"):
            p = 1.0 / (1.0 + np.exp(-(soil.exponent + 0.334 * ln_pgv)))
        by_map = np.where(pga >= 0.1, ground.liquefied_share(p), 0.0)
        said = soil.grade >= 0
        threshold = np.where(said, THRESHOLD[soil.grade], np.interp(by_map, SHARE, THRESHOLD))
        settling = np.where(said, SETTLEMENT[soil.grade], np.interp(by_map, SHARE, SETTLEMENT))
        probability = np.where(said, np.where(pga >= threshold, by_class, 0.0), by_map)
        return probability, settling, spread(pga / threshold) * k_d

    def broken(self, soil: Soil, pga: F64, ln_pgv: F64) -> F64:
        """Probability that ground failure leaves a building at least extensively damaged."""
        p, settling, spreading = self.liquefied(soil, pga, ln_pgv)
        slides = ground.slope_failure(pga, soil.critical)
        moved = extensive(ground.newmark(pga, soil.critical), 0.0)
        return np.asarray(1.0 - (1.0 - p * extensive(spreading, settling)) * (1.0 - slides * moved), dtype=np.float64)


def soil_of(city: City, params: EarthquakeParameters, x: F64, y: F64, vs30: F64, table: str = "") -> Soil:
    """The soil at places x, y (m) with Vs30 (m/s); those of the rows of `table` if one is named. Raises InputError.

    Where no class is said it is firm, unless the earthquake's `ground_failure` asks to tell it from the map.
    """
    grade = _grades(city, params, x, y, table)
    far, slope, there = np.full(len(x), FAR), np.zeros(len(x)), np.zeros(len(x), dtype=np.bool_)
    if params.ground_failure and city.has_ground:
        cell = city.ground.rows(x, y)
        there = cell >= 0
        far[there] = to_water(city).ravel()[cell[there]]
        slope[there] = ground.slope_of(city.ground.elevation, city.ground.cell_size).ravel()[cell[there]]
    rain = min(params.precipitation, 1700.0)
    exponent = 8.801 - 1.918 * np.log(vs30) + 0.0005408 * rain - 0.2054 * far - 0.0333 * params.water_table
    no_model = (vs30 > 620.0) | ~there | (grade == -2)
    return Soil(grade, np.where(no_model, -np.inf, exponent), ground.critical_acceleration(slope))


def _grades(city: City, params: EarthquakeParameters, x: F64, y: F64, table: str) -> I64:
    """Index of the class of susceptibility: of the scenario, of the table itself, of the zone; -1 where nobody says."""
    said = np.full(len(x), params.susceptibility or "", dtype=object)
    if params.susceptibility is None:
        if "zone" in city and COLUMN in city.table("zone"):
            zone = city.table("zone")
            place, inside = shapely.STRtree(zone.geometry.to_numpy()).query(shapely.points(x, y), predicate="intersects")
            said[place[::-1]] = text(zone, COLUMN)[inside[::-1]]
        if table in city and COLUMN in city.table(table):
            own = text(city.table(table), COLUMN)
            said = np.where(own != "", own, said)
    known = {name: n for n, name in enumerate(CLASSES)} | {"": -1, "none": -2}
    distinct, which = np.unique(said.astype(str), return_inverse=True)
    spelled = [str(s).strip().lower().replace(" ", "_") for s in distinct]
    wrong = next((s for s in spelled if s not in known), None)
    if wrong is not None:
        raise InputError(f'no class of susceptibility "{wrong}"', COLUMN, nearest(wrong, (*CLASSES, "none")))
    return np.array([known[s] for s in spelled], dtype=np.int64)[which]


@dataclass
class Grounds:
    """What may fail under a city: the law, soils, and the median shaking of buildings, ln of PGA (g) and PGV (cm/s), (2, n).

    told: whether the map tells where no class is said.
    """

    law: Failing
    buildings: Soil
    mains: Soil
    median: F64
    told: bool

    @classmethod
    def of(
        cls, city: City, params: EarthquakeParameters, magnitude: float, x: F64, y: F64, vs30: F64, mains: int,
        motion: Callable[[int], Shaking],
    ) -> Grounds | None:  # fmt: skip
        """Of places x, y (m) with `vs30`, buildings first, mains from `mains` on; None where all is firm.

        motion: gives the shaking (PGA, PGV) of so many of the first places.
        """
        own, pipes = np.arange(city.size("building")), np.arange(mains, len(x))
        soils = [soil_of(city, params, x[r], y[r], vs30[r], t) for r, t in ((own, "building"), (pipes, "pipe"))]
        if all(soil.firm.all() for soil in soils):
            return None
        law, told = Failing(magnitude, params.water_table), bool(params.ground_failure)
        return cls(law, soils[0], soils[1], motion(len(own)).median, told)

    def under(self, assets: Assets, table: F32, shaken: Shaking, severity: tuple[int, ...], spared: I64) -> tuple[Assets, F32]:
        """Assets and tables with ground failure in their curves. spared: rows of buildings that are left as they are.

        A building's PGA and PGV are told from the measure of its curve by the ratio of their medians there.
        """
        stays = self.buildings.firm.copy()
        stays[spared] = True
        some = np.flatnonzero(~stays[assets.owner])
        if not len(some):
            return assets, table
        owner = assets.owner[some]
        soil, own = self.buildings.at(owner), shaken.median[assets.measure[some], assets.site[some]]
        to_pga, to_pgv = self.median[0, owner] - own, self.median[1, owner] - own
        key = _alike(np.column_stack([assets.curve[some], assets.measure[some]]), soil, to_pgv)
        order = np.argsort(key, kind="stable")
        curve, made = assets.curve.copy(), [table]
        for inside in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
            mean = soil.mean(inside)
            pga, ln_pgv = np.exp(axis() + to_pga[inside].mean()), axis() + to_pgv[inside].mean()
            reached = self.law.broken(mean.at(np.zeros(len(pga), dtype=np.int64)), pga, ln_pgv)
            made.append(_with_ground(table[assets.curve[some[inside[0]]]][None], reached, severity))
            curve[some[inside]] = len(table) + len(made) - 2
        return replace(assets, curve=curve), np.concatenate(made)

    def probability(self, shift: F64) -> F64:
        """Of each building, that failing ground damages it at least extensively, at `shift` of ln of its median shaking."""
        return self.law.broken(self.buildings, np.exp(self.median[0] + shift), self.median[1] + shift)

    def words(self, expected: F64) -> dict[str, Any]:
        """What was done, how far to trust it, and the `expected` number of buildings (n,) that it damages, added up."""
        said = float((self.buildings.grade != -1).mean()) if len(self.buildings.grade) else 0.0
        rest = "told from Vs30 and water (Zhu 2017)" if self.told else "taken for firm"
        return {
            "grade": "sketch", "susceptibility": f"said of {said:.0%} of buildings, else {rest}",
            "buildings_extensive_by_ground": float(expected.sum()),
        }  # fmt: skip

    def of_mains(self, pga: F64, ln_pgv: F64) -> tuple[F64, F64]:
        """How likely the ground at each main liquefies, and how far it moves (m); PGA in g, ln of PGV in cm/s, (b, mains)."""
        probability, settling, spreading = self.law.liquefied(self.mains, pga, ln_pgv)
        return probability, np.maximum(settling, spreading)


def _alike(parts: I64, soil: Soil, to_pgv: F64) -> I64:
    """The same number for entries of the same `parts` on soil that is nearly the same."""
    step = STEP
    while True:
        by_map = np.where(np.isfinite(soil.exponent) & (soil.grade == -1), soil.exponent + 0.334 * to_pgv, 1e3)
        steep = np.where(np.isfinite(soil.critical), np.log(np.maximum(soil.critical, 1e-3)), 1e3)
        binned = [np.round(v / step).astype(np.int64) for v in (by_map, steep)]
        distinct, key = np.unique(np.column_stack([parts, soil.grade, *binned]), axis=0, return_inverse=True)
        if len(distinct) <= MOST_TABLES or step > 8:
            return np.asarray(key.reshape(-1), dtype=np.int64)
        step *= 2


def _with_ground(old: F32, reached: F64, severity: tuple[int, ...]) -> F32:
    """A table (1, points, 8) with P(extensive or worse) by ground failure, `reached` (points,), put to its states."""
    new = old.copy()
    for state, level in enumerate(severity):
        if level < 5:
            share = 1.0 if level <= EXTENSIVE else COMPLETE
            new[0, :, state] = old[0, :, state] + (1.0 - old[0, :, state]) * share * reached
        elif state > 0 and severity[state - 1] == 4:  # of those that are complete as many collapse as by shaking
            before = old[0, :, state - 1]
            falls = float(np.max(np.divide(old[0, :, state], before, out=np.zeros_like(before), where=before > 1e-6)))
            new[0, :, state] = old[0, :, state] + falls * (new[0, :, state - 1] - before)
    return new
