"""Bindi et al. 2011 (ITA10), Bull. Earthquake Eng. 9, 1899-1920: Italy, Rjb, site by EC8 class from Vs30.

Coefficients: table 1 of the paper. Class E (a soft layer on rock) cannot be told by Vs30 and is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Motion, Setting, by_mechanism
from citytwin.hazards.earthquake.models.table import PGV, Table

TABLE = Table.read("bindi11")
HINGE, GRAVITY = 6.75, 980.665


def motions(rows: Sequence[SimpleNamespace], setting: Setting) -> list[Motion]:
    """The motion for each row of coefficients: eqs 1 to 3, turned from log10 of cm/s2 to ln of g."""
    m, vs30 = np.asarray(setting.magnitude), np.asarray(setting.vs30)
    classes = [vs30 < 180, vs30 < 360, vs30 < 800]
    found = []
    for c in rows:
        r = np.sqrt(np.asarray(setting.rjb) ** 2 + c.h**2)
        path = (c.c1 + c.c2 * (m - 5)) * np.log10(r) - c.c3 * (r - 1)
        above = np.minimum(m - HINGE, 0)
        site = np.select(classes, [c.s_d, c.s_c, c.s_b], c.s_a)
        style = by_mechanism(setting.rake, c.f_s, c.f_n, c.f_r, 0.0)
        log10 = c.e1 + path + c.b1 * above + c.b2 * above**2 + site + style
        unit = 0.0 if c.period == PGV else np.log(GRAVITY)
        flat = np.full(setting.size, np.log(10))
        found.append(Motion(log10 * np.log(10) - unit, c.tau * flat, c.phi * flat))
    return found
