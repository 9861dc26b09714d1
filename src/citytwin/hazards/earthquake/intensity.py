"""Between ground motion and felt intensity (Worden, Gerstenberger, Rhoades and Wald 2012, BSSA 102(1), 204-221).

Coefficients from ShakeMap's public-domain table (CC0); intensity 1 to 2 as ShakeMap draws it. Derived for California.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from citytwin.errors import MissingError

Array = npt.NDArray[np.float64]
GRAVITY = 981.0


class Law(NamedTuple):
    """MMI = a + b log10(y) in three pieces: below MMI 2, up to the bend, above it; y in cm/s2 or cm/s.

    bend: log10(y) and MMI at the bend. least: log10(y) at MMI 2. spread: of MMI given y, and of log10(y) given MMI.
    """

    lowest: tuple[float, float]
    lower: tuple[float, float]
    upper: tuple[float, float]
    least: float
    bend: tuple[float, float]
    spread: tuple[float, float]


LAWS = {
    "PGA": Law((1.71, 2.08), (1.78, 1.55), (-1.60, 3.70), 0.14, (1.57, 4.22), (0.66, 0.35)),
    "PGV": Law((4.62, 2.17), (3.78, 1.47), (2.89, 3.16), -1.21, (0.53, 4.56), (0.63, 0.38)),
    "SA(0.3)": Law((1.15, 1.92), (1.26, 1.69), (-4.15, 4.14), 0.44, (2.21, 4.99), (0.82, 0.44)),
    "SA(1.0)": Law((2.71, 2.17), (2.50, 1.51), (0.20, 2.90), -0.33, (1.65, 4.98), (0.75, 0.47)),
    "SA(3.0)": Law((7.35, 3.45), (3.81, 1.17), (1.99, 3.01), -1.55, (0.99, 4.96), (0.89, 0.64)),
}
"""Measures that intensity can be told from, and the other way round."""


def _law(measure: str) -> Law:
    if measure not in LAWS:
        raise MissingError(f"no relation of intensity to {measure}", hint="allowed: " + ", ".join(LAWS))
    return LAWS[measure]


def intensity_of(measure: str, ln: npt.ArrayLike) -> Array:
    """Modified Mercalli intensity (1 to 10) that ln of a measure (g; cm/s for PGV) makes likely."""
    law = _law(measure)
    y = np.asarray(ln, dtype=float) / np.log(10) + (0.0 if measure == "PGV" else np.log10(GRAVITY))
    pieces = [a + b * y for a, b in (law.lowest, law.lower, law.upper)]
    return np.asarray(np.clip(np.select([y < law.least, y < law.bend[0]], pieces[:2], pieces[2]), 1.0, 10.0))


def motion_of(measure: str, intensity: npt.ArrayLike, spread: npt.ArrayLike = 0.0) -> tuple[Array, Array]:
    """Ln of a measure that an intensity makes likely, and its standard deviation.

    spread: standard deviation of the intensity itself; it adds to the relation's own.
    """
    law, felt = _law(measure), np.asarray(intensity, dtype=float)
    which = [felt < 2, felt < law.bend[1]]
    intercept, slope = (np.select(which, [law.lowest[i], law.lower[i]], law.upper[i]) for i in (0, 1))
    y = (felt - intercept) / slope - (0.0 if measure == "PGV" else np.log10(GRAVITY))
    return y * np.log(10), np.hypot(law.spread[1], np.asarray(spread, dtype=float) / slope) * np.log(10)


def spread_of_reports(count: npt.ArrayLike) -> Array:
    """Standard deviation of an intensity that `count` felt reports give together (ShakeMap's rule for "Did You Feel It?")."""
    return np.asarray(0.25 * np.exp(-np.asarray(count, dtype=float) / 24.02) + 0.09)
