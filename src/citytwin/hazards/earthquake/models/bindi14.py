"""Bindi et al. 2014, Bull. Earthquake Eng. 12, 391-430 and erratum 431-448: Europe and the Middle East (RESORCE).

The forms with continuous Vs30, by Joyner-Boore or hypocentral distance. Coefficients: the electronic supplement.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Motion, Setting, by_mechanism
from citytwin.hazards.earthquake.models.table import PGV, Table

TABLES = {distance: Table.read(f"bindi14_{distance}") for distance in ("rjb", "rhypo")}
HINGE, GRAVITY = 6.75, 980.665


def motions(rows: Sequence[SimpleNamespace], setting: Setting, *, distance: str = "rjb") -> list[Motion]:
    """The motion for each row of coefficients: eqs 1 to 4, turned from log10 of cm/s2 to ln of g."""
    m = np.asarray(setting.magnitude)
    found = []
    for c in rows:
        r = np.sqrt(np.asarray(getattr(setting, distance)) ** 2 + c.h**2)
        path = (c.c1 + c.c2 * (m - 5.5)) * np.log10(r) - c.c3 * (r - 1)
        above = m - HINGE
        size = np.where(m < HINGE, c.b1 * above + c.b2 * above**2, c.b3 * above)
        style = by_mechanism(setting.rake, c.sof_s, c.sof_n, c.sof_r, 0.0)
        log10 = c.e1 + path + size + c.gamma * np.log10(np.asarray(setting.vs30) / 800) + style
        unit = 0.0 if c.period == PGV else np.log(GRAVITY)
        flat = np.full(setting.size, np.log(10))
        found.append(Motion(log10 * np.log(10) - unit, c.tau * flat, c.phi * flat))
    return found
