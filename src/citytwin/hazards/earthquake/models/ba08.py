"""Boore and Atkinson 2008 (BA08), Earthquake Spectra 24(1), 99-138: active shallow crust, Rjb.

Superseded by BSSA14; kept for studies that use it. Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Array, Motion, Setting, by_mechanism
from citytwin.hazards.earthquake.models.table import PGA, Table

TABLE = Table.read("ba08")
V1, V2, ROCK = 180.0, 300.0, 760.0
A1, A2, LOW = 0.03, 0.09, 0.06


def motions(rows: Sequence[SimpleNamespace], setting: Setting) -> list[Motion]:
    """The motion for each row of coefficients."""
    pga = np.exp(_rock(TABLE.row(PGA), setting))
    flat = np.ones(setting.size)
    vs30 = np.asarray(setting.vs30)
    site = [site_term(c.blin, c.b1, c.b2, vs30, pga) for c in rows]
    return [Motion(_rock(c, setting) + s, c.tau_m * flat, c.sigma * flat) for c, s in zip(rows, site, strict=True)]


def _rock(c: SimpleNamespace, s: Setting) -> Array:
    """Eqs 3 to 5."""
    above = np.asarray(s.magnitude) - c.mh
    style = by_mechanism(s.rake, c.e2, c.e3, c.e4, c.e1)
    size = np.where(above <= 0, c.e5 * above + c.e6 * above**2, c.e7 * above)
    r = np.sqrt(np.asarray(s.rjb) ** 2 + c.h**2)
    return np.asarray(style + size + (c.c1 + c.c2 * (np.asarray(s.magnitude) - 4.5)) * np.log(r) + c.c3 * (r - 1))


def site_term(linear: float, b1: float, b2: float, vs30: Array, pga: Array) -> Array:
    """Eqs 6 to 13: ln of the amplification from coefficients, Vs30 (m/s) and the rock's peak acceleration (g)."""
    middle = (b1 - b2) * np.log(vs30 / V2) / np.log(V1 / V2) + b2
    stiff = b2 * np.log(vs30 / ROCK) / np.log(V2 / ROCK)
    slope = np.select([vs30 <= V1, vs30 <= V2, vs30 < ROCK], [b1, middle, stiff], 0.0)
    dx, dy = np.log(A2 / A1), slope * np.log(A2 / LOW)
    third, second = -(2 * dy - slope * dx) / dx**3, (3 * dy - slope * dx) / dx**2
    beyond = np.log(np.maximum(pga, A1) / A1)
    bend = slope * np.log(LOW / 0.1) + second * beyond**2 + third * beyond**3
    bent = np.select([pga <= A1, pga <= A2], [slope * np.log(LOW / 0.1), bend], slope * np.log(pga / 0.1))
    return np.asarray(linear * np.log(vs30 / ROCK) + bent)
