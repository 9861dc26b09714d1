"""Boore, Stewart, Seyhan and Atkinson 2014 (BSSA14), Earthquake Spectra 30(3), 1057-1085: active shallow crust, Rjb.

Coefficients: the authors' revision of 15 July 2014, by way of pygmm (MIT licence). Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Array, Motion, Setting, by_mechanism
from citytwin.hazards.earthquake.models.table import PGA, Table

TABLE = Table.read("bssa14")
QUALITY = {"average": "dc_3global", "high": "dc_3ct", "low": "dc_3ij"}
"""Anelastic attenuation by region: California and Taiwan; China and Turkey; Italy and Japan."""


def motions(
    rows: Sequence[SimpleNamespace], setting: Setting, *, quality: str = "average", basin: str = "", mechanism: bool = True
) -> list[Motion]:
    """The motion for each row of coefficients. `basin` "california" or "japan": with the depth term of z1."""
    rock = TABLE.row(PGA)
    pga = np.exp(_event(rock, setting, mechanism) + _path(rock, setting, quality))
    found = []
    for c in rows:
        mean = _event(c, setting, mechanism) + _path(c, setting, quality) + _site(c, setting, pga) + _depth(c, setting, basin)
        found.append(Motion(mean, *_deviations(c, setting)))
    return found


def _event(c: SimpleNamespace, s: Setting, mechanism: bool) -> Array:
    """Source: eq. 2; without a known mechanism the paper's unspecified one."""
    m, rake = np.asarray(s.magnitude), s.rake
    style = by_mechanism(rake, c.e_1, c.e_2, c.e_3, c.e_0) if mechanism else c.e_0
    above = m - c.M_h
    return np.asarray(style + np.where(m <= c.M_h, c.e_4 * above + c.e_5 * above**2, c.e_6 * above))


def _path(c: SimpleNamespace, s: Setting, quality: str) -> Array:
    """Path: eqs 3 and 4."""
    r = np.sqrt(np.asarray(s.rjb) ** 2 + c.h**2)
    spreading = (c.c_1 + c.c_2 * (np.asarray(s.magnitude) - c.M_ref)) * np.log(r / c.R_ref)
    return np.asarray(spreading + (c.c_3 + getattr(c, QUALITY[quality])) * (r - c.R_ref))


def _site(c: SimpleNamespace, s: Setting, pga: Array) -> Array:
    """Site: eqs 5 to 8."""
    vs30 = np.asarray(s.vs30)
    linear = c.c * np.log(np.minimum(vs30, c.V_c) / c.V_ref)
    softness = c.f_4 * (np.exp(c.f_5 * (np.minimum(vs30, 760.0) - 360.0)) - np.exp(c.f_5 * (760.0 - 360.0)))
    return np.asarray(linear + c.f_1 + softness * np.log((pga + c.f_3) / c.f_3))


def _depth(c: SimpleNamespace, s: Setting, basin: str) -> Array | float:
    """Depth to 1 km/s against what Vs30 makes likely: eqs 9 to 11; km."""
    if not basin or c.period < 0.65:
        return 0.0
    vs30, z1 = np.asarray(s.vs30), np.asarray(s.z1)
    if basin == "japan":
        usual = np.exp(-5.23 / 2 * np.log((vs30**2 + 412.39**2) / (1360.0**2 + 412.39**2)))
    else:
        usual = np.exp(-7.15 / 4 * np.log((vs30**4 + 570.94**4) / (1360.0**4 + 570.94**4)))
    deeper = np.where(np.isnan(z1), 0.0, z1 - usual) / 1000
    return np.asarray(np.where(deeper <= c.f_7 / c.f_6, c.f_6 * deeper, c.f_7))


def _deviations(c: SimpleNamespace, s: Setting) -> tuple[Array, Array]:
    """Between and within events: eqs 13 to 17."""
    size = np.clip(np.asarray(s.magnitude) - 4.5, 0, 1)
    tau = c.tau_1 + (c.tau_2 - c.tau_1) * size
    far = np.clip(np.log(np.maximum(np.asarray(s.rjb), 1e-3) / c.R_1) / np.log(c.R_2 / c.R_1), 0, 1)
    soft = np.clip(np.log(c.V_2 / np.asarray(s.vs30)) / np.log(c.V_2 / c.V_1), 0, 1)
    return tau, c.phi_1 + (c.phi_2 - c.phi_1) * size + c.dphi_R * far - c.dphi_V * soft
