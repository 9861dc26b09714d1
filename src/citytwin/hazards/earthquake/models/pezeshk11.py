"""Pezeshk, Zandieh and Tavakoli 2011, BSSA 101(4), 1859-1870: stable crust (eastern North America), hard rock, Rrup.

It has no site term: it holds for Vs30 of 2000 m/s and more, and warns elsewhere. It gives one standard deviation, in log10.
Coefficients by way of pygmm (MIT licence).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Motion, Setting
from citytwin.hazards.earthquake.models.table import Table

TABLE = Table.read("pezeshk11")


def motions(rows: Sequence[SimpleNamespace], setting: Setting) -> list[Motion]:
    """The motion for each row of coefficients: eqs 4, 5, 6 and 8 of the paper."""
    m = np.asarray(setting.magnitude)
    found = []
    for c in rows:
        r = np.sqrt(np.asarray(setting.rrup) ** 2 + c.c_11**2)
        near, far = np.log10(np.minimum(r, 70.0)), np.maximum(np.log10(r / 140), 0)
        middle = np.clip(np.log10(r / 70), 0, np.log10(140 / 70))
        path = (c.c_4 + c.c_5 * m) * near + (c.c_6 + c.c_7 * m) * middle + (c.c_8 + c.c_9 * m) * far
        log10 = c.c_1 + c.c_2 * m + c.c_3 * m**2 + path + c.c_10 * r
        spread = np.where(m <= 7, c.c_12 * m + c.c_13, -6.95e-3 * m + c.c_14)
        total = np.broadcast_to(np.hypot(spread, c.sigma_reg) * np.log(10), (setting.size,))
        found.append(Motion(log10 * np.log(10), np.zeros(setting.size), total))
    return found
