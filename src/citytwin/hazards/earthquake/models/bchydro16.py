"""Abrahamson, Gregor and Addo 2016 (BC Hydro), Earthquake Spectra 32(1), 23-44: subduction, interface and slab.

The central branch (the paper's adjustment of C1 by kind of event). Interface by Rrup, slab by Rhypo. Coefficients: table 3,
by way of pygmm (MIT licence). Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Array, Motion, Number, Setting
from citytwin.hazards.earthquake.models.table import PGA, Table

TABLE = Table.read("bchydro16")
BREAK = 7.8


def motions(rows: Sequence[SimpleNamespace], setting: Setting, *, slab: bool = False) -> list[Motion]:
    """The motion for each row of coefficients."""
    peak = TABLE.row(PGA)
    rock = np.exp(_source(peak, setting, slab) + _site(peak, 1000.0, 0.0))
    flat = np.ones(setting.size)
    means = [_source(c, setting, slab) + _site(c, setting.vs30, rock) for c in rows]
    return [Motion(mean, c.tau * flat, c.phi * flat) for c, mean in zip(rows, means, strict=True)]


def _source(c: SimpleNamespace, s: Setting, slab: bool) -> Array:
    """Eqs 1 to 4, without the site."""
    m, r = np.asarray(s.magnitude), np.asarray(s.rhypo if slab else s.rrup)
    shift = (
        -0.3 if slab else float(np.interp(np.log(max(c.period, 0.01)), np.log([0.3, 0.5, 1, 2, 3]), [0.2, 0.1, 0, -0.1, -0.2]))
    )
    path = (c.t_2 + c.t_14 * slab + c.t_3 * (m - BREAK)) * np.log(r + c.c_4 * np.exp(c.t_9 * (m - 6))) + c.t_6 * r
    above = m - (BREAK + shift)
    size = np.where(above <= 0, c.t_4, c.t_5) * above + c.t_13 * (10 - m) ** 2
    back = c.t_7 + c.t_8 * np.log(np.maximum(r, 85) / 40) if slab else c.t_15 + c.t_16 * np.log(np.maximum(r, 100) / 40)
    deep = np.where(np.isnan(s.hypocentre_depth), 60.0, s.hypocentre_depth)
    depth = c.t_11 * (np.minimum(deep, 120) - 60) + c.t_10 if slab else 0.0
    return np.asarray(c.t_1 + c.t_4 * shift + path + size + depth + back * np.asarray(s.backarc))


def _site(c: SimpleNamespace, vs30: Number, rock: Number) -> Array:
    """Eqs 5 and 6."""
    ratio = np.minimum(vs30, 1000.0) / c.v_lin
    soft = c.t_12 * np.log(ratio) - c.b * np.log(rock + c.c) + c.b * np.log(rock + c.c * ratio**c.n)
    return np.asarray(np.where(np.asarray(vs30) < c.v_lin, soft, (c.t_12 + c.b * c.n) * np.log(ratio)))
