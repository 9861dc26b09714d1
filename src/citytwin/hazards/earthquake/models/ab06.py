"""Atkinson and Boore 2006 (AB06), BSSA 96(6), 2181-2205 and erratum 97(3), 1032: stable crust (eastern North America), Rrup.

Stress parameter 140 bar. Hard rock from Vs30 2000 m/s, else the B/C boundary with the paper's site terms (eqs 7 and 8), whose
nonlinear part is bent smoothly between 0.03 and 0.09 g as in the final form of those terms, Boore and Atkinson 2008: published
tables hold that form, and the plain one of the paper is up to 6 % away from it. It gives one standard deviation, 0.30 in log10.
Coefficients by way of pygmm (MIT licence). Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.ba08 import site_term
from citytwin.hazards.earthquake.models.setting import Array, Motion, Setting
from citytwin.hazards.earthquake.models.table import PGA, PGV, Table

TABLE, ROCK, SITE = Table.read("ab06_bc"), Table.read("ab06_rock"), Table.read("ab06_site")
HARD = 2000.0
GRAVITY = 980.665


def motions(rows: Sequence[SimpleNamespace], setting: Setting) -> list[Motion]:
    """The motion for each row of the coefficients of the B/C boundary."""
    pga = 10 ** _rock(TABLE.row(PGA), setting) / GRAVITY
    total = np.full(setting.size, 0.30 * np.log(10))
    found = []
    for c in rows:
        soil = _rock(c, setting) + _site(c.period, setting, pga)
        log10 = np.where(np.asarray(setting.vs30) >= HARD, _rock(ROCK.row(c.period), setting), soil)
        unit = 0.0 if c.period == PGV else np.log(GRAVITY)
        found.append(Motion(log10 * np.log(10) - unit, np.zeros(setting.size), total))
    return found


def _rock(c: SimpleNamespace, s: Setting) -> Array:
    """Eq. 5, log10 of cm/s2 or cm/s; distances below 1 km count as 1 km."""
    m, r = np.asarray(s.magnitude), np.maximum(np.asarray(s.rrup), 1.0)
    f0, f1, f2 = np.maximum(np.log10(10 / r), 0), np.minimum(np.log10(r), np.log10(70)), np.maximum(np.log10(r / 140), 0)
    size = c.c_1 + c.c_2 * m + c.c_3 * m**2
    return np.asarray(size + (c.c_4 + c.c_5 * m) * f1 + (c.c_6 + c.c_7 * m) * f2 + (c.c_8 + c.c_9 * m) * f0 + c.c_10 * r)


def _site(seconds: float, s: Setting, pga: Array) -> Array:
    """Eqs 7 and 8, log10, from the rock's peak acceleration (g); coefficients of table 8 drawn in log period."""
    known = SITE.periods > 0
    if seconds > 0:
        at = np.log(SITE.periods[known])
        linear, b1, b2 = (np.interp(np.log(seconds), at, SITE.columns[n][known]) for n in ("b_lin", "b_1", "b_2"))
    else:
        row = SITE.row(seconds)
        linear, b1, b2 = row.b_lin, row.b_1, row.b_2
    return np.asarray(site_term(float(linear), float(b1), float(b2), np.asarray(s.vs30), pga) / np.log(10))
