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


def reverse(rake: Number) -> Array:
    """1 where the slip is reverse or reverse-oblique: rake from 30 to 150 degrees (NGA-West2), both left out."""
    return ((np.asarray(rake) > 30) & (np.asarray(rake) < 150)).astype(float)


def normal(rake: Number, low: float = -120.0, high: float = -60.0) -> Array:
    """1 where the slip is normal: rake from `low` to `high` degrees, both included."""
    return ((np.asarray(rake) >= low) & (np.asarray(rake) <= high)).astype(float)
