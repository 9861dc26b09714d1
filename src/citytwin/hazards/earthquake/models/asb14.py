"""Akkar, Sandikkaya and Bommer 2014 (ASB14), Bull. Earthquake Eng. 12, 359-387 and erratum 389-390: Europe, Middle East.

Three forms: Joyner-Boore, epicentral, hypocentral distance. Coefficients from the authors by way of pygmm (MIT licence).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Array, Motion, Setting, normal, reverse
from citytwin.hazards.earthquake.models.table import PGA, Table

TABLES = {distance: Table.read(f"asb14_{distance}") for distance in ("rjb", "repi", "rhypo")}


def motions(rows: Sequence[SimpleNamespace], setting: Setting, *, distance: str = "rjb") -> list[Motion]:
    """The motion for each row of coefficients of the form for `distance`."""
    pga = np.exp(_rock(TABLES[distance].row(PGA), setting, distance))
    flat = np.ones(setting.size)
    site = [_rock(c, setting, distance) + _site(c, setting, pga) for c in rows]
    return [Motion(mean, c.sd_between * flat, c.sd_within * flat) for c, mean in zip(rows, site, strict=True)]


def _rock(c: SimpleNamespace, s: Setting, distance: str) -> Array:
    """Eq. 1."""
    m, r = np.asarray(s.magnitude), np.asarray(getattr(s, distance))
    slope = np.where(m <= c.c_1, c.a_2, c.a_7) * (m - c.c_1)
    spreading = (c.a_4 + c.a_5 * (m - c.c_1)) * np.log(np.sqrt(r**2 + c.a_6**2))
    style = c.a_8 * normal(s.rake, 45.0) + c.a_9 * reverse(s.rake, 45.0)
    return np.asarray(c.a_1 + slope + c.a_3 * (8.5 - m) ** 2 + spreading + style)


def _site(c: SimpleNamespace, s: Setting, pga: Array) -> Array:
    """Eq. 3, of Sandikkaya, Akkar and Bard 2013."""
    vs30 = np.asarray(s.vs30)
    ratio = vs30 / c.v_ref
    soft = c.b_1 * np.log(ratio) + c.b_2 * np.log((pga + c.c * ratio**c.n) / ((pga + c.c) * ratio**c.n))
    return np.asarray(np.where(vs30 < c.v_ref, soft, c.b_1 * np.log(np.minimum(vs30, c.v_con) / c.v_ref)))
