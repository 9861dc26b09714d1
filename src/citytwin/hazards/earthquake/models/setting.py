"""What a ground-motion model is told about an earthquake and the places: the names that all models share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Number = Array | float


class Motion(NamedTuple):
    """Of ln(measure) at n places, each float64[n]: the mean, the between-event and the within-event standard deviation.

    A model that gives only a total standard deviation says so (`Model.total_only`) and gives it as `within`.
    """

    mean: Array
    between: Array
    within: Array


@dataclass(frozen=True)
class Setting:
    """One earthquake (or one a row) at n places; each entry a number or float64[n].

    magnitude: moment magnitude. rake, dip: degrees. top_depth (Ztor), width, hypocentre_depth: km.
    rrup, rjb, rx, ry0, repi, rhypo: distances in km (see distances.py). vs30: m/s. measured: Vs30 measured (1) or
    inferred (0). z1: depth in m to a shear-wave speed of 1 km/s, z2: depth in km to 2.5 km/s; NaN: each model's own default.
    backarc: 1 behind the volcanic arc of a subduction zone.
    """

    magnitude: Number
    rake: Number = 0.0
    dip: Number = 90.0
    top_depth: Number = 0.0
    width: Number = np.nan
    hypocentre_depth: Number = np.nan
    rrup: Number = np.nan
    rjb: Number = np.nan
    rx: Number = 0.0
    ry0: Number = np.nan
    repi: Number = np.nan
    rhypo: Number = np.nan
    vs30: Number = 760.0
    measured: Number = 0.0
    z1: Number = np.nan
    z2: Number = np.nan
    backarc: Number = 0.0

    @property
    def size(self) -> int:
        """Number of places (rows)."""
        return int(np.broadcast_shapes(*(np.shape(getattr(self, f.name)) for f in fields(self)), (1,))[0])


def reverse(rake: Number, within: float = 60.0) -> Array:
    """1 where the slip is reverse: rake within `within` degrees of 90, the ends left out; 0 where it is unknown (NaN)."""
    return np.asarray(np.abs(np.asarray(rake) - 90) < within, dtype=float)


def normal(rake: Number, within: float = 60.0) -> Array:
    """1 where the slip is normal: rake within `within` degrees of -90, the ends left out; 0 where it is unknown (NaN)."""
    return np.asarray(np.abs(np.asarray(rake) + 90) < within, dtype=float)


def by_mechanism(rake: Number, strike_slip: float, normal: float, reverse: float, unknown: float) -> Array:
    """A coefficient by rake: strike-slip within 30 degrees of horizontal, reverse between 30 and 150, else normal."""
    rake = np.asarray(rake)
    kinds = [np.isnan(rake), (np.abs(rake) <= 30) | (np.abs(rake) >= 150), rake > 0]
    return np.asarray(np.select(kinds, [unknown, strike_slip, reverse], normal))
