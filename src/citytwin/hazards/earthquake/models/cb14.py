"""Campbell and Bozorgnia 2014 (CB14), Earthquake Spectra 30(3), 1087-1115: active shallow crust, Rrup.

Coefficients with the authors' updates of c0 to c6, by way of pygmm (MIT licence). Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Array, Motion, Number, Setting, normal, reverse
from citytwin.hazards.earthquake.models.table import PGA, Table

TABLE = Table.read("cb14")
QUALITY = {"average": "dc_20ca", "high": "dc_20ch", "low": "dc_20jp"}
C, N, ROCK = 1.88, 1.18, 1100.0
SHORT = 0.25
"""Up to this period (s) the spectrum is not below the peak acceleration (page 1097)."""


def motions(
    rows: Sequence[SimpleNamespace], setting: Setting, *, quality: str = "average", japan: bool = False
) -> list[Motion]:
    """The motion for each row of coefficients; `japan`: with the site and basin terms of Japan."""
    peak = TABLE.row(PGA)
    rock = np.exp(_source(peak, setting, quality) + _site(peak, ROCK, 0.0, japan) + _basin(peak, _depth(ROCK, japan), japan))
    depth = np.where(np.isnan(setting.z2), _depth(setting.vs30, japan), setting.z2)

    def mean(c: SimpleNamespace) -> Array:
        return _source(c, setting, quality) + _site(c, setting.vs30, rock, japan) + _basin(c, depth, japan)

    pga = mean(peak)
    found = []
    for c in rows:
        motion = np.maximum(mean(c), pga) if 0 < c.period <= SHORT else mean(c)
        found.append(Motion(motion, *_deviations(c, peak, setting, rock)))
    return found


def _source(c: SimpleNamespace, s: Setting, quality: str) -> Array:
    """All that does not depend on the site: eqs 2 to 16 and 21 to 25."""
    m, r = np.asarray(s.magnitude), np.asarray(s.rrup)
    size = c.c_0 + c.c_1 * m + sum(k * np.maximum(m - b, 0) for k, b in ((c.c_2, 4.5), (c.c_3, 5.5), (c.c_4, 6.5)))
    spreading = (c.c_5 + c.c_6 * m) * np.log(np.sqrt(r**2 + c.c_7**2))
    style = (c.c_8 * reverse(s.rake) + c.c_9 * normal(s.rake)) * np.clip(m - 4.5, 0, 1)
    deep = np.where(np.isnan(s.hypocentre_depth), 9.0, s.hypocentre_depth)
    hypocentre = np.clip(deep - 7, 0, 13) * (c.c_17 + (c.c_18 - c.c_17) * np.clip(m - 5.5, 0, 1))
    dip = c.c_19 * np.asarray(s.dip) * np.clip(5.5 - m, 0, 1)
    attenuation = (c.c_20 + getattr(c, QUALITY[quality])) * np.maximum(r - 80, 0)
    return np.asarray(size + spreading + style + _hanging_wall(c, s) + hypocentre + dip + attenuation)


def _hanging_wall(c: SimpleNamespace, s: Setting) -> Array:
    """Eqs 7 to 16."""
    m, dip, rx, r = np.asarray(s.magnitude), np.asarray(s.dip), np.asarray(s.rx), np.asarray(s.rrup)
    width = np.where(np.isnan(s.width), _width(s), s.width)
    r1, r2 = width * np.cos(np.radians(dip)), 62 * m - 350
    with np.errstate(divide="ignore", invalid="ignore"):
        near, beyond = rx / r1, (rx - r1) / (r2 - r1)
        inner = c.h_1 + c.h_2 * near + c.h_3 * near**2
        outer = np.maximum(c.h_4 + c.h_5 * beyond + c.h_6 * beyond**2, 0)
        place = np.where(rx < 0, 0, np.where(rx < r1, inner, outer))
        close = np.where(r == 0, 1, (r - np.asarray(s.rjb)) / r)
    size = np.where(m <= 5.5, 0, np.minimum(m - 5.5, 1) * (1 + c.a_2 * (m - 6.5)))
    top = np.asarray(s.top_depth)
    depth = np.where(top > 16.66, 0, 1 - 0.06 * top)
    hanging = c.c_10 * np.nan_to_num(place) * close * size * depth * (90 - dip) / 45
    return np.where((dip == 90) | (size == 0), 0.0, hanging)


def _width(s: Setting) -> Array:
    """Width that the authors' spreadsheet takes where none is known (eq. 39), the crust 15 km thick; km."""
    wide = np.sqrt(10 ** ((np.asarray(s.magnitude) - 4.07) / 0.98))
    return np.minimum(wide, np.maximum(15.0 - np.asarray(s.top_depth), 0.1) / np.sin(np.radians(s.dip)))


def _site(c: SimpleNamespace, vs30: Number, rock: Number, japan: bool) -> Array:
    """Eqs 17 to 19."""
    vs30 = np.asarray(vs30)
    ratio = vs30 / c.k_1
    soft = c.c_11 * np.log(ratio) + c.k_2 * (np.log(rock + C * ratio**N) - np.log(rock + C))
    site = np.where(vs30 <= c.k_1, soft, (c.c_11 + c.k_2 * N) * np.log(ratio))
    if japan:
        softest = (c.c_12 + c.k_2 * N) * (np.log(ratio) - np.log(200 / c.k_1))
        site = site + np.where(vs30 <= 200, softest, 0.0) + (c.c_13 + c.k_2 * N) * np.log(ratio)
    return np.asarray(site)


def _depth(vs30: Number, japan: bool) -> Array:
    """Depth to 2.5 km/s that Vs30 makes likely: eqs 33 and 34; km."""
    return np.asarray(np.exp((5.359 if japan else 7.089) - (1.102 if japan else 1.144) * np.log(vs30)))


def _basin(c: SimpleNamespace, depth: Array, japan: bool) -> Array:
    """Eq. 20."""
    shallow = (c.c_14 + c.c_15 * japan) * (depth - 1)
    deep = c.c_16 * c.k_3 * np.exp(-0.75) * (1 - np.exp(-0.25 * (depth - 3)))
    return np.where(depth <= 1, shallow, np.where(depth > 3, deep, 0.0))


def _deviations(c: SimpleNamespace, peak: SimpleNamespace, s: Setting, rock: Array) -> tuple[Array, Array]:
    """Between and within events, with the share of the rock's peak acceleration that soil passes on: eqs 27 to 31."""
    small = np.clip(5.5 - np.asarray(s.magnitude), 0, 1)
    ratio = np.asarray(s.vs30) / c.k_1
    passed = np.where(ratio < 1, c.k_2 * rock * (1 / (rock + C * ratio**N) - 1 / (rock + C)), 0.0)
    tau, tau_peak = (k.tau_2 + (k.tau_1 - k.tau_2) * small for k in (c, peak))
    phi, phi_peak = (k.phi_2 + (k.phi_1 - k.phi_2) * small for k in (c, peak))
    base, base_peak = np.sqrt(phi**2 - c.phi_lnAF**2), np.sqrt(phi_peak**2 - peak.phi_lnAF**2)
    between = np.sqrt(tau**2 + passed**2 * tau_peak**2 + 2 * passed * c.rho_lnPGAlnY * tau * tau_peak)
    within = base**2 + c.phi_lnAF**2 + passed**2 * base_peak**2 + 2 * passed * c.rho_lnPGAlnY * base * base_peak
    return between, np.sqrt(within)
