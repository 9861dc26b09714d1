"""Idriss 2014, Earthquake Spectra 30(3), 1155-1177: active shallow crust, rock and stiff soil (Vs30 from 450 m/s), Rrup.

It gives one standard deviation. Vs30 has no more effect above 1200 m/s; the peak acceleration is the spectrum at 0.01 s.
Coefficients by way of pygmm (MIT licence).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Motion, Setting, reverse
from citytwin.hazards.earthquake.models.table import PGA, Table


def _with_peak(table: Table) -> Table:
    first = int(np.argmin(table.periods))
    rows = {k: np.concatenate([[PGA if k == "period" else v[first]], v]) for k, v in table.columns.items()}
    return Table(table.name, rows)


TABLE, LARGE = (_with_peak(Table.read(f"idriss14_{size}")) for size in ("small", "large"))


def motions(rows: Sequence[SimpleNamespace], setting: Setting) -> list[Motion]:
    """The motion for each row of the coefficients for magnitudes up to 6.75; above, those of `LARGE` (eqs 3 and 4)."""
    m, r, vs30 = np.asarray(setting.magnitude), np.asarray(setting.rrup), np.asarray(setting.vs30)
    found = []
    for small in rows:
        large = LARGE.row(small.period)
        parts = []
        for c in (small, large):
            size = c.alpha_1 + c.alpha_2 * m + c.alpha_3 * (8.5 - m) ** 2
            path = -(c.beta_1 + c.beta_2 * m) * np.log(r + 10) + c.gamma * r
            parts.append(size + path + c.epsilon * np.log(np.minimum(vs30, 1200)) + c.phi * reverse(setting.rake))
        spread = 1.18 + 0.035 * np.log(np.clip(small.period, 0.05, 3.0)) - 0.06 * np.clip(m, 5.0, 7.5)
        total = np.broadcast_to(spread, (setting.size,))
        found.append(Motion(np.where(m <= 6.75, *parts), np.zeros(setting.size), total))
    return found
