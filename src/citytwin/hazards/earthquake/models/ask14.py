"""Abrahamson, Silva and Kamai 2014 (ASK14), Earthquake Spectra 30(3), 1025-1055: active shallow crust, Rrup.

Coefficients: the paper's electronic supplement, by way of pygmm (MIT licence). Equation numbers are the paper's. Events are
main shocks (no aftershock term).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Array, Motion, Number, Setting, normal, reverse
from citytwin.hazards.earthquake.models.table import Table

TABLE = Table.read("ask14")
ROCK = 1180.0
AMPLIFICATION = 0.4
"""Standard deviation of the site amplification, in ln (page 1047)."""


def motions(rows: Sequence[SimpleNamespace], setting: Setting, *, region: str = "california") -> list[Motion]:
    """The motion for each row of coefficients. `region`: california (and elsewhere), japan, china or taiwan."""
    found = []
    for c in rows:
        source = _magnitude(c, setting) + _style(c, setting) + _hanging_wall(c, setting) + _distance(c, setting, region)
        rock = np.exp(source + _site(c, ROCK, 0.0) + _regional(c, ROCK, region))
        mean = source + _site(c, setting.vs30, rock) + _regional(c, setting.vs30, region) + _basin(c, setting, region)
        found.append(Motion(mean, *_deviations(c, setting, rock, region)))
    return found


def _magnitude(c: SimpleNamespace, s: Setting) -> Array:
    """Eqs 2 to 4."""
    m = np.asarray(s.magnitude)
    r = np.sqrt(np.asarray(s.rrup) ** 2 + (c.c4 - (c.c4 - 1) * np.clip(5 - m, 0, 1)) ** 2)
    large = np.maximum(m, c.m2)
    steep = np.where(large > c.m1, c.a5, c.a4) * (large - c.m1) + c.a8 * (8.5 - large) ** 2
    small = np.where(m < c.m2, c.a6 * (m - c.m2) + c.a7 * (m - c.m2) ** 2, 0.0)
    return np.asarray(c.a1 + steep + small + (c.a2 + c.a3 * (large - c.m1)) * np.log(r) + c.a17 * np.asarray(s.rrup))


def _style(c: SimpleNamespace, s: Setting) -> Array:
    """Eqs 5, 6 and 16."""
    size = np.clip(np.asarray(s.magnitude) - 4, 0, 1)
    top = c.a15 * np.minimum(np.asarray(s.top_depth) / 20, 1)
    return np.asarray((c.a11 * reverse(s.rake) + c.a12 * normal(s.rake)) * size + top)


def _hanging_wall(c: SimpleNamespace, s: Setting) -> Array:
    """Eqs 10 to 15."""
    m, dip, rx, top = (np.asarray(v) for v in (s.magnitude, s.dip, s.rx, s.top_depth))
    usual = np.minimum(18 / np.sin(np.radians(dip)), 10 ** (-1.75 + 0.45 * m))
    r1 = np.where(np.isnan(s.width), usual, s.width) * np.cos(np.radians(dip))
    size = np.where(m < 6.5, 1 + 0.2 * (m - 6.5) - 0.8 * (m - 6.5) ** 2, 1 + 0.2 * (m - 6.5))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = rx / r1
        place = np.where(share < 1, 0.25 + 1.5 * share - 0.75 * share**2, np.where(share < 3, 1 - (share - 1) / 2, 0.0))
    beside = np.clip(1 - (np.asarray(s.ry0) - rx * np.tan(np.radians(20))) / 5, 0, 1)
    beside = np.where(np.isnan(s.ry0), np.clip(1 - np.asarray(s.rjb) / 30, 0, 1), beside)
    steep = np.minimum(90 - dip, 60) / 45
    wall = c.a13 * steep * size * np.nan_to_num(place) * np.clip(1 - top**2 / 100, 0, 1) * beside
    return np.asarray(np.where((rx < 0) | (m <= 5.5) | (dip >= 90), 0.0, wall))


def _distance(c: SimpleNamespace, s: Setting, region: str) -> Array:
    """Regional absorption: eqs 20 to 22."""
    factor = {"taiwan": c.a25, "china": c.a28, "japan": c.a29}.get(region, 0.0)
    return np.asarray(factor * np.asarray(s.rrup))


def _capped(c: SimpleNamespace, vs30: Number) -> Array:
    """Vs30 above which there is no more effect: eqs 8 and 9; as a share of the model's linear limit."""
    limit = 800.0 if c.period >= 3 else 1500 * np.exp(-0.35 * np.log(max(c.period, 0.5) / 0.5))
    return np.asarray(np.minimum(vs30, limit) / c.v_lin)


def _site(c: SimpleNamespace, vs30: Number, rock: Number) -> Array:
    """Eq. 7."""
    ratio = _capped(c, vs30)
    soft = c.a10 * np.log(ratio) - c.b * np.log(rock + c.c) + c.b * np.log(rock + c.c * ratio**c.n)
    return np.asarray(np.where(ratio < 1, soft, (c.a10 + c.b * c.n) * np.log(ratio)))


def _regional(c: SimpleNamespace, vs30: Number, region: str) -> Array:
    """Regional site terms: eqs 20 and 23."""
    if region == "taiwan":
        return np.asarray(c.a31 * np.log(_capped(c, vs30)))
    if region == "japan":
        return np.asarray(np.interp(vs30, [150, 250, 350, 450, 600, 850, 1150], [getattr(c, f"a{i}") for i in range(36, 43)]))
    return np.zeros(np.shape(vs30))


def _basin(c: SimpleNamespace, s: Setting, region: str) -> Array:
    """Eqs 17 to 19: depth to 1 km/s against what Vs30 makes likely, the slope drawn between the middles of its classes."""
    vs30, z1 = np.asarray(s.vs30), np.asarray(s.z1)
    if region == "japan":
        usual = np.exp(-5.23 / 2 * np.log((vs30**2 + 412.0**2) / (1360.0**2 + 412.0**2)))
    else:
        usual = np.exp(-7.67 / 4 * np.log((vs30**4 + 610.0**4) / (1360.0**4 + 610.0**4)))
    slope = np.interp(vs30, [150, 250, 400, 700], [c.a43, c.a44, c.a45, c.a46])
    return np.asarray(slope * np.log((np.where(np.isnan(z1), usual, z1) / 1000 + 0.01) / (usual / 1000 + 0.01)))


def _deviations(c: SimpleNamespace, s: Setting, rock: Array, region: str) -> tuple[Array, Array]:
    """Eqs 24 to 30."""
    m, known = np.asarray(s.magnitude), np.asarray(s.measured)
    if region == "japan":
        phi = c.s5 + (c.s6 - c.s5) * np.clip((np.asarray(s.rrup) - 30) / 50, 0, 1)
    else:
        first, second = (known * a + (1 - known) * b for a, b in ((c.s1m, c.s1e), (c.s2m, c.s2e)))
        phi = first + (second - first) * np.clip((m - 4) / 2, 0, 1)
    tau = c.s3 + (c.s4 - c.s3) * np.clip((m - 5) / 2, 0, 1)
    base = phi**2 - AMPLIFICATION**2  # below zero for small events at long periods: kept so, then linear soil gives phi
    soft = rock + c.c * (np.asarray(s.vs30) / c.v_lin) ** c.n
    passed = np.where(np.asarray(s.vs30) < c.v_lin, -c.b * rock / (rock + c.c) + c.b * rock / soft, 0.0)
    return tau * (1 + passed), np.sqrt(base * (1 + passed) ** 2 + AMPLIFICATION**2)
