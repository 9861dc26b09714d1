"""Liquefaction and slope failure: probabilities from the shaking and what the ground is like.

Sources: Zhu, Baise and Thompson (2017), An updated geospatial liquefaction model for global application, BSSA 107 (coefficients
of its two models, as set down in this project's notes); Rashidian and Baise (2020) cap precipitation at 1,700 mm and give none
below 0.1 g. Susceptibility: FEMA Hazus Earthquake Model Technical Manual, chapter 4. Slopes: factor of safety of an infinite
slope, critical acceleration (FS - 1) g sin(slope), displacement of Jibson (2007), Engineering Geology 91, equation 6, and
probability of Jibson, Harp and Michael (2000), Engineering Geology 58: 0.335 (1 - exp(-0.048 D^1.565)), D in cm; those of
Jibson are from knowledge and were not read again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

G = 9.80665

SUSCEPTIBILITY = {
    "very_high": (9.09, 0.82, 0.09, 0.25), "high": (7.67, 0.92, 0.12, 0.20), "moderate": (6.67, 1.0, 0.15, 0.10),
    "low": (5.57, 1.18, 0.21, 0.05), "very_low": (4.16, 1.08, 0.26, 0.02), "none": (0.0, 0.0, np.inf, 0.0),
}  # fmt: skip
"""Hazus: a and b of P = a PGA - b, threshold (g), share of the area that may liquefy."""


def liquefaction(
    velocity: npt.ArrayLike, vs30: npt.ArrayLike, precipitation: npt.ArrayLike, river: npt.ArrayLike, water_table:
    npt.ArrayLike, acceleration: npt.ArrayLike | None = None,
) -> F64:  # fmt: skip
    """Probability of liquefaction away from coasts (Zhu et al. 2017, model 2).

    velocity: PGV (cm/s). vs30: m/s. precipitation: mm a year. river: distance to the nearest water body (km). water_table:
    depth (m). acceleration: PGA (g), to apply the floor of Rashidian and Baise (2020). Zero below 3 cm/s or above 620 m/s.
    """
    v, s = np.asarray(velocity, dtype=np.float64), np.asarray(vs30, dtype=np.float64)
    rain = np.minimum(precipitation, 1700.0)
    with np.errstate(divide="ignore"):
        x = (8.801 + 0.334 * np.log(v) - 1.918 * np.log(s) + 0.0005408 * rain - 0.2054 * np.asarray(river)
             - 0.0333 * np.asarray(water_table))  # fmt: skip
    return _bounded(x, v, s, acceleration)


def coastal_liquefaction(
    velocity: npt.ArrayLike, vs30: npt.ArrayLike, precipitation: npt.ArrayLike, river: npt.ArrayLike, coast: npt.ArrayLike,
    acceleration: npt.ArrayLike | None = None,
) -> F64:  # fmt: skip
    """Probability of liquefaction within 20 km of a coast (Zhu et al. 2017, model 1); `coast`: distance to it (km)."""
    v, s = np.asarray(velocity, dtype=np.float64), np.asarray(vs30, dtype=np.float64)
    dc, dr = np.asarray(coast, dtype=np.float64), np.asarray(river, dtype=np.float64)
    rain = np.minimum(precipitation, 1700.0)
    with np.errstate(divide="ignore"):
        x = (12.435 + 0.301 * np.log(v) - 2.615 * np.log(s) + 0.0005556 * rain - 0.0287 * np.sqrt(dc) + 0.0666 * dr
             - 0.0369 * np.sqrt(dc) * dr)  # fmt: skip
    return _bounded(x, v, s, acceleration)


def _bounded(x: F64, velocity: F64, vs30: F64, acceleration: npt.ArrayLike | None) -> F64:
    none = (velocity < 3.0) | (vs30 > 620.0)
    if acceleration is not None:
        none |= np.asarray(acceleration) < 0.1
    return np.where(none, 0.0, 1.0 / (1.0 + np.exp(-x)))


def liquefied_share(probability: npt.ArrayLike, coastal: bool = False) -> F64:
    """Share of the area that liquefies (Zhu et al. 2017, spatial extent), 0 ... 0.49."""
    a, b, c = (42.08, 62.59, 11.43) if coastal else (49.15, 42.40, 9.165)
    p = np.asarray(probability, dtype=np.float64)
    return np.where(p > 0, a / 100.0 / (1.0 + b * np.exp(-c * p)) ** 2, 0.0)


def hazus_liquefaction(acceleration: npt.ArrayLike, susceptibility: str) -> F64:
    """Probability of liquefaction of a place of a Hazus class at PGA (g), for magnitude 7.5 and water at 5 ft."""
    a, b, threshold, share = SUSCEPTIBILITY[susceptibility]
    pga = np.asarray(acceleration, dtype=np.float64)
    return np.where(pga >= threshold, np.clip(a * pga - b, 0.0, 1.0), 0.0) * share


def critical_acceleration(
    slope: npt.ArrayLike,
    cohesion: float = 20e3,
    friction: float = 32.0,
    weight: float = 19e3,
    depth: float = 2.4,
    wet: float = 0.0,
) -> F64:
    """Acceleration (g) at which a slope (degrees) begins to move.

    cohesion: Pa. friction: degrees. weight: N/m3 of the soil. depth: m of the slab, normal to the slope. wet: share of it that
    is under water. The defaults are an estimate for a mixed slope. Slopes under 5 degrees do not move.
    """
    a = np.radians(np.asarray(slope, dtype=np.float64))
    tan_friction = np.tan(np.radians(friction))
    with np.errstate(divide="ignore", invalid="ignore"):
        safety = cohesion / (weight * depth * np.sin(a)) + tan_friction / np.tan(a) * (1.0 - wet * 9810.0 / weight)
        critical = np.maximum(safety - 1.0, 0.01) * np.sin(a)
    return np.where(np.degrees(a) >= 5.0, critical, np.inf)


def newmark(acceleration: npt.ArrayLike, critical: npt.ArrayLike) -> F64:
    """Newmark displacement (m) of a slope of `critical` acceleration (g) at PGA (g): Jibson (2007), equation 6."""
    pga, ac = np.asarray(acceleration, dtype=np.float64), np.asarray(critical, dtype=np.float64)
    ratio = np.clip(ac / np.maximum(pga, 1e-9), 1e-6, 1.0)
    with np.errstate(divide="ignore"):
        displacement = 10 ** (0.215 + 2.341 * np.log10(1.0 - ratio) - 1.438 * np.log10(ratio))
    return np.where(ratio < 1.0, displacement / 100.0, 0.0)


def slope_failure(acceleration: npt.ArrayLike, critical: npt.ArrayLike) -> F64:
    """Probability that a slope of `critical` acceleration (g) fails at PGA (g), by its Newmark displacement."""
    return np.asarray(0.335 * (1.0 - np.exp(-0.048 * (100.0 * newmark(acceleration, critical)) ** 1.565)), dtype=np.float64)


def slope_of(elevation: npt.NDArray[np.floating], cell_size: float) -> F64:
    """Slope (degrees) of a raster of elevation (m); 0 where it is not known."""
    dy, dx = np.gradient(elevation.astype(np.float64), cell_size)
    return np.asarray(np.nan_to_num(np.degrees(np.arctan(np.hypot(dx, dy)))), dtype=np.float64)
